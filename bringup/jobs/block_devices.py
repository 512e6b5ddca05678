"""The disks of this host, as its kernel and udev tell them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bringup.base.errors import LabError
from bringup.disk.removable import BlockDevice

_SYS_BLOCK = Path("/sys/class/block")
_SECTOR_BYTES = 512


def block_devices() -> tuple[BlockDevice, ...]:
    """Return every whole disk; raises LabError where udev does not answer."""
    try:
        import pyudev

        found = list(pyudev.Context().list_devices(subsystem="block", DEVTYPE="disk"))
    except (ImportError, OSError) as error:
        raise LabError(f"this host's disks cannot be listed: {error}") from None
    mounts = mounted_sources(
        # Names of folders are bytes.
        Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"),
        Path("/proc/swaps").read_text(encoding="utf-8", errors="replace"),
    )
    return tuple(_device(each, mounts) for each in found)


def _device(device: Any, mounts: Mapping[str, tuple[str, ...]]) -> BlockDevice:
    attributes, properties = device.attributes, device.properties
    sequence = attributes.get("diskseq")
    usb = device.find_parent("usb", "usb_device")
    partitions = [child for child in device.children if child.device_type == "partition"]
    family = [device, *partitions]
    nodes = [each.device_node for each in family]
    numbers = [number_text(each.device_number) for each in family]
    used = [mount for name in (*nodes, *numbers) for mount in mounts.get(name, ())]
    holders = [path.name for each in family for path in (_SYS_BLOCK / each.sys_name / "holders").glob("*")]
    return BlockDevice(
        node=device.device_node,
        number=device.device_number,
        size_bytes=attributes.asint("size") * _SECTOR_BYTES,
        removable=attributes.get("removable", b"0").strip() == b"1",
        # Without udev's daemon, as in a container, its words are missing.
        bus=properties.get("ID_BUS") or ("" if usb is None else "usb"),
        model=(properties.get("ID_MODEL") or _text(device, "device/model")).replace("_", " ").strip(),
        serial=properties.get("ID_SERIAL_SHORT") or _text(usb, "serial"),
        read_only=attributes.get("ro", b"0").strip() == b"1",
        sector_bytes=int(attributes.get("queue/logical_block_size", b"512")),
        partitions=tuple(each.device_node for each in partitions),
        mounts=tuple(dict.fromkeys([*used, *_mounts_above(holders, mounts)])),
        holders=tuple(dict.fromkeys(holders)),
        sequence=None if sequence is None else int(sequence),
    )


def _text(device: Any, name: str) -> str:
    return "" if device is None else device.attributes.get(name, b"").decode(errors="replace").strip()


def number_text(number: int) -> str:
    """Return a device's number as the kernel writes it, `major:minor`; both may have more than eight bits."""
    return f"{os.major(number)}:{os.minor(number)}"


def _mounts_above(holders: list[str], mounts: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield what is mounted from what is built on a disk (LVM, RAID), however deep."""
    for name in holders:
        folder = _SYS_BLOCK / name
        try:
            number = (folder / "dev").read_text(encoding="ascii").strip()
        except OSError:
            continue
        yield from mounts.get(number, ())
        yield from _mounts_above([path.name for path in (folder / "holders").glob("*")], mounts)


def mounted_sources(mountinfo: str, swaps: str) -> dict[str, tuple[str, ...]]:
    """Return where each device is mounted or swapped to, by its number `major:minor` and by its node.

    The formats: proc(5). btrfs shows a number that no disk has, and then its node tells.
    """
    used: dict[str, list[str]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, source = before.split(), after.split()
        if len(fields) > 4 and len(source) > 1:
            place = fields[4].replace("\\040", " ")
            for name in (fields[2], source[1]):
                used.setdefault(name, []).append(place)
    for line in swaps.splitlines()[1:]:
        if fields := line.split():
            used.setdefault(fields[0], []).append("swap")
    return {name: tuple(places) for name, places in used.items()}
