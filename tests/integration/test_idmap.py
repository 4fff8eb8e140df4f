# SPDX-License-Identifier: Apache-2.0
"""
The user's namespace U and its holder (idmap/, docs/userns.md), driven by tests/unit/idmap_tool.c.

Range files and mapping programs are replaced in a mount namespace of each command: what is bound over /etc/subuid there is what
both Kelp and the real newuidmap see, and nothing of the machine is changed.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest

import harness
from harness import wait_for

TOOL = harness.BUILD / "tests" / "unit" / "idmap_tool"
HELPER = harness.BUILD / "kelp-userns"
LIMIT = 60 * harness.SCALE

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to arrange the machine")


class World:
    """One user with a runtime directory of its own, and with the range files and programs it is to see."""

    def __init__(self, base, user, bin_dir):
        self.base, self.user, self.bin = pathlib.Path(base), user, bin_dir
        self.run_dir = self.base / "run"
        self.bound = {}
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.base), "LC_ALL": "C",
                    "KELP_LIBEXEC": str(bin_dir), "KELP_ROOT": str(self.base / "root"),
                    "XDG_RUNTIME_DIR": str(self.run_dir)}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.run_dir.mkdir(mode=0o700)
        if os.getuid() == 0:
            for path in (self.base, self.run_dir):
                os.chown(path, user.uid, user.gid)
        self.n = 0

    # -- what the user is to see

    def write(self, name, text, mode=0o644):
        """A file that stays the same one when it is written again."""
        path = self.base / name
        path.write_text(text)
        os.chmod(path, mode)
        return path

    def ranges(self, uids, gids=None):
        gids = uids if gids is None else gids
        for name, ranges in (("subuid", uids), ("subgid", gids)):
            text = "".join(f"{self.user.name}:{first}:{count}\n" for first, count in ranges)
            self.bound["/etc/" + name] = self.write(name, "nobody-else:5:5\n" + text)

    def own_ranges(self):
        """The same ranges in files of its own: the machine's change whenever somebody makes a user, and then a new holder is due."""
        if os.getuid() == 0:
            self.ranges(self.user.ranges(), harness.subordinate_ranges(self.user.name, "/etc/subgid"))

    def program(self, name, script):
        """A program of our own in front of the machine's."""
        directory = self.base / "path"
        directory.mkdir(exist_ok=True)
        os.chmod(directory, 0o755)
        self.write("path/" + name, "#!/bin/sh\n" + script, 0o755)
        self.env["PATH"] = f"{directory}:/usr/sbin:/usr/bin:/sbin:/bin"

    # -- running

    def command(self, *args, setpriv=(), env=(), uid=None, gid=None):
        environment = [f"{k}={v}" for k, v in {**self.env, **dict(env)}.items()]
        if os.getuid() != 0:
            assert not self.bound
            return ["env", "-i", *environment, self.bin / "idmap_tool", *args]
        binds = "".join(f"mount --bind '{source}' '{target}' && " for target, source in self.bound.items())
        drop = ["setpriv", f"--reuid={uid or self.user.uid}", f"--regid={gid or self.user.gid}", "--clear-groups", *setpriv]
        return ["unshare", "--mount", "sh", "-c", binds + 'exec "$@"', "sh", *drop,
                "env", "-i", *environment, self.bin / "idmap_tool", *args]

    def run(self, *args, **options):
        return subprocess.run(list(map(str, self.command(*args, **options))), capture_output=True, text=True,
                              timeout=LIMIT, cwd="/")

    def ok(self, *args, **options):
        result = self.run(*args, **options)
        assert result.returncode == 0, result
        return result.stdout

    def start(self, *args, **options):
        return subprocess.Popen(list(map(str, self.command(*args, **options))), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, cwd="/")

    def info(self, **options):
        return json.loads(self.ok("info", **options))

    # -- looking

    @property
    def file(self):
        found = list(self.run_dir.glob("kelp/*/holder.json"))
        assert len(found) == 1, found
        return found[0]

    @property
    def record(self):
        return json.loads(self.file.read_text())

    @property
    def pid(self):
        return self.record["pid"]

    def holders(self):
        return sorted(pid for pid, p in self.user.processes().items() if p[1] != "Z" and p[0].startswith(harness.HOLDER))


