"""The virtual board's BMC: an IPMI 2.0 service processor that ordinary tools drive over the LAN.

One thread serves the LAN, the board's own KCS interface and all timers (`serve_forever`). The chassis calls
`serial_output`, `take_boot_flags`, `attach_kcs` and the log from threads of its own. No lock is held while
the chassis is called, because the chassis asks for the boot flags in the middle of its own work.
"""

from __future__ import annotations

import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bringup.base.errors import PortBusyError, ProfileError
from bringup.twin.bmc.access import SUITES
from bringup.twin.bmc.boot import BootFlags
from bringup.twin.bmc.commands import execute
from bringup.twin.bmc.kcs import KcsPort
from bringup.twin.bmc.lan import LanServer
from bringup.twin.bmc.rakp import Account
from bringup.twin.bmc.request import LanIdentity, Privilege, Request, Response, Shared, WatchedBoard
from bringup.twin.bmc.sel import SensorType, event_record
from bringup.twin.bmc.sol import SolPayload, Stranger
from bringup.twin.bmc.state import BmcState

__all__ = ["BootFlags", "WatchedBoard", "Intercept", "VirtualBmc"]

_LONGEST_WAIT_S = 0.25
_VENDOR_OUI = bytes([0xAC, 0x1F, 0x6B])
_WORKING, _SOFT_OFF = 0x00, 0x06
_BOOT_BY_POWER_UP, _BOOT_BY_RESET = 0x00, 0x01
_WATCHDOG_OFFSETS = {1: 0x01, 2: 0x02, 3: 0x03}  # table 42-3: hard reset, power down, power cycle
_CAUSE_WATCHDOG = 0x04
_HARD_RESET = 1

Intercept = Callable[[Request], int | None]
"""Looks at a command before it is run; a completion code answers it instead (for faults)."""


