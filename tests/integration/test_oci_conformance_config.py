# SPDX-License-Identifier: Apache-2.0
"""The clauses of the runtime specification's config.md, without hooks (test_oci_conformance_hooks.py): a test each."""
import json
import os
import pathlib
import re
import subprocess

import pytest

from harness import Pty
from oci_bundle import PROBE, bind, mount

# ---- specification version ---------------------------------------------------------------------


def test_version_is_required(anyone):
    b = anyone.bundle("echo", "ran")
    del b.config["ociVersion"]
    b.fails(match="ociVersion")


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "", "one", "1.0.0.0", 1])
def test_version_must_be_semantic(anyone, version):
    b = anyone.bundle("echo", "ran")
    b.config["ociVersion"] = version
    b.fails(match="ociVersion")


def test_version_of_another_major_is_an_error(anyone):
    b = anyone.bundle("echo", "ran")
    b.config["ociVersion"] = "2.0.0"
    b.fails(match="2.0.0")


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0", "1.0.0+build.7"])
def test_version_of_this_major_is_accepted(anyone, version):
    b = anyone.bundle("echo", "ran")
    b.config["ociVersion"] = version
    assert b.output() == "ran"


# ---- root --------------------------------------------------------------------------------------


def test_root_is_required(anyone):
    b = anyone.bundle("echo", "ran")
    del b.config["root"]
    b.fails(match="root")


def test_root_path_is_required(anyone):
    b = anyone.bundle("echo", "ran")
    b.config["root"] = {"readonly": True}
    b.fails(match="path")


def test_root_path_may_be_relative_or_absolute(anyone):
    assert anyone.bundle("echo", "ran").output() == "ran"
    b = anyone.bundle("echo", "ran")
    b.config["root"]["path"] = str(b.rootfs)
    assert b.output() == "ran"


@pytest.mark.parametrize("path", ["missing", "config.json"])
def test_root_path_must_be_a_directory(anyone, path):
    b = anyone.bundle("echo", "ran")
    b.config["root"]["path"] = path
    b.fails(match=path)


def test_root_readonly(anyone):
    b = anyone.bundle("write", "/file", "x")
    b.config["root"]["readonly"] = True
    result = b.run()
    assert result.rc == 1 and "EROFS" in result.err, result
    assert anyone.bundle("write", "/file", "x").run().rc == 0


# ---- mounts ------------------------------------------------------------------------------------


def test_mounts_are_made_in_the_listed_order(anyone):
    for n in ("a", "b"):
        anyone.directory(n)
        anyone.file(f"{n}/name", n + "\n")
    b = anyone.bundle("seq", "read", "/m/name", "--", "ls", "/t")
    b.add_mount(bind(anyone.work / "a", "/m"), bind(anyone.work / "b", "/m"), bind(anyone.work / "a", "/t/hidden"), mount("/t", "tmpfs", "tmpfs"),
                bind(anyone.work / "b", "/t/seen"))
    assert b.output().split() == ["b", "seen"]


def test_mount_destination_is_required(anyone):
    b = anyone.bundle("echo", "ran")
    b.config["mounts"].append({"type": "tmpfs", "source": "tmpfs"})
    b.fails(match="destination")


def test_mount_destination_that_is_relative_is_below_the_root(anyone):
    b = anyone.bundle("statfs", "/some/where").add_mount(mount("some/where", "tmpfs", "tmpfs", "ro"))
    b.process["cwd"] = "/tmp"
    assert "type=1021994" in b.output() and not (b.rootfs / "tmp/some").exists()


def test_mount_source_of_a_bind_is_relative_to_the_bundle(anyone):
    b = anyone.bundle("read", "/m/name")
    anyone.directory(f"{b.id}/data")
    anyone.file(f"{b.id}/data/name", "relative")
    assert b.add_mount(bind("data", "/m")).output(cwd="/") == "relative"


@pytest.mark.parametrize("option", ["bind", "rbind"])
@pytest.mark.parametrize("kind", ["none", "bind", "dummy", None])
def test_mount_is_a_bind_mount_by_its_options(anyone, option, kind):
    source = anyone.directory("data")
    (source / "name").write_text("bound")
    entry = {"destination": "/m", "source": str(source), "options": [option]}
    if kind:
        entry["type"] = kind
    assert anyone.bundle("read", "/m/name").add_mount(entry).output() == "bound"


