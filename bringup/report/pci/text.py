"""An assessed machine as text: Ethernet controllers first, then what to do, then what was not seen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bringup.base.size import counted
from bringup.pci.assessment import CHIPSET, Assessment, PinCandidate
from bringup.pci.model import Function, Machine, SourceInfo
from bringup.report.findings import machine_lines
from bringup.report.pci.groups import common_name, device_list
from bringup.report.style import Tint, paint
from bringup.report.words import (
    bars_texts,
    bdf_list,
    bridge_text,
    cells,
    clean,
    ids,
    intx_text,
    pin_text,
    short_name,
    verdict_text,
    word_tint,
)

_NAME, _LONG_NAME = 18, 32
_GAP = "  "
# Less room than this for the last column, or longer words, and every row takes several lines instead.
_WORD_ROOM, _WORD_LINES = 26, 3
_INDENT = " " * 9
_HEADS, _WORD_HEAD = ("BDF", "what", "ids", "INTx"), "for a VM"
_SOURCE_KINDS = {
    "linux": "Linux",
    "lspci-machine": "lspci",
    "lspci-tree": "lspci",
    "dmesg": "boot log",
    "sel4-log": "seL4 boot log",
    "freebsd-log": "FreeBSD boot log",
    "firmware-probe": "firmware probe",
    "iommu-groups": "IOMMU groups",
    "loose": "files beside it",
}
_REMARKS = {"problems": "broken", "moves": "changed by the OS", "unread": "not understood here"}
# Findings that say the profile is not this board's; other `profile-` ones are about single ports.
_ANOTHER_BOARD = frozenset({"profile-board", "profile-functions-missing"})


@dataclass(frozen=True, slots=True)
class View:
    """How to show a machine: columns of the terminal, and what else is wanted.

    `why_no_profile` is the sentence to give where the machine was judged without a profile.
    """

    width: int = 118
    everything: bool = False
    verbose: bool = False
    why_no_profile: str = ""

    @property
    def name_room(self) -> int:
        """Columns for a name: those of chipset functions differ in their last words only."""
        return _LONG_NAME if self.everything and self.width >= 100 else _NAME


def report_lines(assessment: Assessment, view: View) -> Iterator[str]:
    """Yield the whole report."""
    machine = assessment.machine
    shown = [f for f in machine.functions if view.everything or f.is_ethernet]
    yield from headline(assessment, view.width, view.why_no_profile)
    yield ""
    if shown:
        yield from _table(_rows(shown, assessment, view), view)
    else:
        yield from textwrap.wrap(_none_shown(machine), view.width, break_on_hyphens=False)
    yield from machine_lines(assessment, frozenset(f.bdf for f in shown), view.width, verbose=view.verbose)
    yield from _unseen(machine, view)
    hidden = len(machine.functions) - len(shown)
    if hidden:
        yield ""
        what = "1 other function" if hidden == 1 else f"{hidden} other functions"
        yield paint(f"{what}: --all, --tree or --svg FILE; evidence and sources: -v", "faint")


def _none_shown(machine: Machine) -> str:
    if not machine.functions:
        return "no PCI function was seen"
    count, unknown = len(machine.functions), sum(not f.observed("class_code") for f in machine.functions)
    if unknown:
        return f"no Ethernet controller was seen; what {unknown} of {count} are was not observed"
    return "no Ethernet controller was seen"


def headline(assessment: Assessment, width: int, why_no_profile: str = "") -> Iterator[str]:
    """Yield whose facts these are: the unit, how much was seen, by which kinds of capture and when."""
    machine = assessment.machine
    identity = machine.identity
    product = identity and identity.product
    parts = [clean(product, 40) if product else "unit: not named by this capture"]
    if identity and identity.baseboard:
        parts.append(clean(identity.baseboard, 40))
    if identity and identity.bios_version:
        dated = f" of {clean(identity.bios_date, 12)}" if identity.bios_date else ""
        parts.append(f"BIOS {clean(identity.bios_version, 20)}{dated}")
    count = len(machine.functions)
    parts.append(counted(count, "function"))
    first, *further = textwrap.wrap(_GAP.join(parts), width, break_on_hyphens=False)
    yield paint(first, "bold")
    yield from further
    taken = sorted({source.taken for source in machine.sources if source.taken})
    seen = f"from {_inputs(machine.sources)}"
    if taken:
        seen += f", taken {clean(taken[0], 40)}" + (f" to {clean(taken[-1], 40)}" if taken[1:] else "")
    yield from textwrap.wrap(f"{seen}; {_profile(assessment, why_no_profile)}", width, break_on_hyphens=False)


def _inputs(sources: Sequence[SourceInfo]) -> str:
    """Return the inputs by kind, each with its name: a board's capture is named by its time."""
    names: dict[str, list[str]] = {}
    for source in sources:
        kind = _SOURCE_KINDS.get(source.kind, source.kind)
        names.setdefault(clean(kind, 30), []).append(clean(source.name, 44))
    shown = [f"{kind} ({', '.join(each[:3])}{' …' if each[3:] else ''})" for kind, each in names.items()]
    return ", ".join(shown) or "no named source"


