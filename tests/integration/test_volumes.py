# SPDX-License-Identifier: Apache-2.0
"""Volumes: their verbs, and what containers have of them."""
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest

import rootfs
from harness import wait_for

HEX = re.compile(r"^[0-9a-f]{64}$")


def volumes(kelp):
    return kelp.ok("volume", "ls", "-q").split()


@pytest.fixture(autouse=True)
def no_volumes_left(kelp):
    yield
    kelp("rm", "-fv", *kelp.ok("ps", "-aq").split())
    kelp.ok("volume", "prune", "-af")
    wait_for(lambda: volumes(kelp) == [], what="no volume that cannot be removed")


@pytest.fixture
def image(kelp, busybox_tar):
    """busybox with things in /data (owner 999, closed to others) and a VOLUME at /vol; /linked leads to /data by a link."""
    extra = [rootfs.entry("data", "dir", mode=0o750, uid=999, gid=998),
             rootfs.entry("data/file", data="image's", uid=999, gid=998, mode=0o640),
             rootfs.entry("data/setuid", data="x", mode=0o4755, uid=7),
             rootfs.entry("data/hard", "link", target="data/file"),
             rootfs.entry("data/link", "symlink", target="file"),
             rootfs.entry("data/out", "symlink", target="/etc/passwd"),
             rootfs.entry("data/sub", "dir", mode=0o1777, uid=5, gid=6),
             rootfs.entry("data/sub/deep", data="deep", mode=0o600, uid=5),
             rootfs.entry("linked", "symlink", target="/../data"),
             rootfs.entry("vol", "dir", mode=0o711, uid=33, gid=33),
             rootfs.entry("vol/inside", data="v")]
    layer = rootfs.write_tar(extra)
    data = io.BytesIO()
    with open(busybox_tar, "rb") as f:
        base = f.read()
    archive, _, _ = rootfs.oci_archive([base, layer], {"Volumes": {"/vol": {}}, "Cmd": ["/bin/sh"]}, name="vol:1")
    data.write(archive)
    kelp.ok("load", "-q", input=data.getvalue())
    return "vol:1"


LIST = "cd $1; find . | sort | xargs stat -c '%n %A %u %g %s' ; cat file; readlink link; readlink out"


def listing(kelp, image, path, *options):
    return kelp.ok("run", "--rm", "--image-volume", "ignore", *options, image, "/bin/sh", "-c", LIST, "sh", path)


# ---- verbs -------------------------------------------------------------------------------------


def test_life_of_a_volume(kelp):
    assert kelp.ok("volume", "create", "data") == "data"
    assert kelp.ok("volume", "create", "data") == "data", "once more is no error, as with Docker"
    anonymous = kelp.ok("volume", "create", "--label", "a=b", "-l", "c")
    assert HEX.match(anonymous)
    assert volumes(kelp) == sorted(["data", anonymous])
    found = kelp.json("volume", "inspect", "data", anonymous)
    assert found[0] == {"CreatedAt": found[0]["CreatedAt"], "Driver": "local", "Labels": None, "Name": "data",
                        "Mountpoint": str(kelp.root / "volumes/data/_data"), "Options": None, "Scope": "local"}
    assert found[1]["Labels"] == {"a": "b", "c": "", "com.docker.volume.anonymous": ""}
    assert os.path.isdir(found[0]["Mountpoint"])
    assert kelp("volume", "exists", "data").rc == 0
    assert kelp("volume", "exists", "no").rc == 1
    assert kelp.ok("volume", "rm", "data") == "data"
    kelp.fails("volume", "rm", "data", code=1, match="get data: no such volume")
    assert kelp.ok("volume", "rm", "-f", "data") == "data"
    kelp.fails("volume", "inspect", "data", code=1, match="no such volume")
    kelp.ok("volume", "rm", anonymous)


@pytest.mark.parametrize("name", ["", "-x", "a/b", "..", ".a", "a:b", "ä", "a b", "x" * 256])
def test_names(kelp, name):
    kelp.fails("volume", "create", "--", name, code=125, match="is not a name for a volume")
    kelp.fails("volume", "rm", "--", name, code=1, match="no such volume")
    assert kelp("volume", "exists", "--", name).rc == 1


