# SPDX-License-Identifier: Apache-2.0
"""The command line itself: help, errors with hints, exit codes, formats, options that only the command line understands."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

import harness

VERBS = ["run", "create", "start", "stop", "kill", "rm", "ps", "exec", "logs", "wait", "inspect", "info", "doctor", "version"]


# ---- help and errors ---------------------------------------------------------------------------


def test_help_lists_commands_of_two_words(kelp):
    text = kelp.ok("--help").split("Commands of two words")[1]
    for noun in ("volume", "secret"):
        listed = re.search(rf"^  {noun} +(.+)$", text, re.M).group(1).split(", ")
        assert {"create", "inspect", "ls", "rm"} <= set(listed), text
        for verb in listed:
            assert f"kelp {noun} {verb}" in kelp.ok(noun, verb, "--help")
    assert all(len(line) <= 80 for line in text.splitlines())


def test_help_lists_every_verb(kelp):
    out = kelp.ok("--help")
    assert all(re.search(rf"^  {v} ", out, re.M) for v in VERBS), out
    assert kelp.ok("help") == out
    assert kelp("").rc == 125
    assert kelp().rc == 125


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(kelp, verb):
    out = kelp.ok(verb, "--help")
    assert out.startswith(f"Usage: kelp {verb}")
    assert max(map(len, out.splitlines())) <= 80
    assert kelp.ok("help", verb) == out


def test_help_of_nouns(kelp):
    assert re.search(r"^  run ", kelp.ok("container", "--help"), re.M)
    assert re.search(r"^  ls ", kelp.ok("help", "container"), re.M)
    assert kelp.ok("container", "ls", "--help") == kelp.ok("ps", "--help")


@pytest.mark.parametrize("args, message, hint", [
    (["rnu"], "unknown command 'rnu'", "did you mean 'kelp run'?"),
    (["frobnicate"], "unknown command 'frobnicate'", "kelp --help"),
    (["container", "lss"], "unknown command 'container lss'", "did you mean 'kelp container ls'?"),
    (["image", "frobnicate"], "unknown command 'image frobnicate'", "'kelp image' has: "),
    (["container", "images"], "unknown command 'container images'", "'kelp container' has: run, "),
    (["stop", "-s", "NOSUCH", "x"], "unknown signal 'NOSUCH'", "SIGTERM"),
    (["run", "--interative", "x"], "run: unknown option '--interative'", "did you mean '--interactive'?"),
    (["ps", "--nosuchthing"], "ps: unknown option '--nosuchthing'", "--help"),
    (["run"], "too few arguments", "usage: kelp run [OPTIONS] IMAGE"),
    (["ps", "x"], "too many arguments", "usage: kelp ps [OPTIONS]"),
    (["pull", "debian"], "this version has no command 'pull'", "kelp load"),
    (["container", "stats", "x"], "no command 'container stats'", "kelp inspect --format"),
    (["run", "-p", "80:80", "x"], "run: unknown option '-p'", "publishes no ports: with --network host"),
    (["run", "-itp", "80:80", "x"], "run: unknown option '-p' in '-itp'", "publishes no ports"),
    (["create", "--memory=1g", "x"], "create: unknown option '--memory'", "sets no limits"),
    (["run", "Debian:X"], "no such image: Debian:X", "names of images are lower case"),
    (["run", "debian:X"], "no such image: debian:X", "kelp load"),
    (["logs", "nosuch"], "no such container: nosuch", "kelp ps -a"),
    (["--nope"], "unknown option '--nope'", None),
    (["run", "--network", "bridge", "x"], "mode 'bridge'", "--network none"),
    (["run", "--shm-size", "lots", "x"], "option '--shm-size': invalid value 'lots'", None),
    (["run", "-a", "stdfoo", "x"], "unknown stream 'stdfoo'", None),
    (["run", "-d", "-a", "stdout", "x"], "contradict", None),
    (["run", "-e", "=x", "x"], "it has no name", None),
    (["run", "--env-file", "/nonexistent", "x"], "/nonexistent", None),
    (["run", "--detach-keys", "ctrl-1", "x"], "unknown key 'ctrl-1'", "ctrl-a"),
    (["run", "-v", "nowhere-in-particular", "x"], "option '--volume'", None),
    (["kill", "-s", "NOSUCH", "x"], "unknown signal 'NOSUCH'", "SIGTERM"),
    (["logs", "--since", "yesterday", "x"], "'yesterday' is no time", "10m"),
    (["logs", "--tail", "some", "x"], "option '--tail'", None),
    (["start", "-a", "x", "y"], "take one container", None),
    (["inspect", "--type", "pod", "x"], "unknown type 'pod'", None),
    (["ps", "--format", "{{.Nope}}", "-a"], None, None),
    (["ps", "--format", "table {{.Nope}}"], "template: 1:4: can't evaluate field 'Nope'", "known here:"),
    (["ps", "--format", "{{range .X}}"], "template: 1:3: 'range' without an 'end'", "{{range .X}}"),
    (["ps", "--format", "{{.ID}} {{nosuch}}"], "template: 1:11: function 'nosuch' is not defined", "{{.ID}} {{nosuch}}\n                ^"),
    (["version", "--format", "{{.Client.Nope}}"], "--format: template: 1:", "known here: .Arch"),
    (["ps", "--filter", "nonsense"], "nonsense", None),
    (["--log-level", "loud", "ps"], "unknown level 'loud'", "debug"),
])
def test_errors_name_the_object_and_help(kelp, args, message, hint):
    result = kelp(*args)
    if message is None:
        return
    assert result.rc == 125, result
    assert result.out == ""
    lines = result.err.splitlines()
    assert lines[0].startswith("kelp: error: ") and message in lines[0], result
    assert "-- command" not in result.err
    if hint:
        assert lines[1].startswith("hint: ") and hint in "\n".join(lines[1:]), result


def test_options_behind_the_image_are_explained(kelp, probe):
    kelp.fails("run", "--rm", probe, "-it", "sh", code=127, match="hint: options come before the image")
    assert "hint" not in kelp.fails("run", "--rm", probe, "nosuch", code=127).err
    kelp.ok("run", "-d", "--name", "c", probe, "pause")
    kelp.fails("exec", "c", "-it", "sh", code=127, match="hint: options come before the container")
    kelp.fails("start", "-a", "c", code=125, match="hint: 'kelp attach c'")
    kelp.fails("run", "--name", "c", probe, "true", code=125, match="hint: .*kelp rm c")
    kelp.ok("rm", "-f", "-t", "0", "c")
    kelp.ok("create", "--name", "c", probe, "true")
    kelp.fails("exec", "c", "true", code=125, match="hint: .*kelp start c")


def test_a_root_that_belongs_to_another_is_explained(kelp):
    """What sudo -u and su without - lead to: HOME is another user's."""
    kelp.fails("ps", env={"KELP_ROOT": None, "XDG_DATA_HOME": None, "HOME": "/usr"}, code=125, match="hint: .*is HOME right")


