"""Where a board stands while it is worked on: the ways to its power, its console and its network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from bringup.base.errors import LabError, ProfileError
from bringup.base.events import Emit, Event
from bringup.console.base import Console
from bringup.lab.inventory import Board
from bringup.netboot.spec import MakeSpec, Segment
from bringup.power.base import Drivers, Person
from bringup.twin.engines import SCRIPTED, USUAL, TwinSetup
from bringup.twin.info import TwinInfo, running, twin_folder
from bringup.twin.machine import BOOT_MAC
from bringup.twin.network import NETWORK


class ReachedBoard(Protocol):
    """A board that can be reached now. Nothing is sent before what is returned is used."""

    def exists(self) -> bool:
        """Return whether there is still a board: a twin can be ended, a real one cannot."""
        ...

    def held_up_s(self) -> float:
        """Return how many seconds since the last call this host had no processor for the board."""
        ...

    def drivers(self, emit: Emit) -> Drivers:
        """Return what switches the board; the caller closes it."""
        ...

    def console(self, emit: Emit, *, steal: bool) -> Console:
        """Return the board's console, not attached yet."""
        ...

    def second_console(self, emit: Emit) -> Console:
        """Return the serial port that the console does not show, not opened yet; only where there is one."""
        ...

    def serve(self, segment: Segment, make_spec: MakeSpec, emit: Emit) -> AbstractContextManager[object]:
        """Return a context in which the board's network boot is served."""
        ...

    def serve_ahead(self, segment: Segment) -> ServingAhead:
        """Start in the background what `serve` needs; nothing is served yet."""
        ...


class ServingAhead(Protocol):
    """What takes time before a board can be served, under way."""

    def wait(self) -> None:
        """Return when it is done, or cannot be."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class _KeptDrivers:
    """A board's drivers, opened once: what a person told them holds for the next run, too."""

    def __init__(self) -> None:
        self._drivers: Drivers | None = None
        self._emit: Emit = lambda _event: None

    def opened(self, board: Board, emit: Emit, person: Person | None) -> Drivers:
        """Return the drivers, whose events reach `emit` from now on."""
        from bringup.power.open import open_drivers

        self._emit = emit
        if self._drivers is None:
            self._drivers = open_drivers(board, lambda event: self._emit(event), person)
        return self._drivers


@dataclass(frozen=True, slots=True)
class BoardPlace:
    """The place of a board of the lab; `enter` is the command prefix that runs a program in its network.

    `person` is whom a power driver may ask to lend a hand; `tied`: a twin that ends with whoever reached it;
    `waited`: what tells how long a machine waited that this host emulates.
    """

    board: Board
    enter: Sequence[str] = ()
    alive: Callable[[], bool] = lambda: True
    person: Person | None = None
    tied: bool = False
    waited: Callable[[], float] = lambda: 0.0
    _kept: _KeptDrivers = field(default_factory=_KeptDrivers, compare=False, repr=False)

    def exists(self) -> bool:
        """Return whether the twin's process lives; a real board always does."""
        return self.alive()

    def held_up_s(self) -> float:
        """Return how long a twin's machine had no processor; a real board has its own."""
        return self.waited()

    def drivers(self, emit: Emit) -> Drivers:
        """Return the drivers that the lab file names, the same ones when asked again."""
        return self._kept.opened(self.board, emit, self.person)

    def console(self, emit: Emit, *, steal: bool) -> Console:
        """Return Serial-over-LAN, or the serial line that the lab file names."""
        from bringup.console.open import open_console

        return open_console(self.board, emit, steal=steal)

    def second_console(self, emit: Emit) -> Console:
        """Return the twin's COM1, or the line that the lab file names as `console2`."""
        from bringup.console.open import open_line

        if self.board.twin:
            from bringup.twin.com1 import Com1Console

            return Com1Console(twin_folder(self.board.name))
        assert self.board.console2 is not None, "planned for a board that has one"  # noqa: S101
        return open_line(self.board, self.board.console2, emit)

    def serve(self, segment: Segment, make_spec: MakeSpec, emit: Emit) -> AbstractContextManager[object]:
        """Return DHCP, TFTP and HTTP in the board's network."""
        from bringup.netboot.server import NetbootServer

        return NetbootServer(segment, make_spec, emit, self.enter)

    def serve_ahead(self, segment: Segment) -> ServingAhead:
        """Start the process that serves the board's interface."""
        from bringup.netboot.ahead import Ahead

        return Ahead(segment.interface, self.enter)