class VirtualBmc:
    """A BMC on one UDP port. Passwords stay in memory; boot options and the event log live in `state_file`.

    `users` maps a name to its password and its privilege limit (`administrator`, `operator`, `user`).
    `port` 0 takes a free one. Raises PortBusyError when the port is taken, ProfileError for an unknown suite.
    """

    def __init__(
        self,
        chassis: WatchedBoard,
        users: Mapping[str, tuple[str, str]],
        state_file: Path | None,
        address: str = "127.0.0.1",
        port: int = 0,
        suites: Sequence[int] = (3, 17),
        intercept: Intercept | None = None,
    ) -> None:
        if not suites or not set(suites) <= set(SUITES):
            raise ProfileError(
                f"the virtual BMC knows the cipher suites {sorted(SUITES)}, not {list(suites)}"
            )
        self._state = BmcState.load(state_file)
        self._chassis = chassis
        self._intercept = intercept
        self._booted = False
        self.frozen = False
        self._waker, self._wake_far = socket.socketpair()
        self._waker.setblocking(False)
        self._wake_far.setblocking(False)
        self._new_machines: queue.SimpleQueue[KcsPort] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._sol = SolPayload(chassis.write_serial, chassis.send_break, wake=self._wake, now=time.monotonic)
        accounts = [
            Account(name, secret, Privilege[level.upper()]) for name, (secret, level) in users.items()
        ]
        self._lan = self._listen(address, port, accounts, suites)
        self._shared = Shared(
            state=self._state,
            chassis=chassis,
            identity=LanIdentity(address, self._lan.port, _VENDOR_OUI + self._state.guid.bytes[-3:]),
            users={account.name: account.limit for account in accounts},
            suites=tuple(suites),
            sol=self._sol,
            sessions=self._lan.sessions,
        )

    def _listen(
        self, address: str, port: int, accounts: Sequence[Account], suites: Sequence[int]
    ) -> LanServer:
        try:
            return LanServer(
                (address, port),
                accounts,
                suites,
                self._state.guid.bytes_le,
                run=self._run,
                now=time.monotonic,
                on_sol=self._sol.received,
                on_end=self._sol.session_ended,
            )
        except OSError as error:
            raise PortBusyError(
                f"the virtual BMC cannot listen on {address} port {port}: {error.strerror}",
                hint="choose another port, or 0 for a free one",
            ) from error

    @property
    def port(self) -> int:
        """The UDP port it listens on."""
        return self._lan.port

    def serve_forever(self, stop: threading.Event) -> None:
        """Serve until `stop` is set (noticed within a quarter of a second), then close everything."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._lan.socket, selectors.EVENT_READ, self._read_lan)
            selector.register(self._waker, selectors.EVENT_READ, self._read_waker)
            try:
                while not stop.is_set():
                    for key, _ in selector.select(self._wait_s()):
                        self._serve(selector, key)
                    self._adopt_machines(selector)
                    while not self._jobs.empty():
                        self._jobs.get()()
                    self._run_timers()
            finally:
                self._close(selector)

    # What the chassis calls, from its own threads.

    def serial_output(self, data: bytes) -> bool:
        """Take bytes the board sent on its SOL port; waits, bounded, while the SOL session is behind."""
        return self._sol.output(data)

    def take_boot_flags(self) -> BootFlags:
        """Return the flags that hold for the boot that starts now; flags set for once are spent."""
        with self._state.changing() as state:
            flags = state.boot.take(state.now())
        self.log_sel(SensorType.SYSTEM_BOOT, _BOOT_BY_RESET if self._booted else _BOOT_BY_POWER_UP)
        self._booted = True
        return flags

    def attach_kcs(self, connection: socket.socket) -> None:
        """Serve the board's own interface on this connection to QEMU, until the machine is gone."""
        self._new_machines.put(KcsPort(connection, self._run))
        self._wake()

    def log_power(self, on: bool) -> None:
        """Record a change of power in the event log."""
        self._booted = self._booted and on
        self.log_sel(SensorType.ACPI_POWER_STATE, _WORKING if on else _SOFT_OFF)

    def log_sel(self, sensor_type: int, offset: int) -> None:
        """Record a sensor-specific event (table 42-3) in the event log."""
        with self._state.changing() as state:
            now = state.now()
            state.sel.add(event_record(sensor_type, offset, at_s=now), now)

    # What faults do to it, from any thread.

    def drop_console(self) -> None:
        """Take the console from whoever has it, and tell them."""
        self._do(self._sol.deactivate)

    def give_console_away(self) -> None:
        """Take the console from whoever has it for somebody else, who keeps it."""
        self._do(self._sol.deactivate)
        self._do(lambda: self._sol.activate(Stranger()))

    def end_sessions(self) -> None:
        """Forget every session and tell nobody, as a BMC that restarts."""
        self._do(self._lan.forget_sessions)

    def refuse_suites(self) -> None:
        """Take none of the cipher suites that are proposed from now on."""
        self._do(self._lan.refuse_suites)

    def expire_watchdog(self) -> None:
        """Let the watchdog timer run out now, with a hard reset as its action."""
        with self._state.lock:
            self._state.watchdog.action = _HARD_RESET
            self._state.watchdog.configured = True
            self._state.watchdog.expires_at = self._state.now()
        self._wake()

    def _do(self, job: Callable[[], object]) -> None:
        self._jobs.put(job)
        self._wake()

    # The serving thread.

    def _run(self, request: Request) -> Response:
        code = self._intercept(request) if self._intercept is not None else None
        return execute(request, self._shared) if code is None else Response(code)

    def _wait_s(self) -> float:
        due_at = self._sol.due_at()
        if due_at is None or self.frozen:
            return _LONGEST_WAIT_S
        return min(_LONGEST_WAIT_S, max(0.0, due_at - time.monotonic()))

    def _serve(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        if isinstance(key.data, KcsPort):
            if not key.data.read():
                selector.unregister(key.fileobj)
                key.data.close()
        else:
            key.data()

    def _read_lan(self) -> None:
        if self.frozen:
            self._lan.drop_input()
        else:
            self._lan.read()

    def _read_waker(self) -> None:
        with suppress(BlockingIOError):
            self._waker.recv(4096)

    def _wake(self) -> None:
        with suppress(OSError):  # full: it is awake anyway; closed: nobody is left to wake
            self._wake_far.send(b"\0")

    def _adopt_machines(self, selector: selectors.BaseSelector) -> None:
        while not self._new_machines.empty():
            machine = self._new_machines.get()
            selector.register(machine.socket, selectors.EVENT_READ, machine)

    def _run_timers(self) -> None:
        if not self.frozen:
            self._sol.pump()
            self._lan.expire()
        self._run_watchdog()

    def _run_watchdog(self) -> None:
        with self._state.lock:
            timer = self._state.watchdog
            if timer.expires_at is None or self._state.now() < timer.expires_at:
                return
            timer.expires_at = None
            timer.expired_uses |= 1 << (timer.use & 0x07)
            action = timer.action & 0x07
            if action:
                self._state.restart_cause = _CAUSE_WATCHDOG
        if action in _WATCHDOG_OFFSETS:
            self.log_sel(SensorType.WATCHDOG, _WATCHDOG_OFFSETS[action])
            chassis = self._chassis
            {1: chassis.reset, 2: chassis.power_off, 3: chassis.power_cycle}[action]()

    def _close(self, selector: selectors.BaseSelector) -> None:
        for key in list(selector.get_map().values()):
            if isinstance(key.data, KcsPort):
                key.data.close()
        self._sol.close()
        self._lan.close()
        self._waker.close()
        self._wake_far.close()