def uid_map(info, which="uidMap"):
    return [(line["containerID"], line["hostID"], line["size"]) for line in info[which]]


def lines(text):
    return [tuple(map(int, line.split())) for line in text.splitlines()]


def alive(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture(scope="module")
def bin_dir():
    path = pathlib.Path(tempfile.mkdtemp(prefix="kti", dir="/var/tmp"))
    os.chmod(path, 0o755)
    for source in (TOOL, HELPER):
        shutil.copy(source, path / source.name)
        os.chmod(path / source.name, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def idmap_user():
    return harness.take_user("kelp-idmap")


@pytest.fixture
def world(bin_dir, idmap_user):
    base = tempfile.mkdtemp(dir=bin_dir)
    os.chmod(base, 0o755)
    w = World(base, idmap_user, bin_dir)
    yield w
    for pid in w.holders():
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not w.holders(), what="holders end")
    shutil.rmtree(base, ignore_errors=True)


# ---- the full tier -----------------------------------------------------------------------------


def test_maps_the_caller_and_all_ranges(world):
    info = world.info()
    ranges = world.user.ranges()
    assert info["tier"] == "full" and info["why"] is None and info["remedy"] is None
    assert uid_map(info) == [(0, world.user.uid, 1), (1, *ranges[0])]
    assert uid_map(info, "gidMap")[0] == (0, world.user.gid, 1)
    assert lines(world.ok("enter", "cat", "/proc/self/uid_map")) == uid_map(info)
    assert world.ok("enter", "id", "-u", "-r") == "0\n"
    assert world.ok("enter", "cat", "/proc/self/setgroups") == "allow\n"


def test_whoever_entered_can_be_examined_and_holds_all_capabilities(world):
    text = world.ok("enter", "cat", "/proc/self/status")
    assert "CapEff:\t000001ff" in text or "CapEff:\t000003ff" in text or "CapEff:\t0000003f" in text
    owner = world.ok("enter", "stat", "-c", "%u", "/proc/self/environ")
    assert owner == "0\n"  # ours in there, not the overflow id of an undumpable process


def test_one_holder_serves_many_starts(world):
    world.own_ranges()
    world.info()
    pid = world.pid
    for _ in range(5):
        world.info()
    assert world.pid == pid and world.holders() == [pid]


def test_fifty_cold_starts_make_one_holder(world):
    starts = [world.start("info") for _ in range(50)]
    outputs = [p.communicate(timeout=LIMIT) for p in starts]
    assert [p.returncode for p in starts] == [0] * 50, outputs
    assert len({out for out, _ in outputs}) == 1
    assert world.holders() == [world.pid]


def test_holder_lets_go_of_everything(world):
    with open(world.base / "secret", "w+") as secret:
        os.chmod(world.base / "secret", 0o666)
        subprocess.run(list(map(str, world.command("info", env={"API_TOKEN": "s3cret"}))), check=True, timeout=LIMIT,
                       stdin=secret, stdout=secret, stderr=secret, cwd=world.base)
    proc = pathlib.Path(f"/proc/{world.pid}")
    targets = sorted(os.readlink(fd) for fd in (proc / "fd").iterdir())
    assert set(targets) <= {"/dev/null", "anon_inode:inotify"}, targets
    assert os.readlink(proc / "cwd") == "/"
    assert (proc / "comm").read_text() == "kelp-holder\n"
    assert (proc / "cmdline").read_bytes().rstrip(b"\0") == b"kelp-holder"
    assert b"s3cret" not in (proc / "environ").read_bytes()
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    assert int(fields[3]) == world.pid and int(fields[4]) == 0  # leads a session without a terminal


@pytest.mark.unsanitized  # whose memory is not ours
def test_holder_is_small(world):
    world.info()
    rollup = pathlib.Path(f"/proc/{world.pid}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private"))
    assert private < 768, rollup


# ---- its end -----------------------------------------------------------------------------------