@pytest.mark.parametrize("verb", ["start", "stop", "kill", "rm", "wait", "logs"])
def test_no_such_container(kelp, verb):
    result = kelp.fails(verb, "nosuch", match="no such container")
    assert "nosuch" in result.err and result.out == ""


def test_no_such_image(kelp):
    kelp.fails("run", "--rm", "nosuchimage", code=125, match="no such image: nosuchimage(.|\n)*hint: .*(load|import)")
    assert kelp.ok("ps", "-aq") == ""


def test_version(kelp):
    version = kelp.ok("version", "--format", "{{.Client.Version}}")
    assert version in kelp.ok("--version")
    assert kelp.json("version", "--format", "json")["Server"]["Os"] == "linux"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can show that root is refused")
def test_root_is_refused_with_advice(kelp):
    result = subprocess.run([kelp.program("kelp"), "ps"], capture_output=True, text=True, timeout=20, env=kelp.env)
    assert result.returncode == 125 and "hint: make a user" in result.stderr
    result = subprocess.run([kelp.program("kelp"), "run", "--help"], capture_output=True, text=True, timeout=20, env=kelp.env)
    assert result.returncode == 0


def test_closed_standard_streams(kelp, probe):
    """Descriptors 0-2 closed by the caller: nothing of ours may land there."""
    script = 'exec 0<&- 1>&- 2>&-; exec "$0" run --rm probe true'
    assert kelp.execute(["sh", "-c", script, kelp.program("kelp")]).rc == 0


