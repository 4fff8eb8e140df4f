# SPDX-License-Identifier: Apache-2.0
"""Secrets: their verbs, what containers have of them, and that nothing else shows them."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

import harness
from harness import wait_for

ID = re.compile(r"^[0-9a-f]{25}$")
WORD = "hunter2-that-nothing-may-show"


@pytest.fixture(autouse=True)
def no_secrets_left(kelp):
    yield
    kelp("secret", "rm", "--all")
    assert not list((kelp.root / "secrets").glob("*"))


def make(kelp, name="pw", data=WORD, *options, **kw):
    return kelp.ok("secret", "create", *options, name, "-", input=data, **kw).strip()


def files_with(kelp, word=WORD):
    """Relative paths of the store's files that contain the word."""
    found = []
    for directory, _, names in os.walk(kelp.root):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path) and word.encode() in open(path, "rb").read():
                found.append(os.path.relpath(path, kelp.root))
    return sorted(found)


# ---- the verbs ---------------------------------------------------------------------------------


def test_create_list_inspect_remove(kelp):
    secret = make(kelp, "pw", WORD, "-l", "app=shop", "-l", "plain=")
    assert ID.match(secret)
    other = make(kelp, "other.key", "x", "-d", "file")
    assert kelp.ok("secret", "ls", "-q").split() == [other, secret]
    head, *rows = kelp.ok("secret", "list").splitlines()
    assert head.split() == ["ID", "NAME", "DRIVER", "CREATED", "UPDATED"]
    assert [r.split()[1] for r in rows] == ["other.key", "pw"]
    assert kelp.ok("secret", "ls", "--noheading").splitlines() == rows
    assert kelp.ok("secret", "ls", "--format", '{{.Name}} {{.Label "app"}}').splitlines() == ["other.key ", "pw shop"]
    for f, want in (("name=pw", ["pw"]), ("label=app", ["pw"]), ("label=app=shop", ["pw"]), ("label=app=x", []),
                    (f"id={other[:4]}", ["other.key"]), ("name=k", ["other.key"])):
        assert kelp.ok("secret", "ls", "--filter", f, "--format", "{{.Name}}").split() == want, f
    info = json.loads(kelp.ok("secret", "inspect", secret[:8]))[0]
    assert info["ID"] == secret and info["Spec"]["Name"] == "pw"
    assert info["Spec"]["Labels"] == {"app": "shop", "plain": ""} and info["Spec"]["Driver"]["Name"] == "file"
    assert "SecretData" not in info and info["CreatedAt"] == info["UpdatedAt"]
    assert kelp.ok("secret", "inspect", "--showsecret", "--format", "{{.SecretData}}", "pw").strip() == WORD
    pretty = kelp.ok("secret", "inspect", "--pretty", "pw")
    assert "Name:            pw\n" in pretty and " - app=shop\n" in pretty and WORD not in pretty
    assert kelp("secret", "exists", "pw").rc == 0 and kelp("secret", "exists", "none").rc == 1
    assert kelp.ok("secret", "rm", "pw").strip() == secret
    gone = kelp("secret", "rm", "pw", "other.key")
    assert gone.rc == 1 and "no such secret: pw" in gone.err and gone.out.strip() == other
    assert kelp("secret", "rm", "-i", "pw").rc == 0
    assert kelp.ok("secret", "ls", "-q") == ""


def test_where_it_comes_from(kelp):
    path = kelp.work / "key"
    path.write_bytes(b"bytes\0\xff\n")
    os.chmod(path, 0o644)
    kelp.ok("secret", "create", "bytes", path)
    kelp.ok("secret", "create", "--env", "variable", "FROM_HERE", env={"FROM_HERE": WORD})
    assert (kelp.root / "secrets/bytes/data").read_bytes() == b"bytes\0\xff\n"
    assert (kelp.root / "secrets/variable/data").read_text() == WORD
    no_text = kelp("secret", "inspect", "--showsecret", "bytes")
    assert no_text.rc == 1 and "no text" in no_text.err
    for args in (("--env", "x", "NOT_SET_ANYWHERE"), ("x", kelp.work / "missing"), ("-d", "pass", "x", path), ("a/b", path),
                 ("../x", path), ("", path), ("x" * 254, path)):
        r = kelp("secret", "create", *args)
        assert r.rc == 125 and "error:" in r.err, args
    assert kelp.ok("secret", "ls", "--format", "{{.Name}}").split() == ["bytes", "variable"]


