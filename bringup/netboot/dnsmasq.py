"""dnsmasq as a child of the serving process: configured over stdin, watched through its log."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from bringup.base.errors import LabError, MissingProgramError, PortBusyError
from bringup.base.events import Emit, Event
from bringup.netboot.dhcp import LogReader, log_text
from bringup.netboot.listen import MAY_NOT

_READY_S = 10.0
_STOP_S = 2.0
_CHUNK = 16 * 1024
# dnsmasq writes all lines of one packet in one go.
_HELD_EVENT_S = 0.05


class DnsmasqProcess:
    """dnsmasq as a child that dies with this process; its log lines become events."""

    def __init__(self, process: asyncio.subprocess.Process, emit: Emit, lost: Callable[[], None]) -> None:
        self._process = process
        self._emit = emit
        self._lost = lost
        self._closing = False
        self._last_words = ""
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, configuration: str, emit: Emit, lost: Callable[[], None], lock: int
    ) -> DnsmasqProcess:
        """Start it with the text of its configuration, and wait until it listens.

        `lost` is called when it ends although nobody asked it to. It holds the `lock` of this process, too:
        while it lives its ports are taken, however this process ends. Raises PortBusyError,
        MissingProgramError or LabError.
        """
        # --no-daemon also means no change of user: in a user namespace there is nobody else to become, and
        # the change would undo "die with parent".
        command = ("setpriv", "--pdeathsig", "KILL", "--", "dnsmasq", "--no-daemon")
        try:
            process = await asyncio.create_subprocess_exec(
                *(*command, "--conf-file=-", "--pid-file="),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
                pass_fds=(lock,),
            )
        except FileNotFoundError:
            raise MissingProgramError(
                "the program setpriv is not installed", hint="apt install util-linux"
            ) from None
        self = cls(process, emit, lost)
        assert process.stdin is not None  # noqa: S101
        with contextlib.suppress(ConnectionError):
            process.stdin.write(configuration.encode("ascii"))
            await process.stdin.drain()
        process.stdin.close()
        try:
            await asyncio.wait_for(self._wait_ready(), _READY_S)
        except TimeoutError:
            await self.close()
            raise LabError(f"dnsmasq was not ready within {_READY_S:.0f} s") from None
        self._reader = asyncio.create_task(self._read())
        return self

    async def _wait_ready(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        # It binds its sockets before it writes its first line; a refusal begins with an empty one.
        while line := await self._process.stderr.readline():
            said = log_text(line.decode(errors="replace").strip())
            if said.startswith("started,"):
                return
            if said and said != "FAILED to start up":
                self._last_words = said
        await self._process.wait()
        raise start_error(self._last_words)

    async def _read(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        reader, rest = LogReader(), b""
        while True:
            try:
                held_s = _HELD_EVENT_S if reader.holds_event else None
                data = await asyncio.wait_for(self._process.stderr.read(_CHUNK), held_s)
            except TimeoutError:
                self._tell(reader.flush())
                continue
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[:_CHUNK]
            for line in lines:
                self._tell(reader.feed(line.decode(errors="replace")))
            # A flood of requests must not keep the rest of this process waiting.
            await asyncio.sleep(0)
        if not self._closing:
            self._lost()

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._emit(event)

    async def close(self) -> None:
        """End it, by force after 2 s."""
        self._closing = True
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def start_error(text: str) -> LabError:
    """Return the error for what dnsmasq said when it refused to start (pure)."""
    reason = text or "it gave no reason"
    low = reason.lower()
    if "no such file" in low and "dnsmasq" in low:
        return MissingProgramError("the program dnsmasq is not installed", hint="apt install dnsmasq-base")
    if "address already in use" in low:
        return PortBusyError(
            "another DHCP server of this host has UDP port 67", hint="see who has it: ss -lnpu 'sport = :67'"
        )
    if "permission denied" in low or "operation not permitted" in low:
        return LabError(f"dnsmasq may not serve DHCP as this user: {reason}", hint=MAY_NOT)
    if "unknown interface" in low:
        return LabError(
            f"dnsmasq: {reason}", hint="name the interface of the board's LAN in lab.toml (ip link)"
        )
    return LabError(f"dnsmasq did not start: {reason}")
