"""What a job wants of a board beyond booting: a stage of its own, with its own evidence, ends and causes.

A boot has none. The engine and the verdict know that there may be one, and nothing of what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.base.events import Event
    from bringup.base.stage import Stage
    from bringup.boot.causes.row import Row
    from bringup.boot.evidence import BootEvidence


@dataclass(frozen=True, slots=True)
class Errand:
    """`stage` is reached, and given up, by what `handlers` make of events by their kind.

    `silent_code` is the row of `causes` that fits when nothing of it comes for too long: `expected_s` is how
    long it usually takes after the stage before, `timeout_s` how long it may, in seconds.
    """

    stage: Stage
    handlers: Mapping[str, Callable[[BootEvidence, Event], None]]
    silent_code: str
    causes: Mapping[str, Row]
    expected_s: float
    timeout_s: float