def test_idle_holder_ends_and_takes_its_file_along(world):
    world.info(env={"KELP_HOLDER_IDLE": "1"})
    file = world.file
    wait_for(lambda: not world.holders(), what="idle end")
    assert not file.exists()
    assert world.info()["tier"] == "full"


def test_touched_holder_stays(world):
    world.own_ranges()
    idle = harness.SCALE  # s; a machine that is busy takes long for one look
    world.info(env={"KELP_HOLDER_IDLE": str(int(idle))})
    pid, end = world.pid, pathlib.Path(world.file).stat().st_mtime + 1.75 * idle
    wait_for(lambda: world.info() and world.file.stat().st_mtime > end, 10, "use beyond the idle time")
    assert world.pid == pid and alive(pid)


def test_clock_set_back_does_not_keep_the_holder(world):
    world.info(env={"KELP_HOLDER_IDLE": "1"})
    future = world.file.stat().st_mtime + 100000
    os.utime(world.file, (future, future))
    wait_for(lambda: not world.holders(), what="idle end in spite of a time in the future")


def test_killed_holder_is_replaced(world):
    world.info()
    pid = world.pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid not in world.holders(), what="death of the holder")  # a kill is done later than it returns
    assert world.info()["tier"] == "full"
    assert world.pid != pid and world.holders() == [world.pid]


def test_kill_while_many_look(world):
    """A holder that dies between being found and being entered is one that was not there."""
    world.info()
    starts = [world.start("enter", "true") for _ in range(30)]
    killed = world.pid
    os.kill(killed, signal.SIGKILL)
    outputs = [p.communicate(timeout=LIMIT) for p in starts]
    assert [p.returncode for p in starts] == [0] * 30, outputs
    wait_for(lambda: killed not in world.holders(), what="death of the holder")
    world.info()  # all may have been quicker than the kill
    wait_for(lambda: world.holders() == [world.pid], what="one holder")


def test_removed_file_ends_the_holder(world):
    world.info()
    world.file.unlink()
    wait_for(lambda: not world.holders(), 3, "holder notices")


def test_stop(world):
    world.ok("stop")  # none there
    world.info()
    world.ok("stop")
    assert not world.holders()
    assert not list(world.run_dir.glob("kelp/*/holder.json"))


def test_namespace_outlives_its_holder(world):
    inside = world.start("enter", "sh", "-c", "echo in; read line; cat /proc/self/uid_map", env={"KELP_HOLDER_IDLE": "1"})
    inside.stdin = None
    assert inside.stdout.readline() == "in\n"
    world.ok("stop")
    assert inside.wait(LIMIT) == 0
    assert lines(inside.stdout.read())[0] == (0, world.user.uid, 1)


@needs_root
def test_helper_killed_at_work_leaves_nothing(world):
    os.mkfifo(world.base / "hang")
    os.chmod(world.base / "hang", 0o666)
    world.program("newuidmap", f"echo > {world.base}/started; exec cat {world.base}/hang\n")
    starter = world.start("info")
    wait_for((world.base / "started").exists, what="mapping program runs")
    helper = [pid for pid, p in world.user.processes().items() if p[0] == "kelp-userns"]
    parent = min(helper)
    os.kill(parent, signal.SIGKILL)
    out, err = starter.communicate(timeout=LIMIT)
    assert starter.returncode == 125 and "kelp-userns" in err, (out, err)
    wait_for(lambda: not world.holders(), what="the child sees its parent's end")
    world.env["PATH"] = "/usr/bin:/bin"
    assert world.info()["tier"] == "full"
    with open(world.base / "hang", "w"):
        pass


@pytest.fixture(scope="module")
def fault_dir(bin_dir):
    """The helper of a build with -Dfault=true."""
    build = harness.BUILD if harness.build_option("fault") is True else harness.SOURCE / "build-fault"
    if not (build / "kelp-userns").exists():
        pytest.skip("no ./build-fault: meson setup build-fault -Dfault=true")
    path = bin_dir / "fault"
    path.mkdir()
    os.chmod(path, 0o755)
    shutil.copy(build / "kelp-userns", path / "kelp-userns")
    os.chmod(path / "kelp-userns", 0o755)
    return path


