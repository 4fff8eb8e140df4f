# SPDX-License-Identifier: Apache-2.0
"""kelp cp: both ways, running or not, Docker's rules for names, owners, hostile containers."""
import io
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile

import pytest

import harness


@pytest.fixture(params=["overlay", "fuse-overlayfs", "copy"])
def driver(request):
    return ("--storage-driver", request.param)


@pytest.fixture(params=["running", "stopped", "created"])
def box(kelp, busybox, request):
    """A container c in one of its states; what it has is put there by cp itself."""
    start = {"running": ("run", "-d"), "stopped": ("run",), "created": ("create",)}[request.param]
    kelp.ok(*start, "--name", "c", busybox, "sleep", "1000" if request.param == "running" else "0")
    return kelp


@pytest.fixture
def stopped(kelp, busybox):
    kelp.ok("create", "--name", "c", busybox, "true")
    return kelp


def write(kelp, name, text="", mode=0o644):
    path = kelp.work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    for p in [path, *path.parents]:
        if p == kelp.work:
            break
        os.chown(p, kelp.user.uid, kelp.user.gid)
    return path


def inside(kelp, path, container="c"):
    """The file's text, in a file of its own."""
    kelp.ok("cp", f"{container}:{path}", kelp.work / ".look")
    text = (kelp.work / ".look").read_text()
    (kelp.work / ".look").unlink()
    return text


# ---- there and back ------------------------------------------------------------------------------


def test_file_there_and_back(box):
    source = write(box, "a", "hello", 0o640)
    os.utime(source, (1e9, 1e9))
    box.ok("cp", "a", "c:/etc/b")
    box.ok("container", "cp", "c:etc/b", "back")
    back = (box.work / "back").stat()
    assert (box.work / "back").read_text() == "hello"
    assert (back.st_uid, back.st_gid, back.st_mtime, back.st_mode & 0o7777) == (box.user.uid, box.user.gid, 1e9, 0o640)


def test_tree_there_and_back(box):
    write(box, "t/one", "1")
    write(box, "t/sub/two", "2", 0o755)
    os.symlink("/etc/passwd", box.work / "t/link")
    os.mkfifo(box.work / "t/fifo")
    os.chown(box.work / "t/fifo", box.user.uid, box.user.gid)
    (box.work / "t/sub").chmod(0o2500)
    box.ok("cp", "t", "c:/opt-t")
    box.ok("cp", "c:/opt-t", "back")
    assert (box.work / "back/one").read_text() == "1"
    assert (box.work / "back/sub/two").read_text() == "2"
    assert os.readlink(box.work / "back/link") == "/etc/passwd"
    assert stat.S_ISFIFO((box.work / "back/fifo").lstat().st_mode)
    assert (box.work / "back/sub").stat().st_mode & 0o7777 == 0o500
    assert (box.work / "back/sub/two").stat().st_mode & 0o7777 == 0o755


def test_drivers(kelp, busybox, driver):
    write(kelp, "a", "hello")
    for name in ("stopped", "running"):
        kelp.ok("run", "--name", name, *driver, *(("-d",) if name == "running" else ()), busybox, "sleep",
                "1000" if name == "running" else "0")
        kelp.ok("cp", "a", f"{name}:/a")
        assert inside(kelp, "/a", name) == "hello"
    assert kelp.ok("exec", "running", "cat", "/a") == "hello"


