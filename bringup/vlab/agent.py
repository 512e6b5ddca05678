"""Runs inside a node and does there what it is told: sends, listens, answers, runs scripts.

It is started as a file of its own, with the standard library alone, so that a node costs milliseconds. One
line of JSON on stdin is a request, one on stdout its answer; it ends when stdin does.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

ECHO_PORT = 7007
DNS_PORT = 53
_ECHO_REQUEST, _ECHO_REPLY, _UNREACHABLE, _REDIRECT, _TIME_EXCEEDED = 8, 0, 3, 5, 11
# linux/in.h, linux/errqueue.h, linux/netfilter/nfnetlink*.h
_IP_MTU_DISCOVER, _PMTUDISC_DONT, _PMTUDISC_DO, _IP_RECVERR = 10, 0, 2, 11
_NETLINK_NETFILTER, _CT_DELETE, _REQUEST_ACK = 12, (1 << 8) | 2, 0x5
_PACKET_OUTGOING = 4


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(
    to: str,
    payload: str = "",
    count: int = 3,
    interval_s: float = 0.05,
    wait_s: float = 0.5,
    size: int = 0,
    df: bool = False,
    source: str = "",
) -> dict[str, Any]:
    """Send ICMP echo requests; `size` is the bytes of data (as of ping -s), `payload` (hex) begins them."""
    ident = int.from_bytes(os.urandom(2), "big")
    data = bytes.fromhex(payload).ljust(size, b"\xa5")
    answered: set[int] = set()
    errors: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DO if df else _PMTUDISC_DONT)
        if source:
            raw.bind((source, 0))
        for number in range(count):
            body = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, ident, number) + data
            body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
            try:
                raw.sendto(body, (to, 0))
            except OSError as error:
                errors.append(errno.errorcode.get(error.errno or 0, str(error)))
            _hear(raw, ident, answered, errors, interval_s)
        end = time.monotonic() + wait_s
        while time.monotonic() < end and len(answered) < count:
            _hear(raw, ident, answered, errors, end - time.monotonic())
            if errors and len(errors) + len(answered) >= count:
                break
    return {"sent": count, "answered": len(answered), "errors": errors}


def _hear(raw: socket.socket, ident: int, answered: set[int], errors: list[str], wait_s: float) -> None:
    """Take what comes back within `wait_s`."""
    end = time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0:
        raw.settimeout(left)
        try:
            packet, (sender, _) = raw.recvfrom(65535)
        except OSError:
            return
        body = packet[(packet[0] & 15) * 4 :]
        kind, code = body[0], body[1]
        if kind == _ECHO_REPLY and struct.unpack_from("!H", body, 4)[0] == ident:
            answered.add(struct.unpack_from("!H", body, 6)[0])
        elif kind in (_UNREACHABLE, _TIME_EXCEEDED, _REDIRECT) and len(body) >= 28:
            inner = body[8:]
            icmp = inner[(inner[0] & 15) * 4 :]
            if len(icmp) >= 6 and struct.unpack_from("!H", icmp, 4)[0] == ident:
                mtu = struct.unpack_from("!H", body, 6)[0] if (kind, code) == (3, 4) else 0
                errors.append(f"icmp {kind}/{code} from {sender}" + (f" mtu {mtu}" if mtu else ""))


def udp(
    to: str,
    port: int = ECHO_PORT,
    payload: str = "",
    count: int = 3,
    interval_s: float = 0.05,
    wait_s: float = 0.5,
    source: str = "",
    ttl: int = 0,
) -> dict[str, Any]:
    """Send datagrams and count the answers."""
    data, answered, errors = bytes.fromhex(payload), 0, list[str]()
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if ttl:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        if source:
            sock.bind((source, 0))
        for _ in range(count):
            try:
                sock.sendto(data, (to, port))
            except OSError as error:
                errors.append(errno.errorcode.get(error.errno or 0, str(error)))
            # The whole interval, answered or not: what is sent while something happens is spread over it.
            answered += _datagrams(sock, interval_s, None)
        answered += _datagrams(sock, wait_s, count - answered)
    return {"sent": count, "answered": answered, "errors": errors}


def _datagrams(sock: socket.socket, wait_s: float, wanted: int | None) -> int:
    """Return how many datagrams come within `wait_s`; it may end early when `wanted` are there."""
    end_s, seen = time.monotonic() + wait_s, 0
    while (wanted is None or seen < wanted) and (left_s := end_s - time.monotonic()) > 0:
        sock.settimeout(left_s)
        try:
            sock.recv(65535)
            seen += 1
        except TimeoutError:
            break
        except OSError:
            # An ICMP error came back: there is still time for an answer.
            time.sleep(min(0.01, left_s))
    return seen


def tcp(
    to: str,
    port: int = ECHO_PORT,
    payload: str = "",
    size: int = 0,
    wait_s: float = 1.0,
    source: str = "",
) -> dict[str, Any]:
    """Connect, send `payload` (then bytes up to `size`) and read it back."""
    data = bytes.fromhex(payload).ljust(size, b"\xa5")
    started = time.monotonic()
    echoed = 0
    try:
        with socket.create_connection((to, port), wait_s, (source, 0) if source else None) as sock:
            sender = threading.Thread(target=_send_all, args=(sock, data), daemon=True)
            sender.start()
            while echoed < len(data) and time.monotonic() < started + wait_s:
                sock.settimeout(max(0.01, started + wait_s - time.monotonic()))
                got = len(sock.recv(65536))
                if not got:
                    break
                echoed += got
    except TimeoutError:
        return {"state": "silent" if not echoed else "stalled", "echoed": echoed}
    except OSError as error:
        refused = error.errno == errno.ECONNREFUSED
        return {
            "state": "refused" if refused else errno.errorcode.get(error.errno or 0, str(error)),
            "echoed": echoed,
        }
    return {"state": "connected", "echoed": echoed, "seconds": round(time.monotonic() - started, 3)}


def _send_all(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(data)


def inject(device: str, frames: list[str], interval_s: float = 0.0) -> dict[str, Any]:
    """Send whole Ethernet frames (hex) out of a card."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        for frame in frames:
            sock.send(bytes.fromhex(frame))
            time.sleep(interval_s)
    return {"sent": len(frames)}