@pytest.mark.parametrize("point", ["userns-unshared", "userns-mapped", "userns-ready", "userns-written", "holder-detached",
                                   "holder-idle"])
def test_killed_anywhere(world, fault_dir, point):
    world.env["KELP_LIBEXEC"] = str(fault_dir)
    reached = world.base / "reached"
    world.run("info", env={"KELP_FAULT_KILL": point, "KELP_FAULT_LOG": str(reached), "KELP_HOLDER_IDLE": "1"})
    wait_for(reached.exists, what=f"{point} is reached")
    # One at its end may still be found: it wrote that it came there before it was killed. Then the next command makes another.
    wait_for(lambda: world.info()["tier"] == "full" and world.holders() == [world.pid], what="one holder, and no other process")


# ---- records that lie --------------------------------------------------------------------------


def replace(world, text=None, mode=0o600, make=None):
    path = world.file
    text = path.read_text() if text is None else text
    path.unlink()
    if make:
        make(path)
        return
    path.write_text(text)
    os.chmod(path, mode)
    if os.getuid() == 0:
        os.chown(path, world.user.uid, world.user.gid)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{\"nonce\":", "\0\0\0", "{\"pid\":1}" + " " * 70000])
def test_damaged_record_is_replaced(world, text):
    world.info()
    replace(world, text)
    assert world.info()["tier"] == "full"
    assert alive(world.pid)
    wait_for(lambda: world.holders() == [world.pid], what="the old holder ends")


@needs_root
def test_foreign_record_is_ignored(world):
    world.info()
    text, pid = world.file.read_text(), world.pid
    world.file.unlink()
    world_file = world.run_dir.glob("kelp/*").__next__() / "holder.json"
    world_file.write_text(text)  # root's now
    os.chmod(world_file, 0o644)
    assert world.info()["tier"] == "full"
    assert world.pid != pid and world.file.stat().st_uid == world.user.uid


@pytest.mark.parametrize("make", ["symlink", "fifo", "writable", "directory-less"])
def test_odd_file_is_ignored(world, make):
    world.info()
    text, pid = world.file.read_text(), world.pid
    if make == "symlink":
        world.write("copy", text, 0o600)
        if os.getuid() == 0:
            os.chown(world.base / "copy", world.user.uid, world.user.gid)
        replace(world, make=lambda path: path.symlink_to(world.base / "copy"))
    elif make == "fifo":
        def fifo(path):
            os.mkfifo(path, 0o600)
            os.chown(path, world.user.uid, world.user.gid)
        replace(world, make=fifo)
    elif make == "writable":
        replace(world, text, 0o666)
    else:
        world.file.unlink()
    assert world.info()["tier"] == "full"
    assert world.pid != pid
    assert stat.S_ISREG(world.file.lstat().st_mode)


@pytest.mark.parametrize("key, value", [("startTime", 1), ("bootId", "00000000-0000-0000-0000-000000000000"),
                                        ("ns", "1:2"), ("parentNs", "1:2"), ("pid", 1), ("pid", 2147483647),
                                        ("pid", 0), ("uid", 0), ("identity", "x"), ("tier", "best"),
                                        ("uidMap", "1 0 1\n"), ("uidMap", "0 0 4294967296\n")])
def test_stale_record_is_not_believed(world, key, value):
    world.info()
    record = world.record
    record[key] = value
    replace(world, json.dumps(record))
    info = world.info()
    assert uid_map(info)[0] == (0, world.user.uid, 1)
    assert world.record[key] != value


def test_stop_ends_no_stranger(world):
    """A reused process number, or a record that somebody edited."""
    world.info()
    other = world.start("enter", "sh", "-c", "echo in; exec sleep 300")
    try:
        assert other.stdout.readline() == "in\n"
        sleeper = wait_for(lambda: next((pid for pid, p in world.user.processes().items() if p[2].startswith("sleep 300")), None))
        fields = pathlib.Path(f"/proc/{sleeper}/stat").read_text().rpartition(")")[2].split()
        record = world.record
        record.update(pid=sleeper, startTime=int(fields[19]), ns="0:0")
        replace(world, json.dumps(record))
        world.ok("stop")
        assert alive(sleeper)
    finally:
        other.kill()
        other.wait()


