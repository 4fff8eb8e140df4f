# SPDX-License-Identifier: Apache-2.0
"""Who owns what a container writes into a directory of the caller: --userns=keep-id:image, with images as they are."""
import glob
import json
import os
import shutil
import signal
import struct
import subprocess
import time

import pytest

import rootfs
from harness import wait_for

PROBE = "/bin/probe"


def make_dir(kelp, name, mode=0o755):
    """A directory of the user's, on the host."""
    path = kelp.work / name
    path.mkdir()
    if os.getuid() == 0:
        os.chown(path, kelp.user.uid, kelp.user.gid)
    path.chmod(mode)
    return path


def owners(path):
    """All owners of what is in a directory."""
    return {(st.st_uid, st.st_gid) for p in [path, *path.rglob("*")] for st in [p.lstat()]}


def userns_of(kelp, container):
    return kelp.json("container", "inspect", container)[0]["HostConfig"]["UsernsMode"]


# ---- keep-id:image: whose image it is ----

CASES = [
    # USER, VOLUME, what it comes to
    ("alice", [], "keep-id:uid=1000,gid=1000"),
    ("1000", [], "keep-id:uid=1000,gid=1000"),
    ("4321", [], "keep-id:uid=4321,gid=0"),
    ("1000:50", [], "keep-id:uid=1000,gid=50"),
    ("alice:staff", [], "keep-id:uid=1000,gid=50"),
    ("", ["/srv/db"], "keep-id:uid=999,gid=998"),
    ("root", ["/srv/db"], "keep-id:uid=999,gid=998"),
    ("0:0", ["srv/db"], "keep-id:uid=999,gid=998"),
    ("", ["/bin", "/missing", "/etc/passwd", "/link"], "keep-id:uid=999,gid=998"),  # root's, none, a file, a link to it
    ("", ["/srv/closed/db"], "keep-id:uid=77,gid=78"),  # behind a directory of another's that nobody else may search
    ("alice", ["/srv/db"], "keep-id:uid=1000,gid=1000"),
    ("", [], "private"),
    ("", ["/bin", "/"], "private"),
    ("root", ["/missing"], "private"),
]


@pytest.fixture
def image(kelp, probe_binary):
    extra = [rootfs.entry("srv", "dir"), rootfs.entry("srv/db", "dir", uid=999, gid=998, mode=0o700),
             rootfs.entry("srv/closed", "dir", uid=33, gid=33, mode=0o700),
             rootfs.entry("srv/closed/db", "dir", uid=77, gid=78), rootfs.entry("link", "symlink", target="srv/db")]
    data = rootfs.probe_tar(probe_binary, extra)

    def make(user="", volumes=(), name="i"):
        changes = ["--change", f"USER {user}"] if user else []
        if volumes:
            changes += ["--change", "VOLUME " + json.dumps(list(volumes))]
        return kelp.import_image(data, name, *changes)
    return make


def test_the_images_user(kelp, image):
    for n, (user, volumes, want) in enumerate(CASES):
        image(user, volumes, f"i{n}")
        kelp.ok("create", "--name", f"c{n}", "--userns", "keep-id:image", f"i{n}", PROBE, "true")
        assert userns_of(kelp, f"c{n}") == want, (user, volumes)


def test_its_files_are_the_callers(kelp, image):
    """The user of the image writes; in a directory of the caller that is the caller, and everywhere inside it is who the image means."""
    image("alice")
    data = make_dir(kelp, "data")
    for _ in range(2):
        out = kelp.ok("run", "--rm", "--userns", "keep-id:image", "-v", f"{data}:/data", "i", PROBE, "write", "/data/file", "text")
        out = kelp.ok("run", "--rm", "--userns=keep-id:image", "-v", f"{data}:/data", "i", PROBE, "id")
        assert out.startswith("uid=1000 euid=1000 gid=1000"), out
    assert owners(data) == {(kelp.user.uid, kelp.user.gid)}
    out = kelp.ok("run", "--rm", "--userns=keep-id:image", "-v", f"{data}:/data", "i", PROBE, "stat", "/data/file")
    assert "uid=1000 gid=1000" in out
    kelp.execute(["rm", "-rf", data])
    assert not data.exists()


