# SPDX-License-Identifier: Apache-2.0
"""
What the integration tests stand on: ordinary users, Kelp run as one of them, and the proof that nothing was left behind.

The suite runs as root (or as an ordinary user, with fewer tests). Each session takes a user for itself: kelp-test, or the
next of kelp-test2 … kelp-test9 that no other session has locked, so that "no process of this user is left" can be asked.
"""
import contextlib
import fcntl
import grp
import json
import os
import pathlib
import pty
import pwd
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("KELP_BUILD_DIR", SOURCE / "build")).resolve()
LOCKS = pathlib.Path("/var/tmp")
HOLDER = ("kelp-holder", "kelp-userns")  # while it is made it has its maker's name


def build_option(name):
    """An option of the build that is tested."""
    try:
        options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    except OSError:
        return None
    return next((o["value"] for o in options if o["name"] == name), None)


SANITIZED = build_option("b_sanitize") not in (None, "none")
# Everything has a time limit; a sanitizer's programs are several times slower, and so is a machine that is busy.
SCALE = float(os.environ.get("KELP_TEST_SCALE", "4" if SANITIZED else "2"))


def wait_for(condition, timeout=10.0, what="condition"):
    """Asks every few milliseconds until it is true; the value it had."""
    end = time.monotonic() + timeout * SCALE
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout * SCALE:.0f} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


# ---- users -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(name):
    fd = os.open(LOCKS / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def subordinate_ranges(name, path="/etc/subuid"):
    """[(first, count)] of a user."""
    uid = str(pwd.getpwnam(name).pw_uid)
    ranges = []
    with contextlib.suppress(OSError):
        for line in pathlib.Path(path).read_text().splitlines():
            fields = line.split(":")
            if len(fields) == 3 and fields[0] in (name, uid):
                ranges.append((int(fields[1]), int(fields[2])))
    return ranges


class User:
    """An ordinary user of this machine."""

    def __init__(self, name):
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid, self.home = name, entry.pw_uid, entry.pw_gid, entry.pw_dir
        self.groups = sorted({g.gr_gid for g in grp.getgrall() if name in g.gr_mem} | {self.gid})
        self.lock_fd = -1

    def ranges(self):
        return subordinate_ranges(self.name)

    def credentials(self):
        """Arguments for subprocess."""
        if os.getuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": self.groups, "umask": 0o022}

    def owns(self, uid):
        return uid == self.uid or any(first <= uid < first + count for first, count in self.ranges())

    def processes(self):
        """{pid: (name, state, command line)} of everything that runs with the user's or his subordinate ids."""
        found = {}
        ranges = [(self.uid, 1)] + self.ranges()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                uids = [int(u) for u in re.search(r"^Uid:\s+(.*)$", status, re.M).group(1).split()]
                if not any(first <= u < first + count for u in uids for first, count in ranges):
                    continue
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(pid)] = (re.search(r"^Name:\s+(.*)$", status, re.M).group(1),
                                   re.search(r"^State:\s+(\S)", status, re.M).group(1), command[:200])
        return found


def _make_user(name, subordinate):
    with _locked("kelp-test-users"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True, capture_output=True)
        have = subordinate_ranges(name)
        if subordinate and not have:
            first = 100000
            for path in ("/etc/subuid", "/etc/subgid"):
                for line in pathlib.Path(path).read_text().splitlines() if os.path.exists(path) else []:
                    fields = line.split(":")
                    first = max(first, int(fields[1]) + int(fields[2]))
            ids = f"{first}-{first + 65535}"
            subprocess.run(["usermod", "--add-subuids", ids, "--add-subgids", ids, name], check=True, capture_output=True)
        elif not subordinate and have:
            for path in ("/etc/subuid", "/etc/subgid"):
                kept = [l for l in pathlib.Path(path).read_text().splitlines(True) if not l.startswith(name + ":")]
                pathlib.Path(path).write_text("".join(kept))
    return User(name)


