# SPDX-License-Identifier: Apache-2.0
"""Containers with volumes, started and stopped again and again: nothing leaks, nothing is lost, every byte is accounted for. KELP_CYCLES says how often."""
import os
import pathlib
import threading

import pytest

import store_check

pytestmark = pytest.mark.slow
CYCLES = int(os.environ.get("KELP_CYCLES", "1500"))
WORKERS = 3
WRITE = "echo x >>/named/n; echo x >>/anonymous/n; echo x >>/layer"


def cycles(kelp, name, n, problems):
    """Starts of one kind are of a container that writes and ends, which must be complete, those of the other of one that is stopped."""
    try:
        for i in range(n):
            if i % 2 == 0:
                kelp.ok("start", "-a", f"{name}-ends", timeout=120)
            else:
                kelp.ok("start", f"{name}-stays", timeout=120)
                kelp.ok("stop", "-t", "0", f"{name}-stays", timeout=120)
            if i % 20 == 0:
                kelp.ok("run", "--rm", "-v", f"{name}:/named", "-v", "/anonymous", "busybox", "sh", "-c", "echo y >/anonymous/n", timeout=120)
    except AssertionError as e:
        problems.append(str(e))


def holder_facts(kelp):
    """What the one process that outlives containers holds."""
    return {pid: len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir())) for pid, p in kelp.processes(holders=True).items()
            if p[0] in ("kelp-holder", "kelp-userns")}


def lines(path):
    return path.read_text().count("\n")


def test_cycles_with_volumes(kelp, busybox):
    names = [f"w{i}" for i in range(WORKERS)]
    for name in names:
        kelp.ok("volume", "create", name)
        volumes = ["-v", f"{name}:/named", "-v", "/anonymous"]
        kelp.ok("create", "--name", f"{name}-ends", *volumes, busybox, "sh", "-c", WRITE)
        kelp.ok("create", "--name", f"{name}-stays", *volumes, busybox, "sleep", "1000")
        kelp.ok("run", "--rm", busybox, "true")
    before = holder_facts(kelp)
    shape = sorted(p.relative_to(kelp.root) for p in kelp.root.rglob("*") if "upper" not in p.parts and "work" not in p.parts)
    problems = []
    threads = [threading.Thread(target=cycles, args=(kelp, name, CYCLES // WORKERS, problems)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems[0]

    written = (CYCLES // WORKERS + 1) // 2
    for name in names:
        mounts = {m["Destination"]: pathlib.Path(m["Source"]) for m in kelp.json("inspect", f"{name}-ends")[0]["Mounts"]}
        upper = kelp.root / "containers" / kelp.json("inspect", f"{name}-ends")[0]["Id"] / "upper"
        assert [lines(p / "n") for p in (mounts["/named"], mounts["/anonymous"])] + [lines(upper / "layer")] == [written] * 3
    assert kelp.ok("ps", "-q") == ""
    assert len(kelp.ok("volume", "ls", "-q").split()) == 3 * WORKERS
    assert not kelp.processes()
    assert holder_facts(kelp) == before
    assert not store_check.check(kelp.root)
    # What is there now and was not before: the files that the containers made, and records of the latest start and end.
    after = sorted(p.relative_to(kelp.root) for p in kelp.root.rglob("*") if "upper" not in p.parts and "work" not in p.parts)
    new = {p.name for p in after if p not in set(shape)}
    assert new <= {"n", "run.json", "exit.json", "stopped", "log", "log.1", "log.2", "log.3", "log.4", "container.log", "used"}, new

    kelp.ok("rm", "-v", *[f"{name}-{kind}" for name in names for kind in ("ends", "stays")])
    assert sorted(kelp.ok("volume", "ls", "-q").split()) == names
    kelp.ok("volume", "rm", *names)
    assert not list((kelp.root / "volumes").iterdir()) and not list((kelp.root / "containers").iterdir())
