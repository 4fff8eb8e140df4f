# SPDX-License-Identifier: Apache-2.0
"""
Attempts to get out of a container, or to do from inside what only the host may. Every one of them must fail, and must fail
where it is expected to: an attack that fails because its program is broken proves nothing, so what can be shown to work
where it is allowed is shown first.
"""
import hashlib
import os
import pathlib
import shutil
import socket
import tempfile

import pytest

import harness
import rootfs
from rootfs import entry

PROBE = "/bin/probe"


def attack(kelp, image, *command, options=()):
    """The verdict of one probe command in a fresh container: "ok" or the name of an errno."""
    result = kelp("run", "--rm", *options, image, PROBE, *command)
    assert result.rc in (0, 1), result
    return verdict(result)


def verdict(result):
    """Commands that try something print "ok" or the errno; those that do something print "NAME: errno" when they can't."""
    words = (result.out + result.err).split()
    return words[-1] if words else "ok"


@pytest.fixture
def running(kelp, probe):
    kelp.ok("run", "-d", "--name", "victim", probe, "/bin/pause")
    return "victim"


# ---- files of the host -------------------------------------------------------------------------


def test_hosts_shadow_is_not_in_sight(kelp, probe):
    assert attack(kelp, probe, "read", "/etc/shadow") != "ok"
    assert attack(kelp, probe, "chroot-out", "/etc/shadow", options=("--cap-add", "ALL")) != "ok"


def test_a_bound_file_keeps_its_permissions(kelp, probe):
    """Root inside is the caller outside: the host's own rules go on holding."""
    out = kelp("run", "--rm", "-v", "/etc:/mnt", probe, PROBE, "open", "/mnt/shadow", "r").out
    assert out.strip() in ("EACCES", "EPERM")


def test_no_mount_of_the_hosts_tree(kelp, probe):
    assert attack(kelp, probe, "bind", "/", "/tmp") == "EPERM"
    assert attack(kelp, probe, "mount", "/dev/vda", "/tmp", "ext4", options=("--privileged",)) != "ok"


def test_nothing_of_the_host_is_open(kelp, probe):
    """Standard streams and nothing else, and none of them a directory."""
    for options in ((), ("-i",), ("--init",)):
        out = kelp.ok("run", "--rm", *options, probe, PROBE, "fds", input="")
        lines = [line.split() for line in out.splitlines()]
        assert [line[0] for line in lines] == ["0", "1", "2"], out
        assert all(line[2] != "040000" for line in lines), out


def test_nothing_of_the_host_is_open_in_exec(kelp, running):
    out = kelp.ok("exec", running, PROBE, "fds")
    assert [line.split()[0] for line in out.splitlines()] == ["0", "1", "2"], out


def test_caller_s_descriptors_are_not_inherited(kelp, probe):
    with open(os.devnull, "rb") as leak:
        target = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        try:
            out = kelp.ok("run", "--rm", probe, PROBE, "fds", pass_fds=(target, leak.fileno()))
        finally:
            os.close(target)
    assert len(out.splitlines()) == 3, out


def test_no_name_leads_over_a_descriptor_to_the_host(kelp, probe, probe_binary):
    """
    The image says where its program starts and what it is. While a container is made, directories of the host are open in
    the process that becomes the program: by /proc/self/fd they would be the working directory, or on the way to the program.
    """
    way = "../" * 12
    outside = kelp.root.parent / "outside"
    shutil.copy(probe_binary, outside)
    outside.chmod(0o755)
    for n in range(3, 16):
        fd = f"/proc/self/fd/{n}"
        for option in (("-w", fd), ("-u", "1000", "-w", fd)):
            result = kelp("run", "--rm", *option, probe, PROBE, "seq", "ls", ".", "--", "ls", way)
            assert result.rc == 125 and fd in result.err and not result.out, result
        result = kelp("run", "--rm", probe, f"{fd}/../outside", "echo", "executed")
        assert result.rc in (126, 127) and not result.out, result
    kelp.ok("run", "-d", "--name", "c", probe, "/bin/pause")
    for n in range(3, 9):
        result = kelp("exec", "-w", f"/proc/self/fd/{n}", "c", PROBE, "ls", way)
        assert result.rc != 0 and not result.out, result


