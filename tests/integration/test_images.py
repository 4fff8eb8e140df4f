# SPDX-License-Identifier: Apache-2.0
"""
Images: every format and compression in, every format out, equal digests, names, removal; hostile archives. The peers' tools (skopeo,
umoci, podman's reader through skopeo) judge what Kelp writes and make what it reads.
"""
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import tarfile

import pytest

import harness
from hostile import raw
from rootfs import entry, sha256, write_tar

COMPRESS = {"plain": lambda b: b, "gzip": lambda b: gzip.compress(b, 6, mtime=0), "xz": lzma.compress, "bzip2": bz2.compress,
            "zstd": lambda b: subprocess.run(["zstd", "-qc"], input=b, capture_output=True, check=True).stdout}
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def layer(*names, data="x", dirs=("etc",)):
    return write_tar([entry(d, "dir") for d in dirs] + [entry(n, data=data) for n in names])


BASE = write_tar([entry("./", "dir"), entry("etc", "dir"), entry("bin", "dir"), entry("etc/base", data="base"),
                  entry("etc/both", data="lower"), entry("etc/gone", data="gone"), entry("home", "dir", uid=1000, gid=1000),
                  entry("home/owned", data="mine", uid=1000, gid=1000), entry("bin/su", data="#!", mode=0o4755)])
TOP = write_tar([entry("etc", "dir"), entry("etc/both", data="upper"), entry("etc/.wh.gone")])
# Like the layers of jib or bazel: nothing but the file, its parents are those of the layer below.
BARE = write_tar([entry("home/bare", data="bare", uid=1000, gid=1000)])


# ---- making archives ---------------------------------------------------------------------------


class Image:
    """The parts of an image, to be put into archives of any kind, whole or damaged."""

    def __init__(self, layers, compression="plain", arch="amd64", config=None, variant=None):
        self.tars = list(layers)
        self.blobs = [COMPRESS[compression](t) for t in layers]
        doc = {"architecture": arch, "os": "linux", "created": "2024-01-02T03:04:05Z", "config": config or {"Cmd": ["/x"]},
               "rootfs": {"type": "layers", "diff_ids": [sha256(t) for t in layers]},
               "history": [{"created": "2024-01-02T03:04:05Z", "created_by": f"step {i}"} for i in range(len(layers))]}
        if variant:
            doc["variant"] = variant
        self.config = json.dumps(doc).encode()
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, self.config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", b) for b in self.blobs]}).encode()
        self.arch = arch

    @property
    def id(self):
        return sha256(self.config)

    def files(self):
        return {blob_name(b): b for b in [*self.blobs, self.config, self.manifest]}


def descriptor(kind, data, **more):
    return {"mediaType": kind, "digest": sha256(data), "size": len(data), **more}


def blob_name(data):
    return "blobs/sha256/" + sha256(data).split(":")[1]


def oci_files(*named, index=None):
    """[(image, name)] → {path: bytes} of a layout."""
    files, manifests = {}, []
    for image, name in named:
        files.update(image.files())
        notes = {"annotations": {"org.opencontainers.image.ref.name": name}} if name else {}
        manifests.append(descriptor(OCI_MANIFEST, image.manifest, **notes))
    files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    files["index.json"] = json.dumps(index or {"schemaVersion": 2, "manifests": manifests}).encode()
    return files


def docker_files(image, tags, config_name=None):
    """As docker save before version 25."""
    files, names = {}, []
    for i, tar in enumerate(image.blobs):
        step = hashlib.sha256(f"{i}{sha256(tar)}".encode()).hexdigest()
        names.append(f"{step}/layer.tar")
        files.update({f"{step}/VERSION": b"1.0", f"{step}/json": json.dumps({"id": step}).encode(), f"{step}/layer.tar": tar})
    config_name = config_name or image.id.split(":")[1] + ".json"
    files[config_name] = image.config
    files["manifest.json"] = json.dumps([{"Config": config_name, "RepoTags": tags, "Layers": names}]).encode()
    return files


def archive(files, order=sorted):
    return write_tar([entry(n, data=files[n]) for n in order(files)])


def last_first(files):
    return sorted(files, reverse=True)


def load(kelp, data, *args, how="file", **kw):
    if how == "pipe":
        return kelp("load", *args, input=data, timeout=120, **kw)
    path = kelp.work / "archive"
    path.write_bytes(data)
    return kelp("load", *args, "-i", path, timeout=120, **kw)


def content(kelp, image):
    """{path: (kind, mode, uid, gid, data)} of an image's merged files, by what save gives back."""
    kelp.ok("save", "-o", kelp.work / "content.tar", image)
    merged = {}
    with tarfile.open(kelp.work / "content.tar") as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(tar.extractfile(name).read())) as inner:
                for m in inner:
                    merged[m.name.rstrip("/")] = (m.type, m.mode, m.uid, m.gid)
    return merged


def inspect(kelp, image):
    return kelp.json("image", "inspect", image)[0]


def skopeo(*args):
    need("skopeo")
    return json.loads(subprocess.run(["skopeo", "inspect", *args], capture_output=True, text=True, check=True).stdout)


def clean(kelp):
    """Nothing of a failed command may be left: no image, layer, blob or temporary file."""
    assert kelp.ok("images", "-aq") == ""
    for d in ("layers", "images/blobs/sha256", "images/refs", "images/run", "images/pending", "tmp"):
        path = kelp.root / d
        # Layers and blobs may wait for the next writer's sweep.
        if path.is_dir() and d in ("images/refs", "images/run", "images/pending", "tmp"):
            assert list(path.iterdir()) == [], d


