"""A boot on one clock: what BMC, network and console said, how far it came, what is missing, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bringup.base.events import Event, is_time
from bringup.base.firmware import Firmware
from bringup.boot.folders import RunFolder
from bringup.boot.follow import VERDICT
from bringup.boot.retrace import is_decided, judged, request_of
from bringup.boot.watch_request import WatchRequest
from bringup.netboot.policy import ARCHITECTURES
from bringup.transcript.told import as_event

_TRACKS = {"power": "BMC", "dhcp": "DHCP", "tftp": "TFTP", "http": "HTTP", "console": "console"}
# What is told every so often, or says of the run what others say of the board.
_UNTOLD = (
    *("run.waiting", "run.step", "twin.held_up"),
    *("console.activity", "console.test", "console.nic", "dhcp.searched"),
)
_ONCE = ("dhcp.ignored", "dhcp.rival", "tftp.error", "http.error")
_MOMENTS_MAX = 2000
_CUT_SHORT = "its process was killed before that was decided"
# A line takes about this long at 115200 baud.
_LINE_S = 0.005


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that was seen; `at_s` is seconds since the first, None where only its order is known."""

    at_s: float | None
    track: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {"at_s": self.at_s, "track": self.track, "text": self.text}


@dataclass(frozen=True, slots=True)
class Ending:
    """How far a boot came; `causes` are (cause, what to do), likeliest first, as far as the facts leave them.

    `goes_on`: it was judged on what there is so far.
    """

    verdict: str
    cause: str | None
    reached: str | None
    reached_s: float | None
    missing: str | None
    causes: tuple[tuple[str, str], ...]
    goes_on: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "verdict": self.verdict,
            "cause": self.cause,
            "reached": self.reached,
            "reached_s": self.reached_s,
            "missing": self.missing,
            "causes": [{"cause": cause, "fix": fix} for cause, fix in self.causes],
            "goes_on": self.goes_on,
        }


class Tracer:
    """Makes moments of events: the first of each stage, every failure, each file once, no progress."""

    def __init__(self) -> None:
        self._seen: set[tuple[object, ...]] = set()
        self._count = 0

    def moment(self, event: Event) -> Moment | None:
        """Return what is told of an event, None for what says nothing new."""
        if event.kind in _UNTOLD or event.kind.endswith((".progress", ".start", ".part")):
            return None
        key = _key(event)
        if key in self._seen or self._count >= _MOMENTS_MAX:
            return None
        if key is not None:
            self._seen.add(key)
        self._count += 1
        return Moment(round(event.at_s, 3), _TRACKS.get(event.source, "host"), _words(event))


def _key(event: Event) -> tuple[object, ...] | None:
    """Return what an event is told once for, None for what is told each time."""
    data = event.data
    if event.kind == "console.stage":
        return event.kind, str(data.get("stage")), str(data.get("vm")), str(data.get("port"))
    if event.kind in _ONCE:
        return event.kind, event.text
    return None


def _words(event: Event) -> str:
    stage, port = event.data.get("stage"), event.data.get("port")
    words = event.text or event.kind
    if event.kind == "console.stage" and stage:
        words = f"{stage}: {words}"
    return f"{port}: {words}" if port else words


def moments(events: Iterable[Event]) -> Iterator[Moment]:
    """Yield what is told of a boot, in the order of its times."""
    tracer = Tracer()
    for event in sorted(events, key=lambda each: each.at_s):
        moment = tracer.moment(event)
        if moment is not None:
            yield moment


def ending_of(run: RunFolder, events: Iterable[Event]) -> Ending:
    """Return how far a run came: by its verdict, else judged on what is recorded of it."""
    seen = list(events)
    told = next((event.data for event in reversed(seen) if event.kind == VERDICT), None)
    if told is not None and isinstance(told.get("verdict"), str):
        return _as_told(told)
    request = request_of(run.read_json("plan.json") or {})
    ending = _of_verdict(judged(seen, request).to_dict(), goes_on=run.goes_on)
    return ending if ending.goes_on or is_decided(seen, request) else _cut_short(ending)


