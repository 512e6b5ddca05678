"""What the maintenance ramdisk tells of disks (probes/linux/maintenance, `tell_disk`), as disks: pure.

Any bytes are taken: a line that is none is passed over. Where a serial is differs by kind of disk (seen on
kernel 6.1): SATA has it in VPD page 80h only, and `device/model` is cut to 16 characters while the IDENTIFY
words in page 89h have all of it; NVMe and virtio have files; USB has it on the USB device.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bringup.disk.choose import Disk

_KERNEL_SECTOR = 512
"""What `size` in /sys counts in, whatever the disk's sectors (Documentation/ABI/stable/sysfs-block)."""
_NAME = re.compile(r"[a-z0-9]{2,20}", re.ASCII)
_PCI = re.compile(r"/([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?=/)")
_ATA = re.compile(r"/ata\d+/")
_NVME = re.compile(r"/nvme\d+n(\d+)$")
_SCSI = re.compile(r"/(\d+):(\d+):(\d+):(\d+)/block/")
_USB = re.compile(r"/\d+-(\d+(?:\.\d+)*):(\d+\.\d+)/")
_VIRTIO = re.compile(r"/virtio\d+/")
# ACS-4: IDENTIFY DEVICE words 27 to 46; SAT-3: they begin at byte 60 of VPD page 89h.
_IDENTIFY_AT, _MODEL_WORDS = 60, slice(54, 94)
_VPD_HEADER = 4
_TEXT_MAX = 80
_SEVERAL = ("holder", "via")


def read_disks(text: str) -> tuple[Disk, ...]:
    """Return the disks that the ramdisk told of, without what is on them; those without a medium are none."""
    told: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        key, _, value = rest.partition(" ")
        if _NAME.fullmatch(name) and key:
            facts = told.setdefault(name, {})
            facts[key] = f"{facts[key]} {value}" if key in _SEVERAL and key in facts else value
    disks = (_disk(name, facts) for name, facts in told.items())
    return tuple(disk for disk in disks if disk.size_bytes)


def _disk(name: str, facts: Mapping[str, str]) -> Disk:
    place = facts.get("path", "")
    holders = facts.get("holder", "").split()
    return Disk(
        name=name,
        path=by_path(_plugged_in(name, place, facts), facts),
        size_bytes=_number(facts, "size") * _KERNEL_SECTOR,
        sector_bytes=_number(facts, "queue/logical_block_size") or _KERNEL_SECTOR,
        model=_model(facts),
        serial=_serial(facts),
        wwn=_wwn(facts),
        removable=_number(facts, "removable") == 1,
        read_only=_number(facts, "ro") == 1,
        uses=tuple(f"{holder} holds it" for holder in holders),
        sequence=str(_number(facts, "diskseq") or ""),
    )


def _plugged_in(name: str, place: str, facts: Mapping[str, str]) -> str:
    """Return the folder in /sys that says where a disk is plugged in.

    An NVMe drive that could have a second controller is one disk under /sys/devices/virtual, whatever there
    is (kernel drivers/nvme/host/multipath.c): it is plugged in where its controller is, of several the first.
    """
    controllers = sorted(facts.get("via", "").split())
    return f"{controllers[0]}/{name}" if controllers else place


def by_path(place: str, facts: Mapping[str, str] | None = None) -> str:
    """Return where a disk is plugged in, by its folder in /sys, in the words of udev's `path_id`.

    The folder itself where it is of a kind that is not known here.
    """
    functions = _PCI.findall(place)
    if not functions:
        return place
    pci = f"pci-{functions[-1]}"
    if _ATA.search(place):
        port = _number(facts or {}, "ata/port_no")
        return f"{pci}-ata-{port}" if port else place
    if nvme := _NVME.search(place):
        return f"{pci}-nvme-{nvme[1]}"
    scsi = _SCSI.search(place)
    if usb := _USB.search(place):
        lun = f"-scsi-0:{scsi[2]}:{scsi[3]}:{scsi[4]}" if scsi else ""
        return f"{pci}-usb-0:{usb[1]}:{usb[2]}{lun}"
    if _VIRTIO.search(place):
        return pci
    return place


def _serial(facts: Mapping[str, str]) -> str:
    page = _bytes(facts, "device/vpd_pg80")[_VPD_HEADER:]
    return (
        _plain(page) or _text(facts, "device/serial") or _text(facts, "serial") or _text(facts, "usb/serial")
    )


def _model(facts: Mapping[str, str]) -> str:
    words = _bytes(facts, "device/vpd_pg89")[_IDENTIFY_AT:][_MODEL_WORDS]
    if len(words) == _MODEL_WORDS.stop - _MODEL_WORDS.start:
        swapped = bytes(words[at ^ 1] for at in range(len(words)))
        if model := _plain(swapped):
            return model
    maker, product = _text(facts, "usb/manufacturer"), _text(facts, "usb/product")
    return " ".join(filter(None, (maker, product))) or _text(facts, "device/model")


def _wwn(facts: Mapping[str, str]) -> str:
    for key in ("device/wwid", "wwid"):
        wwid = _text(facts, key)
        if wwid.startswith(("naa.", "eui.")):
            return wwid
    return ""


def _number(facts: Mapping[str, str], key: str) -> int:
    text = _text(facts, key)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _text(facts: Mapping[str, str], key: str) -> str:
    return _plain(_bytes(facts, key))


def _bytes(facts: Mapping[str, str], key: str) -> bytes:
    try:
        return bytes.fromhex(facts.get(key, ""))
    except ValueError:
        return b""


def _plain(data: bytes) -> str:
    """Return text as it may be shown: one line of printable ASCII, without the blanks it is padded with."""
    kept = "".join(chr(byte) if 0x20 <= byte < 0x7F else " " for byte in data)
    return " ".join(kept.split())[:_TEXT_MAX]
