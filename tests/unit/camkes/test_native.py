"""What components own that are no VMs, read from an application as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.camkes.app.load import load_application
from bringup.camkes.vms.native import Native, native_hardware
from bringup.pci.model import Bdf
from bringup.rules.check import check

TEXT = """
component Hw {
    hardware;
    attribute string regs_attributes;
    attribute int irq_irq_ioapic;
    attribute int irq_irq_ioapic_pin;
    attribute int irq_irq_vector;
}
component Server {
    control;
    attribute string server_attributes = "0x2f8:0x2ff";
    attribute int server_pin = 3;
    composition { component Hw hw; }
    configuration {
        hw.regs_attributes <- server_attributes;
        hw.irq_irq_ioapic = 0;
        hw.irq_irq_ioapic_pin <- server_pin;
        hw.irq_irq_vector = 3;
    }
}
component Sata { control; }
component Nic { hardware; attribute int mmio_paddr = 0xf7cc0000; attribute int mmio_size = 0x20000; }
component Init0 { control; }
assembly {
    composition {
        component Server server; component Sata sata; component Nic nic; component Init0 vm0;
    }
    configuration {
        sata.ioports = "0x3020:0x303f, 0x3060:0x3063";
        sata.iospaces = "0x15:0x0:0x11:5";
        sata.pci_bdfs = "0x0:0x12.0";
        sata.mmios = ["0xdf102000:0x2000:12"];
        vm0.putchar_attributes = "0x100:0x1ff";
        %s
    }
}
"""


def native(folder: Path) -> Native:
    path = folder / "app.camkes"
    path.write_text(TEXT % "")
    return native_hardware(load_application(path))


def test_settings_references_and_defaults_are_owned(tmp_path: Path) -> None:
    found = native(tmp_path)
    ports = {(start, end, owner.instance) for start, end, owner in found.ports}
    assert {(0x2F8, 0x300, "server.hw"), (0x3020, 0x3040, "sata"), (0x3060, 0x3064, "sata")} <= ports
    assert not any(owner == "vm0" for *_, owner in ports)
    assert [(pin, owner.instance) for pin, owner in found.pins] == [((0, 3), "server.hw")]
    assert [(vector, owner.instance) for vector, owner in found.vectors] == [(3, "server.hw")]
    memory = {(start, end, owner.instance) for start, end, owner in found.memory}
    assert memory == {(0xDF102000, 0xDF104000, "sata"), (0xF7CC0000, 0xF7CE0000, "nic")}
    assert [(domain, owner.instance) for domain, owner in found.domains] == [(0x15, "sata")]
    assert {bdf for bdf, _ in found.functions} == {Bdf(0, 0, 0x11, 5), Bdf(0, 0, 0x12, 0)}


DEVICE = (
    'vm0.pci_devices = [{"name":"a", "bus":%s, "dev":%s, "fun":%s, "irq":"a", '
    '"memory":[{"paddr":%s, "size":0x2000, "page_bits":12}]}];'
)
IRQ = 'vm0.vm_irqs = [{"name":"a", "ioapic":0, "source":%s, "level_trig":0, "active_low":1, "dest":%s}];'


@pytest.mark.parametrize(
    ("rule", "wrong", "right"),
    [
        ("C4", IRQ % (3, 5), IRQ % (17, 5)),
        ("C6", IRQ % (17, 3), IRQ % (17, 5)),
        ("C12", DEVICE % (0, 0x11, 5, 0xA0000000), DEVICE % (0, 0x11, 4, 0xA0000000)),
        ("C12", DEVICE % (0, 0x12, 0, 0xA0000000), DEVICE % (0, 0x12, 1, 0xA0000000)),
        ("C24", DEVICE % (1, 0, 0, 0xDF103000), DEVICE % (1, 0, 0, 0xDF104000)),
        ("C24", DEVICE % (1, 0, 0, 0xF7CDE000), DEVICE % (1, 0, 0, 0xF7CE0000)),
        (
            "C24",
            DEVICE % (1, 0, 0, 0xA0000000) + 'sata.untyped_mmios = ["0xa0000000:13"];',
            DEVICE % (1, 0, 0, 0xA0000000) + 'sata.untyped_mmios = ["0xa0002000:13"];',
        ),
        (
            "C29",
            'vm0.vm_ioports = [{"start":0x303f, "end":0x3041, "pci_device":0, "name":"a"}];',
            'vm0.vm_ioports = [{"start":0x3040, "end":0x3060, "pci_device":0, "name":"a"}];',
        ),
        ("C33", "vm0.iospace_domain = 0x15;", "vm0.iospace_domain = 0x16;"),
    ],
)
def test_a_vm_shares_nothing_with_a_native_component(
    tmp_path: Path, rule: str, wrong: str, right: str
) -> None:
    def errors(setting: str) -> set[str]:
        path = tmp_path / "app.camkes"
        path.write_text(TEXT % setting)
        found = check(load_application(path)).findings
        return {each.rule for each in found if each.severity == "error"}

    assert rule in errors(wrong)
    assert rule not in errors(right)


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ('untyped_mmios = ["0xa0000000:28"];', 'untyped_mmios = ["0xa0002000:12", "0x90000000:28"];'),
        ("ram = [[0x9ff00000, 21]];", "ram = [[0x9ff00000, 20]];"),
        (
            'guest_mappings = [{"paddr":0xa0001000, "size":0x1000, "page_bits":12}];',
            'guest_mappings = [{"paddr":0xa0002000, "size":0x1000, "page_bits":12}];',
        ),
        ('ram = [["text", 3], [1], 5, [0xa0000000, 99]];', "ram = [];"),
    ],
)
def test_memory_of_another_vm_is_no_device_s(tmp_path: Path, taken: str, free: str) -> None:
    def told(vm: str, setting: str) -> list[str]:
        path = tmp_path / "app.camkes"
        two = TEXT.replace("component Init0 vm0;", "component Init0 vm0; component Init0 vm1;")
        path.write_text(two % f"{DEVICE % (1, 0, 0, 0xA0000000)} {vm}.{setting}")
        return [each.message for each in check(load_application(path)).findings if each.code == "page-twice"]

    assert bool(told("vm1", taken)) == ("text" not in taken)
    assert told("vm1", free) == told("vm0", taken) == []
