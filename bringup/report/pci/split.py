"""Which network ports can go to different VMs: as text, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from bringup.base.size import counted
from bringup.pci.assessment import Assessment, PinCandidate
from bringup.pci.model import Function
from bringup.report.pci.text import View, headline
from bringup.report.words import bdf_list, clean, ids, pin_text, short_name
from bringup.rules.split import Bond, Split

_NAME = 18


def report_split(assessment: Assessment, split: Split, view: View) -> Iterator[str]:
    """Yield whose facts these are, the answer, one block per group, and what stands in doubt."""
    yield from headline(assessment, view.width, view.why_no_profile)
    yield ""
    yield _answer(split)
    yield ""
    functions = {function.bdf: function for function in assessment.machine.functions}
    numbers = count(1)
    for group in split.groups:
        head = str(next(numbers)) if split.settled(group) else "?"
        for place, bdf in enumerate(group):
            pins = assessment.pins.get(bdf, ())
            yield f"{'' if place else head:4}{_port(functions[bdf], pins, needs_change=bdf in split.changes)}"
        for bond in split.why(group):
            yield from _wrapped("    together", bond, view.width)
    if split.doubts or split.left:
        yield ""
    for doubt in split.doubts:
        yield from _wrapped("careful", doubt, view.width)
    for bdf, reason in split.left:
        yield from _told(f"no port   {bdf.short}: {clean(reason, 200)}", view.width)


def _answer(split: Split) -> str:
    known = [group for group in split.groups if split.settled(group)]
    groups, ports = len(known), sum(map(len, known))
    unknown = sum(map(len, split.groups)) - ports
    if not ports and not unknown:
        return "no network port of this machine can be given to a VM"
    if not ports and unknown == 1:
        return "1 network port, whose pin is not known"
    if not ports:
        return f"{_ports(unknown)}; whether they can go to different VMs is not known"
    if groups == ports:
        told = f"{_ports(ports)}, each for a VM of its own"
    else:
        told = f"{_ports(ports)} in {counted(groups, 'group')}, each for a VM of its own"
    return f"{told}; of {unknown} more (?) it is not known" if unknown else told


def _ports(number: int) -> str:
    return counted(number, "network port")


def _port(function: Function, pins: Sequence[PinCandidate], *, needs_change: bool) -> str:
    name = clean(short_name(function), _NAME)
    change = "  needs a change: bringup probe-pci says which" if needs_change else ""
    return f"{function.bdf.short}  {name:<{_NAME}}  {ids(function)}  {pin_text(pins)}{change}"


def _wrapped(head: str, bond: Bond, width: int) -> Iterator[str]:
    return _told(f"{head}  {bdf_list(bond.ports)}: {clean(bond.reason, 300)}", width)


def _told(text: str, width: int) -> Iterator[str]:
    yield from textwrap.wrap(text, width, subsequent_indent=" " * 13, break_on_hyphens=False)


def split_json(split: Split) -> dict[str, Any]:
    """Return a split as plain JSON values (docs/probe-pci.md)."""
    return {
        "groups": [
            {
                "ports": list(map(str, group)),
                "known": split.settled(group),
                "together": [_bond_json(bond) for bond in split.why(group)],
            }
            for group in split.groups
        ],
        "doubts": [_bond_json(doubt) for doubt in split.doubts],
        "needs_change": list(map(str, sorted(split.changes))),
        "left": [{"bdf": str(bdf), "reason": reason} for bdf, reason in split.left],
    }


def _bond_json(bond: Bond) -> dict[str, Any]:
    return {"kind": bond.kind, "ports": list(map(str, bond.ports)), "reason": bond.reason}
