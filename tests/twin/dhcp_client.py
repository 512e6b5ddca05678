"""A DHCP client that only asks: each line on stdin is a list of requests as JSON, on stdout of the replies.

Request: mac, type (1 DISCOVER, 3 REQUEST), arch, vendor_class, user_class, ipxe (send option 175), port (67
or 4011), ciaddr, boot_item (option 43, PXE 2.1 table 2-1), silent (no reply is due). A reply that does not
come is null. Runs inside a network namespace, as its root, on the interface `client0`.
"""

from __future__ import annotations

import ipaddress
import json
import random
import socket
import struct
import sys

# For a reply that is due on a busy machine, and, once those are there, for one that must not come.
PATIENCE_S, SILENCE_S = 60.0, 0.5
_COOKIE = b"\x63\x82\x53\x63"


def option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def packet(request: dict, xid: int) -> bytes:
    mac = bytes.fromhex(request["mac"].replace(":", ""))
    ciaddr = ipaddress.IPv4Address(request.get("ciaddr", 0)).packed
    flags = 0 if request.get("ciaddr") else 0x8000
    head = struct.pack("!BBBBIHH4s12x16s192x", 1, 1, 6, 0, xid, 0, flags, ciaddr, mac + bytes(10))
    options = option(53, bytes([request["type"]])) + option(55, bytes((1, 3, 6, 43, 60, 66, 67)))
    if request.get("vendor_class"):
        options += option(60, request["vendor_class"].encode())
    if request.get("arch") is not None:
        options += option(93, struct.pack("!H", request["arch"])) + option(94, b"\x01\x02\x01")
        options += option(97, b"\x00" + bytes(16))
    if request.get("user_class"):
        options += option(77, request["user_class"].encode())
    if request.get("ipxe"):
        options += option(175, bytes((0xB0, 1, 1)))
    if "boot_item" in request:
        options += option(43, option(71, struct.pack("!HH", request["boot_item"], 0)) + b"\xff")
    return head + _COOKIE + options + b"\xff"


def parse(data: bytes) -> dict:
    yiaddr, siaddr = (str(ipaddress.IPv4Address(data[i : i + 4])) for i in (16, 20))
    file = data[108:236].split(b"\0")[0].decode()
    options: dict[int, bytes] = {}
    position = 240
    while position < len(data) and data[position] != 255:
        if data[position] == 0:
            position += 1
            continue
        length = data[position + 1]
        options[data[position]] = data[position + 2 : position + 2 + length]
        position += 2 + length
    name = options.get(67, b"").rstrip(b"\0").decode() or file
    return {
        "yiaddr": yiaddr,
        "siaddr": siaddr,
        "file": name or None,
        "type": options[53][0],
        "vendor_class": options.get(60, b"").decode() or None,
        "menu": 43 in options,
        "ipxe_options": options.get(175, b"").hex() or None,
    }


def ask(requests: list[dict], server: str) -> list[dict | None]:
    """Send all requests, wait for the replies that are due, and a while for those that are not."""
    xids = random.sample(range(1, 2**32), len(requests))
    replies: dict[int, dict] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"client0")
        sock.bind(("", 68))
        for xid, request in zip(xids, requests, strict=True):
            port = request.get("port", 67)
            sock.sendto(packet(request, xid), (server if port == 4011 else "255.255.255.255", port))
        due = {xid for xid, request in zip(xids, requests, strict=True) if not request.get("silent")}
        while len(replies) < len(requests):
            sock.settimeout(PATIENCE_S if due - replies.keys() else SILENCE_S)
            try:
                data = sock.recv(2048)
            except TimeoutError:
                break
            if len(data) > 240:
                replies[struct.unpack("!I", data[4:8])[0]] = parse(data)
    return [replies.get(xid) for xid in xids]


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(ask(json.loads(line), sys.argv[1])) + "\n")
        sys.stdout.flush()
