#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source says its licence in one of its first three lines."""
import posixpath

import common

SUFFIXES = (".c", ".h", ".py", ".sh")
NAMES = ("meson.build", "bootstrap")
LINE = "SPDX-License-Identifier: Apache-2.0"


def check(tree):
    found = []
    for name in tree.names:
        if not (name.endswith(SUFFIXES) or posixpath.basename(name) in NAMES) or "/corpus/" in name:
            continue
        if not any(LINE in line for line in tree.text(name).splitlines()[:3]):
            found.append(f"{name}:1: no '{LINE}'")
    return found


def self_test():
    return common.self_check(check, [
        ({"src/a.c": f"/* {LINE} */\n"}, None),
        ({"tests/x.py": f"#!/usr/bin/env python3\n# {LINE}\n"}, None),
        ({"src/a.c": "int x;\n"}, "no 'SPDX"),
        ({"src/a.h": f"\n\n\n/* {LINE} */\n"}, "no 'SPDX"),
        ({"meson.build": "project()\n"}, "no 'SPDX"),
        ({"README.md": "x\n"}, None),
    ])


if __name__ == "__main__":
    common.main(check, self_test)
