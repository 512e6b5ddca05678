"""Whoever asks is told the same: probe-pci, overlay's and update's draft, check, and the gate before a boot.

Each constraint is broken once. What is told of a function has to be told by all four, word for word; what an
assignment is refused for has to be an error of a check of the same configuration; and what only a
configuration can break is judged by nobody but the rules.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import ProfileError
from bringup.base.finding import Finding, Report
from bringup.camkes.assign.model import Passthrough
from bringup.camkes.assign.request import parse_wanted
from bringup.camkes.assign.solve import ACCEPTABLE, assign
from bringup.camkes.claims.facts import Claim, Claims, claims_of_application
from bringup.camkes.model import Application
from bringup.pci.acpi.tables import TABLES
from bringup.pci.assessment import Assessment
from bringup.pci.model import (
    Acpi,
    Bar,
    Bdf,
    Bridge,
    Capability,
    Dmar,
    Drhd,
    Function,
    Machine,
    MeasuredPin,
    Missing,
    Platform,
    Rmrr,
    Scope,
    Sriov,
    Window,
)
from bringup.rules.assess import assess
from bringup.rules.check import RULES, check, recheck
from tests import places
from tests.unit.camkes.passthrough import function
from tests.unit.rules.codes import about_functions, raised
from tests.unit.rules.test_findings import CASES as OF_MACHINES
from tests.unit.rules.test_rules import CASES as OF_CONFIGURATIONS
from tests.unit.rules.world import frozen, plain_vm, setting, world

NIC = Bdf.parse("17:00.0")
OTHER = Bdf.parse("17:00.1")
BAR = Bar(0, "mem", 0xC5B00000, 0x100000)
IO = Bar(2, "io", 0x7060, 32)
# Of the unit and its capture, and of the build alone.
UNIT_ONLY = {"M8", "M9", "M10", "M11", "C45", "C46", "C48", "F6", "F8", "F9", "F10", "F11", "F12"}


def nic(at: Bdf = NIC, *bars: Bar, **fields: Any) -> Function:
    """Return a port of a network card with which nothing is wrong."""
    fields = {"bars": bars or (BAR, IO), "intx_pin": "A", "header_type": 0, "capabilities": (), **fields}
    return function(str(at), **fields)


def slot(command: int, memory: Window) -> Function:
    """Return the bridge above the port."""
    windows = (Window("io", 0x7000, 0x7FFF), memory)
    return function("16:00.0", header_type=1, bridge=Bridge(0x16, 0x17, 0x17, windows), command=command)


def having(*functions: Function, **parts: Any) -> Machine:
    """Return a machine with these functions, each on a measured pin of its own."""
    pins = tuple(MeasuredPin(f.bdf, 0, 16 + n, "probe") for n, f in enumerate(functions))
    whole: dict[str, Any] = {
        "acpi": Acpi(dmar=Dmar(46, 1, (Drhd(0, 0xFBFFC000, True, ()),), ())),
        "platform": Platform(x2apic=False, memory_bytes=16 << 30),
        "measured": pins,
    }
    return Machine(tuple(sorted(functions, key=lambda f: f.bdf)), **{**whole, **parts})


def reserved(base: int, limit: int, kind: int = 1) -> Acpi:
    scope = Scope(kind, 0, NIC.bus, ((NIC.device, NIC.function),), NIC)
    return Acpi(dmar=Dmar(46, 1, (), (Rmrr(0, base, limit, (scope,)),)))


def crowd() -> Iterator[Function]:
    return (function(str(Bdf(0, 0, n >> 3, n & 7)), class_code=0x0880) for n in range(128))


# What is told of a function or of the machine, whoever asks: rule, code, a machine that raises it.
BROKEN: dict[tuple[str, str], Machine] = {
    ("C10", "no-intx-pin"): having(nic(intx_pin=None), measured=()),
    ("C10", "virtual-function"): having(nic(physical_function=OTHER), measured=()),
    ("C13", "bridge"): having(nic(header_type=1, class_code=0x0604)),
    ("C14", "beyond-pci-table"): having(nic(), *crowd(), measured=(MeasuredPin(NIC, 0, 16, "probe"),)),
    ("C19", "bar-not-aligned"): having(nic(NIC, replace(BAR, base=0xC5B80000))),
    ("C20", "bar-not-power-of-two"): having(nic(NIC, replace(BAR, size=0x180000))),
    ("C21", "bar-unassigned"): having(nic(NIC, replace(BAR, base=0))),
    ("C21", "bar-above-4g"): having(nic(NIC, replace(BAR, base=0x38C000000000))),
    ("C23", "bar-below-page"): having(nic(NIC, Bar(0, "mem", 0xC5B00800, 0x800))),
    ("C23", "bar-shares-page"): having(
        nic(NIC, Bar(0, "mem", 0xC5B00000, 0x800)),
        nic(OTHER, Bar(0, "mem", 0xC5B00800, 0x800)),
    ),
    ("C28", "bar-unassigned"): having(nic(NIC, BAR, replace(IO, base=None))),
    ("C29", "io-range-overlap"): having(nic(NIC, BAR, IO), nic(OTHER, replace(IO, base=0x7040, size=64))),
    ("C30", "io-range-emulated"): having(nic(NIC, BAR, replace(IO, base=0x9C00))),
    ("C31", "io-range-beyond"): having(nic(NIC, BAR, replace(IO, base=0xFFF0))),
    ("C32", "iommu-off"): having(
        nic(), acpi=Acpi(madt=world().madt), missing=(Missing(f"{TABLES}/DMAR", "absent"),)
    ),
    ("C34", "iommu-dropped"): having(nic(), acpi=reserved(0x1000, 0x1FFF, kind=2)),
    ("C36", "rmrr-in-window"): having(nic(), acpi=reserved(0x20000000, 0x20000FFF)),
    ("C47", "x2apic-on"): having(nic(), platform=Platform(x2apic=True)),
    ("M1", "device-all-ones"): having(nic(vendor=0xFFFF)),
    ("M2", "sriov-enabled"): having(nic(capabilities=(Capability(0x10, 0x160, decoded=Sriov(True)),))),
    ("M3", "device-in-d3"): having(nic(power_state="D3hot")),
    ("M4", "config-damaged"): having(nic(problems=("BAR 5 is 64 bits wide",))),
    ("M5", "chipset-function"): having(nic(class_code=0x0880)),
    ("M12", "bar-unreachable"): having(nic(), slot(7, Window("mem", 0xC5C00000, 0xC5CFFFFF))),
    ("M12", "bridge-keeps-dma"): having(nic(), slot(3, Window("mem", 0xC5B00000, 0xC5BFFFFF))),
    ("M12", "bridge-is-off"): having(nic(), slot(2, Window("mem", 0xC5B00000, 0xC5BFFFFF))),
    ("M6", "firmware-bar-differs"): having(nic(firmware_bars=(replace(BAR, base=0xC5C00000),))),
}
# The same rule in other words, before and after it is known who gets what: notes for whoever will write a
# configuration, and what is wrong with one. Or segment 1, which no configuration can name.
REWORDED = {
    "shared-pin", "pin-shared", "iommu-group-shared", "rmrr-on-device", "io-range-adjacent", "pins-disagree",
    "pin-not-measured", "intx-line-is-no-pin", "routing-not-observed", "segment-not-zero",
    "ioapic-not-recorded",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What each of those who ask is told about one machine; `drafted` None: refused before any draft."""

    machine: Machine
    assessment: Assessment
    checked: Report
    gated: Report
    refused: ProfileError | None
    drafted: Report | None


