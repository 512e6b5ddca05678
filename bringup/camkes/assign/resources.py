"""What one function needs of its VM: I/O ports, frames, memory the firmware reserves, a name. Pure.

Addresses come from the firmware's view of the BARs where a capture has one, because that is what the VMM will
read from the hardware (camkes-vm components/Init/src/main.c, util_libs libpci); else from the OS's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bringup.base.errors import ProfileError
from bringup.camkes.vms.vmm import PAGE
from bringup.pci.acpi.reserved import reserved_for
from bringup.pci.bars import bars_under_sel4
from bringup.pci.model import Bar, Function, Machine
from bringup.pci.topology.above import Topology

_KINDS = {0x0200: "eth", 0x0106: "sata", 0x0101: "ide", 0x0107: "sas", 0x0108: "nvme", 0x0C03: "usb"}


@dataclass(frozen=True, slots=True)
class PortRange:
    """I/O ports `start` to before `end`, as `vm_ioports` counts them (C28), of BAR `bar`."""

    start: int
    end: int
    bar: int

    def __str__(self) -> str:
        return f"{self.start:#x}-{self.end - 1:#x}"


@dataclass(frozen=True, slots=True)
class Frames:
    """Whole pages from `paddr`, `size` in bytes; `bars` lie in them."""

    paddr: int
    size: int
    bars: tuple[int, ...]

    @property
    def end(self) -> int:
        """The first byte after."""
        return self.paddr + self.size

    def __str__(self) -> str:
        return f"{self.paddr:#x}-{self.end - 1:#x}"


def ports_of(function: Function) -> tuple[PortRange, ...]:
    """Return the ports of a function's I/O BARs; raises ProfileError where they were not observed."""
    found = [PortRange(base, base + size, bar.index) for bar, base, size in _placed(function, "io")]
    return tuple(sorted(found, key=lambda ports: ports.start))


def frames_of(function: Function) -> tuple[Frames, ...]:
    """Return the pages of a function's memory BARs, each once; the ROM is no BAR of the VMM's (C22).

    Raises ProfileError where the BARs were not observed, or lie on one page.
    """
    found: list[Frames] = []
    for bar, base, size in sorted(_placed(function, "mem"), key=lambda placed: placed[1]):
        start = base // PAGE * PAGE
        pages = Frames(start, -(-(base + size - start) // PAGE) * PAGE, (bar.index,))
        if found and pages.paddr < found[-1].end:
            raise ProfileError(
                f"{function.bdf.short} BAR {bar.index} at {base:#x} overlaps BAR {found[-1].bars[0]} of the "
                "same function"
            )
        found.append(pages)
    return tuple(sorted(found, key=lambda frames: frames.bars))


def _placed(function: Function, kind: str) -> Iterator[tuple[Bar, int, int]]:
    """Yield the BARs of a kind that have an address, with base and size in bytes."""
    if not function.observed("bars") and not function.observed("firmware_bars"):
        raise ProfileError(
            f"the BARs of {function.bdf.short} were not observed",
            hint="capture with `bringup probe-pci`, or `lspci -vvv` run as root",
        )
    for bar in bars_under_sel4(function) or ():
        if bar.kind != kind:
            continue
        if not bar.base:
            continue  # nothing to write; whether the VM can do without is judged by the rules (C21, C28)
        if not bar.size:
            raise ProfileError(
                f"the size of {function.bdf.short} BAR {bar.index} was not observed",
                hint="a config space alone has no sizes: capture with `bringup probe-pci`",
            )
        yield bar, bar.base, bar.size


def reserved_of(function: Function, machine: Machine) -> tuple[tuple[int, int], ...]:
    """Return (address, bytes) of memory the firmware reserves for a function (RMRR, C35)."""
    regions = reserved_for(function.bdf, machine.acpi.dmar, Topology.of(machine.functions))
    return tuple((region.base, region.limit + 1 - region.base) for region in regions)


def device_name(function: Function) -> str:
    """Return a stable name made of what it is and where: `eth_17_00_0`."""
    bdf = function.bdf
    kind = _KINDS.get(function.class_code or 0, "pci")
    return f"{kind}_{bdf.bus:02x}_{bdf.device:02x}_{bdf.function:x}"
