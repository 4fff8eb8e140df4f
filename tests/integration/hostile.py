# SPDX-License-Identifier: Apache-2.0
"""
Layer archives that mean harm, or are plainly damaged: for test_layers.py, and the seed of the fuzz target's corpus
(tests/fuzz/make_layer_corpus.py).
"""
import tarfile

import rootfs
from rootfs import entry


def tar_of(*entries, fmt=tarfile.PAX_FORMAT):
    return rootfs.write_tar(list(entries), fmt)


def raw(name, kind="0", size=0, link="", data=b"", magic=b"ustar\x0000"):
    """A header by hand: what tarfile refuses to write."""
    h = bytearray(512)
    h[0:100] = name.encode()[:100].ljust(100, b"\0")
    h[100:108], h[108:116], h[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    h[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    h[136:148], h[148:156] = b"00000000000\0", b" " * 8
    h[156:157] = kind.encode("latin1")
    h[157:257] = link.encode()[:100].ljust(100, b"\0")
    h[257:265] = magic
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h) + data + b"\0" * (-len(data) % 512)


END = b"\0" * 1024


def pax(*records):
    body = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        n = len(rest) + 1
        while len(str(n)) + len(rest) != n:
            n = len(str(n)) + len(rest)
        body += str(n).encode() + rest
    return raw("pax", "x", len(body), data=body)


def attacks(outside):
    out = str(outside)
    return {
        "absolute name": tar_of(entry(out + "/f", data="evil")),
        "dot dot": tar_of(entry("../outside/f", data="evil")),
        "dot dot inside": tar_of(entry("a/../../outside/f", data="evil")),
        "link then through it": tar_of(entry("l", "symlink", target=out), entry("l/f", data="evil")),
        "relative link": tar_of(entry("l", "symlink", target="../../../outside"), entry("l/f", data="evil")),
        "link over link": tar_of(entry("a", "symlink", target=out), entry("b", "symlink", target="a"), entry("b/f", data="evil")),
        "file through link": tar_of(entry("f", "symlink", target=out + "/f"), entry("f", data="evil")),
        "hard link to link": tar_of(entry("l", "symlink", target=out + "/f"), entry("h", "link", target="l"), entry("h", data="evil")),
        "hard link out": tar_of(entry("h", "link", target=out + "/f"), entry("h", data="evil")),
        "hard link dot dot": tar_of(entry("h", "link", target="../../../outside/f"), entry("h", data="evil")),
        "hard link through link": tar_of(entry("l", "symlink", target=out), entry("h", "link", target="l/f")),
        "swap": tar_of(entry("d", "dir"), entry("d/f", data="x"), entry("d", "symlink", target=out), entry("d/f", data="evil")),
        "swap, then mode": tar_of(entry("d", "dir"), entry("d/f", "dir", mode=0o777), entry("d", "symlink", target=out)),
        "directory over link": tar_of(entry("d", "symlink", target=out), entry("d", "dir", mode=0o777, mtime=1)),
        "root is a link": tar_of(entry(".", "symlink", target=out)),
        "root is a file": tar_of(entry("./", "file", data="x")),
        "whiteout through link": tar_of(entry("l", "symlink", target=out), entry("l/.wh.f")),
        "opaque through link": tar_of(entry("l", "symlink", target=out), entry("l/.wh..wh..opq")),
        "times through swapped link": tar_of(entry("d", "dir"), entry("d/e", "dir", mtime=7), entry("d", "symlink", target=out)),
        "device": tar_of(entry("sda", "block", dev=(8, 0)), entry("null", "char", dev=(1, 3)), entry("wh", "char", dev=(0, 0))),
        "loop": tar_of(entry("a", "symlink", target="b"), entry("b", "symlink", target="a"), entry("a/x", data="x")),
        "file as parent": tar_of(entry("f", data="x"), entry("f/x", data="x")),
        "long component": tar_of(entry("n" * 256, data="x")),
        "long path": tar_of(entry("d/" * 2500 + "x", data="x")),
        "too deep": tar_of(entry("d/" * 1000 + "x", data="x")),
        "deep": tar_of(entry("d/" * 400 + "x", data="x"), entry("d/" * 400 + "y", data="y")),
        "empty name": raw("", data=b"") + END,
        "unknown type": raw("q", "Q") + END,
        "negative size": raw("f", "0", b"\xff" * 12) + END,
        "huge size": raw("f", "0", b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7) + END,
        "overflow": raw("f", "0", b"\x80" + b"\xff" * 11) + END,
        "size not octal": raw("f", "0", b"00000000009\0") + END,
        "huge long name": raw("l", "L", 1 << 30, magic=b"ustar  \0") + END,
        "huge pax": raw("l", "x", 1 << 30) + END,
        "pax length 0": raw("p", "x", 4, data=b"0 a\n") + raw("f") + END,
        "pax length beyond": raw("p", "x", 9, data=b"99 a=bcd\n") + raw("f") + END,
        "pax no equals": raw("p", "x", 6, data=b"6 abc\n") + raw("f") + END,
        "NUL in name": pax((b"path", b"a\0b")) + raw("f") + END,
        "uid": pax((b"uid", b"4294967295")) + raw("f") + END,
        "uid text": pax((b"uid", b"-1")) + raw("f") + END,
        "mtime": pax((b"mtime", b"99999999999999999999")) + raw("f") + END,
        "sparse overlap": pax((b"GNU.sparse.map", b"0,512,256,512"), (b"GNU.sparse.size", b"2048")) + raw("f", "0", 1024, data=b"x" * 1024) + END,
        "sparse backwards": pax((b"GNU.sparse.map", b"512,10,0,10"), (b"GNU.sparse.size", b"2048")) + raw("f", "0", 20, data=b"x" * 20) + END,
        "sparse too long": pax((b"GNU.sparse.map", b"0,100"), (b"GNU.sparse.size", b"50")) + raw("f", "0", 100, data=b"x" * 100) + END,
        "sparse sum": pax((b"GNU.sparse.map", b"0,100"), (b"GNU.sparse.size", b"100")) + raw("f", "0", 10, data=b"x" * 10) + END,
        "sparse 1.0 map": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9"))
        + raw("f", "0", 512, data=b"99999999999\n" + b"0" * 500) + END,
        "sparse 1.0 no size": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")) + raw("f", "0", 512, data=b"0\n".ljust(512, b"\0")) + END,
        "sparse petabytes": pax((b"GNU.sparse.map", b"0,0"), (b"GNU.sparse.size", b"1125899906842624")) + raw("f") + END,
        "old sparse": raw("f", "S", 512, magic=b"ustar  \0", data=b"x" * 512) + END,
        "not a tar": b"hello world" * 100,
        "no tar, short": b"hello",
        "checksum": raw("f")[:100] + b"1" + raw("f")[101:] + END,
        "lone zero block": raw("f") + b"\0" * 512 + raw("g") + END,
        "truncated data": raw("f", "0", 100_000, data=b"x" * 1000),
        "truncated header": raw("f") + raw("g")[:100],
        "xattr flood": pax(*[(b"SCHILY.xattr.user.x%d" % i, b"v") for i in range(5000)]) + raw("f") + END,
        "symlink to nothing": raw("s", "2") + END,
    }


HARMLESS = {"absolute name", "link then through it", "relative link", "link over link", "file through link", "hard link to link", "swap",
            "swap, then mode", "directory over link", "whiteout through link", "opaque through link", "times through swapped link", "device",
            "deep", "root is a file"}
