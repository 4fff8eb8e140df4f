# SPDX-License-Identifier: Apache-2.0
"""--sdnotify: what a service manager hears of a container, and what it does not."""
import os
import socket

import pytest

from harness import wait_for

PROBE = "/bin/probe"


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(20)
        if isinstance(address, str) and not address.startswith("\0"):
            os.chmod(address, 0o666)
        self.heard = []

    def next(self):
        return self.socket.recv(65536).decode()

    def wait_for(self, line):
        """Everything up to the message that has this line."""
        while True:
            self.heard.append(self.next())
            if line in self.heard[-1].splitlines():
                return "".join(m if m.endswith("\n") else m + "\n" for m in self.heard).splitlines()


@pytest.fixture
def manager(kelp):
    m = Manager(str(kelp.work / "notify"))
    yield m
    m.socket.close()


def monitor(kelp):
    return next(pid for pid, p in kelp.processes().items() if p[0] == "kelp-monitor" and " run " in p[2])


def start(kelp, image, *options, command=(PROBE, "pause"), address="notify"):
    return kelp.ok("run", "-d", "--name", "c", *options, image, *command,
                   env={"NOTIFY_SOCKET": address if address.startswith("@") else str(kelp.work / address)})


def notify_dir(kelp):
    return next(p for p in kelp.root.glob("containers/*/notify"))


@pytest.mark.parametrize("options", [[], ["--sdnotify", "container"], ["--user", "1000"]], ids=" ".join)
def test_the_program_tells(kelp, probe, manager, options):
    said = r"STATUS=loading\nREADY=1\nMAINPID=1\nFDSTORE=1\nX_EVIL=1\nWATCHDOG=1"
    start(kelp, probe, *options, command=(PROBE, "seq", "env", "NOTIFY_SOCKET", "--", "notify", said, "--", "pause"))
    lines = manager.wait_for("READY=1")
    assert [line for line in lines if line.startswith("MAINPID=")] == [f"MAINPID={monitor(kelp)}"], "the monitor's, and no other"
    assert "STATUS=loading" in lines and "WATCHDOG=1" in lines and not any(line.startswith(("FDSTORE", "X_")) for line in lines)
    wait_for(lambda: kelp.ok("logs", "c"), what="its output")
    assert kelp.ok("logs", "c").splitlines()[0] == "/run/notify/notify.sock"
    assert "NOTIFY_SOCKET=" not in kelp.ok("exec", "c", PROBE, "env")


def test_without_a_word_of_the_program_it_is_not_ready(kelp, probe, manager):
    start(kelp, probe)
    assert manager.next() == f"MAINPID={monitor(kelp)}\n"
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.next()


def test_kelp_tells(kelp, probe, manager):
    start(kelp, probe, "--sdnotify", "conmon", command=(PROBE, "seq", "env", "NOTIFY_SOCKET", "--", "pause"))
    assert manager.wait_for("READY=1") == [f"MAINPID={monitor(kelp)}", "READY=1"]
    wait_for(lambda: kelp.ok("logs", "c").startswith("(unset)\n"), what="it has no such variable")


def test_nobody_tells(kelp, probe, manager):
    start(kelp, probe, "--sdnotify", "ignore", command=(PROBE, "seq", "env", "NOTIFY_SOCKET", "--", "pause"))
    wait_for(lambda: kelp.ok("logs", "c").startswith("(unset)\n"), what="it has no such variable")
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.next()


def test_without_a_manager_there_is_nothing(kelp, probe):
    assert kelp("run", "--rm", probe, PROBE, "env", "NOTIFY_SOCKET").out == "(unset)\n"


def test_abstract_address_and_a_second_start(kelp, probe):
    name = f"kelp-test-{os.getpid()}"
    m = Manager("\0" + name)
    start(kelp, probe, command=(PROBE, "seq", "notify", "READY=1", "--", "pause"), address="@" + name)
    m.wait_for("READY=1")
    kelp.ok("kill", "c")
    kelp.ok("wait", "c")
    m.heard.clear()
    kelp.ok("start", "c", env={"NOTIFY_SOCKET": "@" + name})
    m.wait_for("READY=1")
    m.socket.close()


def test_its_directory_is_not_the_containers(kelp, busybox, manager):
    """Else it fills the disk outside of its layer, and a directory in the socket's place keeps it from ever starting again."""
    start(kelp, busybox, command=("sh", "-c", "rm -rf /run/notify/notify.sock; mkdir /run/notify/x; echo x > /run/notify/y; echo over; exec sleep 1000"))
    wait_for(lambda: "over" in kelp.ok("logs", "c"), what="the end of its attempts")
    assert os.listdir(notify_dir(kelp)) == ["notify.sock"]
    assert kelp.ok("exec", "c", "sh", "-c", "grep ' /run/notify ' /proc/self/mounts").split()[3].split(",")[0] == "ro"


def test_it_starts_whatever_lies_there(kelp, busybox, manager):
    """As a container can leave it that may make its mount writable; files of another's, out of the way of permissions, too."""
    start(kelp, busybox, command=("true",))
    kelp.ok("wait", "c")
    place, victim = notify_dir(kelp), kelp.work / "victim"
    owner = os.stat(place).st_uid
    (place / "notify.sock").unlink()
    (place / "notify.sock" / "a").mkdir(parents=True)
    (place / "notify.sock" / "a" / "b").touch()
    for path in (place / "notify.sock", place / "notify.sock" / "a"):
        os.chown(path, owner, owner)
    os.chmod(place / "notify.sock" / "a", 0)
    victim.touch(mode=0o600)
    os.chown(victim, owner, owner)
    os.symlink(victim, place / "link")
    kelp.ok("start", "c", env={"NOTIFY_SOCKET": str(kelp.work / "notify")})
    kelp.ok("wait", "c")
    assert os.listdir(place) == ["notify.sock"] and os.stat(victim).st_mode & 0o777 == 0o600


def test_a_manager_that_is_not_there(kelp, probe):
    for address in ("/nosuch/socket", "relative"):
        kelp.ok("run", "--rm", probe, "true", env={"NOTIFY_SOCKET": address})
        kelp.fails("run", "--rm", "--sdnotify", "container", probe, "true", env={"NOTIFY_SOCKET": address}, code=125,
                   match=f"NOTIFY_SOCKET '{address}'")


def test_a_flood_ends_nobody(kelp, probe, manager):
    """A container that talks without end, to a manager that does not listen, runs on, and its monitor does its work."""
    start(kelp, probe, command=(PROBE, "seq", *(["notify", "STATUS=" + "x" * 2000, "--"] * 300), "echo", "done", "--", "pause"))
    wait_for(lambda: "done" in kelp.ok("logs", "c"), what="the end of its talk")
    assert kelp.ok("exec", "c", PROBE, "echo", "alive") == "alive"


def test_modes(kelp, probe):
    kelp.fails("run", "--rm", "--sdnotify", "shout", probe, "true", code=125, match="--sdnotify.*'shout' is unknown")


def test_healthy_is_ready(kelp, busybox, manager):
    start(kelp, busybox, "--sdnotify", "healthy", "--health-cmd", "test -e /ok", "--health-interval", "200ms", command=("sleep", "1000"))
    assert manager.next() == f"MAINPID={monitor(kelp)}\n", "it is not healthy yet"
    kelp.ok("exec", "c", "touch", "/ok")
    assert manager.wait_for("READY=1") == ["READY=1"]
