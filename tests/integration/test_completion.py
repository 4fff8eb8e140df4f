# SPDX-License-Identifier: Apache-2.0
"""Completion: what `kelp __complete` offers, the scripts in real shells, and the manual pages with the check that they are complete."""
import os
import re
import shutil
import subprocess

import pytest

import harness

MAN = harness.SOURCE / "docs" / "man"
MAN_PAGE = harness.BUILD / "docs" / "man" / "man_page"


def offered(kelp, *words, meanings=False):
    result = kelp("__complete", "--", *words)
    assert result.rc == 0 and result.err == "", result
    lines = result.out.splitlines()
    return lines if meanings else [line.split("\t")[0] for line in lines]


@pytest.fixture
def peopled(kelp, busybox):
    """A container that runs, one that does not, and an image with a tag."""
    kelp.ok("tag", busybox, "demo/app:v1")
    kelp.ok("run", "-d", "--name", "runner", busybox, "sleep", "1000")
    kelp.ok("create", "--name", "sleeper", busybox, "true")
    yield kelp
    kelp.ok("rm", "-f", "runner", "sleeper")


# ---- what is offered -----------------------------------------------------------------------------


@pytest.mark.parametrize("words, expected", [
    (["ru"], ["run"]),
    (["im"], ["image", "images", "import"]),
    (["image", "in"], ["inspect"]),
    (["help", "vers"], ["version"]),
    (["help", "container", "sta"], ["start"]),
    (["--log-level", "w"], ["warn"]),
    (["--log-level=w"], ["--log-level=warn"]),
    (["--ro"], ["--root"]),
    (["--root", "/nonexistent", "vers"], ["version"]),
    (["run", "--network", "h"], ["host"]),
    (["run", "--network=h"], ["--network=host"]),
    (["run", "--network", "con"], ["container:", ":nospace"]),
    (["run", "--storage-d"], ["--storage-driver"]),
    (["run", "--name", "--storage-d"], []),              # a value
    (["run", "-it", "--storage-d"], ["--storage-driver"]),
    (["run", "-itw", "--storage-d"], []),                # the value of the w
    (["run", "image", "--storage-d"], []),               # belongs to the command
    (["run", "image", ""], []),
    (["run", "--", "--storage-d"], []),
    (["run", "--env-file", ""], [":files"]),
    (["run", "--cap-add", "NET_B"], ["NET_BIND_SERVICE", "NET_BROADCAST"]),
    (["kill", "-s", "SIGT"], ["SIGTRAP", "SIGTERM", "SIGTSTP", "SIGTTIN", "SIGTTOU"]),
    (["ps", "--filter", "status=r"], ["status=running"]),
    (["save", "--format", "oci-"], ["oci-archive", "oci-dir"]),
    (["import", ""], [":files"]),
    (["import", "file", ""], []),
    (["completion", ""], ["bash", "zsh", "fish"]),
    (["completion", "bash", ""], []),
    (["version", ""], []),
    (["nosuch", ""], []),
    (["nosuch", "--"], []),
    (["container", "nosuch", ""], []),
    (["run", "--nosuch=", ], []),
    (["run", "-"], None),
    ([], []),
])
def test_words(kelp, words, expected):
    found = offered(kelp, *words)
    if expected is None:
        assert {"--rm", "-i", "-t", "--help"} <= set(found)
    else:
        assert sorted(found) == sorted(expected)


def test_every_verb_and_option_of_help_is_offered(kelp):
    verbs = offered(kelp, "")
    listed = re.findall(r"^  (\w+) ", kelp.ok("--help").split("Global options")[0], re.M)
    assert len(listed) > 20 and set(listed) <= set(verbs)
    assert len(set(verbs)) == len(verbs)
    for verb in listed:
        options = set(re.findall(r"--[a-z][a-z-]*", "\n".join(
            re.findall(r"^  (?:-.,|   ) (--[a-z-]+)", kelp.ok(verb, "--help"), re.M))))
        assert options <= set(offered(kelp, verb, "--")), verb


