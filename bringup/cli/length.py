"""A length of time as an option takes it: with its unit, and as plain seconds where nobody means hours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from bringup.base.duration import rough_duration, seconds_of

if TYPE_CHECKING:
    _Seconds = click.ParamType[float]
else:
    _Seconds = click.ParamType  # that of an older click takes no type

_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,3})?", re.ASCII)


class Length(_Seconds):
    """Seconds, from `2h`, `90m`, `1h30m`; from `90` too, unless the unit is needed.

    `beyond` says what to do about a length that is out of bounds.
    """

    name = "time"

    def __init__(self, least_s: float, most_s: float, *, unit_needed: bool = False, beyond: str = "") -> None:
        self._least_s, self._most_s = least_s, most_s
        self._unit_needed = unit_needed
        self._beyond = f"; {beyond}" if beyond else ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds that were typed; raises BadParameter."""
        text = str(value)
        try:
            plain = _SECONDS.fullmatch(text) and not self._unit_needed
            seconds = float(text) if plain else seconds_of(text)
        except ValueError as error:
            self.fail(f"{text!r}: {error}", param, ctx)
        if not self._least_s <= seconds <= self._most_s:
            bounds = f"{rough_duration(self._least_s)} to {rough_duration(self._most_s)}"
            self.fail(f"{text!r}: it is from {bounds}{self._beyond}", param, ctx)
        return seconds
