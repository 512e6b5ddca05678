"""Which faults a person asks for: `NAME[@STAGE|@SECONDS][,PARAMETER=NUMBER...]`, read and written back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bringup.base.errors import UsageError
from bringup.base.near import did_you_mean
from bringup.base.stage import BOOT_STAGES, Stage
from bringup.twin.faults.catalog import FAULTS, START, Fault

_MOMENTS = (START, *(str(stage) for stage in BOOT_STAGES))
_LONGEST_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class ChosenFault:
    """A fault with its moment and numbers: `at` is `start`, a stage's name, or seconds after power-on."""

    fault: Fault
    at: str | float
    numbers: Mapping[str, float]

    @property
    def name(self) -> str:
        """The fault's name."""
        return self.fault.name

    def number(self, name: str) -> float:
        """Return a parameter, its default where nothing was asked."""
        default = next(one.default for one in self.fault.parameters if one.name == name)
        return self.numbers.get(name, default)

    @property
    def stage(self) -> Stage | None:
        """The stage at which it begins, None for a time."""
        if isinstance(self.at, float) or self.at == START:
            return None
        return Stage(self.at)

    def __str__(self) -> str:
        moment = "" if self.at == self.fault.at else f"@{_shown(self.at)}"
        return self.name + moment + "".join(f",{name}={_shown(n)}" for name, n in self.numbers.items())


def choose(text: str) -> ChosenFault:
    """Return the fault that a person names; raises UsageError that says what there is."""
    words, *settings = text.split(",")
    name, has_moment, moment = words.partition("@")
    fault = FAULTS.get(name)
    if fault is None:
        raise UsageError(f"no fault {name!r}{did_you_mean(name, FAULTS)}", hint="bringup twin faults")
    at = _moment(fault, moment) if has_moment else fault.at
    return ChosenFault(fault, at, dict(_number(fault, setting) for setting in settings))


def choose_all(texts: Iterable[str]) -> tuple[ChosenFault, ...]:
    """Return the faults that are named; raises UsageError, also for one that is named twice."""
    chosen = tuple(choose(text) for text in texts)
    names = [one.name for one in chosen]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the fault {twice} is asked for twice", hint="name it once")
    return chosen


def plays(chosen: Iterable[ChosenFault]) -> tuple[str, ...]:
    """Return what the stand-in image has to do for these faults; raises UsageError where it is two things."""
    asked = tuple(dict.fromkeys(one.fault.play for one in chosen if one.fault.play))
    if len(asked) > 1:
        raise UsageError(
            f"two of these faults want the image to do different things: {' and '.join(asked)}",
            hint="play one of them at a time",
        )
    return asked


def _moment(fault: Fault, text: str) -> str | float:
    if fault.fixed and text != fault.at:
        raise UsageError(
            f"{fault.name}@{text}: this fault is there from the start or not at all",
            hint=f"--fault {fault.name}",
        )
    if text in _MOMENTS:
        return text
    seconds = _finite(text.removesuffix("s"))
    if seconds is None or not 0 <= seconds <= _LONGEST_S:
        raise UsageError(
            f"{fault.name}@{text}: neither a stage nor seconds after power-on",
            hint=f"{fault.name}@8, or one of {', '.join(_MOMENTS)}",
        )
    return seconds


def _number(fault: Fault, setting: str) -> tuple[str, float]:
    name, _, text = setting.partition("=")
    known = [one.name for one in fault.parameters]
    if name not in known:
        some = f"it has {', '.join(known)}" if known else "it has none"
        raise UsageError(f"the fault {fault.name} has no parameter {name!r}", hint=some)
    number = _finite(text)
    if number is None or number < 0:
        raise UsageError(f"{fault.name},{setting}: not a number", hint=f"such as {name}=10")
    return name, number


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
