"""The wire as a process in the twin's network: passes every frame between board and bridge, and tampers.

The request names the two interfaces (`board`, `bridge`), the faults and the seed; a line `{"begin": NAME}`
lets one of them act. When a board is given its address, and when it asks for its first file, it says so.
"""

from __future__ import annotations

import heapq
import json
import os
import selectors
import socket
import struct
import sys
import threading
import time
from typing import Any

from bringup.base.child import READY, answer_starter
from bringup.base.events import Emit, Event
from bringup.base.stage import Stage
from bringup.twin.faults.choice import choose_all
from bringup.twin.wire.frames import TCP, UDP, Frame, read
from bringup.twin.wire.tampers import ON_THE_WIRE, Sent, Tamper, passed_on, tamper_of

SEEN = "wire.seen"
_ALL_PROTOCOLS = 0x0003  # linux/if_ether.h ETH_P_ALL
_SOL_PACKET, _ADD_MEMBERSHIP, _IGNORE_OUTGOING = 263, 1, 23  # linux/if_packet.h
_PROMISCUOUS = 1
_FRAME_MAX = 65536
_BUFFER = 8 << 20
_IDLE_S = 1.0
_ACK_OF_DHCP = b"\x35\x01\x05"


class Wire:
    """Two interfaces and what lies between them."""

    def __init__(self, board: str, bridge: str, tampers: dict[str, Tamper], emit: Emit) -> None:
        self._sockets = {True: _listening(board), False: _listening(bridge)}
        self._sleeping = tampers
        self._tampers: list[Tamper] = []
        self._emit = emit
        self._seen: set[Stage] = set()
        self._held: list[tuple[float, int, Sent]] = []
        self._count = 0

    def begin(self, name: str) -> None:
        """Let a fault act from now on."""
        tamper = self._sleeping.pop(name, None)
        if tamper is not None:
            self._tampers = [*self._tampers, tamper]

    def serve_forever(self, stop: threading.Event) -> None:
        """Pass frames until `stop` is set."""
        with selectors.DefaultSelector() as selector:
            for to_board, one in self._sockets.items():
                selector.register(one, selectors.EVENT_READ, not to_board)
            while not stop.is_set():
                for key, _ in selector.select(self._wait_s()):
                    self._read(key.fileobj, to_board=key.data)
                self._send_held()

    def _wait_s(self) -> float:
        return max(0.0, min(_IDLE_S, self._held[0][0] - time.monotonic())) if self._held else _IDLE_S

    def _read(self, side: Any, *, to_board: bool) -> None:
        try:
            while raw := side.recv(_FRAME_MAX, socket.MSG_DONTWAIT):
                self._pass(Sent(raw, to_board))
        except OSError:
            return  # empty, or the interface is down with its board

    def _pass(self, sent: Sent) -> None:
        tampers = self._tampers
        self._look(sent)
        for going in passed_on(sent, tampers):
            now_s = time.monotonic()
            delay_s = sum(tamper.delay_s(going, now_s) for tamper in tampers)
            if delay_s or self._held:
                self._count += 1
                heapq.heappush(self._held, (now_s + delay_s, self._count, going))
            else:
                self._send(going)

    def _send_held(self) -> None:
        while self._held and self._held[0][0] <= time.monotonic():
            self._send(heapq.heappop(self._held)[2])

    def _send(self, sent: Sent) -> None:
        try:
            self._sockets[sent.to_board].send(sent.raw)
        except OSError:
            return  # nobody is there, as on a cable that is not plugged

    def _look(self, sent: Sent) -> None:
        if Stage.LOADER in self._seen:
            return
        frame = read(sent.raw)
        stage = None if frame is None else stage_of(frame, to_board=sent.to_board)
        if stage is not None and stage not in self._seen:
            self._seen.add(stage)
            self._emit(Event("twin", SEEN, "", {"stage": str(stage)}))


def stage_of(frame: Frame, *, to_board: bool) -> Stage | None:
    """Return what a frame proves of a boot: an address that was given, a first file that is asked for."""
    if frame.protocol == UDP and to_board and frame.source_port == 67:
        return Stage.DHCP if _ACK_OF_DHCP in frame.payload[236:] else None
    tftp = frame.protocol == UDP and frame.target_port == 69
    http = frame.protocol == TCP and frame.payload.startswith(b"GET ")
    return Stage.LOADER if not to_board and (tftp or http) else None


def _listening(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    made.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    made.bind((interface, _ALL_PROTOCOLS))
    member = struct.pack("iHH8s", socket.if_nametoindex(interface), _PROMISCUOUS, 0, b"")
    made.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, member)
    return made


def _serve(request: dict[str, Any], emit: Emit) -> None:
    chosen = [one for one in choose_all(request["faults"]) if one.name in ON_THE_WIRE]
    tampers = {one.name: tamper_of(one, request["seed"]) for one in chosen}
    wire = Wire(request["board"], request["bridge"], tampers, emit)
    stop = threading.Event()
    threading.Thread(target=_obey, args=(wire, stop), name="orders", daemon=True).start()
    emit(Event("twin", READY, "the wire is up"))
    wire.serve_forever(stop)


def _obey(wire: Wire, stop: threading.Event) -> None:
    for line in sys.stdin:
        wire.begin(str(json.loads(line)["begin"]))
    stop.set()


if __name__ == "__main__":
    code = answer_starter(_serve)
    sys.stdout.flush()
    os._exit(code)
