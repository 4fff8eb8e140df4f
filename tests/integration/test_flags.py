# SPDX-License-Identifier: Apache-2.0
"""The further options of run and create: each by its effect inside the container, or by the error that says why not."""
import os
import platform
import re

import pytest

import rootfs

PROBE = "/bin/probe"


def run(kelp, image, *args, options=(), **kw):
    return kelp.ok("run", "--rm", *options, image, *args, **kw)


def cat(kelp, image, path, *options, **kw):
    return run(kelp, image, "cat", path, options=options, **kw)


# ---- environment ----


def env(kelp, image, *options, **kw):
    return dict(line.split("=", 1) for line in run(kelp, image, "env", options=options, **kw).splitlines())


@pytest.fixture
def with_env(kelp, probe_binary):
    archive, _, _ = rootfs.oci_archive([rootfs.write_tar(rootfs.probe_entries(probe_binary))],
                                       config={"Env": ["PATH=/bin", "A=image", "B=image"]}, name="withenv:1")
    kelp.ok("load", input=archive)
    return "withenv:1"


def test_env_host(kelp, with_env):
    caller = {"A": "caller", "C": "caller", "HOSTNAME": "caller", "HOME": "/caller"}
    got = env(kelp, with_env, "--env-host", "-e", "D=typed", env=caller)
    assert (got["A"], got["C"], got["D"]) == ("image", "caller", "typed")
    assert got["HOSTNAME"] != "caller" and got["HOME"] == "/root" and not any(name.startswith("KELP_") for name in got)
    assert "C" not in env(kelp, with_env, env=caller)


def test_unsetenv(kelp, with_env):
    got = env(kelp, with_env, "--unsetenv", "A", "--unsetenv", "container", "-e", "container=x")
    assert "A" not in got and got["B"] == "image" and got["container"] == "x"
    assert env(kelp, with_env, "--unsetenv-all", "-e", "X=1") == {"X": "1"}
    kelp.ok("create", "--name", "c", "--unsetenv", "A", with_env, "true")
    assert not any(e.startswith("A=") for e in kelp.json("inspect", "c")[0]["Config"]["Env"])


def test_env_merge(kelp, with_env):
    got = env(kelp, with_env, "--env-merge", "A=${A}-and-$B-$NOPE-$", "--env-merge", "N=new", "-e", "B=typed")
    assert (got["A"], got["B"], got["N"]) == ("image-and-image--$", "typed", "new")
    kelp.fails("run", "--rm", "--env-merge", "=x", with_env, "true", code=125, match="--env-merge")


def test_http_proxy(kelp, with_env):
    caller = {"http_proxy": "http://proxy:1", "NO_PROXY": "localhost"}
    assert "http_proxy" not in env(kelp, with_env, env=caller), "without a network there is nothing to reach"
    assert env(kelp, with_env, "--network", "host", env=caller)["http_proxy"] == "http://proxy:1"
    assert env(kelp, with_env, "--http-proxy", env=caller)["NO_PROXY"] == "localhost"
    assert "http_proxy" not in env(kelp, with_env, "--network", "host", "--http-proxy=false", env=caller)


# ---- the process ----


def test_umask(kelp, busybox):
    assert run(kelp, busybox, "sh", "-c", "umask; touch /f; stat -c %a /f", options=["--umask", "0077"]).split() == ["0077", "600"]
    kelp.ok("run", "-d", "--name", "c", "--umask", "027", busybox, "sleep", "100")
    assert kelp.ok("exec", "c", "sh", "-c", "umask") == "0027"
    kelp.fails("run", "--rm", "--umask", "8", busybox, "true", code=125, match="--umask.*octal")


def test_oom_score_adj(kelp, probe):
    own = int(open("/proc/self/oom_score_adj").read())
    assert cat(kelp, probe, "/proc/self/oom_score_adj", "--oom-score-adj", "777") == "777"
    kelp.ok("create", "--name", "c", "--oom-score-adj", "777", probe, "true")
    assert kelp.json("inspect", "c")[0]["HostConfig"]["OomScoreAdj"] == 777
    kelp.fails("run", "--rm", "--oom-score-adj", "1001", probe, "true", code=125, match="between -1000 and 1000")
    kelp.fails("run", "--rm", "--oom-score-adj", str(own - 1), probe, "true", code=125, match=f"below {own}(.|\n)*hint:")