def test_objects(peopled):
    kelp = peopled
    assert "demo/app:v1" in offered(kelp, "run", "")
    assert offered(kelp, "rmi", "demo/") == ["demo/app:v1"]
    assert offered(kelp, "rmi", "demo/app:v1", "demo/") == []  # it stands there already
    assert sorted(offered(kelp, "logs", "")) == ["runner", "sleeper"]
    assert sorted(offered(kelp, "rm", "-f", "")) == ["runner", "sleeper"]
    assert offered(kelp, "rm", "runner", "") == ["sleeper"]
    assert offered(kelp, "stop", "") == ["runner"]
    assert offered(kelp, "container", "exec", "-it", "") == ["runner"]
    assert offered(kelp, "exec", "runner", "") == []
    assert offered(kelp, "start", "") == ["sleeper"]
    assert {"runner", "sleeper", "demo/app:v1"} <= set(offered(kelp, "inspect", ""))
    assert offered(kelp, "run", "--pid", "container:r") == ["container:runner"]
    assert offered(kelp, "run", "--pid=container:") == ["--pid=container:runner"]
    assert "runner\tcontainer" in offered(kelp, "logs", "", meanings=True)
    other = kelp.base / "other"
    assert offered(kelp, "--root", other, "logs", "") == []
    assert not other.exists()
    assert sorted(offered(kelp, f"--root={kelp.root}", "logs", "")) == ["runner", "sleeper"]


def test_volumes(kelp):
    kelp.ok("volume", "create", "data")
    assert offered(kelp, "volume", "rm", "d") == ["data"]
    assert offered(kelp, "volume", "rm", "data", "") == []
    kelp.ok("volume", "rm", "data")


