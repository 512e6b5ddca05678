"""Starts, finds and ends a twin from a command."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import TracebackType

from bringup.base.child import Child, end_process
from bringup.base.errors import BringupError, LabError, UsageError
from bringup.base.firmware import Firmware
from bringup.base.paths import home_runtime_dir, open_lock
from bringup.twin import info
from bringup.twin.chassis import require_programs
from bringup.twin.devices import require_device
from bringup.twin.disks import TwinDisk
from bringup.twin.engines import BOCHS, DEFAULT_MEMORY_MIB, ENGINES, QEMU, TwinSetup
from bringup.twin.info import TwinInfo, running
from bringup.twin.machine import IGB, Variant

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class TwinRequest:
    """How to start a twin: `tied` ends it with the command that started it; port 0 picks a free one.

    `variant` is a sibling of the board (`machine.VARIANTS`), `engine` what it runs on. `disks` None: those it
    had the last time. The board boots by `firmware` where no boot override says otherwise. `faults` are what
    it plays, all their chances by `seed`.
    """

    name: str
    tied: bool
    memory_mib: int = DEFAULT_MEMORY_MIB
    bmc_port: int = 0
    variant: Variant = "standard"
    disks: tuple[TwinDisk, ...] | None = None
    firmware: Firmware = Firmware.BIOS
    engine: str = QEMU.name
    faults: tuple[str, ...] = ()
    seed: int = 0


def request_of(
    setup: TwinSetup,
    name: str,
    *,
    tied: bool,
    bmc_port: int = 0,
    variant: Variant = "standard",
    disks: tuple[TwinDisk, ...] | None = None,
    firmware: Firmware = Firmware.BIOS,
) -> TwinRequest:
    """Return how to start the twin that `setup` asks for; raises UsageError for what its engine cannot do."""
    engine = setup.chosen.engine
    title = engine.title.partition(",")[0]
    refusals = {
        f"{title} gives a board at most {engine.most_memory_mib} MiB, not {setup.memory}": (
            setup.memory > engine.most_memory_mib
        ),
        f"{title} has no PCI Express, so no variant {variant} of the board": (
            engine is BOCHS and variant != "standard"
        ),
        f"{title} runs a board without disks": engine is BOCHS and bool(disks or setup.disk),
        f"{title} plays no faults": engine is BOCHS and bool(setup.faults),
        f"{title} has no firmware {firmware}": firmware not in engine.firmwares,
    }
    for refusal, holds in refusals.items():
        if holds:
            raise UsageError(refusal, hint="leave that out, or --engine qemu")
    if variant == IGB:
        require_device(IGB, f"the variant {IGB}")
    return TwinRequest(
        name,
        tied,
        setup.memory,
        bmc_port,
        variant,
        disks,
        firmware,
        engine.name,
        setup.faults,
        setup.seed,
    )


class StartedTwin:
    """A twin this process started; `close()` ends it if it is tied."""

    def __init__(self, request: TwinRequest) -> None:
        require_programs(ENGINES[request.engine])
        self._tied = request.tied
        self._child = Child("bringup.twin.daemon", "the twin's process")
        with _one_starter(request.name):
            if running(request.name) is not None:
                raise LabError(f"the twin {request.name} is up already", hint="bringup twin status")
            self._child.start({**asdict(request), "firmware": str(request.firmware)}, START_TIMEOUT_S)
        found = running(request.name)
        if found is None:
            self._child.close(STOP_TIMEOUT_S)
            raise BringupError("the twin said it was ready and is gone")
        self.info = found
        if not request.tied:
            self._child.release()

    def close(self) -> None:
        """End the twin when it is tied to this process."""
        if self._tied:
            self._child.close(STOP_TIMEOUT_S)

    def __enter__(self) -> StartedTwin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def down(name: str) -> bool:
    """End the twin called `name`; returns whether one was up."""
    found = running(name)
    if found is None:
        return False
    end_process(found.pid, STOP_TIMEOUT_S, lambda left_s: _wait_gone(found, left_s))
    shutil.rmtree(info.twin_folder(name), ignore_errors=True)
    return True


def _wait_gone(found: TwinInfo, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while found.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def _one_starter(name: str) -> Iterator[None]:
    lock = open_lock(home_runtime_dir() / f"twin-{name}.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
