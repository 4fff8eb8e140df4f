#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Writes the seeds of fuzz_tar and fuzz_recipe into corpus/: always the same bytes. Past crashes lie beside them and stay.
An input of fuzz_tar is a byte of switches (1: put the checksums right) and an archive.
"""
import gzip
import pathlib
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from hostile import END, attacks, pax, raw, tar_of  # noqa: E402
from rootfs import entry  # noqa: E402

OUTSIDE = pathlib.Path("/outside")
LARGE = {"too deep", "deep", "long path", "xattr flood"}


def shorten(archive):
    """tarfile pads to 10 KiB."""
    return archive.rstrip(b"\0").ljust(-(-len(archive.rstrip(b"\0")) // 512) * 512, b"\0") + END


def tar_seeds():
    for name, archive in attacks(OUTSIDE).items():
        if name not in LARGE:
            yield name.replace(" ", "-").replace(",", ""), archive if name.startswith(("trunc", "no", "lone")) else shorten(archive)
    everything = [entry("d", "dir", uid=5), entry("d/f", data="x" * 600, pax={"SCHILY.xattr.user.a": "1", "mtime": "1.5"}),
                  entry("l", "link", target="d/f"), entry("s", "symlink", target="d"), entry("s/g", data="g"), entry("p", "fifo"),
                  entry("d", data="file"), entry(".wh.w"), entry("o/.wh..wh..opq"), entry("lib/x", data="x"),
                  entry("n" * 120, data="long"), entry("copy", "link", target="low")]
    for fmt, name in ((tarfile.PAX_FORMAT, "pax"), (tarfile.GNU_FORMAT, "gnu")):
        yield "all-" + name, shorten(tar_of(*everything, fmt=fmt))
    yield "all-gzip", gzip.compress(shorten(tar_of(*everything)), mtime=0)
    yield "sparse-1.0", (pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9000"),
                             (b"GNU.sparse.name", b"sparse"))
                         + raw("f", "0", 512 + 7, data=b"2\n0\n3\n8000\n4\n".ljust(512, b"\0") + b"abcdefg") + END)
    yield "sparse-0.1", (pax((b"GNU.sparse.map", b"0,3,8000,4"), (b"GNU.sparse.size", b"9000")) + raw("f", "0", 7, data=b"abcdefg") + END)
    yield "sparse-0.0", (pax((b"GNU.sparse.size", b"9000"), (b"GNU.sparse.offset", b"0"), (b"GNU.sparse.numbytes", b"3"),
                             (b"GNU.sparse.offset", b"8000"), (b"GNU.sparse.numbytes", b"4")) + raw("f", "0", 7, data=b"abcdefg") + END)
    header = bytearray(raw("f", "S", 7, magic=b"ustar  \0"))
    for i, (offset, size) in enumerate(((0, 3), (8000, 4))):
        header[386 + 24 * i:410 + 24 * i] = b"%011o\0%011o\0" % (offset, size)
    header[483:495] = b"%011o\0" % 9000
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    yield "sparse-old", bytes(header) + b"abcdefg".ljust(512, b"\0") + END


def leb(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def recipe_seeds():
    node = lambda path, mode=0o644: b"N" + leb(0) + leb(0) + leb(mode) + leb(len(path)) + path  # noqa: E731
    usual = b"R" + leb(3) + b"abc" + node(b"f") + b"C" + leb(0) + leb(7)
    yield "usual", usual + b"E" + leb(10)
    yield "kept", node(b"d/g") + b"C" + leb(0) + leb(1) + b"K" + leb(0) + leb(1) + b"d" + node(b"") + b"E" + leb(1)
    yield "outside", node(b"../x") + b"C" + leb(0) + leb(1) + node(b"/etc/passwd") + b"C" + leb(0) + leb(1) + node(b"l/x") + b"C\0\1" + b"E\3"
    yield "numbers", node(b"f") + b"C" + b"\xff" * 9 + b"\x01" + b"\1"


def main():
    for target, seeds in (("tar", tar_seeds()), ("recipe", recipe_seeds())):
        directory = HERE / "corpus" / target
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in seeds:
            (directory / f"seed-{name}").write_bytes((b"\1" if target == "tar" else b"") + data)


main()
