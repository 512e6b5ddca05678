"""What all rules on pins share: the best belief of each function, and how it is worded."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.pci.assessment import PinCandidate
from bringup.pci.model import Function
from bringup.pci.pins.beliefs import has_no_intx
from bringup.rules.inputs import Inputs

CERTAIN = ("measured", "stated", "known")
"""Grades of a belief that is not doubted."""
NOTED_MAX = 8
"""How many beliefs a finding quotes."""
WANTS_PROBE = "have it measured: bringup probe-pci BOARD --firmware-probe"


def best_beliefs(inputs: Inputs) -> Iterator[tuple[Function, PinCandidate]]:
    """Yield the subjects of whose pin something is believed, with the best belief."""
    for function in inputs.subjects:
        beliefs = inputs.pins.get(function.bdf)
        if beliefs and not has_no_intx(function):
            yield function, beliefs[0]


def belief_words(belief: PinCandidate) -> str:
    """Return a belief as findings quote it: pin, grade, source."""
    return f"{belief.ioapic}/{belief.pin} {belief.words}: {belief.source}"
