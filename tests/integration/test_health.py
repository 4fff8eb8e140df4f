# SPDX-License-Identifier: Apache-2.0
"""Health checks: run by the monitor, seen in inspect, ps and events."""
import os
import signal
import time

import pytest

from harness import wait_for

FAST = ("--health-interval", "100ms", "--health-timeout", "5s")


def health(kelp, name):
    return kelp.state(name)["Health"]


def told(kelp, name):
    out = kelp.ok("events", "--stream=false", "--format", "{{.Action}}", "--filter", f"container={name}")
    return [a for a in out.splitlines() if a.startswith("health_status")]


def monitors(kelp):
    return [pid for pid, p in kelp.processes().items() if p[0] == "kelp-monitor"]


def test_becomes_healthy_then_unhealthy(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", *FAST, "--health-retries", "2", "-e", "WHO=me", "--health-cmd", "echo $WHO; test ! -e /bad",
            busybox, "sleep", "1000")
    assert "(health" in kelp.ok("ps", "--format", "{{.Status}}")
    wait_for(lambda: health(kelp, "c")["Status"] == "healthy")
    state = health(kelp, "c")
    assert state["FailingStreak"] == 0
    entry = state["Log"][-1]
    assert entry["ExitCode"] == 0 and entry["Output"] == "me\n" and entry["Start"] < entry["End"]
    assert kelp.ok("ps", "--format", "{{.Status}}").endswith("(healthy)")
    assert kelp.ok("ps", "-q", "--filter", "health=healthy") and not kelp.ok("ps", "-q", "--filter", "health=none")
    kelp.ok("exec", "c", "touch", "/bad")
    wait_for(lambda: health(kelp, "c")["Status"] == "unhealthy")
    state = health(kelp, "c")
    assert state["FailingStreak"] >= 2 and state["Log"][-1]["ExitCode"] == 1
    assert kelp.ok("ps", "--format", "{{.Status}}").endswith("(unhealthy)")
    kelp.ok("exec", "c", "rm", "/bad")
    wait_for(lambda: health(kelp, "c")["Status"] == "healthy")
    assert told(kelp, "c") == ["health_status: healthy", "health_status: unhealthy", "health_status: healthy"]
    wait_for(lambda: len(health(kelp, "c")["Log"]) == 5)
    first = health(kelp, "c")["Log"][0]
    wait_for(lambda: first not in health(kelp, "c")["Log"], what="the oldest of five goes")


def test_the_start_period(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", *FAST, "--health-start-period", "1h", "--health-start-interval", "50ms", "--health-retries", "1",
            "--health-interval", "1h", "--health-cmd", "test -e /good", busybox, "sleep", "1000")
    wait_for(lambda: len(health(kelp, "c")["Log"]) >= 3)
    assert health(kelp, "c")["Status"] == "starting" and health(kelp, "c")["FailingStreak"] == 0
    assert kelp.ok("ps", "--format", "{{.Status}}").endswith("(health: starting)")
    kelp.ok("exec", "c", "touch", "/good")
    wait_for(lambda: health(kelp, "c")["Status"] == "healthy")


def test_a_check_that_hangs_is_killed_with_all_it_started(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--health-interval", "50ms", "--health-timeout", "300ms", "--health-retries", "1",
            "--health-cmd", "echo begun; sleep 2000 & setsid sleep 2000 & sleep 2000", busybox, "sleep", "1000")
    wait_for(lambda: health(kelp, "c")["Log"])
    entry = health(kelp, "c")["Log"][0]
    assert entry["ExitCode"] == -1 and "exceeded timeout" in entry["Output"]
    assert health(kelp, "c")["Status"] == "unhealthy"
    wait_for(lambda: len(health(kelp, "c")["Log"]) >= 3)
    assert len([p for p in kelp.processes().values() if "sleep 2000" in p[2]]) <= 8, "of one check at most"
    kelp.ok("stop", "-t", "0", "c")
    assert not [p for p in kelp.processes().values() if "sleep 2000" in p[2]]


