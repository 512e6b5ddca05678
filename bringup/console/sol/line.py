"""One activation of SOL: its packets, its signs of life, its holes, and what came in and was not read yet."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bringup.base.clock import boottime_s
from bringup.base.errors import ConsoleLostError
from bringup.console.base import ConsoleGapError
from bringup.console.sol.commands import APP, INSTANCE_INFO, SOL_INSTANCE, owner_in
from bringup.console.sol.protocol import HEADER_BYTES, SolProtocol
from bringup.console.sol.vigil import Act, Doubt, Vigil
from bringup.ipmi.client import Answer
from bringup.ipmi.pump import pump

if TYPE_CHECKING:
    from bringup.ipmi.session import ClientSession

_WRITE_TIMEOUT_S = 15.0
_PACKET_DEFAULT, _PACKET_MAX = 60, 200
# How often SOL itself is asked while the board says nothing and the BMC acknowledges such packets.
_POKE_EVERY_S = 10.0
# One may have been lost on its way; this many were not, when answers came all the while.
_POKES_TO_JUDGE = 2
# The text that a BMC had under way comes within its next try; what comes later stands behind the hole.
_DOUBT_S = 0.6
# What a BMC lost may be older than its silence: it collects text before it sends it.
_COLLECTED_S = 0.2


class Line:
    """Listens on a session from `begin` to `finish`. What is not marked otherwise runs in the pump's thread.

    `probe_after_s` is the silence after which the BMC is asked for a sign of life, `pokes` whether packets
    without characters are evidence: a BMC that leaves the first ones alone is not asked that way again.
    """

    def __init__(self, session: ClientSession, *, probe_after_s: float, pokes: bool = True) -> None:
        now = boottime_s()
        self.lost: str | None = None
        self.owner_is_told = False
        self.heard_again = threading.Event()
        self.pokes: bool | None = None if pokes else False
        self._session = session
        self._vigil = Vigil(now, probe_after_s=probe_after_s)
        self._text_s = self._answer_s = self._poked_s = now
        self._attached = self._poking = self._asking = False
        self._poke_failures = 0
        self._incoming: queue.SimpleQueue[bytes | ConsoleGapError] = queue.SimpleQueue()
        self._next: ConsoleGapError | None = None
        self._waiting: set[threading.Event] = set()
        # From number 1, as every BMC expects. OpenIPMI 2.0.33 drops the first packet of a session where the
        # one before ended on that number: the first one carries no characters.
        self.protocol = SolProtocol(
            session.send_sol,
            self._deliver,
            self._not_acknowledged,
            packet_bytes=_PACKET_DEFAULT,
            missed=self._missed,
        )

    @property
    def session_id(self) -> int:
        """The session's number, by which the BMC tells who has the console."""
        return int(self._session.sessionid)

    @property
    def alive_s(self) -> float:
        """When the BMC was last heard (CLOCK_MONOTONIC; so long ago as it is by CLOCK_BOOTTIME)."""
        return time.monotonic() - (boottime_s() - self._vigil.heard_s)

    @property
    def _silence(self) -> str:
        return f"no sign of life from the BMC for {boottime_s() - self._vigil.heard_s:.0f} s"

    @property
    def silent(self) -> bool:
        """Whether nobody vouches for the console just now."""
        return self._vigil.silent

    def begin(self) -> None:
        """Listen for packets; before SOL is activated, so that its first one is not missed."""
        self._session.listen(self._packet)
        pump().add_ticker(self._tick)

    def attached(self, activation: bytes, *, owner_is_told: bool) -> None:
        """Take the packet size from the answer to Activate Payload (any thread, before the first write).

        The UDP port in it is not looked at: behind a port forward it is not the one that was dialled.
        """
        size = int.from_bytes(activation[4:6], "little") - HEADER_BYTES
        if size > 0:
            self.protocol.packet_bytes = min(size, _PACKET_MAX)
        self.owner_is_told = owner_is_told

        def start() -> None:
            self._attached = True
            self._poke()

        pump().submit(start)

    def take(self, timeout_s: float) -> bytes:
        """Return what came in (the reader's thread).

        Raises ConsoleGapError where text is missing, ConsoleLostError once all is read.
        """
        if self._next is not None:
            gap, self._next = self._next, None
            raise gap
        pieces: list[bytes] = []
        try:
            item = self._incoming.get(timeout=timeout_s)
            while not isinstance(item, ConsoleGapError):
                pieces.append(item)
                item = self._incoming.get_nowait()
            self._next = item
        except queue.Empty:
            pass
        data = b"".join(pieces)
        if data:
            return data
        if self._next is not None:
            return self.take(0.0)
        if self._incoming.empty() and (self.lost is not None or self.silent):
            raise ConsoleLostError(f"the console was lost: {self.lost or self._silence}")
        return b""

    def wait_for(self, send: Callable[[Callable[[], None], float], None]) -> None:
        """Send something and wait until the BMC has taken it (the writer's thread)."""
        done = threading.Event()
        tell = done.set

        def start() -> None:
            if self.lost is None:
                self._waiting.add(done)
                send(tell, time.monotonic())
            else:
                tell()

        pump().submit(start)
        in_time = done.wait(_WRITE_TIMEOUT_S)
        self._waiting.discard(done)
        if self.lost is not None:
            raise ConsoleLostError(f"the console was lost: {self.lost}")
        if not in_time:
            pump().submit(lambda: self.protocol.withdraw(tell))  # it must not come when nobody expects it
            raise ConsoleLostError(f"the board took no characters for {_WRITE_TIMEOUT_S:.0f} s")

    def ask_now(self) -> None:
        """Ask for a sign of life, without waiting for it (any thread)."""
        pump().submit(self._ask)

    def finish(self, reason: str) -> None:
        """Stop listening (any thread)."""
        pump().submit(lambda: self._stop(reason))

    # What comes from the BMC.

    def _packet(self, packet: Any) -> None:
        self._heard(boottime_s())
        self.protocol.received(bytes(packet), time.monotonic())

    def _heard(self, now: float) -> None:
        was_silent = self._vigil.silent
        self._vigil.turn(now)
        self._vigil.heard(now)
        if was_silent:
            self.heard_again.set()
            self.protocol.acknowledge_again()

    def _deliver(self, data: bytes) -> None:
        """Take text; its acknowledgement, which lets the BMC go on, goes out when this returns."""
        doubt = self._vigil.settle()
        if doubt is not None and doubt.before:
            self._tell(doubt)
        self._text_s = boottime_s()
        self._incoming.put(data)
        if doubt is not None and doubt.behind:
            self._tell(doubt)

    def _missed(self) -> None:
        doubt = self._vigil.settle()
        since_s = self._text_s if doubt is None else min(doubt.since_s, self._text_s)
        self._put_gap(since_s, "the BMC dropped text", certain=True)

    def _tell(self, doubt: Doubt) -> None:
        self._put_gap(doubt.since_s, doubt.reason, certain=False)

    def _put_gap(self, since_s: float, reason: str, *, certain: bool) -> None:
        seconds = boottime_s() - since_s + _COLLECTED_S
        self._incoming.put(ConsoleGapError(seconds, reason, certain=certain))

    # What time brings.

    def _tick(self, now: float) -> None:
        if self._session.broken:
            self._lose("the IPMI session ended")
            return
        boot_s = boottime_s()
        self._vigil.turn(boot_s)
        if not self._attached:
            return
        if self._session.heard_s > self._answer_s:
            self._answer_s = self._session.heard_s
            self._heard(boot_s)
        self.protocol.tick(now)
        doubt = self._vigil.doubt
        if doubt is not None and not self._vigil.asks and boot_s - doubt.at_s > _DOUBT_S:
            self._vigil.settle()
            self._tell(doubt)
        self._act(self._vigil.tick(boot_s))
        if self.pokes and boot_s - max(self._text_s, self._poked_s) > _POKE_EVERY_S:
            self._poke()

    def _act(self, act: Act | None) -> None:
        if act is Act.ASK:
            self._ask()
        elif act is Act.POKE:
            self._poke()
        elif act is Act.TELL:
            self.heard_again.clear()
            self._incoming.put(b"")  # wakes the reader
        elif act is Act.END:
            self._lose(self._silence)

    def _ask(self) -> None:
        """Ask who has the console; and let a BMC go on that waits for an acknowledgement it never got."""
        if self._asking:
            self._withdraw()
        if self.lost is None and not self._session.busy:
            self._asking = True
            self._session.ask(APP, INSTANCE_INFO, SOL_INSTANCE, self._answered)
            self.protocol.acknowledge_again()

    def _withdraw(self) -> None:
        if self._asking:
            self._asking = False
            self._session.withdraw()

    def _answered(self, response: dict[str, Any]) -> None:
        self._asking = False
        if "error" in response or "code" not in response:
            return
        owner = owner_in(Answer(response["code"], bytes(response["data"])))
        if self.owner_is_told and owner is not None and owner != self._session.sessionid:
            self._lose("another session took it" if owner else "the BMC ended it")

    def _poke(self) -> None:
        if self._poking or self.pokes is False or self.lost is not None:
            return
        self._poking, self._poked_s = True, boottime_s()

        def done() -> None:
            self._poking, self._poke_failures, self.pokes = False, 0, True

        self.protocol.poke(done, self._not_poked, time.monotonic())

    def _not_poked(self) -> None:
        """Judge SOL when the BMC answers commands meanwhile; where nothing comes at all, the vigil judges."""
        self._poking = False
        if self._vigil.heard_s <= self._poked_s:
            return
        self._poke_failures += 1
        if self._poke_failures < _POKES_TO_JUDGE:
            self._poke()
        elif self.pokes:
            self._lose("the BMC answers, and its console acknowledges nothing")
        else:
            self.pokes = False

    def _not_acknowledged(self, reason: str) -> None:
        """Give the console up where only SOL is dead; where all is silent, the vigil decides."""
        if not self._vigil.asks:
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        self._stop(reason)
        self._session.end()

    def _stop(self, reason: str) -> None:
        if self.lost is None:
            self.lost = reason
            self._withdraw()
            self._session.listen(None)
            pump().remove_ticker(self._tick)
            self._incoming.put(b"")  # wakes the reader
            for writer in list(self._waiting):
                writer.set()
