"""First contact: what made machines and a BMC's answers say of a profile's facts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bringup.jobs.verify.believed import compared_profile
from bringup.jobs.verify.first_contact import judging
from bringup.lab.inventory import Lab, twin_board
from bringup.pci.capture.open import open_capture
from bringup.pci.model import Bar, Machine
from bringup.profile.load import load_profile
from bringup.profile.unit import named_facts, unit_toml
from bringup.verify.hardware.facts import Asked, expanded
from bringup.verify.hardware.measure import PROBES
from bringup.verify.hardware.seen import BmcSeen, BootSeen, Seen
from bringup.verify.hardware.unit import another_board, unit_file, upstream_page
from bringup.verify.plan import VerifyPlan, load_plan
from bringup.verify.runner import Checked, run_checks
from tests.machines import catalogue

NAME = "supermicro-e300-9d"
BMC = BmcSeen(10876, "1.74", (3, 17), "DHCP", "failover", True, 115200, "none")
BOOT = BootSeen("2026-01-01-0001", "bios", {"power": 3.0, "firmware": 10.0, "dhcp": 95.0}, True, True)
DAY = "2026-01-01"


@cache
def machine(name: str, folder: Path) -> Machine:
    for form in ("firmware.log", "bundle.tar.gz"):
        (folder / form).write_bytes(catalogue.told(name, form))
    return open_capture([folder / "firmware.log", folder / "bundle.tar.gz"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return Seen(machine(catalogue.E300_9D, tmp_path_factory.mktemp("e300")), BMC, (BOOT,))


@cache
def asked() -> tuple[VerifyPlan, dict[str, Asked]]:
    return expanded(load_plan("hardware", list(PROBES)), load_profile(NAME))


def checked(seen: Seen) -> list[Checked]:
    plan, facts = asked()
    return list(run_checks(plan.check, judging(facts, seen)))


def of(found: list[Checked], status: str) -> set[str]:
    return {each.check.id for each in found if each.result.status == status}


def with_function(seen: Seen, place: str, **changes: Any) -> Seen:
    assert seen.machine is not None
    functions = [
        replace(each, **changes) if each.bdf.short == place else each for each in seen.machine.functions
    ]
    return replace(seen, machine=replace(seen.machine, functions=tuple(functions)))


def test_a_unit_as_the_profile_has_it_confirms_and_adds(whole: Seen) -> None:
    found = checked(whole)
    assert of(found, "fail") == set()
    assert {
        "identity.baseboard_product",
        "bmc.cipher_order",
        "bmc.boot_flags.bios_network_once",
        "nics.X722 #1.ioapic_pin",
        "nics.X722 #2.ioapic_pin",
        "nics.SLOT7 I350 function 2.ioapic_pin",
        "interrupts.root_port_rule",
        "stages.dhcp",
        "unit.bmc_lan_mode",
        "unit.post_s",
        "unit.iommu_groups",
    } <= of(found, "pass")


def test_every_fact_below_high_is_looked_at_or_said_to_be_untestable(whole: Seen) -> None:
    looked = {each.check.id for each in checked(whole)}
    profile = load_profile(NAME)
    assert {name for name, fact in named_facts(profile).items() if fact.grade != "HIGH"} <= looked
    assert all(each.result.evidence for each in checked(whole))


def pin_moved(seen: Seen) -> Seen:
    assert seen.machine is not None
    pins = [replace(each, pin=18) if each.bdf.short == "b5:00.0" else each for each in seen.machine.measured]
    return replace(seen, machine=replace(seen.machine, measured=tuple(pins)))


def bar_grown(seen: Seen) -> Seen:
    bars = (Bar(0, "mem", 0xC5A00000, 0x200000), Bar(2, "io", 0x7060, 32), Bar(3, "mem", 0xC5E0C000, 0x4000))
    return with_function(seen, "17:00.0", bars=bars)


SPOILT = {
    "pin": (pin_moved, {"nics.X722 #1.ioapic_pin", "interrupts.root_port_rule"}),
    "bar": (bar_grown, {"nics.SLOT7 I350 function 0.bars"}),
    # With INTB the rule would have it at another pin than the one where it arrived.
    "intx": (
        lambda seen: with_function(seen, "b5:00.1", intx_pin="B"),
        {"nics.X722 #2.intx_pin", "interrupts.root_port_rule"},
    ),
    "ciphers": (lambda seen: replace(seen, bmc=replace(BMC, suites=(3,))), {"bmc.cipher_order"}),
    "baud": (lambda seen: replace(seen, bmc=replace(BMC, sol_baud=9600)), {"serial.baud"}),
    "post": (
        lambda seen: replace(seen, boots=(replace(BOOT, stages={"firmware": 10.0, "dhcp": 400.0}),)),
        {"stages.dhcp"},
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_differs_is_corrected_and_nothing_else(name: str, whole: Seen) -> None:
    spoil, fails = SPOILT[name]
    assert of(checked(spoil(whole)), "fail") == fails


def test_without_a_bmc_and_boots_their_facts_are_not_testable(whole: Seen) -> None:
    found = checked(replace(whole, bmc=None, boots=(), why={"bmc": "nobody may log in"}))
    assert of(found, "fail") == set()
    evidence = {each.check.id: each.result.evidence for each in found if each.result.status == "skip"}
    assert evidence["bmc.cipher_order"] == "not testable here: nobody may log in"
    assert {"stages.dhcp", "unit.post_s", "bmc.boot_flags.bios_network_once"} <= evidence.keys()


def test_an_override_counts_as_verified_only_where_a_boot_read_it_back(whole: Seen) -> None:
    assert "bmc.boot_override" in of(checked(whole), "pass")
    unread = replace(whole, boots=(replace(BOOT, verified=False),))
    assert "bmc.boot_override" in of(checked(unread), "skip")


def test_another_model_is_found_out(tmp_path: Path) -> None:
    found = checked(Seen(machine(catalogue.TP8F, tmp_path), BMC))
    assert another_board(found) == "its baseboard is a X11SDV-4C-TP8F"
    assert {"identity.baseboard_product", "identity.subsystem"} <= of(found, "fail")


def test_times_of_a_twin_are_nobody_s(whole: Seen) -> None:
    found = checked(replace(whole, virtual=True))
    assert {"stages.dhcp", "unit.post_s"} <= of(found, "skip")


def test_the_unit_file_outranks_the_profile(whole: Seen, tmp_path: Path) -> None:
    found = checked(replace(pin_moved(whole), bmc=replace(BMC, suites=(3,))))
    path = tmp_path / "e300-1.toml"
    path.write_text(unit_toml(unit_file("e300-1", NAME, found, DAY)))
    profile = load_profile(NAME, unit=path)
    first, second = profile.nics[0].ioapic_pin, profile.nics[1].ioapic_pin
    assert first is not None and second is not None and profile.bmc.cipher_order is not None
    assert (first.value, first.grade, second.value) == (18, "measured", 19)
    assert profile.bmc.cipher_order.value == (3,)
    assert profile.stages.dhcp.expected_s == 85.0
    assert profile.stages.dhcp.timeout_s == load_profile(NAME).stages.dhcp.timeout_s
    # A rule that does not hold has no better value: the profile's stays.
    assert profile.interrupts.root_port_rule == load_profile(NAME).interrupts.root_port_rule


def test_a_stage_that_took_longer_than_its_limit_gets_another(whole: Seen, tmp_path: Path) -> None:
    slow = replace(BOOT, stages={"firmware": 10.0, "dhcp": 400.0})
    path = tmp_path / "e300-1.toml"
    path.write_text(unit_toml(unit_file("e300-1", NAME, checked(replace(whole, boots=(slow,))), DAY)))
    times = load_profile(NAME, unit=path).stages.dhcp
    assert (times.expected_s, times.timeout_s) == (390.0, 780.0)


def test_the_page_has_what_differs_and_nothing_of_the_lab(whole: Seen) -> None:
    page = upstream_page("SuperMicro SYS-E300-9D", NAME, checked(pin_moved(whole)), DAY, "1.0")
    assert "| `nics.X722 #1.ioapic_pin` | 19 (MED) | 18 |" in page
    assert page.index("## Corrected") < page.index("## Confirmed") < page.index("## Not testable here")
    assert "e300-1" not in page
    assert whole.machine is not None and whole.machine.identity is not None
    assert str(whole.machine.identity.serial) not in page


def test_a_twin_is_compared_with_the_board_it_stands_for() -> None:
    lab = Lab({"e300": twin_board("e300")})
    assert compared_profile(lab, lab.board("e300"), None).name == NAME
    assert compared_profile(lab, lab.board("e300"), "supermicro-e300-9d-8cn8tp").name.endswith("8cn8tp")
