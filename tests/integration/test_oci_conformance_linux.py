# SPDX-License-Identifier: Apache-2.0
"""The clauses of the runtime specification's config-linux.md: a test each."""
import array
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess

import pytest

from harness import wait_for
from oci_bundle import CGROUPS, PROBE, bind, mount

KINDS = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "time": "time"}
FLAGS = {"pid": "--pid", "network": "--net", "ipc": "--ipc", "uts": "--uts", "cgroup": "--cgroup", "mount": "--mount"}


def ns(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{KINDS.get(kind, kind)}")


# ---- default file systems and devices ----------------------------------------------------------


@pytest.mark.parametrize("path, kind", [("/proc", "proc"), ("/sys", "sysfs"), ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs")])
def test_default_file_systems(anyone, path, kind):
    assert anyone.bundle("mounts", path).output().split()[1] == kind


DEFAULT_DEVICES = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}


@pytest.mark.parametrize("name", DEFAULT_DEVICES)
def test_default_device(anyone, name):
    out = anyone.bundle("seq", "stat", f"/dev/{name}", "--", "access", f"/dev/{name}", "rw").output()
    assert f"type=c mode=0666" in out and f"rdev={DEFAULT_DEVICES[name]} " in out and out.endswith("ok"), out


def test_default_device_ptmx(anyone):
    b = anyone.bundle("seq", "open", "/dev/ptmx", "rw", "--", "statl", "/dev/ptmx")
    assert "rdev=5:2" in (out := b.output()) and out.startswith("ok"), out


def test_default_device_console_with_a_terminal(anyone):
    from harness import Pty
    b = anyone.bundle("seq", "stat", "/dev/console", "--", "mounts", "/dev/console")
    b.process["terminal"] = True
    b.save()
    terminal = Pty(anyone.command("run", "--bundle", b.path, b.id), anyone.env, anyone.work, anyone.user)
    try:
        assert terminal.wait() == 0, terminal.seen
        assert "type=c" in terminal.seen and "/dev/console devpts" in terminal.seen, terminal.seen
    finally:
        terminal.close()


# ---- namespaces --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_namespace_without_a_path_is_new(anyone, kind):
    b = anyone.bundle().namespaces(**{kind: None}).create()
    assert ns(b.pid, kind) != ns("self", kind)


def test_namespace_user_is_new(oci):
    assert ns(oci.bundle().create().pid, "user") != ns("self", "user")


@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts", "cgroup", "time"])
def test_namespace_that_is_not_listed_is_inherited(root_oci, kind):
    b = root_oci.bundle().namespaces(**{kind: False})
    if kind == "uts":
        del b.config["hostname"]
    if kind == "ipc":
        b.config["mounts"] = [m for m in b.config["mounts"] if m["type"] != "mqueue"]
    b.create()
    assert ns(b.pid, kind) == ns("self", kind)


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "time", "cgroup"])
def test_namespace_that_is_not_listed_is_inherited_of_a_user(oci, kind):
    b = oci.bundle().namespaces(**{kind: False})
    if kind == "uts":
        del b.config["hostname"]
    if kind == "network":  # a new sysfs needs a network of one's own
        b.config["mounts"] = [m for m in b.config["mounts"] if m["type"] != "sysfs"]
    if kind == "ipc":
        b.config["mounts"] = [m for m in b.config["mounts"] if m["type"] != "mqueue"]
    b.create()
    assert ns(b.pid, kind) == ns("self", kind)


@contextlib.contextmanager
def holder(oci, *flags):
    """The pid of a process that holds new namespaces."""
    process = oci.spawn(["unshare", *flags, "--fork", "sleep", "600"])
    try:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        child = wait_for(lambda: children.read_text().split() and children.read_text().split()[0])
        wait_for(lambda: pathlib.Path(f"/proc/{child}/comm").read_text() == "sleep\n")
        yield int(child)
        with contextlib.suppress(OSError):
            os.kill(int(child), 9)
        process.wait(timeout=20)
    finally:
        process.kill()


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "cgroup", "pid"])
def test_namespace_with_a_path_is_joined(root_oci, kind):
    with holder(root_oci, FLAGS[kind]) as pid:
        b = root_oci.bundle().namespaces(**{kind: f"/proc/{pid}/ns/{KINDS[kind]}"})
        if kind == "uts":
            del b.config["hostname"]
        b.create()
        assert ns(b.pid, kind) == ns(pid, kind) != ns("self", kind)
        b.stop().delete()


