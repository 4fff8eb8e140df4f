# SPDX-License-Identifier: Apache-2.0
"""What concerns the whole store, and queries of containers: prune, system df, top, port, filters of listings, events of images and volumes."""
import json
import re
import time

import pytest

import rootfs
from harness import wait_for


def reclaimed(text):
    return re.search(r"^Total reclaimed space: (\S+)$", text, re.M).group(1)


# ---- prune -------------------------------------------------------------------------------------


def test_container_prune(kelp, probe):
    kelp.ok("run", "-d", "--name", "up", probe, "probe", "pause")
    made = kelp.ok("create", probe, "probe", "true")
    ended = kelp.ok("run", "-d", "-v", "data:/data", probe, "probe", "fill", "/file", "3000000")
    kelp.ok("wait", ended)
    out = kelp.ok("container", "prune", "-f")
    assert out.splitlines()[0] == "Deleted Containers:"
    assert set(out.splitlines()[1:3]) == {made, ended}
    assert out.splitlines()[3] == ""
    assert 3.0 <= float(reclaimed(out).removesuffix("MB")) < 3.2
    assert kelp.ok("ps", "-a", "--format", "{{.Names}}") == "up"
    assert kelp.ok("volume", "ls", "-q") == "data", "volumes stay"
    assert kelp.ok("container", "prune", "-f") == "Total reclaimed space: 0B"


def test_prune_asks(kelp, probe):
    kelp.ok("create", "--name", "c", probe, "probe", "true")
    for answer in ("n\n", "\n", "", "yellow\n"):
        out = kelp.ok("container", "prune", input=answer)
        assert out.startswith("WARNING! This will remove all stopped containers.")
        assert "[y/N]" in out and "reclaimed" not in out
    assert kelp.ok("ps", "-aq")
    assert "reclaimed" in kelp.ok("container", "prune", input="Y\n")
    assert not kelp.ok("ps", "-aq")


def test_prune_asks_on_a_terminal(kelp, probe):
    kelp.ok("create", "--name", "c", probe, "probe", "true")
    pty = kelp.pty("container", "prune")
    pty.expect(r"\[y/N\] $")
    pty.send("y\n")
    pty.expect("Total reclaimed space: ")
    assert pty.wait() == 0


def test_container_prune_filters(kelp, probe):
    kelp.ok("create", "--name", "a", "-l", "keep", "-l", "tier=web", probe, "probe", "true")
    kelp.ok("create", "--name", "b", "-l", "tier=db", probe, "probe", "true")

    def names():
        return sorted(kelp.ok("ps", "-a", "--format", "{{.Names}}").split())

    kelp.ok("container", "prune", "-f", "--filter", "until=1h")
    kelp.ok("container", "prune", "-f", "--filter", "label=tier=web", "--filter", "label=other")
    kelp.ok("container", "prune", "-f", "--filter", "label!=tier")
    assert names() == ["a", "b"]
    kelp.ok("container", "prune", "-f", "--filter", "label!=keep")
    assert names() == ["a"]
    kelp.ok("container", "prune", "-f", "--filter", "until=2200-01-01")
    assert names() == []
    kelp.fails("container", "prune", "-f", "--filter", "name=a", code=125, match="known: label label! until")
    kelp.fails("container", "prune", "-f", "--filter", "until=whenever", code=125, match="neither a time nor a duration")
    kelp.fails("container", "prune", "-f", "--filter", "until=2999-01-01", code=125, match="neither a time nor a duration")


def test_container_prune_is_an_event(kelp, probe):
    kelp.ok("run", probe, "probe", "fill", "/file", "100000")
    kelp.ok("container", "prune", "-f")
    events = kelp.ok("events", "--stream=false", "--format", "json", "--filter", "event=prune").splitlines()
    assert len(events) == 1
    event = json.loads(events[0])
    assert event["Type"] == "container" and int(event["Actor"]["Attributes"]["reclaimed"]) >= 100000