def test_full_disk_on_stdout_is_an_error(kelp):
    with open("/dev/full", "w") as full:
        result = kelp("--help", stdout=full)
    assert result.rc == 125 and "No space left" in result.err


# ---- run and friends ---------------------------------------------------------------------------


def test_environment_and_labels(kelp, probe):
    (kelp.work / "env").write_text("# comment\nFROM_FILE=f\nBOTH=file\n  INDENTED=i\nQUOTED=\"q\"\nIMPORTED\nABSENT\n\n")
    (kelp.work / "labels").write_text("a=1\nempty\n")
    out = kelp.ok("run", "--rm", "--env-file", "env", "-e", "BOTH=typed", "-e", "IMPORTED2", "-e", "ABSENT2", "-e", "EMPTY=",
                  probe, "env", env={"IMPORTED": "x", "IMPORTED2": "y"}).splitlines()
    for line in ("FROM_FILE=f", "BOTH=typed", "INDENTED=i", 'QUOTED="q"', "IMPORTED=x", "IMPORTED2=y", "EMPTY="):
        assert line in out, (line, out)
    assert not any(l.startswith("ABSENT") for l in out)
    kelp.ok("create", "--name", "ll", "--label-file", "labels", "-l", "b=2", "-l", "c", probe, "true")
    assert kelp.json("inspect", "ll")[0]["Config"]["Labels"] == {"a": "1", "empty": "", "b": "2", "c": ""}


def test_paths_are_relative_to_the_caller(kelp, probe):
    """Whoever reads or mounts them later is elsewhere."""
    (kelp.work / "here").mkdir()
    (kelp.work / "here" / "file").write_text("found")
    (kelp.work / "profile.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    for options in (["-v", "./here:/there"], ["-v", "../w/here:/there"],
                    ["--mount", "type=bind,source=./here,target=/there"]):
        assert kelp.ok("run", "--rm", *options, probe, "cat", "/there/file") == "found"
    kelp.ok("run", "--rm", "--security-opt", "seccomp=profile.json", probe, "true")
    kelp.fails("run", "--rm", "--security-opt", "seccomp=nowhere.json", probe, "true", code=125, match="/nowhere.json")
    kelp.ok("run", "--rm", "--security-opt", "seccomp=unconfined", probe, "true")


def test_env_file_with_white_space_in_a_name(kelp, probe):
    (kelp.work / "env").write_text("OK=1\nNOT OK=2\n")
    kelp.fails("run", "--rm", "--env-file", "env", probe, "true", code=125, match="file 'env' line 2: variable 'NOT OK'")


@pytest.mark.parametrize("command, code", [(["exit", "0"], 0), (["exit", "3"], 3), (["/bin/nosuch"], 127), (["/etc/passwd"], 126)])
def test_exit_codes(kelp, probe, command, code):
    argv = command if command[0].startswith("/") else ["/bin/probe", *command]
    result = kelp("run", "--rm", probe, *argv)
    assert result.rc == code, result
    assert kelp.ok("ps", "-aq") == ""


def test_detached_start_that_fails_keeps_the_container(kelp, probe):
    result = kelp("run", "-d", "--name", "broken", probe, "/bin/nosuch")
    assert result.rc == 127 and "/bin/nosuch" in result.err and result.out == ""
    assert kelp.state("broken")["Status"] in ("created", "exited")
    kelp.fails("run", "-d", "--rm", "--name", "gone", probe, "/bin/nosuch", code=127)
    assert "gone" not in kelp.ok("ps", "-a", "--format", "{{.Names}}").splitlines()


