# SPDX-License-Identifier: Apache-2.0
"""
Kill-proof: whatever of Kelp dies, and wherever, the next command works on what is there. Four ways to make it die or fail:
at every named point of a build with -Dfault=true, at random under load, with a full disk, and with failing system calls.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

import harness
import rootfs
import store_check
from harness import wait_for

pytestmark = pytest.mark.slow
FAULT_BUILD = harness.SOURCE / "build-fault"
KILLS = int(os.environ.get("KELP_KILLS", "1000"))


def fault_points():
    """Every FAULT_POINT("name") in the sources."""
    points = set()
    for directory in ("src", "idmap"):
        for path in (harness.SOURCE / directory).rglob("*.c"):
            points |= set(re.findall(r'FAULT_POINT\("([^"]+)"\)', path.read_text()))
    return sorted(points - {"holder-idle"})  # comes when nothing has happened for a while: test_idmap.py


@pytest.fixture(scope="module")
def archives(session_dir, probe_binary):
    """Two images: files for load and import, the second with its own layer of two MiB on the first's."""
    base = rootfs.probe_tar(probe_binary)
    extra = rootfs.write_tar([rootfs.entry(f"many/{i}", data=os.urandom(1 << 14), uid=i % 7) for i in range(128)])
    small, big, tar = session_dir / "small.oci", session_dir / "big.oci", session_dir / "kill.tar"
    small.write_bytes(rootfs.oci_archive([base], name="small:1")[0])
    big.write_bytes(rootfs.oci_archive([base, extra], name="big:1", compress=True)[0])
    tar.write_bytes(rootfs.probe_tar(probe_binary, [rootfs.entry("imported", data="yes")]))
    for p in (small, big, tar):
        os.chmod(p, 0o644)
    return small, big, tar


def scenario(kelp, archives, **kw):
    """Every verb that writes, once. Yields the results; commands that follow a failed one fail too, which is fine."""
    small, big, tar = archives
    last = 0
    name = f"c{random.getrandbits(40):x}"
    for args in (("load", "-q", "-i", big), ("load", "-q", "-i", small), ("import", tar, "imported:1"),
                 ("tag", "small:1", "other:2"), ("run", "--rm", "big:1", "probe", "write", "/file", "text"),
                 ("run", "--rm", "--userns", "keep-id", "big:1", "probe", "read", "/many/8"),
                 ("run", "--rm", "--userns", "auto:size=3000", "small:1", "probe", "true"),
                 ("create", "--name", name, "small:1", "probe", "pause"), ("start", name),
                 ("exec", name, "probe", "write", "/in-exec", "text"), ("commit", "-q", name, "committed:1"), ("stop", "-t", "5", name),
                 ("commit", "-q", "--squash", name, "committed:2"), ("diff", name), ("cp", tar, f"{name}:/copied"), ("cp", tar, f"{name}:/copied"),
                 ("cp", f"{name}:/copied", "-"), ("run", "--rm", "committed:1", "probe", "cat", "/in-exec"),
                 ("rmi", "-f", "committed:1", "committed:2"), ("start", name),
                 ("create", "--label", name, "small:1", "probe", "true"), ("container", "prune", "-f", "--filter", f"label={name}"),
                 ("restart", "-t", "0", name),
                 ("rename", name, f"{name}-renamed"), ("rename", f"{name}-renamed", name),
                 ("kill", name), ("wait", name), ("rm", name), ("run", "-d", "--name", name, "--restart", "on-failure:1", "small:1", "probe", "false"),
                 ("rm", "-f", name), ("run", "--name", name, "--restart", "on-failure:1", "small:1", "probe", "false"), ("rm", "-f", name), ("run", "-d", "--name", name, "small:1", "probe", "pause"),
                 ("rm", "-f", name), ("volume", "create", name),
                 ("run", "--rm", "-v", f"{name}:/many", "-v", "/anonymous", "big:1", "probe", "true"),
                 ("secret", "create", "--env", name, "HOME"), ("secret", "create", "--replace", "--env", name, "PATH"),
                 ("run", "--rm", "--secret", name, "--secret", f"{name},type=env,target=S", "small:1", "probe", "true"), ("secret", "rm", name),
                 ("pod", "create", "--name", f"p{name}"), ("run", "--rm", "--pod", f"p{name}", "small:1", "probe", "true"), ("pod", "stop", f"p{name}"),
                 ("pod", "start", f"p{name}"), ("pod", "rm", "-f", "-t", "0", f"p{name}"),
                 ("volume", "import", "-q", name, tar), ("volume", "rm", name), ("rmi", "imported:1"), ("rmi", "-f", "big:1"), ("rmi", "-f", "small:1", "other:2")):
        if args[0] == "wait" and last != 0:
            continue  # what could not be killed would be waited for until the time is up
        result = kelp(*args, timeout=30, **kw)
        last = result.rc
        yield result