@needs_root
def test_containers_cannot_enter_the_holder(world):
    """Not even as the caller's own uid, and with the process in sight."""
    world.info()
    attempt = ["nsenter", "--user", f"--target={world.pid}", "true"]
    for mode in ("keep-id", "private"):
        result = world.run("child", mode, *attempt)
        assert result.returncode != 0 and "Permission denied" in result.stderr, result
        result = world.run("child", mode, "cat", f"/proc/{world.pid}/environ")
        assert result.returncode != 0 and "denied" in result.stderr, result
    world.ok("child", "private", "true")


@needs_root
def test_other_users_cannot_enter_the_holder(world):
    world.info()
    result = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "nsenter", "--user",
                             f"--target={world.pid}", "true"], capture_output=True, text=True, timeout=LIMIT)
    assert result.returncode != 0, result


# ---- changed ranges ----------------------------------------------------------------------------


@needs_root
def test_changed_ranges_count_at_the_next_start(world):
    world.ranges([(700000, 65536)])
    assert uid_map(world.info()) == [(0, world.user.uid, 1), (1, 700000, 65536)]
    old = world.pid
    inside = world.start("enter", "sh", "-c", "echo in; exec sleep 300")
    try:
        assert inside.stdout.readline() == "in\n"
        world.ranges([(800000, 65536)])
        assert uid_map(world.info()) == [(0, world.user.uid, 1), (1, 800000, 65536)]
        wait_for(lambda: not alive(old), 3, "the old holder sees that it was replaced")
        assert inside.poll() is None  # what runs, runs on
        # another file in its place, as usermod leaves it
        world.bound["/etc/subuid"] = world.write("subuid.new", f"{world.user.name}:900000:65536\n")
        assert uid_map(world.info())[1] == (1, 900000, 65536)
    finally:
        inside.kill()
        inside.wait()


@needs_root
def test_several_ranges_are_all_used_once(world):
    world.ranges([(700000, 10000), (900000, 70000), (700000, 10000), (705000, 10000)], [(700000, 70000)])
    info = world.info()
    assert info["tier"] == "full"
    assert uid_map(info) == [(0, world.user.uid, 1), (1, 700000, 10000), (10001, 900000, 70000), (80001, 710000, 5000)]
    assert lines(world.ok("enter", "cat", "/proc/self/uid_map")) == uid_map(info)
    # a container's lines are cut where U's are
    assert lines(world.ok("child", "keep-id:uid=10500", "cat", "/proc/self/uid_map")) == \
        [(0, 1, 10000), (10000, 10001, 500), (10500, 0, 1), (10501, 10501, 69500), (80001, 80001, 5000)]


@needs_root
def test_hundreds_of_ranges(world):
    world.ranges([(1000000 + 1000 * i, 500) for i in range(400)])
    info = world.info()
    assert info["tier"] == "full" and info["why"] is None
    assert 200 < len(info["uidMap"]) <= 340
    assert len(lines(world.ok("child", "keep-id", "cat", "/proc/self/uid_map"))) >= len(info["uidMap"])


# ---- lower tiers -------------------------------------------------------------------------------


@needs_root
def test_short_tier(world):
    world.ranges([(700000, 1000)])
    info = world.info()
    assert info["tier"] == "short"
    assert "1001 uids" in info["why"] and world.user.name in info["why"]
    assert "usermod --add-subuids 701000-766535 --add-subgids 701000-766535" in info["remedy"]
    assert uid_map(info) == [(0, world.user.uid, 1), (1, 700000, 1000)]


@needs_root
@pytest.mark.parametrize("uids, gids, missing", [([], [], "/etc/subuid and /etc/subgid"),
                                                 ([(700000, 65536)], [], "/etc/subgid"),
                                                 ([], [(700000, 65536)], "/etc/subuid")])
