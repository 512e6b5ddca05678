"""The Serial-over-LAN packet exchange as the console's side does it (IPMI 2.0 15.9 to 15.11), without I/O.

A packet is `[sequence, acknowledged sequence, accepted count, operation or status]` and then characters. Each
side has one packet under way until it is acknowledged, so nothing is lost or comes twice while both live.
What the BMC could not keep it may say (overrun), or its next packet's number tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

HEADER_BYTES = 4

# Status bits of a packet from the BMC, operation bit of one to it (IPMI 2.0 table 15-2).
_NACK, _UNAVAILABLE, _DEACTIVATED, _OVERRUN = 0x40, 0x20, 0x10, 0x08
_BREAK = 0x10

# How long each try waits for its acknowledgement; 12 s together outlast a BMC busy with its web pages.
RETRY_AFTER_S = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_NACK_PAUSE_S = 0.5
_LAST_SEQUENCE = 15
_POKE_TRIES = 3
# A BMC that numbers packets in its own way skips all the time; one that lost a packet, once in a while.
_SKIPS_TRUSTED, _STEPS_PER_SKIP = 2, 8


@dataclass
class _Output:
    """Characters to send, a break or a poke; `done` is called when the BMC has taken the last of them."""

    data: bytes
    done: Callable[[], None]
    is_break: bool = False
    failed: Callable[[], None] | None = None  # a poke's: the BMC did not acknowledge it


@dataclass
class _UnderWay:
    """A packet without its acknowledgement."""

    sequence: int
    size: int
    packet: bytes
    tries: int
    due_s: float


class SolProtocol:
    """One activation of SOL. Every method takes `now`, seconds of one clock; none of them blocks.

    `send` puts a packet on its way, `deliver` takes characters from the board, before they are acknowledged:
    nothing new comes while it runs. `missed` is called in their order when characters between two packets
    were lost. `lost` is called with a reason when the exchange cannot go on; a packet that the BMC does not
    acknowledge is repeated all the same, until whoever is called ends it. `packet_bytes` is the most
    characters for one packet. `last_sequence` is the number before the first one used.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        deliver: Callable[[bytes], None],
        lost: Callable[[str], None],
        *,
        packet_bytes: int,
        last_sequence: int = 0,
        missed: Callable[[], None] = lambda: None,
    ) -> None:
        self.packet_bytes = packet_bytes
        self._missed = missed
        self._send = send
        self._deliver = deliver
        self._lost = lost
        self._sequence = last_sequence
        self._output: deque[_Output] = deque()
        self._under_way: _UnderWay | None = None
        self._hold_until_s = 0.0
        self._heard_sequence = 0
        self._heard_count = 0
        self._steps = self._skips = 0
        self._overran = False
        self._number_is_back = False

    def write(self, data: bytes, done: Callable[[], None], now: float) -> None:
        """Send characters after what is queued already."""
        if not data:
            done()
            return
        self._output.append(_Output(data, done))
        self._send_next(now)

    def send_break(self, done: Callable[[], None], now: float) -> None:
        """Send a break in its place between the characters."""
        self._output.append(_Output(b"", done, is_break=True))
        self._send_next(now)

    def poke(self, done: Callable[[], None], failed: Callable[[], None], now: float) -> None:
        """Send a packet without characters, which the BMC has to acknowledge (15.11): does SOL itself live?

        Not every BMC does; after three tries `failed` is called, and nothing else happens.
        """
        self._output.append(_Output(b"", done, failed=failed))
        self._send_next(now)

    def withdraw(self, done: Callable[[], None]) -> None:
        """Take back what is to call `done`, as far as it is not sent yet."""
        if self._output and self._output[0].done is done:
            self._under_way = None
        self._output = deque(output for output in self._output if output.done is not done)

    def acknowledge_again(self) -> None:
        """Repeat the last acknowledgement: a BMC that gave a packet up for want of it then goes on."""
        if self._heard_sequence:
            self._acknowledge()

    def received(self, packet: bytes, now: float) -> None:
        """Take a packet from the BMC; one that is too short is ignored."""
        if len(packet) < HEADER_BYTES:
            return
        sequence, acknowledged, count, status = packet[0] & 0x0F, packet[1] & 0x0F, packet[2], packet[3]
        self._note_overrun(bool(status & _OVERRUN))
        if sequence:
            self._take(sequence, packet[HEADER_BYTES:])
        if status & _DEACTIVATED:
            self._lost("the BMC ended the console")
            return
        if self._under_way is not None and acknowledged == self._under_way.sequence:
            self._acknowledged(count, status, now)
        self._send_next(now)

    def tick(self, now: float) -> None:
        """Repeat what was not acknowledged in time; call it several times a second."""
        packet = self._under_way
        if packet is None:
            self._send_next(now)
        elif now >= packet.due_s:
            self._unanswered(packet, now)

    def _unanswered(self, packet: _UnderWay, now: float) -> None:
        failed = self._output[0].failed
        if failed is not None and packet.tries >= _POKE_TRIES:
            self._under_way = None
            self._output.popleft()
            self._take_number_back()
            failed()
        elif packet.tries >= len(RETRY_AFTER_S):
            packet.tries -= 1
            packet.due_s = now + RETRY_AFTER_S[-1]
            self._lost(f"the BMC acknowledged nothing for {sum(RETRY_AFTER_S):.0f} s")
        else:
            self._transmit(packet, now)

    def _take_number_back(self) -> None:
        """Use a number again whose packet may not have arrived, and every second time not: it may have.

        Some BMCs take a packet only when its number is the next one (phosphor-net-ipmid sol_context.cpp).
        """
        self._number_is_back = not self._number_is_back
        if self._number_is_back:
            self._sequence = (self._sequence - 1) % (_LAST_SEQUENCE + 1)

    def _take(self, sequence: int, data: bytes) -> None:
        fresh = data
        if sequence == self._heard_sequence:
            fresh = data[self._heard_count :]  # a repetition, which may carry more than the first time
        elif self._heard_sequence:
            self._note_step(sequence)
        self._heard_sequence, self._heard_count = sequence, len(data)
        if fresh:
            self._deliver(fresh)
        self._acknowledge()

    def _acknowledge(self) -> None:
        self._send(bytes([0, self._heard_sequence, min(self._heard_count, 0xFF), 0]))

    def _note_step(self, sequence: int) -> None:
        """Tell of a packet that never came: the one after it has a number that leaves one out."""
        if sequence == self._heard_sequence % _LAST_SEQUENCE + 1:
            self._steps += 1
            return
        self._skips += 1
        if self._skips <= _SKIPS_TRUSTED + self._steps // _STEPS_PER_SKIP:
            self._missed()

    def _note_overrun(self, overran: bool) -> None:
        """Tell once of each overrun: a BMC may repeat the bit until its buffer is empty."""
        if overran and not self._overran:
            self._missed()
        self._overran = overran

    def _acknowledged(self, count: int, status: int, now: float) -> None:
        assert self._under_way is not None  # noqa: S101  # checked by the caller
        sent, self._under_way = self._under_way.size, None
        head = self._output[0]
        if status & _UNAVAILABLE:
            taken = len(head.data)  # the board is off: characters go nowhere, and waiting does not help
        elif status & _NACK:
            taken = min(count, sent)
            self._hold_until_s = now + _NACK_PAUSE_S
        else:
            # Without a NACK a count of zero comes from BMCs that leave the field empty.
            taken = min(count, sent) or sent
        head.data = head.data[taken:]
        if not head.data and not (head.is_break and status & _NACK):
            self._output.popleft()
            head.done()

    def _send_next(self, now: float) -> None:
        if self._under_way is not None or not self._output or now < self._hold_until_s:
            return
        head = self._output[0]
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        data = head.data[: self.packet_bytes]
        packet = bytes([self._sequence, 0, 0, _BREAK if head.is_break else 0]) + data
        self._under_way = _UnderWay(self._sequence, len(data), packet, 0, now)
        self._transmit(self._under_way, now)

    def _transmit(self, packet: _UnderWay, now: float) -> None:
        packet.due_s = now + RETRY_AFTER_S[packet.tries]
        packet.tries += 1
        self._send(packet.packet)