def _cut_short(ending: Ending) -> Ending:
    """Return the ending of a boot whose process was killed before anything was decided: nobody is blamed.

    What a stage may have lacked is told only where one was reached: before, nothing may have been asked.
    """
    causes = () if ending.reached is None else ending.causes
    return replace(ending, verdict="undecided", cause=_CUT_SHORT, causes=causes)


def trace_capture(
    capture: Path | None, console: Path | None, mac: str | None = None
) -> tuple[list[Moment], Ending]:
    """Return what a packet capture and a recorded console tell of one boot, and how far it came.

    The boot is that of the client `mac`, else of the first that asks for one and takes it. Both have one
    clock where the console has times; else its text comes last, without times. Raises UsageError for what
    cannot be read.
    """
    from bringup.netboot.recorded.frames import read_capture
    from bringup.netboot.recorded.told import CaptureReader, boot_client

    if mac is None and capture is not None:
        mac = boot_client(read_capture(capture))
    reader = CaptureReader(mac)
    network = [] if capture is None else list(reader.events(read_capture(capture)))
    timed, untimed = ([], []) if console is None else _console_events(console, reader.last_s)
    origin_s = min((event.at_s for event in (*network, *timed)), default=0.0)
    clocked = sorted((*network, *timed), key=lambda event: event.at_s)
    seen = [replace(event, at_s=event.at_s - origin_s) for event in clocked]
    later = [replace(event, at_s=event.at_s - origin_s) for event in untimed]
    request = WatchRequest(
        Firmware.UEFI if reader.arch in ARCHITECTURES[Firmware.UEFI] else Firmware.BIOS,
        macs=() if reader.mac is None else (reader.mac,),
        netboot=capture is not None,
    )
    tracer = Tracer()
    told = [moment for event in seen if (moment := tracer.moment(event)) is not None]
    told += [replace(moment, at_s=None) for event in later if (moment := tracer.moment(event)) is not None]
    ending = _as_told(judged([*seen, *later], request, ended=True).to_dict())
    known = {moment.at_s for moment in told if moment.at_s is not None}
    # A console without times tells when nothing was reached.
    timely = ending.reached_s is not None and any(
        abs(ending.reached_s - at_s) < _LINE_S / 2 for at_s in known
    )
    return told, ending if timely else replace(ending, reached_s=None)


def _console_events(console: Path, last_s: float) -> tuple[list[Event], list[Event]]:
    """Return what a recorded console proves: what has a time; what has none, put behind `last_s`."""
    from bringup.console.timed import timed_pieces
    from bringup.transcript.stages import StageReader

    timed: list[Event] = []
    untimed: list[Event] = []
    reader, now_s = StageReader(), last_s
    has_times = False
    for piece in timed_pieces(console):
        has_times = has_times or piece.at_s is not None
        now_s = now_s + _LINE_S if piece.at_s is None else piece.at_s
        (timed if has_times else untimed).extend(map(as_event, reader.feed(piece.text, now_s)))
    (timed if has_times else untimed).extend(map(as_event, reader.finish(now_s)))
    return timed, untimed


def _of_verdict(body: dict[str, Any], *, goes_on: bool) -> Ending:
    ending = _as_told(body)
    cause = None if goes_on else ending.cause
    return Ending(
        "goes on" if goes_on else ending.verdict,
        cause,
        ending.reached,
        ending.reached_s,
        ending.missing,
        ending.causes,
        goes_on,
    )


def _as_told(body: Any) -> Ending:
    """Return the ending in a verdict as JSON; members of other kinds are passed over."""
    reached = _text(body.get("stage"))
    rows = [row for row in _rows(body.get("stages")) if row.get("name") == reached]
    at_s = rows[-1].get("at_s") if rows else None
    causes = tuple(
        (_text(row.get("cause")) or "", _text(row.get("fix")) or "") for row in _rows(body.get("causes"))
    )
    return Ending(
        _text(body.get("verdict")) or "unknown",
        _text(body.get("cause")),
        reached,
        float(at_s) if is_time(at_s) else None,
        _text(body.get("missing")),
        causes,
    )


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