def take_user(base, subordinate=True):
    """A user that no other test session uses, made when missing. None when we are not root."""
    if os.getuid() != 0:
        return User(pwd.getpwuid(os.getuid()).pw_name) if subordinate else None
    for n in range(1, 10):
        name = base if n == 1 else f"{base}{n}"
        fd = os.open(LOCKS / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue
        user = _make_user(name, subordinate)
        user.lock_fd = fd
        for pid in user.processes():  # of a session that was killed
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return user
    raise RuntimeError(f"all of {base}, {base}2 … {base}9 are in use by other test sessions")


# ---- running -----------------------------------------------------------------------------------


class Result:
    def __init__(self, args, rc, out, err):
        self.args, self.rc, self.out, self.err = args, rc, out, err

    def __repr__(self):
        def short(text):
            return text if len(text) < 4000 else text[:3000] + " […] " + text[-900:]
        return f"{' '.join(map(str, self.args))}: exit {self.rc}\n--- stdout\n{short(self.out)}\n--- stderr\n{short(self.err)}"


class Pty:
    """A command on a terminal of its own, as a user's shell would start it."""

    def __init__(self, args, env, cwd, user, size=(24, 80)):
        self.master, slave = pty.openpty()
        self.resize(*size)
        if os.getuid() == 0:
            os.fchown(slave, user.uid, -1)
        # setsid and the controlling terminal come from util-linux: no code of ours between fork and exec
        self.process = subprocess.Popen(["setsid", "--ctty", "--wait", *map(str, args)], stdin=slave, stdout=slave,
                                        stderr=slave, env=env, cwd=cwd, close_fds=True, **user.credentials())
        self.slave = slave  # kept: what the command leaves in the terminal's settings can be asked afterwards
        self.seen = ""

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def send(self, text):
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def _read(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return None
        self.seen += data.decode(errors="replace")
        return bool(data) or None

    def expect(self, pattern, timeout=10):
        """Reads until the pattern appears; the match. What was read up to its end is consumed."""
        end = time.monotonic() + timeout * SCALE
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            if self._read(0.05) is None or time.monotonic() > end or (self.process.poll() is not None and
                                                                      not self._read(0.05)):
                match = re.search(pattern, self.seen)
                if match:
                    continue
                raise AssertionError(f"{pattern!r} did not come; got {self.seen!r}, exit {self.process.poll()}")

    def wait(self, timeout=10):
        """The exit code; output is read on meanwhile, so that the command can't block on it."""
        end = time.monotonic() + timeout * SCALE
        while self.process.poll() is None:
            self._read(0.02)
            if time.monotonic() > end:
                raise AssertionError(f"still running; output {self.seen!r}")
        while self._read(0):
            pass
        return self.process.returncode

    def settings(self):
        """The terminal's settings now, as tcgetattr gives them."""
        return termios.tcgetattr(self.slave)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)


class Kelp:
    """
    Kelp with a store and runtime directory of its own, run as a user.

      kelp("run", "--rm", "probe", "true")   → Result(rc, out, err); never raises but on a time-out
      kelp.ok("ps", "-q")                     → stdout, stripped; fails the test unless the exit code is 0
      kelp.fails("rm", "x", code=1, match=…)  → Result; fails the test unless the exit code and stderr match
      kelp.json("inspect", "x")               → parsed stdout (a list, a dict, or a list of lines of JSON)
      kelp.popen("run", …)                    → Popen with text pipes, killed at the end of the test
      kelp.pty("run", "-it", …)               → Pty
      kelp.program("kelp-image"), kelp.root, kelp.runtime, kelp.env, kelp.user, kelp.work (the user's scratch directory)
    """

    def __init__(self, base, user, programs, cache, root=None):
        self.base, self.user, self.programs = pathlib.Path(base), user, programs
        self.root = pathlib.Path(root) if root else self.base / "d"
        self.runtime_dir, self.work = self.base / "r", self.base / "w"
        for d, mode in ((self.base, 0o755), (self.root, 0o700), (self.runtime_dir, 0o700), (self.work, 0o755)):
            d.mkdir(parents=True, exist_ok=True)
            os.chmod(d, mode)
            if os.getuid() == 0:
                os.chown(d, user.uid, user.gid)
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": user.home, "USER": user.name,
                    "LOGNAME": user.name, "LANG": "C.UTF-8", "KELP_ROOT": str(self.root),
                    "XDG_RUNTIME_DIR": str(self.runtime_dir), "XDG_CACHE_HOME": str(cache),
                    "KELP_LIBEXEC": str(programs),
                    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
                    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1"}
        self.wrapper = []       # put before every command line: strace, prlimit …
        self.garbage = False    # this test kills: the next command may sweep before leftovers are counted
        self.started = []
        self.own_mounts = []    # made by the test, below its directory

    def program(self, name):
        return str(self.programs / name)

    @property
    def runtime(self):
        """The directory below XDG_RUNTIME_DIR that belongs to this store."""
        found = sorted((self.runtime_dir / "kelp").glob("*/"))
        return found[0] if found else self.runtime_dir / "kelp"

    def command(self, *args):
        return [*self.wrapper, self.program("kelp"), *map(str, args)]

    def spawn(self, argv, **kw):
        """Popen as the user, in this environment."""
        env = {**self.env, **{k: v for k, v in (kw.pop("env", None) or {}).items()}}
        env = {k: str(v) for k, v in env.items() if v is not None}
        kw.setdefault("cwd", self.work)
        kw.setdefault("stdin", subprocess.DEVNULL)
        credentials = (kw.pop("as_user", None) or self.user).credentials()
        return subprocess.Popen(list(map(str, argv)), env=env, **credentials, **kw)

    def execute(self, argv, input=None, timeout=60, **kw):
        """Any program as the user; Result."""
        if input is not None:
            kw["stdin"] = subprocess.PIPE
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        process = self.spawn(argv, **kw)
        data = input.encode() if isinstance(input, str) else input
        try:
            out, err = process.communicate(data, timeout=timeout * SCALE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"no end within {timeout * SCALE:.0f} s: " +
                                 repr(Result(argv, None, (out or b"").decode(errors="replace"),
                                             (err or b"").decode(errors="replace")))) from None
        return Result(argv, process.returncode, (out or b"").decode(errors="replace"),
                      (err or b"").decode(errors="replace"))

    def __call__(self, *args, **kw):
        return self.execute(self.command(*args), **kw)

    def ok(self, *args, **kw):
        result = self(*args, **kw)
        assert result.rc == 0, result
        return result.out.strip()

    def fails(self, *args, code=None, match=None, **kw):
        result = self(*args, **kw)
        assert result.rc != 0 if code is None else result.rc == code, result
        assert match is None or re.search(match, result.err), result
        return result

    def json(self, *args, **kw):
        text = self.ok(*args, **kw)
        try:
            return json.loads(text)
        except ValueError:
            return [json.loads(line) for line in text.splitlines()]

    def popen(self, *args, **kw):
        kw.setdefault("stdin", subprocess.PIPE)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        kw.setdefault("text", True)
        process = self.spawn(self.command(*args), **kw)
        self.started.append(process)
        return process

    def pty(self, *args, size=(24, 80), env=None):
        terminal = Pty(self.command(*args), {**self.env, "TERM": "xterm", **(env or {})}, self.work, self.user, size)
        self.started.append(terminal)
        return terminal

    def state(self, container):
        return self.json("container", "inspect", container)[0]["State"]  # "c" may begin an image's id

    def wait_running(self, container):
        return wait_for(lambda: self("container", "inspect", container).rc == 0 and self.state(container)["Running"],
                        what=f"container {container} running")

    def import_image(self, data, name, *args):
        """Imports the bytes of a root file system's tar."""
        self.ok("import", *args, "-", name, input=data, timeout=120)
        return name

    # ---- what is left ----

    def processes(self, holders=False):
        return {pid: p for pid, p in self.user.processes().items()
                if p[1] != "Z" and (holders or not p[0].startswith(HOLDER[:15]))}

    def end_holders(self):
        for pid, p in self.user.processes().items():
            if p[0].startswith(HOLDER[:15]):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not any(p[0].startswith(HOLDER[:15]) for p in self.processes(True).values()), 3)

    def mounts(self):
        with open("/proc/self/mountinfo") as f:
            return [line for line in f if f"{self.base}/" in line and line.split()[4] not in self.own_mounts]

    def leftovers(self):
        """Files that no command will need any more; [] when all is well. Containers were removed before."""
        found = []
        for name in ("tmp", "containers", "names"):
            d = self.root / name
            if d.is_dir():
                found += [str(p) for p in d.iterdir() if p.name != ".lock"]
        run = self.runtime
        if run.is_dir():
            found += [str(p) for p in run.iterdir() if p.name.endswith(".sock")]
        return found

    def finish(self):
        """The end of a test: ends what it started, and says what is left that should not be. Returns the complaints."""
        complaints = []
        for process in self.started:
            if isinstance(process, Pty):
                process.close()
            else:
                if process.poll() is None:
                    process.kill()
                for stream in (process.stdin, process.stdout, process.stderr):
                    if stream:
                        with contextlib.suppress(OSError):
                            stream.close()
                process.wait()
        self.wrapper = []
        if (self.root / "containers").is_dir():
            try:
                if self.garbage:
                    self("ps", "-a")
                ids = self("ps", "-aq", "--no-trunc").out.split()
                if ids:
                    result = self("rm", "-f", *ids, timeout=60)
                    if result.rc != 0:
                        complaints.append(f"could not remove the test's containers: {result}")
            except AssertionError as e:
                complaints.append(str(e))
        try:
            wait_for(lambda: not self.processes(), 5)
        except AssertionError:
            complaints.append(f"processes left: {self.processes()}")
        try:
            wait_for(lambda: not self.leftovers(), 1)
        except AssertionError:
            complaints.append(f"files left: {self.leftovers()}")
        self.end_holders()
        if self.processes(True):
            for pid in self.processes(True):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(AssertionError):
                wait_for(lambda: not self.processes(True), 5)
        if self.mounts():
            complaints.append(f"mounts left: {self.mounts()}")
        return complaints

    def remove(self):
        if os.getuid() == 0:
            shutil.rmtree(self.base, ignore_errors=True)
        else:  # files of subordinate ids
            subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", str(self.base)], check=False,
                           capture_output=True)
            shutil.rmtree(self.base, ignore_errors=True)