def test_namespace_user_with_a_path_is_joined(oci):
    first = oci.bundle("pause").create()
    second = oci.bundle("pause").namespaces(user=f"/proc/{first.pid}/ns/user")
    second.linux.pop("uidMappings")
    second.linux.pop("gidMappings")
    second.create()
    assert ns(second.pid, "user") == ns(first.pid, "user") != ns("self", "user")


def test_namespace_path_of_a_mount_that_keeps_it(root_oci):
    """As ip netns does: the file is a bind mount."""
    path = root_oci.file("netns")
    subprocess.run(["unshare", f"--net={path}", "true"], check=True)
    try:
        b = root_oci.bundle("pause").namespaces(network=path).create()
        assert os.stat(f"/proc/{b.pid}/ns/net").st_ino == os.stat(path).st_ino
        b.stop().delete()
        assert os.stat(path).st_size == 0 and "netns" in pathlib.Path("/proc/self/mountinfo").read_text()
    finally:
        subprocess.run(["umount", path], check=True)


def test_namespace_path_of_another_type_is_an_error(anyone):
    anyone.bundle("echo", "ran").namespaces(network="/proc/self/ns/uts").fails(match="network|ns/uts")
    anyone.bundle("echo", "ran").namespaces(ipc=anyone.file("not-a-namespace")).fails(match="ipc|not-a-namespace")


def test_namespace_path_must_be_absolute(anyone):
    anyone.bundle("echo", "ran").namespaces(network="proc/self/ns/net").fails(match="absolute")


def test_namespace_path_that_is_missing_is_an_error(anyone):
    anyone.bundle("echo", "ran").namespaces(network="/proc/self/ns/missing").fails(match="missing")


def test_namespace_twice_of_a_type_is_an_error(anyone):
    b = anyone.bundle("echo", "ran")
    b.linux["namespaces"].append({"type": "uts"})
    b.fails(match="uts")


def test_namespace_type_is_required(anyone):
    b = anyone.bundle("echo", "ran")
    b.linux["namespaces"].append({})
    b.fails(match="type")


# ---- mappings, time ----------------------------------------------------------------------------


def test_mappings_are_those_of_the_user_namespace(oci):
    b = oci.bundle("seq", "read", "/proc/self/uid_map", "--", "read", "/proc/self/gid_map")
    lines = [[int(n) for n in line.split()] for line in b.output().splitlines()]
    wanted = [[m["containerID"], m["hostID"], m["size"]] for key in ("uidMappings", "gidMappings") for m in b.linux[key]]
    assert lines == wanted


