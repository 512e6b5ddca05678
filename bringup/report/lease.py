"""Who has which board, as text and as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from bringup.base.duration import rough_duration
from bringup.lab.held import Lease
from bringup.lab.holder import Holder, clock_time
from bringup.report.style import glyph, table


def lease_lines(leases: Sequence[Lease]) -> Iterator[str]:
    """Yield who has which board, a line each, then what happened in spite of it."""
    if not leases:
        yield "nobody has a board of this lab"
        return
    yield table(["board", "who", "process", "why", "until"], [_row(lease) for lease in leases])
    for lease in leases:
        for other in lease.told:
            when = clock_time(other.since)
            yield f"careful   {other.who} acted on {lease.board} at {when}: {other.purpose}"


def _row(lease: Lease) -> list[str]:
    holder = lease.holder
    if holder is None:
        return [lease.board, "?", "?", lease.problem or "not known", "?"]
    pid = f"{holder.pid}{', stopped' if lease.is_stopped else ''}"
    return [lease.board, holder.who, pid, holder.purpose, until_words(holder)]


def yours_line(lease: Lease) -> str:
    """Return that a board was taken, until when and as whom."""
    holder = lease.holder
    assert holder is not None, "a lease that was just taken"  # noqa: S101
    until = until_words(holder)
    return f"{glyph('ok')} {lease.board} is yours until {until}, as {holder.who}: {holder.purpose}"


def until_words(holder: Holder) -> str:
    """Return when a holder's lease ends, for people."""
    if holder.until is None:
        return "the command ends"
    return f"{clock_time(holder.until)} (in {rough_duration(holder.until - time.time())})"


def held_words(leases: Sequence[Lease]) -> str:
    """Return who has one board, in a few words; the lease that was taken for a time first."""
    for lease in leases:
        if lease.holder is None:
            return "? (its lease cannot be read)"
        ends = "" if lease.holder.until is None else f" until {clock_time(lease.holder.until)}"
        return f"{lease.holder.who}: {lease.holder.purpose}{ends}"
    return ""


def lease_json(lease: Lease) -> dict[str, Any]:
    """Return one lease as plain JSON data; times are UTC, `until` null for a command at work."""
    holder = lease.holder
    return {
        "board": lease.board,
        "who": holder and holder.who,
        "pid": holder and holder.pid,
        "purpose": holder and holder.purpose,
        "since": holder and _utc(holder.since),
        "until": None if holder is None or holder.until is None else _utc(holder.until),
        "stopped": lease.is_stopped,
        "acted": [{"who": each.who, "purpose": each.purpose, "at": _utc(each.since)} for each in lease.told],
        "problem": lease.problem,
    }


def _utc(at_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
