"""The machines that tests run on, by name, each made once a session, and what each program says of one."""

from __future__ import annotations

import bz2
from collections.abc import Callable
from functools import cache

from bringup.pci.capture.open import read_bytes
from bringup.pci.model import Machine
from tests.machines import dmesg, e300, firmware, lspci, pciconf, sel4, shapes, sysfs
from tests.machines.model import MadeMachine

E300_9D, TP8F, TP8F_OTHER, TP8F_8 = "e300-9d", "e300-9d-4cn8tp", "e300-9d-4cn8tp-other", "e300-9d-8cn8tp"
_MACHINES: dict[str, Callable[[], MadeMachine]] = {
    E300_9D: e300.e300_9d,
    TP8F: e300.e300_9d_4cn8tp,
    TP8F_OTHER: lambda: e300.e300_9d_4cn8tp(3),
    TP8F_8: e300.e300_9d_8cn8tp,
    "desktop": shapes.desktop,
    "ports-at-9c00": shapes.ports_at_9c00,
    "above-4-gib": shapes.above_4_gib,
    "moved-by-linux": shapes.moved_by_linux,
    "virtual-functions": shapes.virtual_functions,
    "many-roots": shapes.many_roots,
    "lan-on-motherboard": shapes.lan_on_motherboard,
}
MACHINES = tuple(_MACHINES)
_FORMATS: dict[str, Callable[[MadeMachine], bytes]] = {
    "bundle.tar.gz": lambda made: sysfs.archive(sysfs.bundle(made)),
    "user-bundle.tar.gz": lambda made: sysfs.archive(sysfs.bundle(made, root=False)),
    "sysfs.tar.bz2": lambda made: sysfs.archive(sysfs.linked(sysfs.tree(made)), "host/", bz2.compress),
    "lspci.txt": lambda made: lspci.text(made.functions).encode(),
    "lspci-xxxx.txt": lambda made: lspci.text(made.functions, 4096).encode(),
    "lspci-vmm.txt": lambda made: lspci.machine_text(made.functions).encode(),
    "pciconf.txt": lambda made: pciconf.text(made.functions).encode(),
    "pciconf-12.txt": lambda made: pciconf.text(made.functions, old=True).encode(),
    "dmesg.txt": lambda made: dmesg.log(made).encode(),
    "dmesg-ancient.txt": lambda made: dmesg.log(made, "ancient").encode(),
    "dmesg-today.txt": lambda made: dmesg.log(made, "today").encode(),
    "firmware.log": firmware.log,
    "sel4.log": lambda made: sel4.log(made).encode(),
    "sel4-raised.log": lambda made: sel4.log(made, 256).encode(),
}
FORMATS = tuple(_FORMATS)


@cache
def made(name: str) -> MadeMachine:
    """Return a machine by name."""
    return _MACHINES[name]()


@cache
def told(name: str, form: str) -> bytes:
    """Return a file of a machine, as the program that `form` is named for writes it."""
    return _FORMATS[form](made(name))


@cache
def read(name: str, form: str) -> Machine:
    """Return the model that is read from a file of a machine."""
    return read_bytes(told(name, form), f"{name}-{form}")
