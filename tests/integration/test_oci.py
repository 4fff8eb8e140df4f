# SPDX-License-Identifier: Apache-2.0
"""kelp-oci's command line beyond what the specification says: what its callers rely on. The specification's clauses: test_oci_conformance_*.py."""
import json
import os
import signal
import subprocess

import pytest

import oci_bundle
from harness import wait_for


def pause(oci, *options, **kw):
    """A bundle that runs in the foreground until it is killed, and the Popen of its kelp-oci."""
    b = oci.bundle("pause")
    b.save()
    process = oci.spawn(oci.command("run", "--bundle", b.path, "--pid-file", b.pid_file, *options, b.id), **kw)
    wait_for(lambda: oci("state", b.id).rc == 0 and b.status() == "running", 10)
    return b, process


def test_run_gives_the_exit_code(anyone):
    assert anyone.bundle("true").run().rc == 0
    assert anyone.bundle("exit", 7).run().rc == 7


def test_run_deletes_its_container(anyone):
    b = anyone.bundle("true")
    b.output()
    anyone.fails("state", b.id, match="does not exist")


def test_run_keep_leaves_it_stopped(anyone):
    b = anyone.bundle("true")
    assert b.run("--keep").rc == 0
    assert b.status() == "stopped" and b.state()["pid"] == 0
    b.delete()


def test_options_may_follow_the_id(anyone):
    b = anyone.bundle("echo", "hello")
    b.save()
    assert anyone.ok("run", b.id, "-b", b.path) == "hello"


def test_pid_file_is_digits_alone(anyone):
    b, _ = pause(anyone)
    assert b.pid_file.read_text() == str(b.state()["pid"])
    assert [p.name for p in b.path.iterdir() if "tmp" in p.name] == []


def test_state_has_what_callers_read(anyone):
    b, _ = pause(anyone)
    result = anyone("state", b.id)
    assert result.rc == 0 and result.err == ""
    state = json.loads(result.out)
    assert state["rootfs"] == str(b.rootfs) and state["owner"] == str(anyone.user.uid) and state["created"].endswith("Z")


@pytest.mark.parametrize("sig", ["9", "KILL", "SIGKILL"])
def test_kill_ends_run_with_128_and_the_signal(anyone, sig):
    b, process = pause(anyone)
    b.kill(sig)
    assert process.wait(10) == 137


def test_signals_are_passed_on(anyone):
    _, process = pause(anyone, stdout=subprocess.PIPE)
    # The first process of a pid namespace gets no signal that it has not asked for.
    assert process.stdout.readline().strip() in ("ready", b"ready")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) in (0, 128 + signal.SIGTERM)


def test_delete_of_a_running_container_takes_force(anyone):
    b, process = pause(anyone)
    anyone.fails("delete", b.id, match="not stopped.*running")
    assert b.status() == "running"
    b.delete("--force")
    assert process.wait(10) == 137
    assert anyone("state", b.id).rc != 0
    anyone.ok("delete", "--force", b.id)


def test_a_container_outlives_the_runtime(anyone):
    b, process = pause(anyone)
    process.kill()
    process.wait()
    assert b.status() == "running"
    b.stop().delete()


def test_create_exits_and_start_begins(anyone):
    b = anyone.bundle("echo", "begun").create()
    assert b.status() == "created" and b.stdout == "" and b.pid == b.state()["pid"]
    b.start()
    assert b.finish() == "begun"


def test_delete_force_finds_what_a_killed_create_left(anyone):
    """The process waits already, and nobody wrote it down."""
    b = anyone.bundle("pause").create()
    pid = b.pid
    (anyone.root / b.id / "state.json").unlink()
    assert b.status() == "created"
    b.delete("--force")
    wait_for(lambda: pid not in anyone.processes(), 5)


def test_delete_force_of_a_bare_directory(anyone):
    """A create that was killed at its first step."""
    (anyone.root / "half").mkdir(mode=0o700)
    anyone.give(anyone.root / "half")
    assert anyone.json("state", "half")["status"] == "stopped"
    anyone.ok("delete", "half")
    anyone.fails("state", "half", match="does not exist")


def test_run_detached(anyone):
    b = anyone.bundle("pause")
    assert b.run("--detach").rc == 0
    assert b.status() == "running"


def test_terminal_without_a_socket_is_an_error(anyone):
    b = anyone.bundle("true")
    b.process["terminal"] = True
    result = b.try_create()
    assert result.rc != 0 and "--console-socket" in result.err, result
    assert anyone("state", b.id).rc != 0


def test_exec(anyone):
    b, _ = pause(anyone)
    assert b.inside("echo", "-n", "within") in ("within", "-n within")
    assert b.try_inside("exit", 7).rc == 7
    assert b.inside("env", options=["--env", "EXTRA=1"]).count("EXTRA=1") == 1
    assert b.try_inside("/bin/missing").rc != 0