def test_output_is_bounded_and_a_flood_passes(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", *FAST, "--health-cmd", "yes | head -c 3000000; true", busybox, "sleep", "1000")
    wait_for(lambda: health(kelp, "c")["Status"] == "healthy")
    assert len(health(kelp, "c")["Log"][0]["Output"]) == 4096


def test_output_that_is_no_utf8(kelp, busybox):
    """It hides neither the result nor the status, and who has asked for the check gets an answer."""
    run = ("run", "-d", "--health-interval", "1h", "--health-timeout", "20s", "--health-retries", "1")
    kelp.ok(*run, "--name", "c", "--health-cmd", r"printf 'a\377\303b'; exit 1", busybox, "sleep", "1000")
    assert kelp.fails("healthcheck", "run", "c", code=1).out == "unhealthy\n"
    assert health(kelp, "c")["Status"] == "unhealthy" and health(kelp, "c")["Log"][0]["Output"] == "a\ufffd\ufffdb"
    kelp.ok(*run, "--name", "cut", "--health-cmd", "yes ä | tr -d '\\n' | (printf x; head -c 9000)", busybox, "sleep", "1000")
    kelp.ok("healthcheck", "run", "cut")
    assert health(kelp, "cut")["Log"][0]["Output"] == "x" + "ä" * 2047, "no half of a character"
    kelp.ok(*run, "--name", "long", "--health-cmd", r"head -c 9000 /dev/zero | tr '\0' '\1'", busybox, "sleep", "1000")
    for _ in range(5):
        kelp.ok("healthcheck", "run", "long")
    assert [e["Output"] for e in health(kelp, "long")["Log"]] == ["\1" * 4096] * 5, "six bytes each in the record"


def test_healthcheck_run_ends_without_a_result(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--health-interval", "1h", "--health-timeout", "100ms", "--health-cmd", "true", busybox, "sleep", "1000")
    monitor, = monitors(kelp)
    os.kill(monitor, signal.SIGSTOP)
    try:
        kelp.fails("healthcheck", "run", "c", code=125, match=f"process {monitor}, tells of no result")
    finally:
        os.kill(monitor, signal.SIGCONT)


def test_what_a_check_leaves_running_does_not_delay_it(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", *FAST, "--health-cmd", "sleep 3 & echo done", busybox, "sleep", "1000")
    wait_for(lambda: health(kelp, "c")["Log"], 3)
    assert health(kelp, "c")["Log"][0]["Output"] == "done\n"


def test_words_and_none_and_the_images(kelp, busybox):
    kelp.ok("run", "--name", "m", busybox, "true")
    kelp.ok("commit", "-q", "-c", 'HEALTHCHECK --interval=100ms --retries=1 CMD ["test", "-e", "/a file"]', "m", "checked")
    kelp.ok("run", "-d", "--name", "c", "checked", "sleep", "1000")
    wait_for(lambda: health(kelp, "c")["Status"] == "unhealthy")
    kelp.ok("exec", "c", "touch", "/a file")
    wait_for(lambda: health(kelp, "c")["Status"] == "healthy")
    for args in (("--no-healthcheck",), ("--health-cmd", "none")):
        name = kelp.ok("run", "-d", *args, "checked", "sleep", "1000")
        assert "Health" not in kelp.state(name)
    kelp.ok("run", "-d", "--name", "w", *FAST, "--health-cmd", '["echo", "$HOME", "x"]', busybox, "sleep", "1000")
    wait_for(lambda: health(kelp, "w")["Log"])
    assert health(kelp, "w")["Log"][0]["Output"] == "$HOME x\n"
    check = kelp.json("container", "inspect", "c")[0]["Config"]["Healthcheck"]
    assert kelp.json("container", "inspect", "c")[0]["Config"]["Cmd"] == ["sleep", "1000"], "nothing else of it is lost"
    assert check["Test"] == ["CMD", "test", "-e", "/a file"] and check["Interval"] == 100000000
    kelp.ok("run", "-d", "--name", "h", "--userns", "host", *FAST, "--health-cmd", "true", busybox, "sleep", "1000")
    wait_for(lambda: health(kelp, "h")["Status"] == "healthy")


def test_a_command_that_is_not_there(kelp, probe):
    kelp.ok("run", "-d", "--name", "c", *FAST, "--health-retries", "1", "--health-cmd", '["/nosuch"]', probe, "pause")
    wait_for(lambda: health(kelp, "c")["Status"] == "unhealthy")
    entry = health(kelp, "c")["Log"][0]
    assert entry["ExitCode"] == -1 and "/nosuch" in entry["Output"]


def test_on_failure(kelp, busybox):
    def run(name, action, *args):
        kelp.ok("run", "-d", "--name", name, *FAST, "--health-retries", "1", "--health-on-failure", action, "--health-cmd", "test ! -e /bad",
                *args, busybox, "sh", "-c", "rm -f /bad; trap 'exit 4' TERM; while :; do sleep 0.05; done")
        kelp.ok("exec", name, "touch", "/bad")
    run("k", "kill")
    wait_for(lambda: kelp.state("k")["Status"] == "exited")
    assert kelp.state("k")["ExitCode"] == 137
    run("s", "stop", "--restart", "always")
    wait_for(lambda: kelp.state("s")["Status"] == "exited")
    assert kelp.state("s")["ExitCode"] == 4
    run("r", "restart")
    wait_for(lambda: kelp.json("container", "inspect", "r")[0]["RestartCount"] == 1)
    wait_for(lambda: kelp.state("r")["Running"] and health(kelp, "r")["Status"] == "healthy")
    kelp.ok("stop", "-t", "0", "r")
    run("n", "none")
    wait_for(lambda: health(kelp, "n")["Status"] == "unhealthy")
    assert kelp.state("n")["Running"]


def test_healthcheck_run(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--health-interval", "1h", "--health-cmd", "test ! -e /bad", busybox, "sleep", "1000")
    assert health(kelp, "c") == {"Status": "starting", "FailingStreak": 0, "Log": []}
    kelp.ok("healthcheck", "run", "c")
    assert health(kelp, "c")["Status"] == "healthy"
    kelp.ok("exec", "c", "touch", "/bad")
    result = kelp.fails("healthcheck", "run", "c", code=1)
    assert result.out == "unhealthy\n" and health(kelp, "c")["FailingStreak"] == 1
    kelp.ok("run", "-d", "--name", "d", busybox, "sleep", "1000")
    kelp.fails("healthcheck", "run", "d", code=125, match="no health check")
    kelp.ok("stop", "-t", "0", "c")
    kelp.fails("healthcheck", "run", "c", code=125, match="not running")


def test_options_that_are_none(kelp, busybox):
    def refused(match, *args):
        kelp.fails("create", *args, busybox, "true", code=125, match=match)
    refused("neither the image nor", "--health-interval", "1s")
    refused("contradict each other", "--no-healthcheck", "--health-cmd", "true")
    refused("unknown action 'cry'", "--health-cmd", "true", "--health-on-failure", "cry")
    refused("at least 1 ms", "--health-cmd", "true", "--health-interval", "10us")
    refused("at least 1 ms", "--health-cmd", "true", "--health-timeout", "-1s")
    refused("health-retries", "--health-cmd", "true", "--health-retries", "-1")
    refused("contradict each other", "--rm", "--health-cmd", "true", "--health-on-failure", "restart")


@pytest.mark.unsanitized  # whose memory is not ours
def test_an_idle_monitor_is_small_and_idle(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", "--health-interval", "1h", "--health-start-period", "1h", "--health-start-interval", "50ms",
            "--health-cmd", "test -e /good", busybox, "sleep", "1000")
    wait_for(lambda: len(health(kelp, "c")["Log"]) == 5)
    kelp.ok("exec", "c", "touch", "/good")
    wait_for(lambda: health(kelp, "c")["Status"] == "healthy")
    (monitor,) = monitors(kelp)

    def private():
        text = open(f"/proc/{monitor}/smaps_rollup").read()
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private"))

    def spent():
        return sum(map(int, open(f"/proc/{monitor}/stat").read().rsplit(")", 1)[1].split()[11:13]))
    wait_for(lambda: private() <= 1024, 5, "at most a MiB of its own")
    before = spent()
    time.sleep(0.5)  # idle is what is measured
    assert spent() - before <= 1
