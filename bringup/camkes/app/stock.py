"""What the macros of camkes-vm's own headers declare, for when these headers were passed over.

Source: camkes-vm components/VM/configurations/vm.h and connections.h.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bringup.camkes.app.adl.declarations import InstanceDecl, Reference

VM_TYPE = "VM_INIT_DEF"
"""Declares the interfaces and attributes of a VM in its component type."""

_CALL = re.compile(r"(\w+)\(\s*(\w*)", re.ASCII)
_VM_INSTANCE = frozenset(("VM_PER_VM_COMP_DEF", "VM_PER_VM_COMPONENTS"))
_NATIVE = {
    "fserv": "FileServer",
    "serial": "SerialServer",
    "pci_config": "PCIConfigIO",
    "time_server": "TimeServer",
    "rtc": "RTC",
}


def call_of(macro: str) -> tuple[str, str]:
    """Return the name of a macro that is called, and its first argument; each "" where there is none."""
    match = _CALL.match(macro)
    return (match[1], match[2]) if match else (macro, "")


def stock_instances(macros: Iterable[Reference]) -> Iterator[InstanceDecl]:
    """Yield the instances that these macros of a composition declare."""
    for macro in macros:
        name, argument = call_of(macro.name)
        if name in _VM_INSTANCE and argument.isdigit():
            kind = Reference(f"Init{argument}", macro.offset)
            yield InstanceDecl(f"vm{argument}", kind, macro.offset)
        elif name == "VM_COMPOSITION_DEF":
            for instance, component in _NATIVE.items():
                yield InstanceDecl(instance, Reference(component, macro.offset), macro.offset)