def test_stdout_and_stderr_are_kept_apart(kelp, probe):
    result = kelp("run", "--rm", probe, "/bin/probe", "seq", "echo", "to-out", "--", "err", "to-err")
    assert (result.out.strip(), result.err.strip()) == ("to-out", "to-err")
    result = kelp("run", "--rm", "-a", "stderr", probe, "/bin/probe", "seq", "echo", "to-out", "--", "err", "to-err")
    assert (result.out, result.err.strip()) == ("", "to-err")


def test_input_goes_in_whole_and_ends(kelp, probe):
    data = "".join(f"{i:07d}\n" for i in range(40000))
    assert kelp("run", "--rm", "-i", probe, "cat", input=data).out == data
    assert kelp("run", "--rm", probe, "cat", input="not forwarded").out == ""
    (kelp.work / "in").write_text(data)
    with open(kelp.work / "in") as f:
        assert kelp("run", "--rm", "-i", probe, "cat", stdin=f).out == data


def test_reader_that_goes_away(kelp, probe):
    """As with any program in a pipeline: 141, at once; the container goes on, as with Docker."""
    script = '"$0" run --name out probe /bin/probe seq lines 200000 -- pause | head -n 1; echo "${PIPESTATUS[0]}"'
    out = kelp.execute(["bash", "-c", script, kelp.program("kelp")]).out.splitlines()
    assert out[-1] == "141", out
    kelp.ok("rm", "-f", "out")


@pytest.mark.parametrize("name", ["TERM", "USR1", "HUP"])
def test_signals_are_passed_on(kelp, probe, name):
    number = int(getattr(signal, "SIG" + name))
    process = kelp.popen("run", "--rm", probe, "/bin/probe", "pause", number)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20 * harness.SCALE)
    assert (out, process.returncode) == (f"got {number}\n", 0), err


def test_the_third_interrupt_is_meant(kelp, probe):
    """A program that ignores all that is passed on cannot hold its user."""
    process = kelp.popen("run", "--name", "deaf", probe, "/bin/probe", "stubborn")
    assert process.stdout.readline() == "ready\n"
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)  # signals of one kind that come together are one
    assert process.wait(20 * harness.SCALE) == 130
    assert kelp.state("deaf")["Running"]
    kelp.ok("rm", "-f", "deaf")


def test_cidfile(kelp, probe):
    kelp.ok("create", "--name", "cc", "--cidfile", "cid", probe, "true")
    assert (kelp.work / "cid").read_text() == kelp.json("inspect", "cc")[0]["Id"]
    kelp.fails("create", "--cidfile", "cid", probe, "true", code=125, match="file 'cid' exists")
    assert len(kelp.ok("ps", "-aq").split()) == 1
    kelp.fails("create", "--name", "cc", "--cidfile", "cid2", probe, "true", code=125, match="cc")
    assert not (kelp.work / "cid2").exists()


def test_several_at_once(kelp, probe):
    names = [f"n{i}" for i in range(4)]
    for n in names:
        kelp.ok("create", "--name", n, "--stop-timeout", "1", probe, "/bin/probe", "stubborn")
    assert kelp.ok("start", *names).split() == names
    assert kelp.ok("start", *names).split() == names  # they run: that is what was asked for
    result = kelp("stop", "-t", "1", names[0], "nosuch", *names[1:])
    assert result.rc != 0 and result.out.split() == names and "stop: no such container: nosuch" in result.err
    result = kelp("rm", "nosuch", *names)
    assert result.rc != 0 and result.out.split() == names
    assert kelp.ok("rm", "-f", "nosuch") == ""


def test_wait_prints_codes_in_order(kelp, probe):
    for n, code in (("aa", 3), ("bb", 0)):
        kelp.ok("run", "-d", "--name", n, probe, "/bin/probe", "exit", code)
    assert kelp.ok("wait", "aa", "bb").split() == ["3", "0"]


# ---- listings and JSON -------------------------------------------------------------------------


