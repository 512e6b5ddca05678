"""An application that keeps every rule on a machine that fits it, to be broken one thing at a time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from bringup.base.finding import Finding, Report
from bringup.camkes.app.build import Build
from bringup.camkes.model import Application, ComponentType, ConnectionEnd, Instance, Place, Setting, Value
from bringup.image.needs import KernelNeeds
from bringup.pci.assessment import Assessment, PinCandidate, PinGrade
from bringup.pci.model import (
    Acpi,
    Bdf,
    Dmar,
    Drhd,
    Function,
    IoApic,
    IoRange,
    Machine,
    Madt,
    Missing,
    Platform,
    Rmrr,
    Scope,
)
from bringup.profile.load import load_profile
from bringup.profile.model import Profile
from bringup.rules.check import check
from tests.unit.camkes.passthrough import i350, x722

GIB = 1 << 30


def device(number: int, bar0: int, bar3: int) -> dict[str, Any]:
    return {
        "name": "eth",
        "bus": 0x17,
        "dev": 0,
        "fun": number,
        "irq": "eth_irq",
        "memory": [
            {"paddr": bar0, "size": 0x100000, "page_bits": 12},
            {"paddr": bar3, "size": 0x4000, "page_bits": 12},
        ],
    }


def irq(source: int, dest: int) -> dict[str, Any]:
    return {
        "name": "eth_irq",
        "ioapic": 0,
        "source": source,
        "level_trig": 0,
        "active_low": 1,
        "dest": dest,
    }


def plain_vm(number: int) -> dict[str, Any]:
    return {
        "simple_untyped26_pool": 20,
        "heap_size": 0x2000000,
        "guest_ram_mb": 1024,
        "kernel_cmdline": "console=ttyS0,115200 root=/dev/mem pci=nomsi",
        "kernel_image": "bzimage",
        "kernel_relocs": "bzimage",
        "initrd_image": f"vm{number}_rootfs.cpio",
        "iospace_domain": 0x0F + number,
        "pci_devices_iospace": 1 + number,
    }


@cache
def e300_profile() -> Profile:
    return load_profile("supermicro-e300-9d")


@dataclass
class World:
    """Everything a check can be given; change it, then ask for the `report`."""

    vm0: dict[str, Any] = field(default_factory=lambda: plain_vm(0))
    vm1: dict[str, Any] = field(default_factory=lambda: plain_vm(1))
    others: dict[str, Any] = field(default_factory=dict)
    more: list[Setting] = field(default_factory=list)
    functions: dict[str, Function] = field(default_factory=dict)
    pins: dict[str, tuple[int, PinGrade]] = field(default_factory=dict)
    madt: Madt | None = None
    dmar: Dmar | None = None
    platform: Platform = field(default_factory=Platform)
    iomem: tuple[IoRange, ...] | None = None
    missing_inputs: tuple[Missing, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    images: dict[str, int] | None = None
    pci_max_devices: int | None = None
    kernel: KernelNeeds | None = None
    profile: Profile | None = None
    captured: bool = True
    built: bool = True
    missing: tuple[str, ...] = ()
    octal: tuple[tuple[str, Place], ...] = ()
    ends: tuple[ConnectionEnd, ...] = ()
    assembled: bool = True
    components: tuple[ComponentType, ...] | None = None

    def change(self, bdf: str, **fields: Any) -> None:
        """Change what was observed of a function."""
        old = self.functions[bdf]
        self.functions[bdf] = replace(
            old, **fields, provenance={**old.provenance, **dict.fromkeys(fields, "test")}
        )

    def application(self) -> Application:
        settings: list[Setting] = []
        for instance, values in (("vm0", self.vm0), ("vm1", self.vm1)):
            for attribute, value in values.items():
                settings.append(setting(f"{instance}.{attribute}", value, len(settings) + 10))
        for key, value in self.others.items():
            settings.append(setting(key, value, len(settings) + 10))
        instances = tuple(Instance(f"vm{n}", f"Init{n}", Place("app.camkes", n + 3)) for n in (0, 1))
        return Application(
            "app.camkes",
            (*settings, *self.more),
            (*instances, Instance("fserv", "FileServer", Place("app.camkes", 5))),
            missing_includes=self.missing,
            connections=("topology_conn",),
            octal=self.octal,
            ends=self.ends,
            assembled=self.assembled,
            components=self.components,
        )

    def assessment(self) -> Assessment | None:
        if not self.captured:
            return None
        functions = sorted(self.functions.values(), key=lambda function: function.bdf)
        machine = Machine(
            tuple(functions),
            platform=self.platform,
            acpi=Acpi(self.madt, self.dmar),
            iomem=self.iomem,
            missing=self.missing_inputs,
        )
        pins = {
            Bdf.parse(bdf): (PinCandidate(0, pin, grade, "test"),) for bdf, (pin, grade) in self.pins.items()
        }
        return Assessment(machine, pins=pins)

    def build(self) -> Build | None:
        if not self.built:
            return None
        return Build(Path("build"), self.options, self.images, self.pci_max_devices, self.kernel)

    def report(self) -> Report:
        return check(
            self.application(), assessment=self.assessment(), build=self.build(), profile=self.profile
        )

    def found(self, code: str) -> dict[str, Finding]:
        """Return the findings of one rule by slug."""
        return {finding.code: finding for finding in self.report().findings if finding.rule == code}

    def two_devices(self) -> None:
        """Pass the second port of the card to the second VM."""
        self.vm1["pci_devices"] = [device(1, 0xC5A00000, 0xC5E08000)]
        self.vm1["vm_irqs"] = [irq(17, 10)]
        self.vm1["vm_ioports"] = [{"start": 0x7040, "end": 0x7060, "pci_device": 0, "name": "eth"}]


def frozen(value: Any) -> Value:
    """Return lists as tuples, as the loader makes them."""
    if isinstance(value, list | tuple):
        return tuple(frozen(element) for element in value)
    if isinstance(value, Mapping):
        return {key: frozen(element) for key, element in value.items()}
    return value  # type: ignore[no-any-return]


def setting(key: str, value: Any, line: int = 1, *, applied: bool = True) -> Setting:
    """Return `instance.attribute = value;`, each element of a list on a line of its own."""
    instance, _, attribute = key.partition(".")
    places = tuple(Place("app.camkes", line + n) for n in range(len(value) if isinstance(value, list) else 0))
    return Setting(instance, attribute, frozen(value), Place("app.camkes", line), applied, places)


def world() -> World:
    """Return one VM with an I350 port and one without, everything known and everything right."""
    made = World(
        functions={
            "17:00.0": i350("17:00.0", 0xC5B00000, 0x7060, 0xC5E0C000, intx_pin="A", header_type=0, irq=11),
            "17:00.1": i350("17:00.1", 0xC5A00000, 0x7040, 0xC5E08000, intx_pin="B", header_type=0, irq=10),
            "b5:00.0": x722("b5:00.0", 0xFA000000, 0xFB008000, intx_pin="A", header_type=0, irq=11),
        },
        pins={"17:00.0": (16, "measured"), "17:00.1": (17, "measured"), "b5:00.0": (19, "known")},
        madt=Madt((IoApic(0, 8, 0xFEC00000, 0, 24),)),
        dmar=Dmar(46, 1, (Drhd(0, 0xFBFFC000, True, ()),), ()),
        platform=Platform(memory_bytes=16 * GIB, x2apic=False),
        iomem=(
            IoRange(0x1000, 0x9FFFF, "System RAM", 0),
            IoRange(0x100000, 0x7FFFFFFF, "System RAM", 0),
            IoRange(0x100000000, 0x47FFFFFFF, "System RAM", 0),
        ),
        options={
            "KernelMaxNumIOAPIC": "1",
            "KernelIOMMU": "ON",
            "CAmkESVMGuestDMAIommu": "ON",
            "LibPlatSupportX86ConsoleDevice": "com2",
            "RELEASE": "OFF",
            "KernelLAPICMode": "XAPIC",
            "LibSel4VMUseTranslationVspace": "ON",
        },
        images={"kernel-x86_64-pc99": 1 << 20, "capdl-loader-image-x86_64-pc99": 30 << 20},
        pci_max_devices=256,
        profile=e300_profile(),
    )
    made.vm0["pci_devices"] = [device(0, 0xC5B00000, 0xC5E0C000)]
    made.vm0["vm_irqs"] = [irq(16, 11)]
    made.vm0["vm_ioports"] = [{"start": 0x7060, "end": 0x7080, "pci_device": 0, "name": "eth"}]
    return copy.deepcopy(made)


def rmrr(bdf: str, base: int = 0x0E000000, limit: int = 0x0E000FFF, kind: int = 1, hops: int = 1) -> Rmrr:
    """Return firmware memory of one function; by default below the VMM's window."""
    at = Bdf.parse(bdf)
    path = ((0, 0),) * (hops - 1) + ((at.device, at.function),)
    return Rmrr(0, base, limit, (Scope(kind, 0, at.bus, path),))
