"""What differs between two captures as text: what a VM's configuration rests on first, noise as one line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from bringup.pci.diff.compare import UNIT, Diff, Item
from bringup.report.style import Tint, paint
from bringup.report.words import bdf_list, clean

_HEADINGS: dict[str, tuple[str, Tint]] = {
    "moved": ("moved", "warn"),
    "added": ("added", "good"),
    "removed": ("removed", "bad"),
    "changed": ("changed", "warn"),
}
_MATTERS = "a VM's configuration made for the one does not fit the other where it uses these"
_DOES_NOT = "nothing here touches a VM's configuration: addresses, BARs and pins are the same"


def diff_lines(diff: Diff, *, width: int = 118) -> Iterator[str]:
    """Yield the differences, then what was counted only, then what one capture alone told."""
    if not diff.items:
        yield "no difference" + (" but numbers that change by themselves" if diff.numbers else "")
    if diff.other_unit:
        yield from textwrap.wrap(_two_units(diff), width, subsequent_indent="  ", break_on_hyphens=False)
        yield ""
    kind = ""
    for items in _alike(_told(diff)):
        if items[0].kind != kind:
            if kind:
                yield ""
            kind = items[0].kind
            yield paint(*_HEADINGS[kind])
        yield from textwrap.wrap(
            _text(items), width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
    if diff.items:
        yield ""
        yield from textwrap.wrap(_MATTERS if diff.matters else _DOES_NOT, width)
    yield from _counted("also changed by themselves", diff.numbers, width)
    yield from _counted("told by one capture only", diff.not_compared, width)


def _told(diff: Diff) -> tuple[Item, ...]:
    """Return the items to tell one by one: of two units the serial numbers and MACs are one line."""
    return tuple(item for item in diff.items if not (diff.other_unit and item.what in UNIT))


def _two_units(diff: Diff) -> str:
    whose = bdf_list(bdf for item in diff.items if item.what in UNIT and (bdf := item.after))
    return f"two different units: serial numbers and MACs{' of ' + whose if whose else ''} are others"


def _alike(items: tuple[Item, ...]) -> list[list[Item]]:
    """Return items apart, but all functions of one name that came (or went) together."""
    groups: dict[object, list[Item]] = {}
    for item in items:
        together = item.kind in ("added", "removed")
        groups.setdefault((item.kind, item.name) if together else id(item), []).append(item)
    return list(groups.values())


def _text(items: list[Item]) -> str:
    item = items[0]
    name = clean(item.name, 60)
    if item.kind == "moved" and item.before and item.after:
        return f"{item.before.short} → {item.after.short}  {name}"
    where = bdf_list(bdf for each in items if (bdf := each.after or each.before))
    if item.kind in ("added", "removed"):
        return f"{where}  {name}"
    old, new = (clean(each, 80) if each is not None else "none" for each in (item.old, item.new))
    what = f"{item.what}: {old} → {new}"
    return f"{where}  {name}  {what}" if where else f"machine  {what}"


def _counted(label: str, counts: tuple[tuple[str, int], ...], width: int) -> Iterator[str]:
    if counts:
        texts = (f"{what.replace('_', ' ')} ({count})" for what, count in counts)
        text = f"{label}, functions counted: {', '.join(texts)}"
        for line in textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False):
            yield paint(line, "faint")
