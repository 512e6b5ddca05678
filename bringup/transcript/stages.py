"""Reads a console as it comes in and tells what it proves: stages, failures, notes, tests, controllers.

Pure and incremental: the same bytes give the same sightings however they are cut. Memory is bounded by the
number of colours the SerialServer has, time by a few searches per byte.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from bringup.base.stage import Stage
from bringup.transcript.blocks import detail_of, lines_of
from bringup.transcript.clean import plain_text
from bringup.transcript.failures.image import LINUX, ROOT_TASK, VMM
from bringup.transcript.failures.kernel import KERNEL as OF_KERNEL
from bringup.transcript.failures.loader import GARBAGE
from bringup.transcript.failures.refusals import REFUSALS
from bringup.transcript.markers import Failure, Marker
from bringup.transcript.matching import SPACE, Found, Matcher, Pattern, Piece
from bringup.transcript.nics import NicFact, NicReader
from bringup.transcript.runs import BootCounter
from bringup.transcript.seams import Seam
from bringup.transcript.speed import WrongSpeed
from bringup.transcript.splices import spliced
from bringup.transcript.streams import Demultiplexer, Part, Writer
from bringup.transcript.suite import SuiteReader
from bringup.transcript.suite import Test as SuiteTest
from bringup.transcript.texts import TextWatch, WantedTexts
from bringup.transcript.vms import VmNames

_BLOCK = 65536
_QUIET_S = 0.25
_NOTES_MAX = 64
_HOSTS_MAX = 16
_TIMES_MAX = 8
_END_MAX = 512
# What a kernel or a root task says before it stops.
_REASONS = tuple(row for row in (*REFUSALS, *OF_KERNEL, *ROOT_TASK) if not row.generic)
_OF_VMS = frozenset(row.text for row in (*VMM, *LINUX))


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something the console proved, `at_s` when the last byte of the text came in (the clock of `feed`).

    `line_no` counts lines of the console from 1, `boot` the boots on it from 0. `vm` counts VMs from 0:
    in the order of their names where the build told them, else guests and VMMs apart in order of appearance;
    `vm_name` says which (None: no VM's text). `lines` are what the sighting rests on beside its own line.
    A note is a system call the kernel refused, a text one that a person waits for (`marker` its expression,
    `which` whether it means success), a test one of a suite, a nic what a guest said of its controller.
    """

    kind: Literal["stage", "failure", "note", "text", "test", "nic"]
    stage: Stage | None
    failure: Failure | None
    marker: str
    line_no: int
    line_text: str
    vm: int | None
    at_s: float
    boot: int = 0
    vm_name: str | None = None
    lines: tuple[str, ...] = ()
    which: Literal["", "until", "fail"] = ""
    test: SuiteTest | None = None
    nic: NicFact | None = None
    whole: bool = True


