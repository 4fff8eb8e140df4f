# SPDX-License-Identifier: Apache-2.0
"""events: what is told, filters, times, following across rotation, damage; and rename."""
import concurrent.futures
import json
import pathlib
import time

from harness import wait_for


def told(kelp, *args):
    out = kelp.ok("events", "--stream=false", "--format", "json", *args)
    return [json.loads(line) for line in out.splitlines()]


def actions(kelp, *args):
    return [e["Action"] for e in told(kelp, *args)]


def test_a_life(kelp, busybox):
    kelp.ok("run", "-d", "--name", "web", "-l", "tier=front", busybox, "sleep", "1000")
    kelp.ok("exec", "web", "true")
    kelp.ok("rename", "web", "shop")
    kelp.ok("stop", "-t", "0", "shop")
    kelp.ok("rm", "shop")
    events = told(kelp, "--filter", "type=container")
    assert [e["Action"].split(":")[0] for e in events] == [
        "create", "start", "exec_create", "exec_start", "exec_die", "rename", "kill", "kill", "die", "stop", "destroy"]
    assert [e["Actor"]["Attributes"]["name"] for e in events] == 5 * ["web"] + 6 * ["shop"]
    assert all(e["Actor"]["Attributes"]["tier"] == "front" and e["from"] == busybox and e["id"] == e["Actor"]["ID"]
               and e["status"] == e["Action"] and e["time"] == e["timeNano"] // 10**9 for e in events)
    by_action = {e["Action"]: e["Actor"]["Attributes"] for e in events}
    assert by_action["die"]["exitCode"] == "137"
    assert by_action["exec_die"]["exitCode"] == "0" and by_action["exec_die"]["execID"]
    assert by_action["rename"]["oldName"] == "web"
    assert "exec_create: true" in by_action


def test_removed_on_exit(kelp, busybox):
    kelp("run", "--rm", "--name", "once", busybox, "sh", "-c", "exit 3")
    assert actions(kelp, "--filter", "container=once") == ["create", "attach", "start", "die", "destroy"]


def test_a_killed_monitor_is_told_of(kelp, busybox):
    kelp.ok("run", "-d", "--name", "c", busybox, "sleep", "1000")
    (monitor,) = [p for p, what in kelp.processes().items() if what[0] == "kelp-monitor"]
    kelp.execute(["kill", "-9", str(monitor)])
    wait_for(lambda: kelp.state("c")["Status"] == "exited")
    (die,) = told(kelp, "--filter", "event=die")
    assert die["Actor"]["Attributes"]["exitCode"] == "137"


def test_filters(kelp, busybox):
    for name in ("one", "two"):
        kelp.ok("create", "--name", name, "-l", f"n={name}", "-l", "all", busybox, "true")
    ident = kelp.ok("inspect", "--format", "{{.Id}}", "one")
    for given in ("container=one", f"container={ident}", f"container={ident[:12]}", "label=n=one"):
        assert [e["id"] for e in told(kelp, "--filter", given, "--filter", "type=container")] == [ident], given
    assert len(told(kelp, "--filter", "label=all", "--filter", "event=create")) == 2
    assert len(told(kelp, "--filter", "container=one", "--filter", "container=two")) == 2
    assert told(kelp, "--filter", "label=all", "--filter", "label=n=no") == []
    assert len(told(kelp, "--filter", f"image={busybox}", "--filter", "event=create")) == 2
    kelp.fails("events", "--filter", "colour=red", code=125, match="known filters: type, event")
    kelp.fails("events", "--filter", "colour", code=125, match="KEY=VALUE")


def test_secrets(kelp):
    def make(*options):
        return kelp.ok("secret", "create", *options, "pw", "-", input="hunter2")

    since = str(time.time())
    first = make("-l", "of=db")
    second = make("--replace", "-l", "of=web")
    assert make("--ignore") == second, "nothing is made"
    kelp.ok("secret", "rm", second)
    events = told(kelp, "--since", since, "--filter", "secret=pw")
    assert [(e["Type"], e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]) for e in events] == [
        ("secret", action, who, {"name": "pw", "driver": "file", "of": of})
        for action, who, of in (("create", first, "db"), ("remove", first, "db"), ("create", second, "web"), ("remove", second, "web"))]
    assert actions(kelp, "--filter", "type=secret", "--filter", "label=of=web") == ["create", "remove"]
    assert "hunter2" not in kelp.ok("events", "--stream=false", "--since", since, "--format", "json")


def test_times(kelp, busybox):
    kelp.ok("create", "--name", "one", busybox, "true")
    middle = time.time_ns()
    kelp.ok("create", "--name", "two", busybox, "true")
    at = f"{middle // 10**9}.{middle % 10**9:09d}"
    names = [e["Actor"]["Attributes"]["name"] for e in told(kelp, "--since", at)]
    assert names == ["two"]
    names = [e["Actor"]["Attributes"]["name"] for e in told(kelp, "--until", at, "--filter", "type=container")]
    assert names == ["one"]
    kelp.fails("events", "--since", "soon", code=125, match="no time")


