# SPDX-License-Identifier: Apache-2.0
"""Attaching to what runs: several clients, slow ones, terminals, signals, the end; and a runtime directory that is gone."""
import os
import re
import shutil
import signal
import subprocess
import time

import harness

ECHO = "while read -r line; do echo \"got $line\"; done; exit 7"


def lines_until(process, wanted):
    """Reads lines of a client's output up to the wanted one."""
    seen = []
    while True:
        line = process.stdout.readline()
        assert line, f"{wanted!r} did not come; got {seen[-5:]}, {process.poll()}"
        seen.append(line.rstrip("\n"))
        if seen[-1] == wanted:
            return seen


def start_echo(kelp, image, name="ee", script=ECHO):
    """A program that reads lines, in the background, whose input ends with a client's."""
    kelp.ok("create", "-i", "--name", name, image, "sh", "-c", script)
    kelp.ok("start", name)


def attached(kelp, *args):
    """A client, once the monitor has it: it sees the answer to its own line."""
    client = kelp.popen("attach", *args)
    client.stdin.write("hello\n")
    client.stdin.flush()
    lines_until(client, "got hello")
    return client


def test_of_what_does_not_run(kelp, busybox):
    kelp.ok("create", "--name", "cc", busybox, "true")
    kelp.fails("attach", "cc", match=r"container 'cc' is not running\s+hint: 'kelp start -a cc'")
    kelp.fails("attach", "none", match="no such container")
    kelp.fails("attach", code=125)
    kelp.fails("attach", "--detach-keys", "ctrl-1", "cc", match="unknown key")


def test_every_client_sees_all_and_may_write(kelp, busybox):
    start_echo(kelp, busybox, script="while read -r n; do echo got $n; case $n in [0-9]*) seq 1 $n;; esac; done; exit 7")
    first, second = attached(kelp, "ee"), attached(kelp, "ee")
    lines_until(first, "got hello")  # the second's line
    for client, n in ((first, 30000), (second, 20000)):
        client.stdin.write(f"{n}\n")
        client.stdin.flush()
        want = [f"got {n}", *map(str, range(1, n + 1))]
        assert lines_until(first, str(n)) == want
        assert lines_until(second, str(n)) == want
    first.stdin.close()  # the end of its input is the program's (it was made for one client)
    assert second.wait(20) == 7
    assert first.wait(20) == 7
    assert first.stdout.read() == second.stdout.read() == ""


def test_end_of_input_leaves_the_output(kelp, busybox):
    start_echo(kelp, busybox, script="cat >/dev/null; sleep 0.3; seq 1 5000; echo err >&2; exit 3")
    client = kelp.popen("attach", "ee")
    out, err = client.communicate("x\n" * 1000, timeout=30)
    assert out == "".join(f"{i}\n" for i in range(1, 5001))
    assert err == "err\n"
    assert client.returncode == 3


def test_input_stays_open_behind_a_detached_run(kelp, busybox):
    """Docker's StdinOnce is for a client in the foreground: here one goes and the next goes on."""
    kelp.ok("run", "-di", "--name", "ee", busybox, "sh", "-c", ECHO)
    for _ in range(2):
        client = attached(kelp, "ee")
        client.stdin.close()
        time.sleep(0.3)  # for an end that must not come
        assert client.poll() is None
        client.kill()
        client.wait()
    assert kelp.state("ee")["Running"]


def test_no_stdin_and_latest(kelp, busybox):
    kelp.ok("run", "-d", "--name", "old", busybox, "sleep", "1000")
    start_echo(kelp, busybox)
    other = attached(kelp, "ee")
    quiet = kelp.popen("container", "attach", "--latest", "--no-stdin")
    quiet.stdin.write("nothing\n")
    quiet.stdin.close()
    # It is connected when the log of events says so, and served when it sees a line.
    harness.wait_for(lambda: kelp.ok("events", "--until", "0s", "--filter", "event=attach").count("attach") == 2)
    other.stdin.write("something\n")
    other.stdin.flush()
    assert lines_until(quiet, "got something")[-1] == "got something"
    assert "got nothing" not in lines_until(other, "got something")
    kelp.fails("attach", "--latest", "ee", code=125, match="one too many")
    kelp.ok("rm", "-f", "ee")
    assert quiet.wait(20) == 137


def test_a_killed_container_and_a_killed_monitor(kelp, busybox):
    start_echo(kelp, busybox)
    client = attached(kelp, "ee")
    kelp.ok("kill", "ee")
    assert client.wait(20) == 137
    kelp.garbage = True
    kelp.ok("start", "ee")
    client = attached(kelp, "ee")
    monitors = [pid for pid, p in kelp.user.processes().items() if p[0].startswith("kelp-monitor")]
    for pid in monitors:
        os.kill(pid, signal.SIGKILL)
    assert client.wait(20) == 137
    kelp.fails("attach", "ee", match="not running")


def test_removed_at_its_end(kelp, busybox):
    kelp.ok("run", "-di", "--rm", "--name", "ee", busybox, "sh", "-c", "read x; echo got $x; read y; exit 9")
    client = attached(kelp, "ee")
    client.stdin.write("\n")
    client.stdin.flush()
    assert client.wait(20) == 9