@pytest.mark.parametrize("size, fits", [(0, False), (1, True), (512000, True), (512001, False)])
def test_size(kelp, size, fits):
    r = kelp("secret", "create", "sized", "-", input="s" * size)
    assert (r.rc == 0) == fits, r
    assert kelp("secret", "exists", "sized").rc == (0 if fits else 1)


def test_replace_and_ignore(kelp):
    first = make(kelp)
    again = kelp("secret", "create", "pw", "-", input="second")
    assert again.rc == 125 and "--replace" in again.err and "second" not in again.err
    assert make(kelp, "pw", "second", "--ignore") == first
    assert kelp.ok("secret", "inspect", "--showsecret", "--format", "{{.SecretData}}", "pw").strip() == WORD
    created = kelp.ok("secret", "inspect", "-f", "{{.CreatedAt}}", "pw")
    new = make(kelp, "pw", "second", "--replace")
    assert new != first
    info = json.loads(kelp.ok("secret", "inspect", "--showsecret", "pw"))[0]
    assert info["SecretData"] == "second" and info["CreatedAt"] == created.strip() and info["UpdatedAt"] != info["CreatedAt"]
    assert make(kelp, "fresh", "x", "--replace")
    assert files_with(kelp) == []


def test_modes_on_disk(kelp):
    make(kelp)
    assert (kelp.root / "secrets/pw").stat().st_mode & 0o777 == 0o700
    assert (kelp.root / "secrets/pw/data").stat().st_mode & 0o777 == 0o600


# ---- in containers -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--read-only",), ("--userns", "keep-id"), ("--userns", "host"), ("--tmpfs", "/run"),
                                     ("--storage-driver", "copy")])
def test_as_a_file(kelp, busybox, options):
    make(kelp)
    out = kelp.ok("run", "--rm", *options, "--secret", "pw", "--user", "0", busybox, "/bin/sh", "-c",
                  "cat /run/secrets/pw; echo; stat -c '%a %u %g' /run/secrets/pw; ls /run/secrets; grep ' /run/secrets/pw ' /proc/mounts;"
                  "echo no > /run/secrets/pw || echo read-only")
    lines = out.splitlines()
    assert lines[:3] == [WORD, "444 0 0", "pw"], out
    assert lines[3].split()[2] == "tmpfs" and "ro," in lines[3].split()[3] and lines[4] == "read-only"


def test_options_of_a_file(kelp, busybox):
    make(kelp)
    make(kelp, "second", "2")
    out = kelp.ok("run", "--rm", "--secret", "pw,target=/etc/deep/er/key,uid=7,gid=8,mode=0400", "--secret", "second,target=named",
                  "--secret", "second", busybox, "/bin/sh", "-c",
                  "cat /etc/deep/er/key; echo; stat -c '%a %u %g' /etc/deep/er/key; ls /run/secrets; cat /run/secrets/named; ls / | grep secret || true")
    assert out.splitlines() == [WORD, "400 7 8", "named", "second", "2"]
    whole = kelp("run", "--rm", "--secret", "pw,uid=400000000", busybox, "true")
    assert whole.rc == 125 and "/run/secrets/pw" in whole.err


def test_not_on_what_the_user_mounts(kelp, busybox):
    """A directory of the host below the target gets a mount point, and not a byte of the secret."""
    make(kelp)
    shared = kelp.work / "shared"
    shared.mkdir()
    os.chown(shared, kelp.user.uid, kelp.user.gid)
    assert kelp.ok("run", "--rm", "-v", f"{shared}:/run/secrets", "--secret", "pw", busybox, "cat", "/run/secrets/pw") == WORD
    assert (shared / "pw").read_bytes() == b""


