# SPDX-License-Identifier: Apache-2.0
"""kelp unshare: a command in the user's namespace."""
import os
import signal

import harness


def test_ids(kelp):
    first, count = kelp.user.ranges()[0]
    lines = [l.split() for l in kelp.ok("unshare", "cat", "/proc/self/uid_map").splitlines()]
    assert lines[0] == ["0", str(kelp.user.uid), "1"] and lines[1][1] == str(first)
    assert kelp.ok("unshare", "id", "-u") == "0"
    assert kelp.ok("system", "unshare", "--", "id", "-u") == "0"


def test_what_containers_left_can_be_removed(kelp, busybox):
    kelp.ok("run", "--rm", "-v", f"{kelp.work}:/w", busybox, "sh", "-c",
            "mkdir -m 700 /w/d; echo x > /w/d/f; chown -R 7:7 /w/d")
    assert kelp.execute(["rm", "-rf", kelp.work / "d"]).rc != 0
    kelp.ok("unshare", "chown", "-R", "0:0", "d")
    assert (kelp.work / "d").stat().st_uid == kelp.user.uid
    kelp.ok("unshare", "chown", "-R", "7:7", "d")
    kelp.ok("unshare", "rm", "-rf", "d")
    assert not (kelp.work / "d").exists()


def test_exit_codes_and_signals(kelp):
    assert kelp("unshare", "sh", "-c", "exit 7").rc == 7
    assert kelp("unshare", "sh", "-c", "kill -TERM $$").rc == -signal.SIGTERM
    kelp.fails("unshare", "no-such-command", code=127, match="'no-such-command'")
    kelp.fails("unshare", "/etc/passwd", code=126, match="ermission")
    process = kelp.spawn(kelp.command("unshare", "sleep", "1000"))
    harness.wait_for(lambda: "sleep" in open(f"/proc/{process.pid}/cmdline").read())
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT


def test_standard_streams_and_shell(kelp):
    assert kelp.ok("unshare", "cat", input="text") == "text"
    assert kelp.ok("unshare", input="echo $KELP_ROOT", env={"SHELL": "/bin/sh"}) == str(kelp.root)
    # A program that nobody reads from ends by SIGPIPE, as it does without us.
    assert kelp("unshare", "sh", "-c", "kill -PIPE $$; exit 3").rc == -signal.SIGPIPE


def test_mounts_are_its_own(kelp):
    (kelp.work / "m").mkdir()
    os.chown(kelp.work / "m", kelp.user.uid, kelp.user.gid)
    out = kelp.ok("unshare", "sh", "-c", "mount -t tmpfs none m && touch m/inside && ls m")
    assert out == "inside" and not os.listdir(kelp.work / "m")


def test_kelp_inside(kelp, busybox):
    kelp.ok("create", "--name", "c", busybox, "true")
    inside = [kelp.program("kelp")]
    assert kelp.ok("unshare", *inside, "ps", "-a", "--format", "{{.Names}}") == "c"
    (kelp.work / "f").write_text("text")
    kelp.ok("unshare", *inside, "cp", "f", "c:/f")
    kelp.ok("unshare", *inside, "unshare", *inside, "cp", "c:/f", "g")
    assert (kelp.work / "g").read_text() == "text" and (kelp.work / "g").stat().st_uid == kelp.user.uid
    # A mark of elsewhere is no mark.
    assert kelp.ok("run", "--rm", busybox, "echo", "x", env={"KELP_UNSHARE": "4:1"}) == "x"
    kelp.ok("unshare", *inside, "rm", "c")


def test_one_id(make_kelp, noids_user):
    kelp = make_kelp(user=noids_user)
    assert kelp.ok("unshare", "id", "-u") == "0"
    assert kelp.ok("unshare", "cat", "/proc/self/uid_map").split() == ["0", str(noids_user.uid), "1"]


def test_mount_says_what_to_do(kelp):
    kelp.fails("mount", "c", match="kelp cp")
    kelp.fails("umount", "c", match="nothing of a container is mounted")
