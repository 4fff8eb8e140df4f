#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-format 14 has nothing to change. Other versions disagree with it in details, so that they are not asked."""
import pathlib
import re
import shutil
import subprocess

import common

VERSION = "14"


def find_tool():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if not path:
            continue
        out = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        if re.search(rf"version {VERSION}\.", out):
            return path
    raise common.Skip(f"clang-format {VERSION} is not installed")


def check(tree):
    tool = find_tool()
    files = [str(tree.top / n) for n in tree.c_files()]
    if not files:
        return []
    out = subprocess.run([tool, "--style=file", "--dry-run", "--Werror", *files], capture_output=True, text=True, cwd=tree.top, check=False)
    found = []
    for line in out.stderr.splitlines():
        m = re.match(r"(.*):(\d+):\d+: error: code should be clang-formatted", line)
        if m:
            found.append(f"{pathlib.Path(m.group(1)).relative_to(tree.top)}:{m.group(2)}: clang-format would change this")
    if out.returncode and not found:
        found.append(f".clang-format:1: {out.stderr.strip()[:500]}")
    return found


def self_test():
    style = (pathlib.Path(__file__).parents[2] / ".clang-format").read_text(encoding="utf-8")
    return common.self_check(check, [
        ({".clang-format": style, "src/a.c": "int f(void)\n{\n        return 1;\n}\n"}, None),
        ({".clang-format": style, "src/a.c": "int f(void) {\n    return 1;\n}\n"}, "src/a.c:1: clang-format"),
        ({".clang-format": style, "tests/unit/a.c": "int  x;\n"}, "tests/unit/a.c:1"),
    ])


if __name__ == "__main__":
    common.main(check, self_test)