def test_filters_of_ls(kelp, busybox):
    kelp.ok("volume", "create", "--label", "who=me", "one")
    kelp.ok("volume", "create", "--label", "who=you", "two")
    kelp.ok("create", "-v", "two:/two", busybox, "true")

    def ls(*filters):
        return kelp.ok("volume", "ls", "-q", *(f"--filter={f}" for f in filters)).split()
    assert ls("dangling=true") == ["one"]
    assert ls("dangling=false") == ["two"]
    assert ls("name=w") == ["two"]
    assert ls("name=w", "name=on") == ["one", "two"]
    assert ls("label=who") == ["one", "two"]
    assert ls("label=who=me") == ["one"]
    assert ls("label!=who=me") == ["two"]
    assert ls("driver=local") == ["one", "two"]
    assert ls("driver=nfs") == []
    kelp.fails("volume", "ls", "--filter", "colour=red", code=125, match="unknown filter 'colour'")
    rows = kelp.json("volume", "ls", "--format", "json")
    assert rows[0]["Name"] == "one" and rows[0]["Labels"] == "who=me" and rows[0]["Driver"] == "local"
    assert kelp.ok("volume", "ls").splitlines()[0].split() == ["DRIVER", "VOLUME", "NAME"]


def test_prune_takes_anonymous_ones_unless_told(kelp, busybox):
    kelp.ok("volume", "create", "named")
    anonymous = kelp.ok("volume", "create")
    kelp.ok("create", "--name", "c", "-v", "/a", busybox, "true")
    used = next(v for v in volumes(kelp) if HEX.match(v) and v != anonymous)
    assert "Total reclaimed space: " not in kelp.ok("volume", "prune", input="n\n")
    out = kelp.ok("volume", "prune", input="y\n")
    assert f"Deleted Volumes:\n{anonymous}\n" in out and "Total reclaimed space: " in out
    assert volumes(kelp) == sorted([used, "named"])
    kelp.ok("volume", "create", "--label", "keep", "kept")
    kelp.ok("volume", "prune", "-a", "-f", "--filter", "label!=keep")
    assert volumes(kelp) == sorted([used, "kept"])


def test_options(kelp, busybox):
    directory = kelp.work / "dir"
    directory.mkdir()
    (directory / "f").write_text("host")
    os.chmod(directory, 0o777)
    kelp.ok("volume", "create", "-o", "type=none", "-o", "o=bind,ro", "-o", f"device={directory}", "bound")
    kelp.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,mode=700", "memory")
    assert kelp.json("volume", "inspect", "bound")[0]["Options"] == {"type": "none", "o": "bind,ro",
                                                                     "device": str(directory)}
    out = kelp.ok("run", "--rm", "-v", "bound:/b", "-v", "memory:/m", busybox, "sh", "-c",
                  "cat /b/f; touch /b/x 2>/dev/null || echo ' read-only'; stat -c %a /m; grep ' /m ' /proc/mounts")
    assert out.split() [:3] == ["host", "read-only", "700"] and "size=1024k" in out and "tmpfs" in out
    for options, why in ((["type=nfs", "device=:/x"], "lets only the administrator mount it"),
                         (["type=ext4", "device=/dev/sda1"], "only the administrator"),
                         (["type=none", "device=/x"], "neither what to bind"),
                         (["type=none", "o=bind"], "not an absolute path"),
                         (["colour=red"], "unknown option 'colour'"),
                         (["type=tmpfs", "o=uid=x"], "unknown word 'uid=x'")):
        kelp.fails("volume", "create", *(f"--opt={o}" for o in options), "x", code=125, match=why)
    kelp.fails("volume", "create", "-d", "nfs", "x", code=125, match="no such driver")
    assert volumes(kelp) == ["bound", "memory"]


# ---- in containers -----------------------------------------------------------------------------