def test_mappings_of_root(root_oci):
    b = root_oci.bundle("seq", "read", "/proc/self/uid_map", "--", "read", "/proc/self/gid_map", "--", "stat", "/bin/probe").namespaces(user=None)
    b.linux["uidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 1000}, {"containerID": 5000, "hostID": 300000, "size": 10}]
    b.linux["gidMappings"] = [{"containerID": 0, "hostID": 210000, "size": 1000}]
    for d, _, files in os.walk(b.rootfs):
        for path in [d, *(os.path.join(d, f) for f in files)]:
            os.chown(path, 200000, 210000, follow_symlinks=False)
    out = b.output().splitlines()
    assert [line.split() for line in out[:3]] == [["0", "200000", "1000"], ["5000", "300000", "10"], ["0", "210000", "1000"]]
    assert "uid=0 gid=0" in out[3]
    assert os.stat(b.rootfs / "bin/probe").st_uid == 200000, "owners on disk stay what they were"


@pytest.mark.parametrize("missing", ["containerID", "hostID", "size"])
def test_mappings_need_their_three_numbers(oci, missing):
    b = oci.bundle("echo", "ran")
    del b.linux["uidMappings"][0][missing]
    b.fails(match=missing)


def test_time_offsets(anyone):
    b = anyone.bundle("seq", "clock", "boottime", "--", "clock", "monotonic").namespaces(time=None)
    b.linux["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 5}, "monotonic": {"secs": 2000000}}
    import time
    boot, monotonic = map(int, b.output().split())
    assert 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) + 1000000 - boot < 60
    assert 0 <= time.clock_gettime(time.CLOCK_MONOTONIC) + 2000000 - monotonic < 60


def test_time_offsets_of_an_unknown_clock_are_an_error(anyone):
    b = anyone.bundle("echo", "ran").namespaces(time=None)
    b.linux["timeOffsets"] = {"sundial": {"secs": 1}}
    b.fails(match="sundial")


# ---- devices -----------------------------------------------------------------------------------


def test_devices_are_there_with_their_numbers_mode_and_owner(root_oci):
    b = root_oci.bundle("seq", "stat", "/dev/one", "--", "stat", "/opt/block", "--", "stat", "/dev/pipe")
    b.linux["devices"] = [{"type": "c", "path": "/dev/one", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
                          {"type": "b", "path": "/opt/block", "major": 7, "minor": 3, "fileMode": 0o600},
                          {"type": "p", "path": "/dev/pipe", "fileMode": 0o622, "uid": 1, "gid": 1}]
    one, block, pipe = b.output().splitlines()
    assert "type=c mode=0640 uid=5 gid=6" in one and "rdev=10:229 " in one
    assert "type=b mode=0600 uid=0 gid=0" in block and "rdev=7:3 " in block
    assert "type=p mode=0622 uid=1 gid=1" in pipe


def test_devices_of_the_unbuffered_kind_are_characters(root_oci):
    b = root_oci.bundle("stat", "/dev/u")
    b.linux["devices"] = [{"type": "u", "path": "/dev/u", "major": 1, "minor": 3}]
    assert "type=c" in (out := b.output()) and "rdev=1:3 " in out


def test_devices_of_a_user_are_those_of_the_host(oci):
    if not os.path.exists("/dev/fuse"):
        pytest.skip("kernel lacks /dev/fuse")
    b = oci.bundle("seq", "stat", "/dev/fuse", "--", "open", "/dev/fuse", "rw")
    b.linux["devices"] = [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 0o666, "uid": 0, "gid": 0}]
    assert "type=c" in (out := b.output()) and "rdev=10:229 " in out and out.endswith("ok")


def test_devices_where_another_file_is_are_an_error(root_oci):
    b = root_oci.bundle("echo", "ran")
    b.write("opt/taken", "a file")
    b.linux["devices"] = [{"type": "c", "path": "/opt/taken", "major": 1, "minor": 3}]
    b.fails(match="/opt/taken")
    assert b.inside_root("opt/taken").read_text() == "a file"


def test_devices_where_the_same_device_is_are_no_error(root_oci):
    b = root_oci.bundle("stat", "/opt/null")
    b.inside_root("opt").mkdir()
    os.mknod(b.inside_root("opt/null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    b.linux["devices"] = [{"type": "c", "path": "/opt/null", "major": 1, "minor": 3}]
    assert "rdev=1:3 " in b.output()


@pytest.mark.parametrize("device, match", [({"path": "/dev/x", "major": 1, "minor": 3}, "type"), ({"type": "c", "major": 1, "minor": 3}, "path"),
                                           ({"type": "c", "path": "/dev/x", "minor": 3}, "major"), ({"type": "c", "path": "/dev/x", "major": 1}, "minor"),
                                           ({"type": "q", "path": "/dev/x", "major": 1, "minor": 3}, "type")])
def test_devices_need_type_path_and_numbers(root_oci, device, match):
    b = root_oci.bundle("echo", "ran")
    b.linux["devices"] = [device]
    b.fails(match=match)


@pytest.mark.parametrize("what, value", [("netDevices", {"no-such-device0": {"name": "eth0"}}),
                                         ("memoryPolicy", {"mode": "MPOL_NOSUCH", "nodes": "0"})])
def test_what_can_not_be_applied_is_an_error(anyone, what, value):
    b = anyone.bundle("echo", "ran")
    b.linux[what] = value
    b.fails(match=f"{what}|no-such-device0|MPOL_NOSUCH")


# ---- cgroups -----------------------------------------------------------------------------------


def cgroup2():
    """Where the unified hierarchy is mounted."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return pathlib.Path(line.split()[4])
    pytest.skip("kernel lacks a mounted cgroup2 hierarchy")


@pytest.fixture
def cgroup(root_oci):
    """A path of a cgroup for one container, as cgroupsPath has it; its directories are removed."""
    path = f"/kelp-conformance-{root_oci.base.name}"
    yield path
    for top in (cgroup2(), *CGROUPS.glob("*/")):
        for d in sorted((top / path[1:]).glob("**/"), reverse=True):
            with contextlib.suppress(OSError):
                d.rmdir()
        assert not (top / path[1:]).exists()


def unified(pid):
    return next(line[3:] for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.startswith("0::"))


def test_cgroupsPath_absolute_is_below_the_mount_point(root_oci, cgroup):
    b = root_oci.bundle("pause")
    b.linux["cgroupsPath"] = f"{cgroup}/one"
    b.create()
    assert unified(b.pid) == f"{cgroup}/one"
    assert str(b.pid) in (cgroup2() / cgroup[1:] / "one/cgroup.procs").read_text().split()
    b.stop().delete()
    assert not (cgroup2() / cgroup[1:] / "one").exists()


def test_cgroupsPath_gives_the_same_place_each_time(root_oci, cgroup):
    seen = set()
    for path in (f"{cgroup}/one", f"{cgroup}/one"):
        b = root_oci.bundle("pause")
        b.linux["cgroupsPath"] = path
        seen.add(unified(b.create().pid))
        b.stop().delete()
    assert len(seen) == 1


def test_cgroupsPath_relative_gives_the_same_place_each_time(root_oci, cgroup):
    seen = set()
    for _ in range(2):
        b = root_oci.bundle("pause")
        b.linux["cgroupsPath"] = f"{root_oci.base.name}-relative"
        place = unified(b.create().pid)
        seen.add(place)
        assert f"{root_oci.base.name}-relative" in place
        b.stop().delete()
        assert not (cgroup2() / place[1:]).exists()
    assert len(seen) == 1


@pytest.mark.parametrize("path", ["../out", "/a/../../b", "/\x01"])
def test_cgroupsPath_that_is_invalid_is_an_error(root_oci, path):
    b = root_oci.bundle("echo", "ran")
    b.linux["cgroupsPath"] = path
    b.fails(match="cgroup")


def test_cgroup_that_is_not_empty_is_an_error(root_oci, cgroup):
    first = root_oci.bundle("pause")
    first.linux["cgroupsPath"] = f"{cgroup}/one"
    first.create()
    second = root_oci.bundle("echo", "ran")
    second.linux["cgroupsPath"] = f"{cgroup}/one"
    second.fails(match="cgroup")
    assert first.status() == "created" and unified(first.pid) == f"{cgroup}/one"
    first.stop().delete()


def test_cgroup_that_is_frozen_is_an_error(root_oci, cgroup):
    directory = cgroup2() / cgroup[1:] / "one"
    directory.mkdir(parents=True)
    (directory / "cgroup.freeze").write_text("1")
    b = root_oci.bundle("echo", "ran")
    b.linux["cgroupsPath"] = f"{cgroup}/one"
    b.fails(match="frozen")
    if directory.exists():
        (directory / "cgroup.freeze").write_text("0")


def controller():
    """(file, value) of a controller that this machine's unified hierarchy has."""
    have = (cgroup2() / "cgroup.controllers").read_text().split()
    for name, file, value in (("pids", "pids.max", "77"), ("memory", "memory.high", "134217728"), ("hugetlb", "hugetlb.2MB.max", "4194304")):
        if name in have:
            return file, value
    pytest.skip("kernel lacks controllers in the unified hierarchy")


def test_unified_is_written_and_its_controller_enabled(root_oci, cgroup):
    file, value = controller()
    b = root_oci.bundle("pause")
    b.linux["cgroupsPath"] = f"{cgroup}/deep/one"
    b.linux["resources"] = {"unified": {file: value}}
    b.create()
    assert (cgroup2() / cgroup[1:] / "deep/one" / file).read_text().strip() == value
    b.stop().delete()


def test_unified_of_what_the_runtime_does_not_know_is_written(root_oci, cgroup):
    b = root_oci.bundle("pause")
    b.linux["cgroupsPath"] = f"{cgroup}/one"
    b.linux["resources"] = {"unified": {"cgroup.max.depth": "7"}}
    b.create()
    assert (cgroup2() / cgroup[1:] / "one/cgroup.max.depth").read_text().strip() == "7"
    b.stop().delete()


@pytest.mark.parametrize("file", ["nosuch.max", "memory.nosuch", "../../cgroup.procs", "a/b"])
def test_unified_of_a_missing_controller_or_file_is_an_error(root_oci, cgroup, file):
    b = root_oci.bundle("echo", "ran")
    b.linux["cgroupsPath"] = f"{cgroup}/one"
    b.linux["resources"] = {"unified": {file: "1"}}
    b.fails(match=re.escape(file))


def test_device_rules_apply_in_their_order(root_oci, cgroup):
    for rules, allowed in (([(False, None), (True, 3)], True), ([(True, 3), (False, None)], False), ([(False, None), (True, None), (False, 3)], False)):
        b = root_oci.bundle("open", "/dev/null", "rw")
        b.linux["cgroupsPath"] = f"{cgroup}/one"
        b.linux["resources"] = {"devices": [{"allow": a, "access": "rwm", **({"type": "c", "major": 1, "minor": m} if m else {})} for a, m in rules]}
        # what every container must have (the default devices) may be allowed by the runtime itself: another device is asked
        for rule in b.linux["resources"]["devices"]:
            if rule.get("minor"):
                rule.update(major=10, minor=229)
        b.linux["devices"] = [{"type": "c", "path": "/dev/asked", "major": 10, "minor": 229, "fileMode": 0o666}]
        b.args("open", "/dev/asked", "rw")
        out = b.run().out.strip()
        assert (out != "EPERM") == allowed, (rules, out)


# ---- Intel RDT, sysctl -------------------------------------------------------------------------


def test_intelRdt_without_resctrl_is_an_error(root_oci):
    if os.path.exists("/sys/fs/resctrl/schemata"):
        pytest.skip("kernel lacks nothing: it has resctrl")
    b = root_oci.bundle("echo", "ran")
    b.linux["intelRdt"] = {"closID": "one"}
    b.fails(match="resctrl|intelRdt")


def test_sysctl_of_a_namespace_of_its_own_is_set(anyone):
    b = anyone.bundle("seq", "read", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "--", "read", "/proc/sys/kernel/msgmax")
    b.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "77", "kernel.msgmax": "9000"}
    before = pathlib.Path("/proc/sys/kernel/msgmax").read_text()
    assert b.output().split() == ["77", "9000"]
    assert pathlib.Path("/proc/sys/kernel/msgmax").read_text() == before


@pytest.mark.parametrize("name", ["vm.swappiness", "kernel.panic", "no.such.name", "../x", "net.nosuch"])
def test_sysctl_that_is_not_of_a_namespace_is_an_error(anyone, name):
    b = anyone.bundle("echo", "ran")
    b.linux["sysctl"] = {name: "1"}
    b.fails(match="sysctl")


def test_sysctl_of_the_hosts_namespace_is_an_error(root_oci):
    b = root_oci.bundle("echo", "ran").namespaces(network=False)
    b.linux["sysctl"] = {"net.ipv4.ip_forward": pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()}
    b.fails(match="net.ipv4.ip_forward")


# ---- seccomp -----------------------------------------------------------------------------------

GETCPU, MKDIR, PERSONALITY = 309, 83, 135


def with_seccomp(b, *rules, **more):
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": list(rules), **more}
    return b


def rule(action, *names, **more):
    return {"names": list(names), "action": action, **more}


def test_seccomp_default_errno_is_EPERM(anyone):
    assert with_seccomp(anyone.bundle("mkdir", "/tmp/x"), rule("SCMP_ACT_ERRNO", "mkdir")).run().err.endswith("EPERM\n")


def test_seccomp_errnoRet(anyone):
    assert with_seccomp(anyone.bundle("mkdir", "/tmp/x"), rule("SCMP_ACT_ERRNO", "mkdir", errnoRet=38)).run().err.endswith("ENOSYS\n")


def test_seccomp_defaultAction_and_defaultErrnoRet(anyone):
    b = with_seccomp(anyone.bundle("syscall", GETCPU), rule("SCMP_ACT_ALLOW", "read", "write", "close", "execve", "exit_group", "arch_prctl", "fstat",
                     "newfstatat", "brk", "mmap", "munmap", "mprotect", "prlimit64", "rseq", "set_tid_address", "set_robust_list", "getrandom", "readlink",
                     "ioctl", "capset", "prctl", "openat", "readlinkat", "futex", "rt_sigaction", "rt_sigprocmask", "setresuid", "setresgid", "setgroups",
                     "chdir", "capget", "getpid", "fcntl", "lseek", "close_range", "execveat", "seccomp", "uname", "clone3", "sendto", "sendmsg",
                     "recvmsg", "poll", "umask", "fchown", "statx"), defaultAction="SCMP_ACT_ERRNO", defaultErrnoRet=99)
    b.linux["seccomp"]["syscalls"][0]["names"] += ["rt_sigreturn", "wait4", "getcwd", "dup2", "dup3", "pread64", "fstatfs", "getdents64", "madvise"]
    assert b.run().out == "EADDRNOTAVAIL\n"


@pytest.mark.parametrize("action", ["SCMP_ACT_ALLOW", "SCMP_ACT_KILL", "SCMP_ACT_LOG", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"])
def test_seccomp_errnoRet_of_an_action_without_one_is_an_error(anyone, action):
    with_seccomp(anyone.bundle("echo", "ran"), rule(action, "mkdir", errnoRet=38)).fails(match="errnoRet")
    with_seccomp(anyone.bundle("echo", "ran"), rule("SCMP_ACT_ERRNO", "mkdir"), defaultAction=action, defaultErrnoRet=38).fails(match="rrnoRet")


@pytest.mark.parametrize("action, code", [("SCMP_ACT_KILL", 128 + 31), ("SCMP_ACT_KILL_PROCESS", 128 + 31), ("SCMP_ACT_KILL_THREAD", 128 + 31),
                                          ("SCMP_ACT_TRAP", 128 + 31), ("SCMP_ACT_LOG", 0), ("SCMP_ACT_ALLOW", 0)])
def test_seccomp_actions(anyone, action, code):
    assert with_seccomp(anyone.bundle("mkdir", "/tmp/x"), rule(action, "mkdir"), defaultAction="SCMP_ACT_ALLOW" if action != "SCMP_ACT_ALLOW" else
                        "SCMP_ACT_LOG").run().rc == code


def test_seccomp_action_trace_without_a_tracer_fails_the_call(anyone):
    assert with_seccomp(anyone.bundle("mkdir", "/tmp/x"), rule("SCMP_ACT_TRACE", "mkdir", errnoRet=1)).run().err.endswith("ENOSYS\n")


@pytest.mark.parametrize("op, value, two, hit, miss", [("SCMP_CMP_EQ", 8, 0, 8, 9), ("SCMP_CMP_NE", 8, 0, 9, 8), ("SCMP_CMP_LT", 8, 0, 7, 8),
                         ("SCMP_CMP_LE", 8, 0, 8, 9), ("SCMP_CMP_GE", 8, 0, 8, 7), ("SCMP_CMP_GT", 8, 0, 9, 8),
                         ("SCMP_CMP_MASKED_EQ", 0xF0, 0x30, 0x3A, 0x4A)])
def test_seccomp_operators(anyone, op, value, two, hit, miss):
    arg = {"index": 1, "value": value, "valueTwo": two, "op": op}
    b = with_seccomp(anyone.bundle("seq", "syscall", MKDIR, 0, hit, "--", "syscall", MKDIR, 0, miss),
                     rule("SCMP_ACT_ERRNO", "mkdir", errnoRet=99, args=[arg]))
    assert b.run().out.split() == ["EADDRNOTAVAIL", "EFAULT"]


def test_seccomp_names_must_not_be_empty(anyone):
    with_seccomp(anyone.bundle("echo", "ran"), rule("SCMP_ACT_ERRNO")).fails(match="names")


@pytest.mark.parametrize("change", [{"defaultAction": "SCMP_ACT_NOSUCH"}, {"architectures": ["SCMP_ARCH_NOSUCH"]}, {"flags": ["SECCOMP_FILTER_FLAG_NOSUCH"]},
                                    {"syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOSUCH"}]}, {"syscalls": [{"names": ["mkdir"]}]},
                                    {"syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_NOSUCH"}]}]},
                                    {"syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}])
def test_seccomp_invalid_values_are_an_error(anyone, change):
    with_seccomp(anyone.bundle("echo", "ran"), **change).fails(match="seccomp")


def test_seccomp_defaultAction_is_required(anyone):
    b = with_seccomp(anyone.bundle("echo", "ran"), rule("SCMP_ACT_ERRNO", "mkdir"))
    del b.linux["seccomp"]["defaultAction"]
    b.fails(match="defaultAction")


@pytest.mark.parametrize("flag", ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
def test_seccomp_flags(anyone, flag):
    b = with_seccomp(anyone.bundle("mkdir", "/tmp/x"), rule("SCMP_ACT_ERRNO", "mkdir"), flags=[flag])
    assert b.run().err.endswith("EPERM\n")


class Agent:
    """Listens where the runtime sends the notify descriptor."""

    def __init__(self, oci):
        self.path = oci.work / "agent"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(self.path))
        os.chmod(self.path, 0o777)
        self.socket.listen(4)
        self.socket.settimeout(30)
        oci.closing.append(self)

    def receive(self):
        """(state, descriptors, descriptors after the first message) of one connection, read to its end."""
        connection, _ = self.socket.accept()
        connection.settimeout(30)
        text, first, later = b"", [], []
        while True:
            data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(64))
            fds = array.array("i")
            for level, kind, body in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(body[:len(body) - len(body) % fds.itemsize])
            (first if not text else later).extend(fds)
            if not data:
                connection.close()
                return json.loads(text), first, later
            text += data

    def close(self):
        self.socket.close()


