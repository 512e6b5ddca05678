"""Serial over LAN (IPMI 2.0 chapter 15): one UART, at most one session, nothing lost while it listens.

One packet is under way at a time, as the protocol demands; what the UART sends meanwhile is collected, and
when that is enough the UART's reader has to wait. A console that stops acknowledging is given up after the
retries, its data is dropped and the UART runs free; it stays owned until somebody deactivates it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Full, Queue

from bringup.twin.bmc.access import SOL_PAYLOAD_SIZE
from bringup.twin.bmc.request import BmcSession, Privilege

RETRY_INTERVAL_S = 0.5
TRIES = 8
COLLECT_LIMIT = 16 * 1024
OUTPUT_WAIT_S = 2 * RETRY_INTERVAL_S * TRIES
_TYPED_PACKETS = 64

# Operation bits of a packet from the console, status bits of one from the BMC (table 15-2).
_BREAK, _FLUSH_OUTPUT = 0x10, 0x01
_NACK, _DEACTIVATED = 0x40, 0x10


@dataclass
class _Under:
    """The packet under way."""

    sequence: int
    data: bytes
    tries: int
    due_at: float


class SolPayload:
    """The SOL payload instance. `output` may be called from any thread, the rest from the BMC's thread."""

    def __init__(
        self,
        write_serial: Callable[[bytes], None],
        send_break: Callable[[], None],
        *,
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._wake = wake
        self._now = now
        self._session: BmcSession | None = None
        self._collected = bytearray()
        self._changed = threading.Condition()
        self._under: _Under | None = None
        self._sequence = 0
        self._heard_sequence = 0
        self._heard_count = 0
        self._silent = False
        self._uart = _UartInput(write_serial, send_break)

    @property
    def owner(self) -> BmcSession | None:
        """The session that holds the console."""
        return self._session

    def close(self) -> None:
        """Let everybody go who waits."""
        self._reset(None)
        self._uart.close()

    def activate(self, session: BmcSession) -> None:
        """Give the console to `session`, starting from sequence number 1."""
        self._reset(session)

    def deactivate(self) -> None:
        """Take the console from its owner and tell it with the status bit of table 15-2."""
        if self._session is not None:
            self._session.send_sol(bytes([0, self._heard_sequence, 0, _NACK | _DEACTIVATED]))
        self._reset(None)

    def session_ended(self, session: BmcSession) -> None:
        """Free the console when its owner is gone."""
        if self._session is session:
            self._reset(None)

    def output(self, data: bytes) -> bool:
        """Take bytes from the UART; True when they will be sent. Waits, bounded, while the console is behind.

        Without a listening session they are discarded, as BMCs do.
        """
        with self._changed:
            room = self._changed.wait_for(
                lambda: not self._listening() or len(self._collected) < COLLECT_LIMIT, OUTPUT_WAIT_S
            )
            if not room or not self._listening():
                return False
            self._collected += data
        self._wake()
        return True

    def received(self, session: BmcSession, payload: bytes) -> None:
        """Handle a SOL payload of `session`: typed bytes, an acknowledgement, or both."""
        if session is not self._session or len(payload) < 4:
            return
        sequence, acknowledged, count, operation = (
            payload[0] & 0x0F,
            payload[1] & 0x0F,
            payload[2],
            payload[3],
        )
        self._silent = False
        if operation & _FLUSH_OUTPUT:
            with self._changed:
                self._collected.clear()
        if sequence:
            self._typed(session, sequence, payload[4:], operation)
        if self._under is not None and acknowledged == self._under.sequence:
            self._acknowledged(self._under, count, refused=bool(operation & _NACK))
        self.pump()

    def pump(self) -> None:
        """Send what is due: the next packet, or the last one again."""
        session = self._session
        if session is None:
            return
        now = self._now()
        if self._under is None:
            self._under = self._next_packet(now)
            if self._under is None:
                return
        elif now < self._under.due_at:
            return
        elif self._under.tries >= TRIES:
            self._give_up()
            return
        self._under.tries += 1
        self._under.due_at = now + RETRY_INTERVAL_S
        session.send_sol(bytes([self._under.sequence, 0, 0, 0]) + self._under.data)

    def due_at(self) -> float | None:
        """Return when `pump` has to be called next, in the clock of `now`; None: nothing is under way."""
        return None if self._under is None else self._under.due_at

    def _listening(self) -> bool:
        return self._session is not None and not self._silent

    def _reset(self, session: BmcSession | None) -> None:
        with self._changed:
            self._session = session
            self._collected.clear()
            self._under = None
            self._sequence = self._heard_sequence = self._heard_count = 0
            self._silent = False
            self._changed.notify_all()

    def _next_packet(self, now: float) -> _Under | None:
        with self._changed:
            if not self._collected:
                return None
            data = bytes(self._collected[:SOL_PAYLOAD_SIZE])
            del self._collected[:SOL_PAYLOAD_SIZE]
            self._changed.notify_all()
        self._sequence = self._sequence % 15 + 1  # 0 means "no data", so numbers run from 1 to 15
        return _Under(self._sequence, data, 0, now)

    def _acknowledged(self, under: _Under, count: int, *, refused: bool) -> None:
        rest = under.data[count:]
        self._under = None
        if not rest:
            return
        # What was not accepted goes out in a new packet (15.11), at once unless the console has no room.
        self._sequence = self._sequence % 15 + 1
        pause = RETRY_INTERVAL_S if refused or not count else 0.0
        self._under = _Under(self._sequence, rest, 0, self._now() + pause)

    def _typed(self, session: BmcSession, sequence: int, data: bytes, operation: int) -> None:
        fresh = data
        if sequence == self._heard_sequence:
            fresh = data[self._heard_count :]  # a repetition; it may carry more than before
        elif operation & _BREAK:
            self._uart.send_break()
        status, count = 0, len(data)
        if fresh and not self._uart.write(fresh):
            status, count = _NACK, len(data) - len(fresh)
        self._heard_sequence, self._heard_count = sequence, count
        session.send_sol(bytes([0, sequence, count, status]))

    def _give_up(self) -> None:
        with self._changed:
            self._silent = True
            self._under = None
            self._collected.clear()
            self._changed.notify_all()


class Stranger:
    """Somebody who has the console and is not known here: a session that takes what it is sent."""

    managed_id = b"\x5e\x55\x10\x4e"
    username = "stranger"
    privilege = max_privilege = Privilege.ADMINISTRATOR
    sockaddr = ("192.0.2.17", 623)  # RFC 5737: an address of nobody

    def close(self) -> None:
        """Stay: nobody ends it but whoever takes the console."""

    def send_sol(self, payload: bytes) -> None:
        """Read it."""


class _UartInput:
    """Types into the UART from a thread of its own, because a guest that does not read blocks the writer."""

    def __init__(self, write_serial: Callable[[bytes], None], send_break: Callable[[], None]) -> None:
        self._write_serial = write_serial
        self._send_break = send_break
        self._queue: Queue[bytes | None] = Queue(_TYPED_PACKETS)
        threading.Thread(target=self._work, name="sol-input", daemon=True).start()

    def write(self, data: bytes) -> bool:
        """Queue bytes; False when the UART is that far behind."""
        try:
            self._queue.put_nowait(data)
        except Full:
            return False
        return True

    def send_break(self) -> None:
        """Queue a break, in its place between the bytes."""
        self.write(b"")

    def close(self) -> None:
        """Stop once the queue is empty; the thread is a daemon and does not hold the process."""
        try:
            self._queue.put_nowait(None)
        except Full:
            return

    def _work(self) -> None:
        while (data := self._queue.get()) is not None:
            if data:
                self._write_serial(data)
            else:
                self._send_break()
