#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files, functions and parameter lists that have outgrown a reader: .c 1000 lines, .h 200, functions 100, parameters 7."""
import re

import common

MAX_C, MAX_H, MAX_FUNCTION, MAX_PARAMETERS = 1000, 200, 100, 7
TABLE = re.compile(r"^\s+(static )?(const )?.*=\s*(\([^)]*\))?\s*\{\s*$")


def table_lines(body):
    """Lines of the data tables in a function: from "… = {" to the "};" at the same depth."""
    count, indent = 0, None
    for line in body:
        if indent is None and ("static const" in line or TABLE.match(line)):
            if line.rstrip().endswith("{"):
                indent = len(line) - len(line.lstrip())
                count += 1
        elif indent is not None:
            count += 1
            if line.strip().startswith("}") and len(line) - len(line.lstrip()) <= indent:
                indent = None
    return count


def count_parameters(text):
    if text.strip() in ("", "void"):
        return 0
    depth, count = 0, 1
    for c in text:
        depth += (c in "([") - (c in ")]")
        count += c == "," and depth == 0
    return count


def check(tree):
    found = []
    for name in tree.c_files():
        text = tree.text(name)
        lines, limit = text.count("\n"), MAX_C if name.endswith(".c") else MAX_H
        if lines > limit:
            found.append(f"{name}:1: {lines} lines, more than {limit}")
        for function, parameters, first, last, body in common.functions(common.blank(text)):
            length = last - first + 1 - table_lines(body)
            if length > MAX_FUNCTION:
                found.append(f"{name}:{first}: {function}() has {length} lines, more than {MAX_FUNCTION}")
            n = count_parameters(parameters)
            if n > MAX_PARAMETERS:
                found.append(f"{name}:{first}: {function}() takes {n} parameters, more than {MAX_PARAMETERS}: use a struct")
    return found


def self_test():
    def function(lines, parameters="void", inside=""):
        return f"int f({parameters})\n{{\n{inside}" + "        x();\n" * lines + "}\n"

    table = "        static const int t[] = {\n" + "                1,\n" * 200 + "        };\n"
    callback = "int (*a)(int, int, int, int), int b[2], int c, int d, int e, int f, int g"
    return common.self_check(check, [
        ({"src/a/a.c": function(97)}, None),
        ({"src/a/a.c": function(98)}, "f() has 101 lines"),
        ({"src/a/a.c": "static int\nlong_name(int a,\n          int b)\n{\n" + "        x();\n" * 99 + "}\n"}, "long_name() has 104 lines"),
        ({"src/a/a.c": function(10, inside=table)}, None),
        ({"src/a/a.c": function(1, "int a, int b, int c, int d, int e, int f, int g")}, None),
        ({"src/a/a.c": function(1, callback)}, None),
        ({"src/a/a.c": function(1, callback + ", int h")}, "takes 8 parameters"),
        ({"src/a/a.c": "\n" * 1001}, "1001 lines"),
        ({"idmap/a.h": "\n" * 201}, "201 lines"),
        ({"src/a/a.c": "/*\nint f(void)\n{\n" + "x\n" * 200 + "}\n*/\n"}, None),
    ])


if __name__ == "__main__":
    common.main(check, self_test)