# ---- load --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file", "pipe"])
@pytest.mark.parametrize("outer", COMPRESS)
@pytest.mark.parametrize("inner", ["plain", "gzip", "zstd"])
def test_load_oci_archive(kelp, inner, outer, how):
    image = Image([BASE, TOP], inner)
    result = load(kelp, COMPRESS[outer](archive(oci_files((image, "web:1")))), how=how)
    assert (result.rc, result.out) == (0, "Loaded image: web:1\n"), result
    info = inspect(kelp, "web:1")
    assert info["Id"] == image.id
    assert info["RootFS"]["Layers"] == [sha256(BASE), sha256(TOP)]
    assert info["Descriptor"]["digest"] == sha256(image.manifest)
    assert info["Config"]["Cmd"] == ["/x"]
    kept = {p.name for p in (kelp.root / "images/blobs/sha256").iterdir()}
    for blob in image.blobs:
        assert (sha256(blob).split(":")[1] in kept) == (inner != "plain")


@pytest.mark.parametrize("how", ["file", "pipe"])
@pytest.mark.parametrize("order", [sorted, last_first])
def test_load_docker_archive(kelp, how, order):
    image = Image([BASE, TOP, BASE])
    result = load(kelp, archive(docker_files(image, ["web:1", "quay.io/a/b:2"]), order), how=how)
    assert (result.rc, result.out) == (0, "Loaded image: web:1\nLoaded image: quay.io/a/b:2\n"), result
    assert inspect(kelp, "quay.io/a/b:2")["Id"] == image.id
    assert inspect(kelp, "web:1")["RootFS"]["Layers"] == [sha256(BASE), sha256(TOP), sha256(BASE)]


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_layers_behind_links(kelp, how):
    """skopeo: <id>/layer.tar -> ../<digest>.tar; old Docker: -> ../<id>/layer.tar."""
    image = Image([BASE, TOP])
    files = docker_files(image, ["web:1"])
    entries, where = [], {}
    for name in sorted(files):
        if not name.endswith("layer.tar"):
            entries.append(entry(name, data=files[name]))
            continue
        digest = hashlib.sha256(files[name]).hexdigest() + ".tar"
        where[digest] = files[name]
        entries.append(entry(name, "symlink", target="../" + digest))
    entries += [entry(name, data=data) for name, data in where.items()]
    assert load(kelp, write_tar(entries), how=how).rc == 0
    assert inspect(kelp, "web:1")["RootFS"]["Layers"] == [sha256(BASE), sha256(TOP)]


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_load_repositories(kelp, how):
    """Docker before 1.10: no manifest.json, layers chained by their parents."""
    ids = ["1" * 64, "2" * 64]
    files = {"repositories": json.dumps({"old/web": {"1": ids[1]}}).encode()}
    for i, tar in enumerate([BASE, TOP]):
        step = {"id": ids[i], "created": "2014-01-02T03:04:05Z", "os": "linux", "architecture": "amd64",
                "config": {"Cmd": ["/old"]}, "container_config": {"Cmd": ["/bin/sh", "-c", f"step {i}"]}}
        if i:
            step["parent"] = ids[i - 1]
        files.update({f"{ids[i]}/VERSION": b"1.0", f"{ids[i]}/json": json.dumps(step).encode(), f"{ids[i]}/layer.tar": tar})
    result = load(kelp, archive(files), how=how)
    assert (result.rc, result.out) == (0, "Loaded image: old/web:1\n"), result
    info = inspect(kelp, "old/web:1")
    assert info["RootFS"]["Layers"] == [sha256(BASE), sha256(TOP)]
    assert info["Config"]["Cmd"] == ["/old"]
    assert "step 0" in kelp.ok("history", "--no-trunc", "old/web:1")


@pytest.mark.parametrize("how", ["file", "pipe"])
@pytest.mark.parametrize("inner", ["plain", "gzip"])
@pytest.mark.parametrize("order", [sorted, last_first])
def test_layer_without_its_parents(kelp, how, inner, order):
    """/home comes from the layer below, also when that one follows in a stream."""
    image = Image([BASE, BARE], inner)
    assert load(kelp, archive(oci_files((image, "web:1")), order), how=how).rc == 0
    top = max((kelp.root / "layers").iterdir(), key=lambda p: len(p.name))
    assert top.name.startswith(sha256(BARE).split(":")[1] + "-")
    home = os.stat(top / "fs" / "home")
    assert home.st_uid == os.stat(top / "fs" / "home" / "bare").st_uid != kelp.user.uid
    kelp.ok("save", "-o", kelp.work / "again.tar", "web:1")
    with tarfile.open(kelp.work / "again.tar") as tar:
        for blob in image.blobs:
            assert tar.extractfile(blob_name(blob)).read() == blob


def test_load_directory(kelp):
    image = Image([BASE, TOP], "gzip")
    for name, data in oci_files((image, "web:1")).items():
        path = kelp.work / "layout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert kelp.ok("load", "-i", kelp.work / "layout") == "Loaded image: web:1"
    assert inspect(kelp, "web:1")["Id"] == image.id


def test_load_what_others_wrote(kelp):
    need("skopeo")
    image = Image([BASE, TOP], "gzip")
    source = kelp.work / "source.tar"
    source.write_bytes(archive(oci_files((image, "web:1"))))
    for i, target in enumerate(["docker-archive:{}:other:1", "oci-archive:{}:other:1", "oci:{}:other:1"]):
        path = kelp.work / f"made{i}"
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci-archive:{source}:web:1", target.format(path)],
                       check=True, capture_output=True)
        subprocess.run(["chmod", "-R", "a+rX", path], check=True)
        assert kelp.ok("load", "-i", path) == "Loaded image: other:1"
        assert inspect(kelp, "other:1")["Id"] == image.id
        kelp.ok("rmi", "other:1")


