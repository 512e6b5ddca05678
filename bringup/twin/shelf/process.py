"""A shelf of scripted boards: many in one process, in one private network, each with a BMC of its own.

The request (see base/child.py) names the boards and what each plays, as
`{"boards": [{"name": …, "faults": […], "disks": […]}], "seed": …}`. Each board is a twin to every command
that finds it by its name; the whole shelf ends with this process.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from bringup.base.child import READY, answer_until_told
from bringup.base.errors import LabError
from bringup.base.events import Emit, Event
from bringup.twin.bmc.server import VirtualBmc
from bringup.twin.com1 import Com1Server
from bringup.twin.disks import TwinDisk, kept_disks
from bringup.twin.engines import SCRIPTED
from bringup.twin.faults.choice import choose_all
from bringup.twin.faults.director import DirectedBmc, DirectedBoard, Director
from bringup.twin.info import (
    ADDRESS,
    USER,
    TwinInfo,
    bmc_state_file,
    leave_password,
    make_password,
    own_ticks,
    twin_folder,
)
from bringup.twin.machine import flaws_of
from bringup.twin.network import Keeper, Namespace, cable
from bringup.twin.scripted.boards import Boards
from bringup.twin.scripted.chassis import ScriptedChassis
from bringup.twin.surroundings import Surroundings

_FIRST_ADDRESS = 50
_MAC = "52:54:00:5e:{:02x}:{:02x}"


@dataclass(frozen=True, slots=True)
class Slot:
    """One board's place on the shelf."""

    number: int
    name: str
    faults: tuple[str, ...]
    seed: int
    disks: tuple[TwinDisk, ...] | None = None

    @property
    def mac(self) -> str:
        """The MAC of its boot port."""
        return _MAC.format(self.number >> 8, self.number & 0xFF)

    @property
    def address(self) -> str:
        """What the network gives it."""
        return f"10.55.0.{_FIRST_ADDRESS + self.number}"


def main() -> int:
    """Run the shelf; returns the exit code."""
    return answer_until_told(_answer)


def _answer(request: dict[str, Any], emit: Emit, stop: threading.Event) -> None:
    slots = [
        Slot(number, body["name"], tuple(body["faults"]), request["seed"], _disks(body["disks"]))
        for number, body in enumerate(request["boards"])
    ]
    try:
        _serve(slots, emit, stop)
    except OSError as error:
        raise LabError(f"the shelf cannot run here: {error}") from None
    finally:
        for slot in slots:
            shutil.rmtree(twin_folder(slot.name), ignore_errors=True)


def _disks(bodies: list[dict[str, Any]] | None) -> tuple[TwinDisk, ...] | None:
    return None if bodies is None else tuple(TwinDisk(**body) for body in bodies)


def _serve(slots: list[Slot], emit: Emit, stop: threading.Event) -> None:
    with ExitStack() as stack:
        keeper = Keeper([])
        stack.callback(keeper.close)
        boards = Boards(keeper.namespace)
        stack.callback(boards.close)
        # One for all, so that tools which ask many BMCs at once can be given it.
        password = make_password()
        bmcs = [_place(slot, password, keeper.namespace, boards, stack) for slot in slots]
        boards.start()
        for begin in bmcs:
            begin(stop)
        emit(Event("twin", READY, "the shelf is up"))
        stop.wait()


def _place(slot: Slot, password: str, namespace: Namespace, boards: Boards, stack: ExitStack) -> Any:
    """Put one board on the shelf; what is returned lets its BMC answer."""
    folder = twin_folder(slot.name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    leave_password(folder, password)
    com1 = Com1Server(folder)
    stack.callback(com1.close)
    faults = choose_all(slot.faults)
    surroundings = Surroundings(namespace, faults, slot.seed, cable(slot.number))
    stack.callback(surroundings.close)
    director = Director(faults, slot.seed, now=time.monotonic, tell_wire=surroundings.begin)
    disks = kept_disks(slot.name, slot.disks)
    chassis = ScriptedChassis(boards, slot.name, slot.mac, flaws_of(faults), disks)
    bmc = VirtualBmc(
        DirectedBoard(chassis, director),
        users={USER: (password, "administrator")},
        state_file=bmc_state_file(slot.name),
        address=ADDRESS,
        intercept=director.answers,
    )
    return partial(_begin, slot, namespace, bmc, chassis, director, surroundings, stack)


def _begin(
    slot: Slot,
    namespace: Namespace,
    bmc: VirtualBmc,
    chassis: ScriptedChassis,
    director: Director,
    surroundings: Surroundings,
    stack: ExitStack,
    stop: threading.Event,
) -> None:
    chassis.start(DirectedBmc(bmc, director))
    surroundings.start(director.seen)
    director.start(bmc, chassis)
    TwinInfo(
        name=slot.name,
        pid=os.getpid(),
        started_ticks=own_ticks(),
        bmc_address=ADDRESS,
        bmc_port=bmc.port,
        user=USER,
        keeper_pid=namespace.keeper_pid,
        boot_mac=slot.mac,
        memory_mib=SCRIPTED.memory_mib,
        engine=SCRIPTED.name,
        faults=slot.faults,
        seed=slot.seed,
        board_address=slot.address,
        shelf=True,
    ).save()
    thread = threading.Thread(target=bmc.serve_forever, args=(stop,), name=f"bmc of {slot.name}", daemon=True)
    thread.start()
    stack.callback(director.close)
    stack.callback(chassis.close)


if __name__ == "__main__":
    raise SystemExit(main())
