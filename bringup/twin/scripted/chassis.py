"""The chassis of a scripted board: power as a flag, a cable, and the process that plays what has power."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from bringup.base.child import Child
from bringup.base.errors import LabError
from bringup.base.events import Event
from bringup.twin.bmc.boot import BootFlags
from bringup.twin.machine import BOOT_NIC, NICS, OTHER_NIC, Flaws
from bringup.twin.network import Namespace, plug
from bringup.twin.scripted.board import Nature
from bringup.twin.scripted.process import RESETS, SAID

CABLE = "tap0"
"""The interface of the twin's namespace that a scripted board's cable is plugged into."""
_START_S, _STOP_S = 20.0, 3.0
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
    """Power and console of one scripted board. Implements what the BMC's server asks of it."""

    def __init__(self, namespace: Namespace, mac: str, flaws: Flaws) -> None:
        self._namespace = namespace
        self._mac = mac if flaws.boot_nic == BOOT_NIC else _OTHER_MAC
        self._flaws = flaws
        self._bmc: AttachedBmc | None = None
        self._on = False
        self._lock = threading.Lock()
        self._child = Child(
            "bringup.twin.scripted.process",
            "the scripted board",
            enter=(*namespace.enter, "unshare", "--net", "--"),
            emit=self._hear,
        )

    def start(self, bmc: AttachedBmc) -> None:
        """Plug the cable in; the board is off. Raises LabError or NamespaceError."""
        self._bmc = bmc
        post_s = self._flaws.post_s or Nature.post_s
        spec: dict[str, Any] = {"name": "board", "interface": "eth0", "mac": self._mac}
        spec |= {"no_link": self._flaws.no_link, "post_s": post_s}
        self._child.start({"boards": [spec]}, _START_S)
        pid = self._child.pid
        if pid is None:
            raise LabError("the scripted board ended at once")
        plug(self._namespace, pid, CABLE, "eth0", mac=self._mac)

    def close(self) -> None:
        """Switch it off and end its process."""
        self._child.close(_STOP_S)

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
        """Nothing on it reads what is typed."""

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
            self._child.tell({"board": "board", "do": "off"})

    def _boot(self) -> None:
        assert self._bmc is not None  # noqa: S101
        flags = self._bmc.take_boot_flags()
        network = flags.device == "network"
        self._child.tell({"board": "board", "do": "on", "network": network, "uefi": flags.uefi})

    def _hear(self, event: Event) -> None:
        if event.kind == RESETS:
            self.reset()
        elif event.kind == SAID and self._bmc is not None and self._on:
            self._bmc.serial_output(event.data["text"].encode("latin-1", "replace"))
