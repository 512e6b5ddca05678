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
class PacketFacts:
    """What of a DHCP request decides its answer.

    `arch` is option 93; `user_class` option 77; `ipxe_options` says whether option 175 is there.
    """

    mac: str
    arch: int | None
    vendor_class: str | None = None
    user_class: str | None = None
    ipxe_options: bool = False

    @property
    def is_ipxe(self) -> bool:
        """Return whether iPXE itself asks, which would fetch itself for ever if it were given itself."""
        return self.ipxe_options or self.user_class == "iPXE"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is given: an address or only a file, the file's name or URL, and on which port.

    UEFI firmware asks a proxy again on port 4011 and finds the file only there (PXE 2.1 2.2.2).
    """

    gives_address: bool
    file: str | None
    on_port_4011: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: clients of these architectures, iPXE or not, get this file."""

    architectures: tuple[int, ...]
    ipxe: bool
    file: str


def rules(spec: ServeSpec) -> tuple[Rule, ...]:
    """Return the rows of this boot: one for the firmware's own PXE client, one for iPXE."""
    route = spec.route
    architectures = ARCHITECTURES[route.firmware]
    first = route.first_file.lstrip("/")
    # A GRUB route loads GRUB into iPXE too; an iPXE that is already there needs only the script.
    for_ipxe = first if route.loader == "grub" else spec.base_url + route.script
    return (Rule(architectures, False, first), Rule(architectures, True, for_ipxe))


def answer(spec: ServeSpec, facts: PacketFacts) -> Answer | None:
    """Return what the client is given, None when it hears nothing from here."""
    if facts.mac.lower() not in spec.macs:
        return None
    file = _file_for(spec, facts)
    if spec.mode == "own-segment":
        return Answer(gives_address=True, file=file, on_port_4011=False)
    if file is None or not (facts.vendor_class or "").startswith("PXEClient"):
        return None
    return Answer(gives_address=False, file=file, on_port_4011=not facts.is_ipxe)


def _file_for(spec: ServeSpec, facts: PacketFacts) -> str | None:
    for rule in rules(spec):
        if facts.arch in rule.architectures and facts.is_ipxe == rule.ipxe:
            return rule.file
    return None