def test_mount_of_a_file(anyone):
    b = anyone.bundle("read", "/etc/new/name").add_mount(bind(anyone.file("one", "a file"), "/etc/new/name", "ro"))
    assert b.output() == "a file"


# Options whose effect the mount's own flags show: (options before it, option, what must be among the flags, what must not be)
FLAGS = [([], "defaults", "rw", "ro"), (["ro"], "rw", "rw", "ro"), ([], "ro", "ro", "rw"), (["nosuid"], "suid", "", "nosuid"),
         ([], "nosuid", "nosuid", ""), (["nodev"], "dev", "", "nodev"), ([], "nodev", "nodev", ""), (["noexec"], "exec", "", "noexec"),
         ([], "noexec", "noexec", ""), ([], "noatime", "noatime", "relatime"), (["noatime"], "atime", "relatime", "noatime"),
         ([], "relatime", "relatime", "noatime"), (["relatime"], "norelatime", "", "noatime"), ([], "nodiratime", "nodiratime", ""),
         (["nodiratime"], "diratime", "", "nodiratime"), ([], "strictatime", "", "relatime"), (["strictatime"], "nostrictatime", "relatime", "")]


@pytest.mark.parametrize("before, option, there, absent", FLAGS, ids=[f[1] for f in FLAGS])
def test_mount_option_of_a_mount(anyone, before, option, there, absent):
    flags = anyone.bundle("mounts", "/m").add_mount(mount("/m", "tmpfs", "tmpfs", *before, option)).output().split()[2].split(",")
    assert not there or there in flags, flags
    assert not absent or absent not in flags, flags


# How times of access are kept is locked in a user namespace's copy of a mount: no option can change it there.
ATIME = ("noatime", "nodiratime", "strictatime", "atime", "diratime", "norelatime", "nostrictatime")


@pytest.mark.parametrize("before, option, there, absent", FLAGS, ids=[f[1] for f in FLAGS])
def test_mount_option_of_a_bind_mount(root_oci, before, option, there, absent):
    flags = root_oci.bundle("mounts", "/m").add_mount(bind(root_oci.directory("data"), "/m", *before, option)).output().split()[2].split(",")
    assert not there or there in flags, flags
    assert not absent or absent not in flags, flags


@pytest.mark.parametrize("before, option, there, absent", [f for f in FLAGS if f[1] not in ATIME], ids=[f[1] for f in FLAGS if f[1] not in ATIME])
def test_mount_option_of_a_bind_mount_of_a_user(oci, before, option, there, absent):
    flags = oci.bundle("mounts", "/m").add_mount(bind(oci.directory("data"), "/m", *before, option)).output().split()[2].split(",")
    assert not there or there in flags, flags
    assert not absent or absent not in flags, flags


@pytest.mark.parametrize("option, there", [("sync", True), ("async", False), ("dirsync", True), ("silent", False), ("loud", False),
                                           ("iversion", False), ("noiversion", False), ("lazytime", True), ("nolazytime", False)])
def test_mount_option_of_a_file_system(root_oci, option, there):
    """Flags of the super block: mountinfo's last field has those that the kernel shows."""
    line = root_oci.bundle("mounts", "/m").add_mount(mount("/m", "tmpfs", "tmpfs", option)).output().split()
    assert (option in line[-1].split(",")) == there, line


@pytest.mark.parametrize("option", ["sync", "async", "dirsync", "silent", "loud", "iversion", "noiversion", "lazytime", "nolazytime"])
def test_mount_option_of_a_file_system_is_accepted_of_a_user(oci, option):
    assert oci.bundle("echo", "ran").add_mount(mount("/m", "tmpfs", "tmpfs", option)).output() == "ran"


