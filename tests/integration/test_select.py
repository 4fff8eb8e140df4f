# SPDX-License-Identifier: Apache-2.0
"""Whom start, stop, kill, rm, exec and wait act on: --all, --latest, --filter, --cidfile, --ignore; and what wait waits for."""
import pytest

from harness import wait_for

PAUSE = ("/bin/probe", "pause")


@pytest.fixture
def three(kelp, probe):
    """one and two run, three was only created, and is the latest."""
    for name in ("one", "two"):
        kelp.ok("run", "-d", "--name", name, "-l", f"n={name}", "--stop-timeout", "0", probe, *PAUSE)
    kelp.ok("create", "--name", "three", "--stop-timeout", "0", probe, *PAUSE)
    return kelp


def states(kelp):
    return dict(line.split() for line in kelp.ok("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines())


def test_all(three):
    kelp = three
    ids = {name: kelp.ok("inspect", "-f", "{{.Id}}", name) for name in ("one", "two", "three")}
    assert set(kelp.ok("stop", "--all").split()) == {ids["one"], ids["two"]}
    assert states(kelp) == {"one": "exited", "two": "exited", "three": "created"}
    assert set(kelp.ok("start", "--all").split()) == set(ids.values())
    assert set(states(kelp).values()) == {"running"}
    assert set(kelp.ok("kill", "-a").split()) == set(ids.values())
    kelp.ok("wait", "one", "two", "three")
    kelp.ok("start", "two")
    result = kelp.fails("rm", "--all", code=1, match="running")
    assert set(result.out.split()) == {ids["one"], ids["three"]} and states(kelp) == {"two": "running"}
    assert kelp.ok("rm", "-a", "-f") == ids["two"]
    for verb in ("start", "stop", "kill", "rm"):
        assert kelp.ok(verb, "--all") == "", "nobody to act on is no error"


def test_latest(three):
    kelp = three
    kelp.ok("start", "-l")
    assert states(kelp)["three"] == "running"
    assert kelp.ok("exec", "-l", "/bin/probe", "hostname") == kelp.ok("inspect", "-f", "{{.Config.Hostname}}", "three")
    kelp.ok("kill", "--latest")
    assert kelp.ok("wait", "--latest") == "137"
    kelp.ok("rm", "-l")
    assert set(states(kelp)) == {"one", "two"}
    kelp.ok("stop", "-l")
    assert states(kelp) == {"one": "running", "two": "exited"}
    kelp.ok("rm", "-f", "one", "two")
    for verb in ("start", "stop", "kill", "rm", "wait"):
        kelp.fails(verb, "--latest", match="there is no container")
    kelp.fails("exec", "--latest", "true", match="there is no container")


def test_filter(three):
    kelp = three
    kelp.ok("stop", "--filter", "label=n=one")
    assert states(kelp) == {"one": "exited", "two": "running", "three": "created"}
    kelp.ok("start", "-f", "status=created")
    assert states(kelp)["three"] == "running"
    kelp.ok("kill", "--filter", "name=three")
    assert kelp.ok("wait", "three") == "137"
    kelp.ok("rm", "--filter", "status=exited")
    assert states(kelp) == {"two": "running"}
    kelp.fails("rm", "--filter", "colour=red", code=125, match="colour")
    assert kelp.ok("stop", "--filter", "label=nope") == ""


def test_cidfile(kelp, probe):
    file = kelp.work / "id"
    kelp.ok("create", "--cidfile", str(file), "--name", "c", probe, *PAUSE)
    kelp.ok("start", "--cidfile", str(file))
    assert kelp.ok("exec", "--cidfile", str(file), "/bin/probe", "echo", "x") == "x"
    kelp.ok("kill", "--cidfile", str(file))
    assert kelp.ok("wait", "--cidfile", str(file)) == "137"
    kelp.ok("rm", "--cidfile", str(file))
    kelp.fails("stop", "--cidfile", "nosuch", match="--cidfile.*nosuch")
    assert kelp.ok("stop", "--ignore", "--cidfile", "nosuch") == ""
    assert kelp.ok("rm", "--ignore", "--cidfile", str(file)) == "", "its container is gone"
    (kelp.work / "empty").write_text("\n")
    kelp.fails("rm", "--cidfile", str(kelp.work / "empty"), match="holds no id")


def test_ignore(three):
    kelp = three
    assert kelp.ok("stop", "-i", "nosuch", "one") == "one"
    assert kelp.ok("rm", "--ignore", "nosuch", "one") == "one"
    assert kelp.ok("rm", "--force", "nosuch", "two") == "two"
    assert kelp.ok("wait", "--ignore", "nosuch") == "-1"
    kelp.fails("stop", "nosuch", code=1, match="no such container: nosuch")
    kelp.fails("wait", "nosuch", code=1, match="no such container: nosuch")


@pytest.mark.parametrize("args, message", [
    (["stop"], "no container was named"), (["rm"], "no container was named"), (["wait"], "no container was named"),
    (["stop", "--all", "x"], "name none"), (["rm", "--latest", "x"], "name none"), (["kill", "--all", "--latest"], "one of them"),
    (["exec", "--latest"], "usage"), (["exec", "x"], "no command was given"), (["start", "-a", "x", "y"], "take one container"),
    (["wait", "--condition", "bored", "x"], "'bored' is unknown"), (["wait", "--interval", "soon", "x"], "no time"),
    (["wait", "--interval", "0", "x"], "less than 1ms"),
])
def test_errors_of_the_command_line(kelp, args, message):
    kelp.fails(*args, code=125, match=message)


def test_conditions_of_wait(kelp, probe):
    kelp.ok("create", "--name", "c", "--stop-timeout", "0", probe, *PAUSE)
    assert kelp.ok("wait", "--condition", "created", "c") == "-1"
    waiting = kelp.popen("wait", "--condition", "running", "--interval", "5ms", "c")
    kelp.ok("start", "c")
    assert waiting.communicate(timeout=20)[0] == "-1\n"
    next_exit = kelp.popen("wait", "--condition", "next-exit", "--interval", "5", "c")
    stopped = kelp.popen("wait", "--condition", "stopped", "c")
    either = kelp.popen("wait", "--condition", "paused", "--condition", "exited", "--interval", "5ms", "c")
    kelp.ok("kill", "c")
    for process in (next_exit, stopped, either):
        assert process.communicate(timeout=20)[0] == "137\n"
    assert kelp.ok("wait", "--condition", "not-running", "c") == "137"
    removed = kelp.popen("wait", "--condition", "removed", "--interval", "5ms", "c")
    wait_for(lambda: removed.poll() is None, what="it waits")
    kelp.ok("rm", "c")
    assert removed.communicate(timeout=20)[0] == "137\n"


def test_next_exit_is_the_next(kelp, probe):
    kelp("run", "--name", "c", probe, "/bin/probe", "exit", "3")
    waiting = kelp.popen("wait", "--condition", "next-exit", "--interval", "5ms", "c")
    for _ in range(5):  # takes its time, in which an end that was must not count
        kelp.ok("wait", "c")
    assert waiting.poll() is None
    wait_for(lambda: kelp.ok("start", "c") and kelp.ok("wait", "c") and waiting.poll() is not None, what="the next end seen")
    assert waiting.communicate(timeout=20)[0] == "3\n"
