# SPDX-License-Identifier: Apache-2.0
"""STRICT=1 makes a skipped test a failed one, but for those that skips.allowed lists with their reason."""
import fnmatch
import os
import pathlib
import re

import pytest

STRICT = os.environ.get("STRICT") == "1"


def allowed_skips():
    rules = []
    for line in (pathlib.Path(__file__).parent / "skips.allowed").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, reason = line.split(None, 1)
            rules.append((pattern, re.compile(reason.strip())))
    return rules


def _judge(report, nodeid):
    if not STRICT or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if any(fnmatch.fnmatch(nodeid, p) and r.search(reason) for p, r in allowed_skips()):
        return
    report.outcome = "failed"
    report.longrepr = f"STRICT: skipped, and tests/skips.allowed does not allow it: {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    _judge(outcome.get_result(), item.nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    _judge(outcome.get_result(), collector.nodeid)


def pytest_collection_modifyitems(config, items):
    if os.environ.get("KELP_FAST"):
        kept = [i for i in items if not i.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=[i for i in items if i.get_closest_marker("slow")])
        items[:] = kept
