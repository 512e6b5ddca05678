"""From a board of the lab to what drives its power: the driver that its `power` in lab.toml names.

A driver is a module of bringup.power.drivers, or an entry point of another package in the group
`bringup.power`. Only the one that is used is imported.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from bringup.base.errors import LabError, ProfileError
from bringup.base.events import Emit, Event
from bringup.base.near import did_you_mean
from bringup.power import drivers
from bringup.power.base import Drivers, Person

if TYPE_CHECKING:
    from bringup.lab.inventory import Board
    from bringup.power.base import OpenDrivers

ENTRY_POINTS = "bringup.power"


def open_drivers(board: Board, emit: Emit | None = None, person: Person | None = None) -> Drivers:
    """Return what drives the board's power; nothing is switched or read before the first call on it.

    `person` is whom a driver may ask to lend a hand. Raises ProfileError for a driver that is not known here
    or settings that are not its own, LabError where what the driver needs is missing.
    """
    return _driver(board)(board, emit or _ignore, person)


def has_override(board: Board) -> bool:
    """Return whether what boots next can be said to the board; nothing is sent. Raises as `open_drivers`."""
    if board.twin and board.power == "ipmi":
        return True  # its BMC is there once it is up
    return open_drivers(board).override is not None


def driver_names() -> list[str]:
    """Return the names of all drivers, those of other packages included."""
    return sorted({*_built_in(), *(found.name for found in entry_points(group=ENTRY_POINTS))})


def _driver(board: Board) -> OpenDrivers:
    name = board.power
    if name in _built_in():
        module = import_module(f"{drivers.__name__}.{name}")
        opener: OpenDrivers = module.open_drivers
        return opener
    found = next(iter(entry_points(group=ENTRY_POINTS, name=name)), None)
    if found is None:
        raise _unknown(board)
    return _loaded(found)


@cache
def _built_in() -> set[str]:
    return {module.name for module in iter_modules(drivers.__path__)}


def _loaded(found: EntryPoint) -> OpenDrivers:
    try:
        opener: OpenDrivers = found.load()
    except (ImportError, AttributeError) as error:
        package = found.dist.name if found.dist else "another package"
        raise LabError(
            f"the power driver {found.name} of {package} cannot be loaded: {error}",
            hint=f"{found.value} must be a function open_drivers(board, emit, person)",
        ) from None
    return opener


def _unknown(board: Board) -> ProfileError:
    known = driver_names()
    return ProfileError(
        f'{board.power_place}: there is no power driver "{board.power}"{did_you_mean(board.power, known)}',
        hint=f"power drivers: {', '.join(known)}",
    )


def _ignore(_event: Event) -> None:
    return