def test_several_images_share_layers(kelp):
    a, b = Image([BASE, TOP]), Image([BASE, BARE], config={"Cmd": ["/b"]})
    result = load(kelp, archive(oci_files((a, "a:1"), (a, "a:2"), (b, "b:1"))))
    assert result.out.splitlines() == ["Loaded image: a:1", "Loaded image: a:2", "Loaded image: b:1"], result
    assert len(list((kelp.root / "layers").iterdir())) == 3
    kelp.ok("rmi", "a:1", "a:2")
    assert len(list((kelp.root / "layers").iterdir())) == 2


def test_without_a_name(kelp):
    image = Image([BASE])
    assert load(kelp, archive(oci_files((image, None)))).out == f"Loaded image ID: {image.id}\n"
    assert "<none>" in kelp.ok("images")
    assert kelp.ok("image", "prune", "-f").startswith("Deleted Images:")
    clean(kelp)


def test_loading_again_is_cheap_and_right(kelp):
    image = Image([BASE, TOP], "gzip")
    data = archive(oci_files((image, "web:1")))
    assert load(kelp, data).rc == 0
    before = {p: p.stat().st_ino for p in (kelp.root / "layers").iterdir()}
    assert load(kelp, data).rc == 0
    assert load(kelp, data, how="pipe").rc == 0
    assert {p: p.stat().st_ino for p in (kelp.root / "layers").iterdir()} == before
    # In another form the layers are known, and the new bytes are kept beside them.
    other = Image([BASE, TOP], "zstd")
    assert load(kelp, archive(oci_files((other, "web:1")))).rc == 0
    assert {p: p.stat().st_ino for p in (kelp.root / "layers").iterdir()} == before
    assert inspect(kelp, "web:1")["Descriptor"]["digest"] == sha256(other.manifest)


# ---- platforms ---------------------------------------------------------------------------------


def multi_platform(*archs, nested=True, name="web:1"):
    images = {a: Image([BASE, layer(f"etc/{a}")], arch=a) for a in archs}
    entries = [descriptor(OCI_MANIFEST, i.manifest, platform={"os": "linux", "architecture": a}) for a, i in images.items()]
    entries.append(descriptor(OCI_MANIFEST, b"{}", platform={"os": "unknown", "architecture": "unknown"},
                              annotations={"vnd.docker.reference.type": "attestation-manifest"}))
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    for i in images.values():
        files.update(i.files())
    inner = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    note = {"annotations": {"org.opencontainers.image.ref.name": name}}
    if nested:
        files[blob_name(inner)] = inner
        top = [descriptor(OCI_INDEX, inner, **note)]
    else:
        top = [{**e, **note} for e in entries[:-1]]
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": top}).encode()
    return images, files


@pytest.mark.parametrize("how", ["file", "pipe"])
@pytest.mark.parametrize("nested", [True, False])
def test_platforms(kelp, nested, how):
    images, files = multi_platform("s390x", "amd64", "arm64", nested=nested)
    host = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
    assert load(kelp, archive(files), how=how).rc == 0
    assert inspect(kelp, "web:1")["Id"] == images[host].id
    assert load(kelp, archive(files), "--platform", "linux/s390x", how=how).rc == 0
    assert inspect(kelp, "web:1")["Architecture"] == "s390x"
    result = load(kelp, archive(files), "--platform", "linux/riscv64", how=how)
    assert result.rc == 125 and "linux/riscv64" in result.err and "s390x" in result.err, result


def test_platform_of_a_single_image(kelp):
    data = archive(docker_files(Image([BASE], arch="s390x"), ["web:1"]))
    result = load(kelp, data, "--platform", "linux/amd64")
    assert result.rc == 125 and "it is for linux/s390x" in result.err, result
    clean(kelp)
    assert load(kelp, data).rc == 0


# ---- save --------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["plain", "gzip", "zstd"])
def test_round_trip_keeps_every_digest(kelp, inner):
    image = Image([BASE, TOP, BARE], inner)
    load(kelp, archive(oci_files((image, "web:1"))))
    for fmt in ("docker-archive", "oci-archive"):
        path = kelp.work / fmt
        kelp.ok("save", "--format", fmt, "-o", path, "web:1")
        assert kelp.ok("images", "-q")
        kelp.ok("rmi", "web:1")
        clean(kelp)
        assert kelp.ok("load", "-i", path) == "Loaded image: web:1"
        assert inspect(kelp, "web:1")["Descriptor"]["digest"] == sha256(image.manifest)
        seen = skopeo(f"oci-archive:{path}")
        assert seen["Digest"] == sha256(image.manifest)
        assert seen["Layers"] == [sha256(b) for b in image.blobs]


def test_save_docker_v1(kelp):
    image = Image([BASE, TOP], "gzip")
    load(kelp, archive(oci_files((image, "web:1"))))
    path = kelp.work / "v1.tar"
    kelp.ok("save", "--format", "docker-v1", "-o", path, "web:1")
    with tarfile.open(path) as tar:
        entry_ = json.load(tar.extractfile("manifest.json"))[0]
        assert sha256(tar.extractfile(entry_["Config"]).read()) == image.id
        assert [sha256(tar.extractfile(n).read()) for n in entry_["Layers"]] == [sha256(BASE), sha256(TOP)]
        assert entry_["RepoTags"] == ["web:1"]
    assert skopeo(f"docker-archive:{path}")["Layers"] == [sha256(BASE), sha256(TOP)]
    kelp.ok("rmi", "web:1")
    assert kelp.ok("load", "-i", path) == "Loaded image: web:1"
    assert inspect(kelp, "web:1")["Id"] == image.id