def test_seccomp_notify_sends_one_state_to_the_listener(anyone):
    agent = Agent(anyone)
    b = with_seccomp(anyone.bundle("pause"), rule("SCMP_ACT_NOTIFY", "mkdir"), listenerPath=str(agent.path), listenerMetadata="a=b")
    b.create()
    state, fds, later = agent.receive()
    try:
        assert len(fds) == 1 and not later
        assert "seccomp notify" in os.readlink(f"/proc/self/fd/{fds[0]}")
        assert state["fds"] == ["seccompFd"] and state["metadata"] == "a=b" and state["pid"] == b.pid and state["ociVersion"]
        assert state["state"]["id"] == b.id and state["state"]["pid"] == b.pid and state["state"]["bundle"] == str(b.path)
        assert state["state"]["status"] == "creating"
    finally:
        for fd in fds:
            os.close(fd)


def test_seccomp_notify_without_a_listener_is_an_error(anyone):
    with_seccomp(anyone.bundle("echo", "ran"), rule("SCMP_ACT_NOTIFY", "mkdir"), listenerPath=str(anyone.work / "nobody")).fails(match="nobody")
    with_seccomp(anyone.bundle("echo", "ran"), rule("SCMP_ACT_NOTIFY", "mkdir")).fails(match="listenerPath")