def test_personality(kelp, probe):
    kelp.ok("run", "-d", "--name", "c", "--personality", "LINUX32", probe, PROBE, "pause")
    pid = kelp.state("c")["Pid"]
    assert int(open(f"/proc/{pid}/personality").read(), 16) == 8
    kelp.fails("run", "--rm", "--personality", "SVR4", probe, "true", code=125, match="--personality.*SVR4")


def test_domainname_and_annotation(kelp, probe):
    assert cat(kelp, probe, "/proc/sys/kernel/domainname", "--domainname", "example.org") == "example.org"
    kelp.ok("create", "--name", "c", "--annotation", "a.b=c", probe, "true")
    assert kelp.json("inspect", "c")[0]["HostConfig"]["Annotations"] == {"a.b": "c"}


def test_init_path(kelp, busybox):
    script = kelp.work / "init"
    script.write_bytes(open("/bin/busybox" if os.path.exists("/bin/busybox") else "/usr/bin/busybox", "rb").read())
    script.chmod(0o755)
    # busybox by that name does not know the applet: what matters is that it is this program that was started
    result = kelp("run", "--rm", "--init", "--init-path", str(script), busybox, "true")
    assert "kelp-init: applet not found" in result.err or "applet not found" in result.out + result.err, result
    kelp.fails("run", "--rm", "--init-path", "/x", busybox, "true", code=125, match="goes with '--init'")
    kelp.fails("run", "--rm", "--init", "--init-path", "/nosuch", busybox, "true", match="/nosuch")


# ---- files ----


def test_no_hosts_and_no_hostname(kelp, make_kelp, probe_binary):
    extra = [rootfs.entry("etc/hosts", data=b"the image's\n"), rootfs.entry("etc/hostname", data=b"image\n")]
    kelp.import_image(rootfs.write_tar(rootfs.probe_entries(probe_binary) + extra), "named")
    assert cat(kelp, "named", "/etc/hosts", "--no-hosts") == "the image's"
    assert cat(kelp, "named", "/etc/hostname", "--no-hostname") == "image"
    assert "localhost" in cat(kelp, "named", "/etc/hosts") and cat(kelp, "named", "/etc/hostname") != "image"
    kelp.ok("create", "--name", "c", "--no-hosts", "named", "true")
    c = kelp.json("inspect", "c")[0]
    assert c["HostsPath"] == "" and os.path.exists(c["HostnamePath"])
    kelp.fails("run", "--rm", "--no-hosts", "--add-host", "a:1.2.3.4", "named", "true", code=125, match="--no-hosts")


def test_hosts_file(kelp, probe_binary):
    kelp.import_image(rootfs.write_tar(rootfs.probe_entries(probe_binary) + [rootfs.entry("etc/hosts", data=b"1.1.1.1 image")]), "named")
    (kelp.work / "hosts").write_text("2.2.2.2 mine\n")
    os.chmod(kelp.work / "hosts", 0o644)
    assert cat(kelp, "named", "/etc/hosts", "--hosts-file", "hosts").startswith("2.2.2.2 mine\n")
    assert cat(kelp, "named", "/etc/hosts", "--hosts-file", "image", "--add-host", "x:9.9.9.9").splitlines()[:2] \
        == ["1.1.1.1 image", "9.9.9.9\tx"]
    assert "localhost" not in cat(kelp, "named", "/etc/hosts", "--hosts-file", "none")
    kelp.fails("run", "--rm", "--hosts-file", "/nosuch", "named", "true", code=125, match="--hosts-file.*/nosuch")


def test_chrootdirs(kelp, probe):
    out = run(kelp, probe, PROBE, "cat", "/jail/etc/hosts", "/jail/etc/resolv.conf",
              options=["--chrootdirs", "/jail,/other", "--dns", "9.9.9.9"])
    assert "localhost" in out and "nameserver 9.9.9.9" in out
    kelp.fails("run", "--rm", "--chrootdirs", "jail", probe, "true", code=125, match="--chrootdirs.*not absolute")