class StageReader:
    """Turns console bytes into sightings.

    A sighting is given when its line (and where it has one, its report of several lines) is complete, 160
    further characters came, or the line paused for 0.25 s: so `feed` wants to be called with b"" now and then
    while the board is silent. Login prompts are given at once. VMs are told apart by the colours of the
    SerialServer, and named by `names`; where it is absent all guests count as VM 0, unless their prompts name
    different hosts. `wanted` are texts that a person waits for, `last_test` the number of a suite's last
    test.
    """

    def __init__(
        self,
        names: VmNames | None = None,
        wanted: WantedTexts | None = None,
        last_test: int | None = None,
    ) -> None:
        self.bytes_seen = 0
        self.lines_seen = 0
        self.heard_s: float | None = None
        """When the last byte came, on the clock of `feed`."""
        self._end = b""
        self._names = names or VmNames()
        self._wanted = wanted or WantedTexts()
        self._last_test = last_test
        self._demultiplexer = Demultiplexer()
        self._writers: dict[Writer, _WriterReader] = {}
        self._seam = Seam()
        self._garbage = WrongSpeed()
        self._waiting: dict[int, Sighting] = {}
        self._offset = self._loader_end = 0
        self._boot = 0
        self._counter = BootCounter()
        self._start_boot()

    def _start_boot(self) -> None:
        self._sel4 = False
        self._firmware = True
        self._notes = 0
        self._times: Counter[tuple[Writer, Pattern]] = Counter()
        self._numbers: dict[Part, dict[str, int]] = {"vmm": {}, "guest": {}}
        self._prompts: set[tuple[str, str]] = set()
        for reader in self._writers.values():
            reader.start_boot()

    @property
    def last_line(self) -> tuple[int, str] | None:
        """Return (number, text) of the last line that says anything, known or not; None before one came."""
        text = self._end.rstrip(SPACE)
        line = plain_text(re.split(rb"[\r\n]", text)[-1]).strip()
        return (self.lines_seen + 1 - self._end.count(b"\n", len(text)), line) if line else None

    @property
    def text_bytes(self) -> int:
        """Bytes since the last known line of firmware or a loader: what the kernel or its user space said."""
        return max(0, self._offset - self._loader_end - 1)

    def feed(self, data: bytes, at_s: float) -> list[Sighting]:
        """Return what `data`, received at `at_s` seconds, proves."""
        sightings = self._release(at_s - _QUIET_S)
        if data:
            self.heard_s = at_s
        for offset in range(0, len(data), _BLOCK):
            block = data[offset : offset + _BLOCK]
            sightings += self._read(block, at_s)
            if self._garbage.feed(block):
                sightings.append(self._garbage_sighting(at_s))
            self.bytes_seen += len(block)
        return sightings

    def skip(self, marker: bytes) -> None:
        """Count the lines of a log that are not the board's, as the mark of a gap."""
        count = marker.count(b"\n")
        self.lines_seen += count
        self._end = (self._end + b"\n" * count)[-_END_MAX:]

    def start_anew(self, at_s: float) -> None:
        """Forget what is half read: the board is about to start, and it was another system's."""
        self._release(at_s)
        self._waiting.clear()
        self._start_boot()

    def finish(self, at_s: float) -> list[Sighting]:
        """Return what is left when no byte comes any more; a report that is cut off says so (`whole`)."""
        return self._release(at_s)

    def _read(self, block: bytes, at_s: float) -> list[Sighting]:
        told: list[tuple[int, Writer, Found | Sighting]] = []
        done: list[Found] = []
        for reader in self._split(block):
            found, complete = reader.matcher.feed(
                *reader.take(), at_s, reader.seams, early=self._firmware, drawn=self._demultiplexer.draws
            )
            told += [(item.offset, reader.writer, item) for item in found]
            told += [(offset, reader.writer, item) for offset, item in reader.read_lines(at_s)]
            done += complete
        told.sort(key=lambda each: each[0])
        sightings = list(self._meanings(told))
        return sightings + [s for item in sorted(done, key=_order) for s in self._complete(item)]

    def _split(self, block: bytes) -> list[_WriterReader]:
        """Give each writer its part of the block; return the readers of those who wrote."""
        wrote: dict[Writer, _WriterReader] = {}
        texts: list[bytes] = []
        for writer, text in self._demultiplexer.feed(block):
            reader = wrote.get(writer)
            if reader is None:
                reader = wrote[writer] = self._reader(writer)
            reader.add(text, self._offset, self.lines_seen, self._seam.feed(writer, text))
            self._offset += len(text)
            self.lines_seen += text.count(b"\n")
            texts.append(text)
        self._end = (self._end + b"".join(texts))[-_END_MAX:]
        return list(wrote.values())

    def _reader(self, writer: Writer) -> _WriterReader:
        reader = self._writers.get(writer)
        if reader is None:
            reader = self._writers[writer] = _WriterReader(writer, self._wanted, self._last_test)
        return reader

    def _meanings(self, told: Iterable[tuple[int, Writer, Found | Sighting]]) -> Iterator[Sighting]:
        """Give every text its meaning, in the order of the console."""
        for _, writer, item in told:
            if isinstance(item, Sighting):
                yield from self._of_line(writer, item)
                continue
            sighting = self._meaning(writer, item)
            if sighting is not None:
                self._waiting[id(item)] = replace(sighting, boot=self._boot)
            elif item.is_open:
                self._writers[writer].matcher.forget([item])
            if self._enough(writer, item.pattern):
                self._writers[writer].matcher.mute(item.pattern)

    def _of_line(self, writer: Writer, sighting: Sighting) -> Iterator[Sighting]:
        """Yield what a whole line said, with the VM that said it; only guests are given controllers."""
        if sighting.nic is None:
            yield replace(sighting, boot=self._boot)
        elif self._is_guest(writer):
            vm, name = self._vm(writer, "guest")
            yield replace(sighting, boot=self._boot, vm=vm, vm_name=name)

    def _enough(self, writer: Writer, pattern: Pattern) -> bool:
        """Return whether a text was told often enough; a marker of a stage may always begin another boot."""
        if pattern.is_prompt or isinstance(pattern.meaning, Marker):
            return False
        return self._times[writer, pattern] >= _TIMES_MAX

    def _release(self, older_than_s: float) -> list[Sighting]:
        if not self._waiting:
            return []
        items = [item for reader in self._writers.values() for item in reader.matcher.release(older_than_s)]
        return [sighting for item in sorted(items, key=_order) for sighting in self._complete(item)]

    def _complete(self, item: Found) -> Iterator[Sighting]:
        sighting = self._waiting.pop(id(item), None)
        if sighting is None:
            return
        line = plain_text(bytes(item.line)).strip()
        block, failure = item.pattern.block, sighting.failure
        if block is None or failure is None:
            yield replace(sighting, line_text=line)
            return
        cut = (
            spliced([*lines_of(item.before), line, *lines_of(bytes(item.after))], _REASONS)
            if failure.generic
            else None
        )
        if cut is not None:
            row, lines = cut
            yield replace(
                sighting, line_text=line, failure=replace(row, fatal=True), marker=row.text, lines=lines
            )
            return
        detail = detail_of(block, item.before, line, bytes(item.after))
        if detail is not None:
            failure = replace(
                failure,
                cause=detail.cause or failure.cause,
                why=detail.why or failure.why,
                fix=detail.fix or failure.fix,
            )
        behind = () if detail is None else detail.lines
        yield replace(sighting, line_text=line, failure=failure, lines=behind, whole=item.whole)

    def _meaning(self, writer: Writer, item: Found) -> Sighting | None:
        """Return what the text means here, None where it means nothing."""
        meaning = item.pattern.meaning
        if item.pattern.is_prompt:
            return self._login(writer, item)
        early = item.early or (isinstance(meaning, Failure) and meaning.early)
        if early and not self._firmware:
            return None
        self._times[writer, item.pattern] += 1
        if isinstance(meaning, Marker):
            return self._stage(writer, item, meaning)
        if self._times[writer, item.pattern] > _TIMES_MAX:
            return None
        if isinstance(meaning, Failure):
            return self._failure(writer, item, meaning)
        self._notes += 1
        return _sighting("note", item) if self._notes <= _NOTES_MAX else None

    def _is_guest(self, writer: Writer) -> bool:
        return writer.is_client or self._sel4

    def _stage(self, writer: Writer, item: Found, marker: Marker) -> Sighting | None:
        again = self._counter.begins(marker.stage, marker.text)
        self._boot += again
        if again or marker.family == "firmware":
            self._start_boot()  # what was known of the boot before says nothing about this one
        elif self._times[writer, item.pattern] > _TIMES_MAX:
            return None
        if marker.family in ("firmware", "loader"):
            self._loader_end = item.offset + item.behind
        if marker.family in ("sel4", "vmm"):
            self._sel4 = True
        stage = marker.stage
        self._firmware = stage < Stage.KERNEL
        if marker.family == "linux" and self._is_guest(writer):
            stage = Stage.GUEST
        if stage not in (Stage.VMM, Stage.GUEST):
            return _sighting("stage", item, stage=stage)
        vm, name = self._vm(writer, "vmm" if stage is Stage.VMM else "guest")
        return _sighting("stage", item, stage=stage, vm=vm, vm_name=name)

    def _failure(self, writer: Writer, item: Found, failure: Failure) -> Sighting | None:
        if failure.where != "any" and (failure.where == "guest") != self._is_guest(writer):
            return None
        vm, name = None, None
        if failure.text in _OF_VMS and self._is_guest(writer):
            part: Part = "guest" if writer.part == "guest" or failure.where == "guest" else "vmm"
            vm, name = self._vm(writer, part)
        return _sighting("failure", item, failure=failure, vm=vm, vm_name=name)

    def _login(self, writer: Writer, item: Found) -> Sighting | None:
        """Return the first prompt of each VM (of each host, where VMs cannot be told apart)."""
        prompt = (writer.colour, "" if writer.is_client else item.host)
        if prompt in self._prompts or len(self._prompts) >= _HOSTS_MAX:
            return None
        self._prompts.add(prompt)
        vm, name = None, None
        if self._is_guest(writer):
            others = [host for colour, host in self._prompts if not colour and host != item.host]
            vm, name = self._vm(writer, "guest", "" if writer.is_client or not others else item.host)
        return _sighting("stage", item, stage=Stage.LOGIN, vm=vm, vm_name=name)

    def _vm(self, writer: Writer, part: Part, host: str = "") -> tuple[int, str]:
        """Return (number, name) of the VM whose text this is; guests and VMMs are numbered apart.

        Only the build knows which guest belongs to which VMM, since each has its own badge.
        """
        name = self._names.of(writer)
        if name is not None:
            return self._names.vms.index(name), name
        known = self._numbers[part]
        number = known.setdefault(writer.colour or host, len(known))
        return number + len(self._names.vms), f"{'VMM' if part == 'vmm' else 'guest'} {number}"

    def _garbage_sighting(self, at_s: float) -> Sighting:
        text = f"{WrongSpeed.SHARE:.0%} or more of {2 * WrongSpeed.WINDOW} bytes are not text"
        return Sighting(
            "failure", None, GARBAGE, GARBAGE.text, self.lines_seen + 1, text, None, at_s, self._boot
        )


