"""A DHCP client that only asks: each line on stdin is a request as JSON, each line on stdout the reply or null.

Request: mac, type (1 DISCOVER, 3 REQUEST), arch, vendor_class, user_class, ipxe (send option 175), port (67 or
4011), ciaddr, boot_item (option 43, PXE 2.1 table 2-1). Run inside a network namespace, as its root.
"""

from __future__ import annotations

import ipaddress
import json
import random
import socket
import struct
import sys
import time

REPLY_S = 0.7
_COOKIE = b"\x63\x82\x53\x63"


def option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def packet(request: dict, xid: int) -> bytes:
    mac = bytes.fromhex(request["mac"].replace(":", ""))
    ciaddr = ipaddress.IPv4Address(request.get("ciaddr", "0.0.0.0")).packed
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


def ask(request: dict, server: str) -> dict | None:
    xid = random.getrandbits(32)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"client0")
        sock.bind(("0.0.0.0", 68))
        port = request.get("port", 67)
        sock.sendto(packet(request, xid), (server if port == 4011 else "255.255.255.255", port))
        deadline = time.monotonic() + REPLY_S
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(2048)
            except TimeoutError:
                return None
            if len(data) > 240 and struct.unpack("!I", data[4:8])[0] == xid:
                return parse(data)
    return None


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(ask(json.loads(line), sys.argv[1])) + "\n")
        sys.stdout.flush()