@pytest.mark.skipif(not os.path.exists("/usr/share/zoneinfo/Europe/Vienna"), reason="no tzdata")
@pytest.mark.parametrize("link", [None, "/usr/share/zoneinfo/UTC"])
def test_tz(kelp, probe_binary, link):
    extra = [rootfs.entry("etc/localtime", "symlink", target=link)] if link else []
    kelp.import_image(rootfs.write_tar(rootfs.probe_entries(probe_binary) + extra), "zoned")
    zone = open("/usr/share/zoneinfo/Europe/Vienna", "rb").read()
    got = kelp.execute(kelp.command("run", "--rm", "--tz", "Europe/Vienna", "zoned", PROBE, "cat", "/etc/localtime"))
    assert got.rc == 0 and got.out == zone.decode(errors="replace")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../../etc/passwd", "/etc/passwd", "tzdata.zi"])
def test_tz_that_is_none(kelp, probe, zone):
    kelp.fails("run", "--rm", "--tz", zone, probe, "true", code=125, match="--tz.*no time zone")


def test_read_only_tmpfs(kelp, probe_binary):
    kelp.import_image(rootfs.write_tar(rootfs.probe_entries(probe_binary) + [rootfs.entry("run/kept", data=b"kept")]), "ro")
    both = ["--read-only", "--read-only-tmpfs"]
    assert run(kelp, "ro", PROBE, "seq", "cat", "/run/kept", "--", "write", "/tmp/a", "x", "--", "write", "/var/tmp/a", "x", "--",
               "write", "/run/a", "x", "--", "cat", "/var/tmp/a", options=both) == "keptx"
    kelp.fails("run", "--rm", *both, "ro", PROBE, "write", "/a", "x", match="EROFS")
    kelp.fails("run", "--rm", "--read-only", "ro", PROBE, "write", "/tmp/a", "x", match="EROFS")
    kelp.fails("run", "--rm", "--read-only-tmpfs", "ro", "true", code=125, match="goes with '--read-only'")


def test_proc_opts(kelp, probe):
    mounts = cat(kelp, probe, "/proc/self/mountinfo", "--security-opt", "proc-opts=hidepid=2")
    assert re.search(r" /proc .*hidepid=(2|invisible)", mounts)
    kelp.fails("run", "--rm", "--security-opt", "proc-opts=evil", probe, "true", code=125, match="proc-opts.*evil")


# ---- images ----


def test_platform_of_the_image(kelp, probe, probe_binary):
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    other = "arm64" if machine == "amd64" else "amd64"
    for options in (["--platform", f"linux/{machine}"], ["--platform", machine], ["--arch", platform.machine()], ["--os", "linux"]):
        assert run(kelp, probe, "echo", "here", options=options) == "here"
    for options in (["--platform", f"linux/{other}"], ["--arch", other], ["--os", "plan9"]):
        kelp.fails("run", "--rm", *options, probe, "true", code=125, match=f"image 'probe' is for linux/{machine}, not for (.|\n)*hint:")
    kelp.fails("run", "--rm", "--platform", "a/b/c/d", probe, "true", code=125, match="a/b/c/d")
    kelp.fails("run", "--rm", "--platform", machine, "--arch", machine, probe, "true", code=125, match="--platform")
    kelp.fails("run", "--rm", "--variant", "v7", probe, "true", code=125, match="--variant")


def test_expose(kelp, probe):
    kelp.ok("create", "--name", "c", "--expose", "80", "--expose", "5000-5002/udp", probe, "true")
    assert set(kelp.json("inspect", "c")[0]["Config"]["ExposedPorts"]) == {"80/tcp", "5000/udp", "5001/udp", "5002/udp"}
    for value in ("0", "65536", "80/icmp", "9-8", "x", "1-2-3", ""):
        kelp.fails("create", "--expose", value, probe, "true", code=125, match="--expose")


# ---- one value, or an error that says why ----


@pytest.mark.parametrize("option, good, bad", [
    ("--runtime", "kelp", "runc"), ("--isolation", "default", "hyperv"), ("--cpu-count", "0", "2"), ("--cpu-percent", "0", "50"),
    ("--io-maxbandwidth", "0", "1m"), ("--io-maxiops", "0", "100"), ("--disable-content-trust", "true", "false"),
    ("--storage-opt", None, "size=1G"), ("--storage-opt", None, "overlay.mountopt=nodev"), ("--device-cgroup-rule", None, "c 1:3 mr"),
    ("--subuidname", "SELF", "root"), ("--subgidname", "SELF", "root"),
])
def test_options_with_one_value(kelp, probe, option, good, bad):
    if good:
        good = kelp.user.name if good == "SELF" else good
        assert run(kelp, probe, "echo", "here", options=[f"{option}={good}"]) == "here"
    kelp.fails("run", "--rm", f"{option}={bad}", probe, "true", code=125, match=f"option '{option} {re.escape(bad)}': (.|\n)*hint:")


