# SPDX-License-Identifier: Apache-2.0
"""The merged root file system of a container, as modes of kelp-monitor walk it (src/monitor/tree.h), driven by tree_tool."""
import os
import shutil

import pytest

import harness


@pytest.fixture
def tree(kelp, programs):
    target = programs / "tree_tool"
    if not target.exists():
        shutil.copy(harness.BUILD / "tests" / "unit" / "tree_tool", target)
        os.chmod(target, 0o755)

    def run(container, access, mounts, *args, rc=0):
        ident = kelp.ok("ps", "-aq", "--no-trunc", "--filter", f"name={container}")
        result = kelp.execute([target, kelp.root, ident, access, mounts, *args])
        assert result.rc == rc, result
        return result.out.strip() if rc == 0 else result.err

    return run


@pytest.fixture(params=["overlay", "fuse-overlayfs", "copy"])
def driver(request):
    return ("--storage-driver", request.param)


def test_stopped(kelp, busybox, tree, driver):
    kelp.ok("run", "--name", "c", *driver, "-v", f"{kelp.work}:/mnt/v", busybox, "sh", "-c",
            "rm /etc/group; echo new > /etc/new; echo v > /mnt/v/f; touch /tmp/t")
    assert tree("c", "read", "bare", "list", "/etc").split() == ["hostname", "hosts", "new", "passwd", "resolv.conf"]
    assert tree("c", "read", "bare", "cat", "/etc/new") == "new"
    assert tree("c", "read", "bare", "list", "/mnt/v") == ""
    assert tree("c", "read", "mounts", "cat", "/mnt/v/f") == "v"
    assert "Read-only" in tree("c", "read", "bare", "put", "/etc/x", "y", rc=1)
    tree("c", "write", "bare", "put", "/etc/x", "y")
    tree("c", "write", "mounts", "put", "/mnt/v/g", "z")
    assert (kelp.work / "g").read_text() == "z"
    assert tree("c", "read", "bare", "list", "/mnt/v") == ""
    assert tree("c", "read", "bare", "cat", "/etc/x") == "y"
    assert kelp.ok("ps", "-q") == ""
    kelp.ok("start", "-a", "c")


def test_never_started(kelp, busybox, tree, driver):
    kelp.ok("create", "--name", "c", *driver, "-v", f"{kelp.work}:/mnt/v", busybox, "cat", "/etc/x")
    assert "busybox" in tree("c", "read", "bare", "list", "/bin").split()
    (kelp.work / "f").write_text("v")
    assert tree("c", "read", "mounts", "cat", "/mnt/v/f") == "v"
    tree("c", "write", "bare", "put", "/etc/x", "y")
    assert kelp.ok("start", "-a", "c") == "y"


def test_running(kelp, busybox, tree, driver):
    kelp.ok("run", "-d", "--name", "c", *driver, "-v", f"{kelp.work}:/mnt/v", "--tmpfs", "/scratch", busybox, "sh", "-c",
            "echo t > /scratch/t; echo new > /etc/new; echo v > /mnt/v/f; sleep 1000")
    harness.wait_for(lambda: (kelp.work / "f").exists())
    assert tree("c", "read", "mounts", "cat", "/scratch/t") == "t"
    assert tree("c", "read", "bare", "list", "/scratch") == ""
    assert tree("c", "read", "bare", "cat", "/etc/new") == "new"
    assert tree("c", "read", "bare", "list", "/proc") == ""
    assert "1" in tree("c", "read", "mounts", "list", "/proc").split()
    tree("c", "write", "mounts", "put", "/scratch/x", "y")
    tree("c", "write", "bare", "put", "/etc/x", "y")
    assert kelp.ok("exec", "c", "cat", "/scratch/x", "/etc/x") == "yy"
    kelp.ok("kill", "c")


@pytest.mark.parametrize("userns", [("--userns", "keep-id"), ("--userns", "host"), ("--uidmap", "0:1000:2000", "--gidmap", "0:3000:2000")])
def test_maps(kelp, busybox, tree, userns):
    kelp.ok("run", "--name", "c", *userns, "--user", "0", busybox, "sh", "-c", "mkdir /d; echo a > /d/f; chmod 700 /d; chmod 600 /d/f")
    assert tree("c", "read", "bare", "cat", "/d/f") == "a"
    tree("c", "write", "bare", "put", "/d/f", "b")
    assert tree("c", "read", "bare", "cat", "/d/f") == "b"
    kelp.ok("start", "-a", "c")
    assert tree("c", "read", "bare", "cat", "/d/f") == "a"


def test_links_stay_inside(kelp, busybox, tree):
    kelp.ok("run", "--name", "c", busybox, "sh", "-c", "ln -s /proc/self/root/etc/shadow /s; ln -s ../../../../etc/passwd /p; ln -s /etc /e")
    assert "alice" in tree("c", "read", "bare", "cat", "/p")
    assert "No such file" in tree("c", "read", "bare", "cat", "/s", rc=1)
    tree("c", "write", "bare", "put", "/e/inside", "x")
    assert tree("c", "read", "bare", "cat", "/etc/inside") == "x"
