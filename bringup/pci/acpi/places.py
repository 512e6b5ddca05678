"""Which bus an ACPI object is of, by the OS's own word: it has bound its functions to the firmware's devices.

Linux shows it as `firmware_node/path` of host bridges and functions (drivers/acpi/device_sysfs.c, path_show),
and names the host bridges in its boot log (drivers/acpi/pci_root.c). Firmware whose `_BBN` or `_ADR` read
registers can be placed by nothing else in a capture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bringup.pci.model import AcpiPlace, Function
from bringup.pci.tree.files import DEVICES, Files

HOST_BRIDGES = "sys/devices"
_NODE = "firmware_node/path"
_HOST_BRIDGE = re.compile(r"pci([0-9a-f]{4,8}):([0-9a-f]{2})")
_PATH = re.compile(rb"\\[A-Z0-9_.]{1,160}\s*")
_ROOT_LINE = re.compile(
    r"ACPI: PCI Root Bridge \[([A-Z0-9_]{1,4})\] \((?:domain ([0-9a-f]{4,8}) \[bus |)([0-9a-f]{2})"
)
_ROOTS_MAX = 256

Bus = tuple[int, int]
"""PCI domain and bus number."""


@dataclass(frozen=True, slots=True)
class Places:
    """The buses behind ACPI devices: by their path, and host bridges by their last name too."""

    by_path: Mapping[str, Bus]
    by_name: Mapping[str, Bus]

    @classmethod
    def of(cls, told: Iterable[AcpiPlace]) -> Places:
        """Sort what was told; the first word on a device counts."""
        found: tuple[dict[str, Bus], dict[str, Bus]] = {}, {}
        for place in told:
            found[not place.name.startswith("\\")].setdefault(place.name, (place.domain, place.bus))
        return cls(*found)

    def bus_of(self, path: str) -> Bus | None:
        """Return the bus behind a device; host bridges stand right below `\\_SB`."""
        found = self.by_path.get(path)
        parent, _, name = path.rpartition(".")
        return self.by_name.get(name) if found is None and parent in ("", "\\_SB") else found


def read_places(files: Files, functions: Iterable[Function]) -> Iterator[AcpiPlace]:
    """Yield what Linux shows in a tree of files."""
    for entry in files.children(HOST_BRIDGES):
        match = _HOST_BRIDGE.fullmatch(entry)
        path = _path(files, f"{HOST_BRIDGES}/{entry}/{_NODE}") if match else None
        if match and path:
            yield AcpiPlace(path, int(match[1], 16), int(match[2], 16))
    for function in functions:
        if function.bridge is not None and function.bridge.secondary:
            path = _path(files, f"{DEVICES}/{function.bdf}/{_NODE}")
            if path:
                yield AcpiPlace(path, function.bdf.domain, function.bridge.secondary)


def _path(files: Files, place: str) -> str | None:
    """Return a path as `acpiexec` writes it: without the underscores that fill a name up."""
    data = files.read(place)
    if not isinstance(data, bytes) or not _PATH.fullmatch(data):
        return None
    names = data.decode("ascii").strip().removeprefix("\\").split(".")
    return "\\" + ".".join(name.rstrip("_") or "_" for name in names)


def places_in_log(text: str) -> tuple[AcpiPlace, ...]:
    """Return the host bridges that Linux names in its boot log."""
    found: dict[str, AcpiPlace] = {}
    for match in _ROOT_LINE.finditer(text):
        name = match[1].rstrip("_") or "_"
        if len(found) < _ROOTS_MAX:
            found.setdefault(name, AcpiPlace(name, int(match[2] or "0", 16), int(match[3], 16)))
    return tuple(found.values())
