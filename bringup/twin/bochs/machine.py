"""One Bochs process from power-on to power-off, with its two serial ports."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bringup.base.errors import LabError, MissingProgramError
from bringup.twin.bochs.config import FILES, Lines, bochsrc, command, halting_disk
from bringup.twin.bochs.listener import listen_inside
from bringup.twin.bochs.messages import Meaning, Messages
from bringup.twin.uart import start_reading

_CONNECT_S = 10.0
_STOP_S = 5.0
_LACKS = {
    "system_powerdown": "ACPI power button",
    "inject-nmi": "button for a non-maskable interrupt",
    "chardev-send-break": "break on its serial ports",
    "human-monitor-command": "monitor",
}


class BochsMachine:
    """A board that runs in Bochs. `told` hears of the guest's resets, of its power-off, and of a fault.

    Raises LabError when Bochs does not start.
    """

    def __init__(
        self,
        enter: Sequence[str],
        folder: Path,
        *,
        tap: str,
        mac: str,
        memory_mib: int,
        network: bool,
        sol: Callable[[bytes], object],
        com1: Callable[[bytes], object],
        told: Callable[[Meaning, str], None],
    ) -> None:
        self._told = told
        self._closing = False
        self._last = ""
        listeners = listen_inside(enter)
        try:
            com1_port, sol_port = (each.getsockname()[1] for each in listeners)
            lines = Lines(com1_port, sol_port, tap, mac)
            (folder / "halt.img").write_bytes(halting_disk())
            (folder / "bochs-go").write_text("c\n", encoding="ascii")
            text = bochsrc(lines, folder, memory_mib=memory_mib, network=network)
            (folder / "bochsrc").write_text(text, encoding="utf-8")
            self._process = subprocess.Popen(
                [*enter, *command(folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
            self._reader = threading.Thread(target=self._read, name="bochs", daemon=True)
            self._reader.start()
            self._com1, self._sol = self._connected(listeners)
        finally:
            for listener in listeners:
                listener.close()
        start_reading(self._sol, sol)
        start_reading(self._com1, com1)

    def _connected(self, listeners: Sequence[socket.socket]) -> list[socket.socket]:
        """Return both ports: Bochs connects before its first instruction, so no byte is lost."""
        connections: list[socket.socket] = []
        try:
            for listener in listeners:
                listener.settimeout(_CONNECT_S)
                connections.append(listener.accept()[0])
                connections[-1].settimeout(None)
        except OSError:
            self._end(connections)
            raise LabError(f"Bochs did not start: {self._last or 'it said nothing'}") from None
        return connections

    def _read(self) -> None:
        messages = Messages()
        assert self._process.stdout is not None  # noqa: S101
        with self._process.stdout as output:
            for line in output:
                self._last = line.decode("utf-8", "replace").strip() or self._last
                meaning = messages.read(line)
                if meaning is not None and not self._closing:
                    self._told(*meaning)

    def alive(self) -> bool:
        """Return whether it runs."""
        return self._process.poll() is None

    def write_serial(self, data: bytes) -> None:
        """Type on the SOL port."""
        try:
            self._sol.sendall(data)
        except OSError:
            return  # the board was switched off under our hands

    def monitor(self, command: str, **_arguments: Any) -> Any:
        """Refuse: Bochs has no monitor that could be asked meanwhile; raises LabError."""
        raise LabError(
            f"the twin runs on Bochs, which has no {_LACKS.get(command, command)}",
            hint="bringup twin up --engine qemu has one",
        )

    def close(self) -> None:
        """Pull the plug."""
        self._end([self._com1, self._sol])

    def _end(self, lines: Sequence[socket.socket]) -> None:
        # The process first: Bochs dies of a peer that closes, and would be told as a fault.
        self._closing = True
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=_STOP_S)
        self._reader.join(_STOP_S)
        for line in lines:
            line.close()


def require_bochs() -> None:
    """Raise MissingProgramError when Bochs or a file it needs is not installed."""
    for name, packages in FILES.items():
        if shutil.which(name) is None and not Path(name).is_file():
            raise MissingProgramError(
                f"{name} is not there, and the twin would run on Bochs",
                hint=f"apt install --no-install-recommends {packages}",
            )
