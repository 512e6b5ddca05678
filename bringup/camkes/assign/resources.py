"""What one function needs of its VM: I/O ports, frames, memory the firmware reserves, a name. Pure.

Addresses come from the firmware's view of the BARs where a capture has one, because that is what the VMM will
read from the hardware (camkes-vm components/Init/src/main.c, util_libs libpci); else from the OS's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bringup.base.errors import ProfileError
from bringup.camkes.vms.vmm import EMULATED_PORTS, PAGE, WINDOW_END, WINDOW_START
from bringup.pci.bars import bars_under_sel4
from bringup.pci.model import Bar, Dmar, Function

LIMIT_4G = 1 << 32
PORTS = 1 << 16

_KINDS = {0x0200: "eth", 0x0106: "sata", 0x0101: "ide", 0x0107: "sas", 0x0108: "nvme", 0x0C03: "usb"}


@dataclass(frozen=True, slots=True)
class Ports:
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


def ports_of(function: Function) -> tuple[Ports, ...]:
    """Return the ports of a function's I/O BARs; raises ProfileError for what no VM can have."""
    found = []
    for bar, base, size in _placed(function, "io"):
        ports = Ports(base, base + size, bar.index)
        if ports.end > PORTS:
            raise ProfileError(f"{function.bdf.short} BAR {bar.index}: ports {ports} end above 0xffff (C31)")
        for start, end, what in EMULATED_PORTS:
            if ports.start < end and start < ports.end:
                raise ProfileError(
                    f"{function.bdf.short} BAR {bar.index}: ports {ports} overlap {start:#x}-{end - 1:#x}, "
                    f"where the VMM has {what} (C30)"
                )
        found.append(ports)
    return tuple(sorted(found, key=lambda ports: ports.start))


def frames_of(function: Function) -> tuple[Frames, ...]:
    """Return the pages of a function's memory BARs, each once; the ROM is no BAR of the VMM's (C22).

    Raises ProfileError for a BAR that the VMM cannot map (C20, C21, C23).
    """
    found: list[Frames] = []
    for bar, base, size in sorted(_placed(function, "mem"), key=lambda placed: placed[1]):
        where = f"{function.bdf.short} BAR {bar.index}"
        if size & (size - 1):
            raise ProfileError(f"{where} has {size:#x} bytes, which is no power of two (C20)")
        if base + size > LIMIT_4G:
            raise ProfileError(
                f"{where} at {base:#x} reaches above 4 GiB, and that kills the VMM (C21)",
                hint="BIOS: switch Above 4G Decoding or SR-IOV off, capture again",
            )
        if base % PAGE:
            raise ProfileError(f"{where} at {base:#x} does not begin on a page (C23)")
        pages = Frames(base, -(-size // PAGE) * PAGE, (bar.index,))
        if found and pages.paddr < found[-1].end:
            raise ProfileError(f"{where} at {base:#x} overlaps BAR {found[-1].bars[0]} of the same function")
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
            # The VMM passes over an I/O BAR of zero; drivers do without it. A memory BAR it needs.
            if kind == "io":
                continue
            raise ProfileError(
                f"{function.bdf.short} BAR {bar.index} has no address", hint="the firmware gave it none"
            )
        if not bar.size:
            raise ProfileError(
                f"the size of {function.bdf.short} BAR {bar.index} was not observed",
                hint="a config space alone has no sizes: capture with `bringup probe-pci`",
            )
        yield bar, bar.base, bar.size


def reserved_of(function: Function, dmar: Dmar | None) -> tuple[tuple[int, int], ...]:
    """Return (address, bytes) of memory the firmware reserves for a function (RMRR, C35).

    Raises ProfileError for a region that no guest can leave out (C36).
    """
    found = []
    for rmrr in dmar.rmrrs if dmar else ():
        if not any(scope.bdf == function.bdf for scope in rmrr.scopes):
            continue
        if rmrr.base < WINDOW_END and rmrr.limit >= WINDOW_START:
            raise ProfileError(
                f"the firmware reserves {rmrr.base:#x}-{rmrr.limit:#x} for {function.bdf.short} (RMRR), "
                f"which lies in the guest's own {WINDOW_START:#x}-{WINDOW_END - 1:#x} (C36)",
                hint="switch off in the BIOS what needs it (such as USB legacy support)",
            )
        found.append((rmrr.base, rmrr.limit + 1 - rmrr.base))
    return tuple(found)


def device_name(function: Function) -> str:
    """Return a stable name made of what it is and where: `eth_17_00_0`."""
    bdf = function.bdf
    kind = _KINDS.get(function.class_code or 0, "pci")
    return f"{kind}_{bdf.bus:02x}_{bdf.device:02x}_{bdf.function:x}"