def test_system_prune(kelp, probe):
    kelp.ok("tag", probe, "kept:1")
    kelp.import_image(rootfs.write_tar([rootfs.entry("f", data=b"x" * 100000)]), "old:1")
    kelp.import_image(rootfs.write_tar([rootfs.entry("f", data=b"y" * 100000)]), "old:1")  # takes the name
    kelp.ok("run", "-d", "--name", "up", probe, "probe", "pause")
    kelp.ok("create", "--name", "down", "-v", "/anonymous", probe, "probe", "true")
    kelp.ok("volume", "create", "named")
    kelp.ok("run", "--name", "gone", "-v", "/anonymous", probe, "probe", "true")
    kelp.ok("rm", "gone")  # its volume stays
    out = kelp.ok("system", "prune", "--volumes", input="n\n")
    assert "WARNING! This will remove:\n  - all stopped containers\n" in out and "dangling images" in out and "anonymous volumes" in out
    assert kelp.ok("ps", "-a", "--format", "{{.Names}}").split() == ["down", "up"]
    out = kelp.ok("system", "prune", "-f")
    assert re.search(r"Deleted Containers:\n\w{64}\n\nDeleted Images:\nDeleted: sha256:", out)
    assert float(reclaimed(out).removesuffix("kB")) >= 100
    assert len(kelp.ok("volume", "ls", "-q").split()) == 3
    out = kelp.ok("system", "prune", "-f", "--volumes")
    assert len(re.search(r"Deleted Volumes:\n((\w+\n)+)", out).group(1).split()) == 2
    assert kelp.ok("volume", "ls", "-q") == "named"
    assert "old" in kelp.ok("images")
    assert "Untagged: old:1" in kelp.ok("system", "prune", "-af") or "old" not in kelp.ok("images")
    assert "kept" in kelp.ok("images"), "a container runs from it"


def test_system_prune_refuses_before_it_removes(kelp, probe):
    kelp.ok("create", "--name", "c", probe, "probe", "true")
    kelp.fails("system", "prune", "-f", "--filter", "dangling=true", code=125, match="unknown filter 'dangling'")
    kelp.fails("system", "prune", "-f", "--volumes", "--filter", "until=1h", code=125, match="does not go with --volumes")
    assert kelp.ok("ps", "-aq")


# ---- port --------------------------------------------------------------------------------------


def test_port(kelp, probe):
    kelp.ok("create", "--name", "c", probe, "probe", "true")
    assert kelp.ok("port", "c") == ""
    kelp.fails("port", "c", "80", code=1, match="no public port '80/tcp' published for c")
    kelp.fails("container", "port", "c", "53/udp", code=1, match="no public port '53/udp' published for c")
    kelp.fails("port", "c", "80/quic", code=125, match="is no port")
    kelp.fails("port", "c", "65536", code=125, match="is no port")
    kelp.fails("port", "nosuch", code=125, match="no such container")


def test_port_prints_what_the_configuration_publishes(kelp, probe):
    """As written there, by whichever means; what is damaged in it is passed over."""
    cid = kelp.ok("create", "--name", "c", probe, "probe", "true")
    path = kelp.root / "containers" / cid / "config.json"
    config = json.loads(path.read_text())
    config["HostConfig"]["PortBindings"] = {
        "443/tcp": [{"HostIp": "::1", "HostPort": "8443"}], "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "81"}],
        "53/udp": [{"HostPort": "5353"}], "x/tcp": [{"HostPort": "1"}], "1/tcp": 3, "2/tcp": [{"HostPort": "70000"}, 4]}
    path.write_text(json.dumps(config))
    assert kelp.ok("port", "c").splitlines() == ["53/udp -> 0.0.0.0:5353", "80/tcp -> 127.0.0.1:81", "80/tcp -> 0.0.0.0:8080",
                                                 "443/tcp -> [::1]:8443"]
    assert kelp.ok("port", "c", "443") == "[::1]:8443"
    for value, shown in (("publish=8080", True), ("publish=80", False), ("publish=5353/udp", True), ("publish=5000-6000", False),
                         ("publish=8000-9000/tcp", True), ("expose=80", True), ("expose=8080", False), ("expose=50-60/udp", True)):
        assert (kelp.ok("ps", "-aq", "--filter", value) != "") == shown, value
    kelp.fails("ps", "--filter", "publish=99999", code=125, match="is no port")


# ---- filters of ps -----------------------------------------------------------------------------


def test_ps_filters_that_say_little_here(kelp, probe):
    kelp.ok("run", "-d", "--name", "c", probe, "probe", "pause")
    for value, shown in (("is-task=false", True), ("is-task=true", False), ("isolation=default", True), ("isolation=hyperv", False),
                         ("health=none", True), ("health=healthy", False), ("network=none", True), ("network=host", False)):
        assert (kelp.ok("ps", "-q", "--filter", value) != "") == shown, value
    for value, match in (("is-task=x", "truth"), ("isolation=x", "one of: default"), ("health=x", "one of: none starting"),
                         ("nosuch=1", "known: ancestor before exited expose health id is-task isolation label name network publish since"),
                         ("until=1h", "unknown filter 'until'")):
        kelp.fails("ps", "--filter", value, code=125, match=match)