# ---- descriptors ----


def with_fds(kelp, redirections, *args):
    """kelp, as a shell starts it with these redirections."""
    return kelp.execute(["sh", "-c", f'exec "$@" {redirections}', "sh", *kelp.command(*args)])


SHOW_FDS = "for f in /proc/self/fd/*; do n=${f##*/}; [ -e $f ] && [ $n -gt 2 ] && [ $n -lt 10 ] && echo fd $n; done; true"


@pytest.fixture
def notes(kelp):
    for name in ("three", "five"):
        (kelp.work / name).write_text(f"{name}\n")
        os.chmod(kelp.work / name, 0o644)
    return "3<three 5<five"


def test_preserve_fds(kelp, busybox, notes):
    got = with_fds(kelp, notes + " 4</dev/null", "run", "--rm", "--preserve-fds", "3", busybox, "sh", "-c", "cat <&3; cat <&5; " + SHOW_FDS)
    assert got.rc == 0 and got.out.split("\n")[:2] == ["three", "five"], got
    assert {"fd 3", "fd 4", "fd 5"} <= set(got.out.splitlines())
    got = with_fds(kelp, notes, "run", "--rm", "--preserve-fds", "3", busybox, "true")
    assert got.rc == 125 and "descriptor 4 is not open" in got.err and "hint:" in got.err, "none of Kelp's own stands in for it"
    got = with_fds(kelp, notes, "run", "--rm", busybox, "sh", "-c", "cat <&3")
    assert got.rc != 0 and "three" not in got.out, "nothing is passed on unasked"


def test_preserve_fd(kelp, busybox, notes):
    got = with_fds(kelp, notes, "run", "--rm", "--preserve-fd", "5", busybox, "sh", "-c", "cat <&5; cat <&3; cat <&4")
    assert got.out == "five\n" and got.err.count("file descriptor") + got.err.count("Bad") >= 1, got
    for value, message in (("2", "not between 3 and 66"), ("67", "not between"), ("x", "no descriptor"), ("9", "9 is not open")):
        kelp.fails("run", "--rm", "--preserve-fd", value, busybox, "true", code=125, match=message)
    kelp.fails("run", "--rm", "--preserve-fds", "65", busybox, "true", code=125, match="at most 64")


def test_exec_preserves_descriptors(kelp, busybox, notes):
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    got = with_fds(kelp, notes, "exec", "--preserve-fd", "3,5", "c", "sh", "-c", "cat <&3 <&5; cat <&3")
    assert got.rc == 0 and sorted(got.out.split()) == ["five", "three"], got


@pytest.mark.parametrize("how", [["run", "--rm", "IMAGE"], ["exec", "c"]])
def test_nobody_but_the_program_keeps_them(kelp, busybox, how):
    """A pipe ends when the program closes it, though it runs on and so does its monitor."""
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    words = [busybox if w == "IMAGE" else w for w in how]
    read, write = os.pipe()
    holder = kelp.popen(words[0], "--preserve-fd", str(write), *words[1:], "sh", "-c", f"echo said >&{write}; exec {write}>&-; exec sleep 1000",
                        pass_fds=(write,))
    os.close(write)
    # the shell's clients wait for its end; the command itself is one of them, and has a copy as long as it lives
    assert os.read(read, 100) == b"said\n"
    monitors = [pid for pid, p in kelp.processes().items() if p[0] == "kelp-monitor"]
    pipe = os.readlink(f"/proc/self/fd/{read}")
    for pid in monitors:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert pipe not in links, f"monitor {pid} has it"
    os.close(read)
    holder.kill()
    holder.communicate()


# ---- further kinds of mounts ----


def mounted(kelp, image, at, *options):
    """[kind, mount options, file system's options] of a mount inside."""
    for line in cat(kelp, image, "/proc/self/mountinfo", *options).splitlines():
        f = line.split()
        if f[4] == at:
            return [f[f.index("-") + 1], f[5], f[f.index("-") + 3]]
    return None


