# SPDX-License-Identifier: Apache-2.0
"""Terminals: window size, keys, job control, and a terminal that is in order whatever happens to kelp."""
import os
import signal
import termios

import pytest

import harness

CANONICAL = termios.ICANON | termios.ECHO | termios.ISIG


def is_raw(pty):
    return pty.settings()[3] & CANONICAL == 0


def is_cooked(pty):
    return pty.settings()[3] & CANONICAL == CANONICAL


def kelp_pid(pty, kelp):
    """kelp itself: what made its session may have become it, or be its parent. Its guard is in a session of its own."""
    def find():
        return [pid for pid, (name, state, _) in kelp.user.processes().items()
                if name == "kelp" and state != "Z" and os.getsid(pid) == os.getsid(pty.process.pid)]
    return harness.wait_for(find, what="kelp on its terminal")[0]


def test_terminal_inside(kelp, probe):
    t = kelp.pty("run", "--rm", "-it", probe, "/bin/probe", "seq", "tty", "--", "ctty", "--", "termios")
    t.expect(r"stdin=1 stdout=1 stderr=1 name=/dev/pts/\d+|name=/dev/console")
    t.expect(r"foreground=1 session=1")
    t.expect(r"echo=1 icanon=1 isig=1 opost=1")
    assert t.wait() == 0
    assert is_cooked(t)


def test_a_terminal_made_exclusive_at_once(kelp, probe):
    """The monitor has its side of it before the program runs."""
    for _ in range(5):
        t = kelp.pty("run", "--rm", "-t", probe, "/bin/probe", "seq", "exclusive", "--", "tty")
        t.expect(r"stdin=1 stdout=1 stderr=1")
        assert t.wait() == 0


def test_initial_size_and_changes(kelp, probe):
    t = kelp.pty("run", "--rm", "-it", probe, "/bin/probe", "winsize-wait", size=(31, 97))
    t.expect(r"31 97")
    t.resize(40, 132)
    t.expect(r"40 132")
    assert t.wait() == 0


def test_lines_and_end_of_input(kelp, probe):
    t = kelp.pty("run", "--rm", "-it", probe, "/bin/probe", "interact")
    t.expect("ready")
    assert is_raw(t)
    t.send("hello\r")
    t.expect("line hello")
    t.send("\x04")
    t.expect("eof")
    assert t.wait() == 3
    assert is_cooked(t)


def test_ctrl_c_belongs_to_the_container(kelp, busybox):
    t = kelp.pty("run", "--rm", "-it", busybox, "sh")
    t.expect(r"# ")
    t.send("(echo run$((1+1)); exec sleep 100)\r")
    t.expect("run2")
    t.send("\x03")
    t.expect(r"# ")
    t.send("exit 7\r")
    assert t.wait() == 7


def test_job_control_in_a_shell(kelp, busybox):
    """ctrl-Z stops the job inside, not kelp; fg brings it back."""
    t = kelp.pty("run", "--rm", "-it", busybox, "sh")
    t.expect(r"# ")
    t.send("(echo run$((1+1)); exec sleep 1000)\r")
    t.expect("run2")
    t.send("\x1a")
    t.expect(r"Stopped")
    t.send("jobs\r")
    t.expect(r"Stopped +")
    t.send("kill %1; fg; echo back-$?\r")
    t.expect(r"back-\d+")
    t.send("exit\r")
    t.wait()


def test_detach_keys_leave_it_running(kelp, probe):
    t = kelp.pty("run", "-it", "--name", "dd", probe, "/bin/probe", "interact")
    t.expect("ready")
    t.send("\x10")
    t.send("\x11")
    assert t.wait() == 0
    assert is_cooked(t)
    assert kelp.state("dd")["Running"]
    kelp.ok("rm", "-f", "dd")


def test_own_detach_keys(kelp, probe):
    t = kelp.pty("run", "-it", "--name", "dd", "--detach-keys", "ctrl-x,x", probe, "/bin/probe", "interact")
    t.expect("ready")
    t.send("\x10\x11\r")  # no longer special
    t.expect("line ")
    t.send("\x18x")
    assert t.wait() == 0
    assert kelp.state("dd")["Running"]
    kelp.ok("rm", "-f", "dd")


def test_exec_on_a_terminal(kelp, probe):
    kelp.ok("run", "-d", "--name", "ee", probe, "/bin/probe", "pause")
    t = kelp.pty("exec", "-it", "ee", "/bin/probe", "winsize-wait", size=(20, 60))
    t.expect("20 60")
    t.resize(21, 61)
    t.expect("21 61")
    assert t.wait() == 0
    t = kelp.pty("exec", "-it", "ee", "/bin/probe", "interact")
    t.expect("ready")
    t.send("\x10\x11")
    assert t.wait() == 0
    assert is_cooked(t)
    assert kelp.state("ee")["Running"]


def test_start_attached(kelp, probe):
    kelp.ok("create", "-it", "--name", "ss", probe, "/bin/probe", "interact")
    t = kelp.pty("start", "-ai", "ss")
    t.expect("ready")
    t.send("quit\r")
    assert t.wait() == 0


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGHUP])
def test_terminal_is_restored_after_kelp_dies(kelp, probe, sig):
    kelp.garbage = True
    t = kelp.pty("run", "-it", "--sig-proxy=false", "--name", "kk", probe, "/bin/probe", "interact")
    t.expect("ready")
    assert is_raw(t)
    os.kill(kelp_pid(t, kelp), sig)
    t.process.wait(20 * harness.SCALE)
    harness.wait_for(lambda: is_cooked(t), what="the terminal is in order")
    assert kelp.state("kk")["Running"]
    kelp.ok("rm", "-f", "kk")


def test_terminal_is_restored_after_the_group_is_killed(kelp, probe):
    kelp.garbage = True
    t = kelp.pty("run", "-it", "--name", "kk", probe, "/bin/probe", "interact")
    t.expect("ready")
    os.killpg(os.getpgid(kelp_pid(t, kelp)), signal.SIGKILL)
    harness.wait_for(lambda: is_cooked(t), what="the terminal is in order")
    kelp.ok("rm", "-f", "kk")


def test_interrupts_without_a_terminal_inside(kelp, probe):
    """Without -t ctrl-C is kelp's, and passed on."""
    t = kelp.pty("run", "--rm", "--name", "ii", probe, "/bin/probe", "pause")
    t.expect("ready")
    t.send("\x03")
    t.expect("got 2")
    assert t.wait() == 0


def test_stop_and_continue_without_a_terminal_inside(kelp, probe):
    t = kelp.pty("run", "--rm", "--name", "zz", probe, "/bin/probe", "pause")
    t.expect("ready")
    pid = kelp_pid(t, kelp)

    def state():
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
    os.kill(pid, signal.SIGTSTP)
    harness.wait_for(lambda: state() == "T", what="kelp stopped")
    os.kill(pid, signal.SIGCONT)
    harness.wait_for(lambda: state() != "T", what="kelp goes on")
    os.kill(pid, signal.SIGTERM)
    t.wait()
    harness.wait_for(lambda: kelp.ok("ps", "-q") == "", what="the container ended")


def test_it_needs_a_terminal(kelp, probe):
    kelp.fails("run", "--rm", "-it", probe, "true", code=125, match="standard input is no terminal(.|\n)*hint: leave out -t")
    assert kelp.ok("ps", "-aq") == ""


def test_terminal_without_input(kelp, probe):
    assert "stdin=1 stdout=1" in kelp.ok("run", "--rm", "-t", probe, "/bin/probe", "tty")