def test_seccomp_listener_is_ignored_without_notify(anyone):
    b = with_seccomp(anyone.bundle("echo", "ran"), rule("SCMP_ACT_ERRNO", "mkdir"), listenerPath=str(anyone.work / "nobody"))
    assert b.output() == "ran"


def test_seccomp_metadata_without_a_listener_is_an_error(anyone):
    with_seccomp(anyone.bundle("echo", "ran"), rule("SCMP_ACT_ERRNO", "mkdir"), listenerMetadata="x").fails(match="listenerMetadata")


# ---- propagation, masked and read-only paths, labels, personality ------------------------------


@pytest.mark.parametrize("value, shown", [("shared", "shared:"), ("private", "private"), ("unbindable", "unbindable")])
def test_rootfsPropagation(anyone, value, shown):
    b = anyone.bundle("propagation", "/")
    b.linux["rootfsPropagation"] = value
    assert b.output().startswith(shown)


def test_rootfsPropagation_slave(anyone):
    b = anyone.bundle("propagation", "/")
    b.linux["rootfsPropagation"] = "slave"
    # where the host's mount is in no peer group there is no master to have: then it is private
    assert "shared" not in b.output()


def test_rootfsPropagation_unknown_is_an_error(anyone):
    b = anyone.bundle("echo", "ran")
    b.linux["rootfsPropagation"] = "sideways"
    b.fails(match="rootfsPropagation")