def test_ps_columns_and_formats(kelp, probe):
    ident = kelp.ok("run", "-d", "--name", "up", "-l", "k=v", probe, "/bin/probe", "pause")
    kelp.ok("create", "--name", "made", probe, "/bin/probe", "echo", "a rather long command line")
    header, *rows = kelp("ps").out.splitlines()
    assert re.split(r"\s{2,}", header.strip()) == ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert len(rows) == 1 and rows[0].startswith(ident[:12]) and rows[0].endswith("up") and "Up " in rows[0]
    assert kelp.ok("ps", "-aq", "--no-trunc").split()[-1] == ident
    assert kelp.ok("ps", "-q") == ident[:12]
    assert kelp.ok("ps", "-lq", "--format", "{{.Names}}") == "made"
    assert kelp.ok("ps", "-n", "1", "--format", "{{.Names}}") == "made"
    assert kelp.ok("ps", "-a", "--filter", "name=up", "--format", "{{.Names}}\\t{{.State}}") == "up\trunning"
    assert kelp.ok("ps", "--filter", "status=created", "--format", "{{.Names}}") == "made"
    assert kelp.ok("ps", "-a", "--filter", "label=k=v", "--format", "{{.Labels}}") == "k=v"
    rows = [json.loads(l) for l in kelp("ps", "-a", "--format", "json").out.splitlines()]
    assert [r["Names"] for r in rows] == ["made", "up"]
    assert sorted(rows[0]) == list(rows[0]), "keys as Docker sorts them"
    assert rows[0]["Command"].startswith('"') and rows[0]["Command"].endswith('…"')
    assert kelp.ok("ps", "--format", "table {{.Names}}\\t{{.ID}}").splitlines()[0].split() == ["NAMES", "CONTAINER", "ID"]
    assert "virtual" in kelp.ok("ps", "-as", "--format", "{{.Size}}")


def test_templates(kelp, probe):
    kelp.ok("create", "--name", "cc", "-l", "com.example.the-role=db", "-l", "k=v", probe, "echo", "x")
    ps = lambda text: kelp("ps", "-a", "--format", text)
    assert ps('{{if eq .State "created"}}new{{else}}old{{end}} {{.Label "k"}}{{.Label "none"}} {{json .}}').out.startswith('new v {"Command":')
    head, row = ps('table {{.Names | upper}}\\t{{.Label "com.example.the-role"}}').out.splitlines()
    assert head.split("   ") == ["NAMES", "  the role"] and row.split() == ["CC", "db"]
    assert "B (virtual " in ps("{{.Size}}").out and ps("{{.Names}}").out == "cc\n", "sizes are measured when they are asked for"
    inspect = lambda text: kelp("inspect", "-f", text, "cc")
    assert inspect('{{range $i, $a := .Args}}{{if $i}},{{end}}{{$a}}{{end}}|{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}').out \
        .endswith("x|com.example.the-role=db;k=v;\n")
    assert inspect('{{with .State}}{{.Status | printf "%-9s|"}}{{end}}{{.Config.Labels.nope}} {{index .Config.Labels "k"}} {{.ID | len}}').out \
        == "created  |<no value> v 64\n"
    result = inspect("{{.Id}}\n{{.State.Nope}}")
    assert result.rc == 125 and result.out == "" and "2:4: can't evaluate field 'Nope'" in result.err
    assert "hint: {{.State.Nope}}\n         ^ known here: " in result.err
    assert kelp.ok("info", "--format", '{{range .Plugins.Log}}{{.}} {{end}}').split()[0] == "json-file"
    assert "kelp" in kelp.ok("version", "-f", "{{.Client.Name | lower}}")


def test_inspect(kelp, probe):
    kelp.ok("create", "--name", "cc", "-v", f"{kelp.work}:/mnt", probe, "true")
    text = kelp("inspect", "cc").out
    assert text.startswith('[\n    {\n        "Id": "') and "\\/" not in text
    assert kelp.ok("inspect", "-f", "{{.Name}} {{.State.Status}} {{json .Config.Tty}}", "cc") == "/cc created false"
    assert kelp.json("inspect", "--format", "json", "cc")["Name"] == "/cc"
    assert kelp.json("inspect", probe)[0]["Id"].startswith("sha256:")
    result = kelp("inspect", "nosuch")
    assert (result.rc, json.loads(result.out)) == (1, []) and "no such container, image or volume: nosuch" in result.err
    result = kelp("inspect", "cc", "nosuch")
    assert result.rc == 1 and len(json.loads(result.out)) == 1
    assert kelp("inspect", "--type", "image", "cc").rc == 1
    assert kelp("container", "inspect", probe).rc == 1


