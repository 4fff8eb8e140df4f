# SPDX-License-Identifier: Apache-2.0
"""
Everything that is not written in Python, as pytest cases, so that one summary counts all: the tests of each build variant that
meson knows (lint, unit, fuzz replay), and the part of the integration tests that runs against the sanitizers' build.

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


@functools.lru_cache(maxsize=None)
def collect(directory):
    """Ids of the integration tests marked "sanitizer"."""
    out = subprocess.run([sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "--collect-only", "-q", "-m",
                          "sanitizer", directory], capture_output=True, text=True, cwd=SOURCE / "tests",
                         env={**os.environ, "KELP_VARIANTS": ""}, check=False)
    return [line for line in out.stdout.splitlines() if "::" in line]


@functools.lru_cache(maxsize=None)
def sanitizer_results(variant):
    """{(file, name): element of the JUnit report}."""
    with tempfile.TemporaryDirectory() as tmp:
        report = pathlib.Path(tmp) / "report.xml"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        environment.update(KELP_BUILD_DIR=str(SOURCE / variant), KELP_VARIANTS="")
        run = subprocess.run([sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "-q", "-m", "sanitizer", "-p",
                              "no:xdist", f"--junitxml={report}", "integration"], capture_output=True, text=True, cwd=SOURCE / "tests",
                             env=environment, stdin=subprocess.DEVNULL, timeout=3000, check=False)
        cases = {}
        for case in xml.parse(report).getroot().iter("testcase"):
            cases[(case.get("classname").split(".")[-1], case.get("name"))] = case
        return cases, run.stdout[-3000:]


def pytest_generate_tests(metafunc):
    if "meson_case" in metafunc.fixturenames:
        cases = [(v, name) for v in VARIANTS for name in meson_tests(v)]
        metafunc.parametrize("meson_case", cases, ids=[f"{v}-{n}" for v, n in cases])
    if "sanitizer_case" in metafunc.fixturenames:
        variants = [v for v in VARIANTS if "asan" in v]
        cases = [(v, test) for v in variants for test in collect("integration")]
        metafunc.parametrize("sanitizer_case", cases, ids=[f"{v}-{t.split('/')[-1]}" for v, t in cases])


@pytest.mark.xdist_group("suites")
def test_meson(meson_case):
    variant, name = meson_case
    results, log = meson_results(variant)
    assert name in results, log
    entry = results[name]
    if entry["result"] == "SKIP":
        pytest.skip(f"{name} skipped itself: {entry.get('stdout', '')[-500:]}")
    assert entry["result"] in ("OK", "EXPECTEDFAIL"), f"{entry['result']}\n{entry.get('stdout', '')[-6000:]}\n{entry.get('stderr', '')[-6000:]}"


@pytest.mark.xdist_group("suites")
def test_sanitized(sanitizer_case):
    variant, test = sanitizer_case
    results, log = sanitizer_results(variant)
    key = (test.split("::")[0].split("/")[-1].removesuffix(".py"), test.split("::", 1)[1])
    assert key in results, log
    case = results[key]
    for child in case:
        if child.tag in ("failure", "error"):
            pytest.fail(f"{child.get('message', '')[:500]}\n{(child.text or '')[-8000:]}", pytrace=False)
        if child.tag == "skipped":
            pytest.skip(child.get("message", ""))
