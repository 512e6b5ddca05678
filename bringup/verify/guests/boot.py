"""One guest under QEMU: the VMM's virtio features, one serial line, a login, and commands over it."""

from __future__ import annotations

import os
import re
import secrets
import select
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import LabError, MissingProgramError
from bringup.vlab.guests import COMMAND_LINE, VIRTIO_NET

_VT100 = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[78=>])")
_LOGIN = r"login: *$"
_PROMPT = r"[#$] *$"
_KEPT = 1 << 20


@dataclass(frozen=True, slots=True)
class GuestRequest:
    """A guest: its kernel and root file system, its memory in MiB, and the other end of its card, if any."""

    name: str
    kernel: Path
    rootfs: Path
    mac: str
    memory_mib: int = 256
    command_line: str = COMMAND_LINE
    link: socket.socket | None = None

    def command(self) -> list[str]:
        """Return QEMU's command."""
        if self.link is None:
            network = ["-nic", "none", "-netdev", "hubport,id=n0,hubid=0"]
        else:
            network = ["-nic", "none", "-netdev", f"socket,id=n0,fd={self.link.fileno()}"]
        return [
            *("qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
            *("-machine", "pc,accel=tcg", "-cpu", "max", "-smp", "1", "-m", str(self.memory_mib)),
            *("-kernel", str(self.kernel), "-initrd", str(self.rootfs), "-append", self.command_line),
            *network,
            *("-device", f"{VIRTIO_NET},netdev=n0,mac={self.mac}"),
        ]


class Guest:
    """A guest that runs; `close` ends it."""

    def __init__(self, request: GuestRequest) -> None:
        self.name = request.name
        self.text = ""
        self._at = 0
        try:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *request.command()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[] if request.link is None else [request.link.fileno()],
                start_new_session=True,
            )
        except FileNotFoundError:
            raise MissingProgramError(
                "setpriv is not installed: guests run under it", hint="apt install util-linux qemu-system-x86"
            ) from None

    def wait_for(self, pattern: str, timeout_s: float) -> re.Match[str]:
        """Return the first match after the last one; raises LabError with the last line that came instead."""
        deadline_s = time.monotonic() + timeout_s
        expression = re.compile(pattern, re.MULTILINE)
        while True:
            found = expression.search(self.text, self._at)
            if found is not None:
                self._at = found.end()
                return found
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not self._read(min(0.5, left_s)):
                last = next((line for line in reversed(self.text.splitlines()) if line.strip()), "nothing")
                ended = (
                    "ended"
                    if self._process.poll() is not None
                    else f"did not say {pattern!r} in {timeout_s:.0f} s"
                )
                raise LabError(f"the guest {self.name} {ended}; its last words: {last.strip()[:160]}")

    def _read(self, timeout_s: float) -> bool:
        """Take what came; returns False when no more can come."""
        assert self._process.stdout is not None  # noqa: S101
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            return True
        data = os.read(self._process.stdout.fileno(), 65536)
        text = data.decode(errors="replace").replace("\0", "").replace("\r", "")
        self.text += _VT100.sub("", text)
        return bool(data)

    def log_in(self, timeout_s: float) -> str:
        """Wait for the login and log in as root without a password; returns the line that asked.

        A shell that comes without a login is taken, too. Raises LabError.
        """
        found = self.wait_for(f"(?:{_LOGIN})|(?:{_PROMPT})", timeout_s)
        line = self.text[: found.end()].splitlines()[-1]
        if re.search(_LOGIN, line):
            # What is typed at once after the prompt may be lost.
            time.sleep(0.3)
            self._type("root\n")
            self.wait_for(_PROMPT, 20)
        self._type("stty -echo cols 200 2>/dev/null; PS1=; dmesg -n 1\n")
        self.run("true")
        return line.strip()

    def run(self, command: str, timeout_s: float = 20.0) -> tuple[int, str]:
        """Run a command and return its exit code and output; raises LabError when it does not end in time."""
        begin, end = secrets.token_hex(4), secrets.token_hex(4)
        # Split, so that an echo of the line is not taken for its output.
        self._type(f"echo {begin[:4]}''{begin[4:]}; {command}; echo {end[:4]}''{end[4:]} $?\n")
        found = self.wait_for(rf"{begin}\n((?:.|\n)*?){end} (\d+)", timeout_s)
        return int(found[2]), found[1]

    def _type(self, text: str) -> None:
        assert self._process.stdin is not None  # noqa: S101
        # The UART holds 16 characters; QEMU keeps back what does not fit.
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except OSError:
            raise LabError(f"the guest {self.name} has ended") from None

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue
