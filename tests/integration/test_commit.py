# SPDX-License-Identifier: Apache-2.0
"""diff, commit and export: what a container has changed, as a list, as an image, as an archive."""
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import time

import pytest

import harness
from harness import wait_for

DRIVERS = ["overlay", "fuse-overlayfs", "copy"]


@pytest.fixture(params=DRIVERS)
def driver(request):
    return ("--storage-driver", request.param)


def diff(kelp, container):
    return sorted(kelp.ok("diff", container).splitlines(), key=lambda line: (line[2:], line[0]))


def export(kelp, container, *args):
    process = kelp.popen("export", container, *args, text=False)
    data, err = process.communicate(timeout=60 * harness.SCALE)
    assert process.returncode == 0, err
    return tarfile.open(fileobj=io.BytesIO(data))


def layer_of(kelp, image):
    """The topmost layer's archive of an image."""
    path = kelp.work / "saved.tar"
    kelp.ok("save", "-o", path, image)
    with tarfile.open(path) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]
        data = tar.extractfile(manifest["Layers"][-1]).read()
        config = json.load(tar.extractfile(manifest["Config"]))
    assert config["rootfs"]["diff_ids"][-1] == "sha256:" + hashlib.sha256(data).hexdigest()
    return tarfile.open(fileobj=io.BytesIO(data))


# ---- diff ----


def test_diff_of_nothing(kelp, busybox, driver):
    """What a start puts into the tree is no change."""
    kelp.ok("create", "--name", "created", *driver, busybox, "true")
    assert diff(kelp, "created") == []
    kelp.ok("run", "--name", "c", *driver, "-v", f"{kelp.work}:/some/where/new", "-v", f"{kelp.work}:/etc/dir", "--tmpfs", "/tmp/x",
            "--device", "/dev/null:/opt/null", busybox, "true")
    assert diff(kelp, "c") == []
    kelp.ok("start", "-a", "c")
    assert diff(kelp, "c") == []


def test_diff(kelp, busybox, driver):
    kelp.ok("run", "--name", "c", *driver, busybox, "sh", "-ec", """
        echo new > /new; mkdir -p /d/e; echo x > /d/e/f; rm /etc/group; echo more >> /etc/passwd; chmod 700 /home; ln -s a /tmp/l
        mkdir /etc/x; touch /etc/x/y; rm -r /etc/x; mv /bin/ls /bin/ls2; touch /usr""")
    assert diff(kelp, "c") == ["C /bin", "D /bin/ls", "A /bin/ls2", "A /d", "A /d/e", "A /d/e/f", "C /etc", "D /etc/group",
                               "C /etc/passwd", "C /home", "A /new", "C /tmp", "A /tmp/l", "C /usr"]
    assert kelp.json("diff", "--format", "json", "c")["deleted"] == ["/bin/ls", "/etc/group"]
    kelp.fails("diff", "--format", "xml", "c", match="unknown format 'xml'")
    kelp.fails("diff", "nosuch", match="no such container: nosuch")


def test_diff_of_directories_made_anew(kelp, busybox, driver):
    """An opaque directory hides what was there: each is listed, and nothing else."""
    kelp.ok("run", "--name", "b", *driver, busybox, "sh", "-ec", "mkdir -p /a/sub/deep; touch /a/one /a/two /a/sub/deep/x /a/sub/y")
    kelp.ok("commit", "b", "base")
    kelp.ok("run", "--name", "c", *driver, "base", "sh", "-ec", "rm -r /a; mkdir -p /a/sub; touch /a/two /a/three /a/sub/z")
    assert diff(kelp, "c") == ["C /a", "D /a/one", "C /a/sub", "D /a/sub/deep", "D /a/sub/y", "A /a/sub/z", "A /a/three", "C /a/two"]
    kelp.ok("commit", "c", "again")
    assert kelp.ok("run", "--rm", "again", "sh", "-c", "find /a | sort").split() == ["/a", "/a/sub", "/a/sub/z", "/a/three", "/a/two"]


