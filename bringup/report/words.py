"""What PCI facts are called on a screen or in a picture, in few characters, and its colour.

Names come from devices, listings and pci.ids, so `clean` is what every one of them passes before it is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby

from bringup.base.size import bar_size
from bringup.pci.assessment import Passability, PinCandidate
from bringup.pci.bars import bars_under_sel4, placed_by_os
from bringup.pci.model import Bar, Bdf, Bridge, Function
from bringup.report.style import Tint

UNKNOWN = "not observed"

# Words of pci.ids that tell nothing about an Ethernet controller that its class does not.
_EMPTY_WORDS = re.compile(
    r"(?<![-\w])(?:Ethernet|Gigabit|Network|Controller|Connection|Adapter|Interface|Device|for|Intel)(?![-\w])",
    re.IGNORECASE,
)
# lspci writes vendor and device as one name.
_VENDOR = re.compile(
    r"^.{1,60}?\b(?:Corporation|Corp\.?|Inc\.?|Ltd\.?|GmbH)(?: and subsidiaries)?(?: \[[^]]{1,30}\])? (?=\S)"
)
_SPACES = re.compile(r" {2,}")

_WORD_TINTS: dict[str, Tint] = {"passable": "good", "needs-change": "warn", "not-passable": "bad"}


def word_tint(judged: Passability | None) -> Tint:
    """Return the colour of a function's word; what is not known is faint."""
    return "faint" if judged is None else _WORD_TINTS.get(judged.word, "faint")


def clean(text: str, limit: int | None = None) -> str:
    """Return text fit for one line: what is not printable becomes `?`, what is over `limit` cells a `…`.

    Not printable are control characters, line ends, colour codes, and what turns writing round (bidi).
    """
    text = "".join(char if char.isprintable() else "?" for char in text[:1000])
    if limit is None or cells(text) <= limit:
        return text
    kept = ""
    for char in text:
        if cells(kept + char) > limit - 1:
            break
        kept += char
    return kept.rstrip() + "…"


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def short_name(function: Function) -> str:
    """Return a name of a few words: `I350`, `X722 10GBASE-T`; the class or the id where there is no name."""
    if function.device_name:
        name = _VENDOR.sub("", clean(function.device_name), count=1)
        if function.is_ethernet:
            shorter = _SPACES.sub(" ", _EMPTY_WORDS.sub(" ", name)).strip(" ,-/")
            if any(char.isdigit() for char in shorter):
                return shorter
        return name
    return clean(function.class_name) if function.class_name else ids(function)


def ids(function: Function) -> str:
    """Return `8086:1521`, with `?` for what was not observed."""
    if function.vendor is None and function.device is None:
        return "id ?"
    vendor, device = (
        "????" if each is None else f"{each:04x}" for each in (function.vendor, function.device)
    )
    return f"{vendor}:{device}"


def bar_text(bar: Bar) -> str:
    """Return `0 c5b00000 1M` or `2 io 7060 32`: slot, address in hex, bytes."""
    kind = "io " if bar.kind == "io" else ""
    base = "no address" if bar.base is None else f"{bar.base:x}"
    size = "" if bar.size is None else f" {bar_size(bar.size)}"
    number = f"{bar.index} " if bar.numbered else ""
    return f"{number}{kind}{base}{size}"


def bars_texts(function: Function) -> list[str]:
    """Return each BAR of a function, or that nobody looked."""
    if function.firmware_bars:
        now = {bar.index: bar.base for bar in function.bars or ()}
        found = bars_under_sel4(function) or ()
        return [f"{bar_text(bar)}{_moved(bar.base, now.get(bar.index))}" for bar in found]
    if not function.observed("bars"):
        return [f"{bar_text(bar)} by the OS" for bar in function.os_placed or ()] or ["BARs not observed"]
    placed = placed_by_os(function)
    return [bar_text(bar) + (" by the OS" if bar.index in placed else "") for bar in function.bars or ()]


def _moved(base: int | None, now: int | None) -> str:
    """Return where an OS put what the firmware had elsewhere, in words that follow a BAR's."""
    return "" if now in (None, base) else f" (the OS: {now:x})"


def intx_text(function: Function) -> str:
    """Return `INTA`, `no INTx`, or `INT?` where nobody looked."""
    if not function.observed("intx_pin"):
        return "INT?"
    return f"INT{function.intx_pin}" if function.intx_pin else "no INTx"


def pin_text(candidates: Sequence[PinCandidate]) -> str:
    """Return the best belief and its grade: `0/16 measured`."""
    return f"{candidates[0].ioapic}/{candidates[0].pin} {candidates[0].words}" if candidates else "pin ?"


def bridge_text(bridge: Bridge) -> str:
    """Return which buses a bridge leads to; 0 is what the registers hold before anybody set them up."""
    if not bridge.secondary:
        return "leads to no bus"
    if bridge.subordinate <= bridge.secondary:
        return f"leads to bus {bridge.secondary:02x}"
    return f"leads to buses {bridge.secondary:02x} to {bridge.subordinate:02x}"


def verdict_text(judged: Passability | None) -> str:
    """Return the word about a function with what belongs to it in one sentence."""
    if judged is None:
        return "-"
    if judged.word == "passable":
        limits = "; ".join(map(clean, judged.limits))
        return f"passable, {limits}" if limits else "passable"
    if judged.word == "needs-change":
        return "needs a change"
    because = "; ".join(map(clean, judged.reasons))
    if judged.word == "not-passable":
        return f"not passable because {because}" if because else "not passable"
    return f"unknown: {because}" if because else "unknown"


def bdf_list(bdfs: Iterable[Bdf]) -> str:
    """Return addresses in few characters: `b5:00.0-1, 17:00.3`."""
    texts = []
    for _, group in groupby(sorted(set(bdfs)), key=lambda bdf: (bdf.domain, bdf.bus, bdf.device)):
        members = list(group)
        runs: list[list[Bdf]] = []
        for bdf in members:
            if runs and bdf.function == runs[-1][-1].function + 1:
                runs[-1].append(bdf)
            else:
                runs.append([bdf])
        texts += [r[0].short if len(r) == 1 else f"{r[0].short}-{r[-1].function:x}" for r in runs]
    return ", ".join(texts)
