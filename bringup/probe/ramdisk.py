"""Ramdisks: an initramfs from the distribution's busybox and drivers, and scripts of our own.

Made without root, the same bytes from the same inputs, kept in the cache by what went into it. That of the
probe holds drivers for Ethernet, AHCI and NVMe controllers, so that they bind and show which interrupt pin
they use, and no driver for SCSI disks: nothing that is on a disk can be written by accident. That for
maintenance has the drivers of disks. Neither has a file system, RAID or LVM: what is on a disk is never
mounted, and never put together by itself.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import struct
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from bringup.base.assets import asset
from bringup.base.bounded_cache import BoundedCache
from bringup.base.errors import ImageError, LabError, MissingProgramError
from bringup.base.paths import cache_dir
from bringup.base.program import run_program
from bringup.probe.collector import collector_script

BOOT_DIR = Path("/boot")
MODULES_DIR = Path("/lib/modules")
BUSYBOX = Path("/bin/busybox")

ETHERNET = (
    # Of boards that seL4 runs on, of their PCIe cards, and of virtual machines.
    *("igb", "igc", "e1000e", "e1000", "i40e", "ixgbe", "tg3", "r8169", "realtek"),
    *("virtio_pci", "virtio_net"),
)
DRIVERS = (*ETHERNET, "ahci", "nvme")
"""What is loaded where the hardware is there; what a kernel does not have is left out."""
DISK_DRIVERS = (
    *ETHERNET,
    *("ahci", "sd_mod", "nvme", "virtio_blk"),
    *("xhci_pci", "ehci_pci", "usb_storage", "uas"),
    # The checksums that nvme and sd_mod ask the kernel's crypto for by name.
    *("crc64_rocksoft_generic", "crct10dif_generic", "crct10dif_pclmul"),
)

TWIN_WORDS = "no_timer_check"
"""More kernel words for a ramdisk on a twin.

A kernel that does not see the IO-APIC's timer tick in time panics, and where other work has this host's
processors, the virtual timer is that late. On KVM, Hyper-V and Xen a kernel leaves that test out by itself;
on QEMU's own processor it has to be told to (Documentation/admin-guide/kernel-parameters.txt of Linux;
check_timer in arch/x86/kernel/apic/io_apic.c). On a real board the test stays.
"""


def ramdisk_words(macs: Sequence[str], url: str, *more: str, twin: bool) -> str:
    """Return the words that tell a ramdisk its ports, the `url` where the host is, and what else there is."""
    words = (*more, f"bringup.macs={','.join(macs)}", f"bringup.url={url}")
    return " ".join((TWIN_WORDS, *words) if twin else words)


_FORMAT = 1
# System V ABI, chapters 4 and 5: class and byte order, e_machine, e_phoff; then e_phentsize and e_phnum.
_ELF64 = struct.Struct("<6s12xH12xQ")
_ELF64_TABLE, _ELF64_TABLE_AT = struct.Struct("<HH"), 54
_EM_X86_64, _PT_INTERP = 62, 3
_TIMEOUT_S = 60.0
_CACHE_LIMIT_BYTES = 128 << 20  # some thirty of them: one for each kernel, and for each version of this tool
_PACKED = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A ramdisk: its name, its drivers, and its init, one of `probes/linux/`."""

    name: str
    drivers: tuple[str, ...]
    init: str
    collects: bool = False


PROBE = Recipe("ramdisk", DRIVERS, "init", collects=True)
MAINTENANCE = Recipe("maintenance", DISK_DRIVERS, "maintenance")


@dataclass(frozen=True, slots=True)
class ProbeKernel:
    """A kernel of this host: its file, its release as `uname -r` says it, and the folder of its modules."""

    path: Path
    release: str
    modules: Path


@dataclass(frozen=True, slots=True)
class Module:
    """A kernel module: its name, its file, and the names it needs, in the order of `modules.dep`."""

    name: str
    path: Path
    needs: tuple[str, ...]