def flush_connections() -> dict[str, Any]:
    """Forget every connection that the node's firewall tracks (ctnetlink, delete without a filter)."""
    request = struct.pack("=IHHIIBBH", 20, _CT_DELETE, _REQUEST_ACK, 1, 0, socket.AF_UNSPEC, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
        sock.settimeout(2)
        sock.send(request)
        answer = sock.recv(4096)
    return {"error": -struct.unpack_from("=i", answer, 16)[0]}


def run(script: str, timeout_s: float = 10.0) -> dict[str, Any]:
    """Run a shell script and return its exit code and output; 124 when it took too long."""
    with subprocess.Popen(
        ["sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, 9)
            out, err = child.communicate()
            return {"code": 124, "out": out, "err": err}
    return {"code": child.returncode, "out": out, "err": err}


def serve(address: str) -> dict[str, Any]:
    """Answer TCP and UDP on the echo port of `address`, and UDP on the port of DNS, with what was sent."""
    for port in (ECHO_PORT, DNS_PORT):
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        threading.Thread(target=_echo_datagrams, args=(listener,), daemon=True).start()
    acceptor = socket.create_server((address, ECHO_PORT))
    threading.Thread(target=_accept, args=(acceptor,), daemon=True).start()
    return {"ports": [ECHO_PORT, DNS_PORT]}


def _echo_datagrams(listener: socket.socket) -> None:
    while True:
        with contextlib.suppress(OSError):
            data, sender = listener.recvfrom(65535)
            listener.sendto(data, sender)


def _accept(acceptor: socket.socket) -> None:
    while True:
        connection, _ = acceptor.accept()
        threading.Thread(target=_echo_stream, args=(connection,), daemon=True).start()


def _echo_stream(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(20)
        while data := connection.recv(65536):
            connection.sendall(data)


ACTS: dict[str, Callable[..., dict[str, Any]]] = {
    "ping": ping,
    "udp": udp,
    "tcp": tcp,
    "inject": inject,
    "flush_connections": flush_connections,
    "run": run,
    "serve": serve,
}


def main() -> None:
    """Answer requests until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"ok": ACTS[request.pop("act")](**request)}
        except OSError as error:
            answer = {"error": f"{error.strerror or error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
