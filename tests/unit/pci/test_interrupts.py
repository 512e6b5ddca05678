"""Beliefs about pins: each kind of evidence alone, together, in conflict, and what is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.pci.assessment import PIN_GRADES, PinCandidate
from bringup.pci.model import (
    Acpi,
    Bdf,
    Bridge,
    Function,
    InterruptLine,
    IoApic,
    Machine,
    Madt,
    MeasuredPin,
    NetInterface,
    PrtEntry,
)
from bringup.pci.pins.beliefs import ioapic_line, pin_candidates, sharing
from bringup.profile.load import load_profile
from tests.unit.camkes.passthrough import function, i350, x722

E300 = load_profile("supermicro-e300-9d")
TWIN = load_profile("twin-e300-9d")
ONE = Madt((IoApic(0, 8, 0xFEC00000, 0),))
# A Skylake-D: the PCH's IOAPIC with 24 inputs, then one of 8 per IIO stack.
FIVE = Madt(tuple(IoApic(n, 8 + n, 0xFEC00000, [0, 24, 32, 40, 48][n]) for n in range(5)))
FIVE_KNOWN = Madt((*FIVE.ioapics[:4], replace(FIVE.ioapics[4], pins=8)))


def bridge(bdf: str, secondary: int, **fields: Any) -> Function:
    numbers = Bridge(int(bdf[:2], 16), secondary, secondary)
    return function(bdf, class_code=0x0604, header_type=1, bridge=numbers, intx_pin="A", **fields)


# A capture without bus 0 is part of a machine, and what leads to its other buses nobody saw.
HOST_BRIDGE = function("00:00.0", class_code=0x0600, intx_pin=None)
# The path of the X722 on an E300-9D.
X722_PATH = (bridge("b2:00.0", 0xB3), bridge("b3:00.0", 0xB4), bridge("b4:03.0", 0xB5))


def pins(machine: Machine, profile: Any = None) -> dict[str, list[tuple[int, int, str]]]:
    found = pin_candidates(machine, profile)
    return {bdf.short: [(c.ioapic, c.pin, c.grade) for c in beliefs] for bdf, beliefs in found.items()}


def test_a_profiles_pins_are_measured_where_they_were_seen() -> None:
    machine = Machine((i350("17:00.0", 0, 0, 0), i350("17:00.1", 0, 0, 0), x722("b5:00.0", 0, 0)))
    assert pins(machine, E300) == {
        "17:00.0": [(0, 16, "measured"), (2, 0, "firmware")],
        "17:00.1": [(0, 17, "measured"), (2, 4, "firmware")],
        "b5:00.0": [(0, 19, "measured"), (3, 6, "firmware")],
    }
    belief = pin_candidates(machine, E300)[Bdf.parse("17:00.0")][0]
    assert belief.source.startswith("seL4/camkes-vm-examples#90") and not belief.this_unit
    assert pins(machine) == {}


def test_a_profiles_pin_of_a_port_that_moved_is_inferred() -> None:
    belief, _ = pin_candidates(Machine((i350("18:00.0", 0, 0, 0),)), E300)[Bdf.parse("18:00.0")]
    assert (belief.pin, belief.grade) == (16, "inferred") and "seen at 17:00.0" in belief.source


def test_a_pin_that_is_only_inferred_in_the_profile_is_inferred_here() -> None:
    nics = [
        nic.model_copy(update={"ioapic_pin": nic.ioapic_pin.model_copy(update={"grade": "INF"})})
        if nic.ioapic_pin
        else nic
        for nic in E300.nics
    ]
    doubted = E300.model_copy(update={"nics": tuple(nics)})
    assert pins(Machine((i350("17:00.0", 0, 0, 0),)), doubted) == {
        "17:00.0": [(0, 16, "inferred"), (2, 0, "firmware")]
    }


def test_the_second_x722_port_follows_from_the_first_without_bus_numbers() -> None:
    machine = Machine((x722("b5:00.0", 0, 0), x722("b5:00.1", 0, 0)))
    belief, _ = pin_candidates(machine, E300)[Bdf.parse("b5:00.1")]
    assert (belief.ioapic, belief.pin, belief.grade) == (0, 19, "inferred")
    assert "same device" in belief.source and "graded MED" in belief.source


def test_other_pins_of_a_measured_device_follow_in_turn_with_the_boards_rule_only() -> None:
    machine = Machine(tuple(i350(f"17:00.{n}", 0, 0, 0, intx_pin="ABCD"[n]) for n in range(4)))
    assert [beliefs[0][1:] for beliefs in pins(machine, E300).values()] == [
        (16, "measured"),
        (17, "measured"),
        (18, "inferred"),
        (19, "inferred"),
    ]
    interrupts = E300.interrupts.model_copy(update={"root_port_rule": None})
    without = E300.model_copy(update={"interrupts": interrupts})
    assert set(pins(machine, without)) == {"17:00.0", "17:00.1"}


def test_the_rule_turns_the_pin_at_each_bridge_below_the_root_port() -> None:
    # b4:03.0 is left through b3:00.0, so 3 is added once; the function's own number is 0.
    machine = Machine((HOST_BRIDGE, *X722_PATH, x722("b5:00.1", 0, 0, intx_pin="A")))
    belief, _ = pin_candidates(machine, E300)[Bdf.parse("b5:00.1")]
    assert (belief.ioapic, belief.pin, belief.grade) == (0, 19, "inferred")
    assert "b2:00.0 > b3:00.0 > b4:03.0" in belief.source and "untested" not in belief.source


@pytest.mark.parametrize(
    ("path", "place", "pin", "expected"),
    [
        # Directly below a root port, whose own device number does not enter.
        ((bridge("64:03.0", 0x65),), "65:00.0", "A", 16),
        ((bridge("64:03.0", 0x65),), "65:00.0", "D", 19),
        # One switch or bridge below it: the function's device number does.
        ((bridge("64:00.0", 0x65), bridge("65:00.0", 0x66)), "66:02.0", "A", 18),
        ((bridge("64:00.0", 0x65), bridge("65:00.0", 0x66)), "66:03.0", "D", 18),
    ],
)
def test_the_rule_case_by_case(path: tuple[Function, ...], place: str, pin: str, expected: int) -> None:
    card = function(place, device=0x1533, intx_pin=pin)
    beliefs = pin_candidates(Machine((HOST_BRIDGE, *path, card)), E300)[card.bdf]
    assert [(belief.pin, belief.grade) for belief in beliefs] == [(expected, "inferred")]
    assert ("untested" in beliefs[0].source) == (path[0].bdf.device != 0)


def test_the_rule_says_nothing_on_a_root_bus_or_for_the_twin_or_without_a_pin() -> None:
    card = function("65:00.0", device=0x1533, intx_pin="A")
    below = (HOST_BRIDGE, bridge("64:03.0", 0x65), card)
    assert card.bdf.short in pins(Machine(below), E300)
    assert card.bdf.short not in pins(Machine((card,)), E300)
    assert card.bdf.short not in pins(Machine(below), TWIN)
    assert card.bdf.short not in pins(Machine((*below[:2], function("65:00.0", device=0x1533))), E300)


def test_the_rule_is_silent_when_a_bridge_on_the_way_was_not_read() -> None:
    blind = function("64:03.0", class_code=0x0604, header_type=1)
    card = function("65:00.0", device=0x1533, intx_pin="A")
    assert card.bdf.short not in pins(Machine((HOST_BRIDGE, blind, card)), E300)


def test_a_pin_measured_on_this_unit_goes_before_everything() -> None:
    machine = Machine(
        (i350("17:00.0", 0, 0, 0),), measured=(MeasuredPin(Bdf.parse("17:00.0"), 0, 18, "firmware probe"),)
    )
    first, second, _ = pin_candidates(machine, E300)[Bdf.parse("17:00.0")]
    assert first == PinCandidate(0, 18, "measured", "firmware probe", this_unit=True)
    assert (second.pin, second.grade, second.this_unit) == (16, "measured", False)


def test_a_neighbour_of_a_pin_measured_on_this_unit_needs_no_profile() -> None:
    machine = Machine(
        tuple(function(f"b5:00.{n}", intx_pin="A") for n in range(2)),
        measured=(MeasuredPin(Bdf.parse("b5:00.0"), 0, 19, "firmware probe"),),
    )
    (belief,) = pin_candidates(machine)[Bdf.parse("b5:00.1")]
    assert (belief.pin, belief.grade, belief.this_unit) == (19, "inferred", True)


# _PRT.


def routed(*functions: Function, prt: tuple[PrtEntry, ...], madt: Madt | None = ONE) -> Machine:
    return Machine(functions, acpi=Acpi(madt=madt, prt=prt))


def test_a_row_of_the_functions_own_bus() -> None:
    card = function("00:1f.2", intx_pin="B")
    machine = routed(card, prt=(PrtEntry(0, 0x1F, "B", 17), PrtEntry(0, 0x1F, "A", 16)))
    assert pins(machine) == {"00:1f.2": [(0, 17, "firmware")]}


def test_bridges_without_a_prt_are_crossed_by_the_swizzle() -> None:
    # 02:01.0 INTB: (1 + 1) mod 4 = INTC at the bridge 01:00.0, whose bus has a _PRT of its own.
    path = (bridge("00:1c.0", 1), bridge("01:00.0", 2))
    card = function("02:01.0", intx_pin="B")
    machine = routed(*path, card, prt=(PrtEntry(0, 0x1C, "C", 50), PrtEntry(1, 0, "C", 18)))
    assert pins(machine)["02:01.0"] == [(0, 18, "firmware")]
    # Without that one the next above counts: (2 + 0) mod 4 = INTC at 00:1c.0.
    machine = routed(*path, card, prt=(PrtEntry(0, 0x1C, "C", 50),))
    assert pins(machine)["02:01.0"] == [(0, 50, "firmware")]


@pytest.mark.parametrize(
    "machine",
    [
        # The bus has a _PRT, and no row for this pin: not routed, not looked for further up.
        routed(
            bridge("00:1c.0", 1),
            function("01:00.0", intx_pin="A"),
            prt=(PrtEntry(1, 0, "B", 17), PrtEntry(0, 0x1C, "A", 16)),
        ),
        routed(function("01:00.0", intx_pin="A"), prt=(PrtEntry(1, 0, "A", None, "\\_SB.LNKA"),)),
        routed(function("01:00.0", intx_pin="A"), prt=(PrtEntry(1, 0, "A", 16),), madt=None),
        routed(function("01:00.0"), prt=(PrtEntry(1, 0, "A", 16),)),
        routed(function("01:00.0", intx_pin="A"), prt=(PrtEntry(1, 0, "A", 16, None, 1),)),
    ],
)
def test_what_the_tables_do_not_tell_is_not_made_up(machine: Machine) -> None:
    assert "01:00.0" not in pins(machine)


def test_gsis_are_counted_from_each_ioapics_base() -> None:
    machine = Machine((), acpi=Acpi(madt=FIVE))
    assert [ioapic_line(machine, gsi) for gsi in (0, 23, 24, 31, 47, 48, 60)] == [
        (0, 0),
        (0, 23),
        (1, 0),
        (1, 7),
        (3, 7),
        (4, 0),
        (4, 12),
    ]
    known = Madt((IoApic(0, 8, 0xFEC00000, 0, pins=24),))
    assert ioapic_line(Machine((), acpi=Acpi(madt=known)), 24) is None
    assert ioapic_line(Machine((), acpi=Acpi(madt=Madt((IoApic(0, 1, 0, 16),)))), 3) is None


def test_tables_of_another_ioapic_stand_behind_what_holds_under_sel4() -> None:
    machine = routed(
        HOST_BRIDGE,
        *X722_PATH,
        x722("b5:00.1", 0, 0, intx_pin="A", driver="i40e", irq=65, msi_active=False),
        prt=(PrtEntry(0xB2, 0, "D", 51),),
        madt=FIVE_KNOWN,
    )
    machine = replace(machine, interrupts=(InterruptLine(65, "IO-APIC", 21, "fasteoi", 9, ("i40e",)),))
    assert pins(machine, E300)["b5:00.1"] == [(0, 21, "known"), (0, 19, "inferred"), (4, 3, "firmware")]


# /proc/interrupts.


def line(irq: int, pin: int | None, *users: str, chip: str = "IO-APIC") -> InterruptLine:
    return InterruptLine(irq, chip, pin, "fasteoi", 12, users)


def linux(*functions: Function, rows: tuple[InterruptLine, ...], madt: Madt | None = ONE) -> Machine:
    return Machine(functions, acpi=Acpi(madt=madt), interrupts=rows)


ETH = function("01:00.0", driver="igb", irq=16, msi_active=False, intx_pin="A", net=(NetInterface("eth1"),))


@pytest.mark.parametrize(
    ("card", "row"),
    [
        (ETH, line(16, 16, "other")),
        (replace(ETH, irq=99), line(16, 16, "eth1")),
        (replace(ETH, irq=99), line(16, 16, "ehci", "igb")),
        (replace(ETH, irq=99, driver="ahci", net=None), line(16, 16, "ahci[0000:01:00.0]")),
        (ETH, line(16, 16, "eth1", chip="IR-IO-APIC")),
    ],
)
def test_rows_that_are_the_functions(card: Function, row: InterruptLine) -> None:
    assert pins(linux(card, rows=(row,))) == {"01:00.0": [(0, 16, "known")]}


@pytest.mark.parametrize(
    ("card", "row"),
    [
        # MSI in use: the number is a vector, whatever row has it.
        (replace(ETH, msi_active=True), line(16, 16, "eth1")),
        # No driver: the number is what the firmware wrote into 0x3c.
        (replace(ETH, driver=None, net=None), line(16, 16, "other")),
        (replace(ETH, irq=17), line(16, 16, "other")),
        (ETH, line(16, None, "eth1")),
        (ETH, line(16, 16, "eth1", chip="PCI-MSI")),
        (ETH, line(17, 17, "eth10")),
    ],
)
def test_rows_that_are_not(card: Function, row: InterruptLine) -> None:
    assert pins(linux(card, rows=(row,))) == {}


def test_a_driver_with_two_functions_names_neither() -> None:
    second = replace(ETH, bdf=Bdf.parse("01:00.1"), irq=98)
    rows = (line(16, 16, "igb"),)
    assert pins(linux(replace(ETH, irq=99, net=None), replace(second, net=None), rows=rows)) == {}


def test_a_row_does_not_say_which_ioapic_unless_one_alone_has_the_pin() -> None:
    # Pin 20 is beyond the eight inputs of every IIO IOAPIC; how many the last one has a MADT does not tell.
    assert pins(linux(ETH, rows=(line(16, 20, "eth1"),), madt=FIVE_KNOWN)) == {"01:00.0": [(0, 20, "known")]}
    assert pins(linux(ETH, rows=(line(16, 20, "eth1"),), madt=FIVE)) == {}
    assert pins(linux(ETH, rows=(line(16, 5, "eth1"),), madt=FIVE_KNOWN)) == {}
    # Without a MADT the number has to be the pin's: Linux numbers by GSI, and the first IOAPIC begins at 0.
    assert pins(linux(ETH, rows=(line(16, 16, "eth1"),), madt=None)) == {"01:00.0": [(0, 16, "known")]}
    assert pins(linux(ETH, rows=(line(40, 16, "eth1"),), madt=None)) == {}
    assert pins(linux(ETH, rows=(line(30, 30, "eth1"),), madt=None)) == {}


def test_the_os_number_and_the_firmwares_hint_are_no_pins() -> None:
    card = function("17:00.0", device=0x1533, intx_pin="A", irq=11, interrupt_line=11, msi_active=False)
    assert pins(linux(card, rows=())) == {}
    assert pins(Machine((card,), acpi=Acpi(madt=ONE)), E300) == {}


def test_functions_without_intx_have_no_pin() -> None:
    none = i350("17:00.0", 0, 0, 0, intx_pin=None)
    virtual = i350("17:00.1", 0, 0, 0, physical_function=Bdf.parse("17:00.0"))
    assert pins(Machine((none, virtual)), E300) == {}


def test_evidence_that_agrees_is_kept_and_ordered() -> None:
    card = i350("17:00.0", 0, 0, 0, intx_pin="A", driver="igb", irq=16, msi_active=False)
    machine = Machine(
        (HOST_BRIDGE, bridge("16:00.0", 0x17), card),
        acpi=Acpi(madt=ONE, prt=(PrtEntry(0x17, 0, "A", 16),)),
        interrupts=(line(16, 16, "igb"),),
    )
    grades = [belief[2] for belief in pins(machine, E300)["17:00.0"]]
    assert grades == [grade for grade in PIN_GRADES if grade != "stated"]


def test_everybody_on_the_same_best_pin_is_named() -> None:
    machine = Machine(
        (
            *(i350(f"17:00.{n}", 0, 0, 0, intx_pin="ABCD"[n]) for n in range(4)),
            x722("b5:00.0", 0, 0),
            x722("b5:00.1", 0, 0),
        )
    )
    shared = sharing(pin_candidates(machine, E300))
    assert {bdf.short: [other.short for other in others] for bdf, others in shared.items()} == {
        "17:00.0": [],
        "17:00.1": [],
        "17:00.2": [],
        "17:00.3": ["b5:00.0", "b5:00.1"],
        "b5:00.0": ["17:00.3", "b5:00.1"],
        "b5:00.1": ["17:00.3", "b5:00.0"],
    }


def test_sharing_stays_small_on_a_machine_nobody_could_build() -> None:
    crowd = {Bdf(0, n // 256, n % 256 // 8, n % 8): (PinCandidate(0, 16, "known", "x"),) for n in range(4096)}
    assert max(map(len, sharing(crowd).values())) == 128


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 31), st.integers(0, 255)), min_size=0, max_size=12),
    st.sampled_from("ABCD"),
)
def test_any_tree_ends_in_a_pin_of_the_four_or_none(numbers: list[tuple[int, int, int]], pin: str) -> None:
    bridges = {
        f"{bus:02x}:{device:02x}.0": bridge(f"{bus:02x}:{device:02x}.0", secondary)
        for bus, device, secondary in numbers
    }
    card = function("03:1f.7", device=0x1533, intx_pin=pin)
    machine = Machine(tuple(sorted((*bridges.values(), card), key=lambda f: f.bdf)))
    for beliefs in pin_candidates(machine, E300).values():
        *under_sel4, last = beliefs
        told = under_sel4 if last.grade == "firmware" else beliefs
        assert all(16 <= belief.pin <= 19 and belief.ioapic == 0 for belief in told)
