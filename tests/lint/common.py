# SPDX-License-Identifier: Apache-2.0
"""
What the lints share: which files there are, C without its comments and strings, and the command line.

Every lint is a module with check(tree) → list of "file:line: message", and self_test() that shows that it catches what it is for. Run it
as `python3 tests/lint/<name>.py [TOP]` or with --self-test; exit code 0 clean, 1 findings, 77 skipped (STRICT=1 makes that 1).
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

C_DIRS = ("src", "idmap", "netns")
SKIPPED = 77


class Skip(Exception):
    pass


class Tree:
    """The files of a checkout, by path below its top. In a git checkout those that git knows, else all."""

    def __init__(self, top):
        self.top = pathlib.Path(top).resolve()
        self._text = {}
        self.names = sorted(self._git() or self._walk())

    def _git(self):
        if not (self.top / ".git").exists():
            return None
        out = subprocess.run(["git", "-C", str(self.top), "ls-files", "-z"], capture_output=True, check=False)
        names = out.stdout.decode().split("\0") if out.returncode == 0 else []
        return [n for n in names if n and (self.top / n).is_file()]

    def _walk(self):
        for base, dirs, files in os.walk(self.top):
            dirs[:] = [d for d in dirs if not d.startswith((".", "build")) and d != "__pycache__"]
            for f in files:
                yield str((pathlib.Path(base) / f).relative_to(self.top))

    def text(self, name):
        if name not in self._text:
            self._text[name] = (self.top / name).read_text(encoding="utf-8", errors="replace")
        return self._text[name]

    def c_files(self, dirs=C_DIRS + ("tests",)):
        return [n for n in self.names if n.endswith((".c", ".h")) and n.split("/")[0] in dirs]


_TOKENS = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def blank(text):
    """C with the inside of comments, strings and characters replaced by blanks; lines and columns stay."""

    def hide(m):
        s = m.group(0)
        keep = s[0] in "\"'"
        inner = "".join("\n" if c == "\n" else " " for c in (s[1:-1] if keep else s))
        return s[0] + inner + s[-1] if keep else inner

    return _TOKENS.sub(hide, text)


def functions(code):
    """(name, parameters, first line, last line, body) of each function of blanked C in our format: "{" and "}" at column 0."""
    lines = code.split("\n")
    start = None
    for i, line in enumerate(lines):
        if line.startswith("{"):
            start = i
        elif line.startswith("}") and start is not None:
            head = start
            while head > 0 and lines[head - 1].strip() and not lines[head - 1].startswith(("#", "}")) and \
                    not lines[head - 1].rstrip().endswith(";"):
                head -= 1
            text = " ".join(lines[head:start])
            # The parameters are the last parenthesis at the end of the head.
            depth, at = 0, len(text)
            for at in range(len(text) - 1, -1, -1):
                depth += (text[at] == ")") - (text[at] == "(")
                if text[at] == "(" and depth == 0:
                    break
            name = re.search(r"(\w+)\s*$", text[:at])
            if name and text.rstrip().endswith(")"):
                yield name.group(1), text[at + 1:text.rindex(")")], head + 1, i + 1, lines[start:i + 1]
            start = None


def self_check(check, cases):
    """cases: (files {name: text}, part of the expected finding, or None when it must be clean)."""
    problems = []
    for files, expected in cases:
        with tempfile.TemporaryDirectory() as top:
            for name, text in files.items():
                path = pathlib.Path(top) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            found = check(Tree(top))
        if expected is None and found:
            problems.append(f"should be clean, found {found}: {files}")
        if expected is not None and not any(expected in f for f in found):
            problems.append(f"should find '{expected}', found {found}: {files}")
    return problems


def main(check, self_test):
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    top = args[0] if args else pathlib.Path(__file__).parents[2]
    try:
        found = self_test() if "--self-test" in sys.argv else check(Tree(top))
    except Skip as e:
        print(f"skipped: {e}")
        sys.exit(1 if os.environ.get("STRICT") == "1" else SKIPPED)
    for line in found:
        print(line)
    sys.exit(1 if found else 0)
