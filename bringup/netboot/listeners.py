"""Who listens on this host: what `ss` of iproute2 tells, with the process where this user may know it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bringup.base.program import find_program, run_program

Protocol = Literal["udp", "tcp"]

_ANSWER_S = 5.0
_EVERYWHERE = ("0.0.0.0", "*", "[::]")  # noqa: S104  # what is read, not what is bound
_USER = re.compile(r'\(\("(?P<name>[^"]{1,64})",pid=(?P<pid>\d{1,10})')
_UNIT = re.compile(r"/(?P<unit>[^/]+\.service)$", re.MULTILINE)
_OURS = "bringup.netboot.serve"


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that takes what comes to a port; `device` bounds it to an interface, `pid` None is unknown."""

    protocol: Protocol
    address: str
    port: int
    device: str | None = None
    name: str | None = None
    pid: int | None = None

    def takes(self, protocol: Protocol, address: str, port: int, interface: str) -> bool:
        """Return whether it has this address and port on this interface."""
        return (
            (self.protocol, self.port) == (protocol, port)
            and self.address in (*_EVERYWHERE, address)
            and self.device in (None, interface)
        )


def listeners() -> tuple[Listener, ...]:
    """Return every listener of this network namespace; raises MissingProgramError and LabError."""
    command = [find_program("ss") or "ss", "-H", "-l", "-n", "-t", "-u", "-p"]
    text = run_program(command, "iproute2", timeout_s=_ANSWER_S)
    return tuple(read_listeners(text.decode(errors="replace")))


def read_listeners(text: str) -> Iterator[Listener]:
    """Yield the listeners in the output of `ss -H -lntup` (pure); lines of another form are passed over."""
    for line in text.splitlines():
        words = line.split(None, 6)
        if len(words) < 6 or words[0] not in ("udp", "tcp"):
            continue
        place, _, port = words[4].rpartition(":")
        address, _, device = place.partition("%")
        if not port.isdecimal():
            continue
        user = _USER.search(words[6]) if len(words) > 6 else None
        yield Listener(
            "udp" if words[0] == "udp" else "tcp",
            address,
            int(port),
            device or None,
            user and user["name"],
            int(user["pid"]) if user else None,
        )


def service_of(pid: int) -> str | None:
    """Return the systemd service that a process belongs to, None where it belongs to none."""
    found = _UNIT.search(_read(pid, "cgroup"))
    # A login session is a service, too, and ending it would end the person.
    return found["unit"] if found and not found["unit"].startswith(("user@", "session")) else None


def serves_for_us(pid: int) -> bool:
    """Return whether this is the process that serves this host's boots, or its dnsmasq."""
    parent = re.search(r"^PPid:\s*(\d+)", _read(pid, "status"), re.MULTILINE)
    return any(_OURS in _read(each, "cmdline") for each in (pid, int(parent[1]) if parent else pid))


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return ""
