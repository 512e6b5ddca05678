"""Every finding: the smallest machine that raises it, and one that just does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.finding import Finding
from bringup.pci.acpi.tables import TABLES
from bringup.pci.assessment import Assessment
from bringup.pci.bars import bars_under_sel4
from bringup.pci.model import (
    Acpi,
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
    MeasuredPin,
    Missing,
    MsiX,
    Platform,
    PowerManagement,
    PrtEntry,
    Rmrr,
    Scope,
    Sriov,
    Window,
)
from bringup.profile.load import load_profile
from bringup.rules.assess import assess
from bringup.rules.bars import page_neighbours
from bringup.rules.inputs import Inputs
from tests.unit.camkes.passthrough import function, i350, x722
from tests.unit.rules.codes import about_functions

E300 = load_profile("supermicro-e300-9d")
ONE = Madt((IoApic(0, 8, 0xFEC00000, 0),))
TWO = Madt((IoApic(0, 8, 0xFEC00000, 0), IoApic(1, 9, 0xFEC01000, 24)))
NIC = Bdf.parse("01:00.0")
G4 = 1 << 32


def nic(bdf: str = "01:00.0", *bars: Bar, **fields: Any) -> Function:
    """Return a network port that no profile knows and that nothing is wrong with."""
    fields = {"device": 0x1533, "bars": bars, "intx_pin": "A", "capabilities": (), **fields}
    return function(bdf, **fields)


def mem(base: int | None, size: int | None = 0x4000, index: int = 0) -> Bar:
    return Bar(index, "mem", base, size)


def io(base: int | None, size: int | None = 32, index: int = 2) -> Bar:
    return Bar(index, "io", base, size)


def alone(*functions: Function, **parts: Any) -> Machine:
    return Machine(tuple(sorted(functions, key=lambda f: f.bdf)), **parts)


def having(decoded: Any) -> Machine:
    return alone(nic(capabilities=(Capability(0x10, 0x40, decoded=decoded),)))


def behind(window: tuple[int, int], command: int = 0x7) -> Machine:
    """Return a machine whose port is behind a bridge that forwards this memory."""
    leads = Bridge(0, 1, 1, (Window("mem", *window),))
    return alone(
        function("00:1c.0", header_type=1, bridge=leads, command=command),
        nic("01:00.0", Bar(0, "mem", 0xF0000000, 0x4000)),
    )


def crowd(count: int) -> Machine:
    """Return a machine whose network port comes after `count` functions of the chipset."""
    before = (Function(Bdf(0, 0, n // 8, n % 8), class_code=0x0880) for n in range(count))
    return alone(*before, nic())


def measured(pins: dict[str, int]) -> tuple[MeasuredPin, ...]:
    return tuple(MeasuredPin(Bdf.parse(bdf), 0, pin, "probe") for bdf, pin in pins.items())


def routed(*rows: tuple[int, str, int], madt: Madt = ONE) -> Acpi:
    return Acpi(madt=madt, prt=tuple(PrtEntry(bus, 0, pin, gsi) for bus, pin, gsi in rows))  # type: ignore[arg-type]


def reserved(*scopes: Scope, base: int = 0x6F000000, limit: int = 0x6F00FFFF) -> Acpi:
    return Acpi(madt=ONE, dmar=Dmar(46, 0, (Drhd(0, 0xFED90000, True, ()),), (Rmrr(0, base, limit, scopes),)))


def endpoint(bdf: str, hops: int = 1, kind: int = 1) -> Scope:
    return Scope(kind, 0, 0, ((0, 0),) * hops, Bdf.parse(bdf))


NO_DMAR = (Missing(f"{TABLES}/DMAR", "absent"),)
REFUSED_DMAR = (Missing(f"{TABLES}/DMAR", "permission denied"),)
FIRMWARE = {"firmware_bars": (mem(0xFA000000),)}
PORT = function("00:1c.0", class_code=0x0604, header_type=1, bridge=Bridge(0, 1, 1))
SHARED = alone(nic("01:00.0"), nic("02:00.0"), measured=measured({"01:00.0": 16, "02:00.0": 16}))
APART = alone(nic("01:00.0"), nic("02:00.0"), measured=measured({"01:00.0": 16, "02:00.0": 17}))
E300_PORTS = (
    i350("17:00.0", 0xC5B00000, 0x7060, 0xC5E0C000),
    x722("b5:00.0", 0xFA000000, 0xFB008000),
    x722("b5:00.1", 0xF9000000, 0xFB000000),
)
E300_REST = tuple(
    Function(Bdf(0, 0, n, 0), vendor=vendor, device=device, class_code=0x0880)
    for n, (vendor, device) in enumerate(
        [(0x1A03, 0x1150), (0x1A03, 0x2000), (0x8086, 0xA1C8), (0x8086, 0xA1AF)]
    )
)
SLOT7 = function("16:00.0", class_code=0x0604, header_type=1, bridge=Bridge(0x16, 0x17, 0x17))
E300_MACHINE = alone(*E300_REST, *E300_PORTS)


def with_port(**fields: Any) -> Machine:
    first = replace(
        E300_PORTS[0], **fields, provenance={**E300_PORTS[0].provenance, **dict.fromkeys(fields, "t")}
    )
    return alone(*E300_REST, first, *E300_PORTS[1:])


# Code, severity, the machine that raises it, the one that just does not.
CASES: list[tuple[str, str, Machine, Machine]] = [
    (
        "bar-above-4g",
        "error",
        alone(nic("01:00.0", mem(G4 - 0x4000, 0x8000))),
        alone(nic("01:00.0", mem(G4 - 0x4000))),
    ),
    (
        "bar-above-4g",
        "error",
        alone(nic("01:00.0", mem(G4, None))),
        alone(nic("01:00.0", mem(G4 - 16, None))),
    ),
    (
        "bar-not-aligned",
        "error",
        alone(nic("01:00.0", mem(0xC0002000))),
        alone(nic("01:00.0", mem(0xC0004000))),
    ),
    (
        "bar-not-power-of-two",
        "error",
        alone(nic("01:00.0", mem(0xC0000000, 0x3000))),
        alone(nic("01:00.0", mem(0xC0000000, 0x2000))),
    ),
    (
        "bar-below-page",
        "note",
        alone(nic("01:00.0", mem(0xC0000000, 0x800))),
        alone(nic("01:00.0", mem(0xC0000000, 0x1000))),
    ),
    (
        "bar-below-page",
        "error",
        alone(nic("01:00.0", mem(0xC0000800, 0x800))),
        alone(nic("01:00.0", mem(0xC0000000, 0x800))),
    ),
    (
        "bar-shares-page",
        "warning",
        alone(nic("01:00.0", mem(0xC0000000, 0x800)), nic("01:00.1", mem(0xC0000800, 0x800))),
        alone(nic("01:00.0", mem(0xC0000000, 0x800)), nic("01:00.1", mem(0xC0001000, 0x800))),
    ),
    (
        "bar-shares-page",
        "warning",
        alone(
            nic("01:00.0", mem(0xC0000000, 0x800)),
            function("00:1f.0", class_code=0x0880, bars=(mem(0xC0000800, 0x800),)),
        ),
        alone(nic("01:00.0", mem(0xC0000000, 0x800), mem(0xC0000800, 0x800, 1))),
    ),
    (
        "bar-unassigned",
        "error",
        alone(nic("01:00.0", mem(None))),
        alone(nic("01:00.0", mem(0xC0000000))),
    ),
    (
        "bar-unassigned",
        "error",
        alone(nic("01:00.0", mem(0xC0000000), firmware_bars=(mem(None),))),
        alone(nic("01:00.0", mem(None), **FIRMWARE)),
    ),
    ("bar-unassigned", "warning", alone(nic("01:00.0", io(None))), alone(nic("01:00.0", io(0x7000)))),
    (
        "firmware-bar-differs",
        "error",
        alone(nic("01:00.0", mem(0x38C000000000), **FIRMWARE)),
        alone(nic("01:00.0", mem(0xFA000000), **FIRMWARE)),
    ),
    (
        "io-range-beyond",
        "error",
        alone(nic("01:00.0", io(0x10000))),
        alone(nic("01:00.0", io(0xFFE0))),
    ),
    (
        "io-range-emulated",
        "error",
        alone(nic("01:00.0", io(0x8FF0))),
        alone(nic("01:00.0", io(0x8FE0))),
    ),
    (
        "io-range-emulated",
        "error",
        alone(nic("01:00.0", io(0x3F8, 8))),
        alone(nic("01:00.0", io(0x3F0, 8))),
    ),
    (
        "io-range-adjacent",
        "note",
        alone(nic("01:00.0", io(0x7000)), nic("01:00.1", io(0x7020))),
        alone(nic("01:00.0", io(0x7000)), nic("01:00.1", io(0x7040))),
    ),
    (
        "io-range-overlap",
        "error",
        alone(nic("01:00.0", io(0x7000, 64)), nic("01:00.1", io(0x7020))),
        alone(nic("01:00.0", io(0x7000)), nic("01:00.1", io(0x7020))),
    ),
    ("no-intx-pin", "error", alone(nic(intx_pin=None)), alone(nic())),
    ("shared-pin", "warning", SHARED, APART),
    (
        "ioapic-not-recorded",
        "warning",
        alone(nic(), acpi=routed((1, "A", 24), madt=TWO)),
        alone(nic(), acpi=routed((1, "A", 23), madt=TWO)),
    ),
    (
        "ioapic-not-recorded",
        "error",
        alone(nic(), measured=(MeasuredPin(NIC, 1, 3, "probe"),)),
        alone(nic(), measured=(MeasuredPin(NIC, 0, 3, "probe"),)),
    ),
    (
        "pins-disagree",
        "note",
        alone(nic(), acpi=routed((1, "A", 17)), measured=measured({"01:00.0": 16})),
        alone(nic(), acpi=routed((1, "A", 16)), measured=measured({"01:00.0": 16})),
    ),
    (
        "pins-disagree",
        "warning",
        # INTB through root port 16:00.0 is pin 17 by the board's rule; the profile has seen 16.
        alone(SLOT7, *with_port(intx_pin="B").functions),
        alone(SLOT7, *with_port(intx_pin="A").functions),
    ),
    (
        "pin-not-measured",
        "note",
        alone(nic(), acpi=routed((1, "A", 16))),
        alone(nic(), measured=measured({"01:00.0": 16})),
    ),
    (
        "intx-line-is-no-pin",
        "note",
        alone(nic(irq=11), measured=measured({"01:00.0": 16})),
        alone(nic(irq=16), measured=measured({"01:00.0": 16})),
    ),
    (
        "intx-line-is-no-pin",
        "note",
        alone(nic(interrupt_line=10), measured=measured({"01:00.0": 16})),
        alone(nic(interrupt_line=0xFF), measured=measured({"01:00.0": 16})),
    ),
    ("routing-not-observed", "note", alone(nic()), alone(nic(), acpi=routed((1, "A", 16)))),
    (
        "device-all-ones",
        "error",
        alone(Function(NIC, problems=("config space reads as ones: off",))),
        alone(nic()),
    ),
    ("device-all-ones", "error", alone(nic(vendor=0xFFFF)), alone(nic(vendor=0xFFFE))),
    ("beyond-pci-table", "error", crowd(128), crowd(127)),
    ("segment-not-zero", "error", alone(nic("0001:01:00.0")), alone(nic("0000:01:00.0"))),
    (
        "sriov-enabled",
        "error",
        having(Sriov(enabled=True, total_vfs=8, num_vfs=0)),
        having(Sriov(enabled=False, total_vfs=8, num_vfs=0)),
    ),
    ("sriov-enabled", "error", having(Sriov(num_vfs=2)), having(Sriov(total_vfs=8))),
    ("device-in-d3", "warning", having(PowerManagement("D3hot")), having(PowerManagement("D0"))),
    ("device-in-d3", "warning", alone(nic(power_state="D3cold")), alone(nic(power_state="unknown"))),
    ("bar-unreachable", "error", behind((0xF0100000, 0xF01FFFFF)), behind((0xF0000000, 0xF00FFFFF))),
    ("bridge-is-off", "error", behind((0xF0000000, 0xF00FFFFF), 0x4), behind((0xF0000000, 0xF00FFFFF), 0x6)),
    (
        "bridge-keeps-dma",
        "warning",
        behind((0xF0000000, 0xF00FFFFF), 0x2),
        behind((0xF0000000, 0xF00FFFFF), 0x6),
    ),
    ("config-damaged", "warning", alone(nic(problems=("BAR 5 is 64 bits wide",))), alone(nic())),
    (
        "iommu-off",
        "error",
        alone(nic(), acpi=Acpi(madt=ONE), missing=NO_DMAR),
        alone(nic(), acpi=Acpi(madt=ONE), missing=REFUSED_DMAR),
    ),
    (
        "iommu-off",
        "error",
        alone(nic(), acpi=Acpi(madt=ONE), missing=NO_DMAR),
        alone(nic(), missing=NO_DMAR),
    ),
    (
        "iommu-dropped",
        "error",
        alone(nic(), acpi=reserved(endpoint("00:14.0", hops=2))),
        alone(nic(), acpi=reserved(endpoint("00:14.0"))),
    ),
    (
        "iommu-dropped",
        "error",
        alone(nic(), acpi=reserved(endpoint("00:14.0", kind=2))),
        alone(nic(), acpi=reserved()),
    ),
    (
        "iommu-dropped",
        "error",
        alone(nic(), acpi=reserved(limit=G4)),
        alone(nic(), acpi=reserved(limit=G4 - 1)),
    ),
    (
        "iommu-dropped",
        "error",
        alone(nic(), acpi=reserved(*[endpoint("00:14.0")] * 33)),
        alone(nic(), acpi=reserved(*[endpoint("00:14.0")] * 32)),
    ),
    (
        "iommu-dropped",
        "error",
        alone(nic(), acpi=Acpi(dmar=Dmar(46, 0, (Drhd(0, G4, True, ()),), ()))),
        alone(nic(), acpi=Acpi(dmar=Dmar(46, 0, (Drhd(0, G4 - 4096, True, ()),), ()))),
    ),
    (
        "rmrr-on-device",
        "warning",
        alone(nic(), acpi=reserved(endpoint("01:00.0"))),
        alone(nic(), acpi=reserved(endpoint("01:00.1"))),
    ),
    (
        "rmrr-on-device",
        "warning",
        alone(PORT, nic(), acpi=reserved(endpoint("00:1c.0", kind=2))),
        alone(PORT, nic(), acpi=reserved(endpoint("00:1c.1", kind=2))),
    ),
    (
        "rmrr-in-window",
        "error",
        alone(nic(), acpi=reserved(endpoint("01:00.0"), base=0x9FFFF000, limit=0x9FFFFFFF)),
        alone(nic(), acpi=reserved(endpoint("01:00.0"), base=0xA0000000, limit=0xA0000FFF)),
    ),
    (
        "iommu-group-shared",
        "warning",
        alone(nic(iommu_group=7), nic("01:00.1", iommu_group=7)),
        alone(nic(iommu_group=7), nic("01:00.1", iommu_group=8)),
    ),
    (
        "iommu-group-shared",
        "warning",
        alone(nic(iommu_group=7), function("00:1f.0", class_code=0x0601, iommu_group=7)),
        alone(replace(PORT, iommu_group=7), nic(iommu_group=7)),
    ),
    (
        "vtx-off",
        "error",
        alone(nic(), platform=Platform(vtx=False)),
        alone(nic(), platform=Platform(vtx=True)),
    ),
    (
        "vtx-off",
        "error",
        alone(nic(), platform=Platform(vtx_locked_off=True)),
        alone(nic(), platform=Platform()),
    ),
    (
        "x2apic-on",
        "error",
        alone(nic(), platform=Platform(x2apic=True)),
        alone(nic(), platform=Platform(x2apic=False)),
    ),
    (
        "platform-not-observed",
        "note",
        alone(nic(), platform=Platform(vtx=True, x2apic=False)),
        alone(nic(), platform=Platform(vtx=True, x2apic=False, iommu=True)),
    ),
    ("capabilities-not-observed", "note", alone(function("01:00.0")), alone(nic())),
    (
        "profile-board",
        "error",
        replace(E300_MACHINE, identity=Identity(baseboard="X10SDV")),
        replace(E300_MACHINE, identity=Identity(baseboard="X11SDV-4C-TLN2F")),
    ),
    (
        "profile-part",
        "note",
        alone(*(replace(f, bdf=replace(f.bdf, device=f.bdf.device + 1)) for f in E300_REST), *E300_PORTS),
        E300_MACHINE,
    ),
    ("profile-functions-missing", "error", alone(*E300_REST, *E300_PORTS[:2]), E300_MACHINE),
    (
        "function-count-differs",
        "note",
        E300_MACHINE,
        alone(*E300_REST, *E300_PORTS, *(Function(Bdf(0, 1, n // 8, n % 8)) for n in range(125))),
    ),
    (
        "port-moved",
        "note",
        alone(*E300_REST, replace(E300_PORTS[0], bdf=Bdf.parse("18:00.0")), *E300_PORTS[1:]),
        E300_MACHINE,
    ),
    (
        "profile-bars",
        "warning",
        with_port(bars=(mem(0xC5B00000, 0x20000), io(0x7060), mem(0xC5E0C000, index=3))),
        with_port(bars=(mem(0xC5B00000, None), io(0x7060), mem(0xC5E0C000, index=3))),
    ),
    (
        "profile-bars",
        "warning",
        with_port(bars=(mem(0xC5B00000, 1 << 20), mem(0xC5E0C000, index=3))),
        E300_MACHINE,
    ),
    ("profile-intx-pin", "warning", with_port(intx_pin="B"), with_port(intx_pin="A")),
    (
        "sources-disagree",
        "warning",
        alone(nic(), conflicts=(Conflict(NIC, "intx_pin", "A", "B"),)),
        alone(nic()),
    ),
    (
        "sources-disagree",
        "note",
        alone(nic(), conflicts=(Conflict(Bdf(0, 0, 0, 0), "bars", "x", "y"),)),
        alone(nic()),
    ),
]


def found(machine: Machine) -> list[Finding]:
    """Return the findings; a machine that shows the E300-9D's LPC bridge is asked with its profile."""
    asked = any(each.device == 0xA1C8 for each in machine.functions)
    return list(assess(machine, E300 if asked else None).findings)


