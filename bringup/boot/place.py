"""Where a board stands while it is booted: its network segment, and the twin's process if it is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bringup.base.errors import ProfileError
from bringup.base.events import Emit, Event
from bringup.lab.inventory import Board
from bringup.netboot.prepare import Segment
from bringup.twin.machine import BOOT_MAC
from bringup.twin.network import BOARD_ADDRESS, BRIDGE, SERVER_ADDRESS


@dataclass(frozen=True, slots=True)
class Site:
    """A board that can be reached now; `enter` runs a program in its network.

    `exists` says whether there is still a board: a twin can be ended, a real one cannot.
    """

    board: Board
    enter: Sequence[str] = ()
    exists: Callable[[], bool] = lambda: True


def segment_of(board: Board) -> Segment:
    """Return the network a board boots from (pure); raises ProfileError when the lab file does not say."""
    if board.twin:
        return Segment(
            interface=BRIDGE,
            address=SERVER_ADDRESS,
            mode="own-segment",
            macs=(BOOT_MAC,),
            board_address=BOARD_ADDRESS,
            router_advertisement=True,
        )
    if board.network is None or not board.macs:
        raise ProfileError(
            f"the lab file does not say how {board.name} boots from the network",
            hint=f"give [boards.{board.name}] `macs` and `network = {{ interface, mode, address }}`",
        )
    network = board.network
    return Segment(
        interface=network.interface,
        address=network.address,
        mode=network.mode,
        macs=board.macs,
        board_address=network.board_address,
        router_advertisement=network.mode == "own-segment",
    )


@contextmanager
def open_site(board: Board, emit: Emit, *, keep_twin: bool) -> Iterator[Site]:
    """Make the board reachable: a twin that is not up is started, and ended again unless it is to be kept."""
    if not board.twin:
        yield Site(board)
        return
    from bringup.twin.client import StartedTwin, TwinRequest, running

    info = running(board.name)
    if info is not None:
        emit(Event("twin", "twin.up", f"already up, BMC at {info.bmc_address} port {info.bmc_port}"))
        try:
            yield Site(board, info.namespace.enter, info.alive)
        finally:
            running(board.name)  # clears away what is left of a twin that was killed meanwhile
        return
    with StartedTwin(TwinRequest(board.name, tied=not keep_twin)) as twin:
        where = f"BMC at {twin.info.bmc_address} port {twin.info.bmc_port}"
        emit(Event("twin", "twin.up", f"started, {where}", {"tied": not keep_twin}))
        yield Site(board, twin.info.namespace.enter, twin.info.alive)
