"""What a job will do to a board, as data: the dry run prints it, the run executes it, the display times it.

A plan touches nothing and asks nobody; it follows from the profile, the board, the image and the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bringup.base.firmware import Firmware


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What people read of a step: `name` is its key in events, times are in seconds."""

    name: str
    title: str
    expected_s: float
    timeout_s: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageLimit:
    """How long a stage usually takes after the one before, and how long it may (seconds)."""

    stage: str
    expected_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one run will do, in order; secrets never enter it.

    `until` is the stage that is waited for, as far as it is known before; `aim` says in words when it ends.
    `work` is what the run is for: a boot, a probe, or its part of a longer job, as in `reimage: write`.
    """

    board: str
    profile: str
    twin: bool
    firmware: Firmware
    loader: str
    until: str
    aim: str
    work: str
    vms: int | None
    image: Mapping[str, Any]
    steps: tuple[PlannedStep, ...]
    limits: tuple[StageLimit, ...]
    unconfirmed: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON data."""
        return asdict(self)
