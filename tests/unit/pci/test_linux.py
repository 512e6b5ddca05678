"""The parts of a Linux tree beside PCI: /proc, SMBIOS, firmware, and a bundle's own lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.pci.model import Bar, Bdf, Identity, InterruptLine, IoRange, Missing, Platform
from bringup.pci.sources.linux import read_linux
from bringup.pci.sources.platform import read_identity, read_platform
from bringup.pci.sources.proc import read_interrupts, read_ranges
from bringup.pci.tree.files import MemoryFiles
from tests.machines import sysfs
from tests.machines.bars import MadeBar
from tests.machines.model import Made

INTERRUPTS = b"""            CPU0       CPU1
   2:          0          0    XT-PIC   cascade
  16:          5         12   IO-APIC  16-fasteoi   eth0, ehci_hcd:usb1
 125:          1          0   PCI-MSI 524288-edge      nvme0q0
 999: not a row
 NMI:          0          0   Non-maskable interrupts
"""
OLD_INTERRUPTS = b"           CPU0\n 16:    7   IO-APIC-fasteoi   eth0\n"
IOPORTS = b"""0000-0cf7 : PCI Bus 0000:00
  0060-0060 : keyboard
  7060-707f : 0000:17:00.0
    7060-707f : igb : odd
"""
NIC = Made(Bdf(0, 0x17, 0, 0), 0x8086, 0x1521, 0x0200, bars=(MadeBar(0, False, 0xFA000000, 1 << 20),))


def nic() -> tuple[dict[str, bytes], dict[str, str]]:
    told = sysfs.functions([NIC])
    return dict(told.files), dict(told.links)


def test_rows_of_interrupts_old_and_new() -> None:
    rows, missing = read_interrupts(MemoryFiles({"proc/interrupts": INTERRUPTS}))
    assert missing == ()
    assert rows == (
        InterruptLine(2, "XT-PIC", None, None, 0, ("cascade",)),
        InterruptLine(16, "IO-APIC", 16, "fasteoi", 17, ("eth0", "ehci_hcd:usb1")),
        InterruptLine(125, "PCI-MSI", 524288, "edge", 1, ("nvme0q0",)),
    )
    old, _ = read_interrupts(MemoryFiles({"proc/interrupts": OLD_INTERRUPTS}))
    assert old == (InterruptLine(16, "IO-APIC", None, "fasteoi", 7, ("eth0",)),)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"16: 5 IO-APIC\n"])
def test_what_is_no_interrupt_table_is_missing(data: bytes) -> None:
    rows, missing = read_interrupts(MemoryFiles({"proc/interrupts": data}))
    assert rows is None and missing


def test_ranges_nest_and_names_may_hold_colons() -> None:
    ranges, _ = read_ranges(MemoryFiles({"proc/ioports": IOPORTS}), "proc/ioports")
    assert ranges is not None
    assert ranges[3] == IoRange(0x7060, 0x707F, "igb : odd", 2)
    assert [r.depth for r in ranges] == [0, 1, 1, 2]


def test_zeroed_ranges_are_no_observation() -> None:
    zeroed = b"00000000-00000000 : Reserved\n  00000000-00000000 : System RAM\n"
    ranges, missing = read_ranges(MemoryFiles({"proc/iomem": zeroed}), "proc/iomem")
    assert ranges is None
    assert missing[0].why.startswith("zeroed")


@given(st.binary(max_size=300))
def test_random_proc_files_raise_nothing(data: bytes) -> None:
    files = MemoryFiles({"proc/interrupts": data, "proc/iomem": data, "proc/cpuinfo": data})
    for rows, missing in (read_interrupts(files), read_ranges(files, "proc/iomem")):
        assert rows is not None or missing, "what could not be read is told"
    assert read_platform(files).firmware is None


def test_identity_leaves_out_what_makers_did_not_fill_in() -> None:
    dmi = "sys/class/dmi/id"
    files = {
        f"{dmi}/sys_vendor": b"Supermicro\n",
        f"{dmi}/product_name": b"SYS-E300-9D\n",
        f"{dmi}/board_name": b"X11SDV-4C-TLN2F\n",
        f"{dmi}/product_serial": b"To be filled by O.E.M.\n",
        f"{dmi}/bios_version": b"2.1\n",
    }
    identity = Identity("Supermicro", "SYS-E300-9D", "X11SDV-4C-TLN2F", "2.1")
    assert read_identity(MemoryFiles(files)) == identity
    assert read_identity(MemoryFiles({})) is None


def test_platform_of_a_whole_capture() -> None:
    files = {
        "proc/cpuinfo": b"processor\t: 0\nmodel name\t: Xeon D\nflags\t\t: fpu vmx x2apic\n\nflags\t: none\n",
        "proc/meminfo": b"MemTotal:       33554432 kB\nMemFree: 1 kB\n",
        "proc/version": b"Linux version 6.1.0\n",
        "proc/cmdline": b"intel_iommu=on\n",
        "sys/class/iommu": b"dmar0\ndmar1\n",
        "manifest": b"",
    }
    platform = read_platform(MemoryFiles(files))
    # The CPU could do x2APIC; whether the firmware switched it on is another question.
    assert platform == Platform(
        cpu_model="Xeon D",
        vtx=True,
        iommu=True,
        memory_bytes=32 << 30,
        kernel="Linux version 6.1.0",
        command_line="intel_iommu=on",
        firmware="bios",
    )
    uefi = read_platform(MemoryFiles({**files, "sys/firmware/efi": b"", "sys/class/iommu": b""}))
    assert (uefi.firmware, uefi.iommu) == ("uefi", False)
    assert read_platform(MemoryFiles({})) == Platform()


def test_the_boot_log_of_a_tree_gives_the_firmware_s_addresses() -> None:
    files, links = nic()
    files["cmd/dmesg"] = (
        b"[    0.0] Linux version 6.1\n"
        b"[    0.5] pci 0000:17:00.0: [8086:1521] type 00 class 0x020000\n"
        b"[    0.5] pci 0000:17:00.0: reg 0x10: [mem 0xc5b00000-0xc5bfffff]\n"
        b"[    0.5] pci 0000:99:00.0: [8086:1521] type 00 class 0x020000\n"
    )
    machine = read_linux(MemoryFiles(files, links), "x")
    (function,) = machine.functions
    assert function.firmware_bars == (Bar(0, "mem", 0xC5B00000, 1 << 20),)
    assert function.bars == (Bar(0, "mem", 0xFA000000, 1 << 20),)
    assert function.provenance["firmware_bars"] == "x:dmesg"
    assert machine.platform.x2apic is False


def test_a_boot_log_that_lost_the_boot_is_told() -> None:
    files, links = nic()
    machine = read_linux(MemoryFiles({**files, "cmd/dmesg": b"[9.9] eth0: link up\n"}, links), "x")
    assert Missing("firmware BARs", "cmd/dmesg does not reach back to the boot") in machine.missing
    assert not machine.functions[0].observed("firmware_bars")


def test_a_bundle_s_list_of_what_it_could_not_read_is_told() -> None:
    files, links = nic()
    files["missing"] = b"cmd/dmesg\toperation not permitted\nrubbish\n"
    machine = read_linux(MemoryFiles(files, links), "x")
    assert Missing("cmd/dmesg", "operation not permitted") in machine.missing
    # What was there and could not be read is not absent too.
    assert Missing("cmd/dmesg", "absent") not in machine.missing
