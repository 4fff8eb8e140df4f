# SPDX-License-Identifier: Apache-2.0
"""What concerns the whole store, and queries of containers: prune, system df, top, port, filters of listings, events of images and volumes."""
import json
import os
import re

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
                         ("nosuch=1", "known: ancestor .*expose .*is-task isolation .*publish .*volume"),
                         ("until=1h", "unknown filter 'until'")):
        kelp.fails("ps", "--filter", value, code=125, match=match)


def test_ps_sort(kelp, probe):
    kelp.ok("tag", probe, "an-image:1")
    kelp.ok("create", "--name", "b", probe, "probe", "true")
    kelp.ok("run", "-d", "--name", "c", "an-image:1", "probe", "pause")
    kelp.ok("create", "--name", "a", probe, "/bin/true")

    def names(*args):
        return "".join(kelp.ok("ps", "-a", "--format", "{{.Names}}", *args).split())

    assert names() == names("--sort", "runningfor") == "acb"
    assert names("--sort", "created") == "bca"
    assert names("--sort", "names") == "abc"
    assert names("--sort", "image")[0] == "c"
    assert names("--sort", "status")[2] == "c", "created before running"
    assert names("--sort", "command")[0] == "a", "/bin/true before probe"
    assert kelp.ok("ps", "-aq", "--sort", "id").split() == sorted(kelp.ok("ps", "-aq").split())
    assert names("-n", "2", "--sort", "names") == "ac", "the newest two"
    assert names("--sort", "names", "--filter", "name=[bc]") == "bc"
    assert kelp.ok("ps", "--format", "{{.Names}}", "--sort", "names") == "c"
    kelp.fails("ps", "--sort", "colour", code=125, match="one of: command created")


# ---- system df ---------------------------------------------------------------------------------


def du(*paths):
    """As du counts: blocks, every inode once."""
    seen, total = set(), 0
    for top in paths:
        for directory, _, files in os.walk(top):
            for path in [directory] + [os.path.join(directory, f) for f in files]:
                st = os.lstat(path)
                if (st.st_dev, st.st_ino) not in seen:
                    seen.add((st.st_dev, st.st_ino))
                    total += st.st_blocks * 512
    return total


def number(size):
    value, unit = re.fullmatch(r"([\d.e+]+)([kMGTPE]?)B", size).groups()
    return float(value) * 1000 ** " kMGTPE".index(unit or " ")


def near(size, there):
    """Sizes are shown with three digits: 1 %, and half a digit."""
    return abs(number(size) - there) <= there * 0.015


def df(kelp, *args):
    rows = [json.loads(line) for line in kelp.ok("system", "df", "--format", "json", *args).splitlines()]
    return {row["Type"]: row for row in rows}


@pytest.fixture
def filled(kelp, probe_binary):
    """Images that share layers, one of them with compressed blobs, one with a copy for other owners; containers; volumes."""
    base = rootfs.probe_tar(probe_binary)
    extra = rootfs.write_tar([rootfs.entry(f"many/{i}", data=os.urandom(9000), uid=i % 5) for i in range(60)])
    for name, layers, compress in (("base:1", [base], False), ("big:1", [base, extra], True)):
        path = kelp.work / "image.tar"
        path.write_bytes(rootfs.oci_archive(layers, name=name, compress=compress)[0])
        os.chmod(path, 0o644)
        kelp.ok("load", "-q", "-i", path)
    kelp.ok("run", "--name", "ended", "-v", "data:/many", "big:1", "probe", "fill", "/file", "2000000")
    kelp.ok("run", "-d", "--name", "up", "base:1", "probe", "pause")
    kelp.ok("volume", "create", "empty")
    return kelp


