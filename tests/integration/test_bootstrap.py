# SPDX-License-Identifier: Apache-2.0
"""What `./bootstrap run` does besides compiling, with its functions loaded into a shell of the test's own."""
import shutil
import subprocess

import pytest

import harness

BOOTSTRAP = harness.SOURCE / "bootstrap"


@pytest.fixture
def checkout(make_kelp):
    """A kelp, and a checkout that its user cannot reach: as_user() says so."""
    kelp = make_kelp()
    top = kelp.base / "checkout"
    top.mkdir()
    shutil.copy(BOOTSTRAP, top)
    (top / "build").symlink_to(harness.BUILD)
    return kelp, top


def script(text):
    """Asked for help, bootstrap prints it and has defined its functions."""
    return ["sh", "-c", f". ./bootstrap >/dev/null\n{text}", "./bootstrap", "--help"]


def test_programs_in_another_home_find_what_belongs_to_them(checkout, probe_tar):
    """From root's checkout they were copied without the layout in which kelp looks for its helpers and its profile."""
    kelp, top = checkout
    home = kelp.base / "home"
    home.mkdir()
    result = subprocess.run(script(f"""
        user=somebody
        mkdir -p build-logs
        as_user() {{ case $1 in test) return 1 ;; esac; "$@"; }}
        getent() {{ echo "somebody:x:1:1::{home}:/bin/sh"; }}
        place_programs && place_programs && echo "kelp=$kelp" """), cwd=top, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert result.returncode == 0, result
    placed = home / "kelp" / "bin" / "kelp"
    assert result.stdout.strip().endswith(f"kelp={placed}")
    # A user's or an administrator's profile would hide that Kelp's own is missing.
    env = {"KELP_LIBEXEC": None, "XDG_CONFIG_HOME": str(kelp.work)}
    for args in (["import", probe_tar, "moved"], ["run", "--rm", "moved", "/bin/true"]):
        result = kelp.execute([placed, *args], env=env)
        assert result.rc == 0, result


def test_a_checkout_of_another_user_is_named(checkout):
    kelp, top = checkout
    top.chmod(0o555)
    result = kelp.execute(script("build_variant build"), cwd=top)
    top.chmod(0o755)
    assert result.rc == 1, result
    assert "bootstrap: error: you may not write to '.'" in result.err
    assert "bootstrap: hint: " in result.err
