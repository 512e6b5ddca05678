"""JUnit XML of verify: what pytest itself would have written, and valid whatever a console printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from bringup.report.junit import junit_xml

CHECK = {
    "id": "split",
    "status": "pass",
    "evidence": "3/3 answered",
    "trouble": False,
    "at_s": 0.0,
    "seconds": 1.5,
    "purpose": "Why.",
    "how": "How.",
    "values": {"answered": 3},
    "excerpt": [],
}


def read(data: bytes) -> Xml.Element:
    return Xml.fromstring(data)  # noqa: S314  # our own, and that of a test's own pytest


def body(*checks: dict[str, Any]) -> dict[str, Any]:
    whole = [{**CHECK, **check} for check in checks]
    return {
        "plan": "model-1",
        "target": "vlab",
        "run": "2026-11-28-0001",
        "version": "1",
        "firewall": "nftables",
        "rules": None,
        "seconds": 3.25,
        "started": "2026-11-28T20:00:00Z",
        "fail": sum(check["status"] == "fail" for check in whole),
        "skip": sum(check["status"] == "skip" for check in whole),
        "checks": whole,
    }


def test_each_way_a_check_ends_has_its_element() -> None:
    xml = read(
        junit_xml(
            body(
                {},
                {"id": "mtu", "status": "fail", "evidence": "not so"},
                {"id": "dns", "status": "fail", "trouble": True, "evidence": "nobody answers"},
                {"id": "clock", "status": "skip", "evidence": "one clock"},
            )
        )
    )
    suite = xml.find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("name", "errors", "failures", "skipped", "tests", "time")} == {
        "name": "model-1",
        "errors": "1",
        "failures": "1",
        "skipped": "1",
        "tests": "4",
        "time": "3.250",
    }
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert [child.tag for child in cases["split"]] == ["properties", "system-out"]
    assert cases["mtu"].find("failure").get("message") == "not so"  # type: ignore[union-attr]
    assert cases["dns"].find("error") is not None and cases["dns"].find("failure") is None
    assert cases["clock"].find("skipped").get("type") == "pytest.skip"  # type: ignore[union-attr]
    assert cases["split"].get("classname") == "model-1.vlab"


@given(st.text(max_size=200))
def test_no_text_breaks_the_xml(text: str) -> None:
    xml = read(junit_xml(body({"evidence": text, "excerpt": [text], "status": "fail"})))
    assert xml.find(".//system-out") is not None


def test_attributes_and_elements_are_those_that_pytest_writes(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(record_property): record_property('a', 1); print('x')\n"
        "def test_bad(): assert False, 'esc \\x1b'\n"
        "def test_not(): pytest.skip('why')\n"
        "@pytest.fixture\n"
        "def gone(): raise OSError\n"
        "def test_error(gone): pass\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=out.xml", "-o"]
    command += ["junit_logging=all", "-c", "/dev/null", "--rootdir", ".", "test_it.py"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    theirs = _shape(read((tmp_path / "out.xml").read_bytes()))
    ours = _shape(
        read(
            junit_xml(
                body(
                    {},
                    {"status": "fail", "evidence": "esc \x1b"},
                    {"status": "skip"},
                    {"status": "fail", "trouble": True},
                )
            )
        )
    )
    for tag, names in ours.items():
        assert names <= theirs[tag], tag


def _shape(root: Xml.Element) -> dict[str, set[str]]:
    shape: dict[str, set[str]] = {}
    for element in root.iter():
        shape.setdefault(element.tag, set()).update(element.keys())
    return shape
