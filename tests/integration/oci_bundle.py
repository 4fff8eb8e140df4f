# SPDX-License-Identifier: Apache-2.0
"""
Bundles for the OCI runtime's tests: a root file system around the probe program, a config.json, and kelp-oci run on them.

  oci, root_oci          Oci: kelp-oci with a state directory of its own, as the suite's ordinary user, as root (conftest.py)
  oci.bundle("id")       Bundle whose process is the probe with these arguments; an absolute path is another program
  oci("list", "-q")      Result of any command line
  b.config               the dict that is written as config.json by run() and create(); b.rootfs is its root directory
  b.output()             runs it in the foreground: stdout, stripped; the test fails unless the exit code is 0
  b.fails(match=…)       runs it in the foreground: the Result of what must fail before the program ran
  b.run()                … any Result
  b.create(), start(), state(), status(), kill(sig), delete(), wait("stopped")
                         each checks that it worked; the forms with try_ give a Result. The output of a created container
                         goes to files: b.stdout, b.stderr (str)
  b.inside("id")         exec of the probe in the container: stdout, stripped

At the end of a test everything is deleted by force; a process, mount, cgroup or state directory that is left fails it.

KELP_OCI_RUNTIME names another runtime (crun, runc) to develop a test against: a clause is known to be read right when an
established runtime passes.
"""
import contextlib
import copy
import io
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import time

import harness
import rootfs
from harness import SCALE, Result, wait_for

OTHER = os.environ.get("KELP_OCI_RUNTIME")
PROBE = "/bin/probe"
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"]
CGROUPS = pathlib.Path("/sys/fs/cgroup")


def mount(destination, kind, source, *options):
    return {"destination": destination, "type": kind, "source": str(source), "options": list(options)}


def bind(source, destination, *options):
    return mount(destination, "none", source, "bind", *options)


