# SPDX-License-Identifier: Apache-2.0
"""
Measures Kelp against its bars and its peers; see README.md. Prints a table, asserts nothing.

    KELP_BUILD_DIR=build /usr/bin/python3 tests/bench/bench.py [--pairs N] [SECTION…]

Sections: run exec load ps parallel memory commit df logs cp. Everything runs as the tests' ordinary user. The contenders of a comparison take turns,
so that what else the machine does hits them alike; the figures are medians in milliseconds of one run.
"""
import argparse
import contextlib
import io
import json
import os
import pathlib
import pickle
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import harness  # noqa: E402
import real_images  # noqa: E402
import rootfs  # noqa: E402


class Setting:
    """The user, Kelp's programs where he can reach them, and a root file system, as a directory and as an archive."""

    def __init__(self):
        self.user = harness.take_user("kelp-test")
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="kb", dir="/var/tmp"))
        os.chmod(self.base, 0o755)
        self.programs = self.base / "bin"
        self.programs.mkdir()
        for path in [*harness.BUILD.glob("kelp*"), *harness.BUILD.glob("tests/guest/probe"), *harness.BUILD.glob("tests/bench/floor")]:
            if path.is_file() and os.access(path, os.X_OK):
                shutil.copy(path, self.programs / path.name)
        shutil.copy(harness.BUILD / "src" / "security" / "seccomp.json", self.programs)
        cache = self.base / "cache"
        cache.mkdir()
        self.own(cache)
        self.kelp = harness.Kelp(self.base / "k", self.user, self.programs, cache)
        self.tar = self.base / "probe.tar"
        self.tar.write_bytes(rootfs.probe_tar(self.programs / "probe"))
        os.chmod(self.tar, 0o644)
        self.tree = self.base / "rootfs"
        self.tree.mkdir()
        self.own(self.tree)
        self.kelp.execute(["tar", "-x", "--no-same-owner", "-f", self.tar, "-C", self.tree])
        self.kelp.ok("import", self.tar, "probe")
        self.env = {**self.kelp.env}
        self.podman = ["podman", "--root", str(self.kelp.work / "podman"), "--runroot", str(self.kelp.work / "podman-run"),
                       "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--storage-driver", "overlay"]
        self.closers = []

    def own(self, path):
        if os.getuid() == 0:
            os.chown(path, self.user.uid, self.user.gid)

    def timed(self, commands, pairs, before=None):
        """{name: (milliseconds of each run, peak KiB)}; the commands take turns in a process that is the user."""
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(r)
                result = self._timed_as_user(commands, pairs, before or {})
                with os.fdopen(w, "wb") as f:
                    pickle.dump(result, f)
                os._exit(0)
            except BaseException as e:  # pylint: disable=broad-except
                print("bench:", repr(e), file=sys.stderr)
                os._exit(1)
        os.close(w)
        with os.fdopen(r, "rb") as f:
            data = f.read()
        os.waitpid(pid, 0)
        return pickle.loads(data) if data else {}

    def _timed_as_user(self, commands, pairs, before):
        if os.getuid() == 0:
            os.setgroups(self.user.groups)
            os.setresgid(self.user.gid, self.user.gid, self.user.gid)
            os.setresuid(self.user.uid, self.user.uid, self.user.uid)
        os.chdir(self.kelp.work)
        null = os.open("/dev/null", os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
        samples = {name: ([], 0) for name in commands}
        for turn in range(pairs + 1):
            for name, command in commands.items():
                if name in before:
                    subprocess.run(before[name], env=self.env, shell=True, check=True, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
                start = time.perf_counter()
                pid = os.posix_spawnp(command[0], command, self.env, file_actions=actions)
                _, status, usage = os.wait4(pid, 0)
                elapsed = (time.perf_counter() - start) * 1000
                if status != 0:
                    raise RuntimeError(f"{name}: status {status}: {command}")
                if turn > 0 or pairs == 1:  # the first turn warms caches
                    times, peak = samples[name]
                    times.append(elapsed)
                    samples[name] = (times, max(peak, usage.ru_maxrss))
        return samples

    def close(self):
        for close in reversed(self.closers):
            close()
        self.kelp.finish()
        subprocess.run([*self.podman, "unshare", "rm", "-rf", str(self.kelp.work / "podman")], check=False, capture_output=True,
                       env=self.env, cwd="/", **self.user.credentials())
        self.kelp.remove()
        shutil.rmtree(self.base, ignore_errors=True)


def table(title, samples, ours, bars):
    """bars: {peer: the most that ours / peer may be}."""
    print(f"\n{title}")
    if not samples:
        print("  not measured")
        return
    own = statistics.median(samples[ours][0])
    for name, (times, peak) in samples.items():
        median = statistics.median(times)
        line = f"  {name:<14} {median:9.1f} ms   min {min(times):9.1f}   peak {peak / 1024:6.1f} MiB   n={len(times)}"
        if name != ours:
            ratio = own / median
            line += f"   kelp/{name} = {ratio:.3f}"
            if name in bars:
                line += f"   bar ≤ {bars[name]:.3f}  {'met' if ratio <= bars[name] else 'MISSED'}"
        print(line, flush=True)


def crun_bundle(s):
    bundle = s.kelp.work / "bundle"
    s.kelp.execute(["mkdir", "-p", bundle])
    s.kelp.execute(["crun", "spec", "--rootless"], cwd=bundle)
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    config["process"].update(terminal=False, args=["/bin/true"])
    config["root"] = {"path": str(s.tree), "readonly": True}
    path.write_text(json.dumps(config))
    return ["crun", "--root", str(s.kelp.work / "crun"), "--cgroup-manager=disabled", "run", "--bundle", str(bundle), "bench"]


def podman_image(s):
    result = s.kelp.execute([*s.podman, "import", s.tar, "probe"], timeout=120)
    if result.rc != 0:
        print("podman:", result.err.strip(), file=sys.stderr)
    return result.rc == 0


def bench_run(s, pairs):
    kelp = [s.kelp.program("kelp"), "run", "--rm", "--network", "none", "probe", "true"]
    commands = {"kelp": kelp,
                "bwrap": ["bwrap", "--unshare-all", "--ro-bind", str(s.tree), "/", "--proc", "/proc", "--dev", "/dev", "true"],
                "crun": crun_bundle(s)}
    if (s.programs / "floor").exists():
        commands["floor"] = [str(s.programs / "floor"), str(s.tree), "/bin/true"]
    table("run --rm IMAGE true", s.timed(commands, pairs), "kelp", {"bwrap": 1.2, "crun": 1 / 3})
    if podman_image(s):
        commands = {"kelp": kelp, "podman": [*s.podman, "run", "--rm", "--network", "none", "--cgroups=disabled", "probe", "true"]}
        table("run --rm IMAGE true, against podman", s.timed(commands, max(3, pairs // 4)), "kelp", {"podman": 1 / 20})


def bench_exec(s, pairs):
    s.kelp.ok("run", "-d", "--name", "sleeper", "probe", "pause")
    commands = {"kelp": [s.kelp.program("kelp"), "exec", "sleeper", "true"]}
    if podman_image(s):
        result = s.kelp.execute([*s.podman, "run", "-d", "--name", "sleeper", "--network", "none", "--cgroups=disabled", "probe", "pause"])
        if result.rc == 0:
            commands["podman"] = [*s.podman, "exec", "sleeper", "true"]
            s.closers.append(lambda: s.kelp.execute([*s.podman, "rm", "-f", "-t", "0", "sleeper"]))
        else:
            print("podman:", result.err.strip(), file=sys.stderr)
    table("exec CONTAINER true", s.timed(commands, max(3, pairs // 2)), "kelp", {"podman": 1 / 20})
    s.kelp.ok("rm", "-f", "sleeper")


def bench_load(s, pairs):
    archive, tree = real_images.image("minbase-docker.tar"), real_images.image("minbase.tar")
    print(f"\nimage: {archive.stat().st_size / 1e6:.0f} MB as an archive, {real_images.size(tree) / 1e6:.0f} MB of files")
    kelp = s.kelp.program("kelp")
    commands = {"kelp": [kelp, "load", "-q", "-i", str(archive)],
                "tar": ["unshare", "--map-root-user", "--map-auto", "tar", "-xpf", str(tree), "--exclude=./dev/*", "-C",
                        "untarred"],  # users can't make devices
                "podman": [*s.podman, "load", "-q", "-i", str(archive)]}
    before = {"kelp": f"{kelp} rmi -f minbase:test || true",
              "tar": "unshare --map-root-user --map-auto rm -rf untarred; mkdir untarred",
              "podman": " ".join(s.podman) + " rmi -f minbase:test || true"}
    table("load IMAGE", s.timed(commands, max(3, pairs // 8), before), "kelp", {"podman": 1 / 2, "tar": 1.3})
    print("  peak is that of the command and its children; bar for kelp: 64 MiB")
    s.kelp.execute(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", "untarred"])


def bench_ps(s, pairs):
    few = s.timed({"kelp": [s.kelp.program("kelp"), "ps", "-a"]}, pairs)
    started = time.monotonic()
    for _ in range(100):
        creators = [s.kelp.popen("create", "probe", "true", stdout=subprocess.DEVNULL) for _ in range(10)]
        for process in creators:
            process.wait()
            process.stdin.close()
            process.stderr.close()
    s.kelp.started.clear()
    create = (time.monotonic() - started)
    many = s.timed({"kelp": [s.kelp.program("kelp"), "ps", "-a"]}, pairs)
    a, b = statistics.median(few["kelp"][0]), statistics.median(many["kelp"][0])
    print(f"\nps -a\n  none {a:.1f} ms   1000 containers {b:.1f} ms   difference {b - a:.1f} ms   bar ≤ 50 ms  "
          f"{'met' if b - a <= 50 else 'MISSED'}   (1000 × create: {create:.1f} s)", flush=True)
    ids = s.kelp.ok("ps", "-aq").split()
    assert len(ids) == 1000, len(ids)
    s.kelp.ok("rm", *ids, timeout=300)


def bench_parallel(s, pairs):
    start = time.monotonic()
    running = [s.kelp.spawn(s.kelp.command("run", "--rm", "probe", "true"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
               for _ in range(500)]
    failed = []
    for process in running:
        _, err = process.communicate()
        if process.returncode != 0:
            failed.append(err.decode(errors="replace").strip())
    print(f"\n500 × run --rm at once\n  {time.monotonic() - start:.1f} s, {len(failed)} failed"
          f"   bar 0  {'met' if not failed else 'MISSED'}", flush=True)
    for message in sorted(set(failed))[:5]:
        print("   ", message)


def bench_memory(s, pairs):
    s.kelp.ok("run", "-d", "--name", "idle", "probe", "pause")
    time.sleep(5)  # idle is who has had nothing to do for a while: then it gives back what its start took
    monitors = [pid for pid, p in s.user.processes().items() if p[0].startswith("kelp-monitor") and p[1] != "Z"]
    print("\nprivate memory of an idle monitor")
    for pid in monitors:
        kib = 0
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_"):
                    kib += int(line.split()[1])
        print(f"  {kib} KiB   bar ≤ 1024 KiB  {'met' if kib <= 1024 else 'MISSED'}", flush=True)
    s.kelp.ok("rm", "-f", "idle")


def bench_logs(s, pairs):
    """1 GB of lines through an attached client with the log written, without a log, and read back."""
    words = ["/bin/probe", "lines", "12500000", "x" * 70]  # "x…x 12499999\n"
    kelp = s.kelp.program("kelp")
    s.kelp.ok("run", "-d", "--name", "full", "--log-opt", "max-size=8g", "probe", *words)
    s.kelp.ok("wait", "full", timeout=600)
    program = " ".join(words)
    pipes = {"pipe": f"{s.programs}{program[4:]}",
             "kelp": f"{kelp} run --rm probe {program}",
             "kelp, no log": f"{kelp} run --rm --log-driver none probe {program}",
             "kelp logs": f"{kelp} logs full"}
    samples = s.timed({name: ["sh", "-c", command + " | wc -c"] for name, command in pipes.items()}, max(3, pairs // 10))
    for name in ("kelp", "kelp, no log", "kelp logs"):
        table(f"1 GB of lines | wc -c: {name}", {k: v for k, v in samples.items() if k in ("pipe", name)}, name, {"pipe": 2})
    s.kelp.ok("rm", "full")


def changed_containers(s):
    """A container "changed" of kelp and one of podman: 10 MB of changes to an image of 1 GB in 2000 files."""
    archive = s.base / "gigabyte.tar"
    block = os.urandom(1 << 19)
    with tarfile.open(archive, "w") as tar:
        busybox = tar.gettarinfo("/bin/busybox", "bin/busybox")
        with open("/bin/busybox", "rb") as f:
            tar.addfile(busybox, f)
        for i in range(2000):
            info = tarfile.TarInfo(f"data/{i % 100}/{i}")
            info.size = len(block)
            tar.addfile(info, io.BytesIO(i.to_bytes(8, "little") + block[8:]))
    os.chmod(archive, 0o644)
    change = ["/bin/busybox", "sh", "-c", "/bin/busybox dd if=/dev/urandom of=/data/new bs=1M count=10 2>/dev/null; "
              "/bin/busybox rm /data/1/1; echo x >>/data/2/2"]
    s.kelp.ok("import", "-q", archive, "gigabyte", timeout=300)
    s.kelp.ok("run", "--name", "changed", "gigabyte", *change)
    for command in (["import", "-q", str(archive), "localhost/gigabyte"],
                    ["run", "--name", "changed", "--network", "none", "--cgroups=disabled", "localhost/gigabyte", *change]):
        s.kelp.execute([*s.podman, *command])


def bench_commit(s, pairs):
    changed_containers(s)
    kelp, podman = [s.kelp.program("kelp")], s.podman
    table("diff of 10 MB on 1 GB", s.timed({"kelp": [*kelp, "diff", "changed"], "podman": [*podman, "diff", "changed"]}, pairs), "kelp",
          {"podman": 1 / 10})
    before = {"kelp": f"{kelp[0]} rmi -f committed || true", "podman": " ".join(podman) + " rmi -f localhost/committed || true"}
    commands = {"kelp": [*kelp, "commit", "-q", "changed", "committed"], "podman": [*podman, "commit", "-q", "changed", "localhost/committed"]}
    table("commit of 10 MB on 1 GB", s.timed(commands, max(3, pairs // 3), before), "kelp", {"podman": 1 / 5})


def bench_cp(s, pairs):
    """One large file, into a container that does not run and out of it, against cp; both replace what is there."""
    big, ours, theirs = (s.kelp.work / name for name in ("big", "ours", "theirs"))
    with open(big, "wb") as f:
        for _ in range(500):
            f.write(os.urandom(1 << 20))
    s.own(big)
    kelp, plain, turns = s.kelp.program("kelp"), ["cp", str(big), str(theirs)], max(3, pairs // 4)
    s.kelp.ok("create", "--name", "copied", "probe", "true")
    table("500 MB into a container", s.timed({"kelp": [kelp, "cp", str(big), "copied:/big"], "cp": plain}, turns), "kelp", {"cp": 1.2})
    table("500 MB out of a container", s.timed({"kelp": [kelp, "cp", "copied:/big", str(ours)], "cp": plain}, turns), "kelp", {"cp": 1.2})
    s.kelp.ok("rm", "copied")
    for path in (big, ours, theirs):
        path.unlink()


def bench_df(s, pairs):
    """1000 layers in ten images, compressed, so that each has a blob as well."""
    for i in range(10):
        layers = [rootfs.write_tar([rootfs.entry(f"d{i}/{k}/{f}", data=os.urandom(600)) for f in range(3)]) for k in range(100)]
        archive = s.base / "many.tar"
        archive.write_bytes(rootfs.oci_archive(layers, name=f"many{i}:1", compress=True)[0])
        os.chmod(archive, 0o644)
        s.kelp.ok("load", "-q", "-i", archive, timeout=300)
        archive.unlink()
    root = s.kelp.root
    assert len(list((root / "layers").iterdir())) >= 1000
    samples = s.timed({"kelp": [s.kelp.program("kelp"), "system", "df"], "du": ["du", "-s", root / "layers", root / "images"]}, pairs)
    shown = json.loads(s.kelp.ok("system", "df", "--format", "json").splitlines()[0])
    blocks = sum(int(line.split()[0]) for line in
                 subprocess.run(["du", "-s", "-B1", root / "layers", root / "images"], capture_output=True, text=True, check=True).stdout.splitlines())
    ms = statistics.median(samples["kelp"][0])
    print(f"\nsystem df of 1000 layers\n  {ms:.1f} ms, shows {shown['Size']}   bar ≤ 50 ms  {'met' if ms <= 50 else 'MISSED'}"
          f"\n  du {statistics.median(samples['du'][0]):.1f} ms, counts {blocks / 1e6:.1f} MB", flush=True)
    s.kelp.ok("rmi", "-f", *[f"many{i}:1" for i in range(10)], timeout=300)


SECTIONS = {"run": bench_run, "exec": bench_exec, "load": bench_load, "ps": bench_ps, "parallel": bench_parallel, "commit": bench_commit,
            "memory": bench_memory, "df": bench_df, "logs": bench_logs, "cp": bench_cp}


def unify_cgroups():
    """crun refuses hosts with both cgroup versions: then everything runs where only version 2 is to be seen."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", "/sys/fs/cgroup"], capture_output=True, text=True, check=False).stdout.strip()
    if kind == "cgroup2fs" or os.getuid() != 0 or os.environ.get("KELP_BENCH_CGROUP"):
        return
    os.environ["KELP_BENCH_CGROUP"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                          'mount -t cgroup2 none /sys/fs/cgroup; exec "$@"', "sh", sys.executable, *sys.argv])


def main():
    parser = argparse.ArgumentParser(description="Kelp against its bars and peers")
    parser.add_argument("--pairs", type=int, default=40, help="turns of each comparison")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=list(SECTIONS))
    args = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the end of main() tidies up
    unify_cgroups()
    setting = Setting()
    try:
        for name in args.sections:
            SECTIONS[name](setting, args.pairs)
    finally:
        setting.close()


if __name__ == "__main__":
    main()