def test_diff_of_types(kelp, busybox, driver):
    kelp.ok("run", "--name", "c", *driver, busybox, "sh", "-ec",
            "rm -r /home; echo file > /home; rm /etc/group; mkdir /etc/group; touch /etc/group/in; rm /bin/cat; ln -s /x /bin/cat")
    assert diff(kelp, "c") == ["C /bin", "C /bin/cat", "C /etc", "C /etc/group", "A /etc/group/in", "C /home"]
    kelp.ok("commit", "c", "i")
    assert kelp.ok("run", "--rm", "i", "sh", "-c", "head -n1 /home; find /etc/group; readlink /bin/cat").split() == \
        ["file", "/etc/group", "/etc/group/in", "/x"]


def test_diff_of_odd_names(kelp, busybox):
    kelp.ok("run", "--name", "c", busybox, "sh", "-ec", r"""printf x > "$(printf '/tmp/a\nb')"; : > "$(printf '/tmp/\033[2J')"; : > "$(printf '/tmp/\377')" """)
    assert diff(kelp, "c") == ["C /tmp", r"A /tmp/\x1b[2J", r"A /tmp/\xff", r"A /tmp/a\x0ab"]
    assert len(kelp.json("diff", "--format", "json", "c")["added"]) == 3
    names = {m.name for m in export(kelp, "c")}
    assert "tmp/a\nb" in names and "tmp/\x1b[2J" in names


def test_diff_while_it_runs(kelp, busybox, driver):
    kelp.ok("run", "-d", "--name", "c", *driver, busybox, "sh", "-c", "echo 1 > /new; sleep 1000")
    wait_for(lambda: diff(kelp, "c") == ["A /new"])
    kelp.ok("exec", "c", "rm", "/etc/group")
    assert diff(kelp, "c") == ["C /etc", "D /etc/group", "A /new"]
    kelp.ok("kill", "c")


@pytest.mark.parametrize("userns", [("--userns", "keep-id"), ("--userns", "host"), ("--uidmap", "0:1000:2000", "--gidmap", "0:3000:2000")])
def test_maps(kelp, busybox, driver, userns):
    kelp.ok("run", "--name", "c", "--user", "0", *driver, *userns, busybox, "sh", "-ec",
            "mkdir -m 700 /d; echo x > /d/f; chown 5:6 /d/f; chmod 4711 /d/f; mkdir /etc/e; rmdir /etc/e; rm /etc/group")
    assert diff(kelp, "c") == ["A /d", "A /d/f", "C /etc", "D /etc/group"]
    kelp.ok("commit", "c", "i")
    assert kelp.ok("run", "--rm", "i", "stat", "-c", "%u %g %a", "/d", "/d/f").splitlines() == ["0 0 700", "5 6 4711"]
    f = export(kelp, "c").getmember("d/f")
    assert (f.uid, f.gid, f.mode) == (5, 6, 0o4711)


def test_one_id(make_kelp, noids_user, busybox_tar, driver):
    kelp = make_kelp(user=noids_user)
    kelp.ok("import", busybox_tar, "busybox")
    kelp.ok("run", "--name", "c", *driver, "busybox", "sh", "-ec", "echo x > /f; rm /etc/group")
    assert diff(kelp, "c") == ["C /etc", "D /etc/group", "A /f"]
    kelp.ok("commit", "c", "i")
    assert kelp.ok("run", "--rm", "i", "cat", "/f") == "x"


def test_a_directory_has_no_image(kelp, busybox):
    kelp.ok("run", "--name", "x", busybox, "true")
    root = kelp.work / "root"
    root.mkdir()
    os.chown(root, kelp.user.uid, kelp.user.gid)
    export(kelp, "x").extractall(root)
    subprocess.run(["chown", "-R", f"{kelp.user.uid}:{kelp.user.gid}", root], check=True)
    kelp.ok("run", "--name", "c", "--rootfs", root, "touch", "/f")
    for verb in ("diff", "commit"):
        assert "no image" in kelp.fails(verb, "c", match="made from a directory").err
    assert "f" in {m.name for m in export(kelp, "c")}


# ---- commit ----


