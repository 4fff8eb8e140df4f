# SPDX-License-Identifier: Apache-2.0
"""What a container looks like from inside: root file system, mounts, ids, capabilities, limits, the program itself."""
import json
import os
import shutil

import pytest

import rootfs
from harness import wait_for
from rootfs import entry

PROBE = "/bin/probe"


def sh(kelp, image, script, *options):
    return kelp.ok("run", "--rm", *options, image, "sh", "-c", script)


def owned(kelp, path):
    if os.getuid() == 0:
        os.chown(path, kelp.user.uid, kelp.user.gid)
    return path


# ---- root file system --------------------------------------------------------------------------


def test_five_hundred_layers(kelp, probe_binary):
    layers = [rootfs.probe_tar(probe_binary)]
    layers += [rootfs.write_tar([entry(f"l{i}", data=str(i)), entry("top", data=str(i))]) for i in range(1, 500)]
    archive, _, _ = rootfs.oci_archive(layers, name="deep:latest")
    kelp.ok("load", input=archive, timeout=300)
    out = kelp.ok("run", "--rm", "deep", PROBE, "seq", "read", "/l1", "--", "read", "/l250", "--", "read", "/top", "--",
                  "limit", "nofile")
    assert out.startswith("1250499"), out
    # The descriptors that this took are not the container's limit.
    assert kelp.ok("run", "--rm", "deep", PROBE, "limit", "nofile") == kelp.ok("run", "--rm", "deep", PROBE, "limit", "nofile")


@pytest.mark.parametrize("driver", ["overlay", "fuse-overlayfs", "copy"])
def test_storage_drivers_do_the_same(kelp, busybox, driver):
    if driver == "fuse-overlayfs" and not shutil.which("fuse-overlayfs"):
        pytest.skip("fuse-overlayfs is not installed")
    out = sh(kelp, busybox, "echo new > /f && rm /bin/wc && mkdir -p /a/b && chown 1:1 /a && stat -c %u /a && cat /f && ls /bin/wc; "
             "stat -c %U:%a /", "--storage-driver", driver)
    assert out.split() == ["1", "new", "root:755"]
    # Nothing of it got into the image.
    assert sh(kelp, busybox, "ls -d /f /a 2>/dev/null; ls /bin/wc", "--storage-driver", driver) == "/bin/wc"


def test_read_only_root_has_writable_mounts(kelp, busybox):
    out = sh(kelp, busybox, "touch /x 2>/dev/null || echo ro; touch /t/x && echo rw; touch /dev/shm/x && echo rw", "--read-only", "--tmpfs", "/t")
    assert out.split() == ["ro", "rw", "rw"]


def test_marks(kelp, busybox):
    assert "engine=" in sh(kelp, busybox, "cat /run/.containerenv; test -e /.dockerenv; echo $container")


# ---- mounts ------------------------------------------------------------------------------------


def test_binds(kelp, busybox):
    source = kelp.work / "s"
    source.mkdir()
    owned(kelp, source)
    script = "echo inside > /m/f; touch /r/x 2>/dev/null || echo refused; ls /r"
    assert sh(kelp, busybox, script, "-v", f"{source}:/m", "-v", f"{source}:/r:ro").split() == ["refused", "f"]
    assert (source / "f").read_text() == "inside\n"
    assert (source / "f").stat().st_uid == kelp.user.uid


def test_missing_sources(kelp, busybox):
    """-v makes a directory, --mount does not."""
    assert sh(kelp, busybox, "ls -d /m", "-v", f"{kelp.work}/made/deep:/m") == "/m"
    assert (kelp.work / "made" / "deep").is_dir()
    kelp.fails("run", "--rm", "--mount", f"type=bind,source={kelp.work}/none,target=/m", busybox, "true", code=125, match="none")
    assert not (kelp.work / "none").exists()


def test_a_file_on_a_missing_target(kelp, busybox):
    path = kelp.work / "file"
    path.write_text("text")
    assert sh(kelp, busybox, "cat /deep/er/name", "-v", f"{path}:/deep/er/name:ro") == "text"


@pytest.mark.parametrize("source, target", [("file", "/etc"), ("", "/etc/passwd")])
def test_a_file_on_a_directory_and_the_reverse_are_explained(kelp, busybox, source, target):
    (kelp.work / "file").write_text("text")
    kelp.fails("run", "--rm", "-v", f"{kelp.work}/{source}:{target}", busybox, "true", code=125,
               match=f"mount '{target}': Not a directory\nhint: source and target must both be")


def test_order_of_mounts_is_by_depth(kelp, busybox):
    inner = kelp.work / "inner"
    inner.write_text("inner")
    outer = kelp.work / "outer"
    outer.mkdir()
    owned(kelp, outer)
    assert sh(kelp, busybox, "cat /m/a/b", "-v", f"{inner}:/m/a/b", "-v", f"{outer}:/m") == "inner"


