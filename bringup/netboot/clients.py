"""The boards under boot as the servers know them: whose request this is, and what that board may have.

Several boots ask one server for the same names. Which boot an address belongs to is what the kernel's ARP
table says of its MAC; everybody else is a stranger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bringup.base.events import Emit, Event
from bringup.netboot.catalog import Catalog
from bringup.netboot.upload import Receiver
from bringup.netboot.visits import Usher

_ARP_TABLE = Path("/proc/self/net/arp")
_ARP_COMPLETE = 0x2


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """A board under boot: what it may fetch and send, and who is told of it.

    `address` is the one it is given, None where another server gives it. `usher` hands over what its boot
    answers itself.
    """

    macs: tuple[str, ...]
    address: str | None
    catalog: Catalog
    emit: Emit
    receiver: Receiver | None = None
    usher: Usher | None = None


class Clients(Protocol):
    """Who asks, by address; called from any thread."""

    def of(self, address: str) -> Client | None:
        """Return the board that has an address, None for a stranger."""
        ...

    def tell(self, event: Event) -> None:
        """Tell all boots what concerns none of them alone."""
        ...


def arp_table() -> str:
    """Return the kernel's ARP table of this network namespace, in the format of proc_net_arp(5)."""
    try:
        return _ARP_TABLE.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


class UnderBoot:
    """The boards that are being booted by this host now; `clients` is replaced whole, never changed."""

    def __init__(self, table: Callable[[], str] = arp_table) -> None:
        self._table = table
        self.clients: tuple[Client, ...] = ()

    def add(self, client: Client) -> None:
        """Serve a board from now on."""
        self.clients = (*self.clients, client)

    def remove(self, client: Client) -> None:
        """Serve a board no more; harmless when it was not served."""
        self.clients = tuple(each for each in self.clients if each is not client)

    def of(self, address: str) -> Client | None:
        """Return the board that has an address.

        An address the table does not know is this host's own, or one the kernel has yet to ask for: it is
        then believed to be the board's it was given to, or the only board's.
        """
        clients = self.clients
        mac = mac_of(self._table(), address)
        if mac is not None:
            return self.with_mac(mac)
        given = next((client for client in clients if client.address == address), None)
        return given or (clients[0] if len(clients) == 1 else None)

    def with_mac(self, mac: str) -> Client | None:
        """Return the board that has a MAC address."""
        return next((client for client in self.clients if mac in client.macs), None)

    def tell(self, event: Event) -> None:
        """Tell all boots."""
        for client in self.clients:
            client.emit(event)


def mac_of(table: str, address: str) -> str | None:
    """Return the MAC that an ARP table gives an address, in small letters, None where it has none (pure)."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 4 and fields[0] == address and _flags(fields[2]) & _ARP_COMPLETE:
            return fields[3].lower()
    return None


def _flags(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0
