"""Names of vendors, devices and classes from the distribution's pci.ids (pci-ids.ucw.cz), read when needed.

The file has 1.3 MB and a command needs a few dozen names, so its text is searched, not parsed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

from bringup.pci.model import Function, Machine

# Debian and Fedora, in this order; hwdata's copy has the same format.
_PLACES = (Path("/usr/share/misc/pci.ids"), Path("/usr/share/hwdata/pci.ids"))
_SOURCE = "pci.ids"
# Lines of a section begin with a tab, comments with a hash.
_NEXT_SECTION = re.compile(rb"\n(?![\t#])")
# What makers call an Ethernet controller where no source told the class, and what only sounds like one.
_ETHERNET_NAME = re.compile(
    r"\b(?:Ethernet|Gigabit Network|Network Connection|Virtio network|10GbE|10GBASE)", re.IGNORECASE
)
_OTHER_NAME = re.compile(r"wireless|wi-?fi|wimax|bluetooth|bridge|usb|infiniband", re.IGNORECASE)
_ETHERNET = 0x0200
# Linux' drivers of Ethernet controllers that servers have (drivers/net/ethernet).
ETHERNET_DRIVERS = frozenset(
    ("e1000", "e1000e", "igb", "igc", "ixgbe", "i40e", "ice", "bnx2", "bnx2x", "bnxt_en", "tg3", "r8169")
) | frozenset(
    ("8139too", "8139cp", "atlantic", "mlx4_core", "mlx5_core", "be2net", "sfc", "cxgb4", "forcedeth", "sky2")
)
_VENDOR_WORDS = 6
_BASE_CLASS = re.compile(rb"\nC ([0-9a-f]{2})  [^\n]*((?:\n\t[^\n]*)*\n?)")


class PciIds:
    """Looks names up in the bytes of a pci.ids file; an id that is not in it has no name (None)."""

    def __init__(self, data: bytes) -> None:
        # So that every entry, the first one too, begins after a newline.
        self._data = b"\n" + data

    @cache  # noqa: B019  one object lives as long as the command
    def vendor(self, vendor: int) -> str | None:
        """Return a vendor's name."""
        section = self._section(vendor)
        return None if section is None else self._line(section[0] + 7)

    @cache  # noqa: B019
    def device(self, vendor: int, device: int) -> str | None:
        """Return a device's name."""
        section = self._section(vendor)
        if section is None:
            return None
        place = self._data.find(b"\n\t%04x  " % device, *section)
        return None if place == -1 else self._line(place + 8)

    @cache  # noqa: B019
    def without_vendor(self, name: str) -> tuple[str, str] | None:
        """Return vendor and device of a name that lspci wrote of both; None where no vendor's begins it."""
        words = name.split(" ")
        for count in range(min(len(words) - 1, _VENDOR_WORDS), 0, -1):
            vendor = " ".join(words[:count])
            place = self._data.find(b"  %s\n" % vendor.encode(errors="replace"))
            # A vendor's line is its id, a device's begins with a tab.
            if place != -1 and self._data[place - 5 : place - 4] == b"\n":
                return vendor, " ".join(words[count:])
        return None

    @cache  # noqa: B019
    def class_name(self, class_code: int) -> str | None:
        """Return the name of a 16-bit class code, the base class's where the subclass has none."""
        # Classes are the end of the file.
        start = self._data.rfind(b"\nC %02x  " % (class_code >> 8))
        if start == -1:
            return None
        place = self._data.find(b"\n\t%02x  " % (class_code & 0xFF), start, self._end(start))
        return self._line(start + 7) if place == -1 else self._line(place + 6)

    @cache  # noqa: B019
    def class_code(self, name: str) -> int | None:
        """Return the 16-bit class code that alone has this name; None for any other text."""
        told = re.compile(rb"\n\t([0-9a-f]{2})  %s(?=\n)" % re.escape(name.encode(errors="replace")))
        codes = {
            int(base[1], 16) << 8 | int(found[1], 16)
            for base in _BASE_CLASS.finditer(self._data)
            for found in told.finditer(base[2])
        }
        return codes.pop() if len(codes) == 1 else None

    @cache  # noqa: B019
    def _section(self, vendor: int) -> tuple[int, int] | None:
        start = self._data.find(b"\n%04x  " % vendor)
        return None if start == -1 else (start, self._end(start))

    def _end(self, start: int) -> int:
        end = _NEXT_SECTION.search(self._data, start + 1)
        return len(self._data) if end is None else end.end()

    def _line(self, start: int) -> str:
        end = self._data.find(b"\n", start)
        line = self._data[start : len(self._data) if end == -1 else end]
        return line.decode("utf-8", "replace").strip()


@cache
def load_names() -> PciIds | None:
    """Return the distribution's names, None where it has none (package pci.ids)."""
    for place in _PLACES:
        try:
            return PciIds(place.read_bytes())
        except OSError:
            continue
    return None


def with_names(machine: Machine, names: PciIds | None) -> Machine:
    """Return the machine with names where no source gave any; provenance says they are from pci.ids."""
    if names is None:
        return machine
    functions = (_named(_with_class(function, names), names) for function in machine.functions)
    return replace(machine, functions=tuple(functions))


def _with_class(function: Function, names: PciIds) -> Function:
    """Return the function with the class that a listing without numbers (lspci without -nn) tells by name."""
    if function.class_code is not None:
        return function
    if function.class_name is None:
        code = _ETHERNET if _is_ethernet(function, names) else None
    else:
        code = names.class_code(function.class_name)
    if code is None:
        return function
    return replace(function, class_code=code, provenance={**function.provenance, "class_code": _SOURCE})


def _is_ethernet(function: Function, names: PciIds) -> bool:
    """Whether ids or driver alone tell an Ethernet controller: logs of seL4's scan, say, tell no class.

    A driver is Linux's word on a function; that a name says nothing is no word that it is something else.
    """
    if function.driver in ETHERNET_DRIVERS:
        return True
    if function.vendor is None or function.device is None:
        return False
    name = function.device_name or names.device(function.vendor, function.device) or ""
    return _ETHERNET_NAME.search(name) is not None and _OTHER_NAME.search(name) is None


def _named(function: Function, names: PciIds) -> Function:
    found: dict[str, str | None] = {}
    if function.vendor is not None and function.vendor_name is None:
        found["vendor_name"] = names.vendor(function.vendor)
    told = function.device_name
    if told is not None and function.vendor is None and function.is_ethernet:
        # Of a listing without ids only the controllers that a table shows are worth the search.
        parts = names.without_vendor(told)
        if parts is not None:
            found |= {"vendor_name": parts[0], "device_name": parts[1]}
    elif told is not None and (vendor := found.get("vendor_name")):
        # lspci's text writes both names as one.
        told = found["device_name"] = told.removeprefix(vendor).lstrip() or None
    # `Device 10c9` is what lspci writes where its own pci.ids had no name.
    if None not in (function.vendor, function.device) and told in (None, f"Device {function.device:04x}"):
        found["device_name"] = names.device(function.vendor or 0, function.device or 0) or told
    if function.class_code is not None and function.class_name is None:
        found["class_name"] = names.class_name(function.class_code)
    known = {k: name for k, name in found.items() if name is not None and name != getattr(function, k)}
    if not known:
        return function
    return replace(function, **known, provenance={**function.provenance, **dict.fromkeys(known, _SOURCE)})  # type: ignore[arg-type]
