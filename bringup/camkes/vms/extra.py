"""Physical memory that a VM is given apart from its devices: `untyped_mmios`, `ram`, `guest_mappings`. Pure.

Sources: camkes-tool component.simple.c; camkes-vm seL4ExtraRAM and seL4GuestMaps templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bringup.camkes.model import Value
from bringup.camkes.vms.display import whole
from bringup.camkes.vms.model import Range, Vm

UNTYPED = re.compile(r"\s*(0x[0-9a-fA-F]{1,16}|\d{1,19})\s*:\s*(\d{1,2})\s*")
"""An entry of `untyped_mmios`: an address and the exponent of its size."""


def extra_memory(vm: Vm) -> Iterator[tuple[str, Range]]:
    """Yield (attribute, range) of each entry whose numbers are plain."""
    for attribute in ("untyped_mmios", "ram", "guest_mappings"):
        setting = vm.settings.get(attribute)
        entries = setting.value if setting is not None and isinstance(setting.value, tuple) else ()
        for entry in entries:
            base, size = _extent(entry)
            if setting is not None and base is not None and size:
                yield attribute, Range(base, size, setting.place)


def _extent(entry: Value) -> tuple[int | None, int | None]:
    """Return address and bytes of an entry of any of the three."""
    if isinstance(entry, str):
        found = UNTYPED.fullmatch(entry)
        return (None, None) if found is None else (int(found[1], 0), _power(int(found[2])))
    if isinstance(entry, tuple) and len(entry) == 2:
        return whole(entry[0]), _power(whole(entry[1]))
    if isinstance(entry, Mapping):
        return whole(entry.get("paddr")), whole(entry.get("size"))
    return None, None


def _power(bits: int | None) -> int | None:
    return 1 << bits if bits is not None and 0 <= bits < 64 else None