def test_open_by_handle_is_denied(kelp, probe):
    assert attack(kelp, probe, "handle", "/") == "EPERM"
    # Even with the capability: it counts in the container's namespace only.
    assert attack(kelp, probe, "handle", "/", options=("--privileged",)) != "ok"


# ---- hostile images ----------------------------------------------------------------------------


def evil_image(kelp, probe_binary, name, *extra, drop=()):
    entries = [e for e in rootfs.probe_entries(probe_binary) if e[0].name.strip("./") not in drop]
    return kelp.import_image(rootfs.write_tar(entries + list(extra)), name)


@pytest.mark.parametrize("where", ["proc", "sys", "dev"])
@pytest.mark.parametrize("target", ["/", "/etc", "../../../../../tmp", "/nowhere"])
def test_linked_system_directories_are_refused_or_made(kelp, probe_binary, where, target):
    """The kernel's file systems are mounted on real directories only."""
    evil_image(kelp, probe_binary, "evil", entry(where, "symlink", target=target), drop=(where,))
    result = kelp("run", "--rm", "evil", PROBE, "echo", "in")
    assert result.rc == 125, result
    assert f"/{where}" in result.err and "symbolic link" in result.err, result


@pytest.mark.parametrize("target", ["/../../../..{}", "../../../../../..{}", "{}"])
def test_linked_mount_target_stays_inside(kelp, probe_binary, target):
    """A bind target that is a link to a directory of the host by name: the name is looked up in the image."""
    host = kelp.work / "outside"
    host.mkdir()
    os.chmod(host, 0o777)
    source = kelp.work / "source"
    source.mkdir()
    (source / "marker").write_text("x")
    for d in (host, source):
        os.chown(d, kelp.user.uid, kelp.user.gid) if os.getuid() == 0 else None
    evil_image(kelp, probe_binary, "evil", entry("data", "symlink", target=target.format(host)))
    out = kelp.ok("run", "--rm", "-v", f"{source}:/data/sub", "evil", PROBE, "ls", str(host))
    assert out.split() == ["sub"]
    assert list(host.iterdir()) == []


def test_linked_etc_does_not_write_outside(kelp, probe_binary):
    """hosts, resolv.conf and hostname are mounted below /etc, which here leads out by name."""
    host = kelp.work / "outside"
    host.mkdir()
    if os.getuid() == 0:
        os.chown(host, kelp.user.uid, kelp.user.gid)
    evil_image(kelp, probe_binary, "evil", entry("etc", "symlink", target=f"../../../../../../..{host}"), drop=("etc", "etc/passwd", "etc/group"))
    kelp("run", "--rm", "evil", PROBE, "true")
    assert list(host.iterdir()) == []


def test_masked_path_behind_a_link_is_not_the_hosts(kelp, probe_binary):
    evil_image(kelp, probe_binary, "evil", entry("pit", "symlink", target="/etc"))
    kelp.ok("run", "--rm", "--security-opt", "mask=/pit/passwd", "evil", PROBE, "true")
    assert pathlib.Path("/etc/passwd").stat().st_size > 0


@pytest.mark.parametrize("kind", ["fifo", "dir", "symlink"])
def test_hostile_passwd_neither_hangs_nor_leads_out(kelp, probe_binary, kind):
    extra = entry("etc/passwd", kind, target="/proc/self/mem" if kind == "symlink" else "")
    evil_image(kelp, probe_binary, "evil", extra, drop=("etc/passwd",))
    assert kelp("run", "--rm", "-u", "1000", "evil", PROBE, "id", timeout=20).rc == 0
    kelp.fails("run", "--rm", "-u", "alice", "evil", PROBE, "id", timeout=20, match="alice")


# ---- the kernel's switches ---------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
                                  "/proc/sys/kernel/modprobe", "/sys/kernel/uevent_helper"])
@pytest.mark.parametrize("options", [(), ("--cap-add", "ALL")])
def test_switches_cannot_be_written(kelp, probe, path, options):
    assert attack(kelp, probe, "poke", path, "x", options=options) in ("EROFS", "EACCES", "EPERM", "ENOENT")


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list"])
def test_masked_files_are_empty(kelp, probe, path):
    assert kelp("run", "--rm", probe, PROBE, "read", path).out == ""