def test_upper_layers_count(kelp, probe_binary):
    """The owner of a directory that an upper layer changed, or replaced, is what the upper layer says; a removed one counts no more."""
    base = rootfs.probe_tar(probe_binary, [rootfs.entry("a", "dir", uid=5, gid=5), rootfs.entry("b", "dir", uid=6, gid=6)])
    upper = rootfs.write_tar([rootfs.entry("a", "dir", uid=7, gid=8), rootfs.entry(".wh.b"),
                              rootfs.entry("etc/passwd", data="alice:x:12:13::/:\n")])
    for n, (config, want) in enumerate([({"Volumes": {"/a": {}}}, "keep-id:uid=7,gid=8"), ({"Volumes": {"/b": {}}}, "private"),
                                        ({"User": "alice"}, "keep-id:uid=12,gid=13")]):
        archive, _, _ = rootfs.oci_archive([base, upper], config, name=f"layers:{n}")
        kelp.ok("load", "-q", input=archive)
        kelp.ok("create", "--name", f"c{n}", "--userns=keep-id:image", f"layers:{n}", PROBE, "true")
        assert userns_of(kelp, f"c{n}") == want


def test_no_image(kelp, image, probe_binary):
    kelp.fails("create", "--userns=keep-id:image", "--rootfs", kelp.work, PROBE, "true", code=125, match="there is no image")
    image()
    kelp.fails("create", "--userns=keep-id:image,uid=5", "i", PROBE, "true", code=125, match="image alone")


def test_one_id(make_kelp, noids_user, probe_binary):
    """Without subordinate ids there is but one user inside: the image's is who it is, and root's program runs as that one."""
    kelp = make_kelp(user=noids_user)
    kelp.import_image(rootfs.probe_tar(probe_binary, [rootfs.entry("db", "dir", uid=999, gid=998)]), "i", "--change", "VOLUME /db")
    data = make_dir(kelp, "data")
    out = kelp.ok("run", "--rm", "--userns=keep-id:image", "-v", f"{data}:/data", "i", PROBE, "id")
    assert out.startswith("uid=999 euid=999 gid=998"), out


# ---- layers with other owners ----


def big_image(kelp, probe_binary, size):
    """An image of one layer with a file of so many bytes, and some of all sorts of owners."""
    extra = [rootfs.entry("big", data=os.urandom(size))] + [rootfs.entry(f"f{i}", data=str(i), uid=i, gid=2 * i) for i in range(50)]
    kelp.import_image(rootfs.probe_tar(probe_binary, extra), "big")
    return next((kelp.root / "layers").iterdir())


def variants(layer):
    return sorted(p.name for p in layer.iterdir() if p.name.startswith("fs."))


def test_concurrent_starts_copy_once(kelp, probe_binary):
    layer = big_image(kelp, probe_binary, 64 << 20)
    runs = [kelp.popen("run", "--rm", "--userns=keep-id", "big", PROBE, "stat", "/f7") for _ in range(5)]
    copies = set()
    while any(r.poll() is None for r in runs):
        copies |= set(glob.glob(f"{kelp.root}/tmp/*/*/big"))
        time.sleep(0.002)
    for r in runs:
        out, err = r.communicate()
        assert r.returncode == 0 and "uid=7 gid=14" in out, err
    assert len(variants(layer)) == 1 and len(copies) == 1, copies


def test_killed_while_it_copies(kelp, probe_binary):
    """The next start makes it; what was half there is gone."""
    layer = big_image(kelp, probe_binary, 64 << 20)
    kelp.garbage = True
    run = kelp.popen("run", "--rm", "--userns=keep-id", "big", PROBE, "stat", "/f7")
    wait_for(lambda: glob.glob(f"{kelp.root}/tmp/*/*/big"), 10, "the copy has begun")
    for pid, p in kelp.processes().items():
        if p[0].startswith("kelp-image"):
            os.kill(pid, signal.SIGKILL)
    assert run.wait(20) == 125 and "killed by signal 9" in run.stderr.read()
    assert variants(layer) == []
    assert "uid=7 gid=14" in kelp.ok("run", "--rm", "--userns=keep-id", "big", PROBE, "stat", "/f7")
    assert len(variants(layer)) == 1
    wait_for(lambda: not glob.glob(f"{kelp.root}/tmp/*/*/big"), 5, "the torn copy is swept")


