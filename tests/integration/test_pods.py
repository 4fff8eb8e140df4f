# SPDX-License-Identifier: Apache-2.0
"""Pods: containers that share namespaces, their verbs, and what is left when something of them is killed."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

from harness import wait_for

HEX = re.compile(r"^[0-9a-f]{64}$")


@pytest.fixture(autouse=True)
def no_pods_left(kelp):
    yield
    kelp("pod", "rm", "-f", "-t", "0", "--all")
    assert kelp.ok("pod", "ps", "-q") == ""


def state(kelp, name):
    return kelp.ok("pod", "inspect", "-f", "{{.State}}", name).strip()


def pod(kelp, *options, name="web"):
    out = kelp.ok("pod", "create", "--name", name, *options).strip()
    assert HEX.match(out)
    return out


def ns(kelp, name, which):
    return os.readlink(f"/proc/{kelp.state(name)['Pid']}/ns/{which}")


# ---- what they are -----------------------------------------------------------------------------


def test_create_inspect_list(kelp, busybox):
    first = pod(kelp, "-l", "app=shop", "--hostname", "host", "--exit-policy", "stop")
    second = kelp.ok("pod", "create", "other").strip()
    assert kelp.ok("pod", "ps", "-q", "--no-trunc").split() == [second, first]
    head, *rows = kelp.ok("pod", "ls", "--ctr-names").splitlines()
    assert head.split()[:4] == ["POD", "ID", "NAME", "STATUS"] and len(rows) == 2
    assert [r.split() for r in kelp.ok("pod", "ps", "--noheading", "--ctr-names").splitlines()] == [r.split() for r in rows]
    for f, want in (("name=we", "web"), ("label=app=shop", "web"), ("label=app", "web"), ("label=x", ""), (f"id={second[:6]}", "other"),
                    ("status=created", "other web"), ("status=running", "")):
        assert kelp.ok("pod", "ps", "--filter", f, "--format", "{{.Name}}").split() == want.split(), f
    info = json.loads(kelp.ok("pod", "inspect", first[:10]))[0]
    assert info["Id"] == info["InfraContainerID"] == first and info["Name"] == "web" and info["State"] == "Created"
    assert info["Labels"] == {"app": "shop"} and info["Hostname"] == "host" and info["ExitPolicy"] == "stop"
    assert info["SharedNamespaces"] == ["ipc", "net", "uts"] and info["NumContainers"] == 1
    assert [c["Name"] for c in info["Containers"]] == ["web"]
    assert kelp("pod", "exists", "web").rc == 0 and kelp("pod", "exists", "none").rc == 1
    kelp.ok("create", "--name", "c", busybox, "true")
    assert kelp("pod", "exists", "c").rc == 1
    wrong = kelp("pod", "inspect", "c", "web")
    assert wrong.rc == 1 and "no such pod: c" in wrong.err and json.loads(wrong.out)[0]["Name"] == "web"
    kelp.ok("rm", "c")


@pytest.mark.parametrize("args, message", [
    (("--share", "mnt"), "cannot be shared"), (("--exit-policy", "never"), "exit-policy"), (("--network", "bridge"), "network"),
    (("--name", "a/b"), "name"), (("--name", "x", "y"), "two names"), (("--hostname", "x y"), "host name"), (("--userns", "what"), "userns")])
def test_what_cannot_be_created(kelp, args, message):
    r = kelp("pod", "create", *args)
    assert r.rc == 125 and message in r.err, r
    assert kelp.ok("pod", "ps", "-q") == ""


def test_names_are_of_pods_and_containers(kelp, busybox):
    pod(kelp)
    for args in (("pod", "create", "--name", "web"), ("create", "--name", "web", busybox, "true"),
                 ("create", "--replace", "--name", "web", busybox, "true")):
        r = kelp(*args)
        assert r.rc == 125 and "web" in r.err, r
    old = kelp.ok("pod", "ps", "-q", "--no-trunc").strip()
    kelp.ok("create", "--pod", "web", "--name", "m", busybox, "true")
    assert pod(kelp, "--replace") != old
    assert kelp.ok("ps", "-aq") == ""
    kelp.ok("rename", "web", "new")
    assert kelp.ok("pod", "inspect", "-f", "{{.Name}}", "new").strip() == "new"


def test_infra_containers_are_their_pods_affair(kelp, busybox):
    pod(kelp)
    kelp.ok("pod", "start", "web")
    assert kelp.ok("ps", "-aq") == "" and kelp.ok("ps", "-q", "--pod") != ""
    assert kelp.ok("inspect", "-f", "{{.IsInfra}} {{.PodName}}", "web").strip() == "true web"
    for args in (("rm", "web"), ("rm", "-f", "web")):
        r = kelp(*args)
        assert r.rc == 1 and "kelp pod rm web" in r.err, r
    kelp.ok("rm", "-f", "--all")
    kelp.ok("stop", "--all")
    assert state(kelp, "web") == "Running"
    assert "kelp-init" in kelp.ok("ps", "--pod", "--no-trunc")


# ---- what is shared ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--userns", "keep-id"), ("--userns", "host"), ("--userns", "keep-id:uid=7,gid=7")])
def test_members_share(kelp, busybox, options):
    pod(kelp, "--add-host", "db:10.1.2.3", "--dns", "10.9.9.9", "--shm-size", "1m", *options)
    kelp.ok("run", "-d", "--pod", "web", "--name", "a", "--user", "0", busybox, "sh", "-c", "echo shared > /dev/shm/f; exec nc -l -p 8080 -e cat")
    wait_for(lambda: kelp("exec", "a", "test", "-s", "/dev/shm/f").rc == 0)
    out = kelp.ok("run", "--rm", "--pod", "web", "--user", "0", busybox, "sh", "-c",
                  "hostname; cat /etc/hostname; cat /dev/shm/f; grep db /etc/hosts; cat /etc/resolv.conf; grep /dev/shm /proc/mounts | grep -o size=1024k;"
                  "echo over-loopback | nc 127.0.0.1 8080").splitlines()
    assert out[:3] == ["web", "web", "shared"] and out[3].split() == ["10.1.2.3", "db"] and "nameserver 10.9.9.9" in out
    assert out[-2:] == ["size=1024k", "over-loopback"]
    kelp.ok("run", "-d", "--pod", "web", "--name", "b", busybox, "sleep", "1000")
    for which in ("net", "ipc", "uts", "user"):
        assert ns(kelp, "b", which) == ns(kelp, "web", which), which
    for which in ("pid", "mnt"):
        assert ns(kelp, "b", which) != ns(kelp, "web", which), which
    assert kelp.ok("inspect", "-f", "{{.PodName}} {{.IsInfra}}", "b").strip() == "web false"
    assert kelp.ok("ps", "-p", "--format", "{{.Names}} {{.PodName}}").splitlines()[0] == "b web"
    assert set(kelp.ok("ps", "--filter", "pod=web", "--format", "{{.Names}}").split()) >= {"b"}
    assert kelp.ok("ps", "--filter", "pod=none", "-q") == ""


def test_share(kelp, busybox):
    pod(kelp, "--share", "+pid", name="p")
    kelp.ok("run", "-d", "--pod", "p", "--name", "a", busybox, "sleep", "1234")
    assert "sleep 1234" in kelp.ok("run", "--rm", "--pod", "p", busybox, "ps")
    # What the members leave behind is the infra container's to reap.
    kelp.ok("run", "--rm", "--pod", "p", busybox, "sh", "-c", "(sleep 0.05 &) ; true")
    wait_for(lambda: " Z " not in kelp.ok("exec", "a", "ps"), what="nothing is left to be reaped")
    pod(kelp, "--share", "none", name="n")
    kelp.ok("run", "-d", "--pod", "n", "--name", "b", "--userns", "keep-id", busybox, "sleep", "1000")
    for which in ("net", "ipc", "uts", "user", "pid"):
        assert ns(kelp, "b", which) != ns(kelp, "n", which), which
    pod(kelp, "--share", "net", name="o")
    kelp.ok("run", "-d", "--pod", "o", "--hostname", "mine", "--name", "c", busybox, "sleep", "1000")
    assert ns(kelp, "c", "net") == ns(kelp, "o", "net") and ns(kelp, "c", "uts") != ns(kelp, "o", "uts")
    assert kelp.ok("exec", "c", "hostname").strip() == "mine"
    no = kelp("run", "--rm", "--pod", "o", "--userns", "keep-id", busybox, "true")
    assert no.rc == 125 and "--userns" in no.err
    no = kelp("run", "--rm", "--pod", "nosuch", busybox, "true")
    assert no.rc == 125 and "no such pod: nosuch" in no.err


def test_volumes_of_the_pod(kelp, busybox):
    pod(kelp, "-v", "data:/data")
    kelp.ok("run", "--rm", "--pod", "web", busybox, "sh", "-c", "echo kept > /data/f")
    assert kelp.ok("run", "--rm", "--pod", "web", "-v", "own:/own", busybox, "cat", "/data/f").strip() == "kept"
    kelp.ok("pod", "rm", "-f", "web")
    kelp.ok("volume", "rm", "data", "own")


def test_new_pod_with_a_container(kelp, busybox):
    assert kelp.ok("run", "--rm", "--pod", "new:made", "--hostname", "host", busybox, "hostname").strip() == "host"
    assert kelp.ok("pod", "ps", "--format", "{{.Name}}").strip() == "made"
    r = kelp("run", "--rm", "--pod", "new:second", "nosuchimage", "true")
    assert r.rc == 125
    assert kelp.ok("pod", "ps", "--format", "{{.Name}}").strip() == "made"


def test_isolation_of_the_infra_container(kelp):
    pod(kelp)
    kelp.ok("pod", "start", "web")
    status = open(f"/proc/{kelp.state('web')['Pid']}/status").read()
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M) and re.search(r"^Seccomp:\s+2$", status, re.M)
    assert re.search(r"^CapEff:\s+0+$", status, re.M), status


# ---- life --------------------------------------------------------------------------------------


def test_life(kelp, busybox):
    pod(kelp)
    assert state(kelp, "web") == "Created"
    kelp.ok("create", "--pod", "web", "--name", "a", busybox, "sleep", "1000")
    kelp.ok("create", "--pod", "web", "--name", "b", "--stop-signal", "KILL", busybox, "sleep", "1000")
    kelp.ok("pod", "start", "web")
    assert state(kelp, "web") == "Running"
    kelp.ok("stop", "b")
    assert state(kelp, "web") == "Degraded"
    busy = kelp("pod", "rm", "web")
    assert busy.rc == 1 and "running container: 'a'" in busy.err and "--force" in busy.err
    before = ns(kelp, "web", "net")
    kelp.ok("pod", "kill", "web")
    wait_for(lambda: state(kelp, "web") == "Exited")
    # A member alone brings up what it needs.
    kelp.ok("start", "b")
    assert state(kelp, "web") == "Degraded" and ns(kelp, "b", "net") == ns(kelp, "web", "net")
    kelp.ok("pod", "restart", "web")
    assert state(kelp, "web") == "Running" and ns(kelp, "a", "net") == ns(kelp, "web", "net")
    assert before
    kelp.ok("pod", "stop", "-t", "0", "--all")
    assert state(kelp, "web") == "Exited"
    kelp.ok("create", "--pod", "web", "--name", "c", busybox, "true")
    assert state(kelp, "web") == "Stopped"
    kelp.ok("pod", "rm", "web")
    assert kelp.ok("ps", "-aq", "--pod") == "" and list((kelp.root / "names").iterdir()) == []
    gone = kelp("pod", "stop", "web")
    assert gone.rc == 1 and "no such pod: web" in gone.err
    assert kelp("pod", "stop", "-i", "web").rc == 0 and kelp("pod", "rm", "-i", "web").rc == 0
    assert kelp("pod", "rm").rc == 125 and kelp("pod", "rm", "-a", "x").rc == 125


def test_prune(kelp, busybox):
    pod(kelp, name="created")
    pod(kelp, name="ended")
    pod(kelp, name="runs")
    kelp.ok("run", "--pod", "ended", busybox, "true")
    kelp.ok("pod", "stop", "ended")
    kelp.ok("run", "-d", "--pod", "runs", busybox, "sleep", "1000")
    assert kelp("pod", "prune", input="n\n").rc == 0
    kelp.ok("pod", "prune", "-f")
    assert sorted(kelp.ok("pod", "ps", "--format", "{{.Name}}").split()) == ["created", "runs"]


def test_exit_policy_stop(kelp, busybox):
    pod(kelp, "--exit-policy", "stop")
    kelp.ok("run", "-d", "--pod", "web", "--name", "a", "--stop-signal", "KILL", busybox, "sleep", "1000")
    kelp.ok("run", "--rm", "--pod", "web", busybox, "true")
    assert state(kelp, "web") == "Running"
    kelp.ok("stop", "a")
    wait_for(lambda: state(kelp, "web") == "Exited")
    # The last one may be removed on exit.
    kelp.ok("run", "--rm", "--pod", "web", busybox, "true")
    wait_for(lambda: state(kelp, "web") == "Exited")
    pod(kelp, "--exit-policy", "continue", name="on")
    kelp.ok("run", "--rm", "--pod", "on", busybox, "true")
    assert state(kelp, "on") == "Running"


# ---- at once, and kills ------------------------------------------------------------------------


def test_members_started_at_once_start_one_infra_container(kelp, busybox):
    pod(kelp)
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(kelp("run", "-d", "--name", f"m{i}", "--pod", "web", busybox, "sleep", "1000")))
               for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.rc for r in results] == [0] * 8, results
    assert {ns(kelp, f"m{i}", "net") for i in range(8)} == {ns(kelp, "web", "net")}
    assert state(kelp, "web") == "Running"


def test_a_member_made_while_the_pod_is_removed_is_not_left(kelp, busybox):
    for i in range(5):
        pod(kelp, name=f"p{i}")
        results = []
        threads = [threading.Thread(target=lambda: results.append(kelp("create", "--pod", f"p{i}", busybox, "true"))) for _ in range(4)]
        for t in threads:
            t.start()
        kelp("pod", "rm", "-f", f"p{i}")
        for t in threads:
            t.join()
        assert all(r.rc in (0, 125) for r in results)
        wait_for(lambda: kelp.ok("ps", "-aq") == "", what="no member without its pod")


@pytest.mark.parametrize("victim", ["infra process", "infra monitor", "member monitor"])
def test_what_is_killed(kelp, busybox, victim):
    """The members of a pod whose infra container dies keep their namespaces; the pod can be started again."""
    kelp.garbage = True
    pod(kelp)
    kelp.ok("run", "-d", "--pod", "web", "--name", "a", busybox, "sleep", "1000")
    kelp.ok("run", "-d", "--pod", "web", "--name", "b", busybox, "sleep", "1000")
    name, what = ("a", "monitor") if victim.startswith("member") else ("web", victim.split()[1])
    pid = kelp.state(name)["Pid"]
    if what == "monitor":
        pid = int(re.search(r"^PPid:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M).group(1))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state(kelp, "web") == "Degraded")
    assert kelp.ok("exec", "b", "hostname").strip() == "web"
    kelp.ok("pod", "start", "web")
    assert state(kelp, "web") == "Running"
    kelp.ok("pod", "restart", "-l")
    assert ns(kelp, "a", "net") == ns(kelp, "b", "net") == ns(kelp, "web", "net")


# ---- what they write and run ---------------------------------------------------------------------


def test_logs(kelp, busybox):
    pod(kelp)
    for name, what in (("a", "echo a1; printf a2"), ("b", "echo b1 >&2")):
        kelp.ok("run", "--pod", "web", "--name", name, busybox, "sh", "-c", what)
    kelp.ok("run", "--name", "other", busybox, "echo", "other")
    a, b = (kelp.ok("inspect", "-f", "{{.Id}}", name) for name in "ab")
    result = kelp("pod", "logs", "web")
    assert (result.rc, result.out, result.err) == (0, f"{a[:12]} a1\n{a[:12]} a2\n", f"{b[:12]} b1\n")
    result = kelp("pod", "logs", "--names", "-n", "1", "-l")
    assert (result.out, result.err) == ("a a2\n", "b b1\n")
    assert [kelp("pod", "logs", "-c", member, "web").out for member in ("a", a[:10])] == ["a1\na2"] * 2
    assert kelp("pod", "logs", "--names", "-c", "b", "-c", "a", "web").err == "b b1\n"
    for stranger in ("other", "none", "web"):  # the infra container is no member
        assert kelp.fails("pod", "logs", "-c", "a", "-c", stranger, "web", code=125,
                          match=f"pod 'web' has no member '{stranger}'\n.*--ctr-names").out == ""
    kelp.fails("pod", "logs", "a", code=125, match="a")
    kelp.fails("pod", "logs", code=125, match="no pod was named")
    kelp.ok("start", "a", "b")
    assert kelp("pod", "logs", "-f", "--names", "web", timeout=20).out.split("\n")[0] == "a a1", "it ends though the pod still runs"
    pod(kelp, name="empty")
    result = kelp("pod", "logs", "-f", "empty")
    assert (result.rc, result.out, result.err) == (0, "", "")


def test_top(kelp, busybox):
    pod(kelp)
    kelp.ok("create", "--pod", "web", "--name", "a", busybox, "sleep", "1000")
    kelp.ok("create", "--pod", "web", "--name", "b", busybox, "sleep", "2000")
    kelp.fails("pod", "top", "web", code=125, match="pod 'web' is not running\n.*'kelp pod start web'")
    kelp.ok("pod", "start", "web")
    head, *rows = kelp.ok("pod", "top", "web", "hpid", "args").splitlines()
    assert head.split() == ["HPID", "COMMAND"]
    assert [int(row.split()[0]) for row in rows] == [kelp.state(name)["Pid"] for name in ("web", "a", "b")]
    assert [row.split()[1:] for row in rows[1:]] == [["sleep", "1000"], ["sleep", "2000"]]
    assert "sleep 2000" in kelp.ok("pod", "top", "-l", "--", "-eo", "pid,args")
    kelp.ok("kill", "a")
    kelp.ok("wait", "a")
    assert "sleep 1000" not in kelp.ok("pod", "top", "web") and "sleep 2000" in kelp.ok("pod", "top", "web")
    kelp.fails("pod", "top", "web", "nonsense", code=125, match="unknown column 'nonsense'")
    kelp.fails("pod", "top", "none", code=125, match="no such pod: none")
    kelp.ok("pod", "stop", "-t", "0", "web")
    kelp.fails("pod", "top", "web", code=125, match="pod 'web' is not running")


CALLS = "openat,mkdirat,renameat,renameat2,symlinkat,unlinkat,write,fsync,clone3,clone,vfork"


def killed_after(kelp, steps, *args):
    subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", f"inject={CALLS}:signal=SIGKILL:when={steps}",
                    str(kelp.programs / "kelp"), "--root", str(kelp.root), *args],
                   env=kelp.env, cwd=kelp.work, capture_output=True, timeout=60, **kelp.user.credentials())


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_killed_at_every_step(kelp, busybox):
    """create, a member's creation, start, rm: kelp killed after so many system calls, and the next command goes on with what is there."""
    kelp.garbage = True
    for steps in range(2, 120, 13):
        killed_after(kelp, steps, "pod", "create", "--name", "web", "--replace")
        pod(kelp, "--replace")
        killed_after(kelp, steps, "create", "--pod", "web", "--name", "a", busybox, "sleep", "1000")
        kelp.ok("create", "--replace", "--pod", "web", "--name", "a", busybox, "sleep", "1000")
        killed_after(kelp, steps, "pod", "start", "web")
        kelp.ok("pod", "start", "web")
        assert state(kelp, "web") == "Running"
        killed_after(kelp, steps, "pod", "rm", "-f", "-t", "0", "web")
        if kelp("pod", "exists", "web").rc == 0:
            kelp.ok("pod", "rm", "-f", "-t", "0", "web")
        assert kelp.ok("pod", "ps", "-q") == ""
        for left in kelp.ok("ps", "-aq").split():  # killed between the pod's removal and the last look
            assert "gone" in kelp("start", left).err
            kelp.ok("rm", "-f", left)
    assert kelp.ok("ps", "-aq", "--pod") == ""
