"""Looks at the segment beside the servers: who else answers DHCP, and whether our own link is up.

Seen are answers to everybody, and what a board asks everybody: a request names the server that it chose. An
answer sent to a board alone does not come by here.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import random
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bringup.base.events import Event
from bringup.netboot.dhcp_packet import DhcpPacket, Message, read_frame, search
from bringup.netboot.packet_filter import attach, dhcp_of_interest

# DHCP servers answer at once, or after a ping of a second.
SEARCH_S = 2.0
_SEARCH_AGAIN_S = 0.6
_CARRIER_EVERY_S = 0.5
_ETH_P_IP = 0x0800
_PACKET_MAX = 2048
# More answers of DHCP servers a second than any network has; the rest waits, or is lost.
_PACKETS_AT_ONCE, _PAUSE_S = 16, 0.05
_KNOWN_MAX = 64
_BROADCAST_MAC = b"\xff" * 6
_SIOCGIFFLAGS, _SIOCGIFHWADDR = 0x8913, 0x8927  # linux/sockios.h
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # linux/if.h


@dataclass(frozen=True, slots=True)
class Watched:
    """What of a segment is ours: its mode, and the addresses that this host serves on."""

    own_segment: bool
    servers: frozenset[str]


class Scout:
    """Watches one interface, in a running loop, until closed.

    `told` is given each event with the MAC of the board that it is about, None for what concerns all.
    Without the right to look it tells of the link alone.
    """

    def __init__(
        self, interface: str, watched: Callable[[], Watched], told: Callable[[Event, str | None], None]
    ) -> None:
        self._interface = interface
        self._watched = watched
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._searching: int | None = None
        self._wanted: int | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._found: set[str] = set()
        self._known: set[tuple[str, Message, str | None]] = set()
        self.carrier = has_carrier(interface)
        self.mac = ""
        """The interface's own, which the search is sent from."""
        with contextlib.suppress(OSError):
            self.mac = _mac(interface)
            self._socket = _listening(interface)
            self._loop.add_reader(self._socket, self._read)
        self._tasks = [self._loop.create_task(self._watch_link())]

    @property
    def looks(self) -> bool:
        """Whether this process may see the segment's packets, and ask."""
        return self._socket is not None

    def close(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        if self._pause is not None:
            self._pause.cancel()
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def let_in(self, macs: Iterable[str]) -> None:
        """See what these boards ask, and of others nothing."""
        if self._socket is not None:
            attach(self._socket, dhcp_of_interest(macs))

    def search(self, arch: int) -> None:
        """Ask for other servers as a client of `arch` would; what is found is told, and that it was asked.

        Where there is no link yet this waits for it: nobody could have answered.
        """
        self._wanted = arch
        self._known.clear()
        self._search_if_linked()

    def _search_if_linked(self) -> None:
        arch = self._wanted
        if arch is None or self._socket is None or self._searching is not None or not self.carrier:
            return
        self._wanted, self._searching = None, random.getrandbits(32)
        self._tasks.append(self._loop.create_task(self._search(self._socket, self._searching, arch)))

    async def _search(self, sock: socket.socket, xid: int, arch: int) -> None:
        self._found = set()
        for wait_s in (_SEARCH_AGAIN_S, SEARCH_S - _SEARCH_AGAIN_S):
            with contextlib.suppress(OSError):
                packet = search(self.mac, xid, arch)
                sock.sendto(packet, (self._interface, _ETH_P_IP, 0, 0, _BROADCAST_MAC))
            await asyncio.sleep(wait_s)
        self._searching = None
        if self.carrier:
            servers = sorted(self._found)
            text = f"DHCP servers besides this host: {', '.join(servers) or 'none'}"
            self._told(Event("dhcp", "dhcp.searched", text, {"servers": servers}), None)

    def _read(self) -> None:
        assert self._socket is not None  # noqa: S101
        for _ in range(_PACKETS_AT_ONCE):
            try:
                packet = read_frame(self._socket.recv(_PACKET_MAX))
            except OSError:
                return
            if packet is not None:
                self._take(packet)
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(_PAUSE_S, self._loop.add_reader, self._socket, self._read)

    def _take(self, packet: DhcpPacket) -> None:
        watched = self._watched()
        if packet.server is None or packet.server in watched.servers:
            return
        is_ours = packet.xid == self._searching
        if is_ours:
            self._found.add(packet.server)
        what = rivalry(packet, own_segment=watched.own_segment)
        mac = None if is_ours else packet.mac
        key = (packet.server, packet.message, mac)
        if what is not None and key not in self._known and len(self._known) < _KNOWN_MAX:
            self._known.add(key)
            data = {"server": packet.server, "message": packet.message.name.lower(), "file": packet.file}
            text = f"another DHCP server, {packet.server}, {what}"
            self._told(Event("dhcp", "dhcp.rival", text, {**data, "mac": mac}), mac)

    async def _watch_link(self) -> None:
        while True:
            up = has_carrier(self._interface)
            if up is not None and up != self.carrier:
                self.carrier = up
                self._told(self.link_event(up), None)
                self._search_if_linked()
            await asyncio.sleep(_CARRIER_EVERY_S)

    def link_event(self, up: bool) -> Event:
        """Return what is told of the link."""
        text = f"{self._interface} has {'a' if up else 'no'} link"
        return Event("run", "link.carrier", text, {"interface": self._interface, "carrier": up})


def rivalry(packet: DhcpPacket, *, own_segment: bool) -> str | None:
    """Return what another server does that stands in a boot's way, None where that is its part (pure).

    On an own segment there must be none; on a LAN one gives addresses, and a boot file beside ours is one too
    many.
    """
    about = packet.address or packet.mac
    if packet.message is Message.NAK:
        return f"refused {packet.mac} its address"
    if packet.message is Message.REQUEST:
        return f"was chosen by {packet.mac}" if own_segment else None
    if packet.message not in (Message.OFFER, Message.ACK):
        return None
    if packet.file is not None:
        return f"gives {about} the boot file {packet.file}"
    if packet.is_pxe and not own_segment:
        return f"offers {about} a network boot"
    return f"gives the address {about}" if own_segment else None


def has_carrier(interface: str) -> bool | None:
    """Return whether an interface is up and has a link, None when this host does not say."""
    try:
        flags = struct.unpack("H", _ask(interface, _SIOCGIFFLAGS)[16:18])[0]
    except OSError:
        return None
    return bool(flags & _IFF_UP and flags & _IFF_RUNNING)


def _mac(interface: str) -> str:
    return _ask(interface, _SIOCGIFHWADDR)[18:24].hex(":")


def _ask(interface: str, request: int) -> bytes:
    """Return what netdevice(7) tells of an interface of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return fcntl.ioctl(sock.fileno(), request, struct.pack("16s24x", interface.encode()))


def _listening(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        sock.setblocking(False)
        attach(sock, dhcp_of_interest(()))
        # Bound last: before the filter is there, everything would come.
        sock.bind((interface, _ETH_P_IP))
    except OSError:
        sock.close()
        raise
    return sock