def find_kernel(boot: Path = BOOT_DIR, modules: Path = MODULES_DIR) -> ProbeKernel:
    """Return the newest kernel of the distribution that may be read and has its modules.

    Raises MissingProgramError when there is none, and says whether it is absent or kept from us.
    """
    unreadable = None
    for path in sorted(boot.glob("vmlinuz-*"), key=lambda path: _age(path.name), reverse=True):
        release = path.name.removeprefix("vmlinuz-")
        if not (modules / release / "modules.dep").is_file():
            continue
        if os.access(path, os.R_OK):
            return ProbeKernel(path, release, modules / release)
        unreadable = unreadable or path
    if unreadable is not None:
        raise MissingProgramError(
            f"the probe boots this host's kernel, and only root may read {unreadable}",
            hint=f"sudo chmod a+r {unreadable}, or apt install linux-image-amd64 on Debian",
        )
    raise MissingProgramError(
        f"the probe boots a kernel of the distribution, and there is none with modules in {boot}",
        hint="apt install linux-image-amd64 (Ubuntu: linux-image-generic)",
    )


def _age(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key by which 6.10 comes after 6.9."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", name)]


def ramdisk(kernel: ProbeKernel, busybox: Path = BUSYBOX, recipe: Recipe = PROBE) -> Path:
    """Return the initramfs for `kernel` and a static `busybox`, made first if need be.

    Raises MissingProgramError naming the package of what is not installed, LabError when it cannot be made.
    """
    require_static(busybox, "the ramdisk needs")
    modules = wanted_modules(kernel, recipe.drivers)
    programs = _programs(recipe, busybox)
    cache = BoundedCache(cache_dir() / "probe", _CACHE_LIMIT_BYTES)
    name = f"{recipe.name}-{_key(kernel, modules, programs)}.cpio.gz"
    return cache.get(name, partial(_make, kernel, modules, programs))


def require_static(busybox: Path, needs: str) -> None:
    """Raise MissingProgramError, beginning with `needs` ("guests need"), where this is no static program."""
    if not is_static_program(busybox):
        raise MissingProgramError(
            f"{needs} a static {busybox}, and there is none", hint="apt install busybox-static"
        )


def is_static_program(path: Path) -> bool:
    """Return whether `path` is an x86-64 program that needs no shared library (no PT_INTERP header)."""
    try:
        data = path.read_bytes()
        magic, machine, table = _ELF64.unpack_from(data)
        size, count = _ELF64_TABLE.unpack_from(data, _ELF64_TABLE_AT)
        kinds = [struct.unpack_from("<I", data, table + number * size)[0] for number in range(count)]
    except (OSError, struct.error):
        return False
    return magic == b"\x7fELF\x02\x01" and machine == _EM_X86_64 and _PT_INTERP not in kinds


