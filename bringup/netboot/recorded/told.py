"""A packet capture as the events of serving this boot, times on the capture's clock. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bringup.base.events import Event
from bringup.netboot.dhcp_packet import CLIENT_PORT, SERVER_PORT, DhcpPacket, Message, read_dhcp
from bringup.netboot.policy import ARCHITECTURES
from bringup.netboot.recorded.files import FileReader
from bringup.netboot.recorded.frames import Datagram

_DHCP_PORTS = (SERVER_PORT, CLIENT_PORT, 4011)
_BMC_PORT, _RMCP_PLUS, _CLASS_IPMI = 623, 0x06, 0x07
_OPEN_SESSION, _SOL = 0x11, 0x01  # IPMI 2.0 table 13-16
_EVENTS_MAX, _OTHERS_MAX = 100_000, 4096


def boot_client(packets: Iterable[Datagram]) -> str | None:
    """Return the MAC of the first machine that asked for a network boot and took it, else that only asked.

    Who looks for DHCP servers (this tool does) asks as a boot client, and takes nothing.
    """
    asked: str | None = None
    clients: set[str] = set()
    for packet in packets:
        told = read_dhcp(packet.payload) if packet.target_port in _DHCP_PORTS else None
        if told is None:
            continue
        if told.arch is not None:
            asked = asked or told.mac
            if len(clients) < _OTHERS_MAX:
                clients.add(told.mac)
        if told.message is Message.REQUEST and told.mac in clients:
            return told.mac
    return asked


class CaptureReader:
    """Tells what a capture holds of one boot: that of the client `mac`; None: of all that asks."""

    def __init__(self, mac: str | None = None) -> None:
        self.mac = mac
        self.arch: int | None = None
        self.last_s = 0.0
        self._files = FileReader()
        self._addresses: set[str] = set()
        self._others: set[str] = set()
        self._server: str | None = None
        self._bmcs: set[tuple[str, int]] = set()
        self._told: set[tuple[int, Message, str]] = set()

    def events(self, packets: Iterable[Datagram]) -> Iterator[Event]:
        """Yield what the packets tell, at most 100,000 events."""
        left = _EVENTS_MAX
        for packet in packets:
            self.last_s = max(self.last_s, packet.at_s)
            for event in self._packet(packet):
                yield event
                left -= 1
            if left <= 0:
                return
        yield from self._files.end(self.last_s)

    def _packet(self, packet: Datagram) -> Iterator[Event]:
        if packet.seq is None and packet.target_port in _DHCP_PORTS:
            told = read_dhcp(packet.payload)
            if told is not None:
                yield from self._dhcp(told, packet)
        elif packet.seq is None and _BMC_PORT in (packet.source_port, packet.target_port):
            yield from self._bmc(packet)
        elif self._is_ours({packet.source, packet.target}):
            yield from self._files.feed(packet)

    def _is_ours(self, ends: set[str]) -> bool:
        """Return whether packets between these may be of this boot, whose lease may not be in the capture."""
        return bool(ends & self._addresses) if self._addresses else not ends & self._others

    def _dhcp(self, told: DhcpPacket, packet: Datagram) -> Iterator[Event]:
        key = told.xid, told.message, told.server or ""
        if key in self._told and told.message is not Message.DISCOVER:
            return  # heard twice: on a bridge and on its port
        self._told.add(key)
        ours = self.mac in (None, told.mac)
        if told.message is Message.DISCOVER:
            yield self._asks(told, packet.at_s) if ours else _ignored(told, packet.at_s)
        elif ours:
            yield from self._answered(told, packet)
        elif told.message is Message.ACK and told.address is not None and len(self._others) < _OTHERS_MAX:
            self._others.add(told.address)

    def _asks(self, told: DhcpPacket, at_s: float) -> Event:
        self.arch = told.arch if self.arch is None else self.arch
        firmware = next((name for name, arches in ARCHITECTURES.items() if told.arch in arches), None)
        text = (
            f"{told.mac} asks as {firmware.upper()} client" if firmware else f"{told.mac} asks for an address"
        )
        classes = {"vendor_class": told.vendor_class, "user_class": told.user_class}
        return Event("dhcp", "dhcp.discover", text, {"mac": told.mac, "arch": told.arch, **classes}, at_s)

    def _answered(self, told: DhcpPacket, packet: Datagram) -> Iterator[Event]:
        mac, at_s = told.mac, packet.at_s
        data = {"mac": mac, "address": told.address, "file": told.file, "server": told.server}
        if told.message is Message.REQUEST:
            yield Event("dhcp", "dhcp.request", f"{mac} requests its address", {"mac": mac}, at_s)
        elif told.message is Message.NAK:
            text = f"{told.server or packet.source} refused {mac} its address"
            yield Event("dhcp", "dhcp.rival", text, {**data, "message": "nak"}, at_s)
        else:
            yield from self._given(told, packet.source, at_s, data)

    def _given(
        self, told: DhcpPacket, source: str, at_s: float, data: dict[str, str | None]
    ) -> Iterator[Event]:
        server = told.server or source
        file = f" and the file {told.file}" if told.file else ""
        if told.file is not None:
            self._server = self._server or server
            if server != self._server:
                text = f"another DHCP server, {server}, gives {told.mac} the boot file {told.file}"
                yield Event("dhcp", "dhcp.rival", text, {**data, "message": told.message.name.lower()}, at_s)
                return
        if told.message is Message.OFFER and told.address is not None:
            text = f"{told.mac} is offered {told.address}{file} by {server}"
            yield Event("dhcp", "dhcp.offer", text, data, at_s)
        elif told.message is Message.ACK and told.address is not None:
            self._addresses.add(told.address)
            yield Event(
                "dhcp", "dhcp.ack", f"{told.mac} is given {told.address}{file} by {server}", data, at_s
            )
        elif told.file is not None:
            yield Event("dhcp", "dhcp.reply", f"{told.mac} is told {told.file} by {server}", data, at_s)

    def _bmc(self, packet: Datagram) -> Iterator[Event]:
        """Yield the beginning of each session with a BMC and of its console; what it says is encrypted."""
        payload = packet.payload
        if packet.source_port != _BMC_PORT or len(payload) < 6 or payload[3] != _CLASS_IPMI:
            return
        kind = payload[5] & 0x3F
        if payload[4] != _RMCP_PLUS or (packet.source, kind) in self._bmcs:
            return
        self._bmcs.add((packet.source, kind))
        data = {"bmc": packet.source, "client": packet.target}
        if kind == _OPEN_SESSION:
            text = f"the BMC {packet.source} opens a session with {packet.target}"
            yield Event("power", "bmc.session", text, data, packet.at_s)
        elif kind == _SOL:
            text = f"the BMC {packet.source} sends its console to {packet.target}"
            yield Event("power", "bmc.console", text, data, packet.at_s)


def _ignored(told: DhcpPacket, at_s: float) -> Event:
    data = {"mac": told.mac, "arch": told.arch}
    return Event("dhcp", "dhcp.ignored", f"{told.mac} asks, which is another machine", data, at_s)
