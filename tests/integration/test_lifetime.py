# SPDX-License-Identifier: Apache-2.0
"""--lifetime: a container ends with what it was said to live with, however that ends, and with nothing else."""
import os
import signal
import subprocess
import time

import pytest

import harness

WAIT = ("sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")


def ended(kelp, name):
    harness.wait_for(lambda: kelp.state(name)["Status"] == "exited", what=f"the end of {name}")
    return kelp.state(name)["ExitCode"]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGHUP])
def test_command(kelp, busybox, sig):
    process = kelp.popen("run", "--lifetime=command", "--sig-proxy=false", "--name", "c", busybox, *WAIT, stdin=subprocess.DEVNULL)
    kelp.wait_running("c")
    assert kelp.json("inspect", "c")[0]["Lifetime"] == "command"
    process.send_signal(sig)
    process.wait(10)
    assert ended(kelp, "c") == 3  # asked to end, as "stop" asks
    process = kelp.popen("start", "-a", "c", stdin=subprocess.DEVNULL)
    kelp.wait_running("c")
    process.kill()
    assert ended(kelp, "c") == 3


def test_command_with_restarts_and_without_a_will_to_end(kelp, busybox):
    """It is not started again, and SIGKILL follows."""
    process = kelp.popen("run", "--lifetime=command", "--stop-timeout=1", "--restart=always", "--name", "c", busybox, "sh", "-c",
                         "trap '' TERM; while :; do sleep 0.1; done", stdin=subprocess.DEVNULL)
    kelp.wait_running("c")
    process.kill()
    process.wait(10)
    assert ended(kelp, "c") == 137
    time.sleep(0.5)  # for what must not come
    assert not kelp.state("c")["Running"]


def test_command_needs_one_that_stays(kelp, busybox):
    kelp.fails("run", "-d", "--lifetime=command", busybox, "true", code=125, match="contradict each other")
    kelp.ok("create", "--name", "c", "--lifetime=command", busybox, "true")
    kelp.fails("start", "c", match=r"nothing would wait for it\s+hint: start it in the foreground")
    kelp.ok("start", "-a", "c")
    kelp.fails("create", "--lifetime=day", busybox, code=125, match=r"unknown lifetime 'day'\s+hint: expected command, session")
    assert kelp.ok("run", "--rm", "--lifetime=command", busybox, "echo", "done") == "done"


def test_without_it_nothing_ends(kelp, busybox):
    process = kelp.popen("run", "--sig-proxy=false", "--name", "c", busybox, *WAIT, stdin=subprocess.DEVNULL)
    kelp.wait_running("c")
    process.kill()
    process.wait(10)
    time.sleep(0.5)  # for what must not come
    assert kelp.state("c")["Running"]
    assert kelp.json("inspect", "c")[0]["Lifetime"] == "user"
    kelp.ok("rm", "-f", "-t", "0", "c")


def test_session(kelp, busybox):
    """The leader of the kernel's session, where logind knows of none: it may end in any way, and the shell below it may end before."""
    kelp.ok("create", "--lifetime=session", "--name", "c", busybox, *WAIT)
    leader = kelp.spawn(["setsid", "sh", "-c", f"sh -c '{kelp.program('kelp')} start c'; echo up; sleep 1000"], stdout=subprocess.PIPE, text=True,
                        env={"XDG_SESSION_ID": None})
    assert leader.stdout.readline() == "c\n"
    assert leader.stdout.readline() == "up\n"
    time.sleep(0.3)  # for what must not come
    assert kelp.state("c")["Running"]
    sleeper = children(leader.pid)
    leader.kill()
    leader.wait()
    assert ended(kelp, "c") == 3
    for pid in sleeper:
        os.kill(pid, signal.SIGKILL)


def test_session_that_is_none(kelp, busybox):
    result = kelp.execute(["setsid", "--wait", kelp.program("kelp"), "run", "-d", "--rm", "--lifetime=session", busybox, "true"],
                          env={"XDG_SESSION_ID": None})
    assert result.rc == 125 and "no session whose end could be seen" in result.err


def test_job(kelp, busybox):
    """The job's shell is the topmost process with its number; what the job starts may come and go."""
    script = f"sh -c '{kelp.program('kelp')} run -d --lifetime=job --stop-timeout 1 --name c {busybox} sleep 1000; true'; echo up; read x"
    outer = kelp.spawn(["sh", "-c", f"SLURM_JOB_ID=17 sh -c \"$1\"; echo over; sleep 1000", "sh", script], stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, text=True)
    assert len(outer.stdout.readline()) == 65
    assert outer.stdout.readline() == "up\n"
    time.sleep(0.3)  # for what must not come
    assert kelp.state("c")["Running"]
    outer.stdin.write("\n")
    outer.stdin.flush()
    assert outer.stdout.readline() == "over\n"
    assert ended(kelp, "c") in (137, 143)  # sleep heeds no SIGTERM as pid 1
    inner = children(outer.pid)
    outer.kill()
    outer.wait()
    for pid in inner:
        os.kill(pid, signal.SIGKILL)


def test_no_job(kelp, busybox):
    variables = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "OAR_JOB_ID", "JOB_ID", "CI_JOB_ID", "GITHUB_RUN_ID", "BUILD_TAG"]
    kelp.fails("run", "--rm", "--lifetime=job", busybox, "true", env=dict.fromkeys(variables), match="no batch job that Kelp knows")


def test_no_warning_where_nobody_reaps(kelp, busybox):
    """Outside of sessions and of the user's manager; the rest is in tests/unit/test_lifetime.c, with files of its own."""
    with open("/proc/self/cgroup") as f:
        cgroup = f.read()
    result = kelp("run", "-d", "--name", "c", busybox, "sleep", "1000")
    assert result.rc == 0
    assert result.err == "" or "/session-" in cgroup or "/user@" in cgroup
    kelp.ok("rm", "-f", "-t", "0", "c")
