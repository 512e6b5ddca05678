"""The settings of a power driver in lab.toml: the driver gives their model, the lab file where they stand."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from bringup.lab.inventory import Board
from bringup.profile.check import validate

S = TypeVar("S", bound=BaseModel)


class NoSettings(BaseModel):
    """The settings of a driver that has none."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _PowerOf(BaseModel, Generic[S]):
    power: S


class _LabOf(BaseModel, Generic[S]):
    boards: dict[str, _PowerOf[S]]


def power_settings(board: Board, model: type[S]) -> S:
    """Return what lab.toml tells the board's power driver, checked; raises ProfileError with FILE:LINE.

    A driver gives the model of its own settings: the lab file knows only where they stand.
    """
    documents = [] if board.document is None else [board.document]
    written = {"boards": {board.name: {"power": dict(board.power_table)}}}
    return validate(_LabOf[model], written, documents).boards[board.name].power  # type: ignore[valid-type]
