#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Calls that this code base does without, each with its reason and with the files that may use it all the same. One place is excused by
a comment "lint-allow: <call>" on its line or the line above, which has to say why.
"""
import fnmatch
import re

import common

MAINS = ["*/main.c", "*_main.c", "src/cli/*", "src/init/*"]
TALKERS = MAINS + ["src/base/log.c", "src/base/err.c", "src/base/alloc.c", "src/oci/*", "src/sandbox/*", "src/api/*", "src/monitor/*"]

# (names, files that may, reason)
CALLS = [
    ("strcpy stpcpy strcat strncat sprintf vsprintf gets strncpy", [], "unbounded or unterminated: use strbuf or snprintf"),
    ("atoi atol atoll atof strtol strtoul strtoll strtoull strtod strtof sscanf scanf fscanf", ["src/base/parse.c"], "use base/parse.h"),
    ("system popen", [], "no shell: use process_spawn"),
    ("dup dup2", [], "loses close-on-exec: use fd_dup, or dup3 in a child"),
    ("realpath canonicalize_file_name", [], "races with whoever moves directories: use path_open_in_root"),
    ("basename dirname", [], "two versions, and one changes its argument: use path_last"),
    ("chroot", ["src/rootfs/child_root.c"], "not a boundary: pivot_root"),
    ("exit", MAINS, "only a main decides that the program is over; children end with _exit"),
    ("clone clone3 vfork", ["src/base/sys.c", "src/base/process_spawn.c"], "use process_spawn or sys_clone"),
    ("malloc calloc realloc strdup strndup asprintf vasprintf", ["src/base/alloc.c"], "use base/alloc.h, which does not return NULL"),
    ("mktemp tmpnam tempnam tmpfile", [], "use atomic_file or a random_id name with O_EXCL"),
    ("strtok localtime gmtime ctime asctime rand random srand", [], "hidden state: use the _r or another form"),
    ("getlogin cuserid ttyname", [], "guesses, and static buffers"),
    ("getpwnam getpwuid getgrnam getgrgid getpwent getgrent gethostbyname getaddrinfo", ["idmap/*", "netns/*", "src/registry/*"],
     "loads NSS modules, which static programs cannot"),
    ("signal", MAINS, "use sigaction, or a signalfd in the loop"),
    ("select", [], "stops at 1024 descriptors: use poll or the loop"),
    ("sleep usleep nanosleep", ["src/init/*"], "wait for the event, not for the clock"),
    ("accept pipe epoll_create inotify_init signalfd4", [], "without close-on-exec: use the form with flags"),
    ("printf puts putchar perror", TALKERS, "library code does not print"),
    ("alloca", [], "unbounded stack"),
    ("setlocale", [], "the C locale is part of our output"),
]

# (function, what its arguments must contain, files that may do without, reason). Flags in a variable of that name are believed.
FLAGS = [
    ("open openat", "O_CLOEXEC", [], "without O_CLOEXEC"),
    ("socket socketpair", "SOCK_CLOEXEC", [], "without SOCK_CLOEXEC"),
    ("accept4", "SOCK_CLOEXEC", [], "without SOCK_CLOEXEC"),
    ("pipe2", "O_CLOEXEC", [], "without O_CLOEXEC"),
    ("epoll_create1", "EPOLL_CLOEXEC", [], "without EPOLL_CLOEXEC"),
    ("eventfd", "EFD_CLOEXEC", [], "without EFD_CLOEXEC"),
    ("signalfd", "SFD_CLOEXEC", [], "without SFD_CLOEXEC"),
    ("timerfd_create", "TFD_CLOEXEC", [], "without TFD_CLOEXEC"),
    ("inotify_init1", "IN_CLOEXEC", [], "without IN_CLOEXEC"),
    ("memfd_create", "MFD_CLOEXEC", [], "without MFD_CLOEXEC"),
    ("recvmsg", "MSG_CMSG_CLOEXEC", [], "without MSG_CMSG_CLOEXEC"),
]


# Between clone and exec nothing may allocate, speak, take a lock of libc's or look at the environment.
CHILD_FILES = ["src/launch/child*.c", "src/rootfs/child*.c", "src/security/apply.c", "src/base/sys.c"]
CHILD_CALLS = (r"malloc|calloc|realloc|free|x\w*alloc|xnew|xstrn?dup|xv?asprintf|\w*printf|fopen|fdopen|f(put|get|read|write|close|flush)\w*|puts|"
               r"getenv|setenv|opendir|readdir|strerror\w*|syslog|exit|(strbuf|strv|err|log|json|io|lock|atomic_file|process|loop|dirs|clock)_\w+|"
               r"path_(open_in_root|clean|join|make_absolute|mkdir_open|remove_tree|usage)")


def allowed_here(lines, number, call):
    """lint-allow on this line or the one above (1-based)."""
    near = lines[max(0, number - 2):number]
    return any(re.search(rf"lint-allow:[^*]*\b{call}\b", line) for line in near)


def may(name, patterns):
    return any(fnmatch.fnmatch(name, p) for p in patterns)


def arguments(code, at):
    """Text between the parenthesis at @at and its partner."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] == "(") - (code[i] == ")")
        if depth == 0:
            return code[at + 1:i]
    return code[at + 1:]


