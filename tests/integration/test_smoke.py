# SPDX-License-Identifier: Apache-2.0
"""The shortest way through the whole engine; what fails here fails everywhere."""


def test_version(kelp):
    assert kelp.ok("--version").lower().startswith("kelp")


def test_run_prints_output_and_returns_exit_code(kelp, probe):
    assert kelp.ok("run", "--rm", probe, "/bin/probe", "echo", "hello", "world") == "hello world"
    assert kelp("run", "--rm", probe, "/bin/probe", "exit", "42").rc == 42


def test_run_is_root_inside_and_alone(kelp, probe):
    out = kelp.ok("run", "--rm", probe, "/bin/probe", "seq", "id", "--", "ps")
    lines = out.splitlines()
    assert lines[0].startswith("uid=0 euid=0 gid=0")
    assert [l.split()[0] for l in lines[1:]] == ["1"]
