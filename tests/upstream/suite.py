"""Metaflow's own tests of its S3 client: a copy to run, and what it says."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# All that is made smaller, and why: the first needs 16 GB of memory and minutes, the second is written one by one.
SHRUNK = (
    ('{"5gb_file": 5 * 1024**3}', '{"5gb_file": 40 * 1024**2}'),
    ("range(3000)", "range(60)"),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one test: "passed", "failed" or "skipped", with the words of the failure."""

    test: str
    outcome: str
    why: str = ""


def copy(checkout: Path, target: Path) -> Path:
    """Copies the tests out of a checkout of Metaflow's repository and shrinks them.

    Returns:
        The directory to run them in.

    Raises:
        SystemExit: It is no checkout, or its tests are not those that we know how to shrink.
    """
    source = checkout / "test" / "data"
    if not (source / "s3" / "test_s3.py").exists():
        raise SystemExit(f"{checkout} is no checkout of github.com/Netflix/metaflow: there is no test/data/s3 in it")
    shutil.copytree(source, target / "data")
    data = target / "data" / "s3" / "s3_data.py"
    text = data.read_text(encoding="utf-8")
    for large, small in SHRUNK:
        if large not in text:
            raise SystemExit(f"{data.name} of this checkout does not say {large!r}: see what upstream has changed")
        text = text.replace(large, small)
    data.write_text(text, encoding="utf-8")
    return target / "data"


def outcomes(report: Path) -> Iterator[Outcome]:
    """Reads pytest's JUnit report."""
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        for kind, outcome in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
            if (found := case.find(kind)) is not None:
                yield Outcome(name, outcome, found.get("message", ""))
                break
        else:
            yield Outcome(name, "passed")