def plain() -> Application:
    """Return an application of two VMs that pass nothing through."""
    made = replace(world(), vm0=plain_vm(0), vm1=plain_vm(1))
    return made.application()


def with_settings(passthrough: Passthrough) -> Application:
    """Return the application with what `overlay` and `update` would write."""
    settings = [
        setting(f"{p.instance}.{p.attribute}", p.value, 100 + n) for n, p in enumerate(passthrough.settings())
    ]
    base = plain()
    new = {s.key for s in settings}
    return replace(base, settings=(*(s for s in base.settings if s.key not in new), *settings))


def by_hand(machine: Machine) -> Application:
    """Return the application with the function passed to vm0 by a person who copied its BARs."""
    bars = [bar for bar in machine.find(NIC).bars or () if bar.base and bar.size]  # type: ignore[union-attr]
    memory = [
        {"paddr": bar.base & ~4095, "size": -(-bar.size // 4096) * 4096, "page_bits": 12}  # type: ignore[operator]
        for bar in bars
        if bar.kind == "mem"
    ]
    ports = [
        {"start": bar.base, "end": bar.end, "pci_device": 0, "name": "eth"}
        for bar in bars
        if bar.kind == "io"
    ]
    device = {"name": "eth", "bus": NIC.bus, "dev": NIC.device, "fun": NIC.function, "irq": "i"}
    base = plain()
    return replace(
        base,
        settings=(
            *base.settings,
            setting("vm0.pci_devices", [{**device, "memory": memory}], 90),
            setting("vm0.vm_irqs", [{"name": "i", "ioapic": 0, "source": 16, "level_trig": 0,
                                     "active_low": 1, "dest": 11}], 91),
            setting("vm0.vm_ioports", frozen(ports), 92),
        ),
    )  # fmt: skip


def ask(machine: Machine) -> Asked:
    """Ask everybody about one machine of which vm0 shall have the function."""
    assessment = assess(machine)
    written = by_hand(machine)
    refused = drafted = None
    wanted = [parse_wanted("vm0=17:00.0")]
    try:
        assign(assessment, wanted, plain())
    except ProfileError as error:
        refused = error
    try:
        draft = with_settings(assign(assessment, wanted, plain(), accept=ACCEPTABLE))
        drafted = check(draft, assessment=assessment)
    except ProfileError:
        assert refused is not None
    claims: Claims = claims_of_application(written)
    return Asked(
        machine, assessment, check(written, assessment=assessment), recheck(claims, machine), refused, drafted
    )


def about(report: Report | Assessment) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return what is told of the function or the machine, without where it is written; notes apart."""
    return {
        (f.rule, f.code): (f.severity, f.message, f.fix, f.source, *f.evidence)
        for f in report.findings
        if f.severity != "note" and f.rule not in UNIT_ONLY and f.code not in REWORDED and is_about(f)
    }


def is_about(finding: Finding) -> bool:
    return finding.bdf == NIC or (finding.bdf is None and (finding.rule, finding.code) in BROKEN)


def test_everything_told_of_functions_and_machines_is_in_the_table() -> None:
    told = {(rule, code) for rule, code, _ in about_functions() if rule not in UNIT_ONLY}
    assert {pair for pair in told if pair[1] not in REWORDED} == set(BROKEN)
    assert {code for _, code in told} >= REWORDED


@pytest.mark.parametrize(("rule", "code"), BROKEN, ids="-".join)
def test_a_broken_constraint_is_told_by_all_in_the_same_words(rule: str, code: str) -> None:
    asked = ask(BROKEN[rule, code])
    told = about(asked.checked)
    assert (rule, code) in told, told
    assert about(asked.gated) == told
    assert asked.drafted is None or about(asked.drafted)[rule, code] == told[rule, code]
    # What a word says already of a function that nobody would pass is no finding of probe-pci.
    word = asked.assessment.passability[NIC].word
    if word != "not-passable":
        assert about(asked.assessment)[rule, code] == told[rule, code]


@pytest.mark.parametrize(("rule", "code"), BROKEN, ids="-".join)
def test_what_is_refused_is_an_error_and_the_other_way_round(rule: str, code: str) -> None:
    asked = ask(BROKEN[rule, code])
    error = about(asked.checked)[rule, code][0] == "error"
    word = asked.assessment.passability[NIC].word
    # x2APIC is the kernel's affair: no function can be blamed, and the draft is an error.
    assert (
        (word in ("needs-change", "not-passable")) is (asked.refused is not None) is (error and rule != "C47")
    )
    assert bool([f for f in asked.gated.findings if f.severity == "error"]) is error
    assert not error or asked.refused is not None or not (asked.drafted and asked.drafted.clean)


def test_an_io_bar_among_the_ports_of_virtio_is_refused_by_all() -> None:
    asked = ask(BROKEN["C30", "io-range-emulated"])
    assert asked.assessment.passability[NIC].word == "needs-change"
    assert "--accept io-range-emulated" in str(asked.refused and asked.refused.hint)
    for report in (asked.checked, asked.drafted, asked.gated):
        assert report and "io-range-emulated" in {f.code for f in report.findings if f.severity == "error"}


def test_an_ioapic_that_stock_kernels_leave_out_is_told_of_belief_and_line() -> None:
    asked = ask(having(nic(), measured=(MeasuredPin(NIC, 1, 3, "probe"),)))
    assert asked.refused and "--accept ioapic-not-recorded" in (asked.refused.hint or "")
    for report in (asked.assessment, asked.drafted, asked.gated):
        assert report
        (told,) = [f for f in report.findings if f.code == "ioapic-not-recorded"]
        assert (told.rule, told.severity) == ("C2", "error")


@pytest.mark.parametrize(
    ("rule", "fields", "pins"),
    [("C4", {}, (16, 16)), ("M7", {"iommu_group": 7}, (16, 17))],
)
def test_what_two_functions_share_is_a_limit_and_then_a_finding_of_the_second(
    rule: str, fields: dict[str, Any], pins: tuple[int, int]
) -> None:
    second = (replace(BAR, base=0xC5A00000), replace(IO, base=0x7040))
    measured = tuple(MeasuredPin(bdf, 0, pin, "probe") for bdf, pin in zip((NIC, OTHER), pins, strict=True))
    machine = having(nic(**fields), nic(OTHER, *second, **fields), measured=measured)
    assessment = assess(machine)
    assert rule in {f.rule for f in assessment.findings if f.effect == "limit"}
    assert OTHER.short in assessment.passability[NIC].limits[0]
    wanted = [parse_wanted("vm0=17:00.0"), parse_wanted("vm1=17:00.1")]
    if rule == "C4":
        with pytest.raises(ProfileError, match="C4"):
            assign(assessment, wanted, plain())
    else:
        passthrough = assign(assessment, wanted, plain())
        assert passthrough.cautions
        assert rule in {f.rule for f in check(with_settings(passthrough), assessment=assessment).findings}
    claims = Claims("x", (Claim("vm0", NIC), Claim("vm1", OTHER)))
    assert rule in {f.rule for f in recheck(claims, machine).findings}
    together = Claims("x", (Claim("vm0", NIC), Claim("vm0", OTHER)))
    assert rule not in {f.rule for f in recheck(together, machine).findings}


def test_what_was_accepted_only_warns_wherever_it_is_asked_again() -> None:
    machine = BROKEN["C30", "io-range-emulated"]
    claims = replace(claims_of_application(by_hand(machine)), accepted=("io-range-emulated",))
    for report in (
        recheck(claims, machine),
        check(by_hand(machine), assessment=assess(machine), claims=claims),
        check(by_hand(machine), assessment=assess(machine), accepted=["io-range-emulated"]),
    ):
        assert [f.severity for f in report.findings if f.code == "io-range-emulated"] == ["warning"]
        assert report.clean, [f for f in report.findings if f.severity == "error"]


_BARS = st.builds(
    Bar,
    st.integers(0, 5),
    st.sampled_from(["mem", "io"]),
    st.one_of(
        st.sampled_from([None, 0, 0x3F8, 0x7060, 0x9C00, 0xFFF0, 0xC5B00000, 0xC5B00800, 0xFFFFF000]),
        st.integers(0, 1 << 34),
    ),
    st.sampled_from([4, 32, 0x800, 0x1000, 0x3000, 0x4000, 0x100000]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(_BARS, max_size=4, unique_by=lambda bar: bar.index),
    st.lists(_BARS, max_size=2, unique_by=lambda bar: bar.index),
    st.sampled_from([None, "A", "B"]),
    st.booleans(),
)
def test_any_machine_is_judged_alike(
    mine: list[Bar], theirs: list[Bar], pin: str | None, sriov: bool
) -> None:
    held = (Capability(0x10, 0x160, decoded=Sriov(sriov)),)
    first = nic(NIC, bars=tuple(mine), intx_pin=pin, capabilities=held)
    machine = having(first, nic(OTHER, bars=tuple(theirs)), measured=(MeasuredPin(NIC, 0, 16, "probe"),))
    asked = ask(machine)
    told = about(asked.assessment)
    assert about(asked.checked) == about(asked.gated) == told
    if asked.drafted is not None:
        assert about(asked.drafted) == told
    errors = {pair for pair, (severity, *_) in told.items() if severity == "error"}
    assert bool(errors) is (asked.assessment.passability[NIC].word in ("needs-change", "not-passable"))
    if errors:
        assert asked.refused is not None


# What an assignment is refused for.


def refusals() -> Iterator[tuple[str, str]]:
    """Yield (file, constraint) for each constraint that a refusal outside of the rules names."""
    for folder in ("camkes/assign", "camkes/vms", "camkes/write", "jobs/configure"):
        for path in sorted((places.CHECKOUT / "bringup" / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise):
                    for ids in re.findall(r"\(([CF]\d+(?:, [CF]\d+)*)\)", ast.unparse(node)):
                        yield from ((path.stem, each) for each in ids.split(", "))


def hand(**values: Any) -> Callable[[], Report]:
    """Ask a check about vm1 that has already what vm0 is given."""

    def asked() -> Report:
        w = world()
        w.vm1.update(values)
        return w.report()

    return asked


def same_bus() -> Report:
    w = world()
    w.vm0["init_cons"] = [{"init": f"make_{n}"} for n in range(30)]
    return w.report()


DEVICE = {"name": "e", "bus": 1, "dev": 0, "fun": 0, "irq": "i", "memory": []}
LINE = {"name": "i", "ioapic": 0, "source": 20, "level_trig": 0, "active_low": 1, "dest": 5}
GUEST_IRQS = [{**LINE, "name": f"q{n}", "source": 100 + n, "dest": n} for n in range(16)]
REFUSED: dict[str, Callable[[], Report]] = {
    "C2": hand(vm_irqs=[{**LINE, "ioapic": 9}]),
    "C3": hand(vm_irqs=[{**LINE, "source": 240}]),
    "C4": hand(vm_irqs=[{**LINE, "source": 16}]),
    "C6": hand(vm_irqs=[{**LINE, "dest": 11}]),
    "C7": hand(vm_irqs=[{**LINE, "dest": 4}]),
    "C12": hand(pci_devices=[{**DEVICE, "bus": 0x17}]),
    "C15": same_bus,
    "C23": hand(pci_devices=[{**DEVICE, "memory": [{"paddr": 0xC5E0C000, "size": 0x1000, "page_bits": 12}]}]),
    "C24": hand(pci_devices=[{**DEVICE, "memory": [{"paddr": 0xC5E0F000, "size": 0x1000, "page_bits": 12}]}]),
    "C25": hand(guest_ram_mb=2400),
    "C29": hand(vm_ioports=[{"start": 0x7000, "end": 0x7061, "pci_device": 0, "name": "e"}]),
    "C40": hand(simple_untyped26_pool=1000),
}  # fmt: skip


def test_a_refusal_names_no_constraint_that_a_check_would_not_tell() -> None:
    named = {rule for _, rule in refusals()}
    assert named and named <= set(REFUSED) | {"C42", "C43"}, named - set(REFUSED)


@pytest.mark.parametrize("rule", REFUSED)
def test_what_an_assignment_is_refused_for_is_an_error_of_a_check(rule: str) -> None:
    errors = {f.rule for f in REFUSED[rule]().findings if f.severity == "error"}
    # Whether the page is another's or the device's own: of two on one page the VMM is granted it once (C24).
    assert ({"C24"} if rule == "C23" else {rule}) <= errors


# Nobody else judges.


def test_findings_are_made_in_rules_only() -> None:
    made = set()
    for path in sorted((places.CHECKOUT / "bringup").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        # A packet filter's rules are others than those of base/finding.py.
        if "bringup.base.finding" in text and re.search(r"\b(Rule|Finding)\(\n?\s*[\"f]", text):
            made.add(path.relative_to(places.CHECKOUT / "bringup").as_posix())
    assert {name for name in made if not name.startswith("rules/")} == {
        "camkes/vms/read.py"
    }  # F2, as it reads


def test_every_code_of_the_rules_has_a_case() -> None:
    codes = {code for _, _, codes, _ in raised() for code in codes}
    cases = {case.slug for case in OF_CONFIGURATIONS} | {code for code, *_ in OF_MACHINES}
    assert codes - cases == {"drift-", "drift-unknown", "virtual-function", "segment-not-zero"} - cases
    assert {rule.id for rule in RULES} > {f"C{n}" for n in range(1, 49)}
