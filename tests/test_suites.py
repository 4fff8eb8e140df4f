# SPDX-License-Identifier: Apache-2.0
"""
Everything that is not written in Python, as pytest cases, so that one summary counts all: the tests of each build variant that
meson knows (lint, unit, fuzz replay), and the integration tests against the sanitizers' build.

KELP_VARIANTS names the build directories below the checkout (bootstrap sets it). Each suite runs once, when its first case is asked for.
"""
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[1]
VARIANTS = os.environ.get("KELP_VARIANTS", "").split()


def meson_tests(variant):
    """Names of a build's tests; the lint suite looks at sources, so once is enough."""
    out = subprocess.run(["meson", "introspect", "--tests", str(SOURCE / variant)], capture_output=True, text=True, check=True)
    names = []
    for test in json.loads(out.stdout):
        lint = any(s.endswith("lint") for s in test["suite"])
        if not lint or variant == VARIANTS[0]:
            names.append(test["name"])
    return sorted(names)


@functools.lru_cache(maxsize=None)
def meson_results(variant):
    """{test: entry of testlog.json}, run once a session and worker."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    command = ["meson", "test", "-C", str(SOURCE / variant), "--no-rebuild", "--num-processes", "1", "--timeout-multiplier", "5"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, timeout=3000,
                         check=False)
    results = {}
    log = SOURCE / variant / "meson-logs" / "testlog.json"
    for line in log.read_text().splitlines() if log.exists() else []:
        entry = json.loads(line)
        results[entry["name"].split(" / ")[-1]] = entry
    return results, run.stdout[-3000:] + run.stderr[-3000:]


# The files of integration tests that run against the sanitizers' build as well, but for what is marked "slow". Left out are those whose subject is not
# our programs' memory: what runs containers of other images for minutes, and completion by shells.
NOT_SANITIZED = {"test_real_images", "test_bootstrap", "test_completion", "test_kill"}


def sanitized_files():
    return sorted(f.stem for f in (SOURCE / "tests" / "integration").glob("test_*.py") if f.stem not in NOT_SANITIZED)


def run_integration(arguments, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run([sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "-q", "-p", "no:xdist", "-m", SANITIZED_MARKS,
                           *arguments], capture_output=True, text=True, cwd=SOURCE / "tests", stdin=subprocess.DEVNULL, timeout=3000,
                          env={**kept, "KELP_VARIANTS": "", **environment}, check=False)


SANITIZED_MARKS = "not slow and not unsanitized"


@functools.lru_cache(maxsize=None)
def collect():
    """[(file, name)] of the tests for the sanitizers."""
    out = run_integration(["--collect-only", *(f"integration/{f}.py" for f in sanitized_files())])
    ids = [line.split("::", 1) for line in out.stdout.splitlines() if "::" in line]
    return [(pathlib.Path(file).stem, name) for file, name in ids]


@functools.lru_cache(maxsize=None)
def sanitizer_results(variant, file):
    """({name: element of the JUnit report}, output) of one file's tests."""
    with tempfile.TemporaryDirectory() as tmp:
        report = pathlib.Path(tmp) / "report.xml"
        run = run_integration([f"--junitxml={report}", f"integration/{file}.py"], KELP_BUILD_DIR=str(SOURCE / variant))
        cases = {case.get("name"): case for case in xml.parse(report).getroot().iter("testcase")}
        return cases, run.stdout[-3000:]


def pytest_generate_tests(metafunc):
    if "meson_case" in metafunc.fixturenames:
        cases = [(v, name) for v in VARIANTS for name in meson_tests(v)]
        metafunc.parametrize("meson_case", cases, ids=[f"{v}-{n}" for v, n in cases])
    if "sanitizer_case" in metafunc.fixturenames:
        variants = [v for v in VARIANTS if "asan" in v]
        # A file is one run, and so one worker's.
        cases = [pytest.param((v, file, name), id=f"{v}-{file}::{name}", marks=pytest.mark.xdist_group(f"{v}-{file}"))
                 for v in variants for file, name in collect()]
        metafunc.parametrize("sanitizer_case", cases)


@pytest.mark.xdist_group("suites")
def test_meson(meson_case):
    variant, name = meson_case
    results, log = meson_results(variant)
    assert name in results, log
    entry = results[name]
    if entry["result"] == "SKIP":
        pytest.skip(f"{name} skipped itself: {entry.get('stdout', '')[-500:]}")
    assert entry["result"] in ("OK", "EXPECTEDFAIL"), f"{entry['result']}\n{entry.get('stdout', '')[-6000:]}\n{entry.get('stderr', '')[-6000:]}"


def test_sanitized(sanitizer_case):
    variant, file, name = sanitizer_case
    results, log = sanitizer_results(variant, file)
    assert name in results, log
    for child in results[name]:
        if child.tag in ("failure", "error"):
            pytest.fail(f"{child.get('message', '')[:500]}\n{(child.text or '')[-8000:]}", pytrace=False)
        if child.tag == "skipped":
            pytest.skip(child.get("message", ""))