def test_signals(kelp, busybox):
    script = "trap 'echo term; exit 5' TERM; read x; echo got $x; while :; do sleep 0.1; done"
    start_echo(kelp, busybox, script=script)
    client = attached(kelp, "ee")
    own = kelp.popen("attach", "--sig-proxy=false", "--no-stdin", "ee")
    harness.wait_for(lambda: kelp.ok("events", "--until", "0s", "--filter", "event=attach").count("attach") == 2)
    time.sleep(0.2)  # the event comes before the handlers of signals are set; nothing tells when
    own.send_signal(signal.SIGTERM)
    assert own.wait(10) == 128 + signal.SIGTERM
    assert kelp.state("ee")["Running"]
    client.send_signal(signal.SIGTERM)
    assert client.wait(20) == 5
    assert client.stdout.read() == "term\n"


def test_passthrough_has_nothing_to_attach_to(kelp, busybox):
    process = kelp.popen("run", "--log-driver", "passthrough", "--name", "pp", busybox, "sh", "-c", "echo up; sleep 1000",
                         stdin=subprocess.DEVNULL)
    lines_until(process, "up")
    kelp.fails("attach", "pp", match="has the streams of who started it")
    kelp.ok("kill", "pp")
    process.wait(20)


# ---- clients that do not read ----


def test_a_stopped_client_is_dropped_and_told(kelp, busybox):
    """It holds the others back for a while, no longer; they lose nothing, and what it gets has no hole."""
    n = 300000
    start_echo(kelp, busybox, script=f"read x; echo got $x; read x; echo got $x; read x; seq 1 {n}; sleep 1000")
    stopped, other = attached(kelp, "ee"), attached(kelp, "ee")
    lines_until(stopped, "got hello")
    stopped.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    other.stdin.write("go\n")
    other.stdin.flush()
    assert lines_until(other, str(n)) == [str(i) for i in range(1, n + 1)]
    assert 8 < time.monotonic() - began < 30 * harness.SCALE
    stopped.send_signal(signal.SIGCONT)
    out, err = stopped.communicate(timeout=20)
    assert stopped.returncode == 125
    assert re.search(r"detached: the output was not read[\s\S]+hint: 'kelp logs ee'", err)
    got = out.split("\n")
    assert 1000 < len(got) < n
    assert got[:-1] == [str(i) for i in range(1, len(got))]
    assert kelp.state("ee")["Running"]
    kelp.ok("rm", "-f", "ee")


def test_a_pipe_may_take_its_time(kelp, busybox):
    """Alone, a run in the foreground waits for its reader, however long."""
    n = 300000
    process = kelp.popen("run", "--rm", busybox, "seq", "1", n, stdin=subprocess.DEVNULL)
    time.sleep(12)  # longer than the 10 s after which one of several clients is dropped
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out == "".join(f"{i}\n" for i in range(1, n + 1))


# ---- terminals ----


def test_on_a_terminal(kelp, probe):
    kelp.ok("run", "-dit", "--name", "tt", probe, "/bin/probe", "interact")
    kelp.fails("attach", "tt", code=125, match=r"standard input is none\s+hint: --no-stdin")
    t = kelp.pty("attach", "tt")
    t.send("one\r")
    t.expect("line one")
    t.send("\x10")
    time.sleep(0.3)  # a read of its own
    t.send("\x11")
    assert t.wait() == 0
    t = kelp.pty("attach", "--detach-keys", "ctrl-x,x", "tt")
    t.send("a\x18b\r")  # begins like the keys
    t.expect("line a\x18b")
    t.send("\x18x")
    assert t.wait() == 0
    events = kelp.ok("events", "--until", "0s", "--format", "{{.Action}}").split()
    assert events.count("attach") == events.count("detach") == 2
    t = kelp.pty("attach", "tt")
    t.send("quit\r")
    t.wait()
    assert not kelp.state("tt")["Running"]


def test_size_of_the_window(kelp, probe):
    """It becomes the container's."""
    kelp.ok("run", "-dit", "--name", "tt", probe, "/bin/probe", "winsize-wait")
    t = kelp.pty("attach", "tt", size=(33, 77))
    t.expect("33 77|34 77")
    assert t.wait() == 0


def test_the_screen_is_drawn_again(kelp, busybox):
    """Programs draw when the size changes: who comes back with the same size would see nothing."""
    script = 'trap "stty size" WINCH; while :; do sleep 0.1; done'
    kelp.ok("run", "-dit", "--name", "tt", busybox, "sh", "-c", script)
    for _ in range(2):  # the same size twice
        t = kelp.pty("attach", "tt", size=(33, 77))
        t.expect("33 77")
        t.resize(20, 50)
        t.expect("20 50")
        t.resize(33, 77)
        t.expect("33 77")
        t.send("\x10\x11")
        assert t.wait() == 0
    kelp.ok("rm", "-f", "-t", "0", "tt")


# ---- the session manager has wiped the runtime directory ----


def test_without_the_runtime_directory(kelp, busybox):
    start_echo(kelp, busybox)
    kelp.ok("create", "--name", "later", busybox, "true")
    shutil.rmtree(kelp.runtime_dir)  # with all that is in it: whoever recreates it makes an empty one
    following = kelp.popen("logs", "-f", "ee")
    client = attached(kelp, "ee")
    lines_until(following, "got hello")
    assert "ee" in kelp.ok("ps", "--format", "{{.Names}}").split()
    assert kelp.ok("exec", "ee", "echo", "inside") == "inside"
    assert kelp.state("ee")["Running"]
    kelp.ok("start", "-a", "later")
    assert kelp.ok("run", "--rm", busybox, "echo", "new") == "new"
    kelp.ok("stop", "-t", "1", "ee")
    assert client.wait(20) == 137
    assert following.wait(20) == 0
    kelp.ok("start", "ee")
    kelp.ok("rm", "-f", "ee", "later")