def mounts():
    """What the default file systems of the specification are mounted as."""
    return [mount("/proc", "proc", "proc"),
            mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
            mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
            mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
            mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")]


def default_config(args, user=None):
    """A config.json. user: whose ids a user namespace maps (to 0, and its subordinate ids from 1 on); None: no user namespace."""
    namespaces = ["pid", "network", "ipc", "uts", "mount"] + (["user"] if user else [])
    config = {"ociVersion": "1.0.2",
              "process": {"user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/", "env": ["PATH=/bin"],
                          "capabilities": {s: list(CAPABILITIES) for s in ("bounding", "effective", "permitted")},
                          "noNewPrivileges": True},
              "root": {"path": "rootfs"}, "hostname": "bundle", "mounts": mounts(),
              "linux": {"namespaces": [{"type": t} for t in namespaces]}}
    if user:
        for key, own, path in (("uidMappings", user.uid, "/etc/subuid"), ("gidMappings", user.gid, "/etc/subgid")):
            maps, inside = [{"containerID": 0, "hostID": own, "size": 1}], 1
            for first, count in harness.subordinate_ranges(user.name, path):
                maps.append({"containerID": inside, "hostID": first, "size": count})
                inside += count
            config["linux"][key] = maps
    return config


class Root:
    """Stands where a harness.User does, for the runtime run by root itself."""
    name, uid, gid, home = "root", 0, 0, "/root"

    def credentials(self):
        return {}

    def processes(self):
        return {}


class Oci:
    """The runtime, run as one user, with a state directory of its own."""

    def __init__(self, base, user, programs):
        self.base, self.user, self.programs = pathlib.Path(base), user, programs
        self.root, self.runtime_dir, self.work = self.base / "s", self.base / "r", self.base / "w"
        for d in (self.base, self.root, self.runtime_dir, self.work):
            d.mkdir(parents=True, exist_ok=True)
            os.chmod(d, 0o755 if d in (self.base, self.work) else 0o700)
            self.give(d)
        self.program = shutil.which(OTHER) if OTHER else str(self.programs / "kelp-oci")
        self.globals = ["--root", str(self.root)]
        if OTHER and "crun" in OTHER:
            self.globals.append("--cgroup-manager=disabled")  # it refuses hybrid hierarchies of cgroups
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": user.home, "USER": user.name,
                    "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(self.runtime_dir), "KELP_LIBEXEC": str(programs),
                    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
                    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1"}
        self.bundles, self.started, self.closing = [], [], []
        self.numbers = itertools.count()

    @property
    def rootless(self):
        return self.user.uid != 0

    def give(self, path):
        """Makes a file the user's."""
        if os.getuid() == 0:
            os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)
        return path

    def directory(self, name):
        path = self.work / name
        path.mkdir(parents=True)
        return self.give(path)

    def file(self, name, text="", mode=0o644):
        path = self.work / name
        path.write_text(text)
        os.chmod(path, mode)
        return self.give(path)

    def command(self, *args):
        return [self.program, *self.globals, *map(str, args)]

    def spawn(self, argv, **kw):
        """Popen as the user."""
        env = {**self.env, **(kw.pop("env", None) or {})}
        env = {k: str(v) for k, v in env.items() if v is not None}
        kw.setdefault("cwd", self.work)
        kw.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(list(map(str, argv)), env=env, **{**self.user.credentials(), **kw})
        self.started.append(process)
        return process

    def execute(self, argv, input=None, timeout=30, out=None, err=None, **kw):
        """
        Any program as the user; Result. What it leaves running keeps its output: that goes to files, of which we don't
        wait for the end. out, err: their paths.
        """
        n = next(self.numbers)
        out, err = out or self.base / f"{n}.out", err or self.base / f"{n}.err"
        with open(out, "wb") as stdout, open(err, "wb") as stderr:
            kw.setdefault("stdout", stdout)
            kw.setdefault("stderr", stderr)
            if input is not None:
                kw["stdin"] = subprocess.PIPE
            process = self.spawn(argv, **kw)
        data = input.encode() if isinstance(input, str) else input
        try:
            process.communicate(data, timeout=timeout * SCALE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            result = Result(argv, None, out.read_text(errors="replace"), err.read_text(errors="replace"))
            raise AssertionError(f"no end within {timeout * SCALE:.0f} s: {result!r}") from None
        return Result(argv, process.returncode, out.read_text(errors="replace"), err.read_text(errors="replace"))

    def __call__(self, *args, **kw):
        return self.execute(self.command(*args), **kw)

    def ok(self, *args, **kw):
        result = self(*args, **kw)
        assert result.rc == 0, result
        return result.out.strip()

    def fails(self, *args, match=None, **kw):
        result = self(*args, **kw)
        assert result.rc != 0, result
        assert match is None or re.search(match, result.err), result
        return result

    def json(self, *args, **kw):
        return json.loads(self.ok(*args, **kw))

    def bundle(self, *args, cid=None):
        """A bundle whose process is the probe with args; without args it has a pause."""
        args = [str(a) for a in args] or ["pause"]
        args = args if args[0].startswith("/") else [PROBE, *args]
        self.bundles.append(Bundle(self, cid or f"{self.base.name}-{len(self.bundles)}", args))
        return self.bundles[-1]

    # ---- what is left ----

    def processes(self):
        """{pid: command line} of what was started by this runtime: all of it has our runtime directory in its environment."""
        found = {}
        marks = (f"={self.runtime_dir}".encode(), f"KELP_OCI_TEST={self.base}".encode())
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
                if any(m in environment for m in marks) and int(pid) != os.getpid():
                    found[int(pid)] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
        found.update({pid: p[2] for pid, p in self.user.processes().items() if p[1] != "Z"})
        return found

    def mounts(self):
        with open("/proc/self/mountinfo") as f:
            return [line for line in f if f"{self.base}/" in line]

    def cgroups(self):
        """Directories of cgroups that bear the name of one of our containers."""
        names = f"*{self.base.name}-*"
        return [str(p) for top in (CGROUPS, CGROUPS / "unified", *CGROUPS.glob("*/")) for p in [*top.glob(names), *top.glob(f"*/{names}")]]

    def _collect(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
            process.wait()

    def finish(self):
        """Deletes all containers and says what is left: complaints."""
        complaints = []
        for each in self.closing:
            each.close()
        for b in self.bundles:
            with contextlib.suppress(AssertionError):
                b.oci("delete", "--force", b.id)
        self._collect()
        try:
            wait_for(lambda: not self.processes(), 5)
        except AssertionError:
            complaints.append(f"processes left: {self.processes()}")
            for pid in self.processes():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        left = [str(p) for p in self.root.iterdir() if p.is_dir()]
        if left:
            complaints.append(f"states left: {left}")
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not self.cgroups(), 2)
        for what, found in (("mounts", self.mounts()), ("cgroups", self.cgroups())):
            if found:
                complaints.append(f"{what} left: {found}")
        return complaints

    def remove(self):
        if os.getuid() != 0:  # files of subordinate ids
            subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", str(self.base)], check=False, capture_output=True)
        shutil.rmtree(self.base, ignore_errors=True)


class Bundle:
    """A bundle directory and the container that is made of it."""

    def __init__(self, oci, cid, args):
        self.oci, self.id = oci, cid
        self.path = oci.directory(cid)
        self.rootfs = self.path / "rootfs"
        self.config = copy.deepcopy(default_config(args, oci.user if oci.rootless else None))
        self.process, self.linux = self.config["process"], self.config["linux"]
        self.process["env"].append(f"KELP_OCI_TEST={oci.base}")
        self.pid_file = self.path / "pid"
        self._out, self._err = self.path / "out", self.path / "err"
        self._fill()

    def _fill(self):
        with tarfile.open(fileobj=io.BytesIO(rootfs.probe_tar(self.oci.programs / "probe"))) as tar:
            tar.extractall(self.rootfs)  # our own archive
        for directory, _, files in os.walk(self.rootfs):
            self.oci.give(directory)
            for name in files:
                self.oci.give(os.path.join(directory, name))

    # ---- the configuration ----

    def args(self, *args):
        self.process["args"] = [PROBE, *map(str, args)]
        return self

    def namespaces(self, **paths):
        """Adds namespaces, or changes their paths: time=None is a new one, pid=False is none."""
        kept = [n for n in self.linux["namespaces"] if n["type"] not in paths]
        kept += [{"type": t, **({"path": str(p)} if p else {})} for t, p in paths.items() if p is not False]
        self.linux["namespaces"] = kept
        return self

    def add_mount(self, *mounts):
        self.config["mounts"] += mounts
        return self

    def hook(self, point, *args, **more):
        """Adds a hook: args[0] is its path."""
        self.config.setdefault("hooks", {}).setdefault(point, []).append({"path": str(args[0]), "args": list(map(str, args)), **more})
        return self

    def inside_root(self, path):
        """A path of the container's on the host, before it is created."""
        return self.rootfs / str(path).lstrip("/")

    def write(self, path, text="", mode=0o644):
        target = self.inside_root(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        os.chmod(target, mode)
        self.oci.give(target)
        return target

    def save(self):
        text = self.config if isinstance(self.config, str) else json.dumps(self.config)
        (self.path / "config.json").write_text(text)
        self.oci.give(self.path / "config.json")

    # ---- run in the foreground ----

    def run(self, *options, save=True, **kw):
        if save:
            self.save()
        return self.oci("run", *options, "--bundle", self.path, self.id, **kw)

    def output(self, *options, **kw):
        result = self.run(*options, **kw)
        assert result.rc == 0, result
        return result.out.strip()

    def fails(self, *options, match=None, **kw):
        """What must be refused, without a word of the program and with nothing left of the container."""
        result = self.run(*options, **kw)
        assert result.rc != 0 and result.out == "", result
        assert result.err.strip(), result
        assert match is None or re.search(match, result.err), result
        assert self.oci("state", self.id).rc != 0, "the container is there after an error"
        return result

    # ---- step by step ----

    def try_create(self, *options, save=True, **kw):
        if save:
            self.save()
        return self.oci("create", *options, "--bundle", self.path, "--pid-file", self.pid_file, self.id, out=self._out, err=self._err, **kw)

    def create(self, *options, **kw):
        result = self.try_create(*options, **kw)
        assert result.rc == 0, result
        return self

    def start(self):
        self.oci.ok("start", self.id)
        return self

    def try_start(self, **kw):
        return self.oci("start", self.id, **kw)

    def state(self):
        return self.oci.json("state", self.id)

    def status(self):
        return self.state()["status"]

    def wait(self, status="stopped", timeout=10):
        wait_for(lambda: self.status() == status, timeout, f"{self.id} {status}")
        return self

    def kill(self, sig="KILL", *options):
        self.oci.ok("kill", *options, self.id, sig)
        return self

    def try_kill(self, sig="KILL", *options, **kw):
        return self.oci("kill", *options, self.id, sig, **kw)

    def stop(self):
        return self.kill("KILL").wait("stopped")

    def delete(self, *options):
        self.oci.ok("delete", *options, self.id)
        return self

    def try_delete(self, *options, **kw):
        return self.oci("delete", *options, self.id, **kw)

    def finish(self):
        """Waits for the end of its program and deletes it: what it wrote, stripped."""
        self.wait("stopped")
        out = self.stdout.strip()
        self.delete()
        return out

    @property
    def stdout(self):
        return self._out.read_text(errors="replace")

    @property
    def stderr(self):
        return self._err.read_text(errors="replace")

    @property
    def pid(self):
        return int(self.pid_file.read_text())

    def wait_output(self, pattern, timeout=10):
        return wait_for(lambda: re.search(pattern, self.stdout), timeout, f"output {pattern!r}; {self._out}")

    def try_inside(self, *args, options=(), **kw):
        args = list(map(str, args))
        return self.oci("exec", *options, self.id, *(args if args[0].startswith("/") else [PROBE, *args]), **kw)

    def inside(self, *args, options=(), **kw):
        result = self.try_inside(*args, options=options, **kw)
        assert result.rc == 0, result
        return result.out.strip()


class Subreaper:
    """While it is entered, orphans of what we start become our children: a caller such as conmon is one."""

    PR_SET_CHILD_SUBREAPER = 36

    def __enter__(self):
        import ctypes
        self.libc = ctypes.CDLL(None, use_errno=True)
        assert self.libc.prctl(self.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        return self

    def wait(self, pid, timeout=10):
        """The exit code of an adopted process; 128 + the signal that ended it."""
        end = time.monotonic() + timeout * SCALE
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            time.sleep(0.005)
        raise AssertionError(f"process {pid} still runs")

    def __exit__(self, *_):
        self.libc.prctl(self.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