@pytest.mark.parametrize(
    ("code", "severity", "raises", "quiet"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)]
)
def test_each_finding_and_its_edge(code: str, severity: str, raises: Machine, quiet: Machine) -> None:
    told = [f for f in found(raises) if f.code == code and f.severity == severity]
    assert told, [f.code for f in found(raises)]
    for finding in told:
        assert finding.message and finding.fix and finding.source
        assert finding.bdf is None or raises.find(finding.bdf) is not None
    assert not [f for f in found(quiet) if f.code == code and f.severity == severity]


def test_every_code_that_a_machine_raises_has_its_case_here() -> None:
    codes = {code for _, code, _ in about_functions()}
    assert len(codes) > 30
    # What only a configuration brings up has its case in test_rules.
    of_configurations = {"bridge", "chipset-function", "pin-shared", "virtual-function"}
    of_builds = {"boot-set", "console-silent", "kernel-silent", "slow-copies", "drift-unknown"}
    of_builds |= {"processor-lacks", "too-many-nodes", "simulation", "iommu-kept-off"}
    assert codes - {case[0] for case in CASES} == of_configurations | of_builds
    assert {case[0] for case in CASES} <= codes


@pytest.mark.parametrize(
    "empty",
    [
        Machine(()),
        alone(Function(NIC)),
        alone(Function(NIC, class_code=0x0200, provenance={"class_code": "x"})),
    ],
)
def test_what_nobody_observed_raises_notes_only(empty: Machine) -> None:
    for finding in found(empty):
        assert finding.severity == "note", finding