def test_only_what_changes_is_copied(kelp, probe_binary):
    """Files of users whose ids stay the same are the same inodes: those of the layer as it is, and those of an older variant."""
    if subprocess.run(["cp", "--reflink=always", "/proc/self/exe", kelp.base / "clone"], cwd=kelp.base, check=False, capture_output=True).returncode == 0:
        pytest.skip("this file system shares extents instead")
    extra = [rootfs.entry("srv", "dir"), rootfs.entry("srv/root", data=os.urandom(1 << 20), mode=0o4755),
             *(rootfs.entry(f"srv/{uid}", data=os.urandom(1 << 20), uid=uid, gid=uid, mode=0o2750) for uid in (998, 999, 2000)),
             rootfs.entry("srv/again", "link", target="srv/2000")]
    kelp.import_image(rootfs.probe_tar(probe_binary, extra), "i")
    layer = next((kelp.root / "layers").iterdir())

    def facts(directory):
        return {p.name: (p.lstat().st_ino, p.stat().st_uid, oct(p.stat().st_mode), p.read_bytes()) for p in (directory / "srv").iterdir()}

    def made(uid):
        before = variants(layer)
        kelp.ok("run", "--rm", f"--userns=keep-id:uid={uid},gid={uid}", "-u", "0", "i", PROBE, "true")
        return facts(layer / next(v for v in variants(layer) if v not in before))

    def same(a, b):
        return {name for name in a if a[name][0] == b[name][0]}

    whole = facts(layer / "fs")
    first, second = made(999), made(998)
    assert same(first, whole) == {"2000", "again"} and same(second, whole) == {"2000", "again", "999"}
    assert same(first, second) == {"2000", "again", "root"}  # whom either keeps, and who moved up for him, is another
    assert facts(layer / "fs") == whole
    noted = sorted(int(p.read_text()) for p in layer.glob("shared.*"))  # a file system may count its own blocks besides
    assert noted[0] >> 20 in (1, 2) and noted[1] >> 20 in (3, 4)
    for variant in (first, second):
        assert {n: f[2:] for n, f in variant.items()} == {n: f[2:] for n, f in whole.items()}
        assert variant["root"][1] == subordinate(kelp, 1) and variant["2000"][1] == subordinate(kelp, 2000)
    assert first["999"][1] == kelp.user.uid and second["998"][1] == kelp.user.uid and second["999"][1] == subordinate(kelp, 999)
    out = kelp.ok("run", "--rm", "--userns=keep-id:uid=999,gid=999", "-u", "0", "i", PROBE, "seq", "stat", "/srv/2000", "--", "write", "/srv/2000", "x",
                  "--", "chmod", "700", "/srv/2000", "--", "stat", "/srv/2000")
    assert "uid=2000" in out and facts(layer / "fs") == whole  # written to in the container's layer alone


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file system")
def test_reflinks(make_kelp, session_dir, probe_binary):
    """Where the file system shares blocks between files, a layer with other owners takes no room."""
    kelp = make_kelp()
    disk = session_dir / "xfs.img"
    with open(disk, "wb") as f:
        f.truncate(400 << 20)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", disk], check=True)
    subprocess.run(["mount", "-o", "loop", disk, kelp.root], check=True)
    kelp.own_mounts = [str(kelp.root)]
    try:
        os.chown(kelp.root, kelp.user.uid, kelp.user.gid)
        layer = big_image(kelp, probe_binary, 48 << 20)
        free = shutil.disk_usage(kelp.root).free
        kelp.ok("run", "--rm", "--userns=keep-id", "big", PROBE, "true")
        copy = layer / variants(layer)[0] / "big"
        assert copy.stat().st_size == 48 << 20 and copy.stat().st_uid == subordinate(kelp, 1)
        assert free - shutil.disk_usage(kelp.root).free < 8 << 20
        kelp.ok("rmi", "big")
        kelp.end_holders()
    finally:
        subprocess.run(["umount", "-l", kelp.root], check=True)
        disk.unlink()


# ---- the option U ----


def subordinate(kelp, n):
    """The n-th id of U on the host: 0 is the caller."""
    uid_map = kelp.json("info", "--format", "json")["userns"]["uidMap"]
    for e in uid_map:
        if e["containerID"] <= n < e["containerID"] + e["size"]:
            return e["hostID"] + n - e["containerID"]
    raise AssertionError(f"{n} is not in {uid_map}")


def make_tree(kelp, data):
    """Files, links that lead out, a pipe, and what the owner himself closed."""
    script = ("mkdir -p d/e && touch f d/g d/e/h && ln -s /etc/passwd out && ln -s ../outside d/out && ln f d/hard && "
              "mkfifo p && mkdir closed && touch closed/x && chmod 000 closed && touch ../outside && chmod 4755 f")
    kelp.execute(["sh", "-ec", script], cwd=data)


@pytest.mark.parametrize("mount", ["-v {}:/data:U", "-v {}:/data:ro,U", "--mount type=bind,src={},dst=/data,U=true"])
def test_u_gives_all_of_it(kelp, image, mount):
    image("alice")
    data = make_dir(kelp, "data")
    make_tree(kelp, data)
    options = mount.format(data).split(" ")
    out = kelp.ok("run", "--rm", *options, "i", PROBE, "seq", "stat", "/data", "--", "stat", "/data/d/e/h", "--", "stat", "/data/closed")
    assert out.count("uid=1000 gid=1000") == 3 and "mode=0000" in out
    alice = subordinate(kelp, 1000)
    assert owners(data) == {(alice, alice)}
    assert (data.parent / "outside").stat().st_uid == kelp.user.uid and os.stat("/etc/passwd").st_uid == 0
    assert not (data / "f").stat().st_mode & 0o4000  # who owns it now must not have a program of another's
    kelp.ok("run", "--rm", "-v", f"{data}:/data:U", "-u", "0", "i", PROBE, "true")
    assert owners(data) == {(kelp.user.uid, kelp.user.gid)}