def test_named_volume_outlives_its_containers(kelp, busybox):
    kelp.ok("run", "--rm", "-v", "data:/d", busybox, "sh", "-c", "echo kept > /d/f")
    assert kelp.ok("run", "--rm", "-v", "data:/e:ro", busybox, "sh", "-c",
                   "cat /e/f; touch /e/x 2>&1 || true") .startswith("kept\ntouch: /e/x: Read-only")
    assert volumes(kelp) == ["data"]


def test_used_volume_stays(kelp, busybox):
    c = kelp.ok("create", "--name", "user", "-v", "data:/d", busybox, "true")
    for extra in ([], ["-f"]):
        kelp.fails("volume", "rm", *extra, "data", code=1, match=f"remove data: volume is in use - \\[{c}\\]")
    assert kelp.ok("volume", "prune", "-af") == "Total reclaimed space: 0B"
    kelp.ok("rm", "-v", "user")
    assert volumes(kelp) == ["data"], "a named one is not the container's"


def test_anonymous_volumes_go_with_rm_v_and_rm(kelp, image):
    kelp.ok("create", "--name", "a", "-v", "/x", image, "true")
    mine = volumes(kelp)
    assert len(mine) == 2 and all(map(HEX.match, mine)), "-v and the image's VOLUME"
    kelp.ok("rm", "a")
    assert volumes(kelp) == mine
    kelp.ok("volume", "prune", "-f")
    kelp.ok("create", "--name", "b", "-v", "/x", image, "true")
    kelp.ok("rm", "-v", "b")
    assert volumes(kelp) == []
    kelp.ok("run", "--rm", image, "/bin/sh", "-c", "test -f /vol/inside && touch /vol/x")
    wait_for(lambda: volumes(kelp) == [], what="the volumes of a --rm container go")
    kelp.ok("run", "-d", "--rm", "--name", "c", image, "/bin/sh", "-c", "sleep 1000")
    assert len(volumes(kelp)) == 1
    kelp.ok("rm", "-f", "c")
    wait_for(lambda: volumes(kelp) == [], what="the volumes of a --rm container go")


def test_image_volume_kinds(kelp, image):
    script = "grep ' /vol ' /proc/mounts | cut -d' ' -f3; cat /vol/inside; touch /vol/x && echo yes"
    assert kelp.ok("run", "--rm", "--read-only", image, "/bin/sh", "-c", script).split()[-1] == "vyes"
    assert kelp.ok("run", "--rm", "--read-only", "--image-volume", "tmpfs", image, "/bin/sh", "-c",
                   script).split() == ["tmpfs", "vyes"]
    assert kelp.ok("run", "--rm", "--image-volume", "ignore", image, "/bin/sh", "-c", script) == "vyes"
    kelp.fails("run", "--rm", "--image-volume", "x", image, code=125, match="unknown kind 'x'")
    kelp.ok("run", "--rm", "--tmpfs", "/vol", image, "/bin/sh", "-c", "test ! -e /vol/inside")
    kelp.ok("run", "--rm", "-v", "mine:/vol", image, "/bin/true")
    assert volumes(kelp) == ["mine"]


@pytest.mark.parametrize("path", ["/data", "/linked", "/data/sub/../../linked/."])
def test_new_volume_is_filled_from_the_image(kelp, image, path):
    """Files, owners, modes, links; and the directory's own owner and mode."""
    want = listing(kelp, image, "/data")
    assert "750 999" not in want and ". drwxr-x--- 999 998" in want and "setuid -rwsr-xr-x 7" in want
    kelp.ok("run", "--rm", "-v", f"v:{path}", image, "/bin/true")
    assert listing(kelp, image, "/x", "-v", "v:/x") == want
    inodes = kelp.ok("run", "--rm", "-v", "v:/x", image, "/bin/sh", "-c", "stat -c %i /x/file /x/hard").split()
    assert inodes[0] == inodes[1], "hard links stay"


