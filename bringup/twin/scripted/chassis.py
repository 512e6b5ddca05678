"""The chassis of a scripted board: power as a flag, in front of the process that plays what has power."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from bringup.base.errors import LabError
from bringup.twin.bmc.boot import BootFlags
from bringup.twin.disks import TwinDisk
from bringup.twin.machine import BOOT_NIC, NICS, OTHER_NIC, SOUND, Flaws
from bringup.twin.scripted.boards import Boards, BoardSpec, Listener

_CYCLE_PAUSE_S = 1.0
_OTHER_MAC = next(nic.mac for nic in NICS if nic.name == OTHER_NIC)


class AttachedBmc(Protocol):
    """What the chassis needs of the BMC."""

    def take_boot_flags(self) -> BootFlags:
        """Return the flags that hold for this boot."""

    def serial_output(self, data: bytes) -> object:
        """Take bytes the board printed."""

    def log_power(self, on: bool) -> None:
        """Record a change of power."""


class ScriptedChassis:
    """Power and console of one scripted board of `boards`. Implements what the BMC's server asks of it.

    Of several disks the first is the one that it has.
    """

    def __init__(
        self, boards: Boards, name: str, mac: str, flaws: Flaws = SOUND, disks: Sequence[TwinDisk] = ()
    ) -> None:
        self._boards = boards
        self._name = name
        disk = disks[0] if disks else None
        spec = BoardSpec(name, mac if flaws.boot_nic == BOOT_NIC else _OTHER_MAC, flaws, disk)
        boards.add(spec, Listener(self._said, self.reset))
        self._bmc: AttachedBmc | None = None
        self._on = False
        self._lock = threading.Lock()

    def start(self, bmc: AttachedBmc) -> None:
        """Begin to take commands; the board is off."""
        self._bmc = bmc

    def close(self) -> None:
        """Switch it off."""
        self._switch(False)

    def is_on(self) -> bool:
        """Return whether it has power."""
        return self._on

    def power_on(self) -> None:
        """Switch on, if off."""
        self._switch(True)

    def power_off(self) -> None:
        """Switch off, if on."""
        self._switch(False)

    def power_cycle(self) -> None:
        """Off, a pause, on."""
        self._switch(False)
        timer = threading.Timer(_CYCLE_PAUSE_S, self._switch, [True])
        timer.daemon = True
        timer.start()

    def reset(self) -> None:
        """Begin anew, if on."""
        if self._on:
            self._boot()

    def soft_off(self) -> None:
        """Press the power button: there is no system that would mind."""
        self._switch(False)

    def pulse_diag(self) -> None:
        """Nothing on it takes a diagnostic interrupt."""

    def write_serial(self, data: bytes) -> None:
        """Let it have what is typed: GRUB on its disk waits for a key."""
        if self._on:
            self._boards.hear(self._name, data.decode("latin-1"))

    def send_break(self) -> None:
        """Nothing on it takes a break."""

    def ask_monitor(self, command: str) -> str:
        """Refuse: there is no machine to ask about."""
        raise LabError(f"a scripted board has no machine that could answer {command!r}", hint="--engine qemu")

    def _switch(self, on: bool) -> None:
        with self._lock:
            if on == self._on:
                return
            self._on = on
        assert self._bmc is not None  # noqa: S101
        self._bmc.log_power(on)
        if on:
            self._boot()
        else:
            self._boards.switch_off(self._name)

    def _boot(self) -> None:
        assert self._bmc is not None  # noqa: S101
        flags = self._bmc.take_boot_flags()
        self._boards.switch_on(self._name, network=flags.device == "network", uefi=flags.uefi)

    def _said(self, data: bytes) -> None:
        if self._bmc is not None and self._on:
            self._bmc.serial_output(data)
