# SPDX-License-Identifier: Apache-2.0
"""docs/oci-conformance.md names every conformance test, and no other."""
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE.parents[1] / "docs" / "oci-conformance.md"


def written():
    """{name: file} of the conformance tests."""
    found = {}
    for file in sorted(HERE.glob("test_oci_conformance_*.py")):
        if file.name == pathlib.Path(__file__).name:
            continue
        for name in re.findall(r"^def test_(\w+)", file.read_text(), re.M):
            assert name not in found, f"{name} is in {file.name} and in {found[name]}"
            found[name] = file.name
    return found


def named():
    """Names in the last column of the tables."""
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| Section")]
    assert rows and all(row.count(" | ") == 2 for row in rows)
    for row in rows:
        assert re.findall(r"`(\w+)`", row.split(" | ")[2]), f"a clause without a test: {row}"
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[2])}


def test_every_test_of_the_table_exists():
    assert not named() - set(written())


def test_every_conformance_test_is_in_the_table():
    assert not set(written()) - named()