def _profile(assessment: Assessment, why_none: str) -> str:
    if assessment.profile is None:
        return f"no profile: {clean(why_none, 200) or 'none was named'}"
    codes = {finding.code for finding in assessment.findings}
    if codes & _ANOTHER_BOARD:
        return f"unit does not match profile {assessment.profile}"
    if "profile-part" in codes:
        return f"a part of a machine, judged by profile {assessment.profile}"
    if any(code.startswith("profile-") for code in codes):
        return f"unit matches profile {assessment.profile}, with differences"
    return f"unit matches profile {assessment.profile}"


@dataclass(frozen=True, slots=True)
class _Row:
    head: tuple[str, str, str, str]
    bars: tuple[str, ...]
    pin: str
    word: str
    tint: Tint
    details: tuple[str, ...]

    @classmethod
    def of_several(cls, group: Sequence[Function], assessment: Assessment, view: View) -> _Row:
        """Return one row for functions of a device about which one thing is to be said."""
        judged = assessment.passability.get(group[0].bdf)
        named = clean(common_name(tuple(group)), view.name_room)
        alike = {ids(function) for function in group}
        head = (device_list(group), named, alike.pop() if len(alike) == 1 else "", "")
        return cls(head, (), "", verdict_text(judged), word_tint(judged), ())

    @classmethod
    def of(cls, function: Function, assessment: Assessment, view: View) -> _Row:
        bdf = function.bdf
        pins = assessment.pins.get(bdf, ())
        judged = assessment.passability.get(bdf)
        bars = tuple(bars_texts(function))
        if function.bridge is not None:
            bars = (bridge_text(function.bridge), *bars)
        # Nobody passes a bridge to a VM: no word about it is no gap.
        silent = function.is_bridge or (function.observed("intx_pin") and function.intx_pin is None)
        return cls(
            head=(bdf.short, clean(short_name(function), view.name_room), ids(function), intx_text(function)),
            bars=bars,
            pin="" if silent and not pins else pin_text(pins),
            word="" if function.is_bridge and judged is None else verdict_text(judged),
            tint=word_tint(judged),
            details=tuple(_details(function, assessment, pins, verbose=view.verbose)),
        )


def _rows(functions: Sequence[Function], assessment: Assessment, view: View) -> list[_Row]:
    """Return a row per function; those of the chipset by device, unless everything is asked for (-v)."""
    if view.verbose or not view.everything:
        return [_Row.of(function, assessment, view) for function in functions]
    rows = []
    for _, members in groupby(functions, key=lambda function: _group_of(function, assessment)):
        group = list(members)
        several = len(group) > 1
        rows.append(
            _Row.of_several(group, assessment, view) if several else _Row.of(group[0], assessment, view)
        )
    return rows


def _group_of(function: Function, assessment: Assessment) -> object:
    """Return what functions have in common that are one row: their device, being all of the chipset."""
    judged = assessment.passability.get(function.bdf)
    of_chipset = judged is not None and [r for r in judged.reasons if r.startswith(CHIPSET)]
    if not of_chipset or function.bridge is not None:
        return function.bdf
    return function.bdf.domain, function.bdf.bus, function.bdf.device


def _details(
    function: Function, assessment: Assessment, pins: Sequence[PinCandidate], *, verbose: bool
) -> Iterator[str]:
    """Yield what stands under a row: beliefs that disagree with the best one; with `verbose` everything."""
    best = pins[0] if pins else None
    for pin in pins:
        of_model = pin.grade == "firmware" and not pin.this_unit
        differs = best and (pin.ioapic, pin.pin) != (best.ioapic, best.pin)
        if best and (verbose or (differs and not of_model)):
            unit = ", on this unit" if pin.this_unit else ""
            says = "pin" if pin is best else "also said: pin"
            yield f"{says} {pin.ioapic}/{pin.pin} {pin.words}{unit}: {clean(pin.source, 200)}"
    if not verbose:
        return
    others = assessment.sharing.get(function.bdf, ())
    if others:
        yield f"shares its pin with {bdf_list(others)}"
    for port in function.net or ():
        link = {None: "link not told", True: "link up", False: "link down"}[port.link]
        yield f"{clean(port.name, 20)} {clean(port.mac or 'MAC not observed', 20)} {link}"
    judged = assessment.passability.get(function.bdf)
    for change in judged.changes if judged else ():
        yield f"needs: {clean(change, 300)}"
    for kind, word in _REMARKS.items():
        yield from (f"{word}: {clean(remark, 300)}" for remark in getattr(function, kind))


