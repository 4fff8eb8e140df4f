#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Mutable objects at file scope (static ones in functions included), read from the object files of a build directory with objdump. Each has
to be in globals.allow, with the reason; what is listed there and no longer exists has to go.

    globals.py BUILD            the build must be without sanitizers and LTO, which add objects of their own or hide ours
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import common

ALLOW = pathlib.Path(__file__).with_name("globals.allow")
# Relocated once at start and read-only afterwards: tables of pointers.
READ_ONLY = re.compile(r"\.data\.rel\.ro")
MUTABLE = re.compile(r"^(\.data|\.bss|\.tdata|\.tbss|\*COM\*|\.ldata|\.lbss)")
# Flags, section, size, name. Debugging and section symbols have a "d" among the flags.
SYMBOL = re.compile(r"^[0-9a-f]{8,16} (.{7}) (\S+)\s+([0-9a-f]+) (?:\.hidden )?(\S+)$")


def read_allow(text):
    allowed = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("#")[0].split(None, 2)
        if fields:
            allowed[(fields[0], fields[1])] = (number, len(fields) > 2)
    return allowed


def mutable_symbols(obj):
    out = subprocess.run(["objdump", "-t", str(obj)], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        m = SYMBOL.match(line)
        if m and "d" not in m.group(1) and int(m.group(3), 16) and MUTABLE.match(m.group(2)) and not READ_ONLY.match(m.group(2)):
            # Static locals are "cache.0" to one compiler and "function.cache" to the other.
            yield re.sub(r"\.\d+$", "", m.group(4)).split(".")[-1]


def compare(symbols, allowed):
    """symbols: {(file, symbol)}; allowed as read."""
    found = [f"{f}:1: mutable object '{s}' is not in tests/lint/globals.allow" for f, s in sorted(symbols - allowed.keys())]
    found += [f"tests/lint/globals.allow:{n}: no reason given for {f} {s}" for (f, s), (n, reason) in allowed.items() if not reason]
    found += [f"tests/lint/globals.allow:{n}: {f} has no mutable object '{s}' any more" for (f, s), (n, _) in allowed.items()
              if (f, s) not in symbols]
    return found


def objects(build):
    """(source below the top, object file) of all that is compiled for programs."""
    top = pathlib.Path(__file__).resolve().parents[2]
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        source = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if top in source.parents and source.relative_to(top).parts[0] in common.C_DIRS:
            yield str(source.relative_to(top)), pathlib.Path(entry["directory"]) / entry["output"]


def check_build(build):
    if not shutil.which("objdump"):
        raise common.Skip("objdump is not installed")
    symbols = set()
    for source, obj in objects(build):
        if obj.exists():
            symbols |= {(source, s) for s in mutable_symbols(obj)}
    return compare(symbols, read_allow(ALLOW.read_text(encoding="utf-8")))


def self_test():
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not cc or not shutil.which("objdump"):
        raise common.Skip("no compiler or objdump")
    code = """
        int common_one; static int bss, data = 1; static __thread int tls; static const int constant = 1;
        static const char *const names[] = {"a", "b"}; static const char *mutable_names[] = {"a"};
        int *f(void) { static int local; bss++; data++; tls++; return (int *)(constant + names[bss] + (long)mutable_names[0]) + local++; }
    """
    expected = {"common_one", "bss", "data", "tls", "mutable_names", "local"}
    problems = []
    with tempfile.TemporaryDirectory() as tmp:
        source, obj = pathlib.Path(tmp) / "a.c", pathlib.Path(tmp) / "a.o"
        source.write_text(code, encoding="utf-8")
        subprocess.run([cc, "-w", "-O0", "-fPIC", "-c", str(source), "-o", str(obj)], check=True)
        got = set(mutable_symbols(obj))
    if got != expected:
        problems.append(f"found {got}, expected {expected}")
    for symbols, text, part in [({("a.c", "x")}, "a.c x why\n", None), ({("a.c", "x")}, "", "not in"), (set(), "a.c x why\n", "any more"),
                                ({("a.c", "x")}, "a.c x\n", "no reason")]:
        found = compare(symbols, read_allow(text))
        if bool(found) != bool(part) or (part and part not in found[0]):
            problems.append(f"{symbols} against '{text}': {found}")
    return problems


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if not arguments and "--self-test" not in sys.argv:
        sys.exit(__doc__)
    common.main(lambda tree: check_build(pathlib.Path(arguments[0])), self_test)