def test_no_ranges(world, uids, gids, missing):
    world.ranges(uids, gids)
    info = world.info()
    assert info["tier"] == "one"
    assert info["why"] == f"no subordinate ids for user '{world.user.name}' in {missing}"
    assert "usermod" in info["remedy"]
    assert uid_map(info) == [(0, world.user.uid, 1)] and uid_map(info, "gidMap") == [(0, world.user.gid, 1)]
    assert world.ok("enter", "cat", "/proc/self/setgroups") == "deny\n"
    assert world.ok("enter", "id", "-u") == "0\n"
    assert lines(world.ok("child", "keep-id", "cat", "/proc/self/uid_map")) == [(world.user.uid, 0, 1)]


@needs_root
def test_missing_range_files(world):
    """A machine without /etc/subuid and /etc/subgid at all: bound over so that they don't open."""
    world.bound["/etc/subuid"] = world.bound["/etc/subgid"] = world.write("empty", "")
    info = world.info()
    assert info["tier"] == "one" and "no subordinate ids" in info["why"]


@needs_root
@pytest.mark.parametrize("name", ["newuidmap", "newgidmap"])
def test_mapping_program_missing_then_installed(world, name):
    world.bound[f"/usr/bin/{name}"] = "/dev/null"
    info = world.info()
    assert info["tier"] == "one" and info["why"] == f"{name} is not installed"
    assert "uidmap" in info["remedy"]
    del world.bound[f"/usr/bin/{name}"]
    assert world.info()["tier"] == "full"  # at once, not after the idle time


@needs_root
@pytest.mark.parametrize("name", ["newuidmap", "newgidmap"])
def test_mapping_program_refuses(world, name):
    world.program(name, "echo 'uid range [1-65537) is not allowed' >&2; exit 1\n")
    info = world.info()
    assert info["tier"] == "one"
    assert info["why"] == f"{name} refused: 'uid range [1-65537) is not allowed' (exit code 1)"
    assert f"chmod u+s {world.base}/path/{name}" in info["remedy"]
    assert lines(world.ok("enter", "cat", "/proc/self/uid_map")) == [(0, world.user.uid, 1)]


@needs_root
def test_mapping_program_refuses_with_hostile_words(world):
    """More than a pipe holds, control characters, quotes, no UTF-8."""
    world.program("newuidmap", "printf 'a\"\\\\\\033[31m\\377' >&2; yes | head -c 200000 >&2; exit 1\n")
    info = world.info()
    assert info["tier"] == "one" and "newuidmap refused: 'a\"\\?[31m?y y y" in info["why"]


@needs_root
def test_mapping_program_that_lies(world):
    world.program("newuidmap", "exit 0\n")
    info = world.info()
    assert info["tier"] == "one" and "uid_map is not what was asked for" in info["why"]


@needs_root
def test_no_new_privs_counts_for_its_process_only(world):
    info = world.info(setpriv=["--no-new-privs"])
    assert info["tier"] == "one" and "newuidmap refused" in info["why"]
    assert "no_new_privs" in info["remedy"]
    assert world.info()["tier"] == "full"
    assert world.info(setpriv=["--no-new-privs"])["tier"] == "full"  # entering takes no privilege


@needs_root
def test_other_primary_group(world):
    """After newgrp newuidmap refuses; the namespace made before serves all the same."""
    other = 65534
    info = world.info(gid=other)
    assert info["tier"] == "one" and "newgrp" in info["remedy"]
    assert uid_map(info, "gidMap") == [(0, 65534, 1)]
    assert world.info()["tier"] == "full"
    assert world.info(gid=other)["tier"] == "full"
    assert world.ok("enter", "id", "-g", gid=other) == "0\n"


@needs_root
def test_user_without_a_name(world):
    uid = 4000000001
    os.chown(world.run_dir, uid, uid)
    os.chmod(world.base, 0o777)
    info = json.loads(world.ok("info", uid=uid, gid=uid))
    pid = world.pid
    try:
        assert info["tier"] == "one" and f"uid {uid} has no user name" in info["why"]
    finally:
        os.kill(pid, signal.SIGTERM)


# ---- nested ------------------------------------------------------------------------------------