def test_commit(kelp, busybox, driver):
    kelp.ok("run", "--name", "c", *driver, "-e", "A=1", "-w", "/tmp", "-l", "k=v", "-u", "alice", busybox, "sh", "-c", "echo hello > f")
    out = kelp.ok("commit", "-a", "An Author", "-m", "a message", "-c", "ENV B=2", "--change", 'CMD ["cat", "f"]', "-c", "EXPOSE 80",
                  "--iidfile", kelp.work / "id", "c", "new:1")
    assert out.startswith("sha256:") and (kelp.work / "id").read_text() == out
    assert kelp.ok("run", "--rm", "new:1") == "hello"
    image = kelp.json("image", "inspect", "new:1")[0]
    assert image["Id"] == out and image["Author"] == "An Author"
    config = image["Config"]
    assert {"A=1", "B=2"} <= set(config["Env"]) and config["WorkingDir"] == "/tmp" and config["User"] == "alice"
    assert config["Labels"] == {"k": "v"} and config["ExposedPorts"] == {"80/tcp": {}} and config["Cmd"] == ["cat", "f"]
    base = kelp.json("image", "inspect", busybox)[0]
    assert image["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    history = kelp.json("history", "--no-trunc", "--format", "json", "new:1")
    assert history[0]["Comment"] == "a message" and "sh -c echo hello" in history[0]["CreatedBy"]
    assert {m.name for m in layer_of(kelp, "new:1")} == {"tmp", "tmp/f"}


def test_commit_of_nothing(kelp, busybox):
    kelp.ok("run", "--name", "c", busybox, "true")
    kelp.ok("commit", "c", "same")
    assert layer_of(kelp, "same").getmembers() == []
    kelp.ok("run", "--rm", "same", "true")
    unnamed = kelp.ok("commit", "-q", "c")
    kelp.ok("run", "--rm", unnamed, "true")


def test_commit_of_hostile_files(kelp, busybox):
    kelp.ok("run", "--name", "c", busybox, "sh", "-ec", r"""
        mkdir /h; cd /h; ln -s /etc/shadow link; ln -s ../../../../.. up; mkfifo fifo; echo 1 > a; ln a b; ln a /tmp/c
        : > .wh.a; mkdir .wh.dir; : > .wh.dir/in; : > .wh..wh..opq
        n=$(printf '%0200d' 0); mkdir -p "$n/$n"; echo long > "$n/$n/$n"; truncate -s $((3 << 30)) hole; echo end >> hole
        touch -d @-5 old; touch -d @9000000000 late""")
    warned = kelp("commit", "c", "i")
    assert warned.rc == 0 and "names would delete" in warned.err
    tar = layer_of(kelp, "i")
    members = {m.name: m for m in tar}
    long = "0" * 200
    assert members["h/fifo"].isfifo() and members["h/link"].linkname == "/etc/shadow"
    assert members["h/b"].islnk() and members["h/b"].linkname == "h/a" and members["tmp/c"].islnk()
    assert f"h/{long}/{long}/{long}" in members and not any("/.wh." in n for n in members)
    assert members["h/hole"].issparse() and members["h/hole"].size == 3 << 30 | 4
    assert members["h/old"].mtime == -5 and members["h/late"].mtime == 9000000000
    out = kelp.ok("run", "--rm", "i", "sh", "-c", "cd /h; stat -c %h a; cat b; tail -c 4 hole; du -k hole | cut -f1")
    assert out.split()[:3] == ["3", "1", "end"] and int(out.split()[3]) < 100


def test_commit_of_attributes(kelp, busybox, probe_tar):
    kelp.ok("import", probe_tar, "probe")
    kelp.ok("run", "--name", "c", "probe", "probe", "seq", "write", "/f", "x", "--", "setxattr", "/f", "user.mine", "yes", "--",
            "setxattr", "/root", "user.dir", "too")
    assert diff(kelp, "c") == ["A /f", "C /root"]
    kelp.ok("commit", "c", "i")
    assert layer_of(kelp, "i").getmember("f").pax_headers["SCHILY.xattr.user.mine"] == "yes"
    assert kelp.ok("run", "--rm", "i", "probe", "seq", "getxattr", "/f", "user.mine", "--", "getxattr", "/root", "user.dir").split() == ["yes", "too"]


def test_commit_leaves_volumes_out(kelp, busybox):
    kelp.ok("run", "--name", "c", "-v", f"{kelp.work}:/mnt", "--tmpfs", "/scratch", busybox, "sh", "-c",
            "echo x > /mnt/f; echo y > /scratch/g; echo z > /h")
    kelp.ok("commit", "c", "i")
    assert {m.name for m in layer_of(kelp, "i")} == {"h"}


def test_commit_squash(kelp, busybox, driver):
    kelp.ok("run", "--name", "c", *driver, "-v", f"{kelp.work}:/volume/here", busybox, "sh", "-c", "echo x > /f; rm /etc/group")
    kelp.ok("commit", "--squash", "c", "i")
    image = kelp.json("image", "inspect", "i")[0]
    assert len(image["RootFS"]["Layers"]) == 1
    names = {m.name for m in layer_of(kelp, "i")}
    assert {"f", "bin/busybox", "etc/passwd", "proc"} <= names and "etc/group" not in names
    if driver[1] != "copy":
        assert "volume" not in names and ".dockerenv" not in names
    kelp.ok("rmi", "-f", busybox)
    assert kelp.ok("run", "--rm", "i", "cat", "/f") == "x"


def test_commit_without_the_image(kelp, busybox):
    kelp.ok("run", "--name", "c", busybox, "sh", "-c", "echo x > /f")
    kelp.ok("rmi", "-f", busybox)
    kelp.ok("commit", "c", "i")
    kelp.ok("rm", "c")
    assert kelp.ok("run", "--rm", "i", "cat", "/f") == "x"


def test_commit_errors(kelp, busybox):
    kelp.ok("run", "--name", "c", busybox, "true")
    kelp.fails("commit", "nosuch", match="no such container: nosuch")
    kelp.fails("commit", "-c", "FROM x", "c", match="'FROM' is no instruction")
    kelp.fails("commit", "c", "UPPER", match="UPPER")
    kelp.fails("commit", "--format", "tar", "c", match="unknown format 'tar'")
    assert kelp.ok("images", "-q", "--filter", "dangling=true") == ""


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_committed_images_travel(kelp, make_kelp, busybox, form):
    """The same digests elsewhere; others read it."""
    kelp.ok("run", "--name", "c", busybox, "sh", "-c", "rm -r /home; mkdir /home; echo x > /home/f; rm /etc/group")
    image = kelp.ok("commit", "--format", form, "c", "i:1")
    kelp.ok("save", "-o", kelp.work / "i.tar", "i:1")
    kelp.ok("save", "-o", kelp.work / "again.tar", "i:1")
    assert (kelp.work / "i.tar").read_bytes() == (kelp.work / "again.tar").read_bytes()
    other = make_kelp()
    other.ok("load", "-i", kelp.work / "i.tar")
    assert other.json("image", "inspect", "i:1")[0]["Id"] == image
    other.fails("run", "--rm", "i:1", "ls", "/etc/group", match="No such file")
    assert other.ok("run", "--rm", "i:1", "ls", "/home") == "f"
    for argv in (["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{kelp.work}/i.tar", f"oci:{kelp.work}/layout:t"],
                 ["umoci", "unpack", "--rootless", "--image", f"{kelp.work}/layout:t", f"{kelp.work}/bundle"]):
        result = kelp.execute(argv)
        assert result.rc == 0, result
    assert sorted(os.listdir(kelp.work / "bundle" / "rootfs" / "home")) == ["f"]
    assert not (kelp.work / "bundle" / "rootfs" / "etc" / "group").exists()


def test_a_container_that_is_removed_meanwhile(kelp, busybox):
    kelp.garbage = True
    kelp.ok("run", "--name", "c", busybox, "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo $i > /f$i; i=$((i+1)); done")
    for verb in (("commit", "c", "i"), ("diff", "c"), ("export", "c", "-o", kelp.work / "e.tar")):
        kelp.ok("run", "-d", "--name", "d", busybox, "true")
        process = kelp.popen(*verb)
        kelp.ok("rm", "-f", "d")
        process.communicate(timeout=60)
        assert process.returncode == 0
    process = kelp.popen("commit", "c", "j")
    kelp.ok("rm", "c")
    process.communicate(timeout=60)
    if process.returncode == 0:
        assert kelp.ok("run", "--rm", "j", "sh", "-c", "ls / | grep -c ^f") == "3000"
    else:
        kelp.fails("run", "--rm", "j", "true")


def test_files_that_change_meanwhile(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c",
            "while :; do dd if=/dev/zero of=/grow bs=64k count=20 2>/dev/null; : > /grow; mkdir -p /d/e; mv /d /x 2>/dev/null; rm -rf /x /d; done")
    for _ in range(5):
        kelp.ok("commit", "--pause=false", "c", "i")
        layer_of(kelp, "i")
        kelp.ok("diff", "c")
    kelp.ok("kill", "c")


# ---- pausing ----


def states(kelp):
    """State letters of the container's processes, ours left out."""
    return [p[1] for p in kelp.user.processes().values() if not p[0].startswith("kelp") and p[1] != "Z"]


BUSY = "while :; do sleep 0.01; done"


def start_big_commit(kelp, busybox):
    """A container that runs, and a commit of it that takes a while."""
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c", f"dd if=/dev/zero of=/big bs=1M count=300 2>/dev/null; touch /ready; {BUSY}",
            timeout=120)
    wait_for(lambda: "A /ready" in diff(kelp, "c"), 60)
    process = kelp.popen("commit", "--pause", "c", "i")
    wait_for(lambda: states(kelp) and set(states(kelp)) == {"T"}, what="everything stopped")
    return process


