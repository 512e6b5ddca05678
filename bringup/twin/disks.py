"""The disks of a twin: how a person names one, its file that keeps its bytes, and its QEMU arguments.

What QEMU 7.2 makes of these was seen in a guest: the ATA serial is in VPD page 80h, `wwn` becomes `naa.…`, a
USB disk has its serial on the USB device, and a namespace with 4096-byte sectors is a 4Kn disk.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from bringup.base.errors import LabError, UsageError
from bringup.base.paths import state_dir
from bringup.base.whole_file import whole_file

DiskKind = Literal["ahci", "nvme", "nvme4k", "usb"]
DISK_KINDS: tuple[DiskKind, ...] = get_args(DiskKind)
NO_DISK = "none"

_MIB = 1 << 20
DEFAULT_MIB = 4096
_SIZES_MIB = range(1, 1 << 20)
# What QEMU takes for `serial` (20 characters of ATA and NVMe) and `model` (40), less what its options mean.
_SERIAL = re.compile(r"[A-Za-z0-9._-]{1,20}", re.ASCII)
_MODEL = re.compile(r"[A-Za-z0-9._ -]{1,40}", re.ASCII)
_WWN = re.compile(r"0x[0-9a-f]{1,16}", re.ASCII)
_SIZE = re.compile(r"([1-9][0-9]{0,6})([MG])", re.ASCII)
# PCI functions of their own, on the root bus as the board's M.2 slot is.
_NVME_SLOT, _USB_SLOT = 0x1D, 0x14
_USB_PORTS = 8


@dataclass(frozen=True, slots=True)
class TwinDisk:
    """One disk; `size_mib` in MiB, `file` where its bytes lie (None until the twin gives it one).

    `fault_file` is a rule file of QEMU's blkdebug (docs/devel/blkdebug), for tests of what a bad disk does.
    """

    kind: DiskKind
    size_mib: int = DEFAULT_MIB
    serial: str | None = None
    model: str | None = None
    wwn: str | None = None
    file: str | None = None
    fault_file: str | None = None


def parse_disk(text: str) -> TwinDisk:
    """Read `KIND[,size=8G][,serial=…][,model=…][,wwn=0x5…][,file=…][,fault=…]`; raises UsageError."""
    kind, *words = text.split(",")
    if kind not in DISK_KINDS:
        raise UsageError(
            f"no kind of disk: {kind!r}", hint=f"{', '.join(DISK_KINDS)}, as in --disk nvme,size=8G,serial=M2"
        )
    disk = TwinDisk(kind)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise UsageError(f"not a property of a disk: {word!r}", hint="--disk nvme,size=8G,serial=M2")
        disk = replace(disk, **_property(key, value))
    if disk.wwn is not None and disk.kind != "ahci":
        raise UsageError(f"a {disk.kind} disk of the twin has no wwn", hint="only ahci has one")
    if disk.model is not None and disk.kind != "ahci":
        raise UsageError(f"a {disk.kind} disk of the twin has QEMU's own model", hint="leave out model=")
    return disk


def parse_size_mib(text: str) -> int | None:
    """Read `512M` or `8G` as MiB, None for anything else."""
    match = _SIZE.fullmatch(text)
    mib = int(match[1]) * (1024 if match[2] == "G" else 1) if match else 0
    return mib if mib in _SIZES_MIB else None


def _property(key: str, value: str) -> Mapping[str, Any]:
    if key == "size" and (mib := parse_size_mib(value)) is not None:
        return {"size_mib": mib}
    if key in ("file", "fault"):
        return {"file" if key == "file" else "fault_file": value}
    if (pattern := {"serial": _SERIAL, "model": _MODEL, "wwn": _WWN}.get(key)) and pattern.fullmatch(value):
        return {key: value}
    raise UsageError(
        f"not a property of a disk: {key}={value}",
        hint="size=512M or 8G, serial=, model=, wwn=0x5…, file=, fault=",
    )


def kept_disks(name: str, asked: Sequence[TwinDisk] | None) -> tuple[TwinDisk, ...]:
    """Return a twin's disks with their files, made where there is none yet.

    `asked` None means the disks that this twin had the last time; an empty sequence takes them out. A file
    keeps its bytes: one that exists is never shrunk or cleared. Raises LabError.
    """
    listed = _list_file(name)
    disks = _listed(listed) if asked is None else tuple(asked)
    try:
        listed.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        placed = tuple(_with_file(disk, listed.parent, name, number) for number, disk in enumerate(disks))
        if asked is not None:
            with whole_file(listed) as file:
                file.write(json.dumps([asdict(disk) for disk in placed]).encode())
    except OSError as error:
        raise LabError(f"the twin's disk cannot be made: {error.strerror} ({error.filename})") from None
    return placed


def first_disks(name: str) -> tuple[TwinDisk, ...] | None:
    """Return what to ask for so that the twin has a disk: None where it has had one."""
    return None if _listed(_list_file(name)) else (TwinDisk("ahci"),)


def _list_file(name: str) -> Path:
    return state_dir() / "twins" / f"{name}-disks.json"


def _listed(path: Path) -> tuple[TwinDisk, ...]:
    try:
        return tuple(TwinDisk(**body) for body in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return ()


def _with_file(disk: TwinDisk, folder: Path, name: str, number: int) -> TwinDisk:
    path = Path(disk.file) if disk.file is not None else folder / f"{name}-disk{number}.img"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = max(os.fstat(descriptor).st_size, disk.size_mib * _MIB)
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)
    return replace(
        disk, file=str(path.absolute()), size_mib=size // _MIB, serial=disk.serial or f"TWIN{number}"
    )


def disk_arguments(disks: Sequence[TwinDisk]) -> list[str]:
    """Return QEMU's arguments (pure); the firmware tries the disks in their order, after the boot NIC."""
    if not disks:
        return [
            *("-blockdev", "driver=null-co,node-name=disk0,size=1073741824,read-zeroes=on"),
            *("-device", "ide-hd,bus=ide.0,drive=disk0,bootindex=2"),
        ]
    arguments = []
    if any(disk.kind == "usb" for disk in disks):
        arguments += [
            "-device",
            f"qemu-xhci,id=xhci,bus=pcie.0,addr={_USB_SLOT:#x}.0,p2={_USB_PORTS},p3={_USB_PORTS}",
        ]
    for number, disk in enumerate(disks):
        arguments += ["-blockdev", _block(disk, number)]
        arguments += [part for device in _devices(disk, number) for part in ("-device", device)]
    return arguments