def test_save_is_deterministic_and_atomic(kelp):
    load(kelp, archive(oci_files((Image([BASE, TOP]), "web:1"))))
    a, b = kelp.work / "a", kelp.work / "b"
    kelp.ok("save", "-o", a, "web:1")
    with open(b, "wb") as f:
        assert kelp("save", "web:1", stdout=f).rc == 0
    assert a.read_bytes() == b.read_bytes()
    with tarfile.open(a) as tar:
        names = [m.name for m in tar]
        assert names == sorted(names)
        assert {(m.uid, m.gid, m.mtime) for m in tar} == {(0, 0, 0)}
    # A save that fails leaves the old file, and no other.
    (next(p for p in (kelp.root / "layers").iterdir()) / "recipe").unlink()
    before = sorted(os.listdir(kelp.work))
    kelp.fails("save", "-o", a, "web:1", code=125)
    assert a.read_bytes() == b.read_bytes()
    assert sorted(os.listdir(kelp.work)) == before


def test_save_finds_a_damaged_store(kelp):
    load(kelp, archive(oci_files((Image([BASE]), "web:1"))))
    (kelp.root / "layers" / sha256(BASE).split(":")[1] / "fs" / "etc" / "base").write_text("evil")
    kelp.fails("save", "-o", kelp.work / "x", "web:1", match="damaged|digest")
    assert not (kelp.work / "x").exists()


def test_save_directory(kelp):
    image = Image([BASE, TOP], "gzip")
    load(kelp, archive(oci_files((image, "web:1"))))
    path = kelp.work / "layout"
    kelp.ok("save", "--format", "oci-dir", "-o", path, "web:1")
    assert skopeo(f"oci:{path}")["Digest"] == sha256(image.manifest)
    kelp.fails("save", "--format", "oci-dir", "-o", path, "web:1", match="not empty")
    kelp.fails("save", "--format", "oci-dir", "web:1", match="--output")


def test_save_several(kelp):
    a, b = Image([BASE, TOP]), Image([BASE, BARE], config={"Cmd": ["/b"]})
    load(kelp, archive(oci_files((a, "a:1"), (b, "b:1"))))
    kelp.ok("tag", "a:1", "a:2")
    kelp.ok("save", "-o", kelp.work / "x", "a:1", "b:1", "a:2", b.id[7:19])
    with tarfile.open(kelp.work / "x") as tar:
        listed = json.load(tar.extractfile("manifest.json"))
    assert [(i["Config"], i["RepoTags"]) for i in listed] == [
        (blob_name(a.config), ["a:1", "a:2"]), (blob_name(b.config), ["b:1"])]
    kelp.fails("save", "nope", match="no such image: nope")
    kelp.fails("save", "--platform", "linux/s390x", "a:1", match="linux/s390x")


def test_save_refuses_a_terminal(kelp):
    load(kelp, archive(oci_files((Image([BASE]), "web:1"))))
    terminal = kelp.pty("save", "web:1")
    terminal.expect("standard output is a terminal")
    assert terminal.wait() == 125


def test_the_store_is_a_layout(kelp):
    image = Image([BASE, TOP], "gzip")
    load(kelp, archive(oci_files((image, "web:1"))))
    assert skopeo(f"oci:{kelp.root}/images:localhost/web:1")["Digest"] == sha256(image.manifest)


# ---- import ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", COMPRESS)
def test_import(kelp, how):
    path = kelp.work / "root"
    path.write_bytes(COMPRESS[how](BASE))
    out = kelp.ok("import", "-m", "hello", "-c", 'CMD ["/bin/x"]', "-c", "ENV A=1 B=2", "--change", "EXPOSE 80", path, "web")
    info = inspect(kelp, "web")
    assert info["Id"] == out and info["RepoTags"] == ["web:latest"]
    assert info["RootFS"]["Layers"] == [sha256(BASE)]
    assert info["Config"]["Cmd"] == ["/bin/x"] and info["Config"]["Env"] == ["A=1", "B=2"]
    assert info["Config"]["ExposedPorts"] == {"80/tcp": {}}
    assert "hello" in kelp.ok("history", "web")
    assert info["Size"] == sum(len(d) for d in (b"base", b"lower", b"gone", b"mine", b"#!"))


def test_import_pipe_and_platform(kelp):
    out = kelp.ok("import", "--platform", "linux/arm64", "-", input=BASE)
    info = inspect(kelp, out)
    assert (info["Architecture"], info["RepoTags"]) == ("arm64", [])
    out = kelp.ok("import", "--arch", "arm", "--variant", "v6", "-", "x:1", input=BASE)
    assert inspect(kelp, out)["Variant"] == "v6"


