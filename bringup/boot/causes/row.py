"""What a row of the table is made of.

In texts, `{who}` is the board's MAC, `{waited}` the seconds without progress, `{since_power}` those since
power-on, `{arch}` the client architecture (DHCP option 93), `{firmware}` the firmware the boot was planned
for, `{some}` of `{all}` VMs have logged in and `{missing}` names those that have not, `{lost}` is what of
a job's errand did not come, `{logged}` what the BMC's own log says, `{port}` the serial line that is not the
console, `{awaited}` the missing stage, `{where}` the last one seen, `{suite}` where a test suite is,
`{asked}` are names of files that nobody here told the board of, and `{gaps}` the seconds of gaps of the
console in which text may have come.
What to do may name advice of the board's profile (`{advice:vt-x}`, see `bringup.profile.advice`) and the
`{console_port}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bringup.boot.facts import Fact

Fault = Literal["lab", "image", "profile", "tool", "undecided"]
Causes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """A usual cause and what to do about it.

    It is told only where all facts of `needs` are certain, and none that contradicts it (`unless`).
    """

    why: str
    fix: str
    unless: frozenset[Fact] = frozenset()
    needs: frozenset[Fact] = frozenset()

    def fits(self, facts: frozenset[Fact]) -> bool:
        """Return whether the facts of a boot leave this cause possible."""
        return self.needs <= facts and not self.unless & facts


@dataclass(frozen=True, slots=True)
class Row:
    """Whose fault, one sentence, and the usual causes, likeliest first: told is what the facts leave."""

    fault: Fault
    cause: str
    causes: tuple[Cause, ...]