def test_readonly_paths_stay_so(kelp, probe):
    for command in (("remount-rw", "/proc/sys"), ("umount", "/proc/sys"), ("umount", "/proc/kcore")):
        assert attack(kelp, probe, *command) == "EPERM"
        # With every capability and no filter the user may do that to himself, but the file system below stays the kernel's.
        kelp("run", "--rm", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined", probe, PROBE, "seq", *command,
             "--", "poke", "/proc/sys/kernel/core_pattern", "x")
    assert "x" != pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()


@pytest.mark.parametrize("command, errno", [
    (("unshare", "user"), "EPERM"), (("unshare", "net"), "EPERM"), (("keyring",), "EPERM"), (("bpf",), "EPERM"),
    (("perf",), "EPERM"), (("module",), "EPERM"), (("reboot",), "EPERM"), (("kexec",), "EPERM"), (("settime",), "EPERM"),
    (("userfaultfd",), "EPERM"), (("sethostname", "x"), "EPERM"), (("syscall", "425"), "EPERM"), (("syscall", "9999"), "ENOSYS")])
def test_system_calls_that_the_filter_denies(kelp, probe, command, errno):
    assert attack(kelp, probe, *command) == errno


def test_session_keyring_is_not_the_callers(kelp, probe):
    """Where no filter denies keyctl, the session keyring is a new one."""
    assert attack(kelp, probe, "keyring", options=("--security-opt", "seccomp=unconfined")) == "ok"