def test_mount_option_remount(anyone):
    b = anyone.bundle("seq", "mounts", "/m", "--", "write", "/m/x", "y")
    b.add_mount(mount("/m", "tmpfs", "tmpfs", "nosuid", "nodev"), mount("/m", "tmpfs", "tmpfs", "remount", "nosuid", "nodev", "ro"))
    result = b.run()
    assert result.rc == 1 and "EROFS" in result.err, result
    flags = result.out.split()[2].split(",")
    assert "ro" in flags and "nosuid" in flags, result


@pytest.mark.parametrize("option, there", [("rbind", True), ("bind", False)])
def test_mount_option_rbind_takes_the_mounts_below(root_oci, option, there):
    """/dev of this machine has a mount below it: that of its terminals."""
    b = root_oci.bundle("ls", "/all/pts").add_mount(mount("/all", "none", "/dev", option, "ro"))
    assert ("ptmx" in b.output().split()) == there


def test_mount_option_rbind_of_a_user(oci):
    assert "ptmx" in oci.bundle("ls", "/all/pts").add_mount(mount("/all", "none", "/dev", "rbind", "ro")).output().split()


PROPAGATION = [("private", "private"), ("rprivate", "private"), ("shared", "shared:"), ("rshared", "shared:"), ("unbindable", "unbindable"),
               ("runbindable", "unbindable")]


@pytest.mark.parametrize("option, shown", PROPAGATION, ids=[p[0] for p in PROPAGATION])
def test_mount_option_of_propagation(anyone, option, shown):
    out = anyone.bundle("propagation", "/m").add_mount(bind(anyone.directory("data"), "/m", option)).output()
    assert out.startswith(shown) and "master" not in out, out


@pytest.mark.parametrize("option", ["slave", "rslave"])
def test_mount_option_slave(root_oci, option):
    """A mount on the host, of a peer group, shows in the container afterwards."""
    source = root_oci.directory("data")
    (source / "sub").mkdir()
    subprocess.run(["mount", "--bind", source, source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        b = root_oci.bundle("pause").add_mount(bind(source, "/m", "rbind", option)).create().start()
        assert b.inside("propagation", "/m").startswith("master:")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source / "sub"], check=True)
        assert "tmpfs" in b.inside("mounts", "/m/sub")
    finally:
        subprocess.run(["umount", "-R", source], check=True)


def test_mount_options_of_the_file_system_are_passed(anyone):
    out = anyone.bundle("seq", "statfs", "/m", "--", "stat", "/m").add_mount(mount("/m", "tmpfs", "tmpfs", "size=1m", "mode=0711")).output()
    assert "bytes=1048576" in out and "mode=0711" in out


def test_mount_option_unknown_to_the_file_system_is_an_error(anyone):
    anyone.bundle("echo", "ran").add_mount(mount("/m", "tmpfs", "tmpfs", "nosuchoption=1")).fails(match="nosuchoption|/m")


def test_mount_of_an_unknown_type_is_an_error(anyone):
    anyone.bundle("echo", "ran").add_mount(mount("/m", "nosuchfs", "none")).fails(match="nosuchfs")


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_mount_idmap_without_a_mapping_or_user_namespace_is_an_error(root_oci, option):
    root_oci.bundle("echo", "ran").add_mount(bind(root_oci.directory("data"), "/m", option)).fails(match="idmap|[mM]apping")


@pytest.mark.parametrize("given", ["uidMappings", "gidMappings"])
def test_mount_with_mappings_of_one_kind_is_an_error(root_oci, given):
    entry = bind(root_oci.directory("data"), "/m", "idmap")
    entry[given] = [{"containerID": 0, "hostID": 1000, "size": 10}]
    root_oci.bundle("echo", "ran").add_mount(entry).fails(match="Mappings")


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_mount_idmap_applies_its_mappings(root_oci, option):
    source = root_oci.directory("data")
    (source / "of1000").write_text("")
    os.chown(source / "of1000", 1005, 1006)
    entry = bind(source, "/m", "rbind" if option == "ridmap" else "bind", option)
    # of a mount's mapping containerID is what the file system has, hostID what is seen
    for key in ("uidMappings", "gidMappings"):
        entry[key] = [{"containerID": 1000, "hostID": 3000, "size": 10}]
    assert "uid=3005 gid=3006" in root_oci.bundle("stat", "/m/of1000").add_mount(entry).output()


