"""Which twin a job runs on: the one that is up, or one that is started with what its image needs."""

from __future__ import annotations

from dataclasses import replace

from bringup.base.errors import UsageError
from bringup.lab.inventory import Board
from bringup.twin.client import request_of
from bringup.twin.engines import QEMU, SCRIPTED, TwinSetup, choose_engine
from bringup.twin.info import running


def settle_twin(
    board: Board, setup: TwinSetup, *, vtx: bool = False, stand_in: bool = False
) -> tuple[Board, TwinSetup]:
    """Return the board as its engine makes it, and the setup with that engine named and why.

    `vtx` says that the image needs VT-x, `stand_in` that it is the stand-in, the only one that a scripted
    board knows. A real board stays what it is. Raises UsageError for what the engine cannot do.
    """
    if not board.twin:
        return board, setup
    info = running(board.name)
    if info is not None and setup.engine == "auto":
        setup = replace(setup, engine=info.engine, why="the twin is up on it")
    else:
        chosen = choose_engine(setup.engine, vtx=vtx)
        setup = replace(setup, engine=chosen.engine.name, why=setup.why or chosen.why)
    engine = setup.chosen.engine
    if engine is SCRIPTED and not stand_in:
        raise UsageError(
            "a scripted board runs no image: it says what the stand-in would, whatever it is given",
            hint="--engine qemu (and `bringup twin down` where a scripted one is up)",
        )
    request_of(setup, board.name, tied=True)  # refuses what the engine cannot do
    # What another engine makes is another machine; a profile of one's own stays for the usual one.
    on_engine = board if engine.profile == QEMU.profile else replace(board, profile_name=engine.profile)
    return on_engine, setup


def not_a_twin(name: str) -> UsageError:
    """Return the refusal of what only a virtual board has."""
    return UsageError(
        f"{name} is a real board: its memory and processor are what they are",
        hint="leave out --memory and --engine",
    )
