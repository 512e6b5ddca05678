"""A run of verify as JUnit XML, in the form that pytest writes (`--junitxml`, xunit2) and CI systems read.

A plan is a test suite, a check a test case: trouble of the lab is an error, a check that failed a failure,
what was not made is skipped with its reason. Evidence is the case's output.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as Xml

from bringup.report.xml import NOT_XML


def junit_xml(body: Mapping[str, Any]) -> bytes:
    """Return the content of `verify.json` as JUnit XML."""
    checks = body["checks"]
    errors = sum(check["trouble"] for check in checks)
    suite_facts = {
        "name": body["plan"],
        "errors": errors,
        "failures": body["fail"] - errors,
        "skipped": body["skip"],
        "tests": len(checks),
        "time": f"{body['seconds']:.3f}",
        "timestamp": body["started"],
        "hostname": socket.gethostname(),
    }
    suites = Xml.Element("testsuites")
    suite = Xml.SubElement(
        suites, "testsuite", {key: xml_text(str(value)) for key, value in suite_facts.items()}
    )
    properties = Xml.SubElement(suite, "properties")
    for name in ("target", "run", "version", "firewall", "rules", "engine"):
        if body.get(name) is not None:
            _property(properties, name, body[name])
    for check in checks:
        _case(suite, check, f"{body['plan']}.{body['target']}")
    text = Xml.tostring(suites, encoding="unicode")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode()


def _case(suite: Xml.Element, check: Mapping[str, Any], where: str) -> None:
    words = {"classname": where, "name": check["id"], "time": f"{check['seconds']:.3f}"}
    case = Xml.SubElement(suite, "testcase", {key: xml_text(value) for key, value in words.items()})
    if check["values"]:
        properties = Xml.SubElement(case, "properties")
        for name, value in check["values"].items():
            _property(properties, name, value)
    message = xml_text(check["evidence"])
    if check["status"] == "skip":
        Xml.SubElement(case, "skipped", type="pytest.skip", message=message).text = message
    elif check["status"] == "fail":
        found = Xml.SubElement(case, "error" if check["trouble"] else "failure", message=message)
        found.text = xml_text("\n".join([check["purpose"], check["how"], *check["excerpt"]]))
    lines = [check["evidence"], *check["excerpt"]]
    Xml.SubElement(case, "system-out").text = xml_text("\n".join(lines))


def _property(properties: Xml.Element, name: str, value: Any) -> None:
    Xml.SubElement(properties, "property", name=xml_text(str(name)), value=xml_text(str(value)))


def xml_text(text: str) -> str:
    """Return text with what XML cannot hold as pytest writes it: `#x1B`."""
    return NOT_XML.sub(lambda found: f"#x{ord(found[0]):02X}", text)