def test_exec_of_a_process_file_detached(anyone):
    b, _ = pause(anyone)
    pid_file = anyone.work / "exec.pid"
    process = {**b.process, "args": [oci_bundle.PROBE, "pause"]}
    anyone.file("process.json", json.dumps(process))
    anyone.ok("exec", "--process", anyone.work / "process.json", "--detach", "--pid-file", pid_file, b.id)
    pid = int(pid_file.read_text())
    assert os.path.exists(f"/proc/{pid}")
    b.kill("KILL").delete("--force")
    wait_for(lambda: pid not in anyone.processes(), 5)


def test_exec_with_a_user(anyone):
    b, _ = pause(anyone)
    assert "uid=1000" in b.inside("id", options=["--user", "1000:1000"]).replace(" ", "=")


def test_exec_in_a_stopped_container(anyone):
    b = anyone.bundle("true").create().start().wait("stopped")
    result = b.try_inside("true")
    assert result.rc != 0 and "container not running" in result.err, result


def test_rootless_says_whether_a_cgroup_may_be_lacking(oci):
    """An ordinary user may not make one here: by default nothing is lost by that, and with --rootless=false it is an error."""
    b = oci.bundle("true")
    b.linux["cgroupsPath"] = "/kelp-not-ours"
    b.save()
    run = ("run", "--bundle", b.path, b.id)
    assert oci.execute(oci.command(*run)).rc == 0
    for value, code in (("auto", 0), ("true", 0), ("false", 1)):
        result = oci.execute(oci.command("--rootless", value, *run))
        assert result.rc == code, result
    assert "cgroup" in result.err and "kelp-not-ours" in result.err, result


def test_a_cgroup_namespace_has_its_root_at_the_container(root_oci):
    """The process is put into its cgroup before the namespace is made."""
    b = root_oci.bundle("pause").namespaces(cgroup=None)
    b.linux["cgroupsPath"] = f"/kelp-{root_oci.base.name}"
    b.create().start()
    assert "0::/" in b.inside("cat", "/proc/self/cgroup").splitlines()
    b.kill("KILL").wait("stopped").delete()


def test_kill_all(anyone):
    b = anyone.bundle("pause").create().start()
    result = b.try_kill("TERM", "--all")
    assert result.rc != 0 and "cgroup" in result.err, result
    b.kill("KILL", "--all").wait("stopped")
    b.kill("TERM", "--all")
    b.delete()


def test_kill_all_without_a_pid_namespace(anyone):
    """Nobody knows all of its processes: that is no success."""
    b = anyone.bundle("pause").namespaces(pid=False)
    b.config["mounts"] = [m for m in b.config["mounts"] if m["type"] != "proc"]
    b.create().start()
    assert b.try_kill("KILL", "--all").rc != 0
    assert b.status() == "running"


def test_list(anyone):
    assert anyone.json("list", "--format", "json") == []
    b, _ = pause(anyone)
    assert anyone.ok("list", "-q") == b.id
    assert [c["status"] for c in anyone.json("list", "-f", "json")] == ["running"]
    assert "running" in anyone.ok("list")


def test_state_directory_follows_xdg_runtime_dir(oci):
    """Callers pass nothing else."""
    b = oci.bundle("true")
    b.save()
    oci.globals = []
    assert b.run("--keep").rc == 0
    assert (oci.runtime_dir / "kelp-oci" / b.id / "state.json").exists()
    b.delete()


def test_json_log_holds_one_error_and_nothing_else(anyone):
    log = anyone.work / "log"
    b = anyone.bundle("true")
    b.save()
    anyone.globals += ["--log", str(log), "--log-format", "json"]
    b.output()
    assert not log.exists()
    result = anyone.fails("state", "nobody")
    record = json.loads(log.read_text())
    assert record["level"] == "error" and record["msg"] in result.err and record["time"].endswith("Z")
    assert "container does not exist" in record["msg"]


@pytest.mark.parametrize("args", [["/bin/missing"], ["missing"]])
def test_a_missing_program_is_named(anyone, args):
    b = anyone.bundle()
    b.process["args"] = args
    b.fails(match="no such file or directory|executable file not found in \\$PATH|No such file")


def test_preserved_descriptors(anyone):
    b = anyone.bundle("read", "/proc/self/fd/3")
    b.save()
    handed = anyone.file("handed", "handed on")
    run = anyone.command("run", "--preserve-fds", 1, "--bundle", b.path, b.id)
    result = anyone.execute(["sh", "-c", f"exec 3<{handed}; exec \"$@\"", "sh", *run])
    assert result.rc == 0 and result.out == "handed on", result


def test_a_descriptor_that_is_not_open_is_not_one_of_ours(anyone):
    b = anyone.bundle("read", "/proc/self/fd/3")
    b.fails("--preserve-fds", "1", match="descriptor 3")


def test_unknown_command_and_option(oci):
    oci.fails("lsit", match="did you mean 'list'")
    oci.fails("run", "--bundel", "x", "y", match="did you mean '--bundle'")


def test_version_and_help(oci):
    oci.globals = []
    assert "spec: 1." in oci.ok("--version")
    assert "Commands:" in oci.ok("--help") and "--keep" in oci.ok("run", "--help")
