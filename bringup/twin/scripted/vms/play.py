"""Three guests behind one SerialServer on one line: what is typed goes in, what it carries comes out."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bringup.twin.scripted.vms.guest import Guest, Shell
from bringup.twin.scripted.vms.server import HEARTBEAT_S, SerialServer
from bringup.twin.scripted.vms.world import CASES, VMS, make_world

STEP_S = 0.01
"""How often guests work, in seconds: less than a sender should pause after 16 characters."""


class PlayedVms:
    """The VMs of one case; `send` takes the line's bytes, `hear` and `pass_time` make it live.

    What is lost on the line, in both directions, depends on `seed` alone.
    """

    def __init__(self, case: str, send: Callable[[bytes], None], seed: int = 1) -> None:
        self.case = CASES[case]
        self._chance = random.Random(seed)  # noqa: S311
        self._send = send
        self._loses = 0.0
        self._left_s = 0.0
        self._beat_s = 0.0
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="bringup-vms-")))
        self._server = SerialServer(VMS, self._line, lambda guest, key: self._guests[guest].give(key))
        self._guests = [self._guest(number, own) for number, own in enumerate(make_world(folder, self.case))]

    def _guest(self, number: int, folder: Path) -> Guest:
        shell = Shell(folder)
        self._stack.callback(shell.close)
        life = self.case.life if number == 1 else "lives"
        return Guest(shell, lambda text: self._server.write(number, text), life)

    def boot(self) -> None:
        """Print what VMMs and guests say until their logins."""
        for number, guest in enumerate(self._guests):
            self._server.write(~number, b"Constructing guest cmdline at 0x17000\r\nFinal e820 map is:\r\n")
            self._server.write(number, b"[    0.000000] Linux version 6.1.152 (builder@host)\r\n")
            guest.boot()
        self.pass_time(5 * HEARTBEAT_S)
        # A boot is judged by what it says: the line loses only afterwards.
        self._loses = self.case.loses

    def hear(self, data: bytes) -> None:
        """Take what is typed."""
        for byte in data:
            if self._arrives():
                self._server.hear(byte)

    def pass_time(self, seconds: float) -> None:
        """Let everything live for so long."""
        self._left_s += seconds
        while self._left_s >= STEP_S:
            self._left_s -= STEP_S
            self._beat_s += STEP_S
            for guest in self._guests:
                guest.step()
            if self._beat_s >= HEARTBEAT_S:
                self._beat_s = 0.0
                self._server.heartbeat()

    def _line(self, data: bytes) -> None:
        kept = bytes(byte for byte in data if self._arrives())
        if kept:
            self._send(kept)

    def _arrives(self) -> bool:
        return not self._loses or self._chance.random() >= self._loses

    def close(self) -> None:
        """End the guests and take away what they saw."""
        self._stack.close()