def test_between_containers(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    kelp.ok("run", "--name", "d", "--uidmap", "0:1:1000", "--gidmap", "0:1:1000", busybox, "true")
    kelp.ok("exec", "c", "sh", "-c", "mkdir /d; echo x > /d/f; chown 5:6 /d/f")
    kelp.ok("cp", "c:/d", "d:/e")
    assert kelp.ok("exec", "c", "cat", "/d/f") == "x" and inside(kelp, "/e/f", "d") == "x\n"
    kelp.ok("cp", "-a", "c:/d", "d:/a")
    kelp.ok("cp", "d:/a", "d:/again")
    kelp.ok("cp", "-a", "d:/a", "c:/back")
    assert kelp.ok("exec", "c", "stat", "-c", "%u %g", "/back/f") == "5 6"
    assert inside(kelp, "/again/f", "d") == "x\n"


def test_volumes_and_binds_are_seen(kelp, busybox):
    kelp.ok("volume", "create", "v")
    (kelp.work / "b").mkdir()
    os.chown(kelp.work / "b", kelp.user.uid, kelp.user.gid)
    kelp.ok("create", "--name", "c", "-v", "v:/vol", "-v", f"{kelp.work}/b:/bind", "-v", f"{kelp.work}/b:/ro:ro", busybox, "true")
    write(kelp, "a", "hello")
    kelp.ok("cp", "a", "c:/vol/x")
    kelp.ok("cp", "a", "c:/bind/y")
    assert kelp.ok("run", "--rm", "-v", "v:/vol", busybox, "cat", "/vol/x") == "hello"
    assert (kelp.work / "b/y").read_text() == "hello"
    assert inside(kelp, "/vol/x") == "hello"
    kelp.fails("cp", "a", "c:/ro/z", code=125, match="Read-only file system(.|\n)*hint:")


# ---- names ---------------------------------------------------------------------------------------


def test_rules_of_names_into_container(stopped):
    k = stopped
    write(k, "f", "f")
    write(k, "d/x", "x")
    k.ok("cp", "f", "c:/tmp")            # into a directory
    assert inside(k, "/tmp/f") == "f"
    k.ok("cp", "f", "c:/tmp/")
    k.ok("cp", "f", "c:/tmp/g")          # a new name
    assert inside(k, "/tmp/g") == "f"
    write(k, "f", "new")
    k.ok("cp", "f", "c:/tmp/g")          # over a file
    assert inside(k, "/tmp/g") == "new"
    k.ok("cp", "d", "c:/tmp")            # a directory into one
    assert inside(k, "/tmp/d/x") == "x"
    k.ok("cp", "d", "c:/tmp/new")        # a directory with a new name
    assert inside(k, "/tmp/new/x") == "x"
    k.ok("cp", "d/.", "c:/tmp")          # what is in it
    assert inside(k, "/tmp/x") == "x"
    k.ok("cp", ".", "c:/tmp/here")
    assert inside(k, "/tmp/here/d/x") == "x"
    k.fails("cp", "f", "c:/tmp/none/", code=125, match="there is no such directory")
    k.fails("cp", "f", "c:/none/f", code=125, match="no such file or directory")
    k.fails("cp", "f", "c:/tmp/g/", code=125, match="is not a directory")
    k.fails("cp", "f/", "c:/tmp", code=125, match="ot a directory")
    k.fails("cp", "d", "c:/tmp/g", code=125, match="--overwrite")
    k.fails("cp", "none", "c:/tmp", code=125, match="no such file or directory")
    k.fails("cp", "f", "nobody:/tmp", code=125, match="no such container")
    k.fails("cp", "f", "d", code=125, match="NAME:PATH")
    k.fails("cp", "f", "c:", code=125, match="the path in the container is missing")


def test_rules_of_names_out(stopped):
    k = stopped
    write(k, "d/x", "x")
    k.ok("cp", "d", "c:/d")
    (k.work / "to").mkdir()
    os.chown(k.work / "to", k.user.uid, k.user.gid)
    k.ok("cp", "c:/d", "to")
    assert (k.work / "to/d/x").read_text() == "x"
    k.ok("cp", "c:/d/.", "to")
    assert (k.work / "to/x").read_text() == "x"
    k.ok("cp", "c:/d/", "to/new")
    assert (k.work / "to/new/x").read_text() == "x"
    k.ok("cp", "c:/d/x", k.work / "to" / "y")
    assert (k.work / "to/y").read_text() == "x"
    k.ok("cp", "c:/d/x", ".")
    assert (k.work / "x").read_text() == "x"
    write(k, "x:b", "colon")  # no id begins with x
    k.ok("cp", "./x:b", "c:/colon")
    assert inside(k, "/colon") == "colon"
    k.fails("cp", "x:b", "c:/colon", code=125, match="'./x:b'")
    k.fails("cp", "c:/d/x", "to/none/", code=125, match="there is no such directory")
    k.fails("cp", "c:/d", "x", code=125, match="--overwrite")
    k.ok("cp", "--overwrite", "c:/d", "x")
    assert (k.work / "x/x").read_text() == "x"
    k.fails("cp", "c:/dev-none", ".", code=125, match="'c:/dev-none': no such file or directory")


def test_links(stopped):
    k = stopped
    write(k, "f", "text")
    write(k, "d/x", "x")
    os.symlink("f", k.work / "l")
    os.symlink("d", k.work / "ld")
    k.ok("cp", "l", "c:/l")                  # as a link
    k.ok("cp", "c:/l", "back")
    assert os.readlink(k.work / "back") == "f"
    k.ok("cp", "-L", "l", "c:/file")
    assert inside(k, "/file") == "text"
    k.ok("cp", "ld/", "c:/dir")              # the slash follows
    assert inside(k, "/dir/x") == "x"
    os.symlink("/dir", k.work / "abs")
    os.symlink("dir/deep", k.work / "dangling")
    k.ok("cp", "abs", "c:/abs")
    k.ok("cp", "dangling", "c:/dangling")
    k.ok("cp", "f", "c:/abs")                # a link in the container leads in the container
    assert inside(k, "/dir/f") == "text"
    k.ok("cp", "f", "c:/abs/../up")
    assert inside(k, "/up") == "text"
    k.ok("cp", "f", "c:/dangling")
    assert inside(k, "/dir/deep") == "text"
    k.ok("cp", "-L", "c:/abs", "out")
    assert (k.work / "out/x").read_text() == "x"
    k.ok("cp", "-L", "c:/dangling", "deep")
    assert (k.work / "deep").read_text() == "text"


def test_mounted_files_of_a_running_container(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--tmpfs", "/scratch", busybox, "sleep", "1000")
    write(kelp, "hosts", "1.2.3.4 x\n")
    kelp.ok("cp", "hosts", "c:/etc/hosts")
    assert kelp.ok("exec", "c", "cat", "/etc/hosts") == "1.2.3.4 x"
    kelp.ok("cp", "hosts", "c:/scratch")
    assert kelp.ok("exec", "c", "cat", "/scratch/hosts") == "1.2.3.4 x"
    kelp.ok("cp", "c:/proc/1/comm", "comm")
    assert (kelp.work / "comm").read_text() == "sleep\n"
    result = kelp("cp", "c:/", "all")
    assert result.rc == 0 and "the kernel's file systems" in result.err and "device nodes" in result.err, result
    assert (kelp.work / "all/scratch/hosts").exists() and not os.listdir(kelp.work / "all/proc")


# ---- owners --------------------------------------------------------------------------------------


def test_owners(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    write(kelp, "f", "x", 0o4755)
    kelp.ok("cp", "f", "c:/f")
    assert kelp.ok("exec", "c", "stat", "-c", "%u %g %a", "/f") == "0 0 755"
    kelp.ok("exec", "c", "sh", "-c", "echo > /g; chown 7:8 /g; chmod 6755 /g")
    kelp.ok("cp", "c:/g", "g")
    st = (kelp.work / "g").stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (kelp.user.uid, kelp.user.gid, 0o755)
    kelp.ok("cp", "-a", "c:/g", "h")
    st = (kelp.work / "h").stat()
    first = kelp.user.ranges()[0][0]
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (first + 6, first + 7, 0o755)
    kelp.ok("cp", "-a", "h", "c:/h")
    assert kelp.ok("exec", "c", "stat", "-c", "%u %g", "/h") == "7 8"
    (kelp.work / "h").unlink()


def test_a_setuid_bit_does_not_go_on_to_another_owner(kelp, busybox):
    """cp -a of a file whose owner the container does not have: it becomes root's, and no setuid-root program."""
    kelp.ok("create", "--name", "c", "--userns", "auto:size=1100", busybox, "true")
    kelp.ok("create", "--name", "d", busybox, "true")
    kelp.ok("run", "--name", "e", busybox, "sh", "-c", "echo x >/su; chown 5000:5000 /su; chmod 6755 /su; echo y >/own; chown 7:7 /own; chmod 6755 /own")
    for name in ("c", "d"):
        kelp.ok("cp", "-a", "e:/su", f"{name}:/su")
        kelp.ok("cp", "-a", "e:/own", f"{name}:/own")
    assert "6755 5000 5000" == kelp.ok("unshare", "stat", "-c", "%a %u %g", str(next(kelp.root.glob(f"containers/{kelp.json('inspect', 'd')[0]['Id']}/upper/su"))))
    upper = kelp.root / "containers" / kelp.json("inspect", "c")[0]["Id"] / "upper"
    assert kelp.ok("unshare", "stat", "-c", "%a", str(upper / "su")) == "755"
    assert kelp.ok("unshare", "stat", "-c", "%a", str(upper / "own")) == "6755"


def test_owner_of_another_namespace(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--userns", "keep-id", busybox, "sleep", "1000")
    write(kelp, "f", "x")
    kelp.ok("cp", "f", "c:/f")
    assert kelp.ok("exec", "c", "stat", "-c", "%u", "/f") == "0"
    kelp.ok("cp", "-a", "f", "c:/mine")
    assert kelp.ok("exec", "c", "stat", "-c", "%u", "/mine") == str(kelp.user.uid)
    kelp.ok("cp", "c:/f", "back")
    assert (kelp.work / "back").stat().st_uid == kelp.user.uid


def test_one_id(make_kelp, noids_user, probe_tar):
    kelp = make_kelp(user=noids_user)
    kelp.ok("import", probe_tar, "probe")
    kelp.ok("create", "--name", "c", "probe", "true")
    write(kelp, "f", "x")
    kelp.ok("cp", "f", "c:/f")
    kelp.ok("cp", "c:/f", "back")
    assert (kelp.work / "back").stat().st_uid == noids_user.uid


# ---- kinds and sizes -----------------------------------------------------------------------------


def test_sparse_and_hidden_kinds(stopped):
    k = stopped
    path = write(k, "s/sparse")
    with open(path, "r+b") as f:
        f.seek(1 << 20)
        f.write(b"middle")
        f.truncate(50 << 20)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(k.work / "s/sock"))
    result = k("cp", "s", "c:/s")
    assert result.rc == 0 and "left out sockets (1)" in result.err, result
    k.ok("cp", "c:/s", "back")
    back = (k.work / "back/sparse").stat()
    assert back.st_size == 50 << 20 and back.st_blocks * 512 < 1 << 20
    assert (k.work / "back/sparse").read_bytes() == path.read_bytes()
    k.fails("cp", "s/sock", "c:/sock", code=125, match="is a socket")


def test_holes_cost_nothing(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c", """echo end > /f; truncate -s 4611686018427387904 /dev/shm/holes
            printf x | dd bs=1 seek=2199023255552 of=/dev/shm/two 2>/dev/null; printf y | dd bs=1 seek=1099511627776 conv=notrunc of=/dev/shm/two
            echo ready; sleep 1000""")
    harness.wait_for(lambda: "ready" in kelp.ok("logs", "c"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = kelp("cp", "c:/dev/shm/holes", "holes")
    if result.rc:  # most file systems end before that
        assert result.rc == 125 and re.search("make a file of 4611686018427387904 bytes: File too large(.|\n)*hint:", result.err), result
    kelp.ok("cp", "c:/dev/shm/two", "two")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    st = (kelp.work / "two").stat()
    assert st.st_size == 2199023255553 and st.st_blocks * 512 < 1 << 20
    with open(kelp.work / "two", "rb") as f:
        assert f.read(4) == b"\0" * 4
        for at, text in ((1 << 40, b"y\0"), (2 << 40, b"x")):
            f.seek(at)
            assert f.read(2) == text


def test_read_only_container(kelp, busybox):
    write(kelp, "f", "x")
    for name, options in (("c", ("run", "-d")), ("d", ("create",))):
        kelp.ok(*options, "--read-only", "--name", name, "-v", f"{kelp.work}:/w", busybox, "sleep", "1000")
        kelp.fails("cp", "f", f"{name}:/f", code=125, match="Read-only file system(.|\n)*hint:")
        kelp.ok("cp", "f", f"{name}:/w/{name}")
        kelp.ok("cp", f"{name}:/etc/passwd", ".")


def test_a_directory_into_itself(stopped):
    k = stopped
    write(k, "d/x", "x")
    k.ok("cp", "d", "c:/d")
    k.fails("cp", "c:/d", "c:/d/sub", code=125, match="into itself")
    k.fails("cp", "c:/d", "c:/d", code=125, match="into itself")


def test_cp_does_not_start_and_leaves_it_startable(stopped):
    k = stopped
    write(k, "f", "x")
    k.ok("cp", "f", "c:/f")
    assert k.ok("ps", "-q") == ""
    assert k.ok("inspect", "-f", "{{.State.Status}}", "c") == "created"
    k.ok("start", "-a", "c")


# ---- archives ------------------------------------------------------------------------------------


def names_of(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        return {m.name: m for m in t.getmembers()}


def out(kelp, *args):
    process = kelp.spawn(kelp.command("cp", *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    data, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return data


def test_archive_out(kelp, busybox, driver):
    kelp.ok("run", "-d", "--name", "c", *driver, "-v", f"{kelp.work}:/d/mnt", busybox, "sh", "-c",
            "echo x > /d/f; chown 7:8 /d/f; ln -s /etc/passwd /d/l; echo ready; sleep 1000")
    harness.wait_for(lambda: "ready" in kelp.ok("logs", "c"))
    write(kelp, "host", "text")
    found = names_of(out(kelp, "c:/d", "-"))
    assert sorted(found) == ["d", "d/f", "d/l", "d/mnt", "d/mnt/host"]
    assert (found["d/f"].uid, found["d/f"].gid, found["d/l"].linkname) == (7, 8, "/etc/passwd")
    assert sorted(names_of(out(kelp, "c:/d/.", "-"))) == [".", "f", "l", "mnt", "mnt/host"]
    assert list(names_of(out(kelp, "c:/d/f", "/dev/stdout"))) == ["f"]
    everything = names_of(out(kelp, "c:/", "-"))
    assert "d/mnt/host" in everything and not [n for n in everything if n.startswith(("proc/", "sys/"))]
    kelp.fails("cp", "c:/none", "-", code=125, match="no such file")


@pytest.mark.parametrize("name", ["/proc/version", "/sys/kernel/mm/ksm/run", "/proc/filesystems"])
def test_files_that_the_kernel_makes_up(kelp, busybox, name):
    """Their size is said to be 0, or a page: what counts is what can be read."""
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    expected = kelp("exec", "c", "cat", name).out
    assert expected
    kelp.ok("cp", f"c:{name}", "copy")
    assert (kelp.work / "copy").read_text() == expected
    with tarfile.open(fileobj=io.BytesIO(out(kelp, f"c:{name}", "-"))) as tar:
        assert tar.extractfile(tar.next()).read().decode() == expected


def archive(*members):
    """A tar of (name, text, {attributes})."""
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w") as t:
        for name, text, attributes in members:
            m = tarfile.TarInfo(name)
            m.size = len(text)
            for key, value in attributes.items():
                setattr(m, key, value)
            t.addfile(m, io.BytesIO(text.encode()))
    return buf.getvalue()


def test_archive_in(box):
    data = archive(("sub", "", {"type": tarfile.DIRTYPE, "mode": 0o750, "uid": 3, "gid": 4}),
                   ("sub/f", "text", {"mode": 0o4711, "uid": 7, "gid": 8}), ("etc/new", "new", {}))
    box.ok("cp", "-", "c:/", input=data)
    assert inside(box, "/sub/f") == "text" and inside(box, "/etc/new") == "new"
    found = names_of(out(box, "c:/sub", "-"))
    assert (found["sub"].uid, found["sub"].gid, found["sub"].mode) == (3, 4, 0o750)
    assert (found["sub/f"].uid, found["sub/f"].gid, found["sub/f"].mode) == (7, 8, 0o4711)
    box.fails("cp", "-", "c:/none", input=data, code=125, match="is not a directory")
    box.fails("cp", "-", "c:/etc/passwd", input=data, code=125, match="is not a directory")
    box.fails("cp", "-", "c:/", input=b"no archive" * 100, code=125, match="archive")
    box.fails("cp", "-", "here", input=data, code=125, match="NAME:PATH")
    box.fails("cp", "-", "-", input=data, code=125, match="NAME:PATH")


def test_archive_in_of_another_namespace(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--userns", "keep-id", busybox, "sleep", "1000")
    kelp.ok("cp", "-", "c:/", input=archive(("f", "x", {"uid": 7, "gid": 8}), ("r", "x", {"uid": 0})))
    assert kelp.ok("exec", "c", "stat", "-c", "%u %g", "/f") == "7 8"
    assert kelp.ok("exec", "c", "stat", "-c", "%u", "/r") == "0"


@pytest.mark.parametrize("running", [False, True])
def test_no_setuid_file_in_what_the_host_has(kelp, busybox, running):
    """Neither from an archive nor from another container; a container's own files and volumes keep the bits."""
    data = archive(("d/deep", "", {"type": tarfile.DIRTYPE, "mode": 0o2775}), ("d/deep/su", "x", {"mode": 0o6755}), ("su", "x", {"mode": 0o6755}))
    host = kelp.work / "hv"
    (host / "sub").mkdir(parents=True)
    for p in (host, host / "sub"):
        os.chown(p, kelp.user.uid, kelp.user.gid)
    kelp.ok("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", f"device={host}", "alias")
    kelp.ok(*(("run", "-d") if running else ("create",)), "--name", "c", "-v", f"{host}:/hv", "-v", "v:/v", "-v", "alias:/alias", busybox, "sleep", "1000")
    kelp.ok("cp", "-", "c:/tmp", input=data)
    own = "/tmp"

    def modes(where):
        found = names_of(out(kelp, f"c:{where}/su", "-")) | names_of(out(kelp, f"c:{where}/d", "-"))
        return [found[n].mode for n in ("su", "d/deep", "d/deep/su")]
    kelp.ok("cp", "-", "c:/v", input=data)
    assert modes(own) == modes("/v") == [0o6755, 0o2775, 0o6755]
    for where in ("/hv", "/hv/sub", "/alias"):
        kelp.ok("cp", "-", f"c:{where}", input=data)
        assert modes(where) == [0o755, 0o775, 0o755], where
        kelp.ok("cp", "-a", f"c:{own}/su", f"c:{where}/again")
        kelp.ok("cp", "-a", f"c:{own}/d", f"c:{where}/tree")
    kelp.ok("cp", "-a", f"c:{own}/su", "c:/v/again")
    assert names_of(out(kelp, "c:/v/again", "-"))["again"].mode == 0o6755
    found = [p for p in host.rglob("*") if p.stat().st_mode & 0o6000]
    assert not found and (host / "sub/tree/deep/su").exists(), found


def test_hostile_archive_in(stopped):
    k = stopped
    secret = k.work / "secret"
    secret.mkdir()
    os.chown(secret, k.user.uid, k.user.gid)
    k.fails("cp", "-", "c:/tmp", input=archive(("../../../../../../../../" + str(secret) + "/x", "x", {})), code=125)
    k.ok("cp", "-", "c:/tmp", input=archive(("l", "", {"type": tarfile.SYMTYPE, "linkname": str(secret)})))
    k("cp", "-", "c:/tmp", input=archive(("l/x", "x", {})))
    k.ok("cp", "-", "c:/tmp", input=archive(("m", "", {"type": tarfile.SYMTYPE, "linkname": str(secret)}), ("m/x", "x", {})))
    assert not os.listdir(secret)


# ---- hostile containers --------------------------------------------------------------------------


# "a" is a directory, and a link to a directory of the host, in turn, as fast as it goes.
SWAP = """
mkdir -p {base}/real/deep; for i in 1 2 3 4 5 6 7 8; do echo mine > {base}/real/deep/f$i; ln -s there {base}/real/deep/l$i; done
mkdir -p {base}; cd {base}; mv real a; ln -s {secret} evil; echo ready
while true; do mv a real; mv evil a; mv a evil; mv real a; mv a/deep kept; ln -s {secret} a/deep; rm a/deep; mv kept a/deep; done
"""


@pytest.fixture
def secret(kelp):
    """A directory of the host, with names as the container has them."""
    path = kelp.base / "secret"
    (path / "deep").mkdir(parents=True)
    for d in (path, path / "deep"):
        os.chmod(d, 0o777)
        os.chown(d, kelp.user.uid, kelp.user.gid)
        for i in range(1, 9):
            (d / f"f{i}").write_text("SECRET")
            os.symlink("SECRET", d / f"l{i}")
            os.chown(d / f"f{i}", kelp.user.uid, kelp.user.gid)
    return path


def contents(path):
    return sorted((str(p.relative_to(path)), p.read_text() if p.is_file() else "") for p in path.rglob("*") if not p.is_symlink())


@pytest.mark.parametrize("shared", [False, True])
def test_a_container_that_swaps_directories(kelp, busybox, secret, shared):
    base = "/shared/x" if shared else "/x"
    (kelp.work / "s").mkdir(mode=0o777)
    os.chown(kelp.work / "s", kelp.user.uid, kelp.user.gid)
    kelp.ok("run", "-d", "--name", "c", "-v", f"{kelp.work}/s:/shared", busybox, "sh", "-c", SWAP.format(base=base, secret=secret))
    harness.wait_for(lambda: "ready" in kelp.ok("logs", "c"))
    for i in range(1, 9):
        write(kelp, f"in/deep/f{i}", "WRITTEN")
    before = contents(secret)
    outcomes = set()
    for i in range(20):
        to = kelp.work / f"out{i}"
        for args in (("cp", f"c:{base}", to), ("cp", "in/.", f"c:{base}/a"), ("cp", "in/deep/f1", f"c:{base}/a/deep/f1"),
                     ("cp", "--overwrite", "in/deep", f"c:{base}/a/"), ("cp", f"c:{base}/a/deep/f1", kelp.work / f"one{i}")):
            outcomes.add(kelp(*args).rc)
        if shared:  # the host's name leads into what the container has in its hands
            outcomes.add(kelp("cp", f"c:{base}", kelp.work / "s" / "back").rc)
        archive = kelp(*("cp", f"c:{base}", "-"))
        assert "SECRET" not in archive.out
    kelp.ok("rm", "-f", "-t", "0", "c")
    assert contents(secret) == before
    assert outcomes <= {0, 125} and 0 in outcomes, outcomes
    for p in kelp.work.rglob("*"):
        if p.is_symlink():
            assert os.readlink(p) != "SECRET", p
        elif p.is_file():
            assert p.read_text() != "SECRET", p


# Puts a file or directory of somebody else's over every name that appears, as fast as it goes. Arguments: where those are, what the names begin with.
SNATCH = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init1(0o4000)
assert libc.inotify_add_watch(fd, b".", 0x100) >= 0  # IN_CREATE
victims = sorted((v for v in os.listdir(sys.argv[1]) if v.startswith("v")), reverse=True)
print("ready", flush=True)
while victims:
    try:
        event = os.read(fd, 65536)
    except BlockingIOError:
        continue
    name = event[16:].split(b"\\0", 1)[0]  # the first of those that came: the others have their names by now
    if name.startswith(sys.argv[2].encode()):
        try:
            os.rename(os.path.join(sys.argv[1], victims[-1]), name)
            victims.pop()
        except OSError:
            pass
"""


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_container_that_puts_files_under_temporary_names(kelp, busybox, kind):
    """Nothing but what cp has made gets an owner."""
    victims, shared = kelp.work / "victims", kelp.work / "shared"
    for d in (victims, shared, kelp.work / "in"):
        d.mkdir()
        d.chmod(0o777)
        os.chown(d, kelp.user.uid, kelp.user.gid)
    for i in range(3000):
        if i < 300:
            os.symlink("x", kelp.work / f"in/{i}") if kind == "link" else os.mkfifo(kelp.work / f"in/{i}")
        write(kelp, f"victims/v{i:04}", "SECRET", 0o600)
    victims.chmod(0o777)
    kelp.ok("create", "--name", "c", "--uidmap", "0:1:1000", "--gidmap", "0:1:1000", "-v", f"{shared}:/shared", busybox, "true")
    root = kelp.user.ranges()[0][0]
    attacker = subprocess.Popen([sys.executable, "-c", SNATCH, "../victims", ".kelp-cp-"], cwd=shared, user=root, group=root, extra_groups=[],
                                stdout=subprocess.PIPE)
    try:
        assert attacker.stdout.readline() == b"ready\n"
        outcomes = [kelp("cp", "in/.", "c:/shared").rc for _ in range(12)]
    finally:
        attacker.kill()
        attacker.wait()
        attacker.stdout.close()
    assert len(os.listdir(victims)) < 3000 and set(outcomes) <= {0, 125}, outcomes
    for p in [*shared.iterdir(), *victims.iterdir()]:
        if stat.S_ISREG(p.lstat().st_mode):
            assert p.lstat().st_uid == kelp.user.uid, p


def test_a_container_that_puts_directories_in_the_place_of_new_ones(kelp, busybox):
    shared = kelp.work / "shared"
    write(kelp, "shared/x").unlink()
    shared.chmod(0o777)
    for i in range(100):
        write(kelp, f"in/{i}/x")
    for i in range(600):
        write(kelp, f"shared/v{i:04}/SECRET").parent.chmod(0o700)
    kelp.ok("create", "--name", "c", "--uidmap", "0:1:1000", "--gidmap", "0:1:1000", "-v", f"{shared}:/shared", busybox, "true")
    root = kelp.user.ranges()[0][0]
    attacker = subprocess.Popen([sys.executable, "-c", SNATCH, ".", ""], cwd=shared, user=root, group=root, extra_groups=[],
                                stdout=subprocess.PIPE)
    try:
        assert attacker.stdout.readline() == b"ready\n"
        for _ in range(12):
            assert kelp("cp", "in/.", "c:/shared").rc in (0, 125)
            for p in shared.iterdir():
                if not p.name.startswith("v") and not (p / "SECRET").exists():
                    shutil.rmtree(p)
    finally:
        attacker.kill()
        attacker.wait()
        attacker.stdout.close()
    secrets = [p for p in shared.iterdir() if (p / "SECRET").exists()]
    assert any(not p.name.startswith("v") for p in secrets)
    for p in secrets:
        assert (p.stat().st_uid, p.stat().st_mode & 0o777) == (kelp.user.uid, 0o700), p


def test_things_that_block(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c", "mkdir /d; mkfifo /d/p; ln -s loop /d/loop; echo ready; sleep 1000")
    harness.wait_for(lambda: "ready" in kelp.ok("logs", "c"))
    kelp.ok("cp", "c:/d", "d", timeout=20)
    assert stat.S_ISFIFO((kelp.work / "d/p").lstat().st_mode)
    write(kelp, "f", "x")
    kelp.ok("cp", "f", "c:/d/p", timeout=20)          # takes its place, nobody has to read
    assert inside(kelp, "/d/p") == "x"
    kelp.fails("cp", "c:/dev/zero", "zero", code=125, match="device", timeout=20)
    kelp.fails("cp", "-L", "c:/d/loop", "loop", code=125, timeout=20)
    kelp.fails("cp", "f", "c:/d/loop", code=125, timeout=20)
    kelp.fails("cp", "f", "c:/dev/null", code=125, match="has a device of that name", timeout=20)


# ---- killed --------------------------------------------------------------------------------------


def processes_of(kelp, name):
    return [pid for pid, (comm, _, _) in kelp.user.processes().items() if comm == name]


@pytest.mark.parametrize("victim", ["kelp", "kelp-image", "kelp-monitor"])
@pytest.mark.parametrize("way", ["in", "out"])
def test_killed_midway(kelp, busybox, victim, way):
    kelp.garbage = True
    kelp.ok("create", "--name", "c", busybox, "true")
    write(kelp, "big").write_bytes(os.urandom(1 << 20) * 300)
    write(kelp, "old/f", "old")
    if way == "out":
        kelp.ok("cp", "big", "c:/big")
        source, target = "c:/big", str(kelp.work / "old/f")
    else:
        kelp.ok("cp", "old/f", "c:/f")
        source, target = "big", "c:/f"
    process = kelp.popen("cp", source, target)
    pids = harness.wait_for(lambda: processes_of(kelp, victim) if processes_of(kelp, "kelp-image") else [], what=victim)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait(30)
    harness.wait_for(lambda: not processes_of(kelp, "kelp-image") and not processes_of(kelp, "kelp-monitor"), what="its processes end")
    if way == "out":
        assert os.listdir(kelp.work / "old") == ["f"]
        size = (kelp.work / "old/f").stat().st_size
    else:
        kelp.ok("cp", "c:/f", "back")
        size = (kelp.work / "back").stat().st_size
        assert not [n for n in names_of(out(kelp, "--quiet", "c:/", "-")) if "kelp-cp" in n]
    assert size in (3, 300 << 20)
    kelp.ok("start", "-a", "c")