def test_u_follows_the_users_map(kelp, image):
    image("alice")
    data = make_dir(kelp, "data")
    make_tree(kelp, data)
    kelp.ok("run", "--rm", "--userns=keep-id:image", "-v", f"{data}:/data:U", "i", PROBE, "true")
    assert owners(data) == {(kelp.user.uid, kelp.user.gid)}
    kelp.ok("run", "--rm", "--userns=keep-id:image", "-u", "daemon:staff", "-v", f"{data}:/data:U", "i", PROBE, "true")
    assert owners(data) == {(subordinate(kelp, 2), subordinate(kelp, 51))}  # root is 1 there
    kelp.ok("run", "--rm", "--uidmap", "0:500:100", "-v", f"{data}:/data:U", "-u", "7:8", "i", PROBE, "true")
    assert owners(data) == {(subordinate(kelp, 507), subordinate(kelp, 508))}  # ids that the container before had not
    kelp.ok("run", "--rm", "--userns=host", "-v", f"{data}:/data:U", "-u", "0", "i", PROBE, "true")
    assert owners(data) == {(kelp.user.uid, kelp.user.gid)}


def test_u_of_a_file_and_of_volumes(kelp, image):
    image("alice")
    data = make_dir(kelp, "data")
    kelp.execute(["touch", "f", "g"], cwd=data)
    kelp.ok("run", "--rm", "-v", f"{data}/f:/f:U", "-v", "vol:/vol:U", "i", PROBE, "seq", "write", "/vol/a", "x", "--", "write", "/f", "y")
    alice = subordinate(kelp, 1000)
    assert (data / "f").stat().st_uid == alice and (data / "g").stat().st_uid == kelp.user.uid
    assert kelp.ok("run", "--rm", "-v", "vol:/vol:U", "-u", "root", "i", PROBE, "stat", "/vol/a").find("uid=0 gid=0") > 0
    kelp.ok("run", "--rm", "-v", "vol:/vol", "-u", "root", "i", PROBE, "seq", "mkdir", "/vol/sub", "--", "symlink", "../..", "/vol/sub/up")
    part = "type=volume,src=vol,dst=/data,volume-subpath={},U=true"
    out = kelp.ok("run", "--rm", "--mount", part.format("sub"), "-v", "vol:/vol", "i", PROBE, "seq", "stat", "/data", "--", "stat", "/vol/a")
    assert out.splitlines()[0].count("uid=1000") == 1 and out.splitlines()[1].count("uid=0") == 1
    kelp.fails("run", "--rm", "--mount", part.format("sub/up/up"), "i", PROBE, "true", code=125, match="leads out|subpath")
    kelp.ok("volume", "rm", "vol")


def test_u_at_every_start(kelp, image):
    """What came meanwhile is given as well."""
    image("alice")
    data = make_dir(kelp, "data")
    kelp.ok("create", "--name", "c", "-v", f"{data}:/data:U", "i", PROBE, "true")
    assert kelp.json("container", "inspect", "c")[0]["HostConfig"]["Binds"] == [f"{data}:/data:U"]
    data.chmod(0o777)
    for name in "ab":
        kelp.execute(["touch", data / name])
        assert (kelp.user.uid, kelp.user.gid) in owners(data)
        kelp.ok("start", "-a", "c")
        assert owners(data) == {(subordinate(kelp, 1000),) * 2}


def test_u_of_what_is_anothers(kelp, image):
    image("alice")
    kelp.fails("run", "--rm", "-v", "/usr/share/doc:/data:U", "i", PROBE, "true", code=125,
               match=r"(?s)mount '/data': option U: change its owner: Operation not permitted.*hint: .*subordinate ids")
    assert os.stat("/usr/share/doc").st_uid == 0
    if os.getuid() == 0:
        data = make_dir(kelp, "data")
        (data / "roots").touch()
        kelp.fails("run", "--rm", "-v", f"{data}:/data:U", "i", PROBE, "true", code=125, match="change the owner of 'roots'")
        assert (data / "roots").stat().st_uid == 0


def test_u_keeps_away_from_home_and_store(kelp, image):
    image("alice")
    for path in (kelp.root, kelp.base, kelp.user.home):
        if os.path.isdir(path):
            kelp.fails("run", "--rm", "-v", f"{path}:/data:U", "i", PROBE, "true", code=125, match="holds your home directory, or Kelp's own")
    kelp.ok("run", "--rm", "i", PROBE, "true")


