# SPDX-License-Identifier: Apache-2.0
"""The clauses of the runtime specification's runtime.md and runtime-linux.md: a test each (docs/oci-conformance.md)."""
import json
import os
import pathlib
import re
import signal

import pytest

import oci_bundle
from harness import wait_for
from oci_bundle import bind, mount


def gone(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rsplit(")", 1)[1].split()[0] == "Z"


# ---- scope, state ------------------------------------------------------------------------------


def test_scope_creator_can_use_every_operation(anyone):
    b = anyone.bundle("pause").create().start()
    assert b.status() == "running"
    b.kill("TERM").wait("stopped").delete()


def test_state_has_version_id_status_bundle(anyone):
    b = anyone.bundle().create()
    state = b.state()
    assert re.fullmatch(r"\d+\.\d+\.\d+(-\S+)?", state["ociVersion"]), state
    assert state["id"] == b.id and state["status"] == "created", state
    assert state["bundle"] == str(b.path) and os.path.isabs(state["bundle"]), state


def test_state_bundle_is_absolute_for_a_relative_argument(anyone):
    b = anyone.bundle()
    b.save()
    anyone.ok("create", "--bundle", b.path.name, b.id, cwd=b.path.parent)
    assert b.state()["bundle"] == str(b.path)


def test_state_id_is_unique(anyone):
    ids = [anyone.bundle().create().state()["id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert sorted(anyone.ok("list", "-q").split()) == sorted(ids)


def test_state_pid_is_as_the_host_sees_it(anyone):
    b = anyone.bundle().create()
    for status in ("created", "running"):
        state = b.state()
        assert state["status"] == status and state["pid"] == b.pid
        inside = re.search(r"^NSpid:\s+(.*)$", pathlib.Path(f"/proc/{b.pid}/status").read_text(), re.M).group(1).split()
        assert inside == [str(b.pid), "1"]
        if status == "created":
            b.start()


def test_state_status_follows_the_container(anyone):
    b = anyone.bundle("pause").create()
    seen = [b.status()]
    seen.append(b.start().status())
    seen.append(b.stop().status())
    assert seen == ["created", "running", "stopped"]


def test_state_has_annotations(anyone):
    b = anyone.bundle()
    b.config["annotations"] = {"org.example.one": "1", "org.example.empty": "", "ünï": "\"code\"\n"}
    assert b.create().state()["annotations"] == b.config["annotations"]


def test_state_without_annotations(anyone):
    assert not anyone.bundle().create().state().get("annotations")


def test_state_is_json_alone(anyone):
    b = anyone.bundle().create()
    result = anyone("state", b.id)
    assert result.err == "" and isinstance(json.loads(result.out), dict)


# ---- lifecycle ---------------------------------------------------------------------------------


def test_lifecycle_create_makes_the_environment(anyone):
    b = anyone.bundle("pause")
    extra = anyone.directory("extra")
    (extra / "mark").write_text("here")
    b.add_mount(bind(extra, "/extra")).create()
    for kind in ("mnt", "net", "pid", "ipc", "uts"):
        assert os.readlink(f"/proc/{b.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    assert pathlib.Path(f"/proc/{b.pid}/root/extra/mark").read_text() == "here"


def test_lifecycle_create_fails_when_the_environment_can_not_be_made(anyone):
    b = anyone.bundle("echo", "ran")
    b.add_mount(bind(anyone.work / "missing", "/extra"))
    b.fails(match="missing")


def test_lifecycle_create_does_not_run_the_program(anyone):
    b = anyone.bundle("write", "/tmp/ran", "yes").create()
    assert not b.inside_root("tmp/ran").exists()
    b.start().wait("stopped")
    assert b.inside_root("tmp/ran").exists()


def test_lifecycle_later_changes_of_the_config_have_no_effect(anyone):
    b = anyone.bundle("seq", "echo", "first", "--", "hostname").create()
    b.args("echo", "second")
    b.config["hostname"] = "second"
    b.config["annotations"] = {"a": "b"}
    b.save()
    assert not b.state().get("annotations")
    b.start()
    assert b.finish().split() == ["first", "bundle"]


def test_lifecycle_start_runs_the_program(anyone):
    b = anyone.bundle("echo", "hello").create()
    assert b.stdout == ""
    b.start()
    assert b.finish() == "hello"


def test_lifecycle_delete_undoes_create(anyone):
    b = anyone.bundle("pause").create()
    mounts, states = anyone.mounts(), list(anyone.root.iterdir())
    assert any(b.id in str(p) for p in states)
    pid = b.pid
    b.start().stop().delete()
    wait_for(lambda: gone(pid))
    assert anyone.mounts() == [] and mounts == []
    assert not [p for p in anyone.root.rglob("*") if b.id in p.name]


def failing(oci, name="fail.sh"):
    return oci.file(name, "#!/bin/sh\necho hook says no >&2\nexit 3\n", 0o755)


def noting(oci, name):
    """A hook that notes that it ran."""
    return oci.file(f"{name}.sh", f"#!/bin/sh\ncat > {oci.work}/{name}\n", 0o755), oci.work / name


@pytest.mark.parametrize("point", ["prestart", "createRuntime", "createContainer"])
def test_lifecycle_failing_hook_of_create_is_an_error(anyone, point):
    after, after_mark = noting(anyone, "after")
    poststop, poststop_mark = noting(anyone, "poststop")
    b = anyone.bundle("write", "/tmp/ran", "yes")
    b.hook(point, failing(anyone)).hook(point, after).hook("poststop", poststop)
    result = b.fails()
    assert not after_mark.exists() and not b.inside_root("tmp/ran").exists()
    assert poststop_mark.exists(), "the container is destroyed as by delete"
    assert point in result.err and "fail.sh" in result.err, result


def test_lifecycle_failing_startContainer_hook_is_an_error(anyone):
    b = anyone.bundle("write", "/tmp/ran", "yes").hook("startContainer", oci_bundle.PROBE, "false").create()
    result = b.try_start()
    assert result.rc != 0 and "startContainer" in result.err, result
    assert not b.inside_root("tmp/ran").exists()
    state = anyone("state", b.id)
    assert state.rc != 0 or json.loads(state.out)["status"] == "stopped", state


def test_lifecycle_failing_poststart_hook_stops_the_container(anyone):
    b = anyone.bundle("pause").hook("poststart", failing(anyone)).create()
    pid = b.pid
    result = b.try_start()
    assert result.rc != 0 and "poststart" in result.err, result
    wait_for(lambda: gone(pid))
    state = anyone("state", b.id)
    assert state.rc != 0 or json.loads(state.out)["status"] == "stopped", state


def test_lifecycle_failing_poststop_hook_is_a_warning(anyone):
    after, after_mark = noting(anyone, "after")
    b = anyone.bundle("pause").hook("poststop", failing(anyone)).hook("poststop", after).create()
    b.kill().wait("stopped")
    result = b.try_delete()
    assert result.rc == 0 and "poststop" in result.err, result
    assert after_mark.exists()
    assert anyone("state", b.id).rc != 0


def test_errors_leave_the_environment_as_it_was(anyone):
    b = anyone.bundle("pause")
    b.add_mount(mount("/late", "no-such-file-system", "none"))
    before = sorted(p.name for p in anyone.root.rglob("*"))
    assert b.try_create().rc != 0
    assert [p for p in anyone.root.rglob("*") if b.id in p.name and p.name not in before] == []
    assert anyone.processes() == {} and anyone.mounts() == []
    b.config["mounts"].pop()
    b.create()  # with the same name


# ---- state -------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["state", "start", "kill", "delete", "create"])
def test_operation_without_an_id_is_an_error(anyone, operation):
    b = anyone.bundle()
    b.save()
    result = anyone.fails(operation, cwd=b.path)
    assert result.out == "" and result.err.strip(), result
    assert anyone.ok("list", "-q") == ""


@pytest.mark.parametrize("operation", ["state", "start", "kill", "delete"])
def test_operation_on_an_unknown_id_is_an_error(anyone, operation):
    result = anyone.fails(operation, "nobody", match="does not exist")
    assert result.out == ""


def test_query_state_returns_the_state(anyone):
    b = anyone.bundle().create()
    assert {"ociVersion", "id", "status", "pid", "bundle"} <= set(b.state())


# ---- create ------------------------------------------------------------------------------------


def test_create_without_a_bundle_is_an_error(anyone):
    anyone.fails("create", "nobody", match="config.json")
    anyone.fails("create", "--bundle", anyone.work / "missing", "nobody", match="missing")
    assert anyone("state", "nobody").rc != 0


def test_create_of_an_id_in_use_is_an_error(anyone):
    b = anyone.bundle("pause").create()
    pid = b.pid
    other = anyone.bundle("write", "/tmp/ran", "yes", cid="other")
    other.save()
    anyone.fails("create", "--bundle", other.path, b.id, match="exists")
    state = b.state()
    assert state["pid"] == pid and state["bundle"] == str(b.path) and state["status"] == "created"


@pytest.mark.parametrize("cid", ["", ".", "..", "../up", "a/b", "/abs", "a\nb", "x" * 1500])
def test_create_of_an_invalid_id_is_an_error(anyone, cid):
    b = anyone.bundle()
    b.save()
    anyone.fails("create", "--bundle", b.path, cid)
    assert anyone.ok("list", "-q") == ""
    assert not (anyone.base / "up").exists()


def test_create_sets_created(anyone):
    assert anyone.bundle().create().status() == "created"


# ---- start -------------------------------------------------------------------------------------


def test_start_of_a_running_container_has_no_effect(anyone):
    b = anyone.bundle("pause").create().start()
    b.wait_output("ready")
    pid = b.pid
    assert b.try_start().rc != 0
    assert b.status() == "running" and b.state()["pid"] == pid and b.stdout == "ready\n"


def test_start_of_a_stopped_container_has_no_effect(anyone):
    b = anyone.bundle("append", "/tmp/runs", "x").create().start().wait("stopped")
    assert b.try_start().rc != 0
    assert b.status() == "stopped" and b.inside_root("tmp/runs").read_text().count("x") == 1


def test_start_sets_running(anyone):
    assert anyone.bundle("pause").create().start().status() == "running"


def test_start_without_a_process_is_an_error(anyone):
    b = anyone.bundle()
    del b.config["process"]
    b.create()
    assert b.status() == "created"
    result = b.try_start()
    assert result.rc != 0 and "process" in result.err, result


# ---- kill --------------------------------------------------------------------------------------


def test_kill_of_a_stopped_container_is_an_error(anyone):
    b = anyone.bundle("true").create().start().wait("stopped")
    result = b.try_kill("TERM")
    assert result.rc != 0 and re.search("not running|no such process|already finished", result.err), result
    assert b.status() == "stopped"


@pytest.mark.parametrize("sig", ["USR1", "SIGUSR2", "34", str(int(signal.SIGHUP))])
def test_kill_sends_the_signal(anyone, sig):
    names = {"USR1": signal.SIGUSR1, "SIGUSR2": signal.SIGUSR2}
    number = int(names.get(sig, 0) or sig)
    b = anyone.bundle("pause", number).create().start()
    b.wait_output("ready")
    b.kill(sig)
    assert b.finish().split("\n")[-1] == f"got {number}"


def test_kill_without_a_signal_sends_TERM(anyone):
    b = anyone.bundle("pause", int(signal.SIGTERM)).create().start()
    b.wait_output("ready")
    anyone.ok("kill", b.id)
    assert b.finish().endswith(f"got {int(signal.SIGTERM)}")


def test_kill_of_an_unknown_signal_is_an_error(anyone):
    b = anyone.bundle("pause").create().start()
    assert b.try_kill("NOSUCH").rc != 0 and b.try_kill("65").rc != 0
    assert b.status() == "running"


def test_kill_of_a_created_container(anyone):
    b = anyone.bundle("write", "/tmp/ran", "yes").create().kill("KILL").wait("stopped")
    assert not b.inside_root("tmp/ran").exists()


def test_kill_and_every_other_end_set_stopped(anyone):
    for args in (["true"], ["exit", 3], ["kill-self", int(signal.SIGKILL)]):
        anyone.bundle(*args).create().start().wait("stopped")


# ---- delete ------------------------------------------------------------------------------------


def test_delete_of_a_running_container_is_an_error(anyone):
    b = anyone.bundle("pause").create().start()
    assert b.try_delete().rc != 0
    assert b.status() == "running"


def test_delete_of_a_created_container_is_an_error(anyone):
    b = anyone.bundle("pause").create()
    assert b.try_delete().rc != 0
    assert b.status() == "created"


def test_delete_removes_what_create_made(anyone):
    b = anyone.bundle("true").create().start().wait("stopped")
    b.delete()
    assert anyone.ok("list", "-q") == "" and anyone("state", b.id).rc != 0
    assert not [p for p in anyone.root.rglob("*") if b.id in p.name]


def test_delete_keeps_what_create_did_not_make(anyone):
    data = anyone.directory("data")
    (data / "file").write_text("kept")
    b = anyone.bundle("write", "/data/new", "kept too").add_mount(bind(data, "/data"))
    b.create().start().wait("stopped").delete()
    assert (data / "file").read_text() == "kept" and (data / "new").exists()
    assert b.inside_root("bin/probe").exists() and (b.path / "config.json").exists()


def test_delete_keeps_a_namespace_that_was_joined(anyone):
    first = anyone.bundle("pause").create()
    second = anyone.bundle("true")
    if anyone.rootless:
        second.namespaces(user=f"/proc/{first.pid}/ns/user")
        for key in ("uidMappings", "gidMappings"):
            second.linux.pop(key)
    second.namespaces(network=f"/proc/{first.pid}/ns/net").create()
    network = os.readlink(f"/proc/{first.pid}/ns/net")
    assert os.readlink(f"/proc/{second.pid}/ns/net") == network
    second.start().wait("stopped").delete()
    assert first.status() == "created" and os.readlink(f"/proc/{first.pid}/ns/net") == network


def test_delete_frees_the_id(anyone):
    b = anyone.bundle("echo", "one").create().start().wait("stopped").delete()
    assert b.create().start().finish() == "one"


# ---- runtime-linux.md --------------------------------------------------------------------------


def test_linux_only_the_standard_descriptors_are_open(anyone):
    r, w = os.pipe()
    try:
        b = anyone.bundle("fds")
        b.save()
        out = anyone("run", "--bundle", b.path, b.id, close_fds=True, pass_fds=[r, w]).out
    finally:
        os.close(r)
        os.close(w)
    assert [line.split()[0] for line in out.splitlines()] == ["0", "1", "2"], out


def test_linux_preserved_descriptors_are_open(anyone):
    b = anyone.bundle("read", "/proc/self/fd/3")
    b.save()
    path = anyone.file("passed", "from outside")
    result = anyone.execute(["sh", "-c", 'exec 3<"$0"; exec "$@"', path, *anyone.command("run", "--preserve-fds", 1, "--bundle", b.path, b.id)])
    assert result.out == "from outside", result


@pytest.mark.parametrize("link, target", [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
                                          ("stderr", "/proc/self/fd/2")])
def test_linux_dev_links(anyone, link, target):
    assert anyone.bundle("readlink", f"/dev/{link}").output() == target
