"""Capabilities as `pciconf -c` words them (FreeBSD usr.sbin/pciconf/cap.c), older wordings included.

What a line does not say stays None: the words of ACS, for one, are printed by no older pciconf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bringup.pci.model import (
    Acs,
    AdvancedFeatures,
    Bar,
    Capability,
    Decoded,
    Msi,
    MsiX,
    Pcie,
    PowerManagement,
    SerialNumber,
    Sriov,
)

_HEAD = re.compile(r" {4}(e?)cap ([0-9a-f]{2,4})\[([0-9a-f]{2,3})\] = (.{0,400})")
_VERSION = re.compile(
    r"(?:AER|VC|Serial|Vendor|ARI|SR-IOV|ACS|LTR|TPH Requester|PCIe Sec|unknown) \[?(\d{1,2})\b|.* (\d{1,2})$"
)
_STATE = re.compile(r"current (D[0-3])\b")
_MSI = re.compile(r"MSI supports (\d{1,2}) message")
_MSIX = re.compile(r"MSI-X supports (\d{1,4}) message")
_TABLE = re.compile(r"Table in map 0x([12][0-9a-f])\[0x([0-9a-f]{1,8})\]")
_PBA = re.compile(r"PBA in map 0x([12][0-9a-f])\[0x([0-9a-f]{1,8})\]")
_PORT = re.compile(r"PCI-Express \d{1,2} (.{1,40}?)(?: slot \d| IRQ \d| max data | link x|$)")
_LINK = re.compile(r"\blink x(\d{1,2})\(x(\d{1,2})\)")
_SPEED = re.compile(r"\bspeed (\d{1,3}\.\d)\((\d{1,3}\.\d)\)")
_SLOT = re.compile(r"\bslot (\d{1,5})\b")
_SERIAL = re.compile(r"Serial \d{1,2} ([0-9a-f]{16})\b")
_VFS = re.compile(r"(\d{1,5}) VFs configured out of (\d{1,5}) supported")
_VF_PLACE = re.compile(r"First VF RID Offset 0x([0-9a-f]{1,4}), VF RID Stride 0x([0-9a-f]{1,4})")
_VF_DEVICE = re.compile(r"VF Device ID 0x([0-9a-f]{1,4})")
_VF_BAR = re.compile(
    r"iov bar +\[([0-9a-f]{2,3})\] = type (Prefetchable Memory|Memory), range (32|64), "
    r"base (?:0x)?([0-9a-f]{1,16}), size (\d{1,19}),"
)
_SUBSYSTEM = re.compile(
    r"PCI Bridge (?:card=0x([0-9a-f]{8})|subvendor=0x([0-9a-f]{4}) subdevice=0x([0-9a-f]{4}))"
)
# pciconf's words for what the model calls as PCIe does; the others are the same.
_PORT_TYPES = {
    "PCI bridge": "pci-express to pci/pci-x bridge",
    "PCI to PCIe bridge": "pci/pci-x to pci-express bridge",
    "root endpoint": "root complex integrated endpoint",
    "event collector": "root complex event collector",
    "root complex event collector": "root complex event collector",
}
_SAME = ("endpoint", "legacy endpoint", "root port", "upstream port", "downstream port")
_PORT = re.compile(rf"PCI-Express \d{{1,2}} ({'|'.join((*_PORT_TYPES, *_SAME))})(?= |$)")
_RESETTABLE = ("endpoint", "legacy endpoint", "root complex integrated endpoint")
_WITHOUT_LINK = ("root complex integrated endpoint", "root complex event collector")
_VF_BARS_AT = 0x24


def read_capabilities(lines: Sequence[str]) -> tuple[Capability, ...] | None:
    """Return the capabilities among a function's lines, in their order; None when it shows none."""
    found: list[Capability] = []
    for index, line in enumerate(lines):
        head = _HEAD.fullmatch(line)
        if head is None:
            continue
        end = index + 1
        while end < len(lines) and _HEAD.fullmatch(lines[end]) is None:
            end += 1
        details = "\n".join((head[4], *lines[index + 1 : end]))
        found.append(_capability(bool(head[1]), int(head[2], 16), int(head[3], 16), details))
    return tuple(found) or None


def subsystem_of_bridge(text: str) -> tuple[int, int] | None:
    """Return the subsystem that a bridge tells by its capability 0d."""
    match = _SUBSYSTEM.search(text)
    if match is None:
        return None
    if match[1] is not None:
        return int(match[1], 16) & 0xFFFF, int(match[1], 16) >> 16
    return int(match[2], 16), int(match[3], 16)


