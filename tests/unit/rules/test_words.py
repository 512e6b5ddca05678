"""What a check says to somebody who meets the mistake for the first time; and what it must not claim."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bringup.base.errors import ProfileError, UsageError
from bringup.camkes.assign.request import parse_wanted
from bringup.camkes.assign.solve import ACCEPTABLE, assign
from bringup.camkes.model import Unevaluated
from bringup.camkes.vms.read import read_vms
from bringup.camkes.vms.vmm import USABLE_IRQS, taken_irqs
from bringup.pci.assessment import Passability
from tests.unit.camkes.passthrough import application, assessed
from tests.unit.rules.codes import about_functions
from tests.unit.rules.world import World, world

MACRO = Unevaluated("macro", "MACRO(1)")


def parts(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every part of a value."""
    if at:
        yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from parts(part, (*at, key))


def two_vms() -> World:
    w = world()
    w.two_devices()
    w.vm0["exclude_paddr"] = [[0x0E000000, 0x1000]]
    w.vm0["init_cons"] = [{"init": "make_virtio_net"}]
    w.missing = ("configurations/vm.h",)
    return w


def test_what_a_macro_of_an_unread_header_says_is_never_held_against_anybody() -> None:
    base = two_vms()
    allowed = {(f.rule, f.code) for f in base.report().findings}
    for at in list(parts(base.vm0)):
        w = copy.deepcopy(base)
        holder: Any = w.vm0
        for key in at[:-1]:
            holder = holder[key]
        holder[at[-1]] = MACRO
        report = w.report()
        assert {(f.rule, f.code) for f in report.findings if f.severity != "note"} <= allowed, at
        if at[-1] not in ("kernel_image", "pci_device"):
            assert report.gaps, at


def test_vms_that_macros_of_unread_headers_declare_are_a_gap_each_and_no_finding() -> None:
    w = world()
    w.others.update({"vm2.guest_ram_mb": 64, "vm2.heap_size": 4096, "vm2.simple_untyped23_pool": 10})
    w.missing = ("configurations/vm.h",)
    assert not w.found("C42")
    assert [gap.what for gap in w.report().gaps if gap.rule == "C42"] == ["whether there is a vm2"]
    w.missing = ()
    finding = w.found("C42")["unknown-instance"]
    assert [f.code for f in w.report().findings if f.rule == "C42"] == ["unknown-instance"]
    assert "vm2.guest_ram_mb and 2 more of its settings" in finding.message and "vm0, vm1" in finding.fix


@pytest.mark.parametrize(
    ("attribute", "value", "fix"),
    [
        (
            "vm_ioports",
            [0xC040, 0xC060],
            'vm0.vm_ioports = [{"start":0xc040, "end":0xc060, "pci_device":0, "name":"eth"}];',
        ),
        (
            "vm_irqs",
            [[18, 5]],
            '{"name":"eth_irq", "ioapic":0, "source":18, "level_trig":0, "active_low":1, "dest":5}',
        ),
        ("vm_irqs", [18], '"source":18, "level_trig":0, "active_low":1, "dest":…}'),
        ("pci_devices", [0x65, 0, 1], '"bus":0x65, "dev":0, "fun":1, "irq":"eth_irq", "memory":[{"paddr":…'),
        ("vm_ioports", ["eth"], '{"start":…, "end":…,'),
        ("vm_ioports", [[-1, 1 << 90]], '{"start":…, "end":…,'),
    ],
)
def test_the_shorthand_of_slides_comes_back_with_its_own_numbers(
    attribute: str, value: object, fix: str
) -> None:
    w = world()
    w.vm0[attribute] = value
    told = [finding.fix for finding in w.report().findings if finding.rule == "F2"]
    assert any(fix in each for each in told), told


def test_a_guest_console_with_two_mistakes_names_both() -> None:
    w = world()
    w.vm0["kernel_cmdline"] = "console=ttyS1,115200n0 pci=nomsi"
    finding = w.found("F5")["guest-console"]
    assert "emulates ttyS0 only" in finding.message and "115200n0 is no speed" in finding.message
    assert finding.fix == "write console=ttyS0,115200"


