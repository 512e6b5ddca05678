"""Machines of our own for what people see: a small board with two NICs, and one that says everything."""

from __future__ import annotations

from dataclasses import fields, replace

from bringup.base.finding import Finding, Severity
from bringup.pci.assessment import Assessment, Passability, PinCandidate
from bringup.pci.model import (
    Acpi,
    Acs,
    AdvancedFeatures,
    Bar,
    Bdf,
    Bridge,
    Capability,
    Conflict,
    Dmar,
    Drhd,
    Function,
    Identity,
    IoApic,
    Machine,
    Madt,
    Mcfg,
    Missing,
    Msi,
    MsiX,
    NetInterface,
    Pcie,
    Platform,
    PowerManagement,
    PrtEntry,
    Rmrr,
    Rom,
    Scope,
    SerialNumber,
    SourceInfo,
    SourceOverride,
    Sriov,
    Unplaced,
    Window,
)
from tests import places

GOLDEN = places.GOLDEN / "pci"
SOURCE = SourceInfo("unit.tar", "linux", "5d" * 32, "2026-11-23 14:02")
PORT0, PORT1, OTHER = Bdf.parse("17:00.0"), Bdf.parse("17:00.1"), Bdf.parse("b5:00.0")


def seen(bdf: str, **values: object) -> Function:
    """A function of which exactly `values` were observed."""
    return Function(Bdf.parse(bdf), **values, provenance=dict.fromkeys(values, SOURCE.name))  # type: ignore[arg-type]


def port(bdf: str, pin: str | None, base: int, *bars: Bar, **more: object) -> Function:
    return seen(
        bdf,
        vendor=0x8086,
        device=0x1521,
        subsystem=(0x1734, 0x11D1),
        class_code=0x0200,
        prog_if=0,
        header_type=0,
        device_name="I350 Gigabit Network Connection",
        bars=(Bar(0, "mem", base, 1 << 20), *bars),
        intx_pin=pin,
        **more,
    )


def bridge(bdf: str, secondary: int, subordinate: int, *windows: Window, name: str = "Root Port") -> Function:
    return seen(
        bdf,
        vendor=0x8086,
        device=0x2030,
        class_code=0x0604,
        prog_if=0,
        header_type=1,
        device_name=name,
        bars=(),
        intx_pin="A",
        bridge=Bridge(Bdf.parse(bdf).bus, secondary, subordinate, windows),
    )


def dull(bdf: str, name: str = "CHA Registers", **more: object) -> Function:
    return seen(
        bdf,
        vendor=0x8086,
        device=0x208D,
        class_code=0x0880,
        prog_if=0,
        header_type=0,
        device_name=name,
        bars=(),
        intx_pin=None,
        **more,
    )


def machine(*functions: Function, **more: object) -> Machine:
    ordered = tuple(sorted(functions, key=lambda function: function.bdf))
    return Machine(ordered, sources=(SOURCE,), **more)  # type: ignore[arg-type]


def _finding(
    rule: str, code: str, severity: Severity, bdf: Bdf | None, message: str, evidence: str, fix: str
) -> Finding:
    return Finding(rule, code, severity, message, (evidence,) if evidence else (), fix, rule, bdf)


def small_machine() -> Machine:
    return machine(
        bridge("16:00.0", 0x17, 0x17, Window("io", 0x7000, 0x7FFF), Window("mem", 0xC5800000, 0xC5FFFFFF)),
        port("17:00.0", "A", 0xC5B00000, Bar(2, "io", 0x7060, 32), Bar(3, "mem", 0xC5E0C000, 1 << 14)),
        port("17:00.1", "B", 0xC5A00000, Bar(2, "io", 0x7040, 32), Bar(3, "mem", 0xC5E08000, 1 << 14)),
        *(dull(f"16:08.{number}") for number in range(3)),
        dull("16:08.4", "PCU Registers"),
        bridge("b2:00.0", 0xB3, 0xB5),
        bridge("b3:00.0", 0xB4, 0xB5, name="Switch"),
        bridge("b4:03.0", 0xB5, 0xB5, name="Switch"),
        replace(
            port("b5:00.0", "A", 0xFA000000, Bar(3, "mem", 0xFB008000, 1 << 15, 64, prefetchable=True)),
            device=0x37D2,
            device_name="Ethernet Connection X722 for 10GBASE-T",
        ),
        identity=Identity(product="SYS-1", baseboard="BOARD-1", bios_version="1.0b", bios_date="10/08/2018"),
        missing=(
            Missing("sys/firmware/acpi/tables/DMAR", "permission denied"),
            *(Missing(f"proc/{number}", "absent") for number in range(6)),
        ),
        conflicts=(Conflict(OTHER, "bars", "0 0xfa000000", "0 0x38c000000000"),),
    )


