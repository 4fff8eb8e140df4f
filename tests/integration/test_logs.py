# SPDX-License-Identifier: Apache-2.0
"""Logs while they are written and rotated: every line once, or a line that says that some are missing."""
import datetime
import hashlib
import signal
import subprocess
import time

import pytest

import harness

LOST = "[kelp: lines of this log were lost"


def bursts(n, size, pause="0.01"):
    """Numbered lines, some at a time."""
    return f"i=0; while [ $i -lt {n} ]; do seq $i $((i+{size}-1)); i=$((i+{size})); sleep {pause}; done"


def numbers(n):
    return [str(i) for i in range(n)]


@pytest.mark.parametrize("driver", ["json-file", "k8s-file"])
def test_every_line_once_while_files_rotate(kelp, busybox, driver):
    """Some 200 rotations below the followers; one of them begins in the middle."""
    n = 150000
    kelp.ok("create", "--name", "c", "--log-driver", driver, "--log-opt", "max-size=64k", "--log-opt", "max-file=50", busybox, "sh",
            "-c", "sleep 0.5; " + bursts(n, 1000))
    kelp.ok("start", "c")
    # Into files: a pipe that nobody reads for a while would make them fall behind, and lose lines.
    files = [open(kelp.work / f"out{i}", "w+") for i in range(3)]
    followers = [kelp.popen("logs", "-f", "c", stdin=subprocess.DEVNULL, stdout=f) for f in files[:2]]
    time.sleep(1)  # so that this one begins in the middle
    followers.append(kelp.popen("logs", "-f", "-n", "10", "c", stdin=subprocess.DEVNULL, stdout=files[2]))
    outputs = []
    for follower, f in zip(followers, files):
        assert (follower.wait(120), follower.stderr.read()) == (0, "")
        with f:
            f.seek(0)
            outputs.append(f.read().split("\n"))
    assert outputs[0] == outputs[1] == numbers(n) + [""]
    late = outputs[2][:-1]
    assert late == [str(i) for i in range(n - len(late), n)] and len(late) >= 10


def test_lines_that_are_lost_are_said(kelp, busybox):
    """A follower that stands still while everything is rotated away says so, and goes on with what is there."""
    n = 60000
    kelp.ok("run", "-d", "--name", "c", "--log-opt", "max-size=64k", "--log-opt", "max-file=2", busybox, "sh", "-c",
            "echo begin; read x </dev/null; sleep 1; " + bursts(n, 1000, "0"))
    follower = kelp.popen("logs", "-f", "c", stdin=subprocess.DEVNULL)
    assert follower.stdout.readline() == "begin\n"
    follower.send_signal(signal.SIGSTOP)
    kelp.ok("wait", "c")
    follower.send_signal(signal.SIGCONT)
    out, err = follower.communicate(timeout=60)
    assert err.count(LOST) == 1
    got = [int(line) for line in out.split()]
    assert got[-1] == n - 1 and len(got) < n
    gaps = [(a, b) for a, b in zip(got, got[1:]) if b != a + 1]
    assert len(gaps) == 1 and gaps[0][0] < gaps[0][1]


def test_a_line_in_pieces_is_one_line(kelp, busybox):
    """Longer than a piece, and a line that is written in two goes."""
    script = "head -c 100000 /dev/zero | tr '\\0' x; echo; printf half; sleep 0.3; echo ' and half'; printf rest"
    for driver in ("json-file", "k8s-file"):
        kelp.ok("run", "--name", driver, "--log-driver", driver, "--log-opt", "max-size=20k", "--log-opt", "max-file=20", busybox, "sh",
                "-c", script)
        plain, stamped = kelp("logs", driver).out, kelp("logs", "-t", driver).out
        assert plain == "x" * 100000 + "\nhalf and half\nrest"
        assert [line[30:] for line in stamped.split("\n")] == [" " + line for line in plain.split("\n")]
        assert kelp("logs", "-n", "2", driver).out == "half and half\nrest"
        assert kelp("logs", "-f", driver).out == plain


