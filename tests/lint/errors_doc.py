#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/errors.md and the table in src/base/err.c say the same: names, exit codes, HTTP status, in the same order."""
import re

import common

SOURCE, PAGE = "src/base/err.c", "docs/errors.md"
ROW = re.compile(r'\[ERR_(\w+)\] = \{"([\w-]+)", \w+, (\d+), (\d+)\}')
PAGE_ROW = re.compile(r"^\| `([\w-]+)` \| (.+?) \| (\d+) \| (\d+) \|$")


def check(tree):
    code = [m.groups()[1:] for m in ROW.finditer(tree.text(SOURCE))]
    if not code:
        return [f"{SOURCE}:1: the table of kinds is not where {__file__} looks for it"]
    page = {}
    found = []
    for number, line in enumerate(tree.text(PAGE).splitlines(), 1):
        m = PAGE_ROW.match(line)
        if m:
            page[m.group(1)] = (number, (m.group(3), m.group(4)))
    for name, exit_code, status in code:
        if name not in page:
            found.append(f"{PAGE}:1: kind `{name}` is missing")
        elif page[name][1] != (exit_code, status):
            found.append(f"{PAGE}:{page[name][0]}: `{name}` is exit code {exit_code}, HTTP status {status} in {SOURCE}")
    for name, (number, _) in page.items():
        if name not in {row[0] for row in code}:
            found.append(f"{PAGE}:{number}: there is no kind `{name}` in {SOURCE}")
    if not found and list(page) != [row[0] for row in code]:
        found.append(f"{PAGE}:1: not in the order of {SOURCE}")
    return found


def self_test():
    source = '        [ERR_SYS] = {"system", EIO, 125, 500},\n        [ERR_USAGE] = {"usage", EINVAL, 125, 400},\n'
    rows = ["| `system` | words | 125 | 500 |\n", "| `usage` | words | 125 | 400 |\n"]
    return common.self_check(check, [
        ({SOURCE: source, PAGE: "".join(rows)}, None),
        ({SOURCE: source, PAGE: rows[0]}, "`usage` is missing"),
        ({SOURCE: source, PAGE: "".join(rows).replace("400", "401")}, "HTTP status 400"),
        ({SOURCE: source, PAGE: "".join(rows) + "| `more` | words | 1 | 2 |\n"}, "no kind `more`"),
        ({SOURCE: source, PAGE: "".join(reversed(rows))}, "order"),
        ({SOURCE: "", PAGE: ""}, "not where"),
    ])


if __name__ == "__main__":
    common.main(check, self_test)