def test_filled_once_and_only_when_empty(kelp, image):
    kelp.ok("volume", "create", "v")
    kelp.ok("run", "--rm", "-v", "v:/data", image, "/bin/sh", "-c", "rm -r /data/*")
    assert kelp.ok("run", "--rm", "-v", "v:/data", image, "/bin/sh", "-c", "ls /data") == "", "not filled again"
    kelp.ok("volume", "create", "w")
    path = kelp.json("volume", "inspect", "w")[0]["Mountpoint"]
    kelp.execute(["touch", path + "/mine"])
    assert kelp.ok("run", "--rm", "-v", "w:/data", image, "/bin/sh", "-c", "ls /data") == "mine"
    for n, option in enumerate(("-v=n%d:/data:nocopy", "--mount=type=volume,src=n%d,dst=/data,volume-nocopy")):
        assert kelp.ok("run", "--rm", option % n, image, "/bin/sh", "-c", "ls /data") == ""


def test_volume_at_a_place_that_the_image_lacks(kelp, image):
    assert kelp.ok("run", "--rm", "-v", "v:/new/place", image, "/bin/sh", "-c",
                   "touch /new/place/f; stat -c '%u %a' /new/place") == "0 755"
    assert kelp.ok("run", "--rm", "--userns", "keep-id", "-v", "w:/new", image, "/bin/sh", "-c",
                   "touch /new/f; stat -c %u /new") == str(kelp.user.uid)
    # root of a map without the caller
    assert kelp.ok("run", "--rm", "--uidmap", "0:1:2000", "--gidmap", "0:1:2000", "-v", "x:/new", image, "/bin/sh", "-c",
                   "touch /new/f; stat -c %u /new") == "0"


def test_two_containers_race_for_one_new_volume(kelp, image):
    for n in range(3):
        racing = [kelp.popen("run", "--rm", "-v", f"r{n}:/data", image, "/bin/sh", "-c", LIST, "sh", "/data")
                  for _ in range(6)]
        seen = {p.communicate(timeout=60)[0] for p in racing}
        assert len(seen) == 1 and "deep" in seen.pop()
        assert all(p.returncode == 0 for p in racing)


def test_a_container_that_is_not_made_leaves_no_volume(kelp, busybox):
    kelp.ok("create", "--name", "taken", busybox, "true")
    kelp.fails("create", "--name", "taken", "-v", "/anonymous", busybox, "true", code=125, match="already in use")
    assert kelp.ok("volume", "ls", "-q") == ""


def test_removal_races_with_creation(kelp, busybox):
    """Whoever gets a container has its volume; whoever is told that it was removed has removed it."""
    for n in range(8):
        kelp.ok("volume", "create", "r")
        makers = [kelp.popen("create", "--name", f"c{n}-{i}", "-v", "r:/r", busybox, "sh", "-c", "touch /r/f") for i in range(3)]
        removers = [kelp.popen("volume", "rm", "r") for _ in range(3)]
        for p in makers + removers:
            p.wait(timeout=60)
        assert all(p.returncode == 0 for p in makers), [p.stderr.read() for p in makers]
        assert kelp.json("volume", "inspect", "r")[0]["Name"] == "r"
        for i in range(3):
            kelp.ok("start", "-a", f"c{n}-{i}")
        kelp.fails("volume", "rm", "r", code=1, match="in use")
        kelp.ok("rm", *(f"c{n}-{i}" for i in range(3)))
        kelp.ok("volume", "rm", "r")


def test_volumes_from(kelp, image):
    kelp.ok("create", "--name", "data", "-v", "named:/n", "-v", f"{kelp.work}:/host", "-v", "/anon", image, "true")
    show = ["/bin/sh", "-c", "touch /n/f /anon/f /vol/f && grep -c -E ' /(n|anon|vol|host) ' /proc/mounts"]
    assert kelp.ok("run", "--rm", "--volumes-from", "data", image, *show) == "4"
    kelp.ok("run", "--name", "second", "--volumes-from", "data", image, *show)
    # of one that has them itself from another
    assert kelp.ok("run", "--rm", "--volumes-from", "second", image, "/bin/sh", "-c", "ls /n /anon") .split() == \
        ["/anon:", "f", "/n:", "f"]
    kelp.fails("run", "--rm", "--volumes-from", "data:ro", image, "/bin/sh", "-c", "touch /n/x", code=1, match="Read-only")
    assert kelp.ok("run", "--rm", "--volumes-from", "data:z", "-v", "other:/n", image, "/bin/sh", "-c", "ls /n") == ""
    kelp.fails("run", "--rm", "--volumes-from", "nobody", image, code=125, match="nobody")
    kelp.fails("run", "--rm", "--volumes-from", "data:xx", image, code=125, match="unknown mode 'xx'")
    kelp.ok("rm", "-v", "data")
    assert len(volumes(kelp)) == 4, "the second has them still"
    kelp.ok("rm", "-v", "second")
    assert volumes(kelp) == ["named", "other"]