def test_pause(kelp, busybox):
    process = start_big_commit(kelp, busybox)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    wait_for(lambda: "T" not in states(kelp))
    assert kelp.ok("exec", "c", "echo", "alive") == "alive"
    assert kelp.ok("run", "--rm", "i", "stat", "-c", "%s", "/big") == str(300 << 20)
    kelp.ok("kill", "c")


@pytest.mark.parametrize("who", ["kelp", "pause 1", "pause 2", "kelp-image"])
def test_a_killed_commit_lets_go(kelp, busybox, who):
    """Whoever is killed: the container goes on, and there is no half image."""
    kelp.garbage = True
    process = start_big_commit(kelp, busybox)
    if who == "kelp":
        victims = [process.pid]
    elif who == "kelp-image":
        victims = [pid for pid, p in kelp.processes().items() if p[0] == "kelp-image"]
    else:
        victims = sorted(pid for pid, p in kelp.processes().items() if " pause " in p[2])[int(who[-1]) - 1:][:1]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=120)
    wait_for(lambda: "T" not in states(kelp), 30, what="the container goes on")
    assert kelp.ok("exec", "c", "echo", "alive") == "alive"
    if kelp("image", "inspect", "i").rc == 0:  # it was done already
        assert kelp.ok("run", "--rm", "i", "stat", "-c", "%s", "/big") == str(300 << 20)
    kelp.ok("commit", "c", "i")
    kelp.ok("kill", "c")