def wanted_modules(kernel: ProbeKernel, drivers: Sequence[str] = DRIVERS) -> tuple[Module, ...]:
    """Return the drivers and what they need, sorted by name; raises LabError when there is no NIC driver."""
    try:
        table = parse_modules_dep((kernel.modules / "modules.dep").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise LabError(
            f"the list of modules of kernel {kernel.release} cannot be read", hint=f"depmod {kernel.release}"
        ) from None
    names: dict[str, None] = {}
    for driver in drivers:
        if driver in table:
            names |= dict.fromkeys((driver, *table[driver][1]))
    if not names.keys() & {"igb", "e1000e", "virtio_net"}:
        raise MissingProgramError(
            f"the kernel {kernel.release} has no Ethernet drivers",
            hint="apt install linux-image-amd64 (not the cloud kernel)",
        )
    return tuple(
        Module(name, kernel.modules / table[name][0], table[name][1])
        for name in sorted(names)
        if name in table
    )


@lru_cache(maxsize=2)  # many boards are given the ramdisk of one kernel
def parse_modules_dep(text: str) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Return name to (path, names needed) from a `modules.dep` (depmod(8)); names with `_` for `-`."""
    table = {}
    for line in text.splitlines():
        path, colon, needs = line.partition(":")
        if colon and path.endswith(_PACKED):
            table[_module_name(path)] = (path, tuple(map(_module_name, needs.split())))
    return table


def _module_name(path: str) -> str:
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def _programs(recipe: Recipe, busybox: Path) -> dict[str, bytes]:
    """Return what runs on the board, by its path in the ramdisk."""
    scripts = {"init": recipe.init, "common.sh": "common.sh", "lease.sh": "lease.sh"}
    programs = {name: asset(f"probes/linux/{source}").read_bytes() for name, source in scripts.items()}
    if recipe.collects:
        programs["collect.sh"] = collector_script().encode()
    return {**programs, "bin/busybox": busybox.read_bytes()}


def _key(kernel: ProbeKernel, modules: Sequence[Module], programs: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {kernel.release}".encode())
    for path in (kernel.modules / "modules.alias", *(module.path for module in modules)):
        found = path.stat()
        digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    for name, data in sorted(programs.items()):
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]


def _make(
    kernel: ProbeKernel, modules: Sequence[Module], programs: Mapping[str, bytes], target: Path
) -> None:
    # On the disk of the cache (/tmp may be small), beside its folder, which holds files only.
    with tempfile.TemporaryDirectory(dir=target.parent.parent, prefix=".making-") as work:
        root = Path(work)
        _fill(root, kernel, modules, programs)
        target.write_bytes(gzip.compress(_archive(root), compresslevel=6, mtime=0))


def _fill(root: Path, kernel: ProbeKernel, modules: Sequence[Module], programs: Mapping[str, bytes]) -> None:
    place = root / "lib" / "modules" / kernel.release
    for folder in (root / "bin", root / "dev", root / "proc", root / "sys", root / "tmp", place):
        folder.mkdir(parents=True)
    for name, data in programs.items():
        _program(root / name, data)
    for module in modules:
        (place / f"{module.name}.ko").write_bytes(unpacked_module(module.path))
    (place / "modules.dep").write_text("".join(map(_dependency_line, modules)), encoding="ascii")
    aliases = (kernel.modules / "modules.alias").read_text(encoding="utf-8")
    (place / "modules.alias").write_text("".join(own_aliases(aliases, modules)), encoding="utf-8")


def _program(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o755)


def _dependency_line(module: Module) -> str:
    return f"{module.name}.ko:{''.join(f' {name}.ko' for name in module.needs)}\n"


def own_aliases(text: str, modules: Iterable[Module]) -> list[str]:
    """Return the lines of a `modules.alias` that lead to one of `modules`."""
    names = {module.name for module in modules}
    lines = (line.split() for line in text.splitlines())
    return [
        f"{' '.join(words)}\n" for words in lines if len(words) == 3 and words[2].replace("-", "_") in names
    ]


def unpacked_module(path: Path) -> bytes:
    """Return a module's bytes; busybox loads no compressed one. Raises ImageError for a damaged one."""
    data = path.read_bytes()
    try:
        match path.suffix:
            case ".xz":
                return lzma.decompress(data)
            case ".gz":
                return gzip.decompress(data)
            case ".zst":
                return run_program(["zstd", "-dcq"], "zstd", timeout_s=_TIMEOUT_S, data=data)
        return data
    except (lzma.LZMAError, EOFError, gzip.BadGzipFile):
        raise ImageError(
            f"the kernel module {path} is damaged", hint="apt install --reinstall the kernel's package"
        ) from None


def _archive(root: Path) -> bytes:
    """Return the tree as a cpio archive that depends on nothing but its names and contents."""
    paths = sorted(root.rglob("*"))
    for path in paths:
        os.utime(path, (0, 0))
    names = b"".join(os.fsencode(path.relative_to(root)) + b"\0" for path in paths)
    command = [
        "cpio",
        "-0",
        "-o",
        "-H",
        "newc",
        "--reproducible",
        "--owner=+0:+0",
        "--quiet",
        "-D",
        str(root),
    ]
    return run_program(command, "cpio", timeout_s=_TIMEOUT_S, data=names)
