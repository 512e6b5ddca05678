"""Who is answered and with which file: one table, and from it the DHCP server's configuration (pure).

The table has one row per kind of client that the route serves. A client of the other firmware is given no
file, because a file of the wrong firmware looks like a hang on the board; its request is still an event, so
that the verdict can say which firmware the board really started.
"""

from __future__ import annotations

from dataclasses import dataclass

from bringup.base.firmware import Firmware
from bringup.netboot.spec import ServeSpec

# RFC 4578 2.1 as corrected by its erratum 1 and as firmware sends it: 7 and 9 are both x86-64 UEFI.
ARCHITECTURES: dict[Firmware, tuple[int, ...]] = {Firmware.BIOS: (0,), Firmware.UEFI: (7, 9)}


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """One row: clients of these architectures, iPXE or not, get this file."""

    architectures: tuple[int, ...]
    ipxe: bool
    file: str


def rules(spec: ServeSpec) -> tuple[AnswerRule, ...]:
    """Return the rows of this boot: one for the firmware's own PXE client, one for iPXE."""
    route = spec.route
    architectures = ARCHITECTURES[route.firmware]
    first = route.first_file.lstrip("/")
    # A route without iPXE is the same for a firmware that is iPXE; where it is part of the route, an iPXE
    # that is already there needs only the script.
    by_ipxe = route.loader in ("ipxe", "efi")
    for_ipxe = f"{spec.segment.base_url}{route.script}" if by_ipxe else first
    return (AnswerRule(architectures, False, first), AnswerRule(architectures, True, for_ipxe))