def test_u_goes_with_neither_overlay_nor_tmpfs(kelp, image):
    image("alice")
    kelp.fails("run", "--rm", "-v", "/tmp:/data:O,U", "i", PROBE, "true", code=125, match="U would change the files that O leaves")
    kelp.ok("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "mem")
    kelp.fails("run", "--rm", "-v", "mem:/data:U", "i", PROBE, "true", code=125, match="empty tmpfs")


# ---- who cannot write is told ----

SAYS = "kelp: warning: mount '/data': user {} of the container cannot write to '{}'; see --userns=keep-id:image, the option U"


def test_one_line_at_the_start(kelp, image):
    image("alice")
    data, second = make_dir(kelp, "data"), make_dir(kelp, "second")
    mounts = ("-v", f"{data}:/data", "-v", f"{second}:/second")
    result = kelp("run", "--rm", *mounts, "i", PROBE, "echo", "out")
    assert result.rc == 0 and result.out == "out\n"
    assert result.err.startswith(SAYS.format("1000:1000", data)) and result.err.count("\n") == 1, result
    assert "kelp unshare chown -R 1000:1000" in result.err
    kelp.ok("create", "--name", "c", *mounts, "i", PROBE, "true")
    assert kelp("start", "c").err.startswith(SAYS.format("1000:1000", data))
    kelp.ok("wait", "c")
    assert kelp("start", "-a", "c").err.startswith(SAYS.format("1000:1000", data))
    assert kelp("run", "-d", "--name", "d", *mounts, "i", PROBE, "true").err.startswith("kelp: warning: mount '/data'")
    assert "-R 1001:1002" in kelp("run", "--rm", "--userns=keep-id:uid=2000,gid=2000", "-u", "1000:1001", *mounts, "i", PROBE, "true").err


@pytest.mark.parametrize("options", [
    "-v {}:/data:ro", "-v {}:/data -u 0", "-v {}:/data --userns=keep-id:image", "-v {}:/data:U", "-v {}:/data:O", "-v vol:/data",
    "-v {}/open:/data", "-v {}/group:/data -u 1000:50 --gidmap 50:0:1 --gidmap 0:1:50 --uidmap 0:0:2000", "--tmpfs /data",
    "--mount type=bind,src={},dst=/data,readonly", "-v /etc:/data", "-v /proc/version:/data", "-v {}:/data --userns=keep-id -u 0"])
def test_no_line_where_all_is_well(kelp, image, options):
    """Nor where the caller could not do anything about it."""
    image("alice")
    data = make_dir(kelp, "data")
    kelp.execute(["sh", "-c", "mkdir -m 777 open; mkdir -m 775 group"], cwd=data)
    result = kelp("run", "--rm", *options.format(data).split(" "), "i", PROBE, "true")
    assert result.rc == 0 and result.err == "", result


def test_acls_count(kelp, image):
    """What an ACL allows is allowed; the kernel is asked, not the mode."""
    image("alice")
    data = make_dir(kelp, "data")
    alice = subordinate(kelp, 1000)
    nobody = 2**32 - 1
    acl = [(0x01, 7, nobody), (0x02, 7, alice), (0x04, 5, nobody), (0x10, 7, nobody), (0x20, 5, nobody)]  # acl(5): user, alice, group, mask, other
    try:
        os.setxattr(data, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in acl))
    except OSError as e:
        pytest.skip(f"no ACLs here: {e}")
    assert kelp("run", "--rm", "-v", f"{data}:/data", "i", PROBE, "write", "/data/x", "y").err == ""


def test_what_it_names_helps(kelp, image):
    image("alice")
    data = make_dir(kelp, "data")
    write = ("-v", f"{data}:/data", "i", PROBE, "write", "/data/x", "y")
    assert kelp("run", "--rm", *write).rc != 0
    for options in (("--userns=keep-id:image", *write), ("-v", f"{data}:/data:U", *write[2:])):
        result = kelp("run", "--rm", *options)
        assert result.rc == 0 and result.err == "", result


# ---- ranges of their own: --userns=auto ----


def first_of(kelp, container):
    """Where a container's ids begin in U, and how many there are."""
    spec = json.loads((kelp.root / "containers" / kelp.json("inspect", container)[0]["Id"] / "spec.json").read_text())
    uid, gid = spec["linux"]["uidMappings"], spec["linux"]["gidMappings"]
    assert uid == gid and uid[0]["containerID"] == 0
    return uid[0]["hostID"], sum(e["size"] for e in uid)