def test_inspect_and_ps_show_mounts(kelp, image):
    kelp.ok("create", "--name", "c", "-v", "v:/data:ro", "-v", f"{kelp.work}:/w", "--mount",
            "type=tmpfs,dst=/t,tmpfs-size=1m", image, "true")
    mounts = {m["Destination"]: m for m in kelp.json("inspect", "c")[0]["Mounts"]}
    assert mounts["/data"] == {"Type": "volume", "Name": "v", "Source": str(kelp.root / "volumes/v/_data"),
                               "Destination": "/data", "Driver": "local", "Mode": "ro", "RW": False, "Propagation": "",
                               "Options": ["ro"]}
    assert mounts["/w"]["Type"] == "bind" and mounts["/w"]["Source"] == str(kelp.work) and mounts["/w"]["RW"]
    assert mounts["/t"]["Type"] == "tmpfs"
    assert HEX.match(mounts["/vol"]["Name"])
    assert kelp.json("inspect", "c")[0]["HostConfig"]["Binds"] == ["v:/data:ro", f"{kelp.work}:/w"]
    assert kelp.ok("ps", "-a", "--format", "{{.LocalVolumes}} {{.Mounts}}").startswith("2 v,")
    for match in ("volume=v", "volume=/data", f"volume={kelp.work}"):
        assert kelp.ok("ps", "-a", "--filter", match, "--format", "{{.Names}}") == "c"
    assert kelp.ok("ps", "-a", "--filter", "volume=w", "-q") == ""


def test_store_moved_with_its_volumes(kelp, make_kelp, busybox):
    kelp.ok("run", "--name", "c", "-v", "v:/d", busybox, "sh", "-c", "echo once >> /d/f; cat /d/f")
    moved = kelp.root.with_name("moved")
    kelp.end_holders()
    os.rename(kelp.root, moved)
    kelp.env["KELP_ROOT"] = str(moved)
    assert kelp.ok("start", "-a", "c") == "once\nonce"
    assert kelp.json("inspect", "c")[0]["Mounts"][0]["Source"] == str(moved / "volumes/v/_data")
    kelp.ok("rm", "c")
    kelp.ok("volume", "rm", "v")
    os.rename(moved, kelp.root)
    kelp.env["KELP_ROOT"] = str(kelp.root)


def test_v_makes_directories_and_mount_does_not(kelp, busybox):
    kelp.ok("run", "--rm", "-v", f"{kelp.work}/made/here:/d", busybox, "touch", "/d/f")
    assert (kelp.work / "made/here/f").exists()
    kelp.fails("run", "--rm", "--mount", f"type=bind,src={kelp.work}/no,dst=/d", busybox, "true", match="No such file")
    kelp.fails("run", "--rm", "-v", "a:/d", "-v", "b:/d/", busybox, "true", code=125, match="given twice")
    kelp.fails("run", "--rm", "-v", "a:/d:idmap", busybox, "true", code=125, match="lets only the administrator")
    kelp.fails("run", "--rm", "-v", f"{kelp.work}:/d:nocopy", busybox, "true", code=125, match="nocopy is for volumes")
    kelp.fails("run", "--rm", "--volume-driver", "nfs", "-v", "a:/d", busybox, "true", code=125, match="no such driver")
    kelp.ok("run", "--rm", "--volume-driver", "local", "-v", "a:/d:z,noexec,nosuid,nodev,cached", busybox, "sh", "-c",
            "grep ' /d ' /proc/mounts | grep nosuid,nodev,noexec")


