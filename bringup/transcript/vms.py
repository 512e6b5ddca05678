"""Which VM writes in which colour: the SerialServer's badges, read from the capDL file of a build (*.cdl).

Each VM calls the server over two endpoints: its VMM's text over one, its guest's over the other, and badges
are counted on each of them apart (camkes-vm components/VM/configurations/vm.h, camkes-tool rpc-connector.c).
A badge is the index of the colour, so the two colours of one VM are equal by chance only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bringup.transcript.streams import Writer

_SPACE = re.compile(r"(\w+)_cnode\s*\{")
_CAP = re.compile(r"\w+:\s*(\w+)\s*\(([^)]*)\)")
_BADGE = re.compile(r"badge:\s*(0x[0-9a-fA-F]+|\d+)")
_LINES_MAX = 5_000_000
_FILES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class VmNames:
    """The VMs of an image in their natural order, and the badges their VMMs and guests write with."""

    vms: tuple[str, ...] = ()
    vmms: Mapping[int, str] = field(default_factory=dict)
    guests: Mapping[int, str] = field(default_factory=dict)

    def of(self, writer: Writer) -> str | None:
        """Return the VM whose text this writer's is, None where that is not known."""
        if writer.badge is None or not writer.is_client:
            return None
        return (self.guests if writer.part == "guest" else self.vmms).get(writer.badge)


@dataclass(frozen=True, slots=True)
class _Cap:
    """A capability to an endpoint in the space of a component instance."""

    instance: str
    endpoint: str
    badge: int | None
    reads: bool


def find_vm_names(folder: Path) -> VmNames | None:
    """Return the names in the capDL file of a build's folder, None where there is none that tells any."""
    below = islice(sorted(islice(folder.rglob("*.cdl"), _FILES_MAX)), 8)
    for path in below:
        try:
            with path.open(encoding="ascii", errors="replace") as file:
                names = read_vm_names(file)
        except OSError:
            continue
        if names.vms:
            return names
    return None


def read_vm_names(lines: Iterable[str]) -> VmNames:
    """Return the VMs of a capDL specification; empty where it has no SerialServer with VMs as clients."""
    caps = list(_caps(islice(lines, _LINES_MAX)))
    served = {cap.endpoint for cap in caps if cap.badge is None and cap.reads and "serial" in cap.instance}
    callers: dict[str, dict[int, str]] = defaultdict(dict)
    for cap in caps:
        if cap.endpoint in served and cap.badge is not None:
            callers[cap.endpoint][cap.badge] = cap.instance
    # A VM is what calls the server twice: for its guest and for itself.
    calls: dict[str, int] = defaultdict(int)
    for clients in callers.values():
        for instance in set(clients.values()):
            calls[instance] += 1
    vms = {instance for instance, count in calls.items() if count > 1}
    guests = _guest_endpoint({name: set(clients.values()) for name, clients in callers.items()}, vms)
    if guests is None:
        return VmNames()
    return VmNames(
        tuple(sorted(vms, key=_natural)),
        {b: vm for name, of in callers.items() if name != guests for b, vm in of.items() if vm in vms},
        {badge: vm for badge, vm in callers[guests].items() if vm in vms},
    )


def _caps(lines: Iterable[str]) -> Iterator[_Cap]:
    instance = None
    for line in lines:
        begin = _SPACE.match(line.strip())
        if begin is not None:
            instance = begin.group(1)
        elif line.lstrip().startswith("}"):
            instance = None
        elif instance is not None:
            cap = _CAP.search(line)
            if cap is not None and cap.group(1).endswith("_ep"):
                badge = _BADGE.search(cap.group(2))
                rights = cap.group(2).partition(",")[0]
                number = None if badge is None else int(badge.group(1), 0)
                yield _Cap(instance, cap.group(1), number, "R" in rights)


def _guest_endpoint(callers: Mapping[str, set[str]], vms: set[str]) -> str | None:
    """Return the endpoint that guests' text comes over: named so, or the one that only VMs call."""
    named = [name for name in callers if re.search("guest|raw", name)]
    alone = [name for name, clients in callers.items() if vms and clients == vms]
    choice = named or alone
    return choice[0] if len(choice) == 1 and vms else None


def _natural(name: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name))