def test_as_a_variable(kelp, busybox):
    make(kelp)
    show = ("/bin/sh", "-c", "echo $pw; echo $OTHER")
    assert kelp.ok("run", "--rm", "--secret", "pw,type=env", "--secret", "pw,type=env,target=OTHER", busybox, *show).split() == [WORD, WORD]
    kelp.ok("run", "-d", "--name", "c", "-e", "OTHER=public", "--secret", "pw,type=env,target=OTHER", busybox, "sleep", "1000")
    assert kelp.ok("exec", "c", *show).split() == [WORD]
    assert kelp.ok("exec", "-e", "OTHER=mine", "c", *show).split() == ["mine"]
    inspected = kelp.ok("inspect", "c")
    assert WORD not in inspected and json.loads(inspected)[0]["Config"]["Secrets"][0]["Name"] == "pw"
    kelp.ok("rm", "-f", "c")
    (kelp.work / "nul").write_bytes(b"a\0b")
    kelp.ok("secret", "create", "nul", kelp.work / "nul")
    r = kelp("run", "--rm", "--secret", "nul,type=env", busybox, "true")
    assert r.rc == 125 and "NUL" in r.err


@pytest.mark.parametrize("value, message", [
    ("none", "no such secret: none"), ("", "name of the secret"), ("pw,type=disk", "unknown type"), ("pw,mode=9", "mode"),
    ("pw,uid=x", "uid"), ("pw,what=1", "unknown option"), ("pw,target=../../etc/passwd", "not a file there"), ("pw,target=/", "not a file"),
    ("pw,type=env,target=A=B", "variable"), ("pw,type=env,mode=0400", "no mode")])
def test_what_cannot_be(kelp, busybox, value, message):
    make(kelp)
    r = kelp("create", "--secret", value, busybox, "true")
    assert r.rc == 125 and message in r.err and WORD not in r.err, r
    assert kelp.ok("ps", "-aq") == ""


def test_nothing_shows_it(kelp, busybox):
    """Only the secret and the container's copy hold it; neither descriptions, logs and events, nor what is made of the container."""
    make(kelp)
    kelp.ok("run", "-d", "--name", "c", "--secret", "pw", "--secret", "pw,type=env,target=VARIABLE", busybox, "sleep", "1000")
    kelp.ok("exec", "c", "true")
    cid = kelp.ok("inspect", "-f", "{{.Id}}", "c").strip()
    copies = [f"containers/{cid}/secrets/0", f"containers/{cid}/secrets/1"]
    assert files_with(kelp) == sorted(copies + ["secrets/pw/data"])
    assert WORD not in kelp.ok("inspect", "c") + kelp.ok("events", "--since", "1h", "--until", "0s") + kelp.ok("--debug", "ps", "-a")
    assert kelp.ok("diff", "c") == ""
    kelp.ok("export", "-o", kelp.work / "c.tar", "c")
    assert WORD.encode() not in (kelp.work / "c.tar").read_bytes()
    kelp.ok("commit", "-q", "c", "made:1")
    assert "VARIABLE" not in kelp.ok("image", "inspect", "made:1")
    assert kelp.ok("run", "--rm", "made:1", "/bin/sh", "-c", "cat /run/secrets/pw 2>/dev/null; echo $VARIABLE").strip() == ""
    kelp.ok("rm", "-f", "c")
    assert files_with(kelp) == ["secrets/pw/data"]


def test_a_container_keeps_what_it_was_given(kelp, busybox):
    make(kelp)
    kelp.ok("create", "--name", "c", "--secret", "pw", "--secret", "pw,type=env", busybox, "/bin/sh", "-c", "cat /run/secrets/pw; echo; echo $pw")
    make(kelp, "pw", "second", "--replace")
    assert kelp.ok("start", "-a", "c").split() == [WORD, WORD]
    kelp.ok("secret", "rm", "pw")
    assert kelp.ok("start", "-a", "c").split() == [WORD, WORD]
    kelp.ok("rm", "c")
    assert files_with(kelp) == []