@pytest.mark.parametrize("args,words", [
    (["-c", "RUN x", "{tar}", "a"], "'RUN' is no instruction"),
    (["-c", "EXPOSE x", "{tar}", "a"], "'x' is no port"),
    (["{tar}", "Bad Name"], "invalid image name"),
    (["--platform", "a/b/c/d", "{tar}"], "invalid platform"),
    (["--platform", "linux/arm64", "--arch", "arm", "{tar}"], "--platform"),
    (["/nonexistent", "a"], "/nonexistent: No such file"),
    (["{dir}", "a"], "is a directory"),
    (["https://example.org/x.tar", "a"], "curl"),
    (["{garbage}", "a"], "garbage"),
    (["{empty}", "a"], "empty"),
])
def test_import_refused(kelp, args, words):
    for name, data in (("tar", BASE), ("garbage", b"\xff" * 2048), ("empty", b"")):
        (kelp.work / name).write_bytes(data)
    (kelp.work / "dir").mkdir()
    args = [a.format(**{n: kelp.work / n for n in ("tar", "dir", "garbage", "empty")}) for a in args]
    kelp.fails("import", *args, code=125, match=words)
    clean(kelp)


# ---- names, listings, removal ------------------------------------------------------------------


def test_names(kelp):
    """debian:12 and localhost/debian:12 look alike, so they are one name."""
    a, b = Image([BASE]), Image([TOP], config={"Cmd": ["/b"]})
    load(kelp, archive(docker_files(a, ["web:1"])))
    assert kelp.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == "web:1"
    for name in ("web:1", "library/web:1", "docker.io/web:1", "docker.io/library/web:1", a.id, a.id[7:], a.id[7:19]):
        assert inspect(kelp, name)["Id"] == a.id
    kelp.fails("image", "inspect", "localhost/web:1", match="no such image")
    assert inspect(kelp, "docker.io/library/web:1") == inspect(kelp, "web:1")
    load(kelp, archive(oci_files((b, "localhost/web:1"))))
    assert inspect(kelp, "web:1")["Id"] == b.id
    kelp.ok("tag", a.id[7:19], "web:1")
    assert inspect(kelp, "web:1")["Id"] == a.id
    assert inspect(kelp, b.id)["RepoTags"] == []
    kelp.fails("tag", "nope", "x", match="no such image: nope")
    kelp.fails("tag", "web:1", "UPPER", match="lower case")


def test_images_listing(kelp):
    image = Image([BASE], config={"Labels": {"a": "1"}})
    load(kelp, archive(docker_files(image, ["web:1", "quay.io/x/y:2"])))
    lines = kelp.ok("images").splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert sorted(line.split()[:3] for line in lines[1:]) == [["quay.io/x/y", "2", image.id[7:19]], ["web", "1", image.id[7:19]]]
    assert kelp.ok("images", "-q").split() == [image.id[7:19]]
    assert kelp.ok("images", "-q", "--no-trunc").split() == [image.id]
    assert kelp.ok("images", "web", "--format", "{{.Tag}}") == "1"
    assert kelp.ok("images", "-f", "label=a=2", "-q") == ""
    assert kelp.ok("images", "-f", "reference=*/x/*", "--format", "{{.Repository}}") == "quay.io/x/y"
    assert "DIGEST" in kelp.ok("images", "--digests")
    row = kelp.json("images", "web", "--format", "json")
    assert row["Repository"] == "web" and row["ID"] == image.id[7:19] and row["Size"].endswith("B")
    kelp.fails("images", "-f", "foo=1", match="unknown filter .foo.\nhint: known: before dangling")
    assert kelp.ok("image", "ls", "-q") == kelp.ok("image", "list", "-q") == kelp.ok("images", "-q")


def test_history(kelp):
    load(kelp, archive(docker_files(Image([BASE, TOP]), ["web:1"])))
    rows = kelp.json("history", "--format", "json", "-H=false", "web:1")
    assert [r["CreatedBy"] for r in rows] == ["step 1", "step 0"]
    assert rows[0]["ID"] != "<missing>" and rows[1]["ID"] == "<missing>"
    assert [int(r["Size"]) for r in rows] == [5, 19]
    assert kelp.ok("history", "-q", "web:1").splitlines()[1] == "<missing>"


def test_rmi(kelp, probe):
    image = inspect(kelp, "probe")["Id"]
    kelp.ok("tag", "probe", "other")
    assert kelp.ok("rmi", "other") == "Untagged: other:latest"
    name = "kept"
    kelp.ok("create", "--name", name, "probe", "true")
    kelp.fails("rmi", "probe", match="must be forced")
    kelp.fails("rmi", image[7:19], match="must be forced")
    out = kelp.ok("rmi", "-f", "probe").splitlines()
    assert out[0] == "Untagged: probe:latest" and out[1] == f"Deleted: {image}"
    # The container keeps what it needs.
    assert kelp("start", "-a", name).rc == 0
    kelp.ok("rm", name)
    kelp.ok("rmi", "-f", "nope")
    kelp.fails("rmi", "nope", match="no such image: nope")


def test_rmi_of_a_running_container(kelp, probe):
    kelp.ok("run", "-d", "--name", "up", "probe", "pause")
    kelp.fails("rmi", "-f", "probe", match="cannot be forced.*running")
    assert kelp.ok("run", "--rm", "probe", "echo", "still") == "still"
    kelp.ok("rm", "-f", "up")
    kelp.ok("rmi", "probe")


