"""Records every segment into a pcap file each; runs where the bridges are, as a file of its own.

tcpdump is not used: it gives up root at its start, which a namespace with a single user denies, and a capture
that died looks like silence. Standard library only. Requests are lines on stdin: `mark` is answered, after
everything that has arrived is written, with the length of each file and the frames that the kernel dropped.
Arguments: folder, largest size of a file in bytes, then the segments.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import sys
import time
from pathlib import Path

_ETH_P_ALL = 3
# linux/if_packet.h
_SOL_PACKET, _ADD_MEMBERSHIP, _STATISTICS, _MR_PROMISC = 263, 1, 6, 1
# Enough for every header, every canary and a whole WireGuard initiation.
_SNAP_BYTES = 384
_WANTED_BUFFER = 8 << 20
_SO_RCVBUFFORCE = 33
# pcap(5): magic, version 2.4, zone, accuracy, snap length, Ethernet
_FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP_BYTES, 1)


class Segment:
    """One bridge and the file that its frames go to; a full file is begun anew, the old one kept as .1."""

    def __init__(self, device: str, path: Path, limit_bytes: int) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, _WANTED_BUFFER)
                break
            except OSError:
                continue
        self._socket.bind((device, _ETH_P_ALL))
        index = socket.if_nametoindex(device)
        # Without this a socket on a bridge sees nothing of what the bridge forwards.
        membership = struct.pack("iHH8s", index, _MR_PROMISC, 0, b"")
        self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
        self._socket.setblocking(False)
        self._path, self._limit = path, limit_bytes
        self.dropped = 0
        self._open()

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(self._file, _FILE_HEADER)
        self.length = len(_FILE_HEADER)

    def fileno(self) -> int:
        """The socket's, for select."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Write everything that has arrived."""
        while True:
            records = []
            for _ in range(256):
                try:
                    frame = self._socket.recv(65535)
                except (BlockingIOError, OSError):
                    break
                seconds, nanoseconds = divmod(time.time_ns(), 10**9)
                kept = frame[:_SNAP_BYTES]
                header = struct.pack("<IIII", seconds, nanoseconds // 1000, len(kept), len(frame))
                records += [header, kept]
            if not records:
                return
            data = b"".join(records)
            if self.length + len(data) > self._limit:
                os.close(self._file)
                self._path.replace(self._path.with_suffix(".1.pcap"))
                self._open()
            os.write(self._file, data)
            self.length += len(data)

    def losses(self) -> int:
        """Return how many frames the kernel had no room for, so far."""
        self.dropped += struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1]
        return self.dropped


def main() -> None:
    """Record until stdin ends, or for ever where there is none."""
    folder, limit, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    segments = {name: Segment(f"seg-{name}", folder / f"{name}.pcap", limit) for name in names}
    selector = selectors.DefaultSelector()
    for segment in segments.values():
        selector.register(segment, selectors.EVENT_READ, segment)
    if os.fstat(0).st_rdev != Path(os.devnull).stat().st_rdev:
        selector.register(0, selectors.EVENT_READ, None)
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    while True:
        for key, _ in selector.select():
            if key.data is not None:
                key.data.drain()
            elif not os.read(0, 4096):
                return
            else:
                for segment in segments.values():
                    segment.drain()
                told = {name: [each.length, each.losses()] for name, each in segments.items()}
                sys.stdout.write(json.dumps(told) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
