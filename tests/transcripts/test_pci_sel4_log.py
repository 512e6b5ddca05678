"""seL4's logs: IOAPICs, IOMMU, the PCI scan; recorded ones, and text that runs into each other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import BringupError, UsageError
from bringup.pci.capture.open import read_bytes
from bringup.pci.model import Bar, Bdf, Bridge, IoApic, Missing
from bringup.pci.sources import sel4_log
from tests.machines import catalogue
from tests.machines.catalogue import MACHINES
from tests.places import SHARED

RECORDED = SHARED / "data" / "transcripts"
# Of a recorded log: APIC id of the IOAPIC, source overrides, VT-x known to be absent.
KNOWN = {
    "sel4test-x86_64-qemu.log": (0, 5, None),
    "camkes-vm-minimal-login.log": (1, 1, None),
    "camkes-vm-minimal-login.timed.log": (1, 1, None),
    "camkes-vm-minimal-no-vtx.log": (0, 5, False),
    "sel4test-uefi-timer-fails.log": (0, 5, None),
}
LOG = """\
Boot config: disable_iommu = false\r
ACPI: DMAR paddr=0x6f2f0000\r
\tACPI: registering RMRR entry for region for device: bus=0x0 dev=0x14 fun=0x0\r
ACPI: 5 IOMMUs detected\r
\x1b[32mACPI: MADT_IOAPIC ioapic_id=8 ioapic_addr=0xfec00000 gsib=0\x1b[0m\r
stray ACPI: MADT_IOAPIC ioapic_id=9 ioapic_addr=0xfec01000 gsib=24\r
ACPI: 8 CPU(s) detected\r
Booting all finished, dropped to user space\r
PCI :: b4.03.00 : intel Unknown device ID. (vid 0x8086 did 0x37c5) line11 pin1\r
    BAR2 : [ mem 0xb5b50000 sz 0x10 szmask 0xfffffff0   ]\r
lib_pci_scan_fun found additional bus 181 from 180 3 0\r
PCI :: b5.00.00 : intel Unknown device ID. (vid 0x8086 did 0x37d2) line11 pin1\r
    BAR0 : [ mem 0xfa000000 sz 0x1000000 szmask 0xff000000 64bit prefetch ]\r
    BAR3 : [ mem 0xfb008000 sz 0x8000 szmask 0xffff8000 64bit prefetch ]\r
<<a line of another VM>>PCI :: 17.00.00 : intel Unknown device ID. (vid 0x8086 did 0x1521) line10 pin2\r
    BAR0 : [ mem 0xc5b00000 sz 0x100000 szmask 0xfff00000   ]\r
    BAR2 : [ io 0x7060 sz 0x20 szmask 0xffffffe0 ]\r
[    0.690000] pci 0000:00:00.0: [5e14:0042] type 00 class 0x060000\r
"""


@pytest.mark.parametrize("name", MACHINES)
def test_a_whole_machine_s_log(name: str) -> None:
    made, machine = catalogue.made(name), catalogue.read(name, "sel4.log")
    assert machine.sources[0].kind == sel4_log.KIND
    assert machine.acpi.madt is not None
    assert machine.acpi.madt.ioapics == tuple(
        IoApic(index, number, address, base) for index, (number, address, base, _) in enumerate(made.ioapics)
    )
    assert len(machine.acpi.madt.overrides) == len(made.overrides)
    assert machine.acpi.madt.cpus == made.cpus
    assert machine.platform.iommu is bool(made.remapping)
    reserved = [missing for missing in machine.missing if "RMRR" in missing.what]
    assert len(reserved) == len(made.reserved)


def test_recorded_logs_show_the_emulator_s_machine() -> None:
    """Files come and go beside the checkout: each is read, the known ones as the table says."""
    for path in sorted(RECORDED.glob("*.log")):
        machine = read_bytes(path.read_bytes(), path.name)
        assert machine.sources[0].kind == sel4_log.KIND
        # The guest's Linux in the log shows a host bridge of the VMM's making.
        assert machine.functions == ()
        if path.name in KNOWN:
            apic_id, overrides, vtx = KNOWN[path.name]
            assert machine.acpi.madt is not None
            assert machine.acpi.madt.ioapics == (IoApic(0, apic_id, 0xFEC00000, 0),)
            assert len(machine.acpi.madt.overrides) == overrides and machine.acpi.madt.cpus == 1
            assert machine.platform.vtx is vtx


def test_a_log_with_the_pci_scan() -> None:
    machine = read_bytes(LOG.encode(), "log")
    assert [f.bdf.short for f in machine.functions] == ["17:00.0", "b4:03.0", "b5:00.0"]
    card, bridge, port = machine.functions
    assert card.firmware_bars == (Bar(0, "mem", 0xC5B00000, 1 << 20), Bar(2, "io", 0x7060, 32))
    assert (card.intx_pin, card.interrupt_line) == ("B", 10)
    assert port.firmware_bars == (
        Bar(0, "mem", 0xFA000000, 1 << 24, 64, True),
        Bar(3, "mem", 0xFB008000, 1 << 15, 64, True),
    )
    assert (bridge.bridge, bridge.firmware_bars) == (Bridge(0xB4, 0xB5, 0xB5), ())
    assert machine.acpi.madt is not None
    assert [(i.index, i.id, i.gsi_base) for i in machine.acpi.madt.ioapics] == [(0, 8, 0), (1, 9, 24)]
    assert machine.platform.iommu is True and machine.acpi.madt.cpus == 8
    assert machine.missing == (
        Missing("addresses of the RMRR of 00:14.0", "log names the device only: capture the ACPI tables"),
    )


def test_an_iommu_that_the_kernel_turned_off_is_told_with_its_reason() -> None:
    text = LOG.replace("ACPI: 5 IOMMUs detected", "ACPI: too many IOMMUs, disabling IOMMU support")
    machine = sel4_log.parse(text.encode())
    assert machine.platform.iommu is False
    assert Missing("the IOMMU under seL4", "the kernel turned it off: too many IOMMUs") in machine.missing
    told = sel4_log.parse(
        LOG.replace("iommu = false", "iommu = true").replace("5 IOMMUs", "0 IOMMUs").encode()
    )
    assert told.platform.iommu is None


def test_scans_that_disagree_are_not_understood() -> None:
    again = LOG + LOG.replace("0xfa000000 sz", "0xf9000000 sz")
    port = sel4_log.parse(again.encode()).functions[2]
    assert port.bdf == Bdf(0, 0xB5, 0, 0)
    assert (port.firmware_bars or ())[0].base == 0xFA000000
    assert len(port.unread) == 1 and port.problems == ()
    assert sel4_log.parse((LOG + LOG).encode()).functions[2].unread == ()


def test_a_release_kernel_s_silence_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="printed nothing about this machine"):
        sel4_log.parse(b"Booting all finished, dropped to user space\n")


@settings(max_examples=150, deadline=2000)
@given(st.data())
def test_damaged_logs_end_in_a_machine_or_a_sentence(data: st.DataObject) -> None:
    text = bytearray(LOG.encode())
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=12))
    try:
        sel4_log.parse(bytes(text))
    except BringupError as error:
        assert error.message
