"""Finds texts of firmware and loaders on a screen that is drawn anew, where characters come twice.

A BMC's text console sends what changed on the screen; a character that changed while it was sent comes again
("Reboot and Seleect proper Boot device"; selectel/pyte#116, ipxe/ipxe#923). Such a text is found with each
of its characters once or more often. Only what an ordinary search did not find is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from bringup.transcript.failures.firmware import FIRMWARE
from bringup.transcript.failures.loader import LOADER
from bringup.transcript.failures.pxe import PXE
from bringup.transcript.markers import MARKERS

_DIGITS = {"%d": "[0-9]{1,20}?", "%x": "[0-9a-fA-F]{1,32}?"}
_DOUBLED = re.compile(rb"(.)\1+", re.DOTALL)
_OF_LOADING = [marker.text for marker in MARKERS if marker.family in ("firmware", "loader")]
TEXTS = frozenset([*(row.text for row in (*FIRMWARE, *PXE, *LOADER)), *_OF_LOADING])
"""The texts that are looked for."""


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    head: bytes
    expression: re.Pattern[bytes]


def _stretched(part: str) -> str:
    """Return an expression for `part` with any of its characters sent more often than it has them."""
    runs = [(character, len(list(run))) for character, run in groupby(part)]
    return "".join(f"{re.escape(character)}{{{count},}}?" for character, count in runs)


def _single(text: bytes) -> bytes:
    return _DOUBLED.sub(rb"\1", text)


@cache
def _texts() -> tuple[_Text, ...]:
    made = []
    for text in sorted(TEXTS):
        squeezed = "".join(text.split())
        parts = re.split("(%[dx])", squeezed)
        expression = "".join(_DIGITS.get(part) or _stretched(part) for part in parts)
        made.append(_Text(text, _single(parts[0].encode()), re.compile(expression.encode())))
    return tuple(made)


def find(squeezed: bytes, begin: int, old: int) -> list[tuple[str, int, int]]:
    """Return (text, start, end) of each in `squeezed` behind `begin` that ends behind `old`."""
    single = _single(squeezed[begin:])
    if len(single) == len(squeezed) - begin:
        return []
    hits = []
    for known in _texts():
        if known.head in single:
            spans = (match.span() for match in known.expression.finditer(squeezed, begin))
            hits += [(known.text, start, end) for start, end in spans if end > old]
    return hits