def test_session_keyring_is_not_the_callers_under_a_default_of_the_users_own(kelp, probe):
    """A file of the user's may make another profile the default: it may allow keyctl, as those of other engines do."""
    config = kelp.work / "config"
    (config / "containers").mkdir(parents=True)
    (config / "containers" / "seccomp.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    os.chmod(config, 0o755)
    result = kelp.execute([kelp.program("probe"), "seq", "keyring-id", "--", "exec",
                           *kelp.command("run", "--rm", probe, PROBE, "keyring-id")], env={"XDG_CONFIG_HOME": str(config)})
    assert result.rc == 0, result
    outside, inside = result.out.split()
    assert outside != inside


# ---- other processes ---------------------------------------------------------------------------


def test_hosts_processes_are_not_in_sight(kelp, probe):
    lines = kelp.ok("run", "--rm", probe, PROBE, "ps").splitlines()
    assert [line.split()[0] for line in lines] == ["1"]


def test_namespaces_of_the_host_cannot_be_joined(kelp, probe):
    for options in ((), ("--privileged",)):
        assert attack(kelp, probe, "setns-parent", options=options) == "EPERM"
    # With the host's processes in sight there is a name for its namespaces, and still no way in.
    for kind in ("mnt", "net", "user", "pid"):
        assert attack(kelp, probe, "setns", f"/proc/1/ns/{kind}", options=("--pid", "host", "--privileged")) != "ok"


def test_processes_of_the_caller_cannot_be_traced(kelp, probe):
    victim = kelp.spawn(["/bin/sleep", "60"])
    try:
        assert attack(kelp, probe, "ptrace", str(victim.pid), options=("--pid", "host", "--cap-add", "SYS_PTRACE")) == "EPERM"
        assert attack(kelp, probe, "open", f"/proc/{victim.pid}/mem", "rw", options=("--pid", "host", "--privileged")) != "ok"
        assert attack(kelp, probe, "ls", f"/proc/{victim.pid}/root/", options=("--pid", "host", "--privileged")) != "ok"
    finally:
        victim.kill()
        victim.wait()


def test_exec_drops_what_the_container_dropped(kelp, probe):
    kelp.ok("run", "-d", "--name", "c", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", probe, "/bin/pause")
    out = kelp.ok("exec", "c", PROBE, "caps")
    assert all(int(line.split("=")[-1], 16) == 0 for line in out.splitlines()), out
    out = kelp.ok("exec", "c", PROBE, "confined")
    assert [line.split("=")[-1] for line in out.splitlines()][:2] == ["1", "2"], out


# ---- the terminal ------------------------------------------------------------------------------


def test_terminal_is_not_the_callers(kelp, probe):
    terminal = kelp.pty("run", "--rm", "-it", probe, PROBE, "tty")
    terminal.expect(r"/dev/pts/0")
    assert terminal.wait() == 0


def test_input_cannot_be_put_into_the_callers_terminal(kelp, probe):
    terminal = kelp.pty("run", "--rm", "-it", probe, PROBE, "tiocsti", "touch /tmp/kelp-escaped\n")
    terminal.expect(r"EPERM")
    terminal.wait()
    # Without -t there is no terminal to put anything into, even with every right.
    assert attack(kelp, probe, "tiocsti", options=("--privileged",)) != "ok"


# ---- the engine's own program ------------------------------------------------------------------


@pytest.fixture
def home_kelp(session_dir, programs, cache_dir, user, probe_tar):
    """Kelp installed by the user for himself: root of a container is the owner of its programs."""
    base = tempfile.mkdtemp(prefix="", dir=session_dir)
    own = pathlib.Path(base) / "bin"
    shutil.copytree(programs, own)
    if os.getuid() == 0:
        for path in (own, *own.iterdir()):
            os.chown(path, user.uid, user.gid)
        os.chown(base, user.uid, user.gid)
    cache = cache_dir / user.name
    cache.mkdir(exist_ok=True)
    if os.getuid() == 0:
        os.chown(cache, user.uid, user.gid)
    kelp = harness.Kelp(base, user, own, cache)
    kelp.ok("import", probe_tar, "probe")
    yield kelp
    complaints = kelp.finish()
    kelp.remove()
    assert not complaints, complaints


def fingerprints(kelp):
    return {p.name: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mode) for p in kelp.programs.iterdir()}


def overwrite(kelp, container, pid):
    """Both ways to change the file behind /proc/PID/exe, from another process of the container."""
    return (kelp("exec", container, PROBE, "chmod", "4777", f"/proc/{pid}/exe"),
            kelp("exec", container, PROBE, "open", f"/proc/{pid}/exe", "w"))


def spinning(kelp, container):
    """The pid of the process that executes /proc/self/exe over and over, inside."""
    def find():
        out = kelp("exec", container, PROBE, "ps").out
        pids = [line.split()[0] for line in out.splitlines() if "probe" not in line and "pause" not in line]
        return pids[0] if pids else None
    return harness.wait_for(find, what="the spinning process")


def test_own_program_cannot_be_overwritten_through_exec(home_kelp, probe_binary):
    """
    A script whose interpreter is /proc/self/exe makes the kernel execute whatever program executes the script. What is found
    there must not be one of Kelp's own files in a form that can be written to.
    """
    kelp = home_kelp
    before = fingerprints(kelp)
    evil_image(kelp, probe_binary, "evil", entry("bin/evil", data="#!/proc/self/exe --exec\n", mode=0o755))
    kelp.ok("run", "-d", "--name", "c", "evil", "/bin/pause")
    kelp.ok("exec", "-d", "c", "/bin/evil")
    for result in overwrite(kelp, "c", spinning(kelp, "c")):
        assert result.rc == 1 and verdict(result) in ("EROFS", "ETXTBSY"), result
    kelp.ok("rm", "-f", "-t", "0", "c")
    assert fingerprints(kelp) == before


def test_own_program_cannot_be_overwritten_through_run(home_kelp, probe_binary):
    kelp = home_kelp
    before = fingerprints(kelp)
    evil_image(kelp, probe_binary, "evil", entry("bin/evil", data="#!/proc/self/exe --exec\n", mode=0o755))
    kelp.ok("run", "-d", "--name", "c", "evil", "/bin/evil")
    for result in overwrite(kelp, "c", 1):
        assert result.rc == 1 and verdict(result) in ("EROFS", "ETXTBSY"), result
    kelp.ok("rm", "-f", "-t", "0", "c")
    assert fingerprints(kelp) == before


def test_init_cannot_be_overwritten(home_kelp):
    kelp = home_kelp
    before = fingerprints(kelp)
    kelp.ok("run", "-d", "--name", "c", "--init", "probe", "/bin/pause")
    for result in overwrite(kelp, "c", 1):
        assert result.rc == 1 and verdict(result) in ("EROFS", "ETXTBSY"), result
    kelp.ok("rm", "-f", "-t", "0", "c")
    assert fingerprints(kelp) == before


# ---- the network namespace ---------------------------------------------------------------------


def test_abstract_sockets_of_the_host_are_out_of_reach(kelp, probe):
    name = f"kelp-escape-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind("\0" + name)
        listener.listen(1)
        assert attack(kelp, probe, "abstract", name) == "ECONNREFUSED"