def test_mount_devpts(kelp, probe):
    kind, flags, own = mounted(kelp, probe, "/jail/pts", "--mount", "type=devpts,target=/jail/pts,mode=0600,gid=7,max=4")
    assert kind == "devpts" and "noexec" in flags and "mode=600" in own and "max=4" in own
    assert mounted(kelp, probe, "/dev/pts", "--mount", "type=devpts,dst=/dev/pts,max=9")[2].endswith("max=9")
    # the container's own terminal is one of /dev/pts, wherever else there are some
    terminal = kelp.pty("run", "--rm", "-t", "--mount", "type=devpts,target=/jail/pts", probe, "ls", "/dev/pts", "/jail/pts")
    terminal.expect(r"\b0\b")
    assert terminal.wait() == 0
    kelp.fails("run", "--rm", "--mount", "type=devpts,target=/x,source=/y", probe, "true", code=125, match="a devpts has no source")
    kelp.fails("run", "--rm", "--mount", "type=devpts,target=/x,max=lots", probe, "true", code=125, match="max: 'lots'")
    kelp.fails("run", "--rm", "--mount", "type=tmpfs,target=/x,max=1", probe, "true", code=125, match="'max' does not go with the type tmpfs")


def test_mount_ramfs(kelp, busybox):
    assert mounted(kelp, busybox, "/ram", "--mount", "type=ramfs,target=/ram")[0] == "ramfs"
    out = run(kelp, busybox, "sh", "-c", "echo kept >/ram/f; cat /ram/f; stat -c %a /ram",
              options=["--mount", "type=ramfs,target=/ram,tmpfs-mode=1770"])
    assert out.split() == ["kept", "1770"]
    kelp.fails("run", "--rm", "--mount", "type=ramfs,target=/x,tmpfs-size=1m", busybox, "true", code=125, match="tmpfs-size.*type ramfs")


def test_mount_glob(kelp, busybox):
    for name in ("a/liba.so.1", "b/libb.so.2", "a/other", "a/.hidden.so.3"):
        path = kelp.work / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o644)
    find = ("sh", "-c", "cd /t && find . -type f | sort; cat /t/a/liba.so.1; echo; echo x >/t/a/liba.so.1")
    result = kelp("run", "--rm", "--mount", f"type=glob,src={kelp.work}/lib/*/*.so.*,dst=/t,ro", busybox, *find)
    assert result.out.splitlines()[:3] == ["./a/liba.so.1", "./b/libb.so.2", "a/liba.so.1"] and "Read-only" in result.err, result
    assert run(kelp, busybox, "cat", f"{kelp.work}/lib/b/libb.so.2", options=["--mount", f"type=glob,source={kelp.work}/lib/b/lib*"]) \
        == "b/libb.so.2"
    c = kelp.ok("create", "--mount", f"type=glob,src={kelp.work}/lib/?/*,dst=/t", busybox, "true")
    assert [m["Type"] for m in kelp.json("inspect", c)[0]["Mounts"]] == ["bind"] * 3
    kelp.fails("run", "--rm", "--mount", f"type=glob,src={kelp.work}/nope*,dst=/t", busybox, "true", code=125, match="nothing matches")
    kelp.fails("run", "--rm", "--mount", "type=glob,dst=/t", busybox, "true", code=125, match="source is missing")


def test_mount_of_an_unknown_type(kelp, probe):
    kelp.fails("run", "--rm", "--mount", "type=nfs,target=/x", probe, "true", code=125, match="types are bind, devpts, glob, image")


# ---- accounts ----


def lines_of(kelp, image, path, *options, **kw):
    return cat(kelp, image, path, *options, **kw).splitlines()


def test_passwd_of_a_user_by_number(kelp, probe):
    assert not any(":4321:" in line for line in lines_of(kelp, probe, "/etc/passwd", "--user", "4321:55"))
    passwd = lines_of(kelp, probe, "/etc/passwd", "--user", "4321:55", "--passwd", "-w", "/tmp")
    assert passwd[-1] == f"{kelp.user.name}:*:4321:55::/tmp:/bin/sh" and passwd[0].startswith("root:")
    assert lines_of(kelp, probe, "/etc/group", "--user", "4321:55", "--passwd")[-1] == f"{kelp.user.name}:x:55:"
    assert lines_of(kelp, probe, "/etc/passwd", "--user", "alice", "--passwd") == lines_of(kelp, probe, "/etc/passwd")