def test_no_pause_with_others_processes(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--pid", "host", busybox, "sleep", "1000")
    assert "PID namespace" in kelp.fails("commit", "--pause", "c", "i", match="--pause=false").err
    result = kelp("commit", "c", "i")
    assert result.rc == 0 and "go on meanwhile" in result.err
    assert kelp("commit", "--pause=false", "c", "i").err == ""
    kelp.ok("kill", "c")


# ---- export ----


def test_export(kelp, busybox, driver):
    kelp.ok("run", "-d", "--name", "c", *driver, "-v", f"{kelp.work}:/mnt/v", busybox, "sh", "-ec",
            "echo x > /mnt/v/f; rm /etc/group; echo y > /g; chown 7:8 /g; sleep 1000")
    wait_for(lambda: "A /g" in diff(kelp, "c"))
    tar = export(kelp, "c")
    members = {m.name: m for m in tar}
    assert members["mnt/v"].isdir() and "mnt/v/f" not in members and "etc/group" not in members
    assert (members["g"].uid, members["g"].gid) == (7, 8) and tar.extractfile("g").read() == b"y\n"
    assert members["proc"].isdir() and members["bin/ls"].issym() and "bin/busybox" in members
    kelp.ok("kill", "c")
    kelp.ok("export", "-o", kelp.work / "e.tar", "c")
    kelp.ok("import", kelp.work / "e.tar", "back")
    assert kelp.ok("run", "--rm", "back", "stat", "-c", "%u:%g", "/g") == "7:8"
    terminal = kelp.pty("export", "c")
    terminal.expect("terminal")
    assert terminal.wait() == 125
    kelp.fails("export", "-o", "/nosuch/dir/x", "c", match="nosuch")
    assert not [n for n in os.listdir(kelp.work) if n.startswith(".kelp")]
