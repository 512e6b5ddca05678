"""The steps of a run that has the maintenance ramdisk on a board: it is met, the disks are looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.base.errors import BringupError
from bringup.base.size import rough_size
from bringup.boot.plan import PlannedStep
from bringup.boot.preflight import Prepared
from bringup.boot.step import Step
from bringup.disk.choose import Disk, rivals_words
from bringup.jobs.reimage.carry_out import Reached
from bringup.jobs.reimage.errand import READY
from bringup.jobs.reimage.survey import survey
from bringup.netboot.spec import Segment, ServeSpec
from bringup.power.actions import confirmed_state, cycle, ensure_off
from bringup.power.base import PowerState
from bringup.probe.agent import Agent
from bringup.probe.ramdisk import ramdisk_words

if TYPE_CHECKING:
    from bringup.boot.engine import Run

TOLD_BYTES = 8 << 20
"""Parts smaller than this are not worth a line."""
_TELL_EVERY_S = 0.2


@dataclass(slots=True)
class Room:
    """What the steps of one run share: the ramdisk, and the disks it showed."""

    agent: Agent | None = None
    disks: tuple[Disk, ...] = field(default_factory=tuple)

    @property
    def ramdisk(self) -> Agent:
        """The ramdisk; there is one from the step on that listens for it."""
        if self.agent is None:
            raise BringupError("a disk was asked for before its ramdisk was met")
        return self.agent


class ListenForRamdisk(Step):
    """Is ready for the ramdisk's questions, from before the board is started."""

    planned = PlannedStep("orders", "listen for the maintenance ramdisk", 0.1, 30.0)
    leaving = PlannedStep("part", "give the ramdisk no more orders", 0.1, 5.0)

    def __init__(self, room: Room) -> None:
        self._room = room

    def enter(self, run: Run) -> None:
        """Listen."""

        def heard() -> None:
            run.emit("disk", READY, "the maintenance ramdisk asks for orders")

        self._room.agent = Agent(heard=heard, check=run.go_on)

    def leave(self, run: Run) -> None:
        """Stop listening."""
        agent, self._room.agent = self._room.agent, None
        if agent is not None:
            agent.close()


def ramdisk_spec(room: Room, prepared: Prepared, folder: Path, segment: Segment) -> ServeSpec:
    """Return what is served on `segment`, with the words that tell the ramdisk where to ask."""
    agent = room.ramdisk
    words = maintenance_words(segment, agent.url(segment.base_url), twin=prepared.board.twin)
    return prepared.spec(folder, segment, words=words, visits=agent.visits)


def maintenance_words(segment: Segment, url: str, *, twin: bool) -> str:
    """Return the words that tell the ramdisk its ports and where to ask."""
    return ramdisk_words(segment.macs, url, "bringup.role=maintenance", twin=twin)


class GiveBack(Step):
    """Remembers whether the board is on, and leaves it so: off, or started anew into its own system.

    `taken_over` says afterwards that another run goes on with the board as it is. Who interrupts a run has
    the board as it was then.
    """

    planned = PlannedStep("found", "see whether the board is on, so that it can be left so", 0.3, 30.0)
    leaving = PlannedStep("restore", "where nothing follows: off again, or on into its own system", 1.0, 60.0)

    def __init__(self, taken_over: Callable[[], bool]) -> None:
        self._taken_over = taken_over
        self._found: PowerState | None = None

    def enter(self, run: Run) -> None:
        """Read the power."""
        self._found = confirmed_state(run.drivers.power, run.equipment.pace)

    def leave(self, run: Run) -> None:
        """Switch off what was off, start anew what was on."""
        standing = run.standing
        if run.interrupted or standing.ends_twin or standing.power is None or self._taken_over():
            return
        act = ensure_off if self._found is PowerState.OFF else cycle
        try:
            act(run.drivers.power, run.take, run.equipment.pace)
        except BringupError as error:
            run.emit("power", "power.left", f"could not leave the board as it was found: {error.message}")


class Survey(Step):
    """Looks at every disk of the board."""

    planned = PlannedStep("disks", "list the disks and what is on them", 3.0, 120.0)

    def __init__(self, room: Room) -> None:
        self._room = room

    def enter(self, run: Run) -> None:
        """Look, and tell."""
        if not _came_up(run):
            return
        self._room.disks = survey(self._room.ramdisk)
        for disk in self._room.disks:
            run.emit("disk", "disk.found", f"{disk}: {disk.contents}", **disk.to_dict())


def tell_rivals(run: Run, disks: Sequence[Disk], chosen: Disk) -> str | None:
    """Tell, and return, what a person should know where another disk has slots, too."""
    words = rivals_words(disks, chosen)
    if words is not None:
        run.emit("disk", "disk.rivals", words)
    return words


class Act(Step):
    """Does one thing with the disks, given as a function of the run, where the ramdisk came up."""

    def __init__(self, planned: PlannedStep, act: Callable[[Run], None]) -> None:
        self.planned = planned
        self._act = act

    def enter(self, run: Run) -> None:
        """Do it."""
        if _came_up(run):
            self._act(run)


def _came_up(run: Run) -> bool:
    """Return whether there is anybody to give orders to: else the verdict of the watch is that of the run."""
    return run.verdict is None or run.verdict.kind == "ok"


def progress_teller(run: Run) -> Callable[[Reached], None]:
    """Return what turns progress into events: some five a second, and one at the end of each large part."""
    told_s = 0.0

    def tell(reached: Reached) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if reached.size < TOLD_BYTES:
            return
        rate = reached.rate(now_s)
        role = f"{reached.phase} {reached.what}"
        data = {"role": role, "sent": reached.done, "size": reached.size, "rate": round(rate)}
        left_s = reached.left_s(now_s)
        if left_s is not None:
            data["left_s"] = round(left_s)
        if reached.done >= reached.size:
            there = f", {rough_size(reached.skipped)} of it was there already" if reached.skipped else ""
            speed = f"  {rough_size(round(rate))}/s" if rate else ""
            run.emit("disk", "disk.done", f"{role}: {rough_size(reached.size)}{there}{speed}", **data)
        elif now_s - told_s >= _TELL_EVERY_S:
            told_s = now_s
            run.emit("disk", "disk.progress", role, **data)

    return tell