def _capability(extended: bool, identity: int, offset: int, text: str) -> Capability:
    decode = _DECODERS.get((extended, identity))
    version = _VERSION.match(text.partition("\n")[0].rstrip()) if extended else None
    return Capability(
        id=identity,
        offset=offset,
        extended=extended,
        version=None if version is None else int(version[1] or version[2]),
        decoded=None if decode is None else decode(offset, text),
    )


def _power(offset: int, text: str) -> Decoded:
    state = _STATE.search(text)
    return PowerManagement(None if state is None else "D3hot" if state[1] == "D3" else state[1])


def _msi(offset: int, text: str) -> Decoded:
    count = _MSI.match(text)
    return Msi(
        vectors=None if count is None else int(count[1]),
        enabled=" enabled" in text,
        wide="64 bit" in text,
        maskable="vector masks" in text,
    )


def _msix(offset: int, text: str) -> Decoded:
    count = _MSIX.match(text)
    table_bar, table_offset = _place(_TABLE, text)
    pba_bar, pba_offset = _place(_PBA, text)
    return MsiX(
        vectors=None if count is None else int(count[1]),
        enabled="enabled" in text,
        table_bar=table_bar,
        table_offset=table_offset,
        pba_bar=pba_bar,
        pba_offset=pba_offset,
    )


def _place(pattern: re.Pattern[str], text: str) -> tuple[int | None, int | None]:
    match = pattern.search(text)
    return (None, None) if match is None else ((int(match[1], 16) - 0x10) // 4, int(match[2], 16))


def _express(offset: int, text: str) -> Decoded:
    match = _PORT.match(text)
    port = None if match is None else _PORT_TYPES.get(match[1], match[1])
    first = text.partition("\n")[0]
    # It is printed for endpoints only: of another port, or one that is not understood, no word is no answer.
    flr = " FLR" in first if port in _RESETTABLE else True if port is None and " FLR" in first else None
    if port in _WITHOUT_LINK:
        return Pcie(port, flr)
    link, speed, slot = _LINK.search(text), _SPEED.search(text), _SLOT.search(text)
    return Pcie(
        port_type=port,
        flr=flr,
        # No link: the speed is printed as 0.0.
        max_speed=None if speed is None else float(speed[2]) or None,
        max_width=None if link is None else int(link[2]),
        speed=None if speed is None else float(speed[1]) or None,
        width=None if link is None else int(link[1]),
        slot=None if slot is None else int(slot[1]),
    )


def _advanced(offset: int, text: str) -> Decoded:
    return AdvancedFeatures(" FLR" in text)


def _acs(offset: int, text: str) -> Decoded:
    return Acs()


def _serial(offset: int, text: str) -> Decoded | None:
    match = _SERIAL.match(text)
    if match is None:
        return None
    return SerialNumber("-".join(match[1][at : at + 2] for at in range(0, 16, 2)))


def _sriov(offset: int, text: str) -> Decoded:
    counts, place, device = _VFS.search(text), _VF_PLACE.search(text), _VF_DEVICE.search(text)
    bars = (_vf_bar(offset, *match.groups()) for match in _VF_BAR.finditer(text))
    return Sriov(
        enabled="IOV enabled" in text,
        total_vfs=None if counts is None else int(counts[2]),
        num_vfs=None if counts is None else int(counts[1]),
        first_offset=None if place is None else int(place[1], 16),
        stride=None if place is None else int(place[2], 16),
        vf_device=None if device is None else int(device[1], 16),
        # It shows those that FreeBSD has given addresses, which it does when virtual functions are made.
        bars=tuple(bar for bar in bars if bar is not None) or None,
    )


def _vf_bar(capability: int, offset: str, kind: str, width: str, base: str, size: str) -> Bar | None:
    """Return a BAR of one virtual function; its number follows from the register's offset."""
    index = (int(offset, 16) - capability - _VF_BARS_AT) // 4
    if not 0 <= index < 6:
        return None
    prefetchable = kind.startswith("Prefetchable")
    return Bar(index, "mem", int(base, 16) or None, int(size), int(width), prefetchable)


_DECODERS: dict[tuple[bool, int], Callable[[int, str], Decoded | None]] = {
    (False, 0x01): _power,
    (False, 0x05): _msi,
    (False, 0x10): _express,
    (False, 0x11): _msix,
    (False, 0x13): _advanced,
    (True, 0x03): _serial,
    (True, 0x0D): _acs,
    (True, 0x10): _sriov,
}