def test_text_and_template(kelp, busybox):
    kelp.ok("create", "--name", "one", busybox, "true")
    line = kelp.ok("events", "--stream=false", "--filter", "type=container")
    stamp, kind, action, ident, rest = line.split(" ", 4)
    assert (kind, action, rest) == ("container", "create", f"(image={busybox}, name=one)")
    assert len(ident) == 64 and len(stamp) == len("2026-11-24T11:53:43.009003776+00:00")
    assert kelp.ok("events", "--stream=false", "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.name}}") \
        == "create one"


def test_following_ends_in_time_and_sees_what_comes(kelp, busybox):
    watcher = kelp.popen("events", "--format", "{{.Action}}", "--filter", "type=container")
    try:
        wait_for(lambda: "inotify" in str([p.readlink() for p in pathlib.Path(f"/proc/{watcher.pid}/fd").iterdir()]))
        kelp.ok("create", "--name", "one", busybox, "true")
        assert watcher.stdout.readline().strip() in (b"create", "create")
    finally:
        watcher.kill()
        watcher.communicate()
    start = time.monotonic()
    assert "create" in kelp.ok("events", "--since", "1h", "--until", f"{time.time() + 0.3:.3f}")
    assert time.monotonic() - start > 0.2


def test_rotation_loses_nothing(kelp, busybox):
    """Several write at once while the log is turned over; what is kept is whole and in order, and it is bounded."""
    kelp.ok("create", "--name", "base", "-l", "fat=" + 60000 * "x", busybox, "true")
    log = pathlib.Path(kelp.root) / "events"

    def work(worker):
        for i in range(12):
            kelp.ok("rename", "base" if worker == 0 and i == 0 else f"n{worker}-{i - 1}" if i else f"n{worker}", f"n{worker}-{i}")

    for worker in range(1, 3):
        kelp.ok("create", "--name", f"n{worker}", "-l", "fat=" + 60000 * "y", busybox, "true")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert (log / "log.1").exists()
    assert sum(f.stat().st_size for f in log.iterdir()) < 12 << 20
    for worker in range(3):
        names = [e["Actor"]["Attributes"]["name"] for e in told(kelp, "--filter", "event=rename")
                 if e["Actor"]["Attributes"]["name"].startswith(f"n{worker}-")]
        assert names == [f"n{worker}-{i}" for i in range(12)]


def test_damage_costs_only_the_damaged_line(kelp, busybox):
    kelp.ok("create", "--name", "one", busybox, "true")
    log = pathlib.Path(kelp.root) / "events" / "log"
    with log.open("ab") as f:
        f.write(b'{"Type":"container","Action":"cre')  # torn by a full disk
    kelp.ok("create", "--name", "two", busybox, "true")
    with log.open("ab") as f:
        f.write(b"\xff\xfe\n[]\n{}\n" + b'{"Type":1}\n' + 2000000 * b"z" + b"\n")
    kelp.ok("create", "--name", "three", busybox, "true")
    names = [e["Actor"]["Attributes"]["name"] for e in told(kelp, "--filter", "event=create")]
    assert names == ["one", "two", "three"]


def test_no_log_is_no_failure(kelp, busybox):
    kelp.ok("ps")
    (pathlib.Path(kelp.root) / "events").mkdir(mode=0o500, exist_ok=True)
    (pathlib.Path(kelp.root) / "events").chmod(0o500)
    kelp.ok("run", "--rm", busybox, "true")
    (pathlib.Path(kelp.root) / "events").chmod(0o700)


# ---- rename ----


def test_rename(kelp, busybox):
    kelp.ok("create", "--name", "one", busybox, "true")
    kelp.ok("create", "--name", "two", busybox, "true")
    kelp.fails("rename", "one", "two", code=125, match="already in use")
    kelp.fails("rename", "one", "one", code=125, match="has that name")
    kelp.fails("rename", "one", "a b", code=125, match="not a name")
    kelp.fails("rename", "none", "x", code=125, match="no such container")
    kelp.ok("rename", "one", "/three")
    assert kelp.ok("inspect", "--format", "{{.Name}}", "three") == "/three"
    kelp.fails("inspect", "one", match="no such")
    kelp.ok("create", "--name", "one", busybox, "true")


def test_a_renamed_container_is_removed_under_its_new_name(kelp, busybox):
    kelp.ok("run", "-d", "--rm", "--name", "old", busybox, "sleep", "1000")
    kelp.ok("rename", "old", "new")
    kelp.ok("stop", "-t", "0", "new")
    assert kelp.ok("ps", "-aq") == ""
    assert [p for p in (pathlib.Path(kelp.root) / "names").iterdir() if p.name[0] != "."] == []


def test_a_name_left_by_a_killed_rename_is_free(kelp, busybox):
    kelp.ok("create", "--name", "one", busybox, "true")
    ident = kelp.ok("inspect", "--format", "{{.Id}}", "one")
    (pathlib.Path(kelp.root) / "names" / "ghost").symlink_to(f"../containers/{ident}")
    kelp.fails("inspect", "ghost", match="no such")
    kelp.ok("create", "--name", "ghost", busybox, "true")
    assert kelp.ok("inspect", "--format", "{{.Id}}", "ghost") != ident