def test_nothing_is_made_locked_or_said(kelp):
    """No store, one that can't be read, one whose locks are held, files that are no containers."""
    missing = kelp.base / "missing"
    assert offered(kelp, "--root", missing, "rm", "") == [] and not missing.exists()
    (kelp.root / "names").mkdir(mode=0o700, exist_ok=True)
    if os.getuid() == 0:
        os.chown(kelp.root / "names", kelp.user.uid, kelp.user.gid)
    (kelp.root / "names" / "loose").symlink_to("../containers/" + "0" * 64)
    (kelp.root / "names" / "odd\nname").symlink_to("../containers/" + "0" * 64)
    assert offered(kelp, "rm", "") == []
    assert (kelp.root / "names" / "loose").is_symlink()
    holder = kelp.spawn(["flock", kelp.root / "lock", "sh", "-c", "echo held; cat"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    assert offered(kelp, "rmi", "") == []
    holder.communicate("")
    for p in (kelp.root / "names").iterdir():
        p.unlink()
    assert kelp("__complete").rc == 0
    assert kelp("__complete", "--").rc == 0


def test_unknown_shell(kelp):
    kelp.fails("completion", "tcsh", code=125, match="no completion for the shell 'tcsh'\nhint: there is one for bash, zsh and fish")


# ---- in shells -----------------------------------------------------------------------------------

CASES = [  # what is typed; what the line has to become
    ("kelp vers\t", "kelp version "),
    ("kelp container sta\t", "kelp container start "),
    ("kelp run --storage-d\t", "kelp run --storage-driver "),
    ("kelp run --network=no\t", "kelp run --network=none "),
    ("kelp run --network con\tru\t", "kelp run --network container:runner "),
    ("kelp rmi demo/\t", "kelp rmi demo/app:v1 "),
    ("kelp rmi demo/app:\t", "kelp rmi demo/app:v1 "),
    ("kelp stop \t", "kelp stop runner "),
    ("kelp start sl\t", "kelp start sleeper "),
    ("kelp import some-f\t", "kelp import some-file "),
    ("kelp run --env-file=some-f\t", "kelp run --env-file=some-file "),
]


def shell(kelp, argv, **env):
    env = {**kelp.env, "PATH": f"{kelp.programs}:{kelp.env['PATH']}", "TERM": "dumb", "HOME": str(kelp.work),
           "XDG_CONFIG_HOME": str(kelp.work), "XDG_DATA_HOME": str(kelp.work), **env}
    terminal = harness.Pty(argv, env, kelp.work, kelp.user, size=(24, 200))
    kelp.started.append(terminal)
    return terminal


def write(kelp, name, text):
    path = kelp.work / name
    path.write_text(text)
    os.chmod(path, 0o644)
    return path


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash(peopled):
    write(peopled, "some-file", "")
    rc = write(peopled, "rc", "PS1='READY '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n"
                              "source <(kelp completion bash)\n")
    terminal = shell(peopled, ["bash", "--noprofile", "--rcfile", rc, "-i"])
    for typed, line in CASES:
        terminal.expect("READY ")
        # ctrl-a and the words before it make the line one that prints itself
        terminal.send(typed + "\x01printf '<%s>\\n' '\x05'\r")
        terminal.expect(re.escape(f"\n<{line}>"))


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh")
def test_zsh(peopled):
    write(peopled, "some-file", "")
    write(peopled, ".zshrc", "PS1='READY '; unsetopt zle_bracketed_paste prompt_sp; autoload -Uz compinit; compinit -u -D\n"
                             "bindkey -e; source <(kelp completion zsh)\n")
    terminal = shell(peopled, ["zsh", "-d", "-i"], ZDOTDIR=str(peopled.work))
    for typed, line in CASES:
        terminal.expect("READY ")
        terminal.send(typed + "\x01printf '<%s>\\n' '\x05'\r")
        # zsh takes back the blank that it added when something else than a word follows
        terminal.expect(re.escape(f"\n<{line.rstrip()}") + " ?>")


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_fish(peopled):
    """Fish says itself what it would offer."""
    write(peopled, "some-file", "")
    env = {"HOME": str(peopled.work), "XDG_CONFIG_HOME": str(peopled.work), "XDG_DATA_HOME": str(peopled.work),
           "PATH": f"{peopled.programs}:{peopled.env['PATH']}"}
    for typed, line in CASES:
        if typed.count("\t") > 1:
            continue
        command = f"kelp completion fish | source; complete -C '{typed.rstrip(chr(9))}'"
        result = peopled.execute(["fish", "--no-config", "-c", command], env=env)
        words = [w.split("\t")[0] for w in result.out.splitlines()]
        assert line.split()[-1] in words, (typed, result)


# ---- the manual ----------------------------------------------------------------------------------


@pytest.fixture
def prose(tmp_path):
    return shutil.copytree(MAN, tmp_path / "man")


def check(directory):
    return subprocess.run([MAN_PAGE, "check", directory], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})


@pytest.mark.parametrize("name, change, complaint", [
    ("kelp-run", None, r"kelp run has no manual page: write \S+/kelp-run\.1\.scd\.in"),
    ("kelp-nosuch", lambda t: "", r"kelp-nosuch\.1\.scd\.in: there is no such command"),
    ("kelp-rm", lambda t: t + "\n*--nosuch* is told.\n", r"kelp-rm\.1\.scd\.in:\d+: there is no option '--nosuch'"),
    ("kelp-rm", lambda t: t + "\nUse *-z*.\n", "there is no option '-z'"),
    ("kelp-rm", lambda t: t + "\n```\nkelp rm -z x\n```\n", "there is no option '-z'"),
    ("kelp-rm", lambda t: t + "\n```\nkelp rm --replace x\n```\n", "there is no option '--replace'"),
    ("kelp-rm", lambda t: t + "\n```\nkelp frob x\n```\n", "there is no command 'frob'"),
    ("kelp-rm", lambda t: t + "\n```\nx | kelp rename && y\n```\n", "kelp rename does not take 0 arguments"),
    ("kelp-rm", lambda t: t + "\n*kelp run --rm* is the same, *kelp rm --force x* not.\n", None),
    ("kelp-rm", lambda t: t.replace("# EXIT STATUS", "# EXITS"), "section '# EXIT STATUS' is missing"),
    ("kelp-rm", lambda t: "# NAME\n\n" + t, "must begin with '# DESCRIPTION'"),
    ("kelp", lambda t: t + "\n*--nosuch*\n", "there is no option '--nosuch'"),
])
def test_the_check_of_the_manual(prose, name, change, complaint):
    page = prose / f"{name}.1.scd.in"
    if change is None:
        page.unlink()
    else:
        page.write_text(change(page.read_text() if page.exists() else ""))
    result = check(prose)
    if complaint is None:
        assert result.returncode == 0, result.stderr
    else:
        assert result.returncode == 1 and re.search(complaint, result.stderr), result.stderr


def test_a_page_that_is_not_in_the_list(prose):
    build = prose / "meson.build"
    build.write_text(build.read_text().replace("  'kelp-rm',\n", ""))
    assert "'kelp-rm' is not in the list" in check(prose).stderr


@pytest.mark.skipif(not shutil.which("scdoc"), reason="no scdoc")
def test_pages_are_built_and_have_every_option(kelp):
    pages = sorted((harness.BUILD / "docs" / "man").glob("*.1"))
    assert len(pages) == len(list(MAN.glob("*.scd.in")))
    for page in pages:
        text = page.read_text().replace("\\", "")
        assert text.count(".SH") >= 6, page
        verb = page.name[len("kelp-"):-len(".1")]
        if page.name == "kelp.1" or not (kelp(verb, "--help").rc == 0):
            continue
        for option in re.findall(r"^  (?:-.,|   ) (--[a-z-]+)", kelp.ok(verb, "--help"), re.M):
            assert option in text, (page, option)