# ---- many at once, and kills -------------------------------------------------------------------


def test_one_of_many_makers_wins(kelp):
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(kelp("secret", "create", "pw", "-", input=f"from-{i}"))) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    winners = [r for r in results if r.rc == 0]
    assert len(winners) == 1 and all("there is one of that name" in r.err for r in results if r.rc != 0)
    assert kelp.ok("secret", "inspect", "-f", "{{.ID}}", "pw") + "\n" == winners[0].out


def test_a_reader_sees_the_old_or_the_new(kelp):
    """Info and data belong together while others replace it."""
    make(kelp, "pw", "0", "-l", "is=0")
    stop = threading.Event()

    def replace():
        for i in range(1, 40):
            make(kelp, "pw", str(i), "--replace", "-l", f"is={i}")
        stop.set()

    t = threading.Thread(target=replace)
    t.start()
    seen = 0
    while not stop.is_set():
        r = kelp("secret", "inspect", "--showsecret", "-f", '{{.SecretData}} {{index .Spec.Labels "is"}}', "pw")
        assert r.rc == 0, r
        seen += 1
    t.join()
    assert seen > 0 and kelp.ok("secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", "pw").strip() == "39"


@pytest.mark.parametrize("steps", range(0, 60, 3))
def test_killed_while_it_replaces(kelp, steps):
    """kill -9 after so many system calls that change something: whole, the old or the new, and nothing left over."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    kelp.garbage = True
    make(kelp, "pw", "old")
    calls = "openat,mkdirat,renameat2,unlinkat,write,fsync,flock"
    r = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=SIGKILL:when={steps + 1}",
                        str(kelp.programs / "kelp"), "--root", str(kelp.root), "secret", "create", "--replace", "pw", "-"],
                       input=b"new", env=kelp.env, cwd=kelp.work, capture_output=True, timeout=60, **kelp.user.credentials())
    data = kelp.ok("secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", "pw").strip()
    assert data in ("old", "new")
    assert r.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), r
    make(kelp, "pw", "last", "--replace")
    kelp("run", "--rm", "nothing")  # sweeps
    kelp.ok("secret", "rm", "pw")
    wait_for(lambda: files_with(kelp, "old") == [] and files_with(kelp, "new") == [], what="nothing of them is left")


@pytest.mark.skipif(not harness.BUILD.exists(), reason="no build")
def test_killed_while_it_is_given(kelp, probe):
    """Whoever makes the container dies: no copy stays in a container that nobody finds."""
    kelp.garbage = True
    make(kelp)
    for steps in range(1, 200, 9):
        if not shutil.which("strace"):
            pytest.skip("strace is not installed")
        calls = "openat,mkdirat,renameat,symlinkat,write,fsync"
        subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=SIGKILL:when={steps}",
                        str(kelp.programs / "kelp"), "--root", str(kelp.root), "create", "--secret", "pw", probe, "true"],
                       env=kelp.env, cwd=kelp.work, capture_output=True, timeout=60, **kelp.user.credentials())
    for c in kelp.ok("ps", "-aq").split():
        assert kelp("start", "-a", c).rc == 0
        kelp.ok("rm", c)
    kelp("create", "nothing")  # sweeps
    wait_for(lambda: files_with(kelp) == ["secrets/pw/data"], what="only the secret is left")


def test_target_through_a_relative_link(kelp, busybox):
    kelp.ok("run", "--name", "c", busybox, "sh", "-c", "rm -rf /var/run; ln -s ../run /var/run")
    kelp.ok("commit", "-q", "c", "linked")
    make(kelp, "pw", "s3cret")
    assert kelp.ok("run", "--rm", "--secret", "pw,target=/var/run/deep/pw", "linked", "cat", "/run/deep/pw") == "s3cret"