def test_mount_creates_with_labels_and_options(kelp, busybox):
    out = kelp.ok("run", "--rm", "--mount", 'type=volume,src=m,dst=/m,volume-label=a=b,volume-opt=type=tmpfs,'
                  '"volume-opt=o=size=2m,mode=711"', busybox, "sh", "-c", "stat -c %a /m; grep ' /m ' /proc/mounts")
    assert out.startswith("711") and "size=2048k" in out
    v = kelp.json("volume", "inspect", "m")[0]
    assert v["Labels"] == {"a": "b"} and v["Options"] == {"type": "tmpfs", "o": "size=2m,mode=711"}


# ---- subpaths, images, overlays ----------------------------------------------------------------


def test_subpath(kelp, image):
    kelp.ok("run", "--rm", "-v", "v:/v", image, "/bin/sh", "-c",
            "mkdir -p /v/a/b; echo f > /v/a/b/f; ln -s a/b /v/in; ln -s /etc /v/abs; ln -s ../../../../etc /v/up; chmod 700 /v/a;"
            "chown 77 /v/a; ln -s ../secret /v/a/out; echo s > /v/secret")

    def mounted(sub, *more):
        return ("run", "--rm", *more, "--mount", f"type=volume,src=v,dst=/s,volume-subpath={sub}", image, "/bin/sh", "-c",
                "ls /s; cat /s/../s/f 2>/dev/null; grep -c ' /s ' /proc/mounts")
    for sub in ("a/b", "in", "a/../a/b"):
        assert kelp.ok(*mounted(sub)).split() == ["f", "f", "1"], sub
    assert kelp.ok("run", "--rm", "--mount", "type=volume,src=v,dst=/one,subpath=a/b/f", image, "/bin/cat", "/one") == "f"
    assert kelp.ok("run", "--rm", "--privileged", "--mount", "type=volume,src=v,dst=/s,subpath=a/b", image, "/bin/sh", "-c",
                   "umount /s; ls /s; grep -c /v/_data /proc/self/mountinfo || true") == "0", "the rest is not below"
    for sub in ("abs", "up"):
        result = kelp.fails(*mounted(sub), match="hint: the subpath leads out of its volume")
        assert "daemon" not in result.out
    kelp.fails(*mounted("missing"), match="No such file")
    kelp.fails(*mounted("../x"), code=125, match="not a path below the source")


def test_image_as_a_mount(kelp, image, probe):
    def run(options, script):
        return kelp.ok("run", "--rm", "--mount", f"type=image,src={image},dst=/i{options}", image, "/bin/sh", "-c", script)
    assert run("", "cat /i/data/file; touch /i/x 2>/dev/null || echo ' ro'") == "image's ro"
    assert run(",rw=true", "cat /i/data/file; echo n > /i/data/file; cat /i/data/file") == "image'sn"
    assert run(",subpath=data/sub", "ls /i; touch /i/x 2>/dev/null || echo ro") == "deep\nro"
    kelp.ok("create", "--name", "c", "--mount", f"type=image,src={probe},dst=/p", image, "/p/bin/probe", "true")
    kelp.fails("run", "--rm", "--mount", "type=image,src=nope,dst=/i", image, "true", code=125, match="nope")
    # its layers stay as long as somebody has them mounted
    kelp.ok("rmi", "-f", probe)
    kelp.ok("start", "-a", "c")