def test_rmi_leaves_what_other_images_and_containers_use(kelp, probe):
    """Three images without a common layer, two of them with a container, one without: the fourth's removal touches none."""
    others = [Image([write_tar([entry("./", "dir"), entry("bin", "dir"), entry("bin/x", data=str(i), mode=0o755)])])
              for i in range(3)]
    load(kelp, archive(oci_files(*[(image, f"n{i}:1") for i, image in enumerate(others)])))
    kelp.ok("create", "--name", "a", "n0:1", "/bin/x")
    kelp.ok("create", "--name", "b", probe, "echo", "still")
    before = {p.name for p in (kelp.root / "layers").iterdir()}
    kelp.ok("rmi", "n2:1")
    gone = before - {p.name for p in (kelp.root / "layers").iterdir()}
    assert len(gone) == 1
    assert kelp.ok("start", "-a", "b") == "still"
    for name in ("n0:1", "n1:1"):
        kelp.ok("save", "-o", kelp.work / "saved.tar", name)
    kelp.ok("rm", "a", "b")


def test_files_of_other_ids_are_deleted(kelp):
    load(kelp, archive(oci_files((Image([BASE]), "web:1"))))
    kelp.ok("rmi", "web:1")
    clean(kelp)
    assert list((kelp.root / "layers").iterdir()) == []
    assert list((kelp.root / "images/blobs/sha256").iterdir()) == []


def test_prune(kelp):
    a, b = Image([BASE]), Image([TOP], config={"Cmd": ["/b"], "Labels": {"keep": "1"}})
    load(kelp, archive(oci_files((a, "a:1"), (b, None))))
    assert "y/N" in kelp.ok("image", "prune", input="n\n")
    assert kelp.ok("images", "-q").count("\n") == 1
    assert "Deleted" not in kelp.ok("image", "prune", "-f", "--filter", "label!=keep")
    assert f"Deleted: {b.id}" in kelp.ok("image", "prune", input="y\n")
    assert kelp.ok("images", "-q").strip() == a.id[7:19]
    assert f"Deleted: {a.id}" in kelp.ok("image", "prune", "-af")
    clean(kelp)


# ---- hostile archives --------------------------------------------------------------------------


def changed(files, **changes):
    """A copy with members replaced (None: left out); keys are names or blob contents' names."""
    result = dict(files)
    for name, data in changes.items():
        if data is None:
            result.pop(name)
        else:
            result[name] = data
    return result


def hostile_archives():
    image = Image([BASE, TOP], "gzip")
    good = oci_files((image, "web:1"))
    first, config = blob_name(image.blobs[0]), blob_name(image.config)

    def oci(manifest, **more):
        data = json.dumps(manifest).encode()
        files = {**good, blob_name(data): data, **more}
        files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor(OCI_MANIFEST, data)]}).encode()
        return files

    manifest = json.loads(image.manifest)
    yield "missing layer", {n: d for n, d in good.items() if n != first}, "missing"
    yield "missing config", {n: d for n, d in good.items() if n != config}, "missing"
    yield "missing manifest", {n: d for n, d in good.items() if n != blob_name(image.manifest)}, "missing"
    yield "damaged layer", {**good, first: COMPRESS["gzip"](TOP)}, "bytes|damaged|digest"
    yield "other layer of equal size", {**good, first: good[first][:-8] + b"\0" * 8}, "damaged|checksum|digest|layer"
    yield "cut layer", {**good, first: good[first][:-20]}, "bytes|ends?|damaged"
    yield "damaged config", {**good, config: good[config].replace(b"linux", b"linuX")}, "damaged"
    yield "damaged manifest", {**good, blob_name(image.manifest): image.manifest.replace(b"2", b"3", 1)}, "damaged"
    yield "wrong size", oci({**manifest, "config": {**manifest["config"], "size": 1}}), "descriptor says 1"
    wrong = [dict(manifest["layers"][0], size=7), manifest["layers"][1]]
    yield "wrong layer size", oci({**manifest, "layers": wrong}), "descriptor says 7"
    yield "fewer layers", oci({**manifest, "layers": manifest["layers"][:1]}), "1 layers, the config 2"
    yield "layers swapped", oci({**manifest, "layers": manifest["layers"][::-1]}), "config says"
    yield "path as digest", oci({**manifest, "config": {**manifest["config"], "digest": "sha256:../../../etc/passwd"}}), "bad digest"
    yield "sha512", oci({**manifest, "config": {**manifest["config"], "digest": "sha512:" + "0" * 128}}), "only sha256"
    yield "old schema", oci({"schemaVersion": 1, "fsLayers": []}), "schemaVersion 1"
    artifact = {**manifest, "config": {**manifest["config"], "mediaType": "application/vnd.cncf.helm.config.v1+json"}}
    yield "artifact", oci(artifact), "artifact of type"
    yield "no JSON", {**good, "index.json": b"{"}, "index.json"
    yield "deep JSON", {**good, "index.json": b"[" * 100000}, "index.json"
    yield "huge JSON", {**good, "index.json": b'{"a":"' + b"x" * (5 << 20) + b'"}'}, "4 MiB"
    yield "empty index", {**good, "index.json": b'{"schemaVersion":2,"manifests":[]}'}, "no image"
    yield "no archive", {"hello": b"world"}, "neither index.json nor manifest.json"
    files, inner = dict(good), descriptor(OCI_MANIFEST, image.manifest)
    for _ in range(6):
        data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner]}).encode()
        files[blob_name(data)] = data
        inner = descriptor(OCI_INDEX, data)
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [inner]}).encode()
    yield "nested indexes", files, "nested"
    docker = docker_files(Image([BASE, TOP]), ["web:1"])
    listed = json.loads(docker["manifest.json"])
    yield "docker path out", changed(docker, **{"manifest.json": json.dumps(
        [{**listed[0], "Config": "../../../../etc/passwd"}]).encode()}), "missing|no document"
    yield "docker layer out", changed(docker, **{"manifest.json": json.dumps(
        [{**listed[0], "Layers": ["../../etc/passwd", "/etc/shadow"]}]).encode()}), "missing|is no layer"
    yield "docker config damaged", docker_files(Image([BASE]), ["a:1"], config_name="0" * 64 + ".json"), "damaged"
    yield "docker layer count", changed(docker, **{"manifest.json": json.dumps(
        [{**listed[0], "Layers": listed[0]["Layers"][:1]}]).encode()}), "1 layers, the config 2"
    ids = ["1" * 64, "2" * 64]
    loop = {"repositories": json.dumps({"a": {"1": ids[0]}}).encode()}
    for i in range(2):
        loop[f"{ids[i]}/json"] = json.dumps({"id": ids[i], "parent": ids[1 - i]}).encode()
        loop[f"{ids[i]}/layer.tar"] = BASE
    yield "loop of parents", loop, "does not end"
    # More than the reader takes at once follows the header whose size is a lie.
    for title, size in ("endless entry", 1 << 60), ("entry beyond every offset", (1 << 63) - 1):
        lie = raw("manifest.json", size=b"\x80" + size.to_bytes(11, "big"))
        yield title, lie + bytes(1 << 20), "in the middle of an entry"
    many = {f"{i}": "1" * 64 for i in range(50_000)}
    yield "many names", {"repositories": json.dumps({"a": many}).encode()}, "more than 4096 names"
    yield "many tags", changed(docker, **{"manifest.json": json.dumps(
        [{**listed[0], "RepoTags": [f"a:{i}" for i in range(50_000)]}]).encode()}), "more than 4096 names"
    yield "many names of nothing", {"repositories": json.dumps(
        {"a": {f"{i}": "1" * 64 for i in range(4000)}}).encode()}, "missing"
    escape = write_tar([entry("etc", "symlink", target="/tmp"), entry("../../escaped", data="x")])
    yield "escaping layer", oci_files((Image([escape]), "web:1")), "escaped|outside|\\.\\."


