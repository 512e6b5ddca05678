"""Model III on played VMs: each thing that is wrong is told by the checks that name it, and by no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.camkes.app.build import Build
from bringup.verify.plan import load_plan
from bringup.verify.probes import PROBES
from bringup.verify.vms.expected import Line
from bringup.verify.vms.scene import Booted
from tests.doubles.vm_plans import Row, outcome, with_status

PLAN = load_plan("model-3", PROBES)


OPT_IN = {"vm0.rate"}
ROWS = (
    Row("right", {}),
    Row(
        "wrong-pin",
        {
            "vm0.irq": "nothing arrives at the pin in use, 0/16; next candidates: 0/18 (the board's rule)",
            "vm0.ping": "0 of 5 answered by 10.0.1.10",
        },
    ),
    Row(
        "missing-bar",
        {"vm0.bars": "missing I/O 32, unexpected none; an I/O BAR goes missing where vm_ioports"},
    ),
    Row(
        "msi", {"vm0.msi": "MSI was tried: used by 0000:00:01.0; pci=nomsi is missing in vm0.kernel_cmdline"}
    ),
    Row("dead", {"vm1": "vm1 gives no sign of life"}, frozenset({"vm1.card", "vswitch", "rate"})),
    Row("hangs", {"vm1": "vm1 echoes and runs nothing"}, frozenset({"vm1.card", "vswitch", "rate"})),
    Row(
        "slow-link",
        {"vm0.link": "eth1's link came up at 100 Mbit/s of 1000"},
        frozenset({"vm0.irq", "vm0.ping"}),
    ),
    Row("stray-card", {"vm1.card": "vm1 has 8086:1521 at 0000:00:01.0, and nothing is passed to it"}),
    Row("slow-vswitch", {"rate": "below the band 100 to 250; stock rings"}),
)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_is_wrong_is_named_and_nothing_else(row: Row) -> None:
    row.holds(PLAN, OPT_IN)


def test_the_wrong_pin_comes_with_one_boot_that_tries_the_others() -> None:
    irq = outcome(PLAN, "wrong-pin")["vm0.irq"]
    assert irq.values["pin"] == "0/16"
    assert irq.values["candidates"] == ["0/18", "0/19"], "0/17 is vm2's"
    rows = [line for line in irq.values["vm_irqs"] if "source" in line]
    assert [f'"source":{pin}' in row for pin, row in zip((16, 18, 19), rows, strict=True)] == [True] * 3
    dests = [row.partition('"dest":')[2].rstrip("}, ") for row in rows]
    assert dests == ["10", "5", "14"], "11 is vm2's"
    assert any("NETDEV WATCHDOG" in line for line in irq.excerpt)


def test_of_several_pins_at_once_the_one_that_counts_is_named() -> None:
    several = [
        vm.model_copy(
            update={
                "cards": tuple(
                    card.model_copy(update={"lines": (*card.lines, Line(pin="0/18", irq=5))})
                    for card in vm.cards
                    if vm.number == 0
                )
            }
        )
        for vm in PLAN.vm
    ]
    irq = outcome(PLAN, "other-line", expected=several)["vm0.irq"]
    assert irq.status == "fail"
    assert "the card's pin is 0/18, not 0/16" in irq.evidence
    assert irq.values["right"] == "0/18"


def test_a_card_that_is_not_there_is_missed_among_several() -> None:
    red, *others = PLAN.vm
    two = red.model_copy(update={"cards": (*red.cards, *PLAN.vm[2].cards)})
    card = outcome(PLAN, "right", expected=[two, *others])["vm0.card"]
    assert card.status == "fail"
    assert card.evidence == "vm0 has 8086:1521 at 0000:00:01.0, and 2 are passed to it"


def test_a_slow_vswitch_is_told_with_the_setting_of_its_own_build() -> None:
    build = Build(Path("build"), {"LibSel4VMUseTranslationVspace": "OFF"})
    rate = outcome(PLAN, "slow-vswitch", build=build)["rate"]
    assert rate.evidence.endswith(
        "the build has no translation vspace: build with "
        "-DLibSel4VMUseTranslationVspace=ON (seL4_projects_libs#114)"
    )
    assert outcome(PLAN, "right", build=build)["rate"].ok, "what is fast enough has no cause"


@pytest.mark.parametrize("seed", [1, 2])
def test_numbers_that_come_broken_are_never_wrong_numbers(seed: int) -> None:
    results = outcome(PLAN, "lossy", seed=seed)
    assert len(with_status(results, "pass")) > len(results) / 2, "most come whole, if asked for again"
    for name in with_status(results, "fail"):
        assert results[name].trouble and "not observed" in results[name].evidence, results[name]
    if results["rate"].ok:
        assert 140 < results["rate"].values["mbit_s"] < 160


def test_what_cannot_be_read_at_all_is_trouble_and_nobody_is_called_dead() -> None:
    results = outcome(PLAN, "unreadable")
    failed = with_status(results, "fail")
    assert failed == {"vm0", "vm1", "vm2"}
    assert all(results[name].trouble for name in failed)
    assert with_status(results, "pass") == {"boots"}


def test_a_rate_is_the_receivers_count_with_its_raw_lines() -> None:
    results = outcome(PLAN, "right", named=["vm0.rate"])
    rate = results["rate"]
    assert rate.status == "pass" and 140 < rate.values["mbit_s"] < 160
    assert any("receiver" in line for line in rate.excerpt)
    assert any("rx_bytes" in line for line in rate.excerpt)
    assert results["vm0.rate"].status == "pass"


def test_an_engine_without_the_boards_cards_shows_vms_and_passes_no_card() -> None:
    results = outcome(PLAN, "right", booted=Booted(True, "played", no_cards="it has no IOMMU"))
    cards = {
        f"vm{n}.{what}" for n in (0, 2) for what in ("card", "bars", "msi", "driver", "link", "irq", "ping")
    }
    assert with_status(results, "skip") == cards | {"vm1.card", "vm0.rate"}
    assert results["vm0.card"].evidence == "not testable here: it has no IOMMU"
    assert with_status(results, "fail") == set()


def test_an_image_that_did_not_come_up_is_asked_nothing() -> None:
    results = outcome(PLAN, "right", booted=Booted(False, "no DHCP request within 90 s"))
    assert with_status(results, "fail") == {"boots"}
    assert with_status(results, "pass") == set()