def test_passwd_and_group_entry(kelp, probe):
    options = ["--user", "4321:55", "--passwd-entry", "me$USERNAME:!:$UID:$GID:$NAME:$HOME:/x:$5", "--group-entry", "g$GROUPNAME:y:$GID:$USERLIST"]
    assert lines_of(kelp, probe, "/etc/passwd", *options)[-1] == f"me{kelp.user.name}:!:4321:55::/:/x:$5"
    assert lines_of(kelp, probe, "/etc/group", *options)[-1] == f"g{kelp.user.name}:y:55:"
    # the program knows itself by that line
    assert run(kelp, probe, "env", "HOME", options=["--user", "4321", "--passwd-entry", "u:*:$UID:0::/home/alice:/x"]) == "/home/alice"


def test_passwd_can_be_left_out(kelp, probe):
    named = lines_of(kelp, probe, "/etc/passwd", "--userns", "keep-id")
    assert f":{kelp.user.uid}:" in named[-1]
    assert lines_of(kelp, probe, "/etc/passwd", "--userns", "keep-id", "--passwd=false") == lines_of(kelp, probe, "/etc/passwd")
    kelp.fails("run", "--rm", "--passwd=false", "--passwd-entry", "x", probe, "true", code=125, match="--passwd=false")


def test_hostuser(kelp, probe):
    passwd = lines_of(kelp, probe, "/etc/passwd", "--hostuser", kelp.user.name, "--hostuser", "root")
    assert passwd[-1].split(":")[:4] == [kelp.user.name, "*", str(kelp.user.uid), str(kelp.user.gid)]
    assert sum(line.startswith("root:") for line in passwd) == 1, "whom the image knows keeps his line"
    kelp.fails("run", "--rm", "--hostuser", "nobody-of-that-name", probe, "true", code=125, match="no user 'nobody-of-that-name'")


@pytest.mark.parametrize("how", [["--storage-driver", "copy"], ["--rootfs"]], ids=" ".join)
def test_accounts_without_layers(kelp, probe, probe_binary, how):
    image = probe
    if "--rootfs" in how:
        kelp.ok("create", "--name", "c", "--storage-driver", "copy", probe, "true")
        image = kelp.json("inspect", "c")[0]["GraphDriver"]["Data"]["RootDir"]
    passwd = lines_of(kelp, image, "/etc/passwd", *how, "--user", "4321", "--passwd")
    assert passwd[0].startswith("root:") and ":4321:" in passwd[-1]


# ---- other containers and the image ----


def test_requires(kelp, probe):
    for name in ("db", "cache"):
        kelp.ok("create", "--name", name, "--stop-timeout", "0", probe, PROBE, "pause")
    kelp.ok("create", "--name", "web", "--requires", "db,cache", "--stop-timeout", "0", probe, PROBE, "pause")
    kelp.ok("rename", "db", "database")
    kelp.ok("start", "web")
    assert [kelp.state(c)["Status"] for c in ("database", "cache", "web")] == ["running"] * 3
    assert kelp.json("inspect", "web")[0]["Dependencies"] == [kelp.ok("inspect", "-f", "{{.Id}}", c) for c in ("database", "cache")]
    kelp.ok("stop", "web", "cache")
    assert kelp.ok("run", "--rm", "--requires", "web", probe, "echo", "x") == "x", "what runs already is left alone, what is required is started in turn"
    assert kelp.state("cache")["Running"]
    kelp.ok("stop", "web")
    kelp.ok("rm", "-f", "cache")
    kelp.fails("start", "web", match="start container 'web': what it requires: no such container")
    kelp.fails("create", "--requires", "nosuch", probe, "true", code=125, match="--requires.*nosuch")


def test_rmi(kelp, probe):
    kelp.ok("tag", probe, "once")
    result = kelp("run", "--rmi", "once", PROBE, "exit", "3")
    assert result.rc == 3 and kelp.ok("ps", "-aq") == ""
    assert kelp.ok("images", "-q", "once") == "" and kelp.ok("images", "-q", "probe") != "", "the name that was used, no other"
    kelp.ok("create", "--name", "c", probe, "true")
    result = kelp("run", "--rmi", probe, "true")
    assert result.rc == 0 and result.err == "" and kelp.ok("images", "-q", probe) != "", "another container has it"
    kelp.fails("run", "-d", "--rmi", probe, "true", code=125, match="nobody waits for the end")