def auto(kelp, name, options="", image="i", **kw):
    return kelp.ok("create", "--name", name, "--userns=auto" + options, image, PROBE, "id", **kw)


def test_auto_ranges_are_disjoint(kelp, image):
    image()
    for name in "abc":
        auto(kelp, name)
        out = kelp.ok("start", "-a", name)
        assert out.startswith("uid=0 euid=0 gid=0"), out
    assert [first_of(kelp, c) for c in "abc"] == [(1, 1024), (1025, 1024), (2049, 1024)]
    kelp.ok("rm", "b")
    auto(kelp, "two", ":size=1025")  # does not fit between a and c
    auto(kelp, "one", ":size=5")
    assert first_of(kelp, "two") == (3073, 1025) and first_of(kelp, "one") == (1025, 5)


def test_auto_is_as_large_as_the_image(kelp, probe_binary):
    for n, (entries, user, size) in enumerate([([], "", 1024), ([rootfs.entry("f", uid=5000)], "", 5001), ([rootfs.entry("f", gid=6000)], "", 6001),
                                               ([rootfs.entry("f", uid=65534, gid=65534)], "", 1024), ([], "7000", 7001),
                                               ([rootfs.entry("etc/passwd", data="x:x:8000:1::/:\n")], "", 8001)]):
        kelp.import_image(rootfs.probe_tar(probe_binary, entries), f"i{n}")
        kelp.ok("create", "--name", f"c{n}", "--userns=auto", "-u", user, f"i{n}", PROBE, "true")
        assert first_of(kelp, f"c{n}")[1] == size


def test_auto_with_lines_of_ones_own(kelp, image):
    """uidmapping and gidmapping come first; the rest of the range is around them."""
    image()
    data = make_dir(kelp, "data")
    options = ("--userns=auto:size=2000,uidmapping=1000:0:1,gidmapping=1000:0:1", "-u", "1000:1000")
    kelp.ok("run", "--rm", *options, "-v", f"{data}:/data", "i", PROBE, "write", "/data/f", "x")
    assert owners(data) == {(kelp.user.uid, kelp.user.gid)}
    out = kelp.ok("run", "--rm", *options, "i", PROBE, "read", "/proc/self/uid_map")
    assert [l.split() for l in out.splitlines()] == [["0", "1", "1000"], ["1000", "0", "1"], ["1001", "1002", "999"]]
    out = kelp.ok("run", "--rm", "--userns=auto:size=10,uidmapping=20:5:3", "i", PROBE, "read", "/proc/self/uid_map")
    assert [l.split() for l in out.splitlines()] == [["0", "1025", "10"], ["20", "5", "3"]]  # whose lines meet the first range
    kelp.fails("run", "--userns=auto:uidmapping=0:9999999:1", "i", PROBE, "true", code=125, match="not in the user's namespace")


def test_auto_lets_each_write_to_its_own(kelp, image):
    """What one has written is nobody's for the other."""
    image()
    shared = make_dir(kelp, "shared", 0o777)
    for name in "ab":
        kelp.ok("run", "-d", "--name", name, "--userns=auto", "-v", f"{shared}:/data", "i", PROBE, "seq", "write", f"/data/{name}", "x", "--", "pause")
        wait_for((shared / name).exists, 5, "it wrote")
    assert (shared / "a").stat().st_uid == subordinate(kelp, 1) and (shared / "b").stat().st_uid == subordinate(kelp, 1025)
    assert "uid=65534" in kelp.ok("exec", "b", PROBE, "stat", "/data/a")
    assert kelp("exec", "b", PROBE, "write", "/data/a", "y").rc != 0


def test_auto_at_once(kelp, image):
    image()
    creations = [kelp.popen("create", "--name", f"c{i}", f"--userns=auto:size={500 + 700 * (i % 3)}", "i", PROBE, "true") for i in range(12)]
    for c in creations:
        assert c.wait(60) == 0, c.stderr.read()
    taken = sorted((start, start + size) for start, size in (first_of(kelp, f"c{i}") for i in range(12)))
    assert all(a[1] <= b[0] for a, b in zip(taken, taken[1:])), taken


def test_auto_has_an_end(kelp, image):
    image()
    auto(kelp, "all", ":size=40000")
    kelp.fails("create", "--userns=auto:size=40000", "i", PROBE, "true", code=125,
               match="(?s)no range of 40000 ids is free among [0-9]+.*hint: remove containers")
    kelp.fails("create", "--userns=auto:size=4000000", "i", PROBE, "true", code=125, match="no range of 4000000 ids is free")
    kelp.ok("rm", "all")
    auto(kelp, "again", ":size=40000")
    assert first_of(kelp, "again") == (1, 40000)