def test_df_is_what_du_says(filled):
    rows = df(filled)
    root = filled.root
    assert [rows[t]["TotalCount"] for t in ("Images", "Containers", "Local Volumes")] == ["2", "2", "2"]
    assert [rows[t]["Active"] for t in ("Images", "Containers", "Local Volumes")] == ["2", "1", "1"]
    assert near(rows["Images"]["Size"], du(root / "layers", root / "images"))
    assert near(rows["Containers"]["Size"], du(*(root / "containers").glob("*/upper")))
    assert near(rows["Local Volumes"]["Size"], du(*(root / "volumes").glob("*/_data")))
    assert re.fullmatch(r"0B \(0%\)", rows["Images"]["Reclaimable"])
    assert near(rows["Containers"]["Reclaimable"].split()[0], 2e6) and rows["Containers"]["Reclaimable"].endswith("(99%)")
    lines = filled.ok("system", "df").splitlines()
    assert lines[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert [line.split("  ")[0] for line in lines[1:]] == ["Images", "Containers", "Local Volumes"]


def test_df_counts_copies_for_other_owners(filled):
    before = number(df(filled)["Images"]["Size"])
    filled.ok("run", "--rm", "--uidmap", "0:1:1000", "--gidmap", "0:1:1000", "big:1", "probe", "true")
    assert list((filled.root / "layers").glob("*/fs.*")), "this test wants a copy"
    after = df(filled)["Images"]["Size"]
    assert number(after) > before * 1.3
    assert near(after, du(filled.root / "layers", filled.root / "images"))


def test_df_counts_once_what_copies_share(kelp, probe_binary):
    """Variants of a layer have the inodes in common whose owners are the same."""
    files = [rootfs.entry(f"f{uid}", data=os.urandom(2 << 20), uid=uid, gid=uid) for uid in (0, 998, 999, 2000)]
    kelp.import_image(rootfs.probe_tar(probe_binary, files), "i")
    for uid in (999, 998, 5):
        kelp.ok("run", "--rm", f"--userns=keep-id:uid={uid},gid={uid}", "-u", "0", "i", "/bin/probe", "true")
    assert len(list((kelp.root / "layers").glob("*/fs.*"))) == 3
    assert near(df(kelp)["Images"]["Size"], du(kelp.root / "layers", kelp.root / "images"))


def test_df_reclaimable_is_what_prune_frees(filled):
    filled.ok("rm", "ended")
    rows = df(filled)
    assert rows["Images"]["Active"] == "1"
    promised = rows["Images"]["Reclaimable"].split()[0]
    before = du(filled.root / "layers", filled.root / "images")
    out = filled.ok("image", "prune", "-af")
    freed = before - du(filled.root / "layers", filled.root / "images")
    assert near(promised, freed)
    assert near(reclaimed(out), freed)
    assert number(df(filled)["Images"]["Reclaimable"].split()[0]) == 0
    volumes = df(filled)["Local Volumes"]
    assert volumes["Active"] == "0" and volumes["Reclaimable"].endswith("(100%)")


def test_df_details(filled):
    shown = json.loads(filled.ok("system", "df", "-v", "--format", "json"))
    images = {row["Repository"].split("/")[-1]: row for row in shown["Images"]}
    assert images["base"]["SharedSize"] == images["big"]["SharedSize"] != "0B"
    assert number(images["big"]["UniqueSize"]) > 60 * 9000
    assert number(images["base"]["UniqueSize"]) < 20000, "its configuration and manifest"
    assert [images[n]["Containers"] for n in ("base", "big")] == ["1", "1"]
    containers = {row["Names"]: row for row in shown["Containers"]}
    assert near(containers["ended"]["Size"], 2e6) and containers["ended"]["LocalVolumes"] == "1"
    volumes = {row["Name"]: row for row in shown["Volumes"]}
    assert (volumes["data"]["Links"], volumes["empty"]["Links"]) == ("1", "0")
    assert number(volumes["data"]["Size"]) >= 60 * 9000
    out = filled.ok("system", "df", "-v")
    for text in ("Images space usage:\n\nREPOSITORY", "UNIQUE SIZE", "\n\nContainers space usage:\n\n", "\n\nLocal Volumes space usage:\n\nVOLUME NAME"):
        assert text in out, out
    assert filled.ok("system", "df", "-v", "--format", "{{len .Volumes}} {{(index .Volumes 0).Name}}") == "2 data"
    assert filled.ok("system", "df", "--format", "{{.Type}}={{.TotalCount}}").splitlines()[0] == "Images=2"
    filled.fails("system", "df", "-v", "--format", "table {{.Size}}", code=125, match="several tables")


def test_df_of_nothing(kelp):
    rows = df(kelp)
    assert {r["TotalCount"] for r in rows.values()} == {"0"} and rows["Local Volumes"]["Size"] == "0B"
    assert json.loads(kelp.ok("system", "df", "-v", "--format", "json")) == {"Images": [], "Containers": [], "Volumes": [], "BuildCache": []}


def test_df_of_many_small_layers(kelp):
    """Where directories weigh more than files; the archives hold no entry of their root."""
    layers = [rootfs.write_tar([rootfs.entry(f"d/{i}", data=b"x" * (i + 1))]) for i in range(60)]
    path = kelp.work / "image.tar"
    path.write_bytes(rootfs.oci_archive(layers, name="many:1", compress=True)[0])
    os.chmod(path, 0o644)
    kelp.ok("load", "-q", "-i", path)
    assert near(df(kelp)["Images"]["Size"], du(kelp.root / "layers", kelp.root / "images"))


# ---- top ---------------------------------------------------------------------------------------


def table(text):
    lines = text.splitlines()
    return [dict(zip(lines[0].split(), line.split(None, len(lines[0].split()) - 1))) for line in lines[1:]]


def led_by(pid, rows, column="HPID"):
    """Rows come by pid, and pids wrap around: the container's first process need not be the first."""
    return sorted(rows, key=lambda row: row[column] != str(pid))


def test_top(kelp, probe):
    kelp.ok("run", "-d", "--name", "c", "-u", "alice", probe, "probe", "seq", "fork", "2", "--", "pause")
    wait_for(lambda: len(kelp.ok("top", "c").splitlines()) == 4, what="three processes")
    pid = kelp.state("c")["Pid"]
    assert kelp.ok("top", "c").splitlines()[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    rows = led_by(pid, table(kelp.ok("container", "top", "c")), "PID")
    assert rows[0]["PID"] == str(pid) and {row["PPID"] for row in rows[1:]} == {str(pid)}
    assert {row["UID"] for row in rows} == {"alice"} and rows[0]["TTY"] == "?" and rows[0]["TIME"].startswith("00:00:")
    assert rows[0]["CMD"] == "probe seq fork 2 -- pause"
    rows = led_by(pid, table(kelp.ok("top", "c", "pid,hpid,ppid", "user", "uid", "group", "comm", "state", "seccomp", "args")))
    assert [(row["PID"], row["PPID"]) for row in rows][0] == ("1", "0")
    assert rows[1]["PPID"] == "1" and rows[0]["HPID"] == str(pid) and rows[0]["UID"] == "1000" and rows[0]["GROUP"] == "alice"
    assert rows[0]["SECCOMP"] == "filter" and rows[0]["STATE"] == "S"
    assert len(rows) == len({row["PID"] for row in rows}) == 3
    status = open(f"/proc/{pid}/status").read()
    row = led_by(pid, table(kelp.ok("top", "c", "rss,vsz,etime,pcpu,pmem,huser,nice,stime,time,tty,pgid,ruser,rgroup,hpid")))[0]
    assert abs(int(row["RSS"]) - int(re.search(r"VmRSS:\s+(\d+)", status).group(1))) <= 400
    assert row["VSZ"] == re.search(r"VmSize:\s+(\d+)", status).group(1)
    assert row["HUSER"] == re.search(r"Uid:\s+(\d+)", status).group(1), "a subordinate id has no name"
    assert row["NI"] == str(os.getpriority(os.PRIO_PROCESS, pid)), "the whole suite may run with nice(1)"
    assert re.fullmatch(r"\d\d:\d\d", row["ELAPSED"]) and row["PGID"] == "1" and row["RUSER"] == "alice"


def test_top_with_options_of_ps(kelp, probe):
    kelp.ok("run", "-dt", "--name", "c", probe, "probe", "pause")
    pid = str(kelp.state("c")["Pid"])
    assert kelp.ok("top", "c", "-ef").splitlines()[0] == kelp.ok("top", "c").splitlines()[0]
    assert kelp.ok("top", "c", "aux").splitlines()[0].split() == "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND".split()
    assert table(kelp.ok("top", "c", "-e"))[0]["CMD"] == "probe" and table(kelp.ok("top", "c", "-e"))[0]["TTY"].startswith("pts/")
    assert table(kelp.ok("top", "c", "-eo", "pid,comm")) == [{"PID": pid, "COMMAND": "probe"}]
    assert table(kelp.ok("top", "c", "-opid", "-o", "user")) == [{"PID": pid, "USER": "root"}]
    kelp.fails("top", "c", "-Z", code=125, match="ps is not run")
    kelp.fails("top", "c", "-o", code=125, match="wants columns")
    kelp.fails("top", "c", "nosuch", code=125, match="unknown column 'nosuch'")
    kelp.ok("kill", "c")
    wait_for(lambda: not kelp.state("c")["Running"])
    kelp.fails("top", "c", code=125, match="is not running")


def test_top_shows_exec_sessions_and_only_its_own(kelp, probe):
    kelp.ok("run", "-d", "--name", "other", probe, "probe", "pause")
    for args in (("--name", "c"), ("--name", "d", "--pid", "host"), ("--name", "e", "--pid", "container:other")):
        kelp.ok("run", "-d", *args, probe, "probe", "seq", "fork", "1", "--", "pause")
        kelp.ok("exec", "-d", args[1], "probe", "pause")
        wait_for(lambda name=args[1]: len(table(kelp.ok("top", name))) == 3, what=f"three processes of {args[1]}")
        assert str(kelp.state(args[1])["Pid"]) in {row["PID"] for row in table(kelp.ok("top", args[1]))}


def test_top_shows_what_is_further_in(kelp, busybox):
    """A PID namespace that the container made itself, by the host's and the container's own numbers."""
    kelp.ok("run", "-d", "--privileged", "--name", "c", busybox, "sh", "-c", "unshare -pf sh -c 'sleep 1001 & sleep 1002 & wait' & wait")
    wait_for(lambda: {"sleep 1001", "sleep 1002"} <= set(kelp.ok("top", "c", "args").splitlines()), what="both of them")
    rows = table(kelp.ok("top", "c", "hpid,pid,ppid,args"))
    pids = {row["PID"] for row in rows}
    assert len(pids) == len(rows) and {row["PPID"] for row in rows} <= pids | {"0"}


def test_top_while_the_container_forks_all_the_time(kelp, busybox):
    """It ends, and shows those that were there at one time: 165 or so, out of thousands a second."""
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c", "yes 20000 | xargs -P 80 -n 1 usleep & yes 20000 | xargs -P 80 -n 1 usleep")
    first = str(kelp.state("c")["Pid"])
    try:
        wait_for(lambda: len(table(kelp.ok("top", "c"))) >= 8, what="some of them")
        for _ in range(10):
            rows = table(kelp.ok("top", "c", "hpid,pid,ppid,comm"))
            assert first in {row["HPID"] for row in rows} and 5 <= len({row["HPID"] for row in rows}) == len(rows) <= 190
            assert {row["COMMAND"] for row in rows} <= {"sh", "yes", "xargs", "usleep", "exe", "busybox"}, "no stranger"
            assert len({row["PID"] for row in rows}) == len(rows) and "0" not in {row["PID"] for row in rows}
    finally:
        kelp.ok("kill", "c")


def test_top_of_hostile_processes(kelp, busybox):
    """Names and accounts that would drive the terminal or break lines."""
    kelp.ok("run", "-d", "--name", "c", busybox, "sh", "-c",
            r"""printf 'e\033[31mvil:x:0:0::/:/bin/sh\n' > /etc/passwd; rm -f /etc/group; mkfifo /etc/group
            printf '#!/bin/sh\nwhile :; do sleep 0.1; done\n' > "/tmp/a)) R 1"; chmod 755 "/tmp/a)) R 1"
            echo ready; exec "/tmp/a)) R 1" "$(printf 'x\033]0;t\007\ny')" """)
    wait_for(lambda: "))" in kelp.ok("top", "c", "args"))
    out = kelp.ok("top", "c", "user,comm,group,state,args")
    assert "\033" not in out and "\007" not in out
    rows = out.splitlines()
    assert 2 <= len(rows) <= 3, "the newline in an argument is no new line"
    assert "e\\x1b[31mvil" in rows[1] and "a)) R 1" in rows[1] and "\\x1b]0;t\\x07\\x0ay" in rows[1]
    assert " 0 " in rows[1], "a group without a file is a number"


# ---- events of images and volumes --------------------------------------------------------------


def told(kelp, *args):
    """[(action, id, attributes)] of what has happened."""
    lines = kelp.ok("events", "--stream=false", "--format", "json", *args).splitlines()
    return [(e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]) for e in map(json.loads, lines)]


def test_events_of_images(kelp, probe_binary):
    tar, config = kelp.work / "image.tar", {"Labels": {"tier": "web", "name": "not this"}}
    tar.write_bytes(rootfs.oci_archive([rootfs.probe_tar(probe_binary)], name="web:1", config=config)[0])
    os.chmod(tar, 0o644)
    kelp.ok("load", "-q", "-i", tar)
    ident = kelp.ok("images", "-q", "--no-trunc")
    kelp.ok("tag", "web:1", "web:2")
    kelp.ok("save", "-q", "-o", kelp.work / "saved.tar", "web:2")
    kelp.ok("rmi", "web:2")
    kelp.ok("rmi", "web:1")
    name = "localhost/web:" if any("localhost/" in e[2]["name"] for e in told(kelp, "--filter", "event=load")) else "web:"
    assert [(a, i, at["name"]) for a, i, at in told(kelp, "--filter", "type=image")] == [
        ("load", ident, name + "1"), ("tag", ident, name + "2"), ("save", ident, name + "2"), ("untag", ident, name + "2"),
        ("untag", ident, name + "1"), ("delete", ident, ident)]
    assert {at.get("tier") for _, _, at in told(kelp, "--filter", "type=image")} == {"web"}
    assert len(told(kelp, "--filter", "type=image", "--filter", "label=tier=web")) == 6
    kelp.fails("save", "-q", "-o", kelp.work / "no.tar", "web:1")
    kelp.fails("load", "-q", "-i", "/dev/null")
    assert len(told(kelp, "--filter", "type=image")) == 6, "what failed is none"


def test_events_of_import_and_prune(kelp):
    kelp.import_image(rootfs.write_tar([rootfs.entry("f", data=b"x" * 100000)]), "old:1")
    ident = kelp.ok("images", "-q", "--no-trunc")
    out = kelp.ok("image", "prune", "-af")
    events = told(kelp, "--filter", "type=image")
    assert [(a, i) for a, i, _ in events] == [("import", ident), ("untag", ident), ("delete", ident), ("prune", "")]
    assert near(reclaimed(out), int(events[-1][2]["reclaimed"]))
    kelp.ok("image", "prune", "-af")
    assert len(told(kelp, "--filter", "type=image")) == 4, "nothing went: no event"


def test_events_of_volumes(kelp, probe):
    kelp.ok("volume", "create", "data")
    kelp.ok("volume", "create", "data")
    cid = kelp.ok("run", "-d", "-v", "data:/data:ro", "-v", "/scratch", "--rm", probe, "probe", "pause")
    kelp.ok("rm", "-f", cid)
    wait_for(lambda: len(kelp.ok("volume", "ls", "-q").split()) == 1, what="the anonymous volume goes")
    kelp.ok("volume", "rm", "data")
    kelp.ok("volume", "create", "left")
    kelp.ok("volume", "prune", "-af")
    events = told(kelp, "--filter", "type=volume")
    assert [(a, at) for a, i, at in events if i == "data"] == [
        ("create", {"driver": "local"}),
        ("mount", {"driver": "local", "container": cid, "destination": "/data", "propagation": "", "read/write": "false"}),
        ("unmount", {"driver": "local", "container": cid}), ("destroy", {"driver": "local"})]
    anonymous = {i for _, i, _ in events if len(i) == 64}
    assert len(anonymous) == 1
    assert [a for a, i, _ in events if i in anonymous] == ["create", "mount", "unmount", "destroy"]
    assert [at["read/write"] for a, i, at in events if a == "mount" and i in anonymous] == ["true"]
    assert [(a, i) for a, i, _ in events][-3:] == [("create", "left"), ("destroy", "left"), ("prune", "")]
    assert len(told(kelp, "--filter", "volume=data")) == 4
