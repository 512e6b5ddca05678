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
_NEXT_SECTION = re.compile(r"\n(?![\t#])")
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
_BASE_CLASS = re.compile(r"\nC ([0-9a-f]{2})  [^\n]*((?:\n\t[^\n]*)*\n?)")


class PciIds:
    """Looks names up in the text of a pci.ids file; an id that is not in it has no name (None)."""

    def __init__(self, text: str) -> None:
        # So that every entry, the first one too, begins after a newline.
        self._text = "\n" + text

    @cache  # noqa: B019  one object lives as long as the command
    def vendor(self, vendor: int) -> str | None:
        """Return a vendor's name."""
        place = self._find(f"\n{vendor:04x}  ", 0, len(self._text))
        return None if place is None else self._line(place + 7)

    @cache  # noqa: B019
    def device(self, vendor: int, device: int) -> str | None:
        """Return a device's name."""
        section = self._section(f"\n{vendor:04x}  ")
        if section is None:
            return None
        place = self._find(f"\n\t{device:04x}  ", *section)
        return None if place is None else self._line(place + 8)

    @cache  # noqa: B019
    def without_vendor(self, name: str) -> tuple[str, str] | None:
        """Return vendor and device of a name that lspci wrote of both; None where no vendor's begins it."""
        words = name.split(" ")
        for count in range(min(len(words) - 1, _VENDOR_WORDS), 0, -1):
            vendor = " ".join(words[:count])
            place = self._find(f"  {vendor}\n", 0, len(self._text))
            # A vendor's line is its id, a device's begins with a tab.
            if place is not None and self._text[place - 5] == "\n":
                return vendor, " ".join(words[count:])
        return None

    @cache  # noqa: B019
    def class_name(self, class_code: int) -> str | None:
        """Return the name of a 16-bit class code, the base class's where the subclass has none."""
        section = self._section(f"\nC {class_code >> 8:02x}  ")
        if section is None:
            return None
        place = self._find(f"\n\t{class_code & 0xFF:02x}  ", *section)
        return self._line(section[0] + 7) if place is None else self._line(place + 6)

    @cache  # noqa: B019
    def class_code(self, name: str) -> int | None:
        """Return the 16-bit class code that alone has this name; None for any other text."""
        codes = {
            int(base[1], 16) << 8 | int(found[1], 16)
            for base in _BASE_CLASS.finditer(self._text)
            for found in re.finditer(rf"\n\t([0-9a-f]{{2}})  {re.escape(name)}(?=\n)", base[2])
        }
        return codes.pop() if len(codes) == 1 else None

    @cache  # noqa: B019
    def _section(self, head: str) -> tuple[int, int] | None:
        start = self._find(head, 0, len(self._text))
        if start is None:
            return None
        end = _NEXT_SECTION.search(self._text, start + 1)
        return start, len(self._text) if end is None else end.end()

    def _find(self, what: str, start: int, stop: int) -> int | None:
        place = self._text.find(what, start, stop)
        return None if place == -1 else place

    def _line(self, start: int) -> str:
        end = self._text.find("\n", start)
        return self._text[start : len(self._text) if end == -1 else end].strip()


@cache
def load_names() -> PciIds | None:
    """Return the distribution's names, None where it has none (package pci.ids)."""
    for place in _PLACES:
        try:
            return PciIds(place.read_text(encoding="utf-8", errors="replace"))
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
