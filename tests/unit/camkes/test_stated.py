"""Pins that a person states: which texts are one, which a device cannot have, and what they weigh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bringup.base.errors import BringupError, ProfileError, UsageError
from bringup.camkes.assign.request import parse_wanted
from bringup.camkes.assign.solve import assign
from bringup.camkes.assign.stated import stated_pins
from bringup.camkes.claims.facts import MadeFrom, fact_lines, read_claims
from bringup.pci.model import Acpi, Bdf, IoApic, Madt, MeasuredPin
from bringup.pci.pins.beliefs import pin_candidates
from bringup.profile.load import load_profile
from bringup.rules.assess import assess
from bringup.rules.check import recheck
from tests.unit.camkes.passthrough import E300, SHA, application, function

NIC = Bdf.parse("17:00.0")
PROFILE = load_profile("supermicro-e300-9d")
STATED = {NIC: (0, 21)}


def test_pins_end_where_the_next_ioapic_begins() -> None:
    """A MADT tells where each IOAPIC's interrupts begin, and of no how many pins it has."""
    machine = replace(E300, acpi=Acpi(madt=Madt((IoApic(0, 8, 0xFEC00000, 0), IoApic(1, 9, 0xFEC01000, 24)))))
    assert stated_pins(["17:00.0=0/23"], machine) == {NIC: (0, 23)}
    assert stated_pins(["17:00.0=1/40"], machine) == {NIC: (1, 40)}
    with pytest.raises(ProfileError, match="IOAPIC 0 has 24 pins"):
        stated_pins(["17:00.0=0/24"], machine)


def test_without_a_madt_the_boards_profile_tells_its_ioapics() -> None:
    assert stated_pins(["17:00.0=0/24"], E300) == {NIC: (0, 24)}
    with pytest.raises(ProfileError, match="IOAPIC 0 has 24 pins"):
        stated_pins(["17:00.0=0/24"], E300, PROFILE)
    with pytest.raises(ProfileError, match="this machine has 5 IOAPICs"):
        stated_pins(["17:00.0=5/1"], E300, PROFILE)


def best(stated: Mapping[Bdf, tuple[int, int]], **machine: object) -> tuple[int, str]:
    candidate = pin_candidates(replace(E300, **machine), PROFILE, stated)[NIC][0]  # type: ignore[arg-type]
    return candidate.pin, candidate.words


def test_a_pin_is_stated_by_any_name_of_a_device() -> None:
    assert stated_pins(["17:00.0=0/21"], E300) == STATED
    assert stated_pins(["00:19:99:e3:1c:15=0/21", "17:00.0=0/21"], E300) == STATED
    assert stated_pins(["0000:17:00.0=1/239"], E300) == {NIC: (1, 239)}


@pytest.mark.parametrize(
    "text", ["", "17:00.0", "17:00.0=", "17:00.0=21", "=0/21", "17:00.0=0/", "17:00.0=-1/2", "17:00.0=0/2/3",
             "17:00.0=0x0/1", "17:00.0=\u0660/\u0661", "17:00.0=0/1234", "\x1b[2J", "9" * 5000],
)  # fmt: skip
def test_what_states_no_pin_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="is not DEVICE=IOAPIC/PIN") as refused:
        stated_pins([text], E300)
    assert refused.value.message.isprintable() and len(refused.value.message) < 200


def test_two_pins_of_one_device_are_refused() -> None:
    with pytest.raises(UsageError, match=r"two pins for 17:00\.0"):
        stated_pins(["17:00.0=0/21", "17:00.0=0/22"], E300)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("17:00.0=2/1", r"this machine has 2 IOAPICs, counted from 0 \(C2\)"),
        ("17:00.0=0/24", r"IOAPIC 0 has 24 pins, counted from 0 \(C3\)"),
        ("17:00.0=1/240", r"IOAPIC 1 has at most 240 pins"),
        ("03:00.0=0/21", r"03:00\.0 has no INTx pin"),
        ("17:00.1=0/21", r"17:00\.1 was measured at pin 0/17 on this unit, and --pin says 0/21"),
        ("18:00.0=0/21", r"18:00\.0 is not in the capture"),
    ],
)
def test_a_pin_that_the_device_cannot_have_is_refused(text: str, message: str) -> None:
    machine = replace(
        E300,
        functions=(*E300.functions, function("03:00.0", intx_pin=None)),
        acpi=Acpi(madt=Madt((IoApic(0, 8, 0xFEC00000, 0, 24), IoApic(1, 9, 0xFEC01000, 24)))),
        measured=(MeasuredPin(Bdf.parse("17:00.1"), 0, 17, "firmware probe"),),
    )
    with pytest.raises(BringupError, match=message):
        stated_pins([text], machine)
    assert stated_pins(["17:00.1=0/17"], machine)  # what was measured may be said, too


def test_a_stated_pin_goes_before_all_but_what_was_measured_on_this_unit() -> None:
    assert best({}) == (16, "measured elsewhere")
    assert best(STATED) == (21, "stated by hand")
    measured = (MeasuredPin(NIC, 0, 18, "firmware probe"),)
    assert best(STATED, measured=measured) == (18, "measured")


def test_an_unknown_pin_is_known_once_it_is_stated() -> None:
    machine = replace(E300, sources=())
    told = assess(machine, None, STATED)
    assert told.passability[NIC].limits == ("pin 21 is stated by hand, not measured",)
    with pytest.raises(ProfileError, match="at which IOAPIC pin") as refused:
        assign(assess(machine), [parse_wanted("vm0=17:00.0")], application(), accept=["unknown"])
    assert "--pin 17:00.0=IOAPIC/PIN" in (refused.value.hint or "")
    (grant,) = assign(told, [parse_wanted("vm0=17:00.0")], application(), accept=["unknown"]).grants
    assert (grant.line, grant.pin.grade) == ((0, 21), "stated")


def test_evidence_that_speaks_against_a_stated_pin_is_told() -> None:
    told = assess(E300, PROFILE, STATED)
    passthrough = assign(told, [parse_wanted("vm0=17:00.0")], application(), profile=PROFILE)
    assert any(
        "pin 0/21 is stated, evidence says 0/16 (measured elsewhere)" in c for c in passthrough.cautions
    )


def test_the_gate_before_a_boot_agrees_with_what_was_stated_until_the_unit_shows_otherwise() -> None:
    told = assess(E300, PROFILE, STATED)
    passthrough = assign(told, [parse_wanted("vm0=17:00.0")], application(), profile=PROFILE)
    text = "\n".join(fact_lines(MadeFrom("e300.tar", SHA), passthrough))
    claims = read_claims(text.encode(), "passthrough.camkes")
    assert claims is not None and claims.stated == STATED
    assert not [f for f in recheck(claims, E300, PROFILE).findings if f.code == "drift-pin"]
    measured = replace(E300, measured=(MeasuredPin(NIC, 0, 16, "firmware probe"),))
    (drift,) = [f for f in recheck(claims, measured, PROFILE).findings if f.code == "drift-pin"]
    assert "17:00.0 interrupts at pin 0/16 measured, and 0/21 is configured" in drift.message
