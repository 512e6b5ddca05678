"""What Linux shows of a made machine: /sys (drivers/pci/pci-sysfs.c), /proc, and a collector's bundle."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from posixpath import dirname, normpath, relpath

from tests.machines import acpi, caps, dmesg
from tests.machines.bars import MadeBar
from tests.machines.config import WHOLE, config
from tests.machines.model import Made, MadeMachine
from tests.places import CHECKOUT

DEVICES = "sys/bus/pci/devices"
TABLES = "sys/firmware/acpi/tables"
UNPRIVILEGED = 64
"""Bytes of a config space that the kernel shows to anyone but root."""

_IO, _MEM, _PREFETCH, _READONLY, _SIZEALIGN, _MEM_64 = 0x100, 0x200, 0x2000, 0x4000, 0x40000, 0x100000
_QUICKLY = partial(gzip.compress, compresslevel=1)
_WINDOW, _UNSET = 0x200000, 0x20000000
_WINDOW_LINES = {
    "I/O": (13, _IO),
    "Memory": (14, _MEM),
    "Prefetchable memory": (15, _MEM | _PREFETCH | _MEM_64 | 1),
}


@dataclass(frozen=True)
class Tree:
    """Files and symbolic links by path below `/`, and folders that hold nothing."""

    files: Mapping[str, bytes]
    links: Mapping[str, str]
    empty: tuple[str, ...] = field(default=())


def resource(made: Made) -> bytes:
    """Return the `resource` file: BARs, ROM, BARs of all virtual functions together, a bridge's windows."""
    rows = [(0, 0, 0)] * (17 if made.bridge else 13)
    for bar in made.bars_now:
        rows[bar.index] = _row(bar)
    if made.rom:
        base, size, enabled = made.rom
        rows[6] = (base, base + size - 1, _MEM | _PREFETCH | _READONLY | _SIZEALIGN | enabled)
    virtual = made.capability(caps.VirtualFunctions)
    if virtual is not None:
        for bar in virtual.bars:
            all_of_them = MadeBar(
                bar.index, bar.io, bar.base, bar.size * virtual.total, bar.wide, bar.prefetchable
            )
            rows[7 + bar.index] = _row(all_of_them)
    for window in made.windows:
        line, flags = _WINDOW_LINES[window.kind]
        rows[line] = (window.base, window.last, flags | _WINDOW)
    return "".join(f"0x{a:016x} 0x{b:016x} 0x{c:016x}\n" for a, b, c in rows).encode()


def _row(bar: MadeBar) -> tuple[int, int, int]:
    flags = (_IO if bar.io else _MEM) | _SIZEALIGN | bar.type_bits
    flags |= (_PREFETCH if bar.prefetchable else 0) | (_MEM_64 if bar.wide else 0)
    if not bar.base:
        return 0, bar.size - 1, flags | _UNSET
    return bar.base, bar.last, flags


