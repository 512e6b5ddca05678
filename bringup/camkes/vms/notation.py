"""How the lists of the VM's settings are written, for whoever has to write one. Pure texts.

Numbers that a person wrote in the shorthand of slides come back in their places; what is not known stays open
(`…`), so that nobody copies the number of another machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.camkes.model import Value

_PORTS = '{{"start":{}, "end":{}, "pci_device":0, "name":"eth"}}'
_DEVICE = (
    '{{"name":"eth", "bus":{}, "dev":{}, "fun":{}, "irq":"eth_irq", '
    '"memory":[{{"paddr":…, "size":…, "page_bits":12}}]}}'
)
_IRQ = '{{"name":"eth_irq", "ioapic":0, "source":{}, "level_trig":0, "active_low":1, "dest":{}}}'

# The shape, and how its first numbers are written.
_SHAPES = {
    "vm_ioports": (_PORTS, ("#x", "#x")),
    "pci_devices": (_DEVICE, ("#x", "", "")),
    "vm_irqs": (_IRQ, ("", "")),
}


def entry_shape(attribute: str, numbers: Sequence[Value] = ()) -> str:
    """Return one entry of a list as the template reads it, with the first of `numbers` in their places."""
    shape, formats = _SHAPES[attribute]
    written = [n for n in numbers if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 64]
    given = [format(number, how) for number, how in zip(written, formats, strict=False)]
    return shape.format(*given, *["…"] * (len(formats) - len(given)))
