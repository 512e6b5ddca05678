"""The ports that a board's network boot needs: whether they are free, else who has them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bringup.jobs.doctor.check import Check, Group, Result, failed, passed
from bringup.jobs.doctor.root import as_root
from bringup.lab.network import HTTP_PORT, Network
from bringup.netboot.dhcp_packet import SERVER_PORT
from bringup.netboot.listeners import Listener, Protocol, listeners, serves_for_us, service_of

PROXY_PORT = 4011
"""Where a proxyDHCP server is asked for the boot file (PXE 2.1, 2.2.4)."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a service of ours listens on; where it is taken, `another` can do as well."""

    service: str
    protocol: Protocol
    number: int
    another: bool = False


def ports_of(network: Network) -> Iterator[Port]:
    """Yield the ports that serving a network takes."""
    yield Port("DHCP", "udp", SERVER_PORT)
    if not network.own_segment:
        yield Port("proxyDHCP", "udp", PROXY_PORT)
    yield Port("TFTP", "udp", network.tftp_port)
    yield Port("HTTP", "tcp", network.http_port or HTTP_PORT, another=network.http_port is None)


def port_checks(network: Network, listening: Callable[[], tuple[Listener, ...]] = listeners) -> Group:
    """Return the checks of the ports on a board's network; `listening` tells who listens on this host."""
    ask = functools.cache(listening)
    checks = [
        Check(f"ports-{port.service.lower()}", port.service, functools.partial(_port, port, network, ask))
        for port in ports_of(network)
    ]
    return Group("ports", checks)


def _port(port: Port, network: Network, listening: Callable[[], tuple[Listener, ...]]) -> Result:
    where = f"{port.protocol.upper()} port {port.number} of {network.server_ip}"
    has = next(
        (
            each
            for each in listening()
            if each.takes(port.protocol, network.server_ip, port.number, network.interface)
        ),
        None,
    )
    if has is None:
        return passed(f"{where} is free for {port.service}")
    if has.pid is not None and serves_for_us(has.pid):
        return passed(f"{where} serves boots of this host (process {has.pid})")
    owner = "a process of another user" if has.pid is None else f"{has.name} (process {has.pid})"
    if port.another:
        return passed(f"{where} is taken by {owner}: {port.service} takes another")
    return failed(f"{where}, which {port.service} needs, is taken by {owner}", ending(has))


def ending(has: Listener) -> str:
    """Return the command that ends a listener, or tells who it is where this user may not know."""
    if has.pid is None:
        letter = "t" if has.protocol == "tcp" else "u"
        return f"sudo ss -lnp{letter} 'sport = :{has.port}'"
    service = service_of(has.pid)
    return as_root(f"systemctl stop {service}") if service else f"kill {has.pid}"