def small() -> Assessment:
    """Three NICs: one passable, one passable within limits, one that needs a change; a disagreement."""
    measured = "seen on another of this model: pr-90"
    return Assessment(
        small_machine(),
        profile="board-1",
        pins={
            PORT0: (
                PinCandidate(0, 16, "measured", measured),
                PinCandidate(1, 8, "firmware", "_PRT of \\_SB.PC01, MADT", this_unit=True),
            ),
            PORT1: (PinCandidate(0, 19, "inferred", "routing rule of the root port"),),
            OTHER: (PinCandidate(0, 19, "known", "/proc/interrupts in INTx mode", this_unit=True),),
        },
        sharing={PORT1: (OTHER,), OTHER: (PORT1,)},
        findings=(
            _finding("C3", "irq-no-pin", "note", None, "the irq in sysfs is a legacy number", "irq 11", ""),
            _finding("C4", "shared-pin", "warning", PORT1, "shares a pin", "0/19", "give both to one VM"),
            _finding("C4", "shared-pin", "warning", OTHER, "shares a pin", "0/19", "give both to one VM"),
            _finding(
                "C14",
                "table-limit",
                "error",
                OTHER,
                "beyond the VMM's table of PCI functions, so that its scan does not find it",
                "function 131 of 132",
                "raise PCI_MAX_DEVICES",
            ),
            _finding("C23", "small-bar", "note", Bdf.parse("16:08.0"), "not about a NIC", "", ""),
        ),
        passability={
            PORT0: Passability("passable"),
            PORT1: Passability("passable", limits=("not with b5:00.0 in another VM",)),
            OTHER: Passability("needs-change", changes=("raise PCI_MAX_DEVICES",)),
        },
    )


def full() -> Assessment:
    """A function of which everything was observed, and its root port; every key of the JSON occurs."""
    scope = Scope(1, 0, 0x16, ((0, 0), (0, 1)), PORT0)
    capabilities = (
        Capability(0x01, 0x40, version=3, decoded=PowerManagement("D0", no_soft_reset=True)),
        Capability(0x05, 0x50, decoded=Msi(1, enabled=False, wide=True, maskable=True)),
        Capability(0x11, 0x70, decoded=MsiX(10, True, 3, 0, 3, 0x2000)),
        Capability(0x10, 0xA0, version=2, decoded=Pcie("endpoint", True, 5.0, 4, 2.5, 4, 7)),
        Capability(0x13, 0xC0, decoded=AdvancedFeatures(flr=True)),
        Capability(0x0D, 0x1D0, extended=True, version=1, decoded=Acs(0, 0)),
        Capability(
            0x10,
            0x160,
            extended=True,
            decoded=Sriov(True, 8, 2, 384, 4, 0x1520, (Bar(0, "mem", 0x1000, 1 << 14),)),
        ),
        Capability(0x03, 0x140, extended=True, decoded=SerialNumber("00-11-22-ff-ff-33-44-55")),
        Capability(0x09, None),
    )
    function = seen(
        "17:00.0",
        vendor=0x8086,
        device=0x1521,
        subsystem=(0x1734, 0x11D1),
        class_code=0x0200,
        prog_if=0,
        revision=1,
        header_type=0,
        multifunction=True,
        command=0x406,
        status=0x10,
        vendor_name="Intel Corporation",
        device_name="I350 Gigabit Network Connection",
        subsystem_name="D3045",
        class_name="Ethernet controller",
        bars=(Bar(0, "mem", 0xC5B00000, 1 << 20),),
        firmware_bars=(Bar(0, "mem", 0xC5C00000, 1 << 20),),
        rom=Rom(0xC5D00000, 1 << 19, enabled=False),
        capabilities=capabilities,
        intx_pin="A",
        interrupt_line=11,
        irq=34,
        msi_active=True,
        bridge=Bridge(0x16, 0x17, 0x17, (Window("mem", 0xC5800000, 0xC5FFFFFF),)),
        driver="igb",
        modules=("igb",),
        iommu_group=67,
        numa_node=0,
        power_state="D0",
        slot="7",
        label="LAN1",
        physical_function=PORT1,
        net=(NetInterface("eth0", "02:00:00:00:00:01", link=True, speed_mbps=1000),),
        config_bytes=4096,
    )
    broken = replace(
        function,
        problems=("capability at 0xfc leads back to 0x40",),
        moves=("BAR 0 moved",),
        unread=("a line",),
    )
    everything = Machine(
        (bridge("16:00.0", 0x17, 0x17), broken),
        identity=Identity(**{field.name: f"some {field.name}" for field in fields(Identity)}),
        platform=Platform("Xeon", True, False, True, True, 64 << 30, "6.1.0", "quiet", "bios"),
        acpi=Acpi(
            Madt((IoApic(0, 8, 0xFEC00000, 0, 24),), (SourceOverride(0, 2, 0),), 8),
            Dmar(46, 1, (Drhd(0, 0xFED90000, True, (scope,)),), (Rmrr(0, 0x1000, 0x1FFF, (scope,)),)),
            (Mcfg(0x80000000, 0, 0, 255),),
            (PrtEntry(0x16, 0, "A", 16, "\\_SB.LNKA"),),
        ),
        sources=(SOURCE,),
        missing=(Missing("proc/iomem", "zeroed"),),
        conflicts=(Conflict(PORT0, "class_code", "0x200", "0x280"),),
        unplaced=(Unplaced("pcib7", "A bridge", "pci6", 0, 1, (0xF0000000,), 39, "pci7", "a log"),),
    )
    return Assessment(
        everything,
        "board-1",
        {PORT0: (PinCandidate(0, 16, "measured", "pr-90", this_unit=True),)},
        {PORT0: (PORT1,)},
        (_finding("C35", "rmrr", "error", PORT0, "memory of the firmware", "0x1000", "exclude_paddr"),),
        {PORT0: Passability("needs-change", ("a",), ("b",), ("c",))},
    )
