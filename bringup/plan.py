"""What a boot will do, as data: the dry run prints it, the run executes it, the display times it.

A plan touches nothing and asks nobody; it follows from the profile, the board, the image and the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bringup.firmware import Firmware
from bringup.stage import Stage


@dataclass(frozen=True, slots=True)
class BootRequest:
    """What a person asked for, apart from the image."""

    firmware: Firmware | None = None
    until: Stage | None = None
    loader: str = "auto"
    vms: int | None = None
    steal: bool = False
    keep_twin: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `name` is its key in events, `title` what a person reads, times in seconds."""

    name: str
    title: str
    expected_s: float
    timeout_s: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageLimit:
    """How long a stage usually takes after the one before, and how long it may."""

    stage: Stage
    expected_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one boot will do, in order; secrets never enter it."""

    board: str
    profile: str
    twin: bool
    firmware: Firmware
    loader: str
    until: Stage
    vms: int | None
    image: Mapping[str, Any]
    steps: tuple[Step, ...]
    limits: tuple[StageLimit, ...]
    unconfirmed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON data."""
        body = asdict(self)
        body["until"] = str(self.until)
        body["limits"] = [{**asdict(limit), "stage": str(limit.stage)} for limit in self.limits]
        return body
