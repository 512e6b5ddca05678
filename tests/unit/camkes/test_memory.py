"""The memory plan: it satisfies the rules it is made for, and refuses with how much is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import ProfileError, UsageError
from bringup.camkes.vms.memory import RESERVED, WINDOW, plan_memory
from bringup.camkes.vms.vmm import MIB
from bringup.pci.assessment import Assessment
from bringup.pci.model import Machine, Platform
from bringup.rules.check import check
from tests.unit.camkes.passthrough import application

GIB = 1 << 30


@given(
    ram=st.integers(1, 2200),
    vms=st.integers(1, 4),
    bars=st.lists(st.sampled_from([16, 4096, 16 << 10, 1 << 20, 16 << 20]), max_size=4),
)
def test_a_plan_satisfies_the_checks_it_is_for(ram: int, vms: int, bars: list[int]) -> None:
    plan = plan_memory(ram, vms=vms, board_ram=64 * GIB, bars=bars)
    assert plan.ratio >= 1.25
    assert all(4 <= bits <= 47 and count > 0 for bits, count in plan.pools)
    assert plan.pages * (1 + plan.iospaces) < 1 << plan.cnode_size_bits
    assert plan.total + (plan.free or 0) == 64 * GIB
    names = [f"vm{n}" for n in range(vms)]
    settings = {f"{name}.{attribute}": value for name in names for attribute, value in plan.settings}
    machine = Machine((), platform=Platform(memory_bytes=plan.total - RESERVED))
    report = check(application(names, settings), assessment=Assessment(machine))
    sizing = {f"C{n}" for n in (25, 37, 38, 39, 40, 41)}
    assert not [finding for finding in report.findings if finding.code in sizing]


def test_one_byte_less_than_the_plan_takes_is_too_little() -> None:
    plan = plan_memory(128)
    settings = {f"vm0.{attribute}": value for attribute, value in plan.settings}
    machine = Machine((), platform=Platform(memory_bytes=plan.total - RESERVED - 1))
    report = check(application(("vm0",), settings), assessment=Assessment(machine))
    assert [finding.code for finding in report.findings if finding.rule == "C40"] == ["board-too-small"]


def test_a_known_good_system_is_near() -> None:
    """camkes-vm-examples#90 runs 1024 MB guests with 1728 MiB of pools and a heap of 0x2000000."""
    plan = plan_memory(1024, vms=3, board_ram=16 * GIB, bars=(1 << 20, 16 << 10))
    assert 1280 * MIB < plan.pool_bytes <= 1728 * MIB
    assert dict(plan.settings)["heap_size"] == 0x2000000
    assert plan.cnode_size_bits == 21
    assert plan.pools[0][0] == 26


def test_headroom_goes_before_the_plan_does() -> None:
    roomy = plan_memory(1024, board_ram=16 * GIB)
    tight = plan_memory(1024, board_ram=roomy.total - 1)
    assert tight.tight and not roomy.tight
    assert tight.pool_bytes == 1280 * MIB
    assert tight.total < roomy.total


def test_what_does_not_fit_says_by_how_much() -> None:
    least = plan_memory(1024, vms=3, board_ram=plan_memory(1024, vms=3).total - 1)
    with pytest.raises(ProfileError) as refusal:
        plan_memory(1024, vms=3, board_ram=least.total - 5 * MIB)
    assert "5 MiB more than the board's" in refusal.value.message
    assert "untyped pools" in (refusal.value.hint or "")


def test_the_window_of_the_vmm_is_the_limit_of_a_guest() -> None:
    assert plan_memory(WINDOW // MIB).guest_ram_mib == 2303
    with pytest.raises(ProfileError, match="more than the 2303 MiB"):
        plan_memory(WINDOW // MIB + 1)
    with pytest.raises(ProfileError) as refusal:
        plan_memory(2300, bars=(16 * MIB,))
    assert "2287 MiB" in (refusal.value.hint or "")


def test_more_devices_need_more_slots() -> None:
    """cma34cr passes five devices to a guest of 1900 MB and sets 24 bits."""
    assert plan_memory(1900, devices=5).cnode_size_bits == 22
    assert plan_memory(1900, devices=0).cnode_size_bits == 21


@pytest.mark.parametrize(
    "arguments",
    [{"guest_ram_mib": 0}, {"guest_ram_mib": -5}, {"vms": 0}, {"vms": 65}, {"bars": (24,)}, {"bars": (8,)},
     {"devices": 31}, {"guest_ram_mib": 1 << 30}],
)  # fmt: skip
def test_numbers_without_sense_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        plan_memory(**{"guest_ram_mib": 128, **arguments})  # type: ignore[arg-type]
