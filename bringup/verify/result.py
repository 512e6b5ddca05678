"""What evidence proves: pass, fail, or not testable here; pure.

That something did not happen is believed only beside a positive control in the same capture: the same kind of
thing, seen. A capture that was dead, or lost frames, proves no absence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Status = Literal["pass", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a check ended. `evidence` is a sentence, `excerpt` raw lines, `values` what was measured.

    `trouble`: it failed because the lab did not work, not because of what was checked.
    """

    status: Status
    evidence: str
    values: Mapping[str, Any] = field(default_factory=dict)
    excerpt: tuple[str, ...] = ()
    trouble: bool = False

    @property
    def ok(self) -> bool:
        """Whether it passed."""
        return self.status == "pass"


def judged(ok: bool, evidence: str, *, excerpt: Sequence[str] = (), **values: Any) -> Result:
    """Return pass or fail with its evidence."""
    return Result("pass" if ok else "fail", evidence, values, tuple(excerpt))


def skipped(reason: str, *, asked: bool = True) -> Result:
    """Return that a check was not made, and why; not `asked`: nobody looked for what it would have seen."""
    return Result("skip", reason, {} if asked else {"asked": False})


def troubled(reason: str) -> Result:
    """Return that a check could not be made, because the lab did not work."""
    return Result("fail", f"could not be judged: {reason}", trouble=True)


@dataclass(frozen=True, slots=True)
class Control:
    """A positive control: what had to be seen, how often, and how often it was."""

    what: str
    seen: int
    wanted: int = 1

    @property
    def holds(self) -> bool:
        """Whether the control was seen."""
        return self.seen >= self.wanted

    def __str__(self) -> str:
        needed = "" if self.holds else f" of at least {self.wanted}"
        return f"{self.seen}{needed} {self.what}"


def absent(
    what: str, hits: int, controls: Iterable[Control], *, losses: int = 0, excerpt: Sequence[str] = ()
) -> Result:
    """Return pass only where nothing was seen and every control was."""
    controls = tuple(controls)
    assert controls, "an absence without a positive control proves nothing"  # noqa: S101
    seen = "; ".join(str(control) for control in controls)
    values = {"hits": hits, "controls": {control.what: control.seen for control in controls}}
    if hits:
        return Result("fail", f"{hits} {what} (beside: {seen})", values, tuple(excerpt))
    missing = [control for control in controls if not control.holds]
    if missing:
        text = f"0 {what}, which proves nothing: only {'; '.join(map(str, missing))}"
        return Result("fail", text, values, tuple(excerpt))
    if losses:
        return Result("fail", f"0 {what}, which proves nothing: the capture lost {losses} frames", values)
    return Result("pass", f"0 {what}; controls: {seen}", values)


def together(results: Mapping[str, Result]) -> Result:
    """Return one result for several places or states: it passes where all do, and says which did not."""
    bad = {name: result for name, result in results.items() if not result.ok}
    shown = bad or results
    texts = [f"{name}: {result.evidence}" for name, result in shown.items()]
    values = {name: dict(result.values) for name, result in results.items()}
    excerpt = tuple(line for result in shown.values() for line in result.excerpt)
    return Result("fail" if bad else "pass", " | ".join(texts), values, excerpt)


def first_failure(*results: Result) -> Result:
    """Return the first result that did not pass, else all of their evidence as one."""
    for result in results:
        if not result.ok:
            return result
    merged = {key: value for result in results for key, value in result.values.items()}
    return replace(results[0], evidence="; ".join(result.evidence for result in results), values=merged)
