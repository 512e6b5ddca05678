"""Capabilities as `lspci -vv` words them: titles back to ids, and the contents that passthrough asks for.

The titles are those of pciutils' ls-caps.c and ls-ecaps.c, old wordings included. At `-v` only the titles are
there: what a missing line would tell stays None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bringup.pci.model import (
    Acs,
    AdvancedFeatures,
    Capability,
    Decoded,
    Msi,
    MsiX,
    Pcie,
    PowerManagement,
    SerialNumber,
    Sriov,
)
from bringup.pci.sources.lspci.region import read_region
from bringup.pci.sources.lspci.titles import capability_id

# Extended capabilities live behind the first 256 bytes (PCIe 4.0, 7.6).
_EXTENDED = 0x100

_PLACE = re.compile(r"Capabilities: \[([0-9a-f]{2,3})(?: v(\d{1,2}))?\] (.+)")
_FLAG = re.compile(r"(Enable|64bit|Mask(?:able)?|NoSoftRst|FLReset|FLR)([+-])")
_MSI_COUNT = re.compile(r"Count=\d{1,3}/(\d{1,3})")
_MSIX_COUNT = re.compile(r"(?:Count|TabSize)=(\d{1,4})")
_PLACE_IN_BAR = re.compile(r"(Vector table|PBA): BAR=(\d) offset=([0-9a-f]{1,8})")
_STATE = re.compile(r"Status: (D[0-3])")
_PORT_TYPE = re.compile(r"Express (?:\(v\d{1,2}\) )?([A-Z][^,()]{2,50})")
_SPEED = re.compile(r"Speed ([0-9]{1,3}(?:\.[0-9])?)GT/s")
_WIDTH = re.compile(r"Width x(\d{1,2})\b")
_SLOT = re.compile(r"Slot # ?(\d{1,5})")
_SERIAL = re.compile(r"[0-9a-f]{2}(?:-[0-9a-f]{2}){7}")
_VFS = re.compile(r"Total VFs: (\d{1,5}), Number of VFs: (\d{1,5})")
_VF_PLACE = re.compile(r"VF offset: (\d{1,5}), stride: (\d{1,5}), Device ID: ([0-9a-f]{4})")
_ACS_FLAG = re.compile(r"(\w+)([+-])")
_ACS_BITS = (
    "SrcValid",
    "TransBlk",
    "ReqRedir",
    "CmpltRedir",
    "UpstreamFwd",
    "EgressCtrl",
    "DirectTrans",
)


def read_capability(line: str, details: Sequence[str]) -> Capability | None:
    """Return the capability of a `Capabilities: [xx]` line and of the lines below it, these without tabs.

    None: the title is none that pciutils writes, or the chain is broken there.
    """
    place = _PLACE.match(line)
    if place is None:
        return None
    offset, title = int(place[1], 16), place[3]
    extended = offset >= _EXTENDED
    found = capability_id(title, extended)
    if found is None:
        return None
    decode = _DECODERS.get((extended, found))
    return Capability(
        id=found,
        offset=offset,
        extended=extended,
        version=int(place[2]) if place[2] else None,
        decoded=decode(title, details) if decode else None,
    )


def _flags(text: str) -> dict[str, bool]:
    return {name: sign == "+" for name, sign in _FLAG.findall(text)}


def _starting(details: Sequence[str], key: str) -> str:
    """Return the detail line of this key, "" when the listing has none."""
    return next((line for line in details if line.startswith(key)), "")


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return None if match is None else int(match[1])


def _speed(text: str) -> float | None:
    match = _SPEED.search(text)
    return None if match is None else float(match[1])


def _power(title: str, details: Sequence[str]) -> Decoded:
    status = _starting(details, "Status:")
    match = _STATE.match(status)
    state = None if match is None else match[1]
    return PowerManagement("D3hot" if state == "D3" else state, _flags(status).get("NoSoftRst"))


def _msi(title: str, details: Sequence[str]) -> Decoded:
    flags = _flags(title)
    return Msi(
        vectors=_number(_MSI_COUNT, title),
        enabled=flags.get("Enable"),
        wide=flags.get("64bit"),
        maskable=flags.get("Maskable", flags.get("Mask")),
    )


def _msi_x(title: str, details: Sequence[str]) -> Decoded:
    places = {m[1]: (int(m[2]), int(m[3], 16)) for m in map(_PLACE_IN_BAR.match, details) if m}
    table_bar, table_offset = places.get("Vector table", (None, None))
    pba_bar, pba_offset = places.get("PBA", (None, None))
    return MsiX(
        vectors=_number(_MSIX_COUNT, title),
        enabled=_flags(title).get("Enable"),
        table_bar=table_bar,
        table_offset=table_offset,
        pba_bar=pba_bar,
        pba_offset=pba_offset,
    )


def _express(title: str, details: Sequence[str]) -> Decoded:
    port = _PORT_TYPE.match(title)
    flr = next((flags["FLReset"] for flags in map(_flags, details) if "FLReset" in flags), None)
    most, now = _starting(details, "LnkCap:"), _starting(details, "LnkSta:")
    return Pcie(
        port_type=None if port is None else port[1].strip().lower(),
        flr=flr,
        max_speed=_speed(most),
        max_width=_number(_WIDTH, most),
        speed=_speed(now),
        width=_number(_WIDTH, now),
        slot=_number(_SLOT, _starting(details, "Slot #")),
    )


def _advanced(title: str, details: Sequence[str]) -> Decoded | None:
    flags = _flags(_starting(details, "AFCap:"))
    return AdvancedFeatures(flags["FLR"]) if "FLR" in flags else None


def _acs(title: str, details: Sequence[str]) -> Decoded:
    return Acs(_acs_word(_starting(details, "ACSCap:")), _acs_word(_starting(details, "ACSCtl:")))


def _acs_word(line: str) -> int | None:
    if not line:
        return None
    signs = dict(_ACS_FLAG.findall(line))
    return sum(1 << bit for bit, name in enumerate(_ACS_BITS) if signs.get(name) == "+")


def _sriov(title: str, details: Sequence[str]) -> Decoded:
    counts = _VFS.search(_starting(details, "Initial VFs:"))
    place = _VF_PLACE.match(_starting(details, "VF offset:"))
    regions = (read_region(line) for line in details if line.startswith("Region "))
    return Sriov(
        enabled=_flags(_starting(details, "IOVCtl:")).get("Enable"),
        total_vfs=int(counts[1]) if counts else None,
        num_vfs=int(counts[2]) if counts else None,
        first_offset=int(place[1]) if place else None,
        stride=int(place[2]) if place else None,
        vf_device=int(place[3], 16) if place else None,
        # Without detail (-v) the title stands alone.
        bars=tuple(bar for bar in regions if bar is not None) if counts else None,
    )


def _serial(title: str, details: Sequence[str]) -> Decoded | None:
    match = _SERIAL.search(title)
    return None if match is None else SerialNumber(match[0])


_DECODERS: dict[tuple[bool, int], Callable[[str, Sequence[str]], Decoded | None]] = {
    (False, 0x01): _power,
    (False, 0x05): _msi,
    (False, 0x10): _express,
    (False, 0x11): _msi_x,
    (False, 0x13): _advanced,
    (True, 0x03): _serial,
    (True, 0x0D): _acs,
    (True, 0x10): _sriov,
}
