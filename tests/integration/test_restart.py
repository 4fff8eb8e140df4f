# SPDX-License-Identifier: Apache-2.0
"""restart: the command, and the policies that a container's monitor carries out."""
import json
import os
import signal

import pytest

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


# ---- policies ----------------------------------------------------------------------------------


def inspect(kelp, name, path):
    return kelp.ok("container", "inspect", "--format", "{{" + path + "}}", name)


def restarts(kelp, name):
    return int(inspect(kelp, name, ".RestartCount"))


def test_always_restarts_with_pauses_and_logs(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--restart", "always", "-v", "/data", busybox, "sh", "-c", "echo round; echo x >> /data/f; exit 0")
    volumes = kelp.ok("volume", "ls", "-q")
    wait_for(lambda: restarts(kelp, "c") >= 4)
    policy = json.loads(inspect(kelp, "c", "json .HostConfig.RestartPolicy"))
    assert policy == {"Name": "always", "MaximumRetryCount": 0}
    wait_for(lambda: kelp.state("c")["Status"] == "restarting")
    state = kelp.state("c")
    assert state["Restarting"] and state["Running"] and state["Pid"] == 0 and state["ExitCode"] == 0
    assert kelp.ok("ps", "--format", "{{.State}} {{.Status}}").startswith("restarting Restarting (0) ")
    assert kelp.ok("logs", "c").split().count("round") >= 3
    told = actions(kelp, "c")
    assert told[:6] == ["start", "die"] * 3
    times = [float(t) for t in kelp.ok("events", "--stream=false", "--format", "{{.TimeNano}}", "--filter", "event=start").split()]
    gaps = [(b - a) / 1e9 for a, b in zip(times, times[1:])]
    assert gaps[0] >= 0.1 and gaps[1] >= 0.2 and gaps[2] >= 0.4
    kelp.ok("stop", "c", timeout=10)
    assert kelp.state("c")["Status"] == "exited" and not kelp.state("c")["Restarting"]
    assert kelp.ok("volume", "ls", "-q") == volumes
    assert monitors(kelp) == []


def test_on_failure_counts(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--restart", "on-failure:2", busybox, "sh", "-c", "exit 3")
    wait_for(lambda: kelp.state("c")["Status"] == "exited")
    assert restarts(kelp, "c") == 2 and kelp.state("c")["ExitCode"] == 3
    assert actions(kelp, "c") == ["start", "die"] * 3
    kelp.ok("start", "c")
    assert restarts(kelp, "c") < 2, "a start by hand begins anew"
    wait_for(lambda: kelp.state("c")["Status"] == "exited" and restarts(kelp, "c") == 2)
    kelp.ok("run", "--name", "good", "--restart", "on-failure", busybox, "true")
    assert kelp.state("good")["Status"] == "exited" and restarts(kelp, "good") == 0


def test_a_failing_start_is_a_failed_run(kelp, busybox):
    """The program is gone at the second round: it is tried again, and the reason is told."""
    kelp.ok("run", "-d", "--name", "c", "--restart", "on-failure:2", busybox, "sh", "-c", "rm -f /bin/sh; exit 1")
    wait_for(lambda: kelp.state("c")["Status"] == "exited")
    state = kelp.state("c")
    assert restarts(kelp, "c") == 2 and state["ExitCode"] == 127 and "sh" in state["Error"]
    assert monitors(kelp) == []


def test_stop_and_kill_end_the_policy(kelp, busybox):
    for name, how in (("a", ("stop", "-t", "0")), ("b", ("kill",)), ("d", ("kill", "-s", "INT")), ("e", ("stop", "-t", "0"))):
        policy = "unless-stopped" if name == "e" else "always"
        kelp.ok("run", "-d", "--name", name, "--restart", policy, busybox, "sh", "-c", "trap exit INT; while :; do sleep 0.05; done")
        kelp.ok(*how, name)
        wait_for(lambda: kelp.state(name)["Status"] == "exited")
        assert restarts(kelp, name) == 0
        kelp.ok("start", name)
        os.kill(kelp.state(name)["Pid"], signal.SIGKILL)
        wait_for(lambda: restarts(kelp, name) == 1 and kelp.state(name)["Status"] == "running")
        assert kelp.state(name)["ExitCode"] == 0


def test_other_signals_do_not_end_the_policy(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--restart", "always", busybox, "sh", "-c", "trap 'exit 5' HUP; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: "up" in kelp.ok("logs", "c"))
    kelp.ok("kill", "-s", "HUP", "c")
    wait_for(lambda: restarts(kelp, "c") == 1 and kelp.state("c")["Status"] == "running")


def test_in_the_pause(kelp, busybox):
    """stop, kill, rm and restart act at once on one that waits; start has nothing to do; exec says why it cannot."""
    def crashing(name):
        kelp.ok("run", "-d", "--name", name, "--restart", "always", busybox, "sh", "-c", "exit 9")
        wait_for(lambda: restarts(kelp, name) >= 5 and kelp.state(name)["Status"] == "restarting")  # 3.2 s of pause
        return name
    kelp.ok("stop", crashing("a"), timeout=2)
    assert kelp.state("a")["Status"] == "exited" and kelp.state("a")["ExitCode"] == 9
    kelp.ok("kill", crashing("b"))
    wait_for(lambda: kelp.state("b")["Status"] == "exited", 2)
    kelp.fails("exec", crashing("d"), "true", match="between two runs")
    kelp.ok("start", "d")
    assert kelp.ok("wait", "d") == "9"
    kelp.fails("rm", "d", match="is running")
    kelp.ok("restart", "d", timeout=2)
    assert restarts(kelp, "d") <= 1
    kelp.ok("rm", "-f", "d", timeout=2)
    assert sorted(kelp.ok("ps", "-a", "--format", "{{.Names}}").split()) == ["a", "b"]
    assert monitors(kelp) == []


def test_wait_returns_at_the_end_of_a_run(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--restart", "always", busybox, "sh", "-c", "trap 'exit 5' HUP; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: "up" in kelp.ok("logs", "c"))
    waiter = kelp.popen("wait", "c")
    kelp.ok("kill", "-s", "HUP", "c")
    assert waiter.communicate(timeout=20)[0] == "5\n"


def test_attached_clients_see_every_run(kelp, busybox):
    client = kelp.popen("run", "-i", "--name", "c", "--restart", "on-failure:3", busybox, "sh", "-c",
                        "read line; echo got $line; test $line = last")
    kelp.wait_running("c")
    for n, line in enumerate(("one", "two", "last")):
        wait_for(lambda: restarts(kelp, "c") == n and kelp.state("c")["Status"] == "running")
        client.stdin.write(line + "\n")
        client.stdin.flush()
    assert client.communicate(timeout=20)[0] == "got one\ngot two\ngot last\n" and client.returncode == 0
    assert restarts(kelp, "c") == 2


def test_the_end_of_input_is_that_of_later_runs(kelp, busybox):
    result = kelp("run", "-i", "--name", "c", "--restart", "on-failure:2", busybox, "sh", "-c", "cat; exit 4", input="text\n")
    assert result.rc == 4 and result.out == "text\n" and restarts(kelp, "c") == 2


def test_a_terminal_keeps_its_size(kelp, busybox):
    terminal = kelp.pty("run", "-it", "--name", "c", "--restart", "on-failure:1", busybox, "sh", "-c", "stty size; read x; exit 1", size=(31, 71))
    terminal.expect("31 71")
    terminal.resize(33, 77)
    wait_for(lambda: "33 77" in kelp.ok("exec", "c", "sh", "-c", "stty size < /proc/1/fd/0"))
    terminal.send("\r")
    terminal.expect("33 77")
    terminal.send("\r")


def test_killed_monitor_at_any_time(kelp, busybox):
    """In the pause it has ended as its record says; while it runs it is one whose monitor was killed."""
    kelp.garbage = True
    kelp.ok("run", "-d", "--name", "c", "--restart", "always", busybox, "sh", "-c", "exit 9")
    wait_for(lambda: restarts(kelp, "c") >= 4 and kelp.state("c")["Status"] == "restarting")
    os.kill(monitors(kelp)[0], signal.SIGKILL)
    wait_for(lambda: kelp.state("c")["Status"] == "exited")
    assert kelp.state("c")["ExitCode"] == 9
    kelp.ok("start", "c")
    wait_for(lambda: restarts(kelp, "c") == 1)
    kelp.ok("rm", "-f", "c")

    kelp.ok("run", "-d", "--name", "d", "--restart", "always", busybox, "sleep", "1000")
    os.kill(kelp.state("d")["Pid"], signal.SIGKILL)
    wait_for(lambda: restarts(kelp, "d") == 1 and kelp.state("d")["Status"] == "running")
    os.kill(monitors(kelp)[0], signal.SIGKILL)
    wait_for(lambda: kelp.state("d")["Status"] == "exited")
    assert kelp.state("d")["ExitCode"] == 137
    assert not [p for p in kelp.processes().values() if "sleep 1000" in p[2]]


def test_a_monitor_that_is_asked_to_end_starts_nothing_again(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--restart", "always", busybox, "sh", "-c", TRAP)
    wait_for(lambda: "up" in kelp.ok("logs", "c"))
    os.kill(monitors(kelp)[0], signal.SIGTERM)
    wait_for(lambda: kelp.state("c")["Status"] == "exited")
    assert kelp.state("c")["ExitCode"] == 7 and restarts(kelp, "c") == 0


def test_policies_that_are_none(kelp, busybox):
    def refused(match, *args):
        kelp.fails("create", *args, busybox, "true", code=125, match=match)
    refused("unknown restart policy 'sometimes'", "--restart", "sometimes")
    refused("only on-failure takes a number", "--restart", "always:3")
    refused("no number of restarts", "--restart", "on-failure:-1")
    refused("contradict each other", "--restart", "always", "--rm")
    refused("passthrough", "--restart", "always", "--log-driver", "passthrough")
    kelp.ok("create", "--rm", "--restart", "no", busybox, "true")


@pytest.mark.unsanitized  # whose memory is not ours
def test_an_idle_monitor_is_small_after_restarts(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--restart", "always", busybox, "sh", "-c", "test -e /f && exec sleep 1000; test -e /e && touch /f; touch /e; exit 1")
    wait_for(lambda: restarts(kelp, "c") == 2 and kelp.state("c")["Status"] == "running")
    (monitor,) = monitors(kelp)

    def private():
        text = open(f"/proc/{monitor}/smaps_rollup").read()
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private"))
    wait_for(lambda: private() <= 1024, 5, f"{private()} KiB of its own")


# ---- changing the policy; starting what is to run ----------------------------------------------


def test_update_holds_from_the_next_end(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    assert kelp.ok("update", "--restart", "on-failure:4", "c") == "c"
    policy = json.loads(inspect(kelp, "c", "json .HostConfig.RestartPolicy"))
    assert policy == {"Name": "on-failure", "MaximumRetryCount": 4}
    os.kill(kelp.state("c")["Pid"], signal.SIGKILL)
    wait_for(lambda: restarts(kelp, "c") == 1 and kelp.state("c")["Status"] == "running")
    kelp.ok("container", "update", "--restart=no", "c")
    os.kill(kelp.state("c")["Pid"], signal.SIGKILL)
    wait_for(lambda: kelp.state("c")["Status"] == "exited")
    assert json.loads(inspect(kelp, "c", "json .HostConfig.RestartPolicy"))["Name"] == "no"
    assert actions(kelp, "c") == ["start", "update", "die", "start", "update", "die"]


def test_update_refuses(kelp, busybox):
    kelp.ok("create", "--name", "c", busybox, "true")
    kelp.ok("create", "--rm", "--name", "gone", busybox, "true")
    kelp.ok("create", "--log-driver", "passthrough", "--name", "through", busybox, "true")
    kelp.fails("update", "c", code=125, match="nothing to change")
    kelp.fails("update", "--memory", "1g", "c", code=125, match="unknown option '--memory'")
    kelp.fails("update", "--restart", "often", "c", code=125, match="unknown restart policy 'often'")
    kelp.fails("update", "--restart", "always", "gone", code=1, match="its end removes it")
    kelp.fails("update", "--restart", "always", "through", code=1, match="passthrough")
    kelp.ok("update", "--restart", "no", "gone")


def test_start_what_is_to_run(kelp, busybox):
    """As after the machine was off: monitors and containers are dead."""
    kelp.garbage = True
    for name, policy in (("always", "always"), ("unless", "unless-stopped"), ("stopped", "unless-stopped"),
                         ("stopped-always", "always"), ("failing", "on-failure:3"), ("none", "no")):
        kelp.ok("run", "-d", "--name", name, "--restart", policy, busybox, "sleep", "1000")
    kelp.ok("create", "--name", "never", "--restart", "always", busybox, "sleep", "1000")
    kelp.ok("stop", "-t", "0", "stopped", "stopped-always")
    for pid in monitors(kelp):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: kelp.ok("ps", "-q") == "")

    def names(*filters):
        return sorted(kelp.ok("ps", "-a", "--format", "{{.Names}}", *[a for f in filters for a in ("--filter", f)]).split())
    assert names("restart-policy=unless-stopped") == ["stopped", "unless"]
    assert names("restart-policy=on-failure") == ["failing"] == names("restart-policy=on-failure:3")
    assert names("restart-policy=on-failure:4") == []
    assert "none" in names("should-start-on-boot=false")
    kelp.fails("ps", "--filter", "restart-policy=x", code=125, match="unknown restart policy")
    kelp.fails("ps", "--filter", "should-start-on-boot=x", code=125, match="truth value")
    kelp.ok("start", "--filter", "should-start-on-boot=true")
    wait_for(lambda: sorted(kelp.ok("ps", "--format", "{{.Names}}").split()) == ["always", "stopped-always", "unless"])
    kelp.ok("start", "--filter", "restart-policy=on-failure")
    assert "failing" in kelp.ok("ps", "--format", "{{.Names}}").split()


def test_restart_of_those_that_match(kelp, busybox):
    kelp.ok("run", "-d", "--name", "a", "-l", "x", busybox, "sleep", "1000")
    kelp.ok("run", "-d", "--name", "b", busybox, "sleep", "1000")
    before = kelp.state("b")
    kelp.ok("restart", "-t", "0", "--filter", "label=x")
    assert kelp.state("b") == before and "restart" in actions(kelp, "a")
    kelp.fails("restart", code=125)


def test_restart_of_those_that_run(kelp, busybox):
    for name, *options in (("a", "-l", "x"), ("b",)):
        kelp.ok("run", "-d", "--name", name, *options, busybox, "sleep", "1000")
    kelp.ok("create", "--name", "c", "-l", "x", busybox, "sleep", "1000")
    before = kelp.state("b")
    kelp.ok("restart", "-t", "0", "--running", "--filter", "label=x")
    assert "restart" in actions(kelp, "a") and kelp.state("b") == before and kelp.state("c")["Status"] == "created"
    kelp.ok("restart", "-t", "0", "--running")
    assert [actions(kelp, n).count("restart") for n in "abc"] == [2, 1, 0] and kelp.state("c")["Status"] == "created"
    for wrong in (("a",), ("--latest",), ("--cidfile", "f")):
        kelp.fails("restart", "--running", *wrong, code=125, match="'--running' chooses the containers: name none")
    kelp.ok("stop", "-t", "0", "--all")
    assert kelp.ok("restart", "--running") == ""