def test_maskedPaths_can_not_be_read(anyone):
    b = anyone.bundle("seq", "read", "/secret", "--", "ls", "/folder", "--", "echo", "end", "--", "write", "/folder/x", "y")
    b.write("secret", "text")
    b.write("folder/inside", "text")
    b.linux["maskedPaths"] = ["/secret", "/folder", "/not/there", "/proc/keys"]
    result = b.run()
    assert result.out == "end\n" and "EROFS" in result.err, result


def test_readonlyPaths_can_not_be_written(anyone):
    b = anyone.bundle("seq", "read", "/folder/inside", "--", "write", "/folder/inside", "x")
    b.write("folder/inside", "text")
    b.linux["readonlyPaths"] = ["/folder", "/not/there", "/proc/sys"]
    result = b.run()
    assert result.out == "text" and "EROFS" in result.err, result


@pytest.mark.parametrize("key", ["maskedPaths", "readonlyPaths"])
def test_masked_and_readonly_paths_must_be_absolute(anyone, key):
    b = anyone.bundle("echo", "ran")
    b.linux[key] = ["proc/keys"]
    b.fails(match=key)


def test_mountLabel_without_selinux_is_an_error(anyone):
    if os.path.exists("/sys/fs/selinux/enforce"):
        pytest.skip("kernel lacks nothing: it has SELinux")
    b = anyone.bundle("echo", "ran")
    b.linux["mountLabel"] = "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811"
    b.fails(match="mountLabel")


@pytest.mark.parametrize("domain, machine", [("LINUX", os.uname().machine), ("LINUX32", "i686")])
def test_personality(anyone, domain, machine):
    if os.uname().machine != "x86_64":
        pytest.skip("kernel lacks the i686 personality")
    b = anyone.bundle("uname")
    b.linux["personality"] = {"domain": domain}
    assert f"machine={machine} " in b.output()


@pytest.mark.parametrize("value", [{}, {"domain": "BSD"}, {"domain": "LINUX", "flags": ["NO_SUCH_FLAG"]}])
def test_personality_of_invalid_values_is_an_error(anyone, value):
    b = anyone.bundle("echo", "ran")
    b.linux["personality"] = value
    b.fails(match="personality")