HOSTILE = list(hostile_archives())


@pytest.mark.parametrize("how", ["file", "pipe"])
@pytest.mark.parametrize("name,files,words", HOSTILE, ids=[h[0].replace(" ", "-") for h in HOSTILE])
def test_hostile_archive(kelp, name, files, words, how):
    result = load(kelp, files if isinstance(files, bytes) else archive(files), how=how)
    assert result.rc == 125, result
    assert re.search(words, result.err), result
    assert "Loaded" not in result.out
    clean(kelp)
    # And the store works on.
    assert load(kelp, archive(oci_files((Image([BASE]), "fine:1")))).rc == 0


def test_bombs(kelp):
    """An archive of nothing but zeros has a long trailer: no file of it is too large, only the archive itself."""
    need("zstd")
    bomb = kelp.work / "bomb"
    with bomb.open("wb") as f:
        subprocess.run("head -c 1300000000 /dev/zero | zstd -q -c", shell=True, stdout=f, check=True)
    for args in (["import", bomb, "bomb"], ["load", "-i", bomb]):
        result = kelp(*args)
        assert result.rc == 125 and "decompression bomb" in result.err, result
    clean(kelp)


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_cut_archive(kelp, how):
    data = archive(oci_files((Image([BASE, TOP]), "web:1")))
    for part in (0, 100, len(data) // 3):
        assert load(kelp, data[:part], how=how).rc == 125
    clean(kelp)


def test_links_in_the_archive_lead_nowhere_else(kelp):
    image = Image([BASE])
    files = docker_files(image, ["web:1"])
    name = next(n for n in files if n.endswith("layer.tar"))
    for target in ("/etc/passwd", "../../../../../etc/passwd", "layer.tar", "../" + name):
        entries = [entry(n, data=d) for n, d in files.items() if n != name] + [entry(name, "symlink", target=target)]
        for how in ("file", "pipe"):
            result = load(kelp, write_tar(entries), how=how)
            assert result.rc == 125 and "root:" not in result.err, result
    clean(kelp)


def test_links_in_a_directory_stay_inside(kelp):
    layout = kelp.work / "layout"
    image = Image([BASE])
    for name, data in oci_files((image, "web:1")).items():
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).write_bytes(data)
    (layout / "index.json").unlink()
    (layout / "index.json").symlink_to("/etc/passwd")
    result = kelp("load", "-i", layout)
    assert result.rc == 125 and "root:" not in result.err, result


def test_names_that_are_none_are_left_out(kelp):
    files = docker_files(Image([BASE]), ["UPPER:1", "good:1", "a\x1b[2Jb:1"])
    result = load(kelp, archive(files))
    assert result.rc == 0 and result.out == "Loaded image: good:1\n", result
    assert "left out the name" in result.err and "\x1b" not in result.err


def test_one_bad_image_of_several(kelp):
    good, bad = Image([BASE]), Image([TOP], config={"Cmd": ["/b"]})
    files = oci_files((good, "good:1"), (bad, "bad:1"))
    files[blob_name(bad.config)] = b"{}"
    result = load(kelp, archive(files))
    assert result.rc == 125 and "Loaded image: good:1" in result.out, result
    assert kelp.ok("images", "--format", "{{.Repository}}") == "good"


# ---- progress, interruption, memory ------------------------------------------------------------


def test_progress_on_a_terminal_only(kelp):
    big = write_tar([entry("big", data=os.urandom(8 << 20))])
    path = kelp.work / "big.tar"
    path.write_bytes(archive(oci_files((Image([big], "gzip"), "web:1"))))
    terminal = kelp.pty("load", "-i", path)
    terminal.expect("Loading layer")
    terminal.expect("Loaded image: web:1")
    assert terminal.wait() == 0
    kelp.ok("rmi", "web:1")
    assert kelp("load", "-i", path).err == ""
    assert "web" in kelp.ok("images")