def check_usable(kelp, archives):
    """After a kill: the next commands work, and only what they may leave is there."""
    kelp.ok("ps", "-a")
    stray_processes(kelp)
    ids = kelp.ok("ps", "-aq", "--no-trunc").split()
    if ids:
        kelp.ok("rm", "-fv", *ids)
    wait_for(lambda: not [v for v in kelp.ok("volume", "ls", "-q").split() if len(v) == 64], 5,
             "anonymous volumes go with what they were made for")
    for volume in (kelp.root / "volumes").glob("*/_data"):  # filled or not, never half
        files = list(volume.glob("*"))
        assert len(files) in (0, 128) or (volume / "imported").exists(), files
    kelp.ok("volume", "prune", "-af")
    kelp.ok("secret", "rm", "--all")
    kelp.ok("pod", "rm", "-f", "-t", "0", "--all")
    images = kelp.ok("images", "-aq", "--no-trunc").split()
    if images:
        kelp.ok("rmi", "-f", *sorted(set(images)))
    for result in scenario(kelp, archives):
        # wait: the code of what was killed; what is restarted fails each time
        assert result.rc == 0 or {"wait", "--restart"} & set(map(str, result.args)), result
    images = kelp.ok("images", "-q", "--no-trunc").split()
    assert images == []
    wait_for(lambda: not store_check.check(kelp.root), 3, f"a clean store: {store_check.check(kelp.root)}")
    assert not list((kelp.root / "layers").glob("*")), "no image, no container, but layers"


def stray_processes(kelp):
    """Fails if something runs that belongs to no container that ps shows."""
    def stray():
        running = kelp.ok("ps", "-q", "--pod", "--no-trunc").split()
        known = " ".join(running)
        processes = kelp.processes()
        parents = {}
        for pid in processes:
            with contextlib.suppress(OSError, AttributeError):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                parents[pid] = int(re.search(r"^PPid:\s+(\d+)", status, re.M).group(1))
        good = {pid for pid, p in processes.items() if p[0].startswith("kelp-monitor") and any(i in p[2] for i in running)}
        for _ in range(10):
            good |= {pid for pid, parent in parents.items() if parent in good}
        return {pid: p for pid, p in processes.items() if pid not in good}, known
    wait_for(lambda: not stray()[0], 5, f"only what ps shows runs: {stray()}")


# ---- (a) every named point ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def fault_programs(session_dir):
    if not (FAULT_BUILD / "kelp").exists():
        pytest.skip("no ./build-fault: meson setup build-fault -Dfault=true")
    target = session_dir / "fault-bin"
    target.mkdir()
    for path in [*FAULT_BUILD.glob("kelp*")]:
        if path.is_file() and os.access(path, os.X_OK):
            shutil.copy(path, target / path.name)
    shutil.copy(FAULT_BUILD / "src" / "security" / "seccomp.json", target)
    return target