def functions(machine: Iterable[Made], config_bytes: int = WHOLE) -> Tree:
    """Return the folders of PCI functions alone."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for made in machine:
        folder = f"{DEVICES}/{made.bdf}"
        files |= {f"{folder}/{name}": data for name, data in _attributes(made, config_bytes)}
        links |= {f"{folder}/{name}": target for name, target in _links(made)}
        if made.slot is not None:
            place = str(made.bdf).partition(".")[0]
            files[f"sys/bus/pci/slots/{made.slot}/address"] = f"{place}\n".encode()
    return Tree(files, links)


def _attributes(made: Made, config_bytes: int) -> Iterator[tuple[str, bytes]]:
    yield "config", config(made, config_bytes)
    yield "resource", resource(made)
    yield "vendor", b"0x%04x\n" % made.vendor
    yield "device", b"0x%04x\n" % made.device
    yield "class", b"0x%06x\n" % (made.class_code << 8 | made.prog_if)
    yield "revision", b"0x%02x\n" % made.revision
    shown = (0, 0) if made.bridge else made.subsystem
    yield "subsystem_vendor", b"0x%04x\n" % shown[0]
    yield "subsystem_device", b"0x%04x\n" % shown[1]
    yield "irq", b"%d\n" % made.irq
    yield "numa_node", b"-1\n"
    for vector in made.vectors:
        yield f"msi_irqs/{vector}", b"msix\n"
    if made.label is not None:
        yield "label", f"{made.label}\n".encode()
    virtual = made.capability(caps.VirtualFunctions)
    if virtual is not None:
        yield "sriov_totalvfs", b"%d\n" % virtual.total
        yield "sriov_numvfs", b"%d\n" % virtual.now
    for port in made.ports:
        yield f"net/{port.name}/address", f"{port.mac}\n".encode()
        yield f"net/{port.name}/operstate", b"up\n" if port.mbps else b"down\n"
        if port.mbps:
            # The kernel refuses to tell these of a port that is down (net/core/net-sysfs.c).
            yield f"net/{port.name}/carrier", b"1\n"
            yield f"net/{port.name}/speed", b"%d\n" % port.mbps


def _links(made: Made) -> Iterator[tuple[str, str]]:
    if made.driver:
        yield "driver", f"../../../../bus/pci/drivers/{made.driver}"
    if made.group is not None:
        yield "iommu_group", f"../../../../kernel/iommu_groups/{made.group}"
    if made.physical is not None:
        yield "physfn", f"../{made.physical}"


def tree(machine: MadeMachine, *, root: bool = True) -> Tree:
    """Return all that a capture reads of a machine; without `root`, as any other user sees it."""
    told = functions(machine.functions, WHOLE if root else UNPRIVILEGED)
    files = {**told.files, **dict(_platform(machine, root))}
    if root:
        files |= {f"{TABLES}/{name}": data for name, data in acpi.tables(machine).items()}
    empty = ("sys/firmware/efi",) if machine.uefi else ()
    if not machine.iommu:
        empty += ("sys/class/iommu",)
    return Tree(files, told.links, empty)


def _platform(machine: MadeMachine, root: bool) -> Iterator[tuple[str, bytes]]:
    dmi = {
        "sys_vendor": machine.manufacturer,
        "product_name": machine.product,
        "board_name": machine.baseboard,
        "bios_version": machine.bios_version,
        "bios_date": machine.bios_date,
    }
    for name, value in dmi.items():
        yield f"sys/class/dmi/id/{name}", f"{value}\n".encode()
    flags = "fpu apic" + " vmx" * machine.vtx + " x2apic"
    cpu = f"model name\t: {machine.cpu}\nflags\t\t: {flags}\n"
    yield "proc/cpuinfo", "".join(f"processor\t: {n}\n{cpu}\n" for n in range(machine.cpus)).encode()
    kilobytes = sum(size for _, size in machine.memory) >> 10
    yield "proc/meminfo", f"MemTotal:       {kilobytes} kB\n".encode()
    yield "proc/version", f"Linux version {machine.kernel} (builder@host)\n".encode()
    yield "proc/cmdline", f"{machine.command_line}\n".encode()
    yield "proc/interrupts", _interrupts(machine).encode()
    yield "proc/ioports", "".join(_ports(machine, root)).encode()
    if machine.iommu:
        for number in range(max(1, len(machine.remapping))):
            yield f"sys/class/iommu/dmar{number}/intel-iommu/version", b"1:0\n"


def linked(told: Tree) -> Tree:
    """Return a tree laid out as sysfs is: functions below their host bridge, and links to them."""

    def place(path: str) -> str:
        bdf, _, rest = path.removeprefix(f"{DEVICES}/").partition("/")
        if not path.startswith(f"{DEVICES}/"):
            return path
        return "/".join(filter(None, (f"sys/devices/pci{bdf.rpartition(':')[0]}", bdf, rest)))

    links = {
        place(path): relpath(place(normpath(f"{dirname(path)}/{target}")), dirname(place(path)))
        for path, target in told.links.items()
    }
    there = {path.split("/")[4] for path in told.files if path.startswith(f"{DEVICES}/")}
    links |= {f"{DEVICES}/{bdf}": relpath(place(f"{DEVICES}/{bdf}"), DEVICES) for bdf in there}
    return Tree({place(path): data for path, data in told.files.items()}, links, told.empty)


def _interrupts(machine: MadeMachine) -> str:
    """Return /proc/interrupts: the timer, and each MSI vector in use (kernel/irq/proc.c)."""
    counts = "".join(f"{0:>11}" for _ in range(machine.cpus))
    rows = ["      " + "".join(f"{f'CPU{n}':>11}" for n in range(machine.cpus))]
    rows.append(f"{0:>4}:{counts}   IO-APIC    2-edge      timer")
    for made in machine.functions:
        for vector in made.vectors:
            user = made.ports[0].name if made.ports else str(made.driver)
            rows.append(f"{vector:>4}:{counts}   PCI-MSI {vector}-edge      {user}")
    return "\n".join([*rows, f" NMI:{counts}   Non-maskable interrupts", ""])


def _ports(machine: MadeMachine, root: bool) -> Iterator[str]:
    """Yield /proc/ioports; for anyone but root the kernel writes zeros (kernel/resource.c, r_show)."""
    ranges = [(0x0, 0xCF7, "PCI Bus 0000:00", 0), (0x60, 0x60, "keyboard", 1)]
    bars = [(bar, made) for made in machine.functions for bar in made.bars_now if bar.io and bar.base]
    for bar, made in sorted(bars, key=lambda pair: pair[0].base):
        ranges.append((bar.base, bar.last, str(made.bdf), 0))
        if made.driver:
            ranges.append((bar.base, bar.last, made.driver, 1))
    for first, last, name, depth in ranges:
        shown = (first, last) if root else (0, 0)
        yield "  " * depth + f"{shown[0]:04x}-{shown[1]:04x} : {name}\n"


def write(root: Path, told: Tree) -> None:
    """Put a tree on disk."""
    for path, data in told.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    for path, target in told.links.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        if ".." in target and not place.exists():
            # Whatever it points at is there, as on a machine.
            Path(normpath(f"{place.parent}/{target}")).mkdir(parents=True, exist_ok=True)
    for path in told.empty:
        (root / path).mkdir(parents=True, exist_ok=True)


def bundle(machine: MadeMachine, *, root: bool = True) -> Tree:
    """Return what the collector would pack of the machine, by the entries of probes/linux/manifest.txt."""
    told = tree(machine, root=root)
    manifest = (CHECKOUT / "probes" / "linux" / "manifest.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in manifest.splitlines() if line and not line.startswith("#")]
    files = {"manifest": "".join(f"{' '.join(words)}\n" for words in lines).encode()}
    links: dict[str, str] = {}
    for kind, what, *_ in lines:
        if kind == "file":
            files |= {path: data for path, data in told.files.items() if _pattern(what).fullmatch(path)}
        elif kind == "link":
            links |= {path: target for path, target in told.links.items() if _pattern(what).fullmatch(path)}
        elif kind == "list":
            files |= _lists(told, what)
        elif root:
            # Its name is the program's: there is one command, dmesg, which anyone but root is refused.
            files[f"cmd/{what}"] = dmesg.log(machine).encode()
    files["missing"] = b"" if root else b"cmd/dmesg\toperation not permitted\n"
    sums = (f"{hashlib.sha256(data).hexdigest()}  ./{path}\n" for path, data in files.items())
    files["SHA256SUMS"] = "".join(sums).encode()
    return Tree(files, links)


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """Return a glob, in which a star stays within a name, as a pattern."""
    return re.compile("[^/]*".join(map(re.escape, glob.split("*"))))


def _lists(told: Tree, glob: str) -> dict[str, bytes]:
    """Return the names in each folder that matches, one a line."""
    inside = re.compile(f"({_pattern(glob).pattern})/([^/]+)")
    found: dict[str, set[str]] = {path: set() for path in told.empty if _pattern(glob).fullmatch(path)}
    for path in told.files:
        if match := inside.match(path):
            found.setdefault(match[1], set()).add(match[2])
    return {path: "".join(f"{name}\n" for name in sorted(names)).encode() for path, names in found.items()}


def archive(told: Tree, prefix: str = "./", pack: Callable[[bytes], bytes] = _QUICKLY) -> bytes:
    """Return a tree as a tar, every path after `prefix`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for path, data in told.files.items():
            info = tarfile.TarInfo(prefix + path)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
        for path, target in told.links.items():
            info = tarfile.TarInfo(prefix + path)
            info.type, info.linkname = tarfile.SYMTYPE, target
            packed.addfile(info)
    return pack(buffer.getvalue())