def test_a_number_of_sysfs_is_called_that_and_on_qemu_it_only_is_doubtful() -> None:
    w = world()
    w.vm0["vm_irqs"][0]["source"] = 0xB
    w.change("17:00.0", irq=None)
    finding = w.found("F1")["source-copied"]
    assert finding.severity == "error" and "looks like a PIC number" in finding.message
    w.profile, w.pins["17:00.0"] = None, (16, "inferred")
    assert w.found("F1")["source-copied"].severity == "warning"


def test_memory_that_is_no_bar_may_be_the_rom_where_none_was_observed() -> None:
    w = world()
    w.vm0["pci_devices"][0]["memory"].append({"paddr": 0xC5D80000, "size": 0x80000, "page_bits": 12})
    seen = w.functions["17:00.0"].observed("rom")
    message = w.found("C17")["memory-no-bar"].message
    assert ("perhaps a ROM" in message) is not seen


# assign


# What no change mends, so that the function is refused whatever is accepted; and two VMs on one pin.
NEVER_ACCEPTED = {"bridge", "chipset-function", "virtual-function", "pin-shared"}


def test_whatever_probe_pci_calls_an_error_can_be_accepted_by_name() -> None:
    codes = {code for _, code, severities in about_functions() if "error" in severities}
    assert len(codes) > 15 and "beyond-pci-table" in codes
    stop_no_device = {"profile-board", "profile-functions-missing", "boot-set", "console-silent"}
    stop_no_device |= {"processor-lacks"}
    assert codes - ACCEPTABLE == stop_no_device | NEVER_ACCEPTED
    assert ACCEPTABLE - codes == {"needs-change", "unknown"}


def test_a_code_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="did you mean beyond-pci-table") as caught:
        assign(assessed(), [parse_wanted("vm0=17:00.0")], application(), accept=["beyond-pci-tabel"])
    assert "sriov-enabled" in (caught.value.hint or "") and caught.value.exit_code == 2


def test_nobody_is_sent_to_accept_what_then_is_refused_all_the_same() -> None:
    told = assessed(
        words={"17:00.0": Passability("unknown", reasons=("its IOAPIC pin is not known",))}, pins={}
    )
    for accept in ((), ("unknown",)):
        with pytest.raises(ProfileError, match="at which IOAPIC pin") as caught:
            assign(told, [parse_wanted("vm0=17:00.0")], application(), accept=accept)
        assert "--accept" not in (caught.value.hint or "")


# Guest IRQs: one source for whoever allots them and whoever checks them.


def test_entries_that_change_at_once_are_told_different_guest_irqs() -> None:
    w = world()
    w.two_devices()
    w.vm0["vm_irqs"][0]["dest"] = w.vm1["vm_irqs"][0]["dest"] = 8
    fixes = [finding.fix for finding in w.report().findings if finding.code == "irq-dest-taken"]
    assert fixes == ['write "dest":11', 'write "dest":10']


def test_a_native_components_vector_and_pin_are_taken() -> None:
    w = world()
    w.others.update({"fserv.nic_irq_vector": 11, "fserv.nic_irq_ioapic_pin": 16})
    assert "fserv" in w.found("C6")["irq-dest-twice"].message
    assert "fserv" in w.found("C4")["pin-twice"].message
    assert w.found("C6")["irq-dest-twice"].fix == 'write "dest":10'


@pytest.mark.parametrize(
    "settings",
    [{}, {"guest_cid": 3}, {"socket_layout": [{"cid": 3}]}, {"init_cons": [{"init": "make_virtio_vsock"}]}],
)
def test_what_is_allotted_is_what_a_check_takes_as_free(settings: dict[str, Any]) -> None:
    w = world()
    w.vm0.update(settings)
    for dest in USABLE_IRQS:
        w.vm0["vm_irqs"][0]["dest"] = dest
        (vm, _), _ = read_vms(w.application())
        assert ("irq-dest-taken" in w.found("C7")) is (dest in taken_irqs(vm)), dest
        assert (dest in taken_irqs(vm)) is (dest == 10 and bool(settings))


def test_thousands_of_wrong_entries_take_no_minutes() -> None:
    w = world()
    w.vm0["vm_irqs"] = [{**w.vm0["vm_irqs"][0], "name": f"q{n}", "dest": 8} for n in range(4000)]
    begun = time.process_time()
    assert sum(finding.code == "irq-dest-taken" for finding in w.report().findings) == 4000
    assert time.process_time() - begun < 60