def segment_of(board: Board) -> Segment:
    """Return the network a board boots from; raises ProfileError when the lab file does not say."""
    if board.twin:
        # One of a shelf has its own port on a bridge that it shares.
        info = running(board.name)
        if info is None:
            return Segment.of(NETWORK, (BOOT_MAC,))
        return Segment.of(replace(NETWORK, board_address=info.board_address), (info.boot_mac,))
    if board.network is None or not board.macs:
        raise ProfileError(
            f"the lab file does not say how {board.name} boots from the network",
            hint=f"give [boards.{board.name}] `macs` and `network = {{ interface, mode, address }}`",
        )
    return Segment.of(board.network, board.macs)


@contextmanager
def reach(
    board: Board,
    emit: Emit,
    *,
    keep_twin: bool,
    setup: TwinSetup = USUAL,
    person: Person | None = None,
) -> Iterator[BoardPlace]:
    """Make the board reachable: a twin that is not up is started, and ended again unless it is to be kept.

    Raises LabError for a twin that is up with another memory, on another engine or without the faults that
    `setup` asks for.
    """
    if not board.twin:
        yield BoardPlace(board, person=person)
        return
    from bringup.twin.client import StartedTwin, request_of
    from bringup.twin.disks import first_disks

    info = running(board.name)
    if info is not None:
        _check_setup(info, setup)
        where = f"BMC at {info.bmc_address} port {info.bmc_port}{_plays(info)}"
        emit(Event("twin", "twin.up", f"already up, {info.memory_mib} MiB, {where}"))
        try:
            yield BoardPlace(board, info.namespace.enter, info.alive, person, waited=_waited(info))
        finally:
            running(board.name)  # clears away what is left of a twin that was killed meanwhile
        return
    disks = first_disks(board.name) if setup.disk else None
    with StartedTwin(request_of(setup, board.name, tied=not keep_twin, disks=disks)) as twin:
        where = f"BMC at {twin.info.bmc_address} port {twin.info.bmc_port}{_plays(twin.info)}"
        emit(
            Event("twin", "twin.up", f"started, {twin.info.memory_mib} MiB, {where}", {"tied": not keep_twin})
        )
        info = twin.info
        enter, tied = info.namespace.enter, not keep_twin
        yield BoardPlace(board, enter, info.alive, person, tied=tied, waited=_waited(info))


def _waited(info: TwinInfo) -> Callable[[], float]:
    """Return what tells how long a twin's machine waited; a scripted board computes next to nothing."""
    if info.engine == SCRIPTED.name:
        return lambda: 0.0
    from bringup.twin.held_up import HeldUp

    return HeldUp(info.pid).seconds


def _plays(info: TwinInfo) -> str:
    return f", plays {', '.join(info.faults)} (seed {info.seed})" if info.faults else ""


def _check_setup(info: TwinInfo, setup: TwinSetup) -> None:
    if setup.engine not in ("auto", info.engine):
        raise LabError(
            f"the twin {info.name} is up on {info.engine}, not on {setup.engine}",
            hint=f"bringup twin down {info.name}, or leave out --engine",
        )
    if setup.faults and (setup.faults, setup.seed) != (info.faults, info.seed):
        raise LabError(
            f"the twin {info.name} is up without what is asked for{_plays(info)}",
            hint=f"bringup twin down {info.name}, or leave out --fault",
        )
    if setup.memory_mib not in (None, info.memory_mib):
        raise LabError(
            f"the twin {info.name} is up with {info.memory_mib} MiB, not with {setup.memory_mib}",
            hint=f"bringup twin down {info.name}, or leave out --memory",
        )