def test_overlay_throws_changes_away(kelp, image):
    source = kelp.work / "src"
    source.mkdir()
    (source / "f").write_text("host")
    os.chown(source, kelp.user.uid, kelp.user.gid)
    kelp.ok("create", "--name", "c", "-v", f"{source}:/o:O", image, "/bin/sh", "-c", "cat /o/*; echo new > /o/g; rm /o/f; ls /o")
    for _ in range(2):
        assert kelp.ok("start", "-a", "c") == "hostg"
    assert os.listdir(source) == ["f"]
    kelp.ok("run", "--rm", "-v", "v:/data", image, "true")
    assert kelp.ok("run", "--rm", "-v", "v:/data:O", image, "/bin/sh", "-c", "rm /data/file; ls /data | wc -l") == "5"
    assert kelp.ok("run", "--rm", "-v", "v:/data", image, "/bin/sh", "-c", "ls /data | wc -l") == "6"
    for d in ("up", "work"):
        (kelp.work / d).mkdir()
        os.chown(kelp.work / d, kelp.user.uid, kelp.user.gid)
    kelp.ok("run", "--rm", "-v", f"{source}:/o:O,upperdir={kelp.work}/up,workdir={kelp.work}/work", image, "touch", "/o/kept")
    assert os.listdir(kelp.work / "up") == ["kept"]
    kelp.execute(["rm", "-rf", kelp.work / "work"])


# ---- archives ----------------------------------------------------------------------------------


def test_import(kelp, image):
    tar = rootfs.write_tar([rootfs.entry("a", data="from the tar", uid=999, gid=5, mode=0o640),
                            rootfs.entry("d", "dir", uid=7, mode=0o700), rootfs.entry("d/.wh.b", data="no whiteout", uid=7),
                            rootfs.entry("l", "symlink", target="/etc/passwd")])
    kelp.ok("volume", "create", "v")
    kelp.ok("volume", "import", "v", "-", input=tar)
    show = ["/bin/sh", "-c", "cd /v; stat -c '%n %u:%g %a' . a d; cat a d/.wh.b"]
    assert kelp.ok("run", "--rm", "-v", "v:/v", image, *show) == \
        ". 0:0 755\na 999:5 640\nd 7:0 700\nfrom the tarno whiteout"
    # over what is there: others stay, the root's owner stays
    kelp.ok("run", "--rm", "-v", "v:/v", image, "/bin/sh", "-c", "echo mine > /v/mine; echo old > /v/a; chown 33 /v; chmod 700 /v")
    kelp.ok("volume", "import", "v", input=tar)
    assert kelp.ok("run", "--rm", "-v", "v:/v", image, *show).startswith(". 33:0 700\na 999:5 640")
    assert kelp.ok("run", "--rm", "-v", "v:/v", image, "/bin/cat", "/v/mine", "/v/a") == "mine\nfrom the tar"
    kelp.fails("volume", "import", "nope", input=tar, code=125, match="get nope: no such volume")
    kelp.fails("volume", "import", "v", input=b"no archive at all" * 100, code=125)
    kelp.ok("run", "-d", "--name", "c", "-v", "v:/v", image, "/bin/sleep", "1000")
    kelp.fails("volume", "import", "v", input=tar, code=125, match="is running")
    kelp.ok("rm", "-f", "-t", "0", "c")
    kelp.ok("volume", "create", "-o", "type=tmpfs", "m")
    kelp.fails("volume", "import", "m", input=tar, code=125, match="it is in memory")


def test_export(kelp, image):
    kelp.ok("run", "--rm", "-v", "v:/data", image, "/bin/sh", "-c", "mkfifo /data/fifo; chmod 0 /data/sub; touch /data/.wh.x")
    want = listing(kelp, image, "/x", "-v", "v:/x")
    kelp.ok("volume", "export", "-o", kelp.work / "v.tar", "v")
    members = {m.name.rstrip("/"): m for m in tarfile.open(kelp.work / "v.tar")}
    assert members["file"].uid == 999 and members["file"].mode == 0o640 and ".wh.x" in members
    assert members["hard"].islnk() and members["fifo"].isfifo() and members["sub/deep"].uid == 5
    piped = kelp.execute(["sh", "-c", f"{kelp.program('kelp')} volume create w && {kelp.program('kelp')} volume export v | "
                          f"{kelp.program('kelp')} volume import w -"])
    assert piped.rc == 0, piped
    assert listing(kelp, image, "/x", "-v", "w:/x") == want
    kelp.fails("volume", "export", "-o", kelp.work / "no.tar", "nope", code=125, match="no such volume")
    assert not (kelp.work / "no.tar").exists()