def test_logs_options(kelp, probe):
    kelp.ok("run", "-d", "--name", "ll", probe, "/bin/probe", "seq", "lines", "5", "--", "err", "problem")
    kelp.ok("wait", "ll")
    result = kelp("logs", "ll")
    assert len(result.out.splitlines()) == 5 and result.err == "problem\n"
    assert len(kelp("logs", "-n", "2", "ll").out.splitlines() + kelp("logs", "-n", "2", "ll").err.splitlines()) == 2
    assert kelp("logs", "--tail", "0", "ll").out == ""
    assert re.match(r"^\d{4}-\d\d-\d\dT", kelp("logs", "-t", "ll").out)
    assert kelp("logs", "--since", "1h", "ll").out != "" and kelp("logs", "--until", "1h", "ll").out == ""
    assert kelp("logs", "--since", "2100-01-01", "ll").out == ""
    assert len(kelp("logs", "-f", "ll").out.splitlines()) == 5


def test_logs_follow_ends_with_the_container(kelp, probe):
    kelp.ok("run", "-d", "--name", "ff", "-i", probe, "/bin/probe", "seq", "echo", "one", "--", "pause")
    process = kelp.popen("logs", "-f", "ff")
    assert process.stdout.readline() == "one\n"
    kelp.ok("stop", "ff")
    assert process.wait(20 * harness.SCALE) == 0


# ---- info and doctor ---------------------------------------------------------------------------


def test_info(kelp, probe):
    info = kelp.json("info", "--format", "json")
    assert info["Images"] == 1 and info["Containers"] == 0 and info["Rootless"] is True
    assert info["storage"]["driver"] in ("overlay", "fuse-overlayfs", "copy") and info["storage"]["why"]
    assert info["userns"]["tier"] == "full" and info["userns"]["uidMap"][0]["containerID"] == 0
    assert info["paths"]["root"] == str(kelp.root)
    assert kelp.ok("info", "-f", "{{.Driver}}") == info["storage"]["driver"]
    text = kelp.ok("info")
    assert "Storage driver: " in text and "Ids: full" in text


def test_info_names_the_tier_without_ids(make_kelp, noids_user):
    info = make_kelp(user=noids_user).json("info", "--format", "json")
    assert info["userns"]["tier"] == "one" and info["userns"]["why"]
    assert any("ids" in w for w in info["Warnings"])


def test_doctor(kelp):
    doctor = kelp.json("doctor", "--format", "json")
    checks = {c["Name"]: c for c in doctor["Checks"]}
    assert doctor["CanRun"] is True
    for name in ("user-namespace", "namespaces", "mount", "proc", "seccomp", "pidfd", "openat2", "mount_setattr", "programs"):
        assert checks[name]["State"] == "ok", checks[name]
    for c in doctor["Checks"]:
        assert c["State"] == "ok" or (c["Cause"] and c["Remedy"]), c
    text = kelp.ok("doctor")
    assert "Containers can run here" in text


def test_doctor_says_what_is_missing(kelp):
    kelp.env["KELP_LIBEXEC"] = "/nonexistent"
    result = kelp("doctor")
    assert result.rc == 1
    assert re.search(r"^missing +programs", result.out, re.M) and "Containers cannot run here" in result.out
    result = kelp("doctor", "--format", "{{.Name}} {{.State}}")
    assert result.rc == 1 and "programs missing" in result.out


def test_doctor_without_ids_still_runs(make_kelp, noids_user):
    result = make_kelp(user=noids_user)("doctor", "--format", "json")
    check = next(c for c in json.loads(result.out)["Checks"] if c["Name"] == "subordinate-ids")
    assert result.rc == 0 and check["State"] == "degraded" and "usermod --add-subuids" in check["Remedy"]
