"""Sightings as events, and failures back from events: a verdict is made of what `events.ndjson` holds too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bringup.base.events import Event
from bringup.transcript.failures.table import find
from bringup.transcript.markers import Failure
from bringup.transcript.nics import NicFact
from bringup.transcript.stages import Sighting, StageReader
from bringup.transcript.suite import Test as SuiteTest

_WORDS = ("cause", "why", "fix")


def as_event(sighting: Sighting, *, port: str | None = None) -> Event:
    """Return a sighting as an event; `port` names the serial line where it is not the console's own."""
    failure = sighting.failure
    data: dict[str, Any] = {
        "stage": None if sighting.stage is None else str(sighting.stage),
        "code": None if failure is None else failure.code,
        "marker": sighting.marker,
        "line": sighting.line_no,
        "vm": sighting.vm,
        "vm_name": sighting.vm_name,
        "generic": failure is not None and failure.generic,
    }
    if failure is not None:
        data |= {word: getattr(failure, word) for word in _WORDS}
        data |= {"lines": list(sighting.lines), "whole": sighting.whole}
    if sighting.which:
        data["which"] = sighting.which
    if sighting.test is not None:
        data |= _fields(sighting.test)
    if sighting.nic is not None:
        data["nic"] = _fields(sighting.nic)
    if port is not None:
        data["port"] = port
    return Event("console", f"console.{sighting.kind}", sighting.line_text, data, sighting.at_s)


def _fields(record: SuiteTest | NicFact) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def activity(reader: StageReader, at_s: float, *, port: str | None = None) -> Event:
    """Return how much was read: all bytes and lines, the characters since firmware or a loader spoke, and
    the last line that says anything.
    """
    data: dict[str, Any] = {
        "bytes": reader.bytes_seen,
        "lines": reader.lines_seen,
        "image_bytes": reader.text_bytes,
        "quiet_s": 0.0 if reader.heard_s is None else round(max(0.0, at_s - reader.heard_s), 3),
    }
    number, text = reader.last_line or (None, "")
    data["line"] = number
    if port is not None:
        data["port"] = port
    return Event("console", "console.activity", text, data, at_s)


def failure_of(event: Event) -> Failure | None:
    """Return the failure that an event tells of, in the words it was told in; None for one nobody knows."""
    row = find(str(event.data.get("code")), str(event.data.get("marker", "")))
    if row is None:
        return None
    words = {word: str(event.data[word]) for word in _WORDS if event.data.get(word)}
    return replace(
        row, cause=words.get("cause", row.cause), why=words.get("why", row.why), fix=words.get("fix", row.fix)
    )


def nic_of(event: Event) -> NicFact:
    """Return what a guest said of its controller."""
    return NicFact(**event.data["nic"])


def test_of(event: Event) -> SuiteTest:
    """Return the test that an event tells of."""
    data = event.data
    return SuiteTest(data["number"], str(data["name"]), bool(data["failed"]), data.get("of"))
