"""The network a board boots from: through which interface of this host, who gives addresses, and which."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from bringup.base.errors import ProfileError

Mode = Literal["own-segment", "proxy"]

HTTP_PORT = 80
TFTP_PORT = 69

# Linux: IFNAMSIZ is 16 with the NUL; the alphabet is narrower than the kernel's on purpose.
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_PREFIX_LENGTHS = range(8, 31)


@dataclass(frozen=True, slots=True)
class Network:
    """One network; `address` is this host's, with its prefix length, such as `10.55.0.1/24`.

    On an own segment this host is the DHCP server and gives `board_address`; in proxy mode another server
    gives addresses, `board_address` is None, and nothing but boot file names comes from here. `http_port`
    None is 80, or any other while somebody has that; boards ask by TFTP at port 69 whatever `tftp_port` is,
    so that another needs a redirection. Raises ProfileError for what no network can be.
    """

    interface: str
    mode: Mode
    address: str
    board_address: str | None
    http_port: int | None = field(default=None, kw_only=True)
    tftp_port: int = field(default=TFTP_PORT, kw_only=True)

    def __post_init__(self) -> None:
        try:
            interface_name(self.interface)
            server_address(self.address)
            check_board_address(self.mode, self.address, self.board_address)
            for port in (self.http_port, self.tftp_port):
                check_port(port)
        except ValueError as error:
            raise ProfileError(f"the network on {self.interface!r}: {error}") from None

    @property
    def own_segment(self) -> bool:
        """Whether this host is the only server there."""
        return self.mode == "own-segment"

    @property
    def server_ip(self) -> str:
        """This host's address without the prefix length."""
        return self.address.partition("/")[0]

    @property
    def addresses(self) -> ipaddress.IPv4Network:
        """All addresses of the network."""
        return ipaddress.IPv4Interface(self.address).network


def interface_name(text: str) -> str:
    """Return the name of a network interface; raises ValueError."""
    if not _INTERFACE.fullmatch(text):
        raise ValueError('expected the name of a network interface, such as "enp3s0"')
    return text


def mac_address(text: str) -> str:
    """Return the MAC address of a port, in small letters with colons; raises ValueError."""
    mac = text.lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise ValueError('expected a MAC address of the form "ac:1f:6b:0e:30:17"')
    # dnsmasq would take a group address for a pattern.
    if int(mac[:2], 16) & 1:
        raise ValueError("this is a multicast address, not that of a port")
    if mac == "00:00:00:00:00:00":
        raise ValueError("this is nobody's address")
    return mac


def server_address(text: str) -> str:
    """Return this host's address on a network, with its prefix length; raises ValueError."""
    try:
        address = ipaddress.IPv4Interface(text)
    except ValueError:
        address = None
    if address is None or "/" not in text or address.network.prefixlen not in _PREFIX_LENGTHS:
        raise ValueError('expected an IPv4 address with its prefix length, such as "192.168.77.1/24"')
    return text


def ipv4_address(text: str) -> str:
    """Return an IPv4 address; raises ValueError."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        raise ValueError('expected an IPv4 address, such as "192.168.77.30"') from None
    return text


def check_port(port: int | None) -> None:
    """Raise ValueError when nothing can be served on a port; None is no choice made."""
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"no port has the number {port}")


def check_board_address(mode: Mode, address: str, board_address: str | None) -> None:
    """Raise ValueError when a board cannot have this address, or no address, in this mode."""
    if mode not in get_args(Mode):
        raise ValueError(f"not a mode of DHCP: {mode!r}")
    if mode == "proxy":
        if board_address is not None:
            raise ValueError(
                "`board_address` has no effect in proxy mode: the LAN's own DHCP server gives it"
            )
        return
    if board_address is None:
        raise ValueError("`board_address` is needed on an own segment: this host gives the board its address")
    server, board = ipaddress.IPv4Interface(address), ipaddress.IPv4Address(ipv4_address(board_address))
    unusable = (server.ip, server.network.network_address, server.network.broadcast_address)
    if board not in server.network or board in unusable:
        raise ValueError(f"`board_address` {board} is not a free address of {server.network}")