def _order(item: Found) -> tuple[float, int]:
    return item.at_s, item.offset


def _sighting(
    kind: Literal["stage", "failure", "note"],
    item: Found,
    *,
    stage: Stage | None = None,
    failure: Failure | None = None,
    vm: int | None = None,
    vm_name: str | None = None,
) -> Sighting:
    return Sighting(kind, stage, failure, item.pattern.text, item.line_no, "", vm, item.at_s, vm_name=vm_name)


class _WriterReader:
    """All that reads one writer's text, and what that writer wrote in the block at hand."""

    def __init__(self, writer: Writer, wanted: WantedTexts, last_test: int | None) -> None:
        self.matcher = Matcher()
        self.seams: list[tuple[Pattern, int]] = []
        self.writer = writer
        self._texts = TextWatch(wanted) if wanted else None
        # A test may colour its text as if it were a client's; only guests tell of controllers.
        self._suite = SuiteReader(last_test) if writer.part in ("plain", "vmm") else None
        self._nics = NicReader() if writer.part in ("plain", "guest") else None
        self._parts: list[bytes] = []
        self._pieces: list[Piece] = []
        self._length = 0
        self._read: tuple[bytes, list[Piece]] = (b"", [])

    def start_boot(self) -> None:
        """Forget what another boot said."""
        for reader in (self.matcher, self._texts, self._suite, self._nics):
            if reader is not None:
                reader.start_boot()

    def add(self, text: bytes, offset: int, lines: int, seams: list[tuple[Pattern, int]]) -> None:
        """Take a piece of the block, `offset` bytes and `lines` line feeds into the console."""
        if not self._parts:
            self.seams.clear()
            self._pieces = []
        if seams:
            squeezed = sum(len(part.translate(None, SPACE)) for part in self._parts)
            self.seams += [(pattern, squeezed + count) for pattern, count in seams]
        self._parts.append(text)
        self._pieces.append(Piece(self._length, offset, lines))
        self._length += len(text)

    def take(self) -> tuple[bytes, list[Piece]]:
        """Return the block's text and where its pieces lie."""
        self._read = b"".join(self._parts), self._pieces
        self._parts, self._length = [], 0
        return self._read

    def read_lines(self, at_s: float) -> Iterator[tuple[int, Sighting]]:
        """Yield (console offset, sighting) of what whole lines of the block say."""
        text, pieces = self._read
        place = _Places(text, pieces)
        if self._suite is not None:
            for test, end in self._suite.feed(text):
                line, offset = place.of(end)
                yield offset, Sighting("test", None, None, "", line, test.name, None, at_s, test=test)
        if self._texts is not None:
            for which, expression, shown, end in self._texts.feed(text):
                line, offset = place.of(end)
                found = Sighting("text", None, None, expression, line, shown, None, at_s)
                yield offset, replace(found, which="until" if which == "until" else "fail")
        if self._nics is not None:
            for fact, end in self._nics.feed(text):
                line, offset = place.of(end)
                yield offset, Sighting("nic", None, None, fact.what, line, fact.line, None, at_s, nic=fact)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the lines of a writer's block lie on the console."""

    text: bytes
    pieces: list[Piece]

    def of(self, end: int) -> tuple[int, int]:
        """Return (line number, offset) on the console of the line that ends before `end`."""
        last = max(0, end - 1)
        piece = next(p for p in reversed(self.pieces) if p.begin <= last)
        return piece.lines + self.text.count(b"\n", piece.begin, last) + 1, piece.offset + last - piece.begin
