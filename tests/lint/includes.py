#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes go downhill only (deps.txt); a .c includes its own header first; internal headers stay in their directory."""
import fnmatch
import posixpath
import re

import common

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
MAX_INCLUDES = 15


def read_table(text):
    """({directory: allowed directory names}, {pattern of files: allowed headers})"""
    dirs, files = {}, {}
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if "::" in line:
            name, allowed = line.split("::")
            files[name.strip()] = set(allowed.split())
        elif line:
            name, allowed = line.split(":")
            dirs[name.strip()] = set(allowed.split())
    return dirs, files


def includes(tree, name):
    """(line, header as written) of the project's own headers."""
    for number, line in enumerate(tree.text(name).splitlines(), 1):
        m = INCLUDE.match(line)
        if m:
            yield number, m.group(1)


def locate(tree, header):
    """The file behind a header as written; None for generated ones."""
    for top in ("src/", ""):
        if (tree.top / (top + header)).is_file():
            return top + header
    return None


def check_direction(tree, name, dirs):
    own = posixpath.dirname(name)
    if own not in dirs:
        return [f"{name}:1: directory {own} is missing in tests/lint/deps.txt"]
    found = []
    for line, header in includes(tree, name):
        if header == "config.h":
            continue
        target = posixpath.dirname(header)
        if not target:
            found.append(f'{name}:{line}: "{header}": write the directory too, as in "base/err.h"')
        elif target != posixpath.basename(own) and target not in dirs[own] | dirs.get(name, set()):
            found.append(f'{name}:{line}: {own} may not include "{header}" (tests/lint/deps.txt)')
        elif target != posixpath.basename(own) and header.endswith("_internal.h"):
            found.append(f'{name}:{line}: "{header}" is internal to its directory')
        elif not locate(tree, header):
            found.append(f'{name}:{line}: "{header}" does not exist')
    return found


def check_order(tree, name):
    listed = [h for _, h in includes(tree, name)]
    found = []
    if len(listed) > MAX_INCLUDES:
        found.append(f"{name}:1: {len(listed)} project headers, more than {MAX_INCLUDES}: does it do one thing?")
    own = name[:-2] + ".h"
    written = re.sub(r"^src/", "", own)
    if name.endswith(".c") and own in tree.names and listed and listed[0] != written:
        found.append(f'{name}:1: include its own "{written}" first: that proves that the header is complete')
    return found


def check(tree):
    dirs, files = read_table(tree.text("tests/lint/deps.txt"))
    found = []
    for name in tree.c_files(common.C_DIRS):
        found += check_direction(tree, name, dirs) + check_order(tree, name)
    for pattern, allowed in files.items():
        matching = fnmatch.filter(tree.names, pattern)
        if not matching:
            found.append(f"tests/lint/deps.txt:1: there is no {pattern}")
        for name in matching:
            found += [f'{name}:{line}: may include only what deps.txt lists for it, not "{header}"'
                      for line, header in includes(tree, name) if header not in allowed]
    return found


def self_test():
    deps = {"tests/lint/deps.txt": "src/base:\nsrc/top: base\n"}
    child = {"tests/lint/deps.txt": "src/base:\nsrc/top: base\nsrc/top/child*.c:: base/sys.h\n"}
    base = {"src/base/sys.h": '#include "base/low.h"\n', "src/base/low.h": "", "src/base/err.h": ""}

    def with_(**files):
        return {**deps, **base, **{k.replace("__", "/").replace("_c", ".c").replace("_h", ".h"): v for k, v in files.items()}}

    return common.self_check(check, [
        (with_(src__top__a_c='#include "base/err.h"\n'), None),
        (with_(src__base__a_c='#include "top/x.h"\n', src__top__x_h=""), "may not include"),
        ({**with_(src__top__a_c='#include "low/x.h"\n', src__low__x_h=""),
          "tests/lint/deps.txt": "src/base:\nsrc/top: base\nsrc/top/a.c: low\nsrc/low:\n"}, None),
        (with_(src__other__a_c=""), "missing in tests/lint/deps.txt"),
        (with_(src__top__a_c='#include "x.h"\n'), "write the directory"),
        (with_(src__top__a_c='#include "base/none.h"\n'), "does not exist"),
        ({**with_(src__top__a_c='#include "base/x_internal.h"\n'), "src/base/x_internal.h": ""}, "is internal"),
        (with_(src__top__a_c='#include "base/err.h"\n#include "top/a.h"\n', src__top__a_h=""), "first"),
        ({**base, **child, "src/top/child.c": '#include "base/sys.h"\n'}, None),
        ({**base, **child, "src/top/child_tty.c": '#include "base/low.h"\n'}, "may include only"),
        ({**base, **child}, "there is no"),
        (with_(src__top__a_c='#include "base/err.h"\n' * 16), "more than 15"),
    ])


if __name__ == "__main__":
    common.main(check, self_test)
