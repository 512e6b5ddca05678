"""Two captures compared: the same function on another bus has moved, whatever else changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.pci.diff.compare import Diff, Item, differences
from bringup.pci.model import (
    Acpi,
    Bar,
    Bdf,
    Bridge,
    Capability,
    Function,
    Identity,
    IoApic,
    Machine,
    Madt,
    MsiX,
    NetInterface,
    Pcie,
    Platform,
    SerialNumber,
    Sriov,
)
from bringup.report.pci.diff import diff_lines
from tests.machines.catalogue import TP8F, TP8F_8, TP8F_OTHER
from tests.machines.views import views
from tests.unit.report.machines import bridge, dull, full, machine, port, seen, small_machine
from tests.unit.report.test_pci import check_golden, text


def source_of(machine: Machine) -> str:
    return machine.sources[0].name


def told(diff: Diff) -> list[tuple[str, str, str, str]]:
    """Kind, fact, where before and after."""
    return [
        (
            item.kind,
            item.what,
            item.before.short if item.before else "",
            item.after.short if item.after else "",
        )
        for item in diff.items
    ]


def renumbered(function: Function, buses: dict[int, int]) -> Function:
    """The same function with its bus numbers mapped."""
    bdf = replace(function.bdf, bus=buses[function.bdf.bus])
    if function.bridge is None:
        return replace(function, bdf=bdf)
    numbers = (function.bridge.primary, function.bridge.secondary, function.bridge.subordinate)
    return replace(function, bdf=bdf, bridge=Bridge(*(buses.get(number, number) for number in numbers)))


def test_a_machine_is_the_same_as_itself() -> None:
    for each in (small_machine(), full().machine, Machine(())):
        assert differences(each, each) == Diff()
        assert not differences(each, each).matters


def test_a_card_whose_bus_moved_has_moved() -> None:
    before = machine(
        bridge("64:03.0", 0x65, 0x65), *(port(f"65:00.{n}", "ABCD"[n], n << 20) for n in range(4))
    )
    after = machine(
        bridge("64:02.0", 0x65, 0x65),
        dull("65:00.0", "NVMe"),
        bridge("64:03.0", 0x66, 0x66),
        *(port(f"66:00.{n}", "ABCD"[n], n << 20) for n in range(4)),
    )
    assert told(differences(before, after)) == [
        *(("moved", "address", f"65:00.{n}", f"66:00.{n}") for n in range(4)),
        ("added", "address", "", "64:02.0"),
        ("added", "address", "", "65:00.0"),
    ]


def test_without_bridges_the_kind_and_the_function_number_tell() -> None:
    before = machine(*(port(f"65:00.{n}", "ABCD"[n], 0) for n in range(4)))
    after = machine(*(port(f"67:00.{n}", "ABCD"[n], 0) for n in range(4)))
    assert told(differences(before, after)) == [
        ("moved", "address", f"65:00.{n}", f"67:00.{n}") for n in range(4)
    ]


def test_the_slot_tells_two_equal_cards_apart() -> None:
    before = machine(port("10:00.0", "A", 0, label="LAN2"), port("20:00.0", "A", 1 << 20, label="LAN1"))
    after = machine(port("30:00.0", "A", 1 << 20, label="LAN1"), port("40:00.0", "A", 0, label="LAN2"))
    assert told(differences(before, after)) == [
        ("moved", "address", "10:00.0", "40:00.0"),
        ("moved", "address", "20:00.0", "30:00.0"),
    ]


def test_two_cards_that_changed_places_are_known_by_their_macs() -> None:
    def card(bdf: str, number: int) -> Function:
        return port(bdf, "A", 0, net=(NetInterface(f"eth{number}", f"02:00:00:00:00:0{number}"),))

    before = machine(card("17:00.0", 1), card("18:00.0", 2))
    after = machine(card("17:00.0", 2), card("18:00.0", 1))
    assert told(differences(before, after)) == [
        ("moved", "address", "17:00.0", "18:00.0"),
        ("moved", "address", "18:00.0", "17:00.0"),
    ]


def test_two_cards_that_changed_places_are_known_by_their_serial_numbers() -> None:
    def card(bus: str, serial: str) -> list[Function]:
        held = (Capability(3, 0x140, extended=True, decoded=SerialNumber(serial)),)
        return [port(f"{bus}:00.{n}", "A", n << 20, capabilities=held) for n in range(2)]

    before = machine(*card("17", "aa"), *card("18", "bb"))
    after = machine(*card("17", "bb"), *card("18", "aa"))
    assert {(kind, old, new) for kind, _, old, new in told(differences(before, after))} == {
        ("moved", "17:00.0", "18:00.0"),
        ("moved", "17:00.1", "18:00.1"),
        ("moved", "18:00.0", "17:00.0"),
        ("moved", "18:00.1", "17:00.1"),
    }


def test_another_card_of_the_same_kind_in_the_same_place() -> None:
    before = machine(port("17:00.0", "A", 0, net=(NetInterface("eth0", "02:00:00:00:00:01"),)))
    after = machine(port("17:00.0", "A", 0, net=(NetInterface("eth0", "02:00:00:00:00:02"),)))
    (item,) = differences(before, after).items
    assert (item.what, item.old, item.new) == ("MAC", "02:00:00:00:00:01", "02:00:00:00:00:02")
    assert not item.matters


def with_serial(last: str, place: str = "17:00.0") -> Function:
    serial = Capability(3, 0x140, extended=True, decoded=SerialNumber(f"00-11-22-ff-ff-33-44-{last}"))
    return replace(
        port(place, "A", 0),
        capabilities=(serial,),
        provenance={**port(place, "A", 0).provenance, "capabilities": "x"},
    )


def test_two_units_are_told_as_such_in_one_line() -> None:
    first = machine(with_serial("01"), with_serial("02", "18:00.0"))
    second = machine(with_serial("03"), with_serial("04", "18:00.0"))
    found = differences(first, second)
    assert found.other_unit
    shown = text(diff_lines(found))
    assert shown.startswith("two different units: serial numbers and MACs of 17:00.0, 18:00.0 are others\n")
    assert "44-03" not in shown
    one_card = differences(first, machine(with_serial("01"), with_serial("04", "18:00.0")))
    assert not one_card.other_unit and "44-04" in text(diff_lines(one_card))
    assert not differences(first, first).other_unit


def test_units_with_other_serial_numbers_of_their_own() -> None:
    ours, theirs = (replace(small_machine(), identity=Identity(serial=text)) for text in "AB")
    assert differences(ours, theirs).other_unit


def test_ioapics_that_one_capture_tells_without_addresses_are_compared_by_their_gsis() -> None:
    full_madt, bare = (
        replace(
            small_machine(), acpi=Acpi(madt=Madt((IoApic(0, number, number, 0), IoApic(1, None, number, 24))))
        )
        for number in (8, None)
    )
    assert not any(item.what == "IOAPICs" for item in differences(full_madt, bare).items)


def test_another_device_at_the_same_address_went_and_came() -> None:
    before, after = port("17:00.0", "A", 0), replace(port("17:00.0", "A", 0), device=0x10D3)
    assert [kind for kind, *_ in told(differences(machine(before), machine(after)))] == ["added", "removed"]


def test_a_card_in_another_slot_that_got_the_same_bus_number() -> None:
    before = machine(bridge("16:00.0", 0x17, 0x17), port("17:00.0", "A", 0))
    after = machine(bridge("16:02.0", 0x17, 0x17), port("17:00.0", "A", 0))
    (place,) = [item for item in differences(before, after).items if item.what == "place"]
    assert (place.old, place.new, place.matters) == ("00.0 > 00.0", "02.0 > 00.0", True)


@pytest.mark.parametrize(
    ("changed", "what", "old", "new", "matters"),
    [
        ({"bars": (Bar(0, "mem", 0x2000, 4096),)}, "BAR 0", "0x1000", "0x2000", True),
        ({"bars": (Bar(0, "mem", None, 4096),)}, "BAR 0", "0x1000", "no address", True),
        ({"bars": (Bar(0, "mem", 0x1000, 8192),)}, "BAR size 0", "4096", "8192", True),
        ({"bars": ()}, "BAR 0", "mem32 0x1000 4096 bytes", None, True),
        (
            {"bars": (Bar(0, "io", 0x1000, 4096),)},
            "BAR 0",
            "mem32 0x1000 4096 bytes",
            "io32 0x1000 4096 bytes",
            True,
        ),
        ({"intx_pin": None}, "INTx pin", "A", None, True),
        ({"driver": "vfio-pci"}, "driver", "igb", "vfio-pci", False),
        ({"firmware_bars": (Bar(0, "mem", 0x9000, 4096),)}, "firmware BAR 0", "0x1000", "0x9000", False),
        ({"capabilities": ()}, "capability msi-x", "present", None, False),
        ({"revision": 2}, "revision", "0x1", "0x2", False),
        ({"class_code": 0x0280}, "class", "0x200", "0x280", False),
        ({"net": (NetInterface("eth0", None, link=False),)}, "link", "up", "down", False),
    ],
)
def test_what_can_change(
    changed: dict[str, object], what: str, old: str | None, new: str | None, matters: bool
) -> None:
    values: dict[str, object] = {
        "vendor": 0x8086,
        "device": 0x1521,
        "class_code": 0x0200,
        "revision": 1,
        "bars": (Bar(0, "mem", 0x1000, 4096),),
        "firmware_bars": (Bar(0, "mem", 0x1000, 4096),),
        "intx_pin": "A",
        "driver": "igb",
        "capabilities": (Capability(0x11, 0x70, decoded=MsiX(10, True, 3, 0, 3, 0x2000)),),
        "net": (NetInterface("eth0", None, link=True),),
    }
    diff = differences(machine(seen("17:00.0", **values)), machine(seen("17:00.0", **(values | changed))))
    (item,) = diff.items
    assert (item.kind, item.what, item.old, item.new, item.matters) == ("changed", what, old, new, matters)
    assert diff.matters is matters


def test_contents_of_capabilities_but_not_their_states() -> None:
    def with_content(*held: Capability) -> Machine:
        return machine(seen("17:00.0", vendor=1, device=2, capabilities=held))

    before = with_content(
        Capability(0x11, 0x70, decoded=MsiX(10, True, 3, 0, 3, 0x2000)),
        Capability(0x10, 0xA0, decoded=Pcie("endpoint", True, 5.0, 4, 5.0, 4)),
        Capability(0x10, 0x160, extended=True, decoded=Sriov(enabled=False, num_vfs=0)),
    )
    after = with_content(
        Capability(0x11, 0x70, decoded=MsiX(5, False, 3, 0, 3, 0x2000)),
        Capability(0x10, 0xA0, decoded=Pcie("endpoint", True, 5.0, 4, 2.5, 1)),
        Capability(0x10, 0x160, extended=True, decoded=Sriov(enabled=True, num_vfs=2)),
    )
    diff = differences(before, after)
    assert [(item.what, item.old, item.new) for item in diff.items] == [
        ("capability msi-x vectors", "10", "5"),
        ("capability sr-iov enabled", "False", "True"),
        ("capability sr-iov num vfs", "0", "2"),
    ]
    assert diff.numbers == (("PCIe link speed", 1),)


def test_numbers_are_counted_and_not_told() -> None:
    before = machine(port("17:00.0", "A", 0, irq=34, iommu_group=67, net=(NetInterface("eth0"),)))
    after = machine(port("17:00.0", "A", 0, irq=35, iommu_group=68, net=(NetInterface("enp23s0f0"),)))
    diff = differences(before, after)
    assert diff.items == ()
    assert diff.numbers == (("IOMMU group", 1), ("IRQ number", 1), ("interface name", 1))


def test_what_one_capture_alone_told_is_no_difference() -> None:
    before = machine(port("17:00.0", "A", 0, driver="igb"))
    after = machine(port("17:00.0", "A", 0))
    assert differences(before, after) == Diff(not_compared=(("driver", 1),))


def test_the_whole_machine() -> None:
    before = Machine((), identity=Identity(bios_version="1.0b"), platform=Platform(iommu=True, kernel="6.1"))
    after = Machine((), identity=Identity(bios_version="2.1"), platform=Platform(iommu=False))
    assert [(item.what, item.old, item.new, item.matters) for item in differences(before, after).items] == [
        ("bios version", "1.0b", "2.1", False),
        ("iommu", "True", "False", False),
    ]


def test_other_ioapics_matter_because_pins_are_counted_in_them() -> None:
    def with_ioapics(*bases: int, pins: int | None = 24) -> Machine:
        ioapics = tuple(IoApic(n, 8 + n, 0xFEC00000 + n, base, pins) for n, base in enumerate(bases))
        empty = Machine(())
        return replace(empty, acpi=replace(empty.acpi, madt=Madt(ioapics)))

    diff = differences(with_ioapics(0), with_ioapics(0, 24))
    assert (diff.items[0].what, diff.matters) == ("IOAPICs", True)
    # A boot log tells the pins, which the table does not have.
    assert differences(with_ioapics(0, pins=None), with_ioapics(0)) == Diff()


def test_what_matters_comes_first() -> None:
    before = machine(port("10:00.0", "A", 0, driver="igb"), port("20:00.1", "B", 0), dull("30:00.0"))
    after = machine(
        port("10:00.0", "B", 1 << 20, driver="vfio-pci"), port("21:00.1", "B", 0), seen("40:00.0", vendor=1)
    )
    assert [(kind, what) for kind, what, *_ in told(differences(before, after))] == [
        ("moved", "address"),
        ("added", "address"),
        ("removed", "address"),
        ("changed", "BAR 0"),
        ("changed", "INTx pin"),
        ("changed", "driver"),
    ]


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """A machine as firmware numbers it: buses depth first, a few kinds of device, some of them alike."""
    functions = [dull("00:00.0", "Host bridge")]
    numbers = iter(range(1, 256))

    def fill(bus: int, depth: int) -> int:
        last = bus
        for device in draw(st.lists(st.integers(0, 31), max_size=4, unique=True).map(sorted)):
            bdf = f"{bus:02x}:{device:02x}"
            if depth < 3 and len(functions) < 40 and draw(st.booleans()):
                place = len(functions)
                functions.append(bridge(f"{bdf}.0", 1, 1))
                behind = next(numbers)
                last = fill(behind, depth + 1)
                functions[place] = bridge(f"{bdf}.0", behind, last)
            else:
                kind = draw(st.integers(0, 1))
                for number in range(draw(st.integers(1, 3))):
                    base = len(functions) << 20
                    made = port(f"{bdf}.{number}", "ABCD"[number], base)
                    functions.append(replace(made, device=0x1521 + kind))
        return last

    for _ in range(draw(st.integers(1, 3))):
        fill(next(numbers), 0)
    return machine(*functions)


def increasing(used: Iterable[int], draw: st.DrawFn) -> dict[int, int]:
    """Map bus numbers in order; bus 0 is bus 0 on every machine."""
    ordered = sorted(set(used) - {0})
    free = draw(st.lists(st.integers(1, 255), min_size=len(ordered), max_size=len(ordered), unique=True))
    return {0: 0} | dict(zip(ordered, sorted(free), strict=True))


@given(st.data())
def test_renumbering_gives_only_moves(data: st.DataObject) -> None:
    before = data.draw(machines())
    used = {f.bdf.bus for f in before.functions} | {
        n for f in before.functions if f.bridge for n in (f.bridge.secondary, f.bridge.subordinate)
    }
    buses = increasing(used, data.draw)
    after = machine(*(renumbered(function, buses) for function in before.functions))
    expected = {(f.bdf, replace(f.bdf, bus=buses[f.bdf.bus])) for f in before.functions}
    diff = differences(before, after)
    assert {item.kind for item in diff.items} <= {"moved"}
    assert {(item.before, item.after) for item in diff.items} == {
        pair for pair in expected if pair[0] != pair[1]
    }


@given(machines(), machines())
def test_every_function_is_accounted_for_both_ways(first: Machine, second: Machine) -> None:
    diff, back = differences(first, second), differences(second, first)
    came = {item.after for item in diff.items if item.kind == "added"}
    went = {item.before for item in diff.items if item.kind == "removed"}
    assert len(first.functions) - len(went) == len(second.functions) - len(came)
    assert diff == differences(first, second)
    assert len(back.items) == 0 if not diff.items else back.items
    assert differences(first, first) == Diff()


def test_a_large_machine_is_compared_in_time() -> None:
    many = [seen(f"{n >> 8:04x}:{n & 255:02x}:00.0", vendor=1, device=2) for n in range(10_000)]
    shifted = [replace(f, bdf=replace(f.bdf, device=1)) for f in many]
    diff = differences(machine(*many), machine(*shifted))
    assert len(diff.items) == 10_000
    assert {item.kind for item in diff.items} == {"moved"}


def test_golden_text() -> None:
    from bringup.report.pci.diff import diff_lines

    before = small_machine()
    after = machine(
        *(
            renumbered(f, {0x16: 0x16, 0x17: 0x18})
            for f in before.functions
            if f.bdf.bus in (0x16, 0x17) and f.bdf.device != 8
        ),
        *(f for f in before.functions if f.bdf.bus > 0x17 and f.bdf.bus != 0xB5),
        replace(before.functions[-1], bars=(Bar(0, "mem", 0xFB000000, 1 << 20),), intx_pin="B"),
        identity=Identity(bios_version="2.1"),
    )
    diff = differences(before, after)
    check_golden("diff-80.txt", text(diff_lines(diff, width=80)))
    shown = text(diff_lines(replace(diff, items=(evil_item(),)), width=80))
    assert shown.replace("\n", "").isprintable()
    assert max(map(len, shown.splitlines())) <= 80


def evil_item() -> Item:
    evil = "\x1b[2J\n\u202e" + "x" * 3000
    return Item("changed", "driver", Bdf(0, 1, 2, 3), Bdf(0, 1, 2, 3), evil, evil, evil)


def test_no_difference_is_said() -> None:
    from bringup.report.pci.diff import diff_lines

    assert text(diff_lines(Diff())) == "no difference\n"


def pairs(first: str, second: str) -> list[tuple[Machine, Machine]]:
    """Return two machines as made listings, and as recorded ones where both are there."""
    sides = (views(first, "pciconf.txt"), views(second, "pciconf.txt"))
    return [(one.machine(), other.machine()) for one, other in zip(*sides, strict=False)]


@pytest.mark.parametrize(("before", "after"), pairs(TP8F, TP8F_OTHER), ids=source_of)
def test_two_units_of_one_model(before: Machine, after: Machine) -> None:
    diff = differences(before, after)
    serials = [item for item in diff.items if item.what == "serial number"]
    assert [item.before and item.before.short for item in serials] == [
        *(f"66:00.{n}" for n in range(4)),
        *(f"b5:00.{n}" for n in range(4)),
    ]
    others = replace(diff, items=tuple(item for item in diff.items if item not in serials))
    # Each has one card behind bus 64: an SSD behind port C, or an X550 behind port A.
    assert [(kind, new or old) for kind, _, old, new in told(others)] == [
        ("added", "64:00.0"),
        ("added", "65:00.0"),
        ("removed", "64:02.0"),
        ("removed", "65:00.0"),
        ("changed", "00:1f.4"),
        ("changed", "00:1f.4"),
    ]
    assert differences(before, before) == Diff()


def test_another_make_of_a_chip_in_its_place_is_told_as_such() -> None:
    before = machine(dull("00:14.0", subsystem=(0x15D9, 0x0987)), port("17:00.0", "A", 0))
    after = machine(dull("00:14.0", subsystem=(0x15D9, 0x0986)), port("17:00.0", "A", 0))
    (item,) = differences(before, after).items
    assert (item.kind, item.what, item.old, item.new) == ("changed", "subsystem", "15d9:0987", "15d9:0986")
    # Where one of the same make came elsewhere, that is the one.
    moved = machine(
        dull("00:14.0", subsystem=(0x15D9, 0x0986)),
        dull("00:15.0", subsystem=(0x15D9, 0x0987)),
        port("17:00.0", "A", 0),
    )
    assert told(differences(before, moved)) == [
        ("moved", "address", "00:14.0", "00:15.0"),
        ("added", "address", "", "00:14.0"),
    ]


@pytest.mark.parametrize(("before", "after"), pairs(TP8F, TP8F_8), ids=source_of)
def test_a_unit_and_its_sibling(before: Machine, after: Machine) -> None:
    moved = [(old, new) for kind, _, old, new in told(differences(before, after)) if kind == "moved"]
    # QuickAssist takes b5 and b6 on eight cores, so the X722 is on b7.
    assert moved == [(f"b5:00.{n}", f"b7:00.{n}") for n in range(4)]