# ---- process -----------------------------------------------------------------------------------


def test_process_cwd_is_required(anyone):
    b = anyone.bundle("echo", "ran")
    del b.process["cwd"]
    b.fails(match="cwd")


@pytest.mark.parametrize("cwd", ["tmp", "./", ""])
def test_process_cwd_must_be_absolute(anyone, cwd):
    b = anyone.bundle("echo", "ran")
    b.process["cwd"] = cwd
    b.fails(match="cwd")


def test_process_cwd_is_the_working_directory(anyone):
    b = anyone.bundle("cwd")
    b.process["cwd"] = "/home/alice"
    assert b.output() == "/home/alice"


@pytest.mark.parametrize("args", [None, []])
def test_process_args_need_an_entry(anyone, args):
    b = anyone.bundle()
    b.process["args"] = args
    if args is None:
        del b.process["args"]
    b.fails(match="args")


def test_process_args_are_the_arguments(anyone):
    b = anyone.bundle()
    b.process["args"] = [PROBE, "args", "a b", "", "'$x'", "ünï"]
    assert b.output().split("\n") == ["args", "a b", "", "'$x'", "ünï"]


def test_process_args_are_looked_up_in_the_path_of_env(anyone):
    b = anyone.bundle()
    b.inside_root("opt").mkdir()
    b.inside_root("bin/probe").rename(b.inside_root("opt/only"))
    b.process["args"], b.process["env"] = ["only", "echo", "found"], ["PATH=/none:/opt"]
    assert b.output() == "found"
    b.process["env"] = ["PATH=/bin"]
    b.fails(match="not found|[Nn]o such file")


def test_process_env_is_the_environment(anyone):
    b = anyone.bundle("env")
    b.process["env"] += ["A=1", "B=x=y", "C="]
    out = b.output().split("\n")
    assert {"A=1", "B=x=y", "C=", "PATH=/bin"} <= set(out)
    assert not [e for e in out if e.split("=")[0] in ("XDG_RUNTIME_DIR", "KELP_LIBEXEC", "USER")]


def test_process_terminal_is_the_standard_streams(anyone):
    b = anyone.bundle("seq", "tty", "--", "winsize")
    b.process["terminal"] = True
    b.process["consoleSize"] = {"height": 33, "width": 77}
    b.save()
    terminal = Pty(anyone.command("run", "--bundle", b.path, b.id), anyone.env, anyone.work, anyone.user)
    try:
        assert terminal.wait() == 0, terminal.seen
        assert "/dev/pts/0" in terminal.seen or "/dev/console" in terminal.seen, terminal.seen
    finally:
        terminal.close()


def test_process_consoleSize_is_ignored_without_a_terminal(anyone):
    b = anyone.bundle("echo", "ran")
    b.process["consoleSize"] = {"height": 25, "width": 80}
    assert b.output() == "ran"
    b = anyone.bundle("echo", "ran")
    b.process.update(terminal=False, consoleSize={"height": 0, "width": 0})
    assert b.output() == "ran"


def test_process_is_not_required_at_create(anyone):
    b = anyone.bundle()
    del b.config["process"]
    assert b.create().status() == "created"


# ---- rlimits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name, soft, hard", [("RLIMIT_NOFILE", 100, 200), ("RLIMIT_CORE", 0, 0), ("RLIMIT_STACK", 4194304, 8388608),
                                              ("RLIMIT_FSIZE", 1000000, 2000000)])
def test_rlimits_match(anyone, name, soft, hard):
    b = anyone.bundle("limit", name[7:].lower())
    b.process["rlimits"] = [{"type": name, "soft": soft, "hard": hard}]
    assert b.output() == f"{soft} {hard}"


