"""Reads a console as it comes in and tells what it proves: stages reached, failures, notes.

Pure and incremental: the same bytes give the same sightings however they are cut. Memory is bounded by the
number of colours the SerialServer has, time by a few searches per byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from bringup.base.stage import Stage
from bringup.transcript.clean import plain_text
from bringup.transcript.failures.boot import GARBAGE
from bringup.transcript.markers import Failure, Marker
from bringup.transcript.matching import SPACE, Found, Matcher, Pattern, find_new, reach
from bringup.transcript.streams import Demultiplexer, Writer

_BLOCK = 4096
_QUIET_S = 0.25
_NOTES_MAX = 64
_HOSTS_MAX = 16


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something the console proved, `at_s` when the last byte of the text came in (the clock of `feed`).

    `line_no` counts lines of the console from 1, `vm` VMs from 0 in order of appearance (None: no VM's text).
    A note is a system call the kernel refused; neither stage nor failure.
    """

    kind: Literal["stage", "failure", "note"]
    stage: Stage | None
    failure: Failure | None
    marker: str
    line_no: int
    line_text: str
    vm: int | None
    at_s: float


class StageReader:
    """Turns console bytes into sightings.

    A sighting is given when its line is complete, 160 further characters came, or the line paused for 0.25 s:
    so `feed` wants to be called with b"" now and then while the board is silent. Login prompts are given at
    once. VMs are told apart by the colours of the SerialServer; where it is absent all guests count as VM 0,
    unless their prompts name different hosts.
    """

    def __init__(self) -> None:
        self.bytes_seen = 0
        self.lines_seen = 0
        self._demultiplexer = Demultiplexer()
        self._matchers: dict[Writer, Matcher] = {}
        self._seam = _Seam()
        self._garbage = _Garbage()
        self._waiting: dict[int, Sighting] = {}
        self._notes = 0
        self._start_boot()

    def _start_boot(self) -> None:
        self._sel4 = False
        self._vms: dict[str, int] = {}
        self._prompts: set[tuple[str, str]] = set()

    def feed(self, data: bytes, at_s: float) -> list[Sighting]:
        """Return what `data`, received at `at_s` seconds, proves."""
        sightings = self._release(at_s - _QUIET_S)
        for offset in range(0, len(data), _BLOCK):
            block = data[offset : offset + _BLOCK]
            for writer, text in self._demultiplexer.feed(block):
                sightings += self._read(writer, text, at_s)
            if self._garbage.feed(block):
                sightings.append(self._garbage_sighting(at_s))
            self.bytes_seen += len(block)
        return sightings

    def _read(self, writer: Writer, text: bytes, at_s: float) -> Iterator[Sighting]:
        matcher = self._matchers.setdefault(writer, Matcher())
        seams = self._seam.feed(writer, text)
        found, done = matcher.feed(text, self.lines_seen, at_s, seams)
        self.lines_seen += text.count(b"\n")
        for item in found:
            sighting = self._meaning(writer, item)
            if sighting is not None:
                self._waiting[id(item)] = sighting
        for item in done:
            yield from self._complete(item)

    def _release(self, older_than_s: float) -> list[Sighting]:
        if not self._waiting:
            return []
        items = [item for matcher in self._matchers.values() for item in matcher.release(older_than_s)]
        return [sighting for item in items for sighting in self._complete(item)]

    def _complete(self, item: Found) -> Iterator[Sighting]:
        sighting = self._waiting.pop(id(item), None)
        if sighting is not None:
            yield replace(sighting, line_text=plain_text(bytes(item.line)).strip())

    def _meaning(self, writer: Writer, item: Found) -> Sighting | None:
        """Return what the text means here, None where it means nothing."""
        meaning = item.pattern.meaning
        if isinstance(meaning, Marker):
            return self._stage(writer, item, meaning)
        if isinstance(meaning, Failure):
            return self._failure(writer, item, meaning)
        if item.pattern.is_prompt:
            return self._login(writer, item)
        self._notes += 1
        return _sighting("note", item) if self._notes <= _NOTES_MAX else None

    def _is_guest(self, writer: Writer) -> bool:
        return writer.client is not None or self._sel4

    def _stage(self, writer: Writer, item: Found, marker: Marker) -> Sighting:
        if marker.family == "firmware":
            self._start_boot()  # what was known of the boot before says nothing about this one
        if marker.family in ("sel4", "vmm"):
            self._sel4 = True
        stage, vm = marker.stage, None
        if marker.family == "linux" and self._is_guest(writer):
            stage = Stage.GUEST
        if stage in (Stage.VMM, Stage.GUEST):
            vm = self._vm(writer.client or "")
        return _sighting("stage", item, stage=stage, vm=vm)

    def _failure(self, writer: Writer, item: Found, failure: Failure) -> Sighting | None:
        if failure.where != "any" and (failure.where == "guest") != self._is_guest(writer):
            return None
        return _sighting("failure", item, failure=failure, vm=self._vms.get(writer.client or ""))

    def _login(self, writer: Writer, item: Found) -> Sighting | None:
        """Return the first prompt of each VM (of each host, where VMs cannot be told apart)."""
        prompt = (writer.client or "", "" if writer.client else item.host)
        if prompt in self._prompts or len(self._prompts) >= _HOSTS_MAX:
            return None
        self._prompts.add(prompt)
        vm = None
        if self._is_guest(writer):
            others = [host for client, host in self._prompts if not client and host != item.host]
            vm = self._vm(writer.client or (item.host if others else ""))
        return _sighting("stage", item, stage=Stage.LOGIN, vm=vm)

    def _vm(self, client: str) -> int:
        return self._vms.setdefault(client, len(self._vms))

    def _garbage_sighting(self, at_s: float) -> Sighting:
        text = f"{_Garbage.SHARE:.0%} or more of {2 * _Garbage.WINDOW} bytes are not text"
        return Sighting("failure", None, GARBAGE, GARBAGE.text, self.lines_seen + 1, text, None, at_s)


