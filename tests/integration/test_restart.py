# SPDX-License-Identifier: Apache-2.0
"""restart: the command, and the policies that a container's monitor carries out."""
import json
import os
import signal

from harness import wait_for

TRAP = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"


def actions(kelp, name):
    out = kelp.ok("events", "--stream=false", "--format", "{{.Action}}", "--filter", f"container={name}")
    return [a for a in out.splitlines() if a not in ("create", "attach")]


def monitors(kelp):
    return [pid for pid, p in kelp.processes().items() if p[0] == "kelp-monitor"]


# ---- the command -------------------------------------------------------------------------------


def test_restart_stops_and_starts(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "-l", "a=b", busybox, "sh", "-c", "echo x >> /file; " + TRAP)
    wait_for(lambda: "up" in kelp.ok("logs", "c"))
    before = kelp.json("container", "inspect", "c")[0]
    assert kelp.ok("restart", "c") == "c"
    wait_for(lambda: kelp.ok("logs", "c").count("up") == 2)
    after = kelp.json("container", "inspect", "c")[0]
    assert after["HostConfig"] == before["HostConfig"] and after["Config"] == before["Config"]
    assert after["State"]["Running"] and after["State"]["StartedAt"] > before["State"]["StartedAt"]
    assert after["State"]["Pid"] != before["State"]["Pid"]
    assert kelp.ok("exec", "c", "cat", "/file") == "x\nx", "the files stay"
    assert actions(kelp, "c") == ["start", "kill", "die", "stop", "start", "restart", "exec_create: cat /file",
                                  "exec_start: cat /file", "exec_die"]
    assert len(monitors(kelp)) == 1


def test_restart_starts_what_does_not_run(kelp, busybox):
    kelp.ok("create", "--name", "made", busybox, "sleep", "1000")
    kelp.ok("run", "--name", "ended", busybox, "sh", "-c", "test -e /f && exec sleep 1000; touch /f")
    assert kelp.ok("container", "restart", "made", "ended").split() == ["made", "ended"]
    assert kelp.state("made")["Running"] and kelp.state("ended")["Running"]
    assert actions(kelp, "made") == ["start", "restart"]


def test_restart_signal_and_time(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c", "trap 'echo usr1; exit' USR1; trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: "up" in kelp.ok("logs", "c"))
    kelp.ok("restart", "-s", "USR1", "c")
    assert "usr1" in kelp.ok("logs", "c")
    wait_for(lambda: kelp.ok("logs", "c").count("up") == 2)
    kelp.ok("restart", "--time", "0", "c", timeout=8)  # TERM is ignored: killed at once
    kelp.ok("restart", "-t", "1", "c")
    kelp.fails("restart", "-s", "NOSUCH", "c", code=125, match="unknown signal")


def test_restart_of_several_goes_on_after_a_failure(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    result = kelp.fails("restart", "-t", "0", "nosuch", "c", code=1, match="no such container: nosuch")
    assert result.out.split() == ["c"] and kelp.state("c")["Running"]


def test_restart_keeps_what_its_end_removes(kelp, busybox):
    kelp.ok("run", "-d", "--rm", "--name", "c", "-v", "/data", busybox, "sh", "-c", "echo x >> /data/f; exec sleep 1000")
    volumes = kelp.ok("volume", "ls", "-q")
    kelp.ok("restart", "-t", "0", "c")
    assert kelp.ok("volume", "ls", "-q") == volumes and volumes
    wait_for(lambda: kelp.ok("exec", "c", "cat", "/data/f") == "x\nx")
    kelp.ok("stop", "-t", "0", "c")
    assert kelp.ok("ps", "-aq") == "" and kelp.ok("volume", "ls", "-q") == ""


def test_a_killed_restart_leaves_nothing_of_what_its_end_removes(kelp, busybox):
    kelp.garbage = True
    kelp.ok("run", "-d", "--rm", "--name", "c", busybox, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: "up" in kelp.ok("logs", "c"))
    restart = kelp.popen("restart", "-t", "1000", "c")
    wait_for(lambda: "kill" in actions(kelp, "c"))
    (process,) = [kelp.state("c")["Pid"]]
    restart.send_signal(signal.SIGSTOP)  # it holds the lock, so the monitor keeps the container
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: kelp.state("c")["Status"] == "exited")
    restart.kill()
    restart.wait()
    wait_for(lambda: kelp.ok("ps", "-aq") == "")
    assert actions(kelp, "c")[-2:] == ["die", "destroy"]