def test_auto_comes_back_at_once(kelp, image):
    """A container with --rm is still being deleted when its end is known; its range is free."""
    image()
    for _ in range(10):
        out = kelp.ok("run", "--rm", "--userns=auto", "i", PROBE, "read", "/proc/self/uid_map")
        assert out.split() == ["0", "1", "1024"]
    assert [p.name for p in (kelp.root / "ids").iterdir()] == [".lock"]


def test_auto_needs_subordinate_ids(make_kelp, noids_user, probe_tar):
    kelp = make_kelp(user=noids_user)
    kelp.ok("import", probe_tar, "i")
    kelp.fails("create", "--userns=auto", "i", PROBE, "true", code=125, match="(?s)no subordinate ids to give.*hint: .*usermod")


def test_nomap(kelp, image, make_kelp, noids_user, probe_tar):
    """The caller is nobody in there."""
    image()
    data = make_dir(kelp, "data")
    out = kelp.ok("run", "--rm", "--userns=nomap", "-v", f"{data}:/data", "i", PROBE, "seq", "id", "--", "stat", "/data", "--", "read", "/proc/self/uid_map")
    lines = out.splitlines()
    assert lines[0].startswith("uid=0 euid=0") and "uid=65534 gid=65534" in lines[1] and lines[2].split()[:2] == ["0", "1"]
    poor = make_kelp(user=noids_user)
    poor.ok("import", probe_tar, "i")
    poor.fails("create", "--userns=nomap", "i", PROBE, "true", code=125, match="(?s)there are no subordinate ids.*hint: .*usermod")


# ---- getting rid of it ----


HIDE = ["seq", "mkdir", "/data/d", "--", "write", "/data/d/f", "x", "--", "chmod", "0", "/data/d/f", "--", "mkdir", "/data/d/e", "--", "write", "/data/d/e/g",
        "x", "--", "chmod", "0", "/data/d/e", "--", "chmod", "0", "/data/d"]


@pytest.mark.parametrize("options", [("-u", "0"), ("-u", "1000:1000"), ("-u", "0", "--userns=keep-id"), ("--userns=auto",)])
def test_volume_rm_never_fails(kelp, image, options):
    """Whoever owns what is in it, and whatever was closed."""
    image()
    kelp.ok("run", "--rm", "-v", "vol:/data:U", *options, "i", PROBE, *HIDE)
    assert list((kelp.root / "volumes/vol/_data").iterdir())
    kelp.ok("volume", "rm", "vol")
    assert not (kelp.root / "volumes/vol").exists()
    wait_for(lambda: not list((kelp.root / "tmp").iterdir()), 5, "its files are gone")


def test_unshare_gets_rid_of_the_rest(kelp, image):
    """What belongs to subordinate ids, which its caller can neither read nor delete."""
    image()
    for command, gone in ((("chown", "-R", "0:0"), False), (("rm", "-rf"), True)):
        data = make_dir(kelp, "data-" + command[0], 0o777)
        kelp.ok("run", "--rm", "-v", f"{data}:/data", "-u", "1000:1000", "i", PROBE, *HIDE)
        assert kelp.execute(["rm", "-rf", data]).rc != 0 and data.exists()
        kelp.ok("unshare", *command, data)
        assert data.exists() != gone
        assert gone or owners(data) == {(kelp.user.uid, kelp.user.gid)}


def test_rm_of_a_container_never_fails(kelp, image):
    image()
    kelp.ok("run", "--name", "c", "-v", "/data", "-u", "0", "i", PROBE, *HIDE)
    kelp.ok("run", "--name", "d", "-u", "1000", "--tmpfs", "/x", "i", PROBE, "seq", "mkdir", "/tmp/e", "--", "write", "/tmp/e/f", "x", "--", "chmod", "0", "/tmp/e")
    kelp.ok("rm", "-v", "c", "d")


# ---- real programs, in images such as others make them ----
# The entry points do what those of the well-known images do: begin as root, give the data directory to the program's user, go over to him.

DROP = """#!/bin/bash
set -e
if [ "$(id -u)" = 0 ]; then
    find "$DATA" \\! -user "$RUNS_AS" -exec chown "$RUNS_AS:$RUNS_AS" {} +
    exec setpriv --reuid "$RUNS_AS" --regid "$RUNS_AS" --init-groups "$0" "$@"
fi
"""
POSTGRES = DROP + """chmod 700 "$DATA"
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
test -e "$DATA/PG_VERSION" || initdb -D "$DATA" --auth=trust >/dev/null
exec postgres -D "$DATA" -k /tmp -c listen_addresses=127.0.0.1
"""
REDIS = DROP + 'exec redis-server --dir "$DATA" --appendonly yes --bind 127.0.0.1\n'
NGINX = """#!/bin/bash
test -e /data/index.html || echo "kelp says hello" > /data/index.html
cat > /tmp/nginx.conf <<END
error_log /data/error.log; pid /data/nginx.pid; user www-data; events {}
http { client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
       access_log /data/access.log; server { listen 127.0.0.1:8080; root /data; } }
END
exec nginx -c /tmp/nginx.conf -g "daemon off;"
"""
FETCH = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/').read().decode(), end='')"