def _block(disk: TwinDisk, number: int) -> str:
    assert disk.file is not None, "a twin's disk has its file before the machine is made"  # noqa: S101
    return f"driver=raw,node-name=disk{number},{backing(disk.file, disk.fault_file)}"


def backing(file: str | Path, faults: str | Path | None = None) -> str:
    """Return the part of QEMU's `-blockdev` that names a disk's file, and blkdebug's rules for its faults."""
    # Past the last close of QEMU nothing may be lost; what a real disk loses is a matter of other tests.
    place = "file" if faults is None else "file.image"
    words = f"{place}.driver=file,{place}.filename={_escape(str(file))}"
    if faults is not None:
        words = f"file.driver=blkdebug,file.config={_escape(str(faults))},{words}"
    return words


def _devices(disk: TwinDisk, number: int) -> list[str]:
    serial = f",serial={disk.serial}"
    index = f",bootindex={number + 2}"
    model = f",model={disk.model}" if disk.model else ""
    drive = f"drive=disk{number}"
    match disk.kind:
        case "ahci":
            wwn = f",wwn={disk.wwn}" if disk.wwn else ""
            return [f"ide-hd,bus=ide.{number},{drive}{serial}{model}{wwn}{index}"]
        case "usb":
            return [f"usb-storage,bus=xhci.0,{drive}{serial}{index},removable=on"]
    place = f"bus=pcie.0,addr={_NVME_SLOT:#x}.{number},multifunction=on"
    port = f"pcie-root-port,id=m2-{number},chassis={20 + number},slot={20 + number},{place}"
    if disk.kind == "nvme":
        return [port, f"nvme,bus=m2-{number},{drive}{serial}{index}"]
    sectors = "logical_block_size=4096,physical_block_size=4096"
    return [
        port,
        f"nvme,id=nvme{number},bus=m2-{number}{serial}",
        f"nvme-ns,bus=nvme{number},{drive},{sectors}{index}",
    ]


def _escape(text: str) -> str:
    # QEMU's option syntax doubles a comma inside a value.
    return text.replace(",", ",,")
