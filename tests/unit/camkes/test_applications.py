"""The smallest application that is right, and the smallest that is wrong, for each constraint."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.finding import Report
from bringup.camkes.app.load import load_application
from bringup.rules.check import check

TYPE = (
    "control; uses PutChar putchar; attribute string kernel_cmdline; attribute string kernel_image;"
    "attribute string kernel_relocs; attribute string initrd_image; attribute int iospace_domain;"
    "attribute int guest_ram_mb; attribute int cnode_size_bits = 21;"
)
# A native component that owns one of everything, by default COM1's (camkes-tool plat/pc99/serial.camkes).
SERIAL = (
    "component Serial { hardware; dataport Buf mem; emits Irq4 irq; provides IOPort ports;"
    'attribute string ports_attributes = "0x3f8:0x3ff"; attribute string irq_irq_type = "isa";'
    "attribute int irq_irq_ioapic = 0; attribute int irq_irq_ioapic_pin = 4;"
    "attribute int irq_irq_vector = 4;"
    "attribute int mem_paddr; attribute int mem_size; attribute string iospaces; }"
    "component Board { control; attribute int pin = 16; }"
)
NET = 'vm0.init_cons = [{"init":"make_virtio_net", "badge":"b()", "irq":"n"}];'


def sized(vm: str, ram: int = 128, pools: int = 20) -> str:
    return (
        f'{vm}.kernel_cmdline = "pci=nomsi"; {vm}.kernel_image = "b"; {vm}.kernel_relocs = "";'
        f'{vm}.initrd_image = "i"; {vm}.guest_ram_mb = {ram}; {vm}.simple_untyped23_pool = {pools};'
        f"{vm}.heap_size = 0x2000000;\n"
    )


def port(vm: str = "vm0", **more: int) -> str:
    """Return the settings of one port, the first of an I350 unless `more` says otherwise."""
    at = {"fun": 0, "paddr": 0xC5B00000, "size": 0x100000, "io": 0x7060, "pin": 16, "dest": 10, "domain": 15}
    at |= more
    return (
        f'{vm}.vm_ioports = [{{"start":{at["io"]}, "end":{at["io"] + 32}, "pci_device":0, "name":"e"}}];'
        f'{vm}.pci_devices = [{{"name":"e", "bus":0x17, "dev":0, "fun":{at["fun"]}, "irq":"i", "memory":['
        f'{{"paddr":{at["paddr"]}, "size":{at["size"]}, "page_bits":12}}]}}];'
        f'{vm}.vm_irqs = [{{"name":"i", "ioapic":0, "source":{at["pin"]}, "level_trig":0, "active_low":1,'
        f' "dest":{at["dest"]}}}]; {vm}.pci_devices_iospace = 1; {vm}.iospace_domain = {at["domain"]};\n'
    )


def second(**more: int) -> str:
    """Return the settings of another port in the other VM."""
    at = {"fun": 1, "paddr": 0xC5A00000, "io": 0x7040, "pin": 17, "dest": 11, "domain": 16}
    return port("vm1", **{**at, **more})


def judged(folder: Path, settings: str) -> Report:
    """Return what is said of an application with these settings."""
    path = folder / "app.camkes"
    types = "".join(f"component Init{n} {{ {TYPE} }}\n" for n in (0, 1))
    inside = "component Init0 vm0; component Init1 vm1; component Serial s; component Board b;"
    path.write_text(
        f"{SERIAL}\n{types}assembly {{ composition {{ {inside} }} configuration {{\n{settings}}} }}\n"
    )
    return check(load_application(path))


def errors(folder: Path, settings: str) -> set[str]:
    """Return the constraints that an application with these settings breaks."""
    return {found.rule for found in judged(folder, settings).findings if found.severity == "error"}


BOTH = sized("vm0") + sized("vm1")
RIGHT = {
    "one port": BOTH + port(),
    "a port for each": BOTH + port() + second(),
    "C19, a size that is no whole page": BOTH + port(size=0x3500),
    "C42, what an interface's template reads": BOTH + port() + "vm0.putchar_stack_size = 4096;",
    "C42, what every component's template reads": BOTH + "vm0.priority = 100; vm0._stack_size = 8192;",
    "C30, a dummy handler": BOTH
    + port(io=0x9000)
    + 'vm0.init_cons = [{"init":"make_virtio_net_vswitch_driver_dummy"}];',
    "C30, the first virtio ports of a VM without virtio": BOTH + port(io=0x9000),
    "C30, behind the ports of the only virtio device": BOTH + port(io=0x9400) + NET,
    "C7, 12 without cross-VM events": BOTH + port(dest=12),
    "C25, RAM and BARs that just fit": sized("vm0", 2302, 600) + sized("vm1") + port(),
    **{f"C7, {dest} without virtio": BOTH + port(dest=dest) for dest in (6, 7, 9, 10, 13)},
    "C7, another device than the virtio one": BOTH + port(dest=7) + NET,
    "C37, pools that hold the RAM": sized("vm0", 200, 33) + sized("vm1"),
    "C4, C6, C24, C29: a native component beside it": BOTH
    + port()
    + 's.mem_paddr = 0xd0000000; s.mem_size = 0x1000; s.iospaces = "0x12:0x6:0x0:0";',
    "C29, native ports that end before": BOTH + port() + 's.ports_attributes = "0x7040:0x705f";',
    "C33, the domain of another bus": BOTH + port() + 's.iospaces = "0x20:0x6:0x0:0";',
}
WRONG = {
    "C1": (BOTH + port().replace('"ioapic":0, ', ""), "C1"),
    "C4 two VMs": (BOTH + port() + second(pin=16), "C4"),
    "C4 native": (BOTH + port() + "s.irq_irq_ioapic_pin = 16;", "C4"),
    "C4 native, by reference to a default": (BOTH + port() + "s.irq_irq_ioapic_pin <- b.pin;", "C4"),
    "C6 two VMs": (BOTH + port() + second(dest=10), "C6"),
    "C6 native": (BOTH + port() + "s.irq_irq_vector = 10;", "C6"),
    "C7": (BOTH + port(dest=8), "C7"),
    "C7 with virtio": (BOTH + port(dest=6) + NET, "C7"),
    "C12 two VMs": (BOTH + port() + second(fun=0), "C12"),
    "C12 native": (BOTH + port() + 's.iospaces = "0x12:0x17:0x0:0";', "C12"),
    "C19": (BOTH + port(paddr=0xC5B00100), "C19"),
    "C24 two VMs": (BOTH + port() + second(paddr=0xC5BFF000), "C24"),
    "C24 native": (BOTH + port() + "s.mem_paddr = 0xc5b00000; s.mem_size = 0x1000;", "C24"),
    "C29 two VMs": (BOTH + port() + second(io=0x7050), "C29"),
    "C29 native, whose end is inclusive": (BOTH + port() + 's.ports_attributes = "0x7040:0x7060";', "C29"),
    "C25": (sized("vm0", 2303, 600) + sized("vm1") + port(), "C25"),
    "C30": (BOTH + port(io=0x60), "C30"),
    "C30, the ports of the only virtio device": (BOTH + port(io=0x9000) + NET, "C30"),
    "C33 two VMs": (BOTH + port() + second(domain=15), "C33"),
    "C33 native": (BOTH + port() + 's.iospaces = "0x0f:0x6:0x0:0";', "C33"),
    "C37": (sized("vm0", 200, 24) + sized("vm1"), "C37"),
    "C42": (BOTH + port() + "vm0.guest_rammb = 4;", "C42"),
    "F7": (BOTH + "vm0.ether_1_send_shmem_size = 32768; vm1.ether_0_recv_shmem_size = 65536;", "F7"),
    "F13": (BOTH.replace("vm1.guest_ram_mb = 128;", ""), "F13"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_smallest_application_that_is_right_is_not_refused(tmp_path: Path, name: str) -> None:
    assert errors(tmp_path, RIGHT[name]) == set()


@pytest.mark.parametrize("name", WRONG)
def test_the_smallest_application_that_is_wrong_is_not_clean(tmp_path: Path, name: str) -> None:
    settings, rule = WRONG[name]
    assert errors(tmp_path, settings) == {rule}


def test_the_ram_of_a_vm_is_asked_for_where_the_vm_is_declared(tmp_path: Path) -> None:
    """Of one that nobody declares C42 tells."""
    report = judged(tmp_path, BOTH.replace("vm1.guest_ram_mb = 128;", "") + "vm7.iospace_domain = 9;")
    assert [gap.what for gap in report.gaps if gap.rule == "C25"] == ["vm1 has no guest_ram_mb"]
    assert [found.vm for found in report.findings if found.rule == "C42"] == ["vm7"]
