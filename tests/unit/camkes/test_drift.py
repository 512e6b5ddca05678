"""What a configuration was made for against what the board is now: each kind of difference, no false one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import BringupError, ProfileError
from bringup.camkes.assign.request import parse_wanted
from bringup.camkes.assign.solve import assign
from bringup.camkes.claims.compare import compare
from bringup.camkes.claims.facts import (
    Claims,
    MadeFrom,
    claims_of_application,
    fact_lines,
    read_claims,
)
from bringup.camkes.text.mark import MARK
from bringup.pci.model import Bar, Bdf, Function, Machine
from tests.unit.camkes.passthrough import E300, SHA, application, assessed, function, i350, net, x722

ORIGIN = MadeFrom("e300.tar", SHA, "e300", "supermicro-e300-9d")


def made_for(*assignments: str, accept: Sequence[str] = ()) -> Claims:
    passthrough = assign(assessed(), [parse_wanted(a) for a in assignments], application(), accept=accept)
    text = "\n".join(["// made", *fact_lines(ORIGIN, passthrough), "", "assembly {}"])
    claims = read_claims(text.encode(), "passthrough.camkes")
    assert claims is not None
    return claims


def with_changed(place: str, /, **fields: object) -> Machine:
    at = Bdf.parse(place)
    return replace(
        E300,
        functions=tuple(replace(f, **fields) if f.bdf == at else f for f in E300.functions),  # type: ignore[arg-type]
    )


def messages(claims: Claims, machine: Machine, **pins: object) -> list[str]:
    return [d.message for d in compare(claims, assessed(machine, **pins)).differences]  # type: ignore[arg-type]


def test_the_same_machine_does_not_drift() -> None:
    claims = made_for("vm0=17:00.0", "vm2=17:00.1", "vm1=b5:00.1")
    drift = compare(claims, assessed())
    assert (drift.differences, drift.notes) == ((), ())
    assert (claims.board, claims.capture, claims.sha256) == ("e300", "e300.tar", SHA)


def test_a_moved_function_is_found_by_its_mac() -> None:
    machine = with_changed("17:00.1", bdf=Bdf.parse("65:00.1"))
    assert messages(made_for("vm0=17:00.1"), machine) == ["17:00.1 was 8086:1521, now at 65:00.1"]


def test_a_moved_function_without_mac_is_found_by_its_kind_and_number() -> None:
    machine = Machine((x722("b7:00.0", 0xFA000000, 0xFB008000), x722("b7:00.1", 0xF9000000, 0xFB000000)))
    assert messages(made_for("vm1=b5:00.1"), machine) == ["b5:00.1 was 8086:37d2, now at b7:00.1"]


def test_a_moved_function_whose_mac_was_not_read_is_found_beside_others_whose_macs_are_known() -> None:
    claims = made_for("vm0=17:00.1")
    assert claims.devices[0].mac
    moved = {"bdf": Bdf.parse("65:00.1"), "net": ()}
    other = replace(E300.functions[1], bdf=Bdf.parse("18:00.1"), net=net("3c:ec:ef:00:00:99"))
    machine = with_changed("17:00.1", **moved)
    machine = replace(machine, functions=(*machine.functions, other))
    assert messages(claims, machine) == ["17:00.1 was 8086:1521, now at 65:00.1"]
    unknown = replace(other, bdf=Bdf.parse("19:00.1"), net=())
    assert "moved" not in [
        each.kind
        for each in compare(
            claims, assessed(replace(machine, functions=(*machine.functions, unknown)))
        ).differences
    ], "two may be it"


def test_two_ports_that_changed_places_are_told_by_their_macs() -> None:
    first, second, *rest = E300.functions
    swapped = Machine((replace(first, net=second.net), replace(second, net=first.net), *rest))
    assert messages(made_for("vm0=17:00.0"), swapped) == ["17:00.0 was 8086:1521, now at 17:00.1"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"device": 0x1533}, "17:00.0 was 8086:1521, now a 8086:1533 stands there"),
        (
            {"bars": (Bar(0, "mem", 0xC6000000, 0x100000), *E300.functions[0].bars[1:])},  # type: ignore[index]
            "17:00.0 BAR 0 was at 0xc5b00000, now at 0xc6000000",
        ),
        (
            {"bars": (Bar(0, "mem", 0xC5B00000, 0x20000), *E300.functions[0].bars[1:])},  # type: ignore[index]
            "17:00.0 BAR 0 had 0x100000 bytes, now 0x20000",
        ),
        (
            {"bars": E300.functions[0].bars[:2]},  # type: ignore[index]
            "17:00.0 BAR 3 was at 0xc5e0c000, now it has no address",
        ),
        (
            {"bars": (*E300.functions[0].bars, Bar(4, "mem", 0xC7000000, 0x1000))},  # type: ignore[misc]
            "17:00.0 BAR 4 is new, at 0xc7000000",
        ),
    ],
)
def test_a_changed_device_or_bar_is_named(fields: dict[str, object], says: str) -> None:
    assert messages(made_for("vm0=17:00.0"), with_changed("17:00.0", **fields)) == [says]


def test_a_function_that_is_gone_is_named() -> None:
    machine = Machine(E300.functions[4:])
    assert messages(made_for("vm0=17:00.0"), machine) == ["17:00.0 (8086:1521) is not there any more"]


def test_a_pin_counts_only_where_it_is_known_as_well_as_before() -> None:
    claims = made_for("vm0=17:00.0")  # measured 16
    differing = compare(claims, assessed(pins={"17:00.0": (18, "measured")}))
    assert [d.message for d in differing.differences] == [
        "17:00.0 interrupts at pin 0/18 measured elsewhere, and 0/16 is configured"
    ]
    weaker = compare(claims, assessed(pins={"17:00.0": (18, "inferred")}))
    assert not weaker.differences
    assert weaker.notes == ("17:00.0: pin 0/16 was measured, and the capture only has 0/18 inferred",)
    assert compare(claims, assessed(pins={})).notes == (
        "the IOAPIC pin of 17:00.0 is not in the capture; 0/16 is configured",
    )


def test_what_was_not_observed_is_a_note_and_no_difference() -> None:
    bare = Function(
        Bdf.parse("17:00.0"), vendor=0x8086, device=0x1521, provenance={"vendor": "x", "device": "x"}
    )
    drift = compare(made_for("vm0=17:00.0"), assessed(Machine((bare,))))
    assert not drift.differences
    assert drift.notes == ("the BARs of 17:00.0 are not in the capture",)


def test_another_card_of_the_same_kind_is_a_note() -> None:
    machine = with_changed("17:00.0", net=net("00:19:99:00:00:01"))
    drift = compare(made_for("vm0=17:00.0"), assessed(machine))
    assert not drift.differences
    assert "had the MAC 00:19:99:e3:1c:15, now 00:19:99:00:00:01" in drift.notes[0]


# Files by hand.

BY_HAND = {
    "vm0.vm_ioports": ({"start": 0x7060, "end": 0x7080, "pci_device": 0, "name": "eth"},),
    "vm0.pci_devices": (
        {
            "name": "eth",
            "bus": 0x17,
            "dev": 0,
            "fun": 0,
            "irq": "eth_irq",
            "memory": (
                {"paddr": 0xC5B00000, "size": 0x100000, "page_bits": 12},
                {"paddr": 0xC5E0C000, "size": 0x4000, "page_bits": 12},
            ),
        },
    ),
    "vm0.vm_irqs": (
        {"name": "eth_irq", "ioapic": 0, "source": 16, "level_trig": 0, "active_low": 1, "dest": 10},
    ),
}


def test_a_file_by_hand_is_compared_by_its_settings() -> None:
    claims = claims_of_application(application(settings=BY_HAND))  # type: ignore[arg-type]
    assert not compare(claims, assessed()).differences
    moved = i350("17:00.0", 0xC5B00000, 0x7040, 0xC5F00000)
    assert messages(claims, Machine((moved,))) == [
        "17:00.0 BAR 2 at 0x7040 is in no range of vm0 (0x7060-0x707f)",
        "17:00.0 BAR 3 at 0xc5f00000 is in no range of vm0 (0xc5b00000-0xc5bfffff, 0xc5e0c000-0xc5e0ffff)",
    ]
    assert messages(claims, Machine((function("18:00.0"),))) == ["17:00.0 is not there any more"]
    assert messages(claims, E300, pins={"17:00.0": (11, "inferred")}) == [
        "17:00.0 interrupts at pin 0/11 inferred, and 0/16 is configured"
    ]


# The lines in the file.


@pytest.mark.parametrize("text", ["", "assembly {}", "/* // bringup: {} */", "  // bringup: {}"])
def test_a_file_without_facts_has_none(text: str) -> None:
    assert read_claims(text.encode(), "x.camkes") is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        '{"schema":2}',
        '{"schema":1}\n// bringup: {"vm":"vm0"}',
        '{"schema":1}\n// bringup: {"vm":"vm0","bdf":7,"bars":[],"pin":{}}',
        '{"schema":1}\n// bringup: {"vm":"vm0","bdf":"17:00.0","pin":{"ioapic":0,"pin":16},'
        '"bars":[{"index":0,"kind":"x","base":"0","size":1}]}',
        "[" * 5000,
    ],
)
def test_damaged_facts_are_refused_with_their_line(line: str) -> None:
    with pytest.raises(ProfileError, match=r"x\.camkes:[12]: ") as told:
        read_claims(f"{MARK}{line}".encode(), "x.camkes")
    assert "bringup camkes overlay" in (told.value.hint or "")


@given(st.binary(max_size=200))
def test_any_bytes_give_facts_or_one_sentence(data: bytes) -> None:
    for text in (data, MARK.encode() + data, MARK.encode() + b'{"schema":1}\n' + MARK.encode() + data):
        try:
            read_claims(text, "x.camkes")
        except BringupError as error:
            assert "\n" not in error.message