def test_until_ends_a_follower(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c", "while :; do echo tick; sleep 0.2; done")
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    began = time.monotonic()
    result = kelp("logs", "-f", "--until", until.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "c")
    assert result.rc == 0 and 3 <= len(result.out.split()) <= 11
    assert time.monotonic() - began < 10 * harness.SCALE
    kelp.ok("rm", "-f", "-t", "0", "c")


def test_streams_keep_their_order_in_one_place(kelp, busybox):
    kelp.ok("run", "--name", "c", busybox, "sh", "-c", "for i in 1 2 3 4 5 6; do echo o$i; sleep 0.05; echo e$i >&2; sleep 0.05; done")
    for args in ((), ("-f",)):
        process = kelp.popen("logs", *args, "c", stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        assert process.communicate(timeout=20)[0].split() == [f"{s}{i}" for i in range(1, 7) for s in "oe"]


def test_much_output_is_whole(kelp, busybox):
    """Attached and read back: the same bytes."""
    script = "i=0; while [ $i -lt 20 ]; do seq 1 200000; i=$((i+1)); done"
    want = hashlib.sha256(b"".join(b"%d\n" % i for i in range(1, 200001)) * 20).hexdigest()
    process = kelp.popen("run", "--name", "c", "--log-opt", "max-size=1g", busybox, "sh", "-c", script, stdin=subprocess.DEVNULL, text=False)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    assert hashlib.sha256(out).hexdigest() == want
    process = kelp.popen("logs", "c", stdin=subprocess.DEVNULL, text=False)
    assert hashlib.sha256(process.communicate(timeout=120)[0]).hexdigest() == want


# ---- of several containers ----------------------------------------------------------------------


def short(kelp, name):
    return kelp.ok("inspect", "-f", "{{.Id}}", name)[:12]


def test_of_several_one_after_the_other(kelp, busybox):
    kelp.ok("run", "--name", "a", busybox, "sh", "-c", "echo a1; echo a2; printf a3")
    kelp.ok("run", "--name", "b", busybox, "sh", "-c", "echo b1; sleep 0.2; echo wrong >&2; sleep 0.2; echo b2")
    kelp.ok("create", "--name", "never", busybox, "true")
    a, b = short(kelp, "a"), short(kelp, "b")
    result = kelp("logs", "b", "a", "never")
    assert (result.rc, result.err) == (0, f"{b} wrong\n")
    assert result.out == f"{b} b1\n{b} b2\n{a} a1\n{a} a2\n{a} a3\n", "the last line of one gets a newline"
    for options in (("--names",), ("--names", "-f"), ("--names", "--color")):  # no terminal: no colour
        assert kelp("logs", *options, "a", "b").out == "a a1\na a2\na a3\nb b1\nb b2\n", options
    assert kelp("logs", "--names", "-n", "1", "a", "b").out == "a a3\nb b2\n"
    assert [line.split(" ")[::2] for line in kelp("logs", "--names", "-t", "a").out.split("\n")] == [["a", f"a{i}"] for i in (1, 2, 3)]
    assert kelp("logs", "a").out == "a1\na2\na3", "of one, nothing is added"
    assert kelp("logs", "--latest", "--names").out == ""
    for order in (("a", "none"), ("none", "a")):
        kelp.fails("logs", *order, code=125, match="no such container: none")
    kelp.ok("run", "--name", "silent", "--log-driver", "none", busybox, "true")
    assert kelp.fails("logs", "a", "silent", code=125, match="container 'silent': log driver 'none'").out == ""


def test_colours_on_a_terminal(kelp, busybox):
    for name in "ab":
        kelp.ok("run", "--name", name, busybox, "echo", "word")
    pty = kelp.pty("logs", "--color", "--names", "a", "b")
    assert pty.wait() == 0
    assert pty.seen.replace("\r", "") == "\033[31ma\033[0m word\n\033[32mb\033[0m word\n"


def test_lines_of_several_are_whole_while_followed(kelp, busybox):
    """Half a line of one does not come before its other half, though another writes between; of the one that ends first it comes then."""
    wait = "until [ -e /w/{} ]; do sleep 0.05; done"
    (kelp.work / "w").mkdir()
    (kelp.work / "w").chmod(0o777)
    volume = ("-v", f"{kelp.work}/w:/w")
    kelp.ok("run", "-d", "--name", "a", *volume, busybox, "sh", "-c",
            f"echo begin; printf half; touch /w/half; {wait.format('go')}; echo ' and half'; printf end")
    kelp.ok("run", "-d", "--name", "b", *volume, busybox, "sh", "-c",
            f"echo begin; {wait.format('half')}; sleep 0.5; echo between; {wait.format('last')}; echo last")
    follower = kelp.popen("logs", "-f", "--names", "a", "b")
    harness.wait_for(lambda: (kelp.work / "w/half").exists())
    assert [follower.stdout.readline() for _ in range(3)] == ["a begin\n", "b begin\n", "b between\n"]
    kelp.ok("exec", "b", "touch", "/w/go")
    assert [follower.stdout.readline() for _ in range(2)] == ["a half and half\n", "a end\n"], "b still runs"
    assert follower.poll() is None
    kelp.ok("exec", "b", "touch", "/w/last")
    out, err = follower.communicate(timeout=20 * harness.SCALE)
    assert (follower.returncode, out, err) == (0, "b last\n", "")


def test_many_writers_are_not_mixed(kelp, busybox):
    n = 5000
    for name in "abc":
        kelp.ok("run", "-d", "--name", name, "--log-opt", "max-size=1m", "--log-opt", "max-file=20", busybox, "sh", "-c",
                "sleep 0.3; " + bursts(n, 500, "0.05"))
    lines = [line.split(" ") for line in kelp("logs", "-f", "--names", "a", "b", "c").out.splitlines()]
    for name in "abc":
        assert [line[1] for line in lines if line[0] == name] == numbers(n)
    assert len(lines) == 3 * n