def test_in_a_namespace_with_one_id(world):
    info = json.loads(subprocess.run(list(map(str, world.command("child", "keep-id:uid=0,gid=0", world.bin / "idmap_tool",
                                                                 "info"))), capture_output=True, text=True,
                                     timeout=LIMIT, check=True).stdout)
    assert info["tier"] == "full"  # root of a container, with all the ids that it has
    inner = ["unshare", "--user", "--map-root-user", world.bin / "idmap_tool", "info"]
    info = json.loads(world.ok("enter", *inner))
    assert info["tier"] == "one" and "already inside a user namespace" in info["why"]
    assert "surrounding container" in info["remedy"]


def test_root_of_a_container_maps_what_there_is(world):
    info = json.loads(world.ok("enter", world.bin / "idmap_tool", "info"))
    assert info["tier"] == "full"
    assert uid_map(info)[:2] == [(0, 0, 1), (1, 1, 65536)]


def test_root_of_a_container_without_setfcap(world):
    result = world.run("enter", "setpriv", "--bounding-set=-setfcap", world.bin / "idmap_tool", "info")
    assert result.returncode == 125, result
    assert "write uid_map: Operation not permitted" in result.stderr and "CAP_SETFCAP" in result.stderr


def test_user_of_a_container_without_his_ranges(world):
    """His ranges are in /etc/subuid, but the namespace around holds none of them."""
    mode = f"keep-id:uid={world.user.uid},gid={world.user.gid}"
    info = json.loads(world.ok("child", mode, world.bin / "idmap_tool", "info"))
    assert info["tier"] == "one" and "holds none of the subordinate ids" in info["why"]
    assert uid_map(info) == [(0, world.user.uid, 1)]


def test_both_sides_keep_working(world):
    """The same runtime directory used from a namespace inside and from outside: each gets a namespace that is right for it."""
    outside = uid_map(world.info())
    inside = uid_map(json.loads(world.ok("enter", world.bin / "idmap_tool", "info")))
    assert inside[0] == (0, 0, 1)
    assert uid_map(world.info()) == outside


def test_limit_of_namespaces(world):
    script = "echo 0 > /proc/sys/user/max_user_namespaces && exec " + str(world.bin / "idmap_tool") + " info"
    result = world.run("enter", "sh", "-c", script, env={"XDG_RUNTIME_DIR": str(world.run_dir)})
    # U is a namespace of its own with a limit of its own: it is thrown away with the holder
    assert result.returncode == 125, result
    assert "user namespace: make a user namespace: No space left on device" in result.stderr
    assert "hint: user namespaces are switched off; as root: sysctl -w user.max_user_namespaces=15000" in result.stderr
    world.ok("stop")


@needs_root
def test_real_root_maps_everything(world):
    os.chown(world.run_dir, 0, 0)
    try:
        info = json.loads(subprocess.run([world.bin / "idmap_tool", "info"], env=world.env, capture_output=True, text=True,
                                         timeout=LIMIT, check=True).stdout)
        assert info["tier"] == "full"
        assert uid_map(info) == [(0, 0, 1), (1, 1, 4294967294)] or info["uidMap"][0]["hostID"] == 0
    finally:
        subprocess.run([world.bin / "idmap_tool", "stop"], env=world.env, check=True, timeout=LIMIT)


# ---- errors ------------------------------------------------------------------------------------


@needs_root
def test_missing_helper(world):
    result = world.run("info", env={"KELP_LIBEXEC": "/nonexistent"})
    assert result.returncode == 125
    assert "start '/nonexistent/kelp-userns'" in result.stderr and "hint: is Kelp installed completely?" in result.stderr


@needs_root
def test_full_disk(world):
    """No room for holder.json: an error that says so, no half-made holder."""
    world.info()
    world.ok("stop")
    runtime = next(world.run_dir.glob("kelp/*"))
    target = f"mount -t tmpfs -o size=4k,nr_inodes=2,mode=700,uid={world.user.uid} none '{runtime}' && "
    command = world.command("info")
    command[4] = command[4].replace('exec "$@"', target + 'exec "$@"')
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=LIMIT)
    assert result.returncode == 125 and "No space left on device" in result.stderr, result
    wait_for(lambda: not world.holders(), what="nothing is left")


def test_helper_by_hand():
    result = subprocess.run([HELPER], capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
    assert result.returncode == 1
    assert "is run by kelp" in json.loads(result.stdout)["message"]
