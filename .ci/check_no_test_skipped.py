"""Fail if a test was skipped in every run, or if a run executed no test at all.

Usage: check_no_test_skipped.py REPORT.xml...   (one JUnit report for each run)
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

Test = tuple[str, str]  # class name and name, as JUnit has them


def read(report: Path) -> tuple[set[Test], set[Test]]:
    """Tests of a report that were executed, and tests that were skipped."""
    executed, skipped = set(), set()
    for case in ET.parse(report).iter("testcase"):
        mark = case.find("skipped")
        # pytest reports an expected failure as skipped, but it did execute the test.
        is_skipped = mark is not None and mark.get("type") != "pytest.xfail"
        tests = skipped if is_skipped else executed
        tests.add((case.get("classname", ""), case.get("name", "")))
    return executed, skipped


def never_executed(skipped: set[Test], executed: set[Test]) -> list[Test]:
    """Skipped tests that no run executed.

    A module skipped as a whole has no class name; it counts as executed if any of
    its tests was.
    """
    modules = {classname for classname, _ in executed}
    return sorted(
        (classname, name)
        for classname, name in skipped - executed
        if classname or not any(f"{m}.".startswith(f"{name}.") for m in modules)
    )


def main(reports: list[Path]) -> int:
    """Print a line for each run and each offending test; return the exit code."""
    failed = not reports
    all_executed: set[Test] = set()
    all_skipped: set[Test] = set()
    for report in reports:
        executed, skipped = read(report)
        print(f"{report.stem}: {len(executed)} executed, {len(skipped)} skipped")
        failed |= not executed
        all_executed |= executed
        all_skipped |= skipped
    never = never_executed(all_skipped, all_executed)
    for classname, name in never:
        print(f"skipped in every run: {classname}::{name}")
    return int(failed or bool(never))


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
