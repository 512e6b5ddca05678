"""Makes the checks of a plan one after the other; knows no probe and no target."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bringup.base.errors import BringupError
from bringup.verify.plan import Check
from bringup.verify.result import Result, skipped, troubled

Probe = Callable[[Check], Result]


@dataclass(frozen=True, slots=True)
class Checked:
    """A check and how it ended; times are seconds, `at_s` from the beginning of the first."""

    check: Check
    result: Result
    at_s: float
    seconds: float


def run_checks(
    checks: Sequence[Check],
    make: Probe,
    *,
    named: Sequence[str] = (),
    begun: Callable[[Check], None] = lambda _check: None,
    now_s: Callable[[], float] = time.monotonic,
) -> Iterator[Checked]:
    """Yield each check's end. `named` are those that a person asked for by name, `begun` hears of each."""
    origin_s = now_s()
    ended: dict[str, Result] = {}
    for check in checks:
        begun(check)
        start_s = now_s()
        result = _why_not(check, ended, named) or _made(check, make)
        ended[check.id] = result
        yield Checked(check, result, start_s - origin_s, now_s() - start_s)


def _why_not(check: Check, ended: dict[str, Result], named: Sequence[str]) -> Result | None:
    """Return why a check is not made, None where it is."""
    if check.not_here:
        return skipped(f"not testable here: {check.not_here}")
    if check.opt_in and check.id not in named:
        return skipped(f"takes long, made only where it is named: --only {check.id}", asked=False)
    for need in check.needs:
        if need in ended and not ended[need].ok:
            verb = "was not made" if ended[need].status == "skip" else "failed"
            return skipped(f"says nothing without {need}, which {verb}")
    return None


def _made(check: Check, make: Probe) -> Result:
    try:
        return make(check)
    except BringupError as error:
        return troubled(error.message)
