# SPDX-License-Identifier: Apache-2.0
"""The clauses of the runtime specification on hooks (config.md, POSIX-platform hooks): a test each."""
import json
import os
import pathlib
import time

import pytest

import oci_bundle
from harness import SCALE

POINTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
OUTSIDE = tuple(p for p in POINTS if p != "startContainer")   # whose programs are found in the runtime's namespace
RUNTIME = ("prestart", "createRuntime", "poststart", "poststop")


def script(oci, name, body):
    return oci.file(name, "#!/bin/sh\n" + body, 0o755)


def life(b):
    """From create to delete."""
    b.create().start().wait("stopped").delete()
    return b


def all_points(oci, b, body):
    """The hook of each point is a script; startContainer's is the probe, which saves what it is given."""
    for point in OUTSIDE:
        b.hook(point, script(oci, f"{point}.sh", body.format(point=point, work=oci.work)))
    b.hook("startContainer", oci_bundle.PROBE, "save", "/tmp/startContainer")


def states(oci, b):
    found = {p: json.loads((oci.work / p).read_text()) for p in OUTSIDE}
    found["startContainer"] = json.loads(b.inside_root("tmp/startContainer").read_text())
    return found


def test_hooks_run_in_the_listed_order(anyone):
    b = anyone.bundle("true")
    for point in OUTSIDE:
        for n in range(3):
            b.hook(point, script(anyone, f"{point}{n}.sh", f"echo {point} {n} >> {anyone.work}/log\n"))
    life(b)
    log = (anyone.work / "log").read_text().splitlines()
    assert log == [f"{p} {n}" for p in OUTSIDE for n in range(3)]


def test_startContainer_hooks_run_in_the_listed_order(anyone):
    b = anyone.bundle("true")
    for n in range(3):
        b.hook("startContainer", oci_bundle.PROBE, "append", "/tmp/log", str(n))
    life(b)
    assert "".join(b.inside_root("tmp/log").read_text().split()) == "012"


def test_hooks_get_the_state_on_stdin(anyone):
    b = anyone.bundle("true")
    b.config["annotations"] = {"org.example.a": "b"}
    all_points(anyone, b, "cat > {work}/{point}\n")
    life(b)
    for point, state in states(anyone, b).items():
        assert state["id"] == b.id and state["bundle"] == str(b.path), point
        assert state["annotations"] == {"org.example.a": "b"} and state["ociVersion"], point


def test_hooks_see_the_status_of_their_point(anyone):
    b = anyone.bundle("true")
    all_points(anyone, b, "cat > {work}/{point}\n")
    b.args("pause")
    b.create().start().stop().delete()
    assert {p: s["status"] for p, s in states(anyone, b).items()} == {
        "prestart": "creating", "createRuntime": "creating", "createContainer": "creating", "startContainer": "created",
        "poststart": "running", "poststop": "stopped"}


def test_hooks_of_the_runtime_namespace_see_the_pid_of_the_host(anyone):
    b = anyone.bundle("true")
    all_points(anyone, b, "cat > {work}/{point}\n")
    b.create()
    pid = b.pid
    b.start().wait("stopped").delete()
    found = states(anyone, b)
    assert {p: found[p]["pid"] for p in ("prestart", "createRuntime", "poststart")} == dict.fromkeys(("prestart", "createRuntime", "poststart"), pid)


def test_hooks_of_the_container_namespace_see_the_pid_of_the_container(anyone):
    b = anyone.bundle("true")
    all_points(anyone, b, "cat > {work}/{point}\n")
    life(b)
    found = states(anyone, b)
    assert found["createContainer"]["pid"] == 1 and found["startContainer"]["pid"] == 1


@pytest.mark.parametrize("point", POINTS)
def test_hook_path_must_be_absolute(anyone, point):
    anyone.bundle("echo", "ran").hook(point, "true").fails(match="absolute")