def test_tmpfs_options(kelp, busybox):
    out = sh(kelp, busybox, "stat -c %a /t; dd if=/dev/zero of=/t/x bs=1M count=2 2>/dev/null || echo full; "
             "cp /bin/busybox /t/b 2>/dev/null; grep ' /t ' /proc/mounts", "--tmpfs", "/t:size=1m,mode=750")
    lines = out.splitlines()
    assert lines[:2] == ["750", "full"] and "noexec" in lines[-1] and "nosuid" in lines[-1]


def test_tmpfs_with_the_images_content(kelp, probe_binary):
    extra = [entry("data", "dir", mode=0o750, uid=3, gid=4), entry("data/f", data="x", mode=0o4711, uid=5, gid=6),
             entry("data/l", "symlink", target="/etc/passwd"), entry("data/d", "dir"), entry("data/d/g", data="yy")]
    kelp.import_image(rootfs.probe_tar(probe_binary, extra), "data")
    out = kelp.ok("run", "--rm", "--tmpfs", "/data:tmpcopyup", "data", PROBE, "stat", "/data/f", "/data/l", "/data/d/g")
    assert "4711" in out and "5" in out.splitlines()[0]
    assert kelp.ok("run", "--rm", "--tmpfs", "/data:tmpcopyup", "data", PROBE, "readlink", "/data/l") == "/etc/passwd"
    assert kelp.ok("run", "--rm", "--tmpfs", "/data", "data", PROBE, "ls", "/data") == ""


def test_a_linked_resolv_conf(kelp, probe_binary):
    """As systemd leaves it in images: a link to a file, and a directory, that are not there."""
    kelp.import_image(rootfs.probe_tar(probe_binary, [entry("etc/resolv.conf", "symlink", target="../run/systemd/resolve/stub.conf")]), "linked")
    assert "nameserver" in kelp.ok("run", "--rm", "--dns", "192.0.2.1", "linked", PROBE, "read", "/etc/resolv.conf")


def test_device(kelp, busybox):
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no /dev/fuse")
    assert sh(kelp, busybox, "ls /dev/fuse 2>/dev/null; ls /dev/x", "--device", "/dev/fuse:/dev/x") == "/dev/x"
    kelp.fails("run", "--rm", "--device", "/dev/fuse:/dev/fuse:r", busybox, "true", code=125, match="restrict")


# ---- ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("who, want", [
    ("alice", "uid=1000 euid=1000 gid=1000"), ("1000", "uid=1000 euid=1000 gid=1000"), ("alice:staff", "uid=1000 euid=1000 gid=50"),
    ("12345", "uid=12345 euid=12345 gid=0"), ("12345:7", "uid=12345 euid=12345 gid=7"), (":50", "uid=0 euid=0 gid=50")])
def test_users(kelp, probe, who, want):
    assert kelp.ok("run", "--rm", "-u", who, probe, PROBE, "id").startswith(want)


def test_groups_of_a_user(kelp, probe):
    assert "50" in kelp.ok("run", "--rm", "-u", "alice", probe, PROBE, "id").split("groups=")[1]
    assert "50" not in kelp.ok("run", "--rm", "-u", "alice:alice", probe, PROBE, "id").split("groups=")[1]
    assert "77" in kelp.ok("run", "--rm", "-u", "alice", "--group-add", "77", probe, PROBE, "id").split("groups=")[1]
    kelp.fails("run", "--rm", "--group-add", "nogroupatall", probe, PROBE, "id", code=125, match="nogroupatall")


def test_home(kelp, probe):
    assert kelp.ok("run", "--rm", probe, PROBE, "env", "HOME") == "/root"
    assert kelp.ok("run", "--rm", "-u", "alice", probe, PROBE, "env", "HOME") == "/home/alice"
    assert kelp.ok("run", "--rm", "-u", "4321", probe, PROBE, "env", "HOME") == "/"
    assert kelp.ok("run", "--rm", "-u", "alice", "-e", "HOME=/x", probe, PROBE, "env", "HOME") == "/x"


def test_keep_id_is_the_caller(kelp, probe):
    me = kelp.user
    assert kelp.ok("run", "--rm", "--userns", "keep-id", probe, PROBE, "id").startswith(f"uid={me.uid} euid={me.uid} gid={me.gid}")
    assert kelp.ok("run", "--rm", "--userns", "keep-id:uid=7,gid=8", probe, PROBE, "id").startswith("uid=7 euid=7 gid=8")
    assert kelp.ok("run", "--rm", "--userns", "keep-id", "-u", "0", probe, PROBE, "id").startswith("uid=0")


