"""Asks a segment once who answers DHCP on it: the scout's search, without any boot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bringup.base.errors import LabError
from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.lab.network import Network
from bringup.netboot.listen import MAY_NOT
from bringup.netboot.policy import ARCHITECTURES
from bringup.netboot.scout import SEARCH_S, Scout, Watched

_MARGIN_S = 0.5


def rivals(network: Network) -> tuple[Event, ...]:
    """Return a `dhcp.rival` event for each server that stands in the way of a boot on this network.

    Takes about 2.5 s; one DHCP packet is sent, twice, and nothing is leased. Raises LabError where this
    process may not look.
    """
    return asyncio.run(_search(network))


async def _search(network: Network) -> tuple[Event, ...]:
    found: list[Event] = []
    searched = asyncio.Event()
    watched = Watched(network.own_segment, frozenset({network.server_ip}))
    scout = Scout(network.interface, lambda: watched, _hear(found, searched))
    try:
        if not scout.looks:
            raise LabError(f"this user may not look for DHCP servers on {network.interface}", hint=MAY_NOT)
        scout.search(ARCHITECTURES[Firmware.BIOS][0])
        await asyncio.wait_for(searched.wait(), SEARCH_S + _MARGIN_S)
    except TimeoutError:
        raise LabError(f"{network.interface} has no link to ask on") from None
    finally:
        scout.close()
    return tuple(found)


def _hear(found: list[Event], searched: asyncio.Event) -> Callable[[Event, str | None], None]:
    def hear(event: Event, _mac: str | None) -> None:
        if event.kind == "dhcp.rival":
            found.append(event)
        elif event.kind == "dhcp.searched":
            searched.set()

    return hear