def _table(rows: Sequence[_Row], view: View) -> Iterator[str]:
    heads = [max(len(_HEADS[i]), *(cells(row.head[i]) for row in rows)) for i in range(4)]
    bars = max(cells(_joined(row.bars)) for row in rows)
    pins = max(10, *(cells(row.pin) for row in rows))
    room = view.width - sum(heads) - bars - pins - 6 * len(_GAP)
    longest = max(cells(row.word) for row in rows)
    if room < min(_WORD_ROOM, longest) or longest > _WORD_LINES * room:
        lead = _GAP.join([*map(_pad, _HEADS, heads), _pad("IOAPIC pin", pins)])
        if cells(lead) + 2 + cells(_WORD_HEAD) <= view.width:
            yield paint(f"{lead}{_GAP}{_WORD_HEAD}", "faint")
        else:
            yield paint(lead.rstrip(), "faint")
            yield paint(_INDENT + _WORD_HEAD, "faint")
        yield paint(f"{_INDENT}BARs", "faint")
        for row in rows:
            yield from _tall(row, heads, pins, view)
        return
    lead = _GAP.join(map(_pad, _HEADS, heads))
    yield paint(f"{lead}{_GAP}{'BARs':<{bars}}{_GAP}{'IOAPIC pin':<{pins}}{_GAP}{_WORD_HEAD}", "faint")
    for row in rows:
        fixed = [*map(_pad, row.head, heads), _pad(_joined(row.bars), bars), _pad(row.pin, pins)]
        words = textwrap.wrap(row.word, room) or [""]
        yield _GAP.join([*fixed, paint(words[0], row.tint)]).rstrip()
        indent = " " * (view.width - room)
        yield from (indent + paint(word, row.tint) for word in words[1:])
        yield from _below(row, view)


def _tall(row: _Row, heads: Sequence[int], pins: int, view: View) -> Iterator[str]:
    """Yield a row of several lines: what and which pin, the word, the BARs."""
    first = _GAP.join([*map(_pad, row.head, heads), _pad(row.pin, pins)])
    if cells(first) + 2 + cells(row.word) <= view.width:
        yield f"{first}{_GAP}{paint(row.word, row.tint)}".rstrip()
    else:
        yield first.rstrip()
        for line in _wrapped(row.word, view.width, _INDENT):
            yield _INDENT + paint(line.strip(), row.tint)
    line = ""
    for bar in row.bars:
        longer = f"{line} · {bar}" if line else bar
        if line and cells(_INDENT + longer) > view.width:
            yield _INDENT + line
            longer = bar
        line = longer
    if line:
        yield _INDENT + line
    yield from _below(row, view)


def _below(row: _Row, view: View) -> Iterator[str]:
    for detail in row.details:
        for line in _wrapped(detail, view.width, _INDENT):
            yield paint(line, "faint")


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )


def _joined(bars: Sequence[str]) -> str:
    return " · ".join(bars) or "none"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def _unseen(machine: Machine, view: View) -> Iterator[str]:
    """Yield what was looked for and not read, and where two sources disagree."""
    reasons: dict[str, list[str]] = {}
    for missing in machine.missing:
        reasons.setdefault(clean(missing.why, 80), []).append(clean(missing.what, 80))
    if reasons:
        yield ""
        yield paint("not observed", "bold")
    for why, whats in reasons.items():
        shown = whats if view.verbose else whats[:4]
        more = f" and {len(whats) - len(shown)} more" if len(whats) > len(shown) else ""
        yield from _wrapped(f"{why}: {', '.join(shown)}{more}", view.width, "  ")
    if not view.verbose:
        return  # those about functions that are shown are findings already
    if machine.conflicts:
        yield ""
        yield paint("sources disagree", "bold")
    for conflict in machine.conflicts:
        kept, other = clean(conflict.kept, 80), clean(conflict.other, 80)
        text = f"{conflict.bdf.short} {conflict.field}: {kept} was taken, another source says {other}"
        yield from _wrapped(text, view.width, "  ")
