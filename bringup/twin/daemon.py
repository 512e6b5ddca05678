"""The twin's own process: namespace, chassis and BMC, from its request (see base/child.py) to SIGTERM.

The request is a TwinRequest. A tied twin ends when stdin closes, so it never outlives the command that needed
it. QEMU and the namespace die with this process, whatever kills it.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.child import READY, answer_until_told, when_starter_ends
from bringup.base.errors import LabError
from bringup.base.events import Emit, Event
from bringup.base.firmware import Firmware
from bringup.twin.bmc.server import VirtualBmc
from bringup.twin.chassis import Chassis
from bringup.twin.com1 import Com1Server
from bringup.twin.disks import TwinDisk, kept_disks
from bringup.twin.engines import ENGINES, SCRIPTED
from bringup.twin.faults.choice import choose_all
from bringup.twin.faults.director import DirectedBmc, DirectedBoard, Director
from bringup.twin.faults.system import disk_with_system
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
from bringup.twin.machine import BOOT_MAC, BOOT_NIC, NICS, Flaws, flaws_of
from bringup.twin.monitor import MonitorServer
from bringup.twin.network import Keeper, Namespace, cable
from bringup.twin.surroundings import Surroundings

if TYPE_CHECKING:
    from bringup.twin.scripted.boards import Boards
    from bringup.twin.scripted.chassis import ScriptedChassis


def main() -> int:
    """Run the twin; returns the exit code."""
    return answer_until_told(_answer)


def _answer(request: dict[str, Any], emit: Emit, stop: threading.Event) -> None:
    folder = twin_folder(request["name"])
    try:
        _serve(request, folder, emit, stop)
    except OSError as error:
        raise LabError(f"the twin cannot run here: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(request: dict[str, Any], folder: Path, emit: Emit, stop: threading.Event) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    name = request["name"]
    scripted = request["engine"] == SCRIPTED.name
    password = make_password()
    leave_password(folder, password)
    disks = kept_disks(name, _asked_disks(request["disks"]))
    taps = {} if scripted else {nic.name: cable(index) for index, nic in enumerate(NICS) if nic.cabled}
    keeper = Keeper(list(taps.values()))
    com1 = Com1Server(folder)
    faults = choose_all(request["faults"])
    surroundings = Surroundings(keeper.namespace, faults, request["seed"], taps.get(BOOT_NIC, cable(0)))
    boards = _new_boards(keeper.namespace) if scripted else None
    director = Director(faults, request["seed"], now=time.monotonic, tell_wire=surroundings.begin)
    try:
        chassis = (
            _machine(request, keeper.namespace, taps, folder, com1, disks)
            if boards is None
            else _scripted(boards, name, flaws_of(faults), disks)
        )
        bmc = VirtualBmc(
            DirectedBoard(chassis, director),
            users={USER: (password, "administrator")},
            state_file=bmc_state_file(name),
            address=ADDRESS,
            port=request["bmc_port"],
            intercept=director.answers,
        )
        chassis.start(DirectedBmc(bmc, director))
        if boards is not None:
            boards.start()
        surroundings.start(director.seen)
        director.start(bmc, chassis)
        TwinInfo(
            name=name,
            pid=os.getpid(),
            started_ticks=own_ticks(),
            bmc_address=ADDRESS,
            bmc_port=bmc.port,
            user=USER,
            keeper_pid=keeper.namespace.keeper_pid,
            boot_mac=BOOT_MAC,
            memory_mib=request["memory_mib"],
            engine=request["engine"],
            variant=request["variant"],
            disks=disks,
            faults=tuple(map(str, faults)),
            seed=request["seed"],
        ).save()
        monitor = MonitorServer(folder, chassis.ask_monitor)
        emit(Event("run", READY, "the twin is up"))
        if request["tied"]:
            when_starter_ends(stop.set)
        try:
            bmc.serve_forever(stop)
        finally:
            director.close()
            monitor.close()
            chassis.close()
    finally:
        com1.close()
        surroundings.close()
        if boards is not None:
            boards.close()
        keeper.close()


def _machine(
    request: dict[str, Any],
    namespace: Namespace,
    taps: dict[str, str],
    folder: Path,
    com1: Com1Server,
    disks: Sequence[TwinDisk],
) -> Chassis:
    faults = choose_all(request["faults"])
    return Chassis(
        namespace,
        taps,
        folder,
        memory_mib=request["memory_mib"],
        default_firmware=Firmware(request["firmware"]),
        report=lambda text: _note(folder, text),
        com1=com1.feed,
        variant=request["variant"],
        disks=disks or disk_with_system(folder, faults),
        engine=ENGINES[request["engine"]],
        flaws=flaws_of(faults),
    )


def _new_boards(namespace: Namespace) -> Boards:
    from bringup.twin.scripted.boards import Boards  # a third of what this process would import

    return Boards(namespace)


def _scripted(boards: Boards, name: str, flaws: Flaws, disks: Sequence[TwinDisk]) -> ScriptedChassis:
    from bringup.twin.scripted.chassis import ScriptedChassis

    return ScriptedChassis(boards, name, BOOT_MAC, flaws, disks)


def _asked_disks(bodies: list[dict[str, Any]] | None) -> list[TwinDisk] | None:
    return None if bodies is None else [TwinDisk(**body) for body in bodies]


def _note(folder: Path, text: str) -> None:
    with (folder / "qemu.log").open("a", encoding="utf-8") as log:
        log.write(f"chassis: {text}\n")


if __name__ == "__main__":
    raise SystemExit(main())