def test_a_hundred_functions_of_a_chipset_say_nothing() -> None:
    chipset = [
        function(
            str(Bdf(0, 0, n // 8, n % 8)),
            class_code=(0x0600, 0x0880, 0x1101, 0x0601, 0x0780)[n % 5],
            intx_pin=None,
            bars=(Bar(0, "mem", 0x383FFFF00000 + n * 0x4000, 0x4000, 64),),
            iommu_group=n // 8,
        )
        for n in range(128)
    ]
    assert [f for f in found(alone(*chipset, nic("05:00.0"))) if f.bdf and f.bdf.bus == 0] == []


def test_findings_say_the_same_sentence_for_functions_in_the_same_case() -> None:
    shared = [f for f in found(SHARED) if f.code == "shared-pin"]
    assert len(shared) == 2 and len({(f.message, f.fix) for f in shared}) == 1
    assert "01:00.0" in shared[0].message and "02:00.0" in shared[0].message


def test_a_pin_shared_with_the_chipset_only_is_no_finding() -> None:
    smbus = function("00:1f.4", class_code=0x0C05, intx_pin="A")
    machine = alone(
        nic(), smbus, acpi=Acpi(madt=ONE, prt=(PrtEntry(1, 0, "A", 16), PrtEntry(0, 0x1F, "A", 16)))
    )
    assessment = assess(machine)
    assert assessment.sharing[NIC] == (smbus.bdf,)
    assert "shared-pin" not in {f.code for f in assessment.findings}


def test_evidence_of_the_msix_only_function_names_it() -> None:
    machine = alone(nic(intx_pin=None, capabilities=(Capability(0x11, 0x70, decoded=MsiX(10)),)))
    (finding,) = [f for f in found(machine) if f.code == "no-intx-pin"]
    assert "MSI-X only" in finding.message


def test_missing_tables_are_named_where_the_routing_is_missed() -> None:
    gap = Missing("routing", "acpiexec is not installed: apt install acpica-tools")
    (finding,) = [f for f in found(alone(nic(), missing=(gap,))) if f.code == "routing-not-observed"]
    assert any("apt install acpica-tools" in text for text in finding.evidence)


@pytest.mark.parametrize(
    ("lost", "way", "dead_end"),
    [
        (("PC01._BBN", "PC01._SEG"), "add Linux's boot log", "measured"),
        (("PCI0.RP01._ADR",), "--collector", "boot log"),
        (("PC01._BBN", "PC01.BR1A._ADR"), "--collector", "boot log"),
        (("PCI0._PRT",), "--firmware-probe", "boot log"),
    ],
)
def test_what_depends_on_registers_is_sought_where_it_is_told(
    lost: tuple[str, ...], way: str, dead_end: str
) -> None:
    gaps = tuple(
        Missing("routing", f"\\_SB.{name} depends on registers that a capture has not") for name in lost
    )
    (finding,) = [f for f in found(alone(nic(), missing=gaps)) if f.code == "routing-not-observed"]
    assert finding.fix is not None
    assert way in finding.fix
    assert dead_end not in finding.fix


def test_what_is_unsettled_beside_a_change_is_no_reason_against_it() -> None:
    # The pin is unknown, and the only BAR has no address: a change, and something to settle first.
    machine = alone(nic(bars=(Bar(0, "mem", None, 0x1000),)))
    word = assess(machine, E300).passability[NIC]
    assert (word.word, word.reasons) == ("needs-change", ())
    assert word.changes
    assert word.unsettled == ("its IOAPIC pin is not known",)


# Properties.

_BARS = st.builds(
    Bar,
    st.integers(0, 5),
    st.sampled_from(["mem", "io"]),
    st.one_of(st.none(), st.integers(0, 1 << 64)),
    st.one_of(st.none(), st.integers(0, 1 << 40)),
)


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    bdfs = draw(
        st.lists(
            st.builds(Bdf, st.integers(0, 1), st.integers(0, 3), st.integers(0, 3), st.integers(0, 7)),
            max_size=8,
            unique=True,
        )
    )
    functions = []
    for bdf in sorted(bdfs):
        fields: dict[str, Any] = {}
        for name, strategy in {
            "class_code": st.sampled_from([0x0200, 0x0106, 0x0604, 0x0880]),
            "bars": st.lists(_BARS, max_size=4).map(tuple),
            "firmware_bars": st.lists(_BARS, max_size=4).map(tuple),
            "intx_pin": st.sampled_from([None, "A", "B", "C", "D"]),
            "irq": st.integers(0, 400),
            "iommu_group": st.integers(0, 3),
            "header_type": st.integers(0, 2),
            "bridge": st.builds(Bridge, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
        }.items():
            if draw(st.booleans()):
                fields[name] = draw(strategy)
        functions.append(Function(bdf, **fields, provenance=dict.fromkeys(fields, "test")))
    return Machine(tuple(functions))


def well_formed(assessment: Assessment) -> Iterable[str]:
    for finding in assessment.findings:
        for text in (finding.message, *finding.evidence):
            if not text or "None" in text:
                yield text


@settings(max_examples=200, deadline=None)
@given(machines())
def test_any_machine_is_assessed_and_every_function_gets_a_word(machine: Machine) -> None:
    assessment = assess(machine, E300)
    assert set(assessment.passability) == {function.bdf for function in machine.functions}
    assert list(well_formed(assessment)) == []
    for word in assessment.passability.values():
        assert bool(word.changes) == (word.word == "needs-change")
        assert bool(word.reasons) == (word.word in ("not-passable", "unknown"))


@settings(max_examples=200, deadline=None)
@given(machines())
def test_neighbours_on_a_page_are_those_a_slow_search_finds(machine: Machine) -> None:
    inputs = Inputs.of_machine(machine, None)
    pages = [
        (f.bdf, bar.base >> 12, bar.base + bar.size - 1 >> 12)
        for f in machine.functions
        for bar in bars_under_sel4(f) or ()
        if bar.kind == "mem" and bar.base and bar.size  # at 0 it is unassigned, and on no page
    ]
    slow = {
        (a, b)
        for a, first, last in pages
        for b, start, end in pages
        if a != b and a.domain == b.domain and start <= last and first <= end
    }
    quick = {(a, b) for a, others in page_neighbours(inputs).items() for b in others}
    assert quick <= slow
    assert {a for a, _ in slow} == {a for a, _ in quick}


def test_a_machine_nobody_could_build_is_assessed_in_bounded_time() -> None:
    same = (mem(0xC0000000),)
    functions = [
        Function(
            Bdf(0, n >> 8, n >> 3 & 31, n & 7),
            class_code=0x0200,
            bars=same,
            intx_pin="A",
            provenance=dict.fromkeys(("class_code", "bars", "intx_pin"), "x"),
        )
        for n in range(4096)
    ]
    assessment = assess(
        alone(
            *functions,
            acpi=Acpi(madt=ONE, prt=tuple(PrtEntry(b, d, "A", 16) for b in range(16) for d in range(32))),
        )
    )
    assert len(assessment.passability) == 4096
