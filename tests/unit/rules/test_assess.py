"""The word per function: each word from its cause, the E300-9D whole, no heavy imports, in time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from bringup.pci.assessment import Assessment, Passability
from bringup.pci.model import (
    Acpi,
    Bar,
    Bdf,
    Function,
    IoApic,
    Machine,
    Madt,
    MeasuredPin,
    PrtEntry,
    Sriov,
)
from bringup.pci.model import Capability as Cap
from bringup.profile.load import load_profile
from bringup.profile.model import Profile
from bringup.rules.assess import assess
from tests.machines import catalogue
from tests.machines.catalogue import E300_9D
from tests.machines.views import View, views
from tests.unit.camkes.passthrough import function

E300 = load_profile("supermicro-e300-9d")
NIC = Bdf.parse("01:00.0")
PIN = (MeasuredPin(NIC, 0, 16, "probe"),)
GOOD = function(
    "01:00.0", device=0x1533, bars=(Bar(0, "mem", 0xC0000000, 0x20000),), intx_pin="A", capabilities=()
)


def word(subject: Function, measured: tuple[MeasuredPin, ...] = PIN, acpi: Acpi | None = None) -> Passability:
    machine = Machine((subject,), measured=measured, acpi=acpi or Acpi())
    return assess(machine).passability[subject.bdf]


def seen(subject: Function, **fields: object) -> Function:
    provenance = {**subject.provenance, **dict.fromkeys(fields, "test")}
    return replace(subject, **fields, provenance=provenance)  # type: ignore[arg-type]


def unseen(subject: Function, *names: str) -> Function:
    kept = {name: source for name, source in subject.provenance.items() if name not in names}
    return replace(subject, **dict.fromkeys(names), provenance=kept)  # type: ignore[arg-type]


def test_a_port_with_everything_in_order_is_passable() -> None:
    assert word(GOOD) == Passability("passable")


def test_a_pin_that_nobody_measured_is_a_limit_by_its_grade() -> None:
    acpi = Acpi(madt=Madt((IoApic(0, 8, 0xFEC00000, 0),)), prt=(PrtEntry(1, 0, "A", 16),))
    judged = word(GOOD, (), acpi)
    assert judged.word == "passable"
    assert judged.limits == ("pin 16 is as the firmware's tables say, not measured",)


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (unseen(GOOD, "bars"), "its BARs were not observed"),
        (seen(GOOD, bars=(Bar(0, "mem", 0xC0000000),)), "the sizes of its BARs were not observed"),
        (unseen(GOOD, "class_code"), "what it is was not observed"),
        (seen(GOOD, class_code=0xFFFF), "its class does not say what it is"),
    ],
)
def test_what_would_decide_and_was_not_seen_makes_it_unknown(subject: Function, reason: str) -> None:
    judged = word(subject)
    assert (judged.word, judged.reasons) == ("unknown", (reason,))


def test_without_a_pin_it_is_unknown() -> None:
    assert word(GOOD, ()) == Passability("unknown", reasons=("its IOAPIC pin is not known",))


def test_bars_that_only_the_firmware_told_are_enough() -> None:
    told = seen(unseen(GOOD, "bars"), firmware_bars=GOOD.bars)
    assert word(told) == Passability("passable")


def test_an_ioapic_that_sel4_leaves_masked_settles_nothing() -> None:
    madt = Madt((IoApic(0, 8, 0xFEC00000, 0), IoApic(1, 9, 0xFEC01000, 24)))
    judged = word(GOOD, (), Acpi(madt=madt, prt=(PrtEntry(1, 0, "A", 26),)))
    assert judged.word == "unknown" and "IOAPIC 1 is masked" in judged.reasons[0]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (seen(GOOD, class_code=0x0604, header_type=1), "it is a bridge (C13)"),
        (seen(GOOD, intx_pin=None), "it has no INTx pin, and VMs get no other interrupts"),
        (seen(GOOD, physical_function=Bdf.parse("01:00.1")), "virtual function of 01:00.1"),
        (seen(GOOD, class_code=0x0880), "it belongs to the chipset"),
        (seen(GOOD, class_code=0xFFFF, intx_pin=None), "it has no INTx pin (C10)"),
        (seen(GOOD, header_type=2, class_code=0x0607), "it is a bridge (C13)"),
        (seen(GOOD, header_type=3), "its header type is 3"),
        (seen(GOOD, bars=(Bar(0, "mem", 0xC0000000, 0x3000),)), "no size that a BAR can have"),
        (seen(GOOD, vendor=0xFFFF), "it answers with ones only"),
    ],
)
def test_what_can_never_be_passed(subject: Function, reason: str) -> None:
    judged = word(subject)
    assert judged.word == "not-passable" and reason in judged.reasons[0]


def test_changes_come_before_doubts_and_name_them_too() -> None:
    on = seen(GOOD, capabilities=(Cap(0x10, 0x160, True, decoded=Sriov(enabled=True, total_vfs=8)),))
    assert word(on) == Passability("needs-change", changes=("switch SR-IOV off",))
    doubted = word(on, ())
    assert doubted.changes == ("switch SR-IOV off", "settle first: its IOAPIC pin is not known")


def test_a_machine_without_an_iommu_needs_a_change_for_every_port() -> None:
    from bringup.pci.acpi.tables import TABLES
    from bringup.pci.model import Missing

    machine = Machine(
        (GOOD,),
        measured=PIN,
        acpi=Acpi(madt=Madt(())),
        missing=(Missing(f"{TABLES}/DMAR", "absent"),),
    )
    assert assess(machine).passability[NIC].changes == ("switch on VT-d in the firmware",)


@pytest.fixture(scope="module", params=views(E300_9D, "pciconf.txt"), ids=str)
def e300(request: pytest.FixtureRequest) -> Assessment:
    """The E300-9D as FreeBSD lists it: no routing, no platform."""
    view: View = request.param
    return assess(view.machine(), E300)


def test_the_e300_9d(e300: Assessment) -> None:
    pins = {
        bdf.short: (beliefs[0].ioapic, beliefs[0].pin, beliefs[0].grade) for bdf, beliefs in e300.pins.items()
    }
    assert pins == {
        "17:00.0": (0, 16, "measured"),
        "17:00.1": (0, 17, "measured"),
        "17:00.2": (0, 18, "inferred"),
        "17:00.3": (0, 19, "inferred"),
        "b5:00.0": (0, 19, "measured"),
        "b5:00.1": (0, 19, "inferred"),
    }
    words = {bdf.short: judged for bdf, judged in e300.passability.items()}
    assert len(words) == 132
    assert words["17:00.0"] == words["17:00.1"] == Passability("passable")
    assert words["17:00.2"].word == words["17:00.3"].word == "passable"
    for port, other in (("b5:00.0", "b5:00.1"), ("b5:00.1", "b5:00.0")):
        assert words[port].word == "needs-change"
        assert words[port].changes == ("raise PCI_MAX_DEVICES (util_libs#201)",)
        assert words[port].limits[0] == f"not with 17:00.3, {other} in another VM (pin 19)"


def test_the_e300_9d_has_a_list_that_people_read(e300: Assessment) -> None:
    ports = set(e300.pins)
    shown = [f for f in e300.findings if f.bdf is None or f.bdf in ports]
    assert {f.code for f in shown} == {
        "beyond-pci-table",
        "shared-pin",
        "io-range-adjacent",
        "pin-not-measured",
        "routing-not-observed",
        "platform-not-observed",
    }
    assert {f.bdf.short for f in shown if f.code == "beyond-pci-table" and f.bdf} == {"b5:00.0", "b5:00.1"}
    assert not any(f.code.startswith("profile-") for f in e300.findings)
    assert len({(f.code, f.message, f.fix) for f in e300.findings}) < 12
    evidence = [text for f in shown if f.code == "beyond-pci-table" for text in f.evidence]
    assert evidence == ["131st of 132 functions in scan order", "132nd of 132 functions in scan order"]


def made(name: str, form: str, profile: Profile | None = None) -> Assessment:
    return assess(catalogue.read(name, form), profile)


def test_the_probe_measures_every_port_of_the_e300_9d() -> None:
    told = made(E300_9D, "firmware.log", E300)
    wanted = {"17:00.0": 16, "17:00.1": 17, "17:00.2": 18, "17:00.3": 19, "b5:00.0": 19, "b5:00.1": 19}
    for place, pin in wanted.items():
        best = told.pins[Bdf.parse(place)][0]
        assert (best.ioapic, best.pin, best.grade) == (0, pin, "measured")
    assert told.passability[Bdf.parse("17:00.2")] == Passability("passable")


def test_a_bundle_of_the_e300_9d_adds_what_only_tables_tell() -> None:
    told = made(E300_9D, "bundle.tar.gz", E300)
    reserved = [finding for finding in told.findings if finding.code == "rmrr-on-device"]
    assert [finding.bdf and finding.bdf.short for finding in reserved] == ["00:14.0"]
    assert not any(finding.code == "platform-not-observed" for finding in told.findings)
    assert told.passability[Bdf.parse("17:00.1")] == Passability("passable")


def test_bars_above_4_gib_must_come_down() -> None:
    for place in ("b5:00.0", "b5:00.1"):
        changes = made("above-4-gib", "firmware.log", E300).passability[Bdf.parse(place)].changes
        assert [change for change in changes if change.startswith("BAR 0 must come below 4 GiB")]


def test_a_bar_that_linux_moved_is_an_error_of_that_function_alone() -> None:
    told = made("moved-by-linux", "bundle.tar.gz", E300)
    moved = [finding for finding in told.findings if finding.code == "firmware-bar-differs"]
    assert [(finding.severity, finding.bdf and finding.bdf.short) for finding in moved] == [
        ("error", "b5:00.0")
    ]


def test_ports_among_the_vmm_s_own_need_a_change() -> None:
    nic = Bdf.parse("01:00.0")
    (first, *_) = made("ports-at-9c00", "firmware.log").passability[nic].changes
    assert first.startswith("I/O BAR 2 must leave the VMM's own ports 0x9000 to 0x9fff")
    assert not any("I/O BAR" in change for change in made("desktop", "firmware.log").passability[nic].changes)


def test_virtual_functions_are_never_passable_and_their_physical_one_needs_a_change() -> None:
    words = made("virtual-functions", "bundle.tar.gz").passability
    assert {words[Bdf.parse(place)].word for place in ("01:10.0", "01:10.4")} == {"not-passable"}
    assert words[Bdf.parse("01:00.0")].changes[0] == "switch SR-IOV off"


def test_a_table_of_256_lets_the_x722_in(e300: Assessment) -> None:
    size = E300.hypervisor.pci_max_devices.model_copy(update={"value": 256})
    raised = E300.model_copy(
        update={"hypervisor": E300.hypervisor.model_copy(update={"pci_max_devices": size})}
    )
    again = assess(e300.machine, raised)
    assert again.passability[Bdf.parse("b5:00.0")].word == "passable"


def test_assessing_needs_neither_pydantic_nor_what_drives_boards() -> None:
    """A machine without a profile is assessed without any of them."""
    code = (
        "import sys; import bringup.rules.assess, bringup.pci.acpi.prt; "
        "print([m for m in sys.modules if m.split('.')[0] == 'pydantic' or m.startswith(("
        "'bringup.cli', 'bringup.power', 'bringup.console', 'bringup.netboot', 'bringup.profile.load'))])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == "[]"