def _sighting(
    kind: Literal["stage", "failure", "note"],
    item: Found,
    *,
    stage: Stage | None = None,
    failure: Failure | None = None,
    vm: int | None = None,
) -> Sighting:
    return Sighting(kind, stage, failure, item.pattern.text, item.line_no, "", vm, item.at_s)


class _Seam:
    """Finds texts that run over a change of writer: colours in the middle of what one writer wrote."""

    def __init__(self) -> None:
        self._reach = reach()
        self._writer: Writer | None = None
        self._tail = b""
        self._edge = 0

    def feed(self, writer: Writer, text: bytes) -> list[tuple[Pattern, int]]:
        """Return the texts that began before the last change of writer and end in `text`."""
        if self._writer is None or writer == self._writer:
            self._writer = writer
            if not self._edge:
                self._tail = (self._tail + text[-2 * self._reach :].translate(None, SPACE))[-self._reach :]
                return []
        else:
            self._writer = writer
            self._edge = len(self._tail)
        squeezed = text.translate(None, SPACE)
        old = len(self._tail)
        both = self._tail + squeezed[: self._reach]
        found = [
            (pattern, end - old) for pattern, start, end in find_new(both, old) if start < self._edge < end
        ]
        whole = self._tail + squeezed
        self._tail = whole[-self._reach :]
        self._edge = max(0, self._edge - (len(whole) - len(self._tail)))
        return found


class _Garbage:
    """Notices a wrong line speed: two windows in a row with a large share of bytes that no console prints."""

    WINDOW = 256
    SHARE = 0.3
    # Text, what terminals are driven with, and the bytes of frames in CP437 and in UTF-8.
    _TEXT = (
        bytes(range(0x20, 0x7F))
        + b"\a\b\t\n\f\r\x0e\x0f\x1b"
        + b"\xb3\xba\xc4\xcd\xc9\xbb\xc8\xbc\xda\xbf\xc0\xd9"
        + b"\xe2\x94\x95\x96\x80\x82\x8c\x90\x98"
    )

    def __init__(self) -> None:
        self._count = 0
        self._bad = 0
        self._bad_windows = 0
        self._told = False

    def feed(self, data: bytes) -> bool:
        """Return True when `data` makes the console garbage; told once."""
        position = 0
        while position < len(data):
            piece = data[position : position + self.WINDOW - self._count]
            position += len(piece)
            self._count += len(piece)
            self._bad += len(piece.translate(None, self._TEXT))
            if self._count == self.WINDOW:
                self._bad_windows = self._bad_windows + 1 if self._bad >= self.SHARE * self.WINDOW else 0
                self._count = self._bad = 0
        if self._bad_windows < 2 or self._told:
            return False
        self._told = True
        return True