def test_one_id(make_kelp, noids_user, probe_tar):
    kelp = make_kelp(user=noids_user)
    kelp.ok("import", probe_tar, "probe")
    assert kelp.ok("run", "--rm", "probe", PROBE, "id").startswith("uid=0 euid=0 gid=0")
    uid = noids_user.uid
    assert kelp.ok("run", "--rm", "--userns", "keep-id", "probe", PROBE, "id").startswith(f"uid={uid} euid={uid}")
    kelp.fails("run", "--rm", "-u", "alice", "probe", PROBE, "id", code=125, match="id map")


# ---- privileges --------------------------------------------------------------------------------


def caps(text):
    return {line.split("=")[0]: int(line.split("=")[1], 16) for line in text.splitlines()}


def test_capabilities(kelp, probe):
    got = caps(kelp.ok("run", "--rm", probe, PROBE, "caps"))
    assert got["CapBnd"] == got["CapEff"] == got["CapPrm"] == 0xa80425fb and got["CapInh"] == got["CapAmb"] == 0
    got = caps(kelp.ok("run", "--rm", "-u", "alice", probe, PROBE, "caps"))
    assert got["CapEff"] == 0 and got["CapBnd"] == 0xa80425fb
    got = caps(kelp.ok("run", "--rm", "--cap-drop", "ALL", "--cap-add", "net_raw", probe, PROBE, "caps"))
    assert got["CapEff"] == got["CapBnd"] == 1 << 13


def test_limits(kelp, probe):
    assert "100" in kelp.ok("run", "--rm", "--ulimit", "nofile=100:200", probe, PROBE, "limit", "nofile")
    kelp.fails("run", "--rm", "--ulimit", "nofile=99999999", probe, PROBE, "true", code=125, match="nofile")


def test_descriptors_of_a_deep_root_are_not_its_limit(kelp, probe):
    """The caller allows fewer descriptors than the mounts take: they are raised, for us alone."""
    kelp.wrapper = ["prlimit", "--nofile=60:4096", "--"]
    got = kelp.ok("run", "--rm", probe, PROBE, "limit", "nofile")
    assert "60" in got.split() and "4096" in got.split()
    got = kelp.ok("run", "--rm", "--ulimit", "nofile=100:200", probe, PROBE, "limit", "nofile")
    assert "100" in got.split() and "200" in got.split()


def test_sysctls(kelp, probe):
    assert kelp.ok("run", "--rm", "--sysctl", "net.ipv4.ip_forward=1", probe, PROBE, "read", "/proc/sys/net/ipv4/ip_forward") == "1"
    kelp.fails("run", "--rm", "--sysctl", "kernel.panic=1", probe, PROBE, "true", code=125, match="kernel.panic")
    kelp.fails("run", "--rm", "--network", "host", "--sysctl", "net.ipv4.ip_forward=1", probe, PROBE, "true", code=125, match="ip_forward")


def test_own_profile(kelp, probe):
    profile = kelp.work / "p.json"
    profile.write_text('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["sethostname"],"action":"SCMP_ACT_ERRNO","errnoRet":99}]}')
    assert kelp("run", "--rm", "--cap-add", "SYS_ADMIN", "--security-opt", f"seccomp={profile}", probe, PROBE, "sethostname", "x").out.strip() == "EADDRNOTAVAIL"
    profile.write_text('{"defaultAction":"SCMP_ACT_ALLOW"}')
    assert kelp("run", "--rm", "--cap-add", "SYS_ADMIN", "--security-opt", f"seccomp={profile}", probe, PROBE, "sethostname", "x").out.strip() == "ok"
    profile.write_text('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"SCMP_ACT_DANCE"}]}')
    kelp.fails("run", "--rm", "--security-opt", f"seccomp={profile}", probe, PROBE, "true", code=125, match=r"syscalls\[0\].*SCMP_ACT_DANCE")
    kelp.fails("run", "--rm", "--security-opt", "seccomp=/nowhere.json", probe, PROBE, "true", code=125, match="/nowhere.json")


# ---- the program -------------------------------------------------------------------------------


def test_programs_that_cannot_be_executed(kelp, probe_binary):
    extra = [entry("bin/text", data="hello", mode=0o755), entry("bin/noexec", data="x", mode=0o644),
             entry("bin/script", data="#!/no/such/shell\n", mode=0o755)]
    kelp.import_image(rootfs.probe_tar(probe_binary, extra), "bad")
    kelp.fails("run", "--rm", "bad", "nosuch", code=127, match=r"executable file not found in \$PATH")
    kelp.fails("run", "--rm", "bad", "/nosuch", code=127, match="No such file")
    kelp.fails("run", "--rm", "bad", "script", code=127, match="interpreter")
    kelp.fails("run", "--rm", "bad", "/bin", code=126, match="Is a directory")
    kelp.fails("run", "--rm", "bad", "/bin/noexec", code=126, match="Permission denied")
    kelp.fails("run", "--rm", "bad", "text", code=126, match="(?s)Exec format error.*architecture")
    kelp.fails("run", "--rm", "--init", "bad", "nosuch", code=127, match=r"executable file not found in \$PATH")