def make_image(kelp, name, script, *changes):
    """debian:test with an entry point, as a build would make it; once for all tests of the module."""
    if kelp("image", "inspect", name).rc == 0:
        return
    build = "cat > /entry; chmod 755 /entry; install -d -m 777 /data"
    kelp.ok("run", "-i", "--name", "build", "debian:test", "bash", "-euc", build, input=script)
    options = [o for c in ('ENTRYPOINT ["/entry"]', *changes) for o in ("--change", c)]
    kelp.ok("commit", "-q", *options, "build", name, timeout=120)
    kelp.ok("rm", "build")


def belongs_to_the_caller(kelp, data):
    """Everything in there is the caller's, who gets rid of it as of any directory."""
    assert len(list(data.rglob("*"))) > 0
    assert owners(data) == {(kelp.user.uid, kelp.user.gid)}
    gone = kelp.execute(["rm", "-rf", data])
    assert gone.rc == 0 and not data.exists(), gone


@pytest.mark.xdist_group("debian")
def test_postgresql(debian_kelp):
    kelp, where = debian_kelp, "/var/lib/postgresql"
    make_image(kelp, "postgres:own", POSTGRES, f"ENV DATA={where}", "ENV RUNS_AS=postgres", f'VOLUME ["{where}"]')
    data = make_dir(kelp, "data")
    psql = ("exec", "pg", "psql", "-U", "postgres", "-h", "/tmp", "-Atc")
    for sql, want in (("create table t as select generate_series(1, 100) n; select sum(n) from t", "5050"),
                      ("select count(*) from t", "100")):
        kelp.ok("run", "-d", "--name", "pg", "-v", f"{data}:{where}", "--userns=keep-id:image", "postgres:own", timeout=120)
        wait_for(lambda: kelp(*psql, "select 1").rc == 0, 60, "PostgreSQL answers")
        assert kelp.ok(*psql, sql).split()[-1] == want
        kelp.ok("stop", "-t", "30", "pg")
        kelp.ok("rm", "pg")
    belongs_to_the_caller(kelp, data)


@pytest.mark.xdist_group("debian")
def test_redis(debian_kelp):
    kelp = debian_kelp
    make_image(kelp, "redis:own", REDIS, "ENV DATA=/var/lib/redis", "ENV RUNS_AS=redis", 'VOLUME ["/var/lib/redis"]')
    data = make_dir(kelp, "data")
    for command, want in ((("set", "key", "value"), "OK"), (("get", "key"), "value")):
        kelp.ok("run", "-d", "--name", "r", "-v", f"{data}:/var/lib/redis", "--userns=keep-id:image", "redis:own", timeout=120)
        wait_for(lambda: kelp("exec", "r", "redis-cli", "ping").out.strip() == "PONG", 30, "Redis answers")
        assert kelp.ok("exec", "r", "redis-cli", *command) == want
        assert kelp.ok("exec", "r", "ps", "-o", "user=", "-C", "redis-server") == "redis"
        kelp.ok("stop", "-t", "30", "r")
        kelp.ok("rm", "r")
    belongs_to_the_caller(kelp, data)


@pytest.mark.xdist_group("debian")
@pytest.mark.parametrize("changes, came_to, master", [((), "private", "root"), (("USER www-data",), "keep-id:uid=33,gid=33", "www-data")])
def test_nginx(debian_kelp, changes, came_to, master):
    """Its master process runs as root, which is the caller; in an image without root it is the image's user."""
    kelp, name = debian_kelp, f"nginx:{master}"
    make_image(kelp, name, NGINX, *changes)
    data = make_dir(kelp, "data")
    kelp.ok("run", "-d", "--name", "web", "-v", f"{data}:/data", "--userns=keep-id:image", name, timeout=120)
    assert userns_of(kelp, "web") == came_to
    wait_for(lambda: kelp("exec", "web", "python3", "-c", FETCH).rc == 0, 30, "nginx answers")
    assert kelp.ok("exec", "web", "ps", "-o", "user=", "-C", "nginx").split() == [master, "www-data"]
    kelp.ok("stop", "-t", "30", "web")
    assert "GET / HTTP" in (data / "access.log").read_text()
    belongs_to_the_caller(kelp, data)