def test_an_interrupted_load_cleans_up(kelp):
    data = archive(oci_files((Image([BASE, TOP]), "web:1")))
    process = kelp.popen("load", text=False)
    process.stdin.write(data[:4096])
    process.stdin.flush()
    harness.wait_for(lambda: list((kelp.root / "tmp").glob("*/lock")), what="a transaction")
    process.kill()
    process.wait()
    # kelp-image notices the death of its caller and removes what it wrote, without any further command.
    harness.wait_for(lambda: not list((kelp.root / "tmp").iterdir()), what="an empty tmp/")
    clean(kelp)


def test_memory_is_bounded(kelp):
    need("/usr/bin/time")
    big = write_tar([entry("big", data=os.urandom(1 << 20) * 150)])
    path = kelp.work / "big.tar"
    path.write_bytes(archive(docker_files(Image([big]), ["web:1"])))
    for args, kw in ((["load", "-q", "-i", path], {}), (["save", "-o", kelp.work / "out.tar", "web:1"], {}),
                     (["load", "-q"], {"stdin": open(path, "rb")}), (["import", "-q", path, "x"], {})):
        kelp.wrapper = ["/usr/bin/time", "-f", "%M", "-o", str(kelp.work / "rss")]
        assert kelp(*args, timeout=120, **kw).rc == 0
        kelp.wrapper = []
        assert int((kelp.work / "rss").read_text()) <= 64 << 10


def test_writers_at_once(kelp):
    """Eight loads of overlapping images while others are removed: each command does what it says."""
    archives = []
    for i in range(8):
        path = kelp.work / f"{i}.tar"
        path.write_bytes(archive(oci_files((Image([BASE, layer(f"etc/{i % 3}")], config={"Cmd": [str(i)]}), f"i{i}:1"))))
        archives.append(path)
    for _ in range(3):
        loads = [kelp.popen("load", "-q", "-i", p) for p in archives]
        for i, process in enumerate(loads):
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
        assert len(kelp.ok("images", "-q").split()) == 8
        removals = [kelp.popen("rmi", f"i{i}:1") for i in range(8)]
        for process in removals:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
        clean(kelp)
        assert list((kelp.root / "layers").iterdir()) == []


def test_one_id(make_kelp, noids_user):
    """Without subordinate ids the owners are remembered: the same digests come out again."""
    kelp = make_kelp(user=noids_user)
    image = Image([BASE, TOP, BARE])
    assert load(kelp, archive(oci_files((image, "web:1")))).rc == 0
    kelp.ok("save", "-o", kelp.work / "again.tar", "web:1")
    with tarfile.open(kelp.work / "again.tar") as tar:
        for blob in image.blobs:
            assert sha256(tar.extractfile(blob_name(blob)).read()) == sha256(blob)
    kelp.ok("rmi", "web:1")
    clean(kelp)


def test_nothing_is_passed_on_by_root(kelp):
    """kelp-image gives up what it does not need before it reads an archive."""
    process = kelp.popen("load", text=False)

    def helper():
        return [pid for pid, p in kelp.processes().items() if p[0].startswith("kelp-image")]
    pid = harness.wait_for(lambda: helper() and list((kelp.root / "tmp").glob("*/lock")) and helper(), what="kelp-image")[0]
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    allowed = sum(1 << c for c in (0, 1, 2, 3, 4, 27, 31))
    assert int(status["CapEff"], 16) & ~allowed == 0
    process.kill()
    process.wait()
    harness.wait_for(lambda: not helper(), what="the end of kelp-image")


# ---- names, and what is no archive ----


def test_dockers_full_name_finds_a_local_image(kelp, probe):
    """`images` shows "probe" for localhost/probe, and that is docker.io/library/probe for who comes from Docker."""
    image = inspect(kelp, "probe")["Id"]
    for name in ("docker.io/library/probe", "docker.io/probe:latest", "index.docker.io/library/probe:latest", "localhost/probe"):
        assert inspect(kelp, name)["Id"] == image
    kelp.fails("image", "inspect", "docker.io/other/probe", match="no such image")
    kelp.fails("image", "inspect", "example.com/probe", match="no such image")
    kelp.ok("tag", "probe", "docker.io/library/fresh")
    kelp.fails("image", "inspect", "localhost/fresh", match="no such image")
    kelp.ok("rmi", "docker.io/library/probe")
    kelp.fails("image", "inspect", "probe", match="no such image")


def test_bare_latest_is_a_name(kelp):
    """skopeo copy … oci-archive:FILE:latest, which podman loads as localhost/latest:latest."""
    a = Image([layer("a")])
    out = load(kelp, archive(oci_files((a, "latest")))).out
    assert "latest:latest" in out and inspect(kelp, "localhost/latest")["Id"] == a.id


def test_load_says_what_it_was_given(kelp):
    junk, plain = kelp.work / "junk", kelp.work / "plain"
    junk.write_text("garbage\n")
    plain.mkdir()
    result = kelp.fails("load", "-i", junk, match="junk: ")
    assert result.err.count("junk") == 1, result
    kelp.fails("load", "-i", plain, match="plain: the directory is no OCI layout(.|\n)*hint: .*kelp import")
    kelp.fails("load", junk, code=125, match="unexpected argument(.|\n)*hint: kelp load -i .*junk")