def calls(code, names):
    """(offset, name, arguments) of calls; declarations of our own functions of that name would match, too, and should."""
    for m in re.finditer(rf"(?<![\w.>])({'|'.join(names.split())})\s*\(", code):
        yield m.start(), m.group(1), arguments(code, m.end() - 1)


def check_file(tree, name):
    text = tree.text(name)
    lines, code = text.splitlines(), common.blank(text)
    found = []

    def report(offset, call, words):
        number = code.count("\n", 0, offset) + 1
        if not allowed_here(lines, number, call):
            found.append(f"{name}:{number}: {call}(): {words}")

    for names, files, reason in CALLS:
        if not may(name, files):
            for offset, call, _ in calls(code, names):
                report(offset, call, reason)
    for names, flag, files, reason in FLAGS:
        for offset, call, args in calls(code, names):
            if flag not in args and not re.search(r"\bflags\b", args) and not may(name, files):
                report(offset, call, reason)
    for offset, call, _ in calls(code, "fopen"):
        # The mode is a string, which is blank here: read it from the source.
        if not re.search(r'"[rwa][^"]*e[^"]*"', text[offset:offset + 200].split(";")[0]):
            report(offset, call, 'without "e" in its mode')
    if may(name, CHILD_FILES):
        for offset, call, _ in calls(code, CHILD_CALLS):
            report(offset, call, "not between clone and exec")
    if not may(name, TALKERS):
        for offset, call, args in calls(code, "fprintf fputs vfprintf dprintf"):
            if re.search(r"\b(stderr|stdout|STD(ERR|OUT)_FILENO)\b", args):
                report(offset, call, "library code does not print")
    return found


def check(tree):
    return [problem for name in tree.c_files(common.C_DIRS) for problem in check_file(tree, name)]


def self_test():
    cases = [({"src/a/a.c": f"        {call}(x, y);\n"}, f"{call}()") for names, _, _ in CALLS for call in names.split()]
    cases += [({"src/a/a.c": f"        {call}(x,\n             y);\n"}, f"{call}()") for names, _, _, _ in FLAGS for call in names.split()]
    cases += [({"src/a/a.c": f"        {call}(x, f(y), {flag} | z);\n"}, None) for names, flag, _, _ in FLAGS for call in names.split()]
    cases += [({"src/launch/child_x.c": f"        {call}(x);\n"}, f"{call}()") for call in
              ("free", "xmalloc", "xstrdup", "snprintf", "err_sys", "err_wrap", "strbuf_add", "getenv", "path_open_in_root", "log_debug")]
    cases += [
        ({"src/a/a.c": 'FILE *f = fopen("x", "r");\n'}, "fopen()"),
        ({"src/a/a.c": 'FILE *f = fopen("x", "re");\n'}, None),
        ({"src/a/a.c": 'fprintf(stderr, "x");\n'}, "library code"),
        ({"src/cli/a.c": 'fprintf(stderr, "x"); exit(1);\n'}, None),
        ({"src/a/a.c": "/* strcpy(a, b) */ s = \"system()\"; _exit(1); process_fork(); x.open(1); p->open(2);\n"}, None),
        ({"src/a/a.c": "/* because; lint-allow: vfork */\nvfork();\n"}, None),
        ({"src/a/a.c": "vfork(); /* lint-allow: dup */\n"}, "vfork()"),
        ({"tests/unit/a.c": "vfork();\n"}, None),
        ({"src/launch/child_x.c": "r = sys_close(fd); path_open_in_root_raw(a, b, 0, 0); sys_clone(0, 0, 0);\n"}, None),
    ]
    return common.self_check(check, cases)


if __name__ == "__main__":
    common.main(check, self_test)
