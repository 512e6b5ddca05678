"""The process that plays scripted boards, as many as there are, and their cables to the twin's bridge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bringup.base.child import Child
from bringup.base.errors import LabError
from bringup.base.events import Event
from bringup.twin.disks import TwinDisk
from bringup.twin.machine import Flaws
from bringup.twin.network import Namespace, cable, plug
from bringup.twin.scripted.board import Nature
from bringup.twin.scripted.process import RESETS, SAID

_START_S, _STOP_S = 20.0, 3.0


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """One board: its name here, the MAC of its boot port, what is wrong with it, its disk."""

    name: str
    mac: str
    flaws: Flaws
    disk: TwinDisk | None = None

    @property
    def post_s(self) -> float:
        """Seconds of its self-test."""
        return self.flaws.post_s or Nature.post_s


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what a board says, and that it resets itself."""

    said: Callable[[bytes], None]
    resets: Callable[[], None]


class Boards:
    """Scripted boards in one process, from `start` to `close`; all are added before."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._specs: list[BoardSpec] = []
        self._listeners: dict[str, Listener] = {}
        self._child = Child(
            "bringup.twin.scripted.process",
            "the scripted board",
            enter=(*namespace.enter, "unshare", "--net", "--"),
            emit=self._hear,
        )

    def add(self, spec: BoardSpec, listener: Listener) -> None:
        """Have one more board, of a name of its own."""
        self._specs.append(spec)
        self._listeners[spec.name] = listener

    def start(self) -> None:
        """Start the process and plug all cables in; raises LabError or NamespaceError."""
        bodies = [self._body(number, spec) for number, spec in enumerate(self._specs)]
        self._child.start({"boards": bodies}, _START_S)
        pid = self._child.pid
        if pid is None:
            raise LabError("the scripted board ended at once")
        for number, spec in enumerate(self._specs):
            plug(self._namespace, pid, cable(number), f"eth{number}", mac=spec.mac)

    def close(self) -> None:
        """End the process, and with it the cables."""
        self._child.close(_STOP_S)

    def switch_on(self, name: str, *, network: bool, uefi: bool) -> None:
        """Let a board boot, from the network or its disk."""
        self._child.tell({"board": name, "do": "on", "network": network, "uefi": uefi})

    def switch_off(self, name: str) -> None:
        """Let a board stop at once."""
        self._child.tell({"board": name, "do": "off"})

    def hear(self, name: str, text: str) -> None:
        """Let a board have what is typed on its console."""
        self._child.tell({"board": name, "do": "hear", "text": text})

    def _body(self, number: int, spec: BoardSpec) -> dict[str, Any]:
        return {
            "name": spec.name,
            "interface": f"eth{number}",
            "mac": spec.mac,
            "no_link": spec.flaws.no_link,
            "post_s": spec.post_s,
            "no_vtx": spec.flaws.no_vtx,
            "disk": _disk_body(spec.disk),
        }

    def _hear(self, event: Event) -> None:
        listener = self._listeners.get(str(event.data.get("board")))
        if listener is not None and event.kind == RESETS:
            listener.resets()
        elif listener is not None and event.kind == SAID:
            listener.said(event.data["text"].encode("latin-1", "replace"))


def _disk_body(disk: TwinDisk | None) -> dict[str, Any] | None:
    if disk is None or disk.file is None:
        return None
    sector_bytes = 4096 if disk.kind == "nvme4k" else 512
    return {"file": disk.file, "serial": disk.serial or "", "sector_bytes": sector_bytes}