@pytest.mark.parametrize("entries", [
    [("up", "symlink", "/"), ("up/escaped", "file", "x")],
    [("up", "symlink", "../../../../.."), ("up/escaped", "file", "x")],
    [("../escaped", "file", "x")],
    [("/../../escaped", "file", "x")],
    [("h", "link", "/etc/passwd")],
    [("h", "link", "../../../v/info.json")],
])
def test_hostile_archives_stay_inside(kelp, busybox, entries):
    tar = rootfs.write_tar([rootfs.entry(n, k, data=v if k == "file" else b"", target="" if k == "file" else v)
                            for n, k, v in entries])
    kelp.ok("volume", "create", "v")
    before = sorted(str(p) for p in kelp.base.rglob("*") if "_data" not in str(p) and "/tmp" not in str(p))
    kelp("volume", "import", "v", input=tar)
    after = sorted(str(p) for p in kelp.base.rglob("*") if "_data" not in str(p) and "/tmp" not in str(p))
    assert [p for p in after if "escaped" in p] == [] and [p for p in after if p not in before and "holder" not in p
                                                          and not p.endswith("/used") and "/r/" not in p] == []
    kelp.ok("volume", "rm", "v")


def test_what_a_container_plants_does_not_lead_out(kelp, image):
    """Copying and importing follow no link of the volume, nor of the image."""
    secret = kelp.work / "secret"
    secret.mkdir()
    kelp.ok("run", "--rm", "-v", "v:/v", image, "/bin/sh", "-c", f"ln -s {secret} /v/d; ln -s {secret}/f /v/f")
    kelp.ok("volume", "import", "v", input=rootfs.write_tar([rootfs.entry("d/x", data="x"), rootfs.entry("f", data="y")]))
    assert os.listdir(secret) == []
    archive = rootfs.oci_archive([rootfs.probe_tar(kelp.program("probe"), [
        rootfs.entry("evil", "symlink", target=str(secret)), rootfs.entry("abs", "symlink", target="/../../../../etc"),
        rootfs.entry("loop", "symlink", target="loop")])], name="evil:1")[0]
    kelp.ok("load", "-q", input=archive)
    (secret / "host").write_text("host's")
    for path, there in (("/evil", []), ("/abs", ["group", "passwd"]), ("/evil/../evil", [])):
        kelp.ok("create", "-v", f"w{len(path)}:{path}", "evil:1", "probe", "true")
        files = os.listdir(kelp.root / "volumes" / f"w{len(path)}" / "_data")
        assert sorted(files) == there, path
    kelp.fails("create", "-v", "loop:/loop", "evil:1", "probe", "true", code=125)


# ---- tiers -------------------------------------------------------------------------------------


def test_user_without_subordinate_ids(make_kelp, noids_user, busybox_tar):
    kelp = make_kelp(user=noids_user)
    kelp.ok("import", busybox_tar, "busybox")
    archive = rootfs.oci_archive([open(busybox_tar, "rb").read(),
                                  rootfs.write_tar([rootfs.entry("data", "dir", uid=999, mode=0o750),
                                                    rootfs.entry("data/f", data="x", uid=999)])],
                                 {"Volumes": {"/data": {}}}, name="v:1")[0]
    kelp.ok("load", "-q", input=archive)
    assert kelp.ok("run", "--rm", "-v", "v:/data", "v:1", "/bin/sh", "-c", "echo y >> /data/f; cat /data/f") == "xy"
    assert kelp.ok("run", "--rm", "-v", "v:/x", "v:1", "/bin/sh", "-c", "stat -c '%u %a' /x") == "0 750"
    kelp.ok("volume", "rm", "v")
    wait_for(lambda: volumes(kelp) == [], what="the image's volume of --rm goes")


def test_removal_of_foreign_files(kelp, image):
    kelp.ok("run", "--rm", "-v", "v:/d", image, "/bin/sh", "-c",
            "mkdir -p /d/a/b/c; touch /d/a/b/c/f; chown -R 1234:99 /d; chmod 0 /d/a/b /d/a /d")
    kelp.ok("volume", "rm", "v")
    assert not (kelp.root / "volumes/v").exists()
    assert os.listdir(kelp.root / "tmp") == []
