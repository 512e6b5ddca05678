"""What each VM shall have: by the application's own configuration, and which pins are tried next."""

from __future__ import annotations

from pathlib import Path

from bringup.camkes.app.load import load_application
from bringup.camkes.assign.in_use import vms_of
from bringup.jobs.verify.believed import believed_pins
from bringup.profile.load import load_profile
from bringup.verify.plan import load_plan
from bringup.verify.probes import PROBES
from bringup.verify.vms.expected import Candidate, Line, next_pins, of_configuration, several_at_once

PLAN = load_plan("model-3", PROBES)
APPLICATION = """
component Init {}
assembly {
    composition { component Init vm0; component Init vm1; component Init vm2; }
    configuration {
        vm0.vm_ioports = [{"start":0x7060, "end":0x7080, "pci_device":0, "name":"nic"}];
        vm0.pci_devices = [{"name":"nic", "bus":0x17, "dev":0, "fun":0, "irq":"nic_irq", "memory":[
            {"paddr":0xc5b00000, "size":0x100000, "page_bits":12},
            {"paddr":0xc5e0c000, "size":0x4000, "page_bits":12}]}];
        vm0.vm_irqs = [
            {"name":"nic_irq", "ioapic":0, "source":18, "level_trig":0, "active_low":1, "dest":10},
            {"name":"other", "ioapic":0, "source":20, "level_trig":0, "active_low":1, "dest":14},
            {"name":"nic_irq", "ioapic":0, "source":19, "level_trig":0, "active_low":1, "dest":5}];
        vm1.pci_devices = [{"name":"x", "bus":0xb5, "dev":0, "fun":1, "irq":"x_irq", "memory":[
            {"paddr":0xfa000000, "size":0x1000000, "page_bits":12}]}];
    }
}
"""


def test_cards_are_those_of_the_configuration_and_ids_those_of_the_plan(tmp_path: Path) -> None:
    file = tmp_path / "app.camkes"
    file.write_text(APPLICATION, encoding="ascii")
    vms = of_configuration(PLAN.vm, vms_of(load_application(file, allow_missing=True)))
    assert [vm.role for vm in vms] == ["red", "crypto", "black"]
    (card,) = vms[0].cards
    assert (card.bdf, card.id, card.mbit) == ("17:00.0", "8086:1521", 1000), "as planned for that function"
    assert (card.memory, card.io) == ((0x100000, 0x4000), (0x20,))
    assert card.lines == (Line(pin="0/18", irq=10), Line(pin="0/19", irq=5)), "all of its name, in order"
    assert [(c.bdf, c.id, c.memory, c.io, c.lines) for c in vms[1].cards] == [
        ("b5:00.1", "", (0x1000000,), (), ())
    ]
    assert vms[2].cards == ()


def test_pins_in_use_are_not_tried_again_and_each_pin_once() -> None:
    card = PLAN.vm[0].cards[0]
    believed = {
        card.bdf: [
            Candidate(pin, who) for pin, who in (("0/16", "a"), ("0/19", "a"), ("0/17", "b"), ("0/19", "b"))
        ]
    }
    assert next_pins(card, PLAN.vm, believed) == (Candidate("0/19", "a"),)
    assert next_pins(card, PLAN.vm, {}) == ()


def test_several_pins_are_one_name_with_a_guest_interrupt_each() -> None:
    pins = [Candidate(f"0/{pin}", "x") for pin in range(18, 28)]
    lines = several_at_once(PLAN.vm[0], PLAN.vm[0].cards[0], PLAN.vm, pins)
    assert lines[0] == "vm0.vm_irqs = [" and lines[-1] == "];"
    rows = lines[1:-1]
    assert all('"name":"eth_irq", "ioapic":0' in row for row in rows)
    dests = [int(row.partition('"dest":')[2].rstrip("}, ")) for row in rows]
    assert len(dests) == len(set(dests)) and 11 not in dests


def test_without_a_capture_the_profile_says_what_to_try() -> None:
    believed = believed_pins("nobody-s-board", load_profile("supermicro-e300-9d"), ["17:00.0", "03:00.0"])
    assert [c.pin for c in believed["17:00.0"]] == ["0/16", "0/16", "0/17", "0/18", "0/19"]
    assert believed["17:00.0"][0].source == "the profile, HIGH"
    assert [c.pin for c in believed["03:00.0"]] == ["0/16", "0/17", "0/18", "0/19"]
    assert {c.source for c in believed["03:00.0"]} == {"the board's rule, untested"}