def test_rlimits_of_every_name(root_oci):
    names = ["AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS", "RTPRIO", "RTTIME",
             "SIGPENDING", "STACK"]
    words = []
    for n in names:
        words += ["limit", n.lower(), "--"]
    b = root_oci.bundle("seq", *words)
    for each in b.process["capabilities"].values():
        each.append("CAP_SYS_RESOURCE")
    high = 2 ** 40
    b.process["rlimits"] = [{"type": f"RLIMIT_{n}", "soft": 4096, "hard": 8192} if n == "NOFILE" else
                            {"type": f"RLIMIT_{n}", "soft": high, "hard": high} for n in names]
    assert b.output().split("\n") == ["4096 8192" if n == "NOFILE" else f"{high} {high}" for n in names]


@pytest.mark.parametrize("name", ["RLIMIT_NOSUCH", "NOFILE", ""])
def test_rlimits_of_an_unknown_type_are_an_error(anyone, name):
    b = anyone.bundle("echo", "ran")
    b.process["rlimits"] = [{"type": name, "soft": 1, "hard": 1}]
    b.fails(match="rlimit")


def test_rlimits_twice_of_a_type_are_an_error(anyone):
    b = anyone.bundle("echo", "ran")
    b.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": n, "hard": n} for n in (100, 200)]
    b.fails(match="RLIMIT_NOFILE")


# ---- the Linux process -------------------------------------------------------------------------

CHOWN, KILL, NET_BIND, SYS_ADMIN = 1 << 0, 1 << 5, 1 << 10, 1 << 21


def test_capabilities_are_the_five_sets(anyone):
    b = anyone.bundle("caps")
    b.process["capabilities"] = {"bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
                                 "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"], "inheritable": ["CAP_KILL"],
                                 "ambient": ["CAP_KILL"]}
    b.process["user"] = {"uid": 1000, "gid": 1000}
    sets = dict(line.split("=") for line in b.output().splitlines())
    # execve of an ordinary user's program leaves of permitted and effective what is ambient
    assert {k: int(v, 16) for k, v in sets.items()} == {"CapInh": KILL, "CapPrm": KILL, "CapEff": KILL, "CapBnd": CHOWN | KILL | NET_BIND,
                                                         "CapAmb": KILL}


def test_capabilities_of_root(anyone):
    b = anyone.bundle("caps")
    b.process["capabilities"] = {s: ["CAP_CHOWN", "CAP_KILL"] for s in ("bounding", "permitted", "effective")}
    sets = dict(line.split("=") for line in b.output().splitlines())
    assert {k: int(v, 16) for k, v in sets.items()} == {"CapInh": 0, "CapPrm": CHOWN | KILL, "CapEff": CHOWN | KILL, "CapBnd": CHOWN | KILL,
                                                         "CapAmb": 0}


def test_capabilities_without_any(anyone):
    b = anyone.bundle("caps")
    del b.process["capabilities"]
    assert {line.split("=")[1] for line in b.output().splitlines()} == {"0" * 16}


def test_capabilities_unknown_are_a_warning(anyone):
    b = anyone.bundle("echo", "ran")
    b.process["capabilities"]["bounding"].append("CAP_NO_SUCH")
    result = b.run()
    assert result.rc == 0 and result.out == "ran\n" and "CAP_NO_SUCH" in result.err, result


def test_noNewPrivileges(anyone):
    for value, shown in ((True, "1"), (False, "0")):
        b = anyone.bundle("status", "NoNewPrivs")
        b.process["noNewPrivileges"] = value
        assert b.output() == f"NoNewPrivs={shown}"


def test_oomScoreAdj_is_set(anyone):
    b = anyone.bundle("read", "/proc/self/oom_score_adj")
    b.process["oomScoreAdj"] = 555
    assert b.output() == "555"


def test_oomScoreAdj_is_left_alone(anyone):
    own = pathlib.Path("/proc/self/oom_score_adj").read_text().strip()
    assert anyone.bundle("read", "/proc/self/oom_score_adj").output() == own
    b = anyone.bundle("read", "/proc/self/oom_score_adj")
    b.save()
    out = anyone.execute(["sh", "-c", 'echo 300 > /proc/self/oom_score_adj; exec "$@"', "sh", *anyone.command("run", "--bundle", b.path, b.id)]).out
    assert out.strip() == "300"