@pytest.mark.parametrize("point", POINTS)
def test_hook_without_a_path_is_an_error(anyone, point):
    b = anyone.bundle("echo", "ran")
    b.config["hooks"] = {point: [{"args": ["true"]}]}
    b.fails(match="path")


@pytest.mark.parametrize("timeout", [0, -1])
def test_hook_timeout_must_be_positive(anyone, timeout):
    b = anyone.bundle("echo", "ran").hook("createRuntime", "/bin/true", timeout=timeout)
    b.fails(match="timeout")


@pytest.mark.parametrize("point", ["createRuntime", "createContainer"])
def test_hook_is_aborted_after_its_timeout(anyone, point):
    b = anyone.bundle("echo", "ran").hook(point, "/bin/sleep", "600", timeout=1)
    begin = time.monotonic()
    b.fails()
    assert time.monotonic() - begin < 20 * SCALE
    assert anyone.processes() == {}


@pytest.mark.parametrize("point", OUTSIDE)
def test_hook_gets_its_args_and_env(anyone, point):
    hook = script(anyone, "hook.sh", f'echo "$0|$1|$2|$A|$B" > {anyone.work}/seen\n')
    b = anyone.bundle("true")
    b.config["hooks"] = {point: [{"path": str(hook), "args": ["name", "a b", "c"], "env": ["A=1", "B=x=y"]}]}
    life(b)
    # $0 of a script is its path, whatever argv[0] was
    assert (anyone.work / "seen").read_text().split("|")[1:] == ["a b", "c", "1", "x=y\n"]


def test_hook_without_args_has_its_path_as_name(anyone):
    b = anyone.bundle("true")
    b.config["hooks"] = {"createRuntime": [{"path": "/bin/true"}]}
    life(b)


def test_prestart_runs_before_createRuntime_before_createContainer(anyone):
    b = anyone.bundle("true")
    for point in ("createContainer", "createRuntime", "prestart"):
        b.hook(point, script(anyone, f"{point}.sh", f"echo {point} >> {anyone.work}/log\n"))
    b.create()
    assert (anyone.work / "log").read_text().split() == ["prestart", "createRuntime", "createContainer"]


def namespaces(pid="self"):
    return {k: os.readlink(f"/proc/{pid}/ns/{k}") for k in ("mnt", "net", "pid", "ipc", "uts")}


NOTE = "for k in mnt net pid ipc uts; do echo $k $(readlink /proc/self/ns/$k); done > {work}/{point}\n"


@pytest.mark.parametrize("point", RUNTIME)
def test_hook_runs_in_the_runtime_namespace(anyone, point):
    b = anyone.bundle("true").hook(point, script(anyone, "hook.sh", NOTE.format(work=anyone.work, point=point)))
    life(b)
    assert dict(line.split() for line in (anyone.work / point).read_text().splitlines()) == namespaces()


def test_createContainer_runs_in_the_container_namespace(anyone):
    b = anyone.bundle("true").hook("createContainer", script(anyone, "hook.sh", NOTE.format(work=anyone.work, point="seen"))).create()
    assert dict(line.split() for line in (anyone.work / "seen").read_text().splitlines()) == namespaces(b.pid)


def test_createContainer_sees_the_mounts_of_the_container_before_the_pivot(anyone):
    mark = anyone.directory("mark")
    (mark / "file").write_text("mounted")
    b = anyone.bundle("true").add_mount(oci_bundle.bind(mark, "/mark"))
    hook = script(anyone, "hook.sh", f"cat {b.rootfs}/mark/file > {anyone.work}/seen\n")
    b.hook("createContainer", hook).create()
    assert (anyone.work / "seen").read_text() == "mounted"
    assert not b.inside_root("mark/file").exists()