def fill_event_log(kelp):
    """To just below what makes it rotate."""
    kelp.ok("volume", "create", "first")
    kelp.ok("volume", "rm", "first")
    log = kelp.root / "events" / "log"
    line = log.read_bytes().splitlines(keepends=True)[0]
    with open(log, "ab") as f:
        f.write(line * ((2 << 20) // len(line)))


@pytest.mark.parametrize("point", fault_points())
def test_killed_at(kelp, archives, fault_programs, point):
    kelp.programs = fault_programs
    kelp.env["KELP_LIBEXEC"] = str(fault_programs)
    kelp.garbage = True
    log = kelp.work / "killed"
    env = {"KELP_FAULT_KILL": point, "KELP_FAULT_LOG": log}
    if point == "events-rotate":
        fill_event_log(kelp)
    reached = False
    for result in scenario(kelp, archives, env=env):
        assert result.rc not in (-signal.SIGSEGV, -signal.SIGABRT), result
        # A confined program can't write the log, but whoever started it says how it ended.
        reached = reached or log.exists() or (result.rc != 0 and re.search("signal 9|SIGKILL", result.err) is not None)
    assert reached, f"no command of the scenario comes to {point}"
    kelp.end_holders()  # its maker may have been killed
    check_usable(kelp, archives)


# ---- (b) random kills --------------------------------------------------------------------------


def worker(kelp, archives, stop, seed, problems):
    choose = random.Random(seed)
    while not stop.is_set():
        try:
            for result in scenario(kelp, archives):
                if result.rc in (-signal.SIGSEGV, -signal.SIGABRT, 128 + signal.SIGSEGV, 128 + signal.SIGABRT):
                    problems.append(repr(result))
                if stop.is_set() or choose.random() < 0.1:
                    break
        except AssertionError as e:  # a command that hangs
            problems.append(str(e))
            return


def test_random_kills(kelp, archives):
    kelp.garbage = True
    stop, problems, killed = threading.Event(), [], 0
    workers = [threading.Thread(target=worker, args=(kelp, archives, stop, i, problems)) for i in range(3)]
    for thread in workers:
        thread.start()
    choose = random.Random()
    end = time.monotonic() + max(60, KILLS) * harness.SCALE
    try:
        while killed < KILLS and not problems and time.monotonic() < end:
            time.sleep(choose.uniform(0.005, 0.1))
            victims = [pid for pid, p in kelp.processes(holders=True).items() if p[0].startswith("kelp")]
            if victims:
                with contextlib.suppress(OSError):
                    os.kill(choose.choice(victims), signal.SIGKILL)
                    killed += 1
    finally:
        stop.set()
        for thread in workers:
            thread.join()
    assert not problems, "\n".join(problems)
    assert killed >= KILLS
    check_usable(kelp, archives)


def test_killed_monitor_is_reported(kelp, probe):
    """Its container dies with it; ps and inspect say so, with a reason."""
    kelp.garbage = True
    kelp.ok("run", "-d", "--name", "victim", probe, "probe", "seq", "fork", "3", "--", "pause")
    wait_for(lambda: len([p for p in kelp.processes().values() if p[0] == "probe"]) == 4, what="four processes")
    monitor = next(pid for pid, p in kelp.processes().items() if p[0].startswith("kelp-monitor"))
    os.kill(monitor, signal.SIGKILL)
    wait_for(lambda: not kelp.state("victim")["Running"], what="seen as ended")
    assert kelp.state("victim")["ExitCode"] == 137
    assert kelp.state("victim")["Error"]
    wait_for(lambda: not kelp.processes(), what="nothing runs any more")
    kelp.ok("start", "victim")
    assert kelp.state("victim")["Running"]


# ---- (c) full disk -----------------------------------------------------------------------------


@pytest.fixture
def small_disk(make_kelp):
    """Kelp on a file system of 24 MiB of its own, and a function that leaves so many bytes of it free."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    kelp = make_kelp()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=24m,mode=700,uid={kelp.user.uid},gid={kelp.user.gid}", "kelp-test",
                    str(kelp.root)], check=True)
    try:
        os.setxattr(kelp.root, "user.test", b"1")
    except OSError:
        subprocess.run(["umount", str(kelp.root)], check=True)
        pytest.skip("this kernel lacks user xattrs on tmpfs")
    kelp.own_mounts = [str(kelp.root)]
    filler = kelp.root / "filler"

    def leave(free):
        filler.unlink(missing_ok=True)
        if free is None:
            return
        available = os.statvfs(kelp.root)
        with open(filler, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, max(1, available.f_bavail * available.f_frsize - free))

    yield kelp, leave
    filler.unlink(missing_ok=True)
    kelp.garbage = True
    complaints = kelp.finish()
    subprocess.run(["umount", str(kelp.root)], check=True)
    assert not complaints, complaints


@pytest.mark.parametrize("free", [0, 4096, 65536, 1 << 20, 3 << 20])
def test_full_disk(small_disk, archives, free):
    kelp, leave = small_disk
    small, big, tar = archives
    kelp.ok("load", "-q", "-i", small)
    kelp.ok("run", "-d", "--name", "running", "small:1", "probe", "pause")
    kelp.ok("create", "--name", "made", "small:1", "probe", "true")
    leave(free)
    for args in (("load", "-q", "-i", big), ("import", tar, "imported"), ("tag", "small:1", "tagged"),
                 ("run", "--rm", "small:1", "probe", "fill", "/file", "8000000"), ("run", "-d", "small:1", "probe", "true"),
                 ("exec", "running", "probe", "true"), ("start", "made"), ("ps", "-a"), ("images",), ("inspect", "running")):
        result = kelp(*args, timeout=30)
        if result.rc == 1 and "probe" in args:
            continue  # the program's own error
        assert result.rc == 0 or re.search(r"(?i)no space left", result.err), result
    for args in (("stop", "-t", "5", "running"), ("rm", "-f", "running"), ("rm", "-f", "made")):
        kelp.ok(*args)  # what frees space needs none
    leave(None)
    check_usable_with(kelp, archives)


def check_usable_with(kelp, archives):
    kelp("rmi", "-f", "small:1", "big:1", "imported", "tagged")
    check_usable(kelp, archives)


# ---- (d) failing system calls ------------------------------------------------------------------

CALLS = {"openat": "EMFILE", "openat2": "EIO", "read": "EIO", "write": "EIO", "fsync": "EIO", "renameat": "EIO", "renameat2": "EIO",
         "mkdirat": "ENOSPC", "mmap": "ENOMEM", "clone3": "EAGAIN", "pipe2": "EMFILE", "socketpair": "EMFILE", "fstat": "EIO",
         "newfstatat": "EIO", "ftruncate": "ENOSPC", "flock": "EINTR", "recvmsg": "EIO", "sendmsg": "EIO", "setns": "EPERM",
         "unlinkat": "EIO", "symlinkat": "ENOSPC", "epoll_ctl": "ENOMEM", "execve": "EACCES", "mount": "EPERM", "fsopen": "EPERM",
         "move_mount": "EIO", "open_tree": "EIO", "pivot_root": "EIO", "close_range": "EIO", "getdents64": "EIO", "fchown": "EIO"}
CRASHES = [-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS] + [128 + s for s in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)]


@pytest.fixture
def traced(kelp):
    """A function (program, call, nth) → environment in which that program runs under a tracer that makes its nth such call fail."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    wrapped = kelp.work / "wrapped"
    wrapped.mkdir(exist_ok=True)
    for path in kelp.programs.iterdir():
        (wrapped / path.name).symlink_to(path)

    def wrap(program, call, nth):
        real = kelp.program(program)
        script = (f"#!/bin/sh\nexec strace -qq -o /dev/null -e trace={call} -e signal=none "
                  f"-e inject={call}:error={CALLS[call]}:when={nth} {real} \"$@\"\n")
        (wrapped / program).unlink()
        (wrapped / program).write_text(script)
        os.chmod(wrapped / program, 0o755)
        return wrapped

    def unwrap(program):
        (wrapped / program).unlink()
        (wrapped / program).symlink_to(kelp.program(program))

    return wrap, unwrap


@pytest.mark.parametrize("program,call", [(p, c) for p in ("kelp", "kelp-monitor", "kelp-image") for c in CALLS])
def test_failing_call(kelp, archives, traced, program, call):
    kelp.garbage = True
    wrap, unwrap = traced
    small, _, tar = archives
    kelp.ok("load", "-q", "-i", small)
    kelp.ok("run", "--rm", "small:1", "probe", "true")  # the holder is there: newuidmap can't work under a tracer
    for nth in (1, 2, 3, 5, 8):
        programs = wrap(program, call, nth)
        commands = [("run", "--rm", "small:1", "probe", "true")]
        if program != "kelp-monitor":
            commands = [("import", tar, "imported")] if program == "kelp-image" else commands + [("ps", "-a")]
        for args in commands:
            result = kelp.execute([programs / "kelp", *args], env={"KELP_LIBEXEC": programs}, timeout=15)
            assert result.rc not in CRASHES, f"{call} {nth}: {result!r}"
            assert result.rc == 0 or result.err.strip(), f"{call} {nth}: failed without a word: {result!r}"
        unwrap(program)
    kelp.ok("run", "--rm", "small:1", "probe", "true")
    kelp.ok("ps", "-a")
    stray_processes(kelp)


# ---- many at once ------------------------------------------------------------------------------


@pytest.mark.xdist_group("parallel")
def test_five_hundred_at_once(kelp, probe):
    kelp.ok("run", "--rm", probe, "probe", "true")
    running = [kelp.spawn(kelp.command("run", "--rm", probe, "probe", "echo", i), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for i in range(500)]
    failed = []
    for i, process in enumerate(running):
        out, err = process.communicate(timeout=120 * harness.SCALE)
        if process.returncode != 0 or out.decode().strip() != str(i):
            failed.append((process.returncode, out.decode(), err.decode()))
    assert not failed, f"{len(failed)} failed, among them {failed[:3]}"


def test_same_name_at_once(kelp, probe):
    """Exactly one of twenty gets the name."""
    running = [kelp.spawn(kelp.command("create", "--name", "one", probe, "probe", "true"), stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) for _ in range(20)]
    results = [(p.communicate()[1].decode(), p.returncode) for p in running]
    assert sorted(code == 0 for _, code in results) == [False] * 19 + [True], results
    assert all(re.search("name.*use|use.*name", err) for err, code in results if code != 0), results


def test_a_number_used_again_does_not_hit_another_container(kelp, probe):
    """
    What is left of a container that shared the host's processes is found by its mount namespace. When that is gone the
    kernel gives the number of its inode to the next one: the container that has it now must live.
    """
    try:
        with open("/proc/self/ns/mnt", "rb") as own:
            fcntl.ioctl(own, 0x8008B705, bytes(8))  # NS_GET_MNTNS_ID
    except OSError:
        pytest.skip("this kernel has no numbers for mount namespaces that are never used again")
    kelp.garbage = True
    container = kelp.ok("run", "-d", "--name", "dead", "--pid", "host", probe, "/bin/pause")
    record = kelp.root / "containers" / container / "run.json"
    data = json.loads(record.read_text())
    os.kill(data["monitor"]["pid"], signal.SIGKILL)
    wait_for(lambda: not kelp.processes(), what="the end of the container")
    kelp.ok("run", "-d", "--name", "alive", probe, "/bin/pause")
    data["mountNamespace"] = os.stat(f"/proc/{kelp.state('alive')['Pid']}/ns/mnt").st_ino
    record.write_text(json.dumps(data))
    assert kelp.state("dead")["Status"] == "exited"
    assert kelp.state("alive")["Running"]


def test_records_of_killed_sessions_are_bounded_by_age(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    records = kelp.root / "containers" / kelp.json("inspect", "c")[0]["Id"] / "exec"

    def ended():
        return [p for p in records.glob("[0-9a-f]*.json") if not json.loads(p.read_text())["Running"]]
    kelp.ok("exec", "-d", "c", "true")
    wait_for(lambda: records.is_dir() and ended(), what="the first record")
    os.utime(ended()[0], (1, 1))
    for i in range(70):
        path = records / f"{i:064x}.json"
        path.write_text(json.dumps({"ID": f"{i:064x}", "Running": True, "Pid": 1, "start": 1, "boot": "other"}))
        os.utime(path, (1000 - i, 1000 - i))
    kelp.ok("exec", "-d", "c", "true")
    wait_for(lambda: len(list(records.glob("[0-9a-f]*.json"))) == 64, what="no more than are kept")
    # The youngest stay: the new one, and those that were written last.
    assert len(ended()) == 1
    assert all((records / f"{i:064x}.json").exists() for i in range(63))
    kelp.ok("rm", "-f", "c")