def test_no_signal_is_blocked_or_ignored(kelp, probe):
    out = kelp.ok("run", "--rm", probe, PROBE, "status", "SigBlk", "SigIgn")
    assert [int(line.split("=")[-1].split()[-1], 16) for line in out.splitlines()] == [0, 0]


def test_init_reaps_and_forwards(kelp, probe):
    assert kelp("run", "--rm", "--init", probe, PROBE, "exit", "9").rc == 9
    assert kelp("run", "--rm", "--init", probe, PROBE, "kill-self", "15").rc == 143


def test_working_directory_is_made(kelp, busybox):
    assert sh(kelp, busybox, "pwd; stat -c %U .", "-w", "/a/b/c").split() == ["/a/b/c", "root"]


# ---- exec beside hostile processes ----


def test_exec_cannot_be_held_up_or_read(kelp, busybox):
    """Root of the container may signal what is about to become a program in it, and read its command line."""
    script = """while :; do for p in /proc/[0-9]*; do
        read -r name < $p/comm || continue
        # What is a program by now is ours to stop, which is not what is tried here.
        if [ "$name" = kelp-monitor ]; then kill -STOP ${p#/proc/}; cat $p/cmdline >> /seen; else kill -CONT ${p#/proc/}; fi
    done; done 2> /dev/null"""
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c", script)
    for _ in range(15):
        assert kelp.ok("exec", "c", "echo", "hi", timeout=30) == "hi"
    seen = kelp.ok("exec", "c", "sh", "-c", "cat /seen 2> /dev/null || :")
    assert "kelp-monitor" not in seen and str(kelp.base) not in seen
    kelp.ok("rm", "-f", "c")


def test_descendants_of_exec_end_with_a_container_that_has_the_hosts_processes(kelp, busybox):
    def sleepers():
        return [p for p, (_, _, line) in kelp.processes().items() if line.startswith("sleep 9123")]

    kelp.ok("run", "-d", "--name", "c", "--pid", "host", busybox, "sleep", "1000")
    assert kelp.ok("exec", "c", "sh", "-c", "(setsid sleep 9123 > /dev/null 2>&1 &); echo done") == "done"
    foreground = kelp.popen("exec", "c", "sh", "-c", "setsid sleep 9123 & sleep 9123; :")
    wait_for(lambda: len(sleepers()) == 3, what="three programs")
    kelp.ok("stop", "-t", "0", "c")
    assert foreground.wait(20) == 137
    wait_for(lambda: not sleepers(), what="their end")
    kelp.ok("rm", "c")


def test_filter_without_execveat(kelp, probe):
    """A filter's verdict concerns the container's program, not how it is brought up: --init, and the springboard."""
    profile = kelp.work / "noexecveat.json"
    for action in ("SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"):
        profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["execveat"], "action": action}]}))
        for init in ((), ("--init",)):
            kelp.ok("run", "--rm", *init, "--security-opt", f"seccomp={profile}", probe, PROBE, "true")


# ---- an outer filter that hides clone3 ----

WITHOUT_CLONE3 = """
import ctypes, os, struct, sys
def insn(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
program = ctypes.create_string_buffer(
    insn(0x20, 0, 0, 0)                       # the system call's number
    + insn(0x15, 0, 1, 435)                   # clone3, on every architecture
    + insn(0x06, 0, 0, 0x00050000 | 38)       # ENOSYS, as outer container profiles have it
    + insn(0x06, 0, 0, 0x7fff0000))
class Filter(ctypes.Structure): _fields_ = [("n", ctypes.c_ushort), ("insns", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Filter(4, ctypes.addressof(program)))) == 0
assert libc.syscall(435, 0, 0) == -1 and ctypes.get_errno() == 38
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_clone3_is_hidden(kelp, busybox):
    def hidden(*args):
        result = kelp.execute(["/usr/bin/python3", "-c", WITHOUT_CLONE3, *kelp.command(*args)])
        assert result.rc == 0, result
        return result.out.strip()

    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")  # keeps the namespace: newuidmap is setuid, which a filter forbids
    assert hidden("run", "--rm", busybox, "sh", "-c", "echo $$ $(id -u)") == "1 0"
    assert hidden("run", "--rm", "--pid", "container:c", busybox, "sh", "-c", "kill -0 1 && echo there") == "there"
    assert hidden("exec", "c", "echo", "in") == "in"
    kelp.ok("rm", "-f", "c")