@pytest.mark.parametrize("policy, number", [("SCHED_OTHER", 0), ("SCHED_BATCH", 3), ("SCHED_IDLE", 5)])
def test_scheduler_policy(anyone, policy, number):
    b = anyone.bundle("sched")
    b.process["scheduler"] = {"policy": policy, "nice": 7} if number != 5 else {"policy": policy}
    out = b.output()
    assert f"policy={number} " in out and (number == 5 or "nice=7 " in out), out


def test_scheduler_of_real_time(root_oci):
    b = root_oci.bundle("sched")
    b.process["scheduler"] = {"policy": "SCHED_FIFO", "priority": 10, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}
    out = b.output()
    assert "policy=1 flags=1 " in out and "priority=10 " in out, out


def test_scheduler_of_deadlines(root_oci):
    b = root_oci.bundle("sched")
    b.process["scheduler"] = {"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 20000000, "period": 30000000}
    assert "policy=6 " in (out := b.output()) and "runtime=1000000 deadline=20000000 period=30000000" in out, out


def test_scheduler_without_values_has_zeros(anyone):
    b = anyone.bundle("sched")
    b.process["scheduler"] = {"policy": "SCHED_BATCH"}
    assert "policy=3 flags=0 nice=0 priority=0" in b.output()


@pytest.mark.parametrize("scheduler", [{}, {"policy": "SCHED_NOSUCH"}, {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NOSUCH"]}])
def test_scheduler_of_invalid_values_is_an_error(anyone, scheduler):
    b = anyone.bundle("echo", "ran")
    b.process["scheduler"] = scheduler
    b.fails(match="scheduler")


@pytest.mark.parametrize("name, number", [("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)])
def test_ioPriority(anyone, name, number):
    b = anyone.bundle("ioprio")
    b.process["ioPriority"] = {"class": name, "priority": 5}
    assert b.output() == f"class={number} level=5"


@pytest.mark.parametrize("value", [{"priority": 4}, {"class": "IOPRIO_CLASS_NOSUCH", "priority": 4}, {"class": "IOPRIO_CLASS_BE", "priority": 8}])
def test_ioPriority_of_invalid_values_is_an_error(anyone, value):
    b = anyone.bundle("echo", "ran")
    b.process["ioPriority"] = value
    b.fails(match="ioPriority")


def exec_with(b, **changes):
    process = {**b.process, **changes}
    path = b.path / "process.json"
    path.write_text(json.dumps(process))
    os.chmod(path, 0o644)
    return b.oci("exec", "--process", path, b.id)


def test_execCPUAffinity_is_that_of_exec(anyone):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("kernel lacks a second processor")
    b = anyone.bundle("seq", "status", "Cpus_allowed_list", "--", "pause")
    b.process["execCPUAffinity"] = {"initial": str(cpus[0]), "final": str(cpus[1])}
    b.create().start()
    b.wait_output("ready")
    assert f"Cpus_allowed_list={cpus[1]}\n" not in b.stdout, "it is not the first process's"
    result = exec_with(b, args=[PROBE, "status", "Cpus_allowed_list"])
    assert result.out == f"Cpus_allowed_list={cpus[1]}\n", result


@pytest.mark.parametrize("value", ["x", "3-1", "0,,1"])
def test_execCPUAffinity_of_invalid_values_is_an_error(anyone, value):
    b = anyone.bundle("pause").create().start()
    result = exec_with(b, args=[PROBE, "true"], execCPUAffinity={"initial": value})
    assert result.rc != 0 and "ffinity" in result.err, result


def test_apparmorProfile_without_apparmor_is_an_error(anyone):
    if os.path.exists("/sys/kernel/security/apparmor/profiles"):
        pytest.skip("kernel lacks nothing: it has AppArmor")
    b = anyone.bundle("echo", "ran")
    b.process["apparmorProfile"] = "no-such-profile"
    b.fails(match="[aA]pp[aA]rmor")


def test_selinuxLabel_without_selinux_is_an_error(anyone):
    if os.path.exists("/sys/fs/selinux/enforce"):
        pytest.skip("kernel lacks nothing: it has SELinux")
    b = anyone.bundle("echo", "ran")
    b.process["selinuxLabel"] = "system_u:system_r:svirt_lxc_net_t:s0:c124,c675"
    b.fails(match="[sS][eE][lL]inux")


# ---- user --------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["uid", "gid"])
def test_user_ids_are_required(anyone, missing):
    b = anyone.bundle("echo", "ran")
    b.process["user"] = {"uid": 0, "gid": 0}
    del b.process["user"][missing]
    b.fails(match=missing)


def test_user_ids_are_those_of_the_container(anyone):
    b = anyone.bundle("id")
    b.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [50, 5, 50]}
    assert re.fullmatch(r"uid=1000 euid=1000 gid=1001 egid=1001 groups=5,50(,50)?(,1001)?", b.output())


def test_user_without_additional_groups_has_none(anyone):
    b = anyone.bundle("id")
    assert re.fullmatch(r"uid=0 euid=0 gid=0 egid=0 groups=0?", b.output())


def test_user_umask(anyone):
    b = anyone.bundle("umask")
    b.process["user"]["umask"] = 0o27
    assert b.output() == "0027"


def test_user_umask_is_left_alone(anyone):
    b = anyone.bundle("umask")
    b.save()
    assert anyone.execute(["sh", "-c", 'umask 0013; exec "$@"', "sh", *anyone.command("run", "--bundle", b.path, b.id)]).out.strip() == "0013"


def test_user_id_that_is_not_mapped_is_an_error(oci):
    b = oci.bundle("echo", "ran")
    b.process["user"] = {"uid": 4000000, "gid": 0}
    b.fails(match="4000000")


# ---- host name, annotations, extensibility -----------------------------------------------------


def test_hostname(anyone):
    b = anyone.bundle("hostname")
    b.config["hostname"] = "conformance"
    assert b.output() == "conformance"


def test_domainname(anyone):
    b = anyone.bundle("uname")
    b.config["domainname"] = "example.test"
    assert "domainname=example.test" in b.output()


def test_annotations_unknown_are_no_error(anyone):
    b = anyone.bundle("echo", "ran")
    b.config["annotations"] = {"com.example.unheard": "of", "no-dots": ""}
    assert b.output() == "ran"


@pytest.mark.parametrize("annotations", [{"": "x"}, {"key": 1}, {"key": {}}, ["a"]])
def test_annotations_must_map_strings(anyone, annotations):
    b = anyone.bundle("echo", "ran")
    b.config["annotations"] = annotations
    b.fails(match="annotations")


def test_unknown_properties_are_ignored(anyone):
    b = anyone.bundle("echo", "ran")
    for each in (b.config, b.process, b.linux, b.config["root"], b.process["user"], b.config["mounts"][0], b.linux["namespaces"][0]):
        each["x-unheard-of"] = {"a": [1, None]}
    assert b.output() == "ran"


INVALID = {"a namespace": lambda b: b.linux["namespaces"].append({"type": "nosuch"}),
           "propagation": lambda b: b.linux.update(rootfsPropagation="nosuch"),
           "a number for a string": lambda b: b.config.update(hostname=7),
           "a string for a number": lambda b: b.process["user"].update(uid="0"),
           "a negative id": lambda b: b.process["user"].update(uid=-1),
           "a fraction": lambda b: b.process["user"].update(uid=0.5),
           "a string for a list": lambda b: b.process.update(args="probe"),
           "an environment entry": lambda b: b.process["env"].append(7),
           "a string for a truth": lambda b: b.process.update(noNewPrivileges="true"),
           "a list for an object": lambda b: b.config.update(root=[]),
           "a host name": lambda b: b.config.update(hostname="x" * 65)}


@pytest.mark.parametrize("what", INVALID)
def test_invalid_values_are_an_error(anyone, what):
    b = anyone.bundle("echo", "ran")
    INVALID[what](b)
    b.fails()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"ociVersion": "1.0.2"} x', "\x00"])
def test_config_must_be_one_json_object(anyone, text):
    b = anyone.bundle("echo", "ran")
    b.config = text
    b.fails()


def test_config_is_required(anyone):
    b = anyone.bundle("echo", "ran")
    result = b.run(save=False)
    assert result.rc != 0 and "config.json" in result.err, result
