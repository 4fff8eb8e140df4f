# SPDX-License-Identifier: Apache-2.0
"""Root file systems for the tests, made in memory: archives of the probe program and of what a test wants beside it."""
import gzip
import io
import json
import hashlib
import tarfile

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
alice:x:1000:1000:Alice:/home/alice:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = """root:x:0:
daemon:x:1:
staff:x:50:alice,daemon
alice:x:1000:
nogroup:x:65534:
"""
LINKS = ("true", "false", "echo", "cat", "env", "id", "ls", "sleep", "pause")


def entry(name, kind="file", data=b"", mode=None, uid=0, gid=0, target="", mtime=1_600_000_000, dev=(0, 0), pax=None):
    """One member of an archive, for write_tar(): kind is file, dir, symlink, link, char, block or fifo."""
    types = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "link": tarfile.LNKTYPE,
             "char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE}
    info = tarfile.TarInfo(name)
    info.type = types[kind]
    info.mode = mode if mode is not None else {"dir": 0o755, "symlink": 0o777}.get(kind, 0o644)
    info.uid, info.gid, info.mtime, info.linkname = uid, gid, mtime, target
    info.devmajor, info.devminor = dev
    if isinstance(data, str):
        data = data.encode()
    info.size = len(data) if kind == "file" else 0
    if pax:
        info.pax_headers = dict(pax)
    return info, data


def write_tar(entries, fmt=tarfile.PAX_FORMAT):
    """The bytes of an archive with these entries, in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


def probe_entries(probe):
    """A root file system around the probe program (a path on the host)."""
    with open(probe, "rb") as f:
        program = f.read()
    entries = [entry("./", "dir")]
    entries += [entry(d, "dir") for d in ("bin", "etc", "dev", "proc", "sys", "var", "home", "run")]
    entries += [entry("root", "dir", mode=0o700), entry("tmp", "dir", mode=0o1777),
                entry("home/alice", "dir", uid=1000, gid=1000),
                entry("etc/passwd", data=PASSWD), entry("etc/group", data=GROUP),
                entry("bin/probe", data=program, mode=0o755)]
    entries += [entry("bin/" + name, "symlink", target="probe") for name in LINKS]
    return entries


def probe_tar(probe, extra=()):
    return write_tar(probe_entries(probe) + list(extra))


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def oci_archive(layers, config=None, name="test:latest", compress=False, arch="amd64"):
    """An OCI image layout as the bytes of a tar. layers: bytes of tars. Returns (archive, layer digests, config digest)."""
    blobs, descriptors, diff_ids = {}, [], []
    for layer in layers:
        diff_ids.append(sha256(layer))
        blob = gzip.compress(layer, 6, mtime=0) if compress else layer
        blobs[sha256(blob)] = blob
        kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if compress else "")
        descriptors.append({"mediaType": kind, "digest": sha256(blob), "size": len(blob)})
    image = {"architecture": arch, "os": "linux", "created": "2024-01-02T03:04:05Z",
             "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/true"], **(config or {})},
             "rootfs": {"type": "layers", "diff_ids": diff_ids},
             "history": [{"created": "2024-01-02T03:04:05Z", "created_by": f"layer {i}"} for i in range(len(layers))]}
    image_blob = json.dumps(image).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(image_blob),
                   "size": len(image_blob)},
        "layers": descriptors}).encode()
    index = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": sha256(manifest),
                       "size": len(manifest), "annotations": {"org.opencontainers.image.ref.name": name}}]}).encode()
    blobs[sha256(image_blob)] = image_blob
    blobs[sha256(manifest)] = manifest
    entries = [entry("oci-layout", data=b'{"imageLayoutVersion":"1.0.0"}'), entry("index.json", data=index),
               entry("blobs", "dir"), entry("blobs/sha256", "dir")]
    entries += [entry("blobs/sha256/" + d.split(":")[1], data=b) for d, b in blobs.items()]
    return write_tar(entries), [d["digest"] for d in descriptors], sha256(image_blob)