@pytest.mark.parametrize("point", ["prestart", "createRuntime"])
def test_hook_runs_after_the_namespaces_were_made(anyone, point):
    hook = script(anyone, "hook.sh", f"read state; pid=${{state##*\\\"pid\\\":}}; pid=$(echo \"$pid\" | tr -cd '0-9,}}' | sed 's/[,}}].*//'); "
                                     f"readlink /proc/$pid/ns/net /proc/$pid/ns/mnt > {anyone.work}/seen\n")
    b = anyone.bundle("true").hook(point, hook).create()
    seen = (anyone.work / "seen").read_text().split()
    assert seen == [os.readlink(f"/proc/{b.pid}/ns/net"), os.readlink(f"/proc/{b.pid}/ns/mnt")]


@pytest.mark.parametrize("point", ["prestart", "createRuntime", "createContainer"])
def test_hook_of_create_runs_in_create(anyone, point):
    b = anyone.bundle("true").hook(point, script(anyone, "hook.sh", f"echo >> {anyone.work}/ran\n")).create()
    assert (anyone.work / "ran").read_text() == "\n"
    b.start().wait("stopped").delete()
    assert (anyone.work / "ran").read_text() == "\n", "once"


def test_startContainer_path_resolves_in_the_container(anyone):
    assert not os.path.exists("/bin/probe")
    b = anyone.bundle("read", "/tmp/mark").hook("startContainer", "/bin/probe", "write", "/tmp/mark", "by the hook")
    assert b.create().start().finish() == "by the hook"


def test_startContainer_runs_in_the_container_namespace(anyone):
    b = anyone.bundle("pause")
    b.config["hooks"] = {"startContainer": [{"path": "/bin/probe", "args": ["probe", "symlink", "/proc/self/ns", "/tmp/ns"]},
                                            {"path": "/bin/probe", "args": ["probe", "mkdir", "/tmp/made"]}]}
    b.create()
    assert not b.inside_root("tmp/made").exists(), "not before start"
    b.start()
    assert b.inside_root("tmp/made").is_dir() and os.readlink(b.inside_root("tmp/ns")) == "/proc/self/ns"


def test_startContainer_runs_before_the_program(anyone):
    b = anyone.bundle("seq", "append", "/tmp/log", "program").hook("startContainer", "/bin/probe", "append", "/tmp/log", "hook")
    life(b)
    text = b.inside_root("tmp/log").read_text()
    assert text.index("hook") < text.index("program")


def test_poststart_runs_after_the_program_began_and_before_start_returns(anyone):
    b = anyone.bundle("pause")
    hook = script(anyone, "hook.sh", f"""i=0
while [ $i -lt 500 ] && ! grep -q ready {b.path}/out; do sleep 0.02; i=$((i + 1)); done
grep -q ready {b.path}/out && echo began > {anyone.work}/seen
sleep 0.2; echo done >> {anyone.work}/seen
""")
    b.hook("poststart", hook).create()
    assert not (anyone.work / "seen").exists()
    b.start()
    assert (anyone.work / "seen").read_text().split() == ["began", "done"]


def test_poststop_runs_after_the_deletion_and_before_delete_returns(anyone):
    b = anyone.bundle("true")
    command = " ".join(f"'{word}'" for word in anyone.command("state", b.id))
    hook = script(anyone, "hook.sh", f"if {command} > /dev/null 2>&1; then echo there; else echo gone; fi > {anyone.work}/seen\n"
                                     f"sleep 0.2; echo done >> {anyone.work}/seen\n")
    b.hook("poststop", hook).create().start().wait("stopped")
    assert not (anyone.work / "seen").exists()
    b.delete()
    assert (anyone.work / "seen").read_text().split() == ["gone", "done"]


def test_hooks_run_in_the_foreground_as_well(anyone):
    b = anyone.bundle("echo", "program")
    for point in OUTSIDE:
        b.hook(point, script(anyone, f"{point}.sh", f"echo {point} >> {anyone.work}/log\n"))
    assert b.output() == "program"
    assert (anyone.work / "log").read_text().split() == list(OUTSIDE)
    assert pathlib.Path(b.path, "config.json").exists()
