"""Boot logs: three wordings of BAR lines, what the firmware left, what the kernel changed, prefixes."""

from __future__ import annotations

import quopri
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import BringupError, UsageError
from bringup.pci.bars import bars_under_sel4
from bringup.pci.model import Bar, Bridge, Function, IoApic, NetInterface, Rom, SourceOverride, Window
from bringup.pci.names import PciIds, with_names
from bringup.pci.pins.beliefs import pin_candidates
from bringup.pci.sources.dmesg import addresses as dmesg

CLASSIC = """\
Linux version 5.10.0-30-amd64 (x@y)
DMI: Supermicro SYS-E300-9D/X11SDV-4C-TLN2F, BIOS 2.1 02/29/2024
x2apic: enabled by BIOS, switching to x2apic ops
IOAPIC[0]: apic_id 8, version 32, address 0xfec00000, GSI 0-23
IOAPIC[1]: apic_id 9, version 32, address 0xfec01000, GSI 24-31
ACPI: INT_SRC_OVR (bus 0 bus_irq 0 global_irq 2 dfl dfl)
ACPI: INT_SRC_OVR (bus 0 bus_irq 9 global_irq 9 high level)
DMAR: RMRR base: 0x0000006f2f1000 end: 0x0000006f300fff
pci 0000:b4:03.0: [8086:37c5] type 01 class 0x060400
pci 0000:b4:03.0: PCI bridge to [bus b5]
pci 0000:b5:00.0: [8086:37d2] type 00 class 0x020000
pci 0000:b5:00.0: reg 0x10: [mem 0xfa000000-0xfaffffff 64bit pref]
pci 0000:b5:00.0: reg 0x1c: [mem 0xfb008000-0xfb00ffff 64bit pref]
pci 0000:b5:00.0: reg 0x30: [mem 0xfff80000-0xffffffff pref]
pci 0000:b5:00.0: reg 0x184: [mem 0x00000000-0x0000ffff 64bit pref]
pci 0000:b5:00.0: VF(n) BAR0 space: [mem 0x00000000-0x003fffff 64bit pref] (contains BAR0 for 64 VFs)
pci 0000:17:00.0: [8086:1521] type 00 class 0x020000
pci 0000:17:00.0: reg 0x10: [mem 0xc5b00000-0xc5bfffff]
pci 0000:17:00.0: reg 0x18: [io  0x7060-0x707f]
pci 0000:b5:00.0: BAR 0: assigned [mem 0x38c000000000-0x38c000ffffff 64bit pref]
pci 0000:b5:00.0: BAR 7: no space for [mem size 0x00400000 64bit pref]
"""
_TODAY = (
    ("reg 0x10: ", "BAR 0 "),
    ("reg 0x1c: ", "BAR 3 "),
    ("reg 0x18: ", "BAR 2 "),
    ("reg 0x30: ", "ROM "),
    ("reg 0x184: [mem 0x00000000-0x0000ffff 64bit pref]", "VF BAR 0 [mem 0x0-0xffff 64bit pref]"),
    (
        "BAR 0: assigned [mem 0x38c000000000-0x38c000ffffff 64bit pref]",
        "BAR 0 [mem 0x38c000000000-0x38c000ffffff 64bit pref]: assigned",
    ),
)


def today(text: str) -> str:
    for old, new in _TODAY:
        text = text.replace(old, new)
    return text


def ancient(text: str) -> str:
    return text.replace("reg 0x", "reg ")


def find(data: bytes, place: str) -> Function:
    return next(f for f in dmesg.parse(data, "log").functions if f.bdf.short == place)


@pytest.mark.parametrize("wording", [ancient, str, today], ids=["ancient", "classic", "today"])
def test_the_first_line_of_a_bar_is_the_firmware_s(wording: object) -> None:
    assert callable(wording)
    function = find(wording(CLASSIC).encode(), "b5:00.0")
    firmware = (
        Bar(0, "mem", 0xFA000000, 1 << 24, 64, True),
        Bar(3, "mem", 0xFB008000, 1 << 15, 64, True),
    )
    assert function.firmware_bars == firmware
    # The kernel moved it above 4 GiB later, and that is told.
    assert function.bars is not None
    assert function.bars == (Bar(0, "mem", 0x38C000000000, 1 << 24, 64, True), firmware[1])
    assert len(function.moves) == 1 and "assigned" in function.moves[0] and not function.problems
    assert function.os_placed == (function.bars[0],)
    assert (function.vendor, function.device, function.class_code) == (0x8086, 0x37D2, 0x0200)
    # A ROM that seems to end at 4 GiB shows its size mask, not an address.
    assert function.rom == Rom(None, 1 << 19)


def test_ports_and_bridges() -> None:
    card = find(CLASSIC.encode(), "17:00.0")
    assert card.firmware_bars == (Bar(0, "mem", 0xC5B00000, 1 << 20), Bar(2, "io", 0x7060, 32))
    assert card.observed("rom") and card.rom is None
    bridge = find(CLASSIC.encode(), "b4:03.0")
    assert (bridge.header_type, bridge.bridge) == (1, Bridge(0xB4, 0xB5, 0xB5))


def test_an_unset_bar_has_no_address() -> None:
    text = "pci 0000:17:00.0: BAR 1 [mem size 0x00020000]\n"
    assert find(text.encode(), "17:00.0").firmware_bars == (Bar(1, "mem", None, 1 << 17),)


def test_what_the_machine_s_lines_tell() -> None:
    machine = dmesg.parse(CLASSIC.encode())
    assert machine.acpi.madt is not None
    assert machine.acpi.madt.ioapics == (
        IoApic(0, 8, 0xFEC00000, 0, 24),
        IoApic(1, 9, 0xFEC01000, 24, 8),
    )
    assert machine.acpi.madt.overrides == (SourceOverride(0, 2, 0), SourceOverride(9, 9, 0b1101))
    assert machine.identity is not None and machine.identity.baseboard == "X11SDV-4C-TLN2F"
    assert (machine.platform.x2apic, machine.platform.firmware) == (True, "bios")
    # Without the devices it is for, an RMRR must not read as a table that names none.
    assert machine.acpi.dmar is None
    assert machine.missing[0].what == "devices of the RMRR 0x6f2f1000 to 0x6f300fff"


@pytest.mark.parametrize(
    "prefix", ["[    0.512345] ", "Nov 23 10:15:02 host kernel: ", "> > [ 0.5] ", "<6>", "\x1b[32m[ 0.5] "]
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_prefixes_do_not_matter(prefix: str, ending: str) -> None:
    text = "".join(f"{prefix}{line}{ending}" for line in CLASSIC.splitlines())
    assert dmesg.looks_like(text.encode())
    plain, prefixed = dmesg.parse(CLASSIC.encode(), "x"), dmesg.parse(text.encode(), "x")
    assert prefixed.functions == plain.functions


def test_a_mail_s_quoted_printable_is_undone() -> None:
    text = CLASSIC.replace("(x@y)", "root=/dev/sda1")
    quoted = quopri.encodestring(text.encode())
    assert b"=3D" in quoted and b"=\n" in quoted
    assert dmesg.parse(quoted, "x").functions == dmesg.parse(CLASSIC.encode(), "x").functions


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0", b"[ 1.0] usb 1-1: new device\n"])
def test_what_is_no_boot_log_is_refused(data: bytes) -> None:
    assert not dmesg.looks_like(data)
    with pytest.raises(UsageError, match="no line about a PCI function"):
        dmesg.parse(data)


@settings(max_examples=200, deadline=2000)
@given(st.data())
def test_damaged_logs_end_in_a_machine_or_a_sentence(data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from((CLASSIC, today(CLASSIC)))).encode())
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=12))
    try:
        assert dmesg.parse(bytes(text)).functions
    except BringupError as error:
        assert error.message


# What real logs say without anything being wrong, and what only looks like a BAR's.
HARMLESS = """\
pci 0000:05:00.0: [8086:1533] type 00 class 0x020000
pci 0000:05:00.0: reg 0x10: [mem 0xf7400000-0xf747ffff]
pci 0000:05:00.0: reg 0x30: [mem 0xfff80000-0xffffffff pref]
pci 0000:05:00.0: BAR 6: assigned [mem 0xf7500000-0xf757ffff pref]
pci 0000:05:00.0: BAR 7: can't assign mem pref (size 0x400000)
pci 0000:05:00.0: BAR 10: assigned [mem 0xc4480000-0xc457ffff 64bit pref]
pci 0000:05:00.0: ROM [mem 0xf7500000-0xf757ffff pref]: assigned
pci 0000:05:00.0: BAR 0: assigned to efifb
pci 0000:05:00.0: BAR 0 [mem 0xf7400000-0xf747ffff]: assigned
"""


def test_what_is_nothing_is_no_remark() -> None:
    function = find(HARMLESS.encode(), "05:00.0")
    assert (function.problems, function.moves, function.unread) == ((), (), ())
    assert function.bars == function.firmware_bars and not function.observed("os_placed")


def test_bars_that_only_linux_placed_are_not_the_firmware_s() -> None:
    text = "pci 0000:b7:00.1: BAR 0: assigned [mem 0x38c001000000-0x38c001ffffff 64bit pref]\n"
    function = find(text.encode(), "b7:00.1")
    assert function.os_placed == (Bar(0, "mem", 0x38C001000000, 1 << 24, 64, True),)
    assert not function.observed("bars") and not function.observed("firmware_bars")
    listed = replace(function, bars=function.os_placed, provenance={**function.provenance, "bars": "lspci"})
    assert bars_under_sel4(listed) is None
    assert bars_under_sel4(replace(listed, os_placed=None)) == listed.bars


def test_an_ancient_kernel_prints_two_bytes_of_the_class() -> None:
    text = (
        "pci 0000:04:00.0: [8086:1572] type 0 class 0x000200\npci 0000:00:07.0: PCI bridge to [bus 04-04]\n"
    )
    function = find(text.encode(), "04:00.0")
    assert function.class_code == 0x0200 and not function.observed("prog_if")
    assert find(text.encode(), "00:07.0").bridge == Bridge(0, 4, 4)


def test_the_first_windows_of_a_bridge_count() -> None:
    text = """pci 0000:00:1c.0: PCI bridge to [bus 01]
pci 0000:00:1c.0:   bridge window [io  0xe000-0xefff]
pci 0000:00:1c.0:   bridge window [mem 0x43000000-0x430fffff]
pci 0000:00:1c.0: PCI bridge to [bus 01]
pci 0000:00:1c.0:   bridge window [mem 0x6000000000-0x60ffffffff 64bit pref]
"""
    bridge = find(text.encode(), "00:1c.0").bridge
    assert bridge is not None
    assert bridge.windows == (Window("io", 0xE000, 0xEFFF), Window("mem", 0x43000000, 0x430FFFFF))


def test_the_routing_that_old_kernels_print() -> None:
    text = """IOAPIC[0]: apic_id 8, version 32, address 0xfec00000, GSI 0-23
pci 0000:08:00.0: [8086:1521] type 00 class 0x020000
igb 0000:08:00.0: PCI INT A -> GSI 16 (level, low) -> IRQ 16
"""
    machine = dmesg.parse(text.encode(), "log")
    (function,) = machine.functions
    assert (function.intx_pin, function.driver) == ("A", "igb")
    (pin,) = pin_candidates(machine)[function.bdf]
    assert (pin.ioapic, pin.pin, pin.grade) == (0, 16, "firmware")


@pytest.mark.parametrize(
    ("head", "mem", "port"),
    [
        ("PCI: 0000:08:00.0 reg 10", "32bit mmio: [c5100000, c517ffff]", "io port: [2000, 201f]"),
        ("pci 0000:08:00.0: reg 10", "32bit mmio: [0xc5100000-0xc517ffff]", "io port: [0x2000-0x201f]"),
        ("pci 0000:08:00.0: reg 10", "64bit mmio pref: [0xc5100000-0xc517ffff]", "io port: [0x2000-0x201f]"),
    ],
)
def test_registers_before_linux_2_6_33(head: str, mem: str, port: str) -> None:
    routed = "ACPI: PCI Interrupt 0000:08:00.0[A] -> GSI 16 (level, low) -> IRQ 169"
    text = f"{head} {mem}\n{head[:-2]}18 {port}\n{routed}\n"
    machine = dmesg.parse(text.encode(), "log")
    (function,) = machine.functions
    wide = mem.startswith("64")
    assert function.firmware_bars == (
        Bar(0, "mem", 0xC5100000, 0x80000, 64 if wide else 32, wide),
        Bar(2, "io", 0x2000, 0x20),
    )
    assert function.intx_pin == "A" and [told.gsi for told in machine.routed] == [16]


@pytest.mark.parametrize("word", ["DMAR:", "IOMMU:"])
def test_ranges_that_linux_mapped_for_a_function_are_told(word: str) -> None:
    text = f"""pci 0000:04:00.1: [8086:1521] type 00 class 0x020000
{word} Setting identity map for device 0000:04:00.1 [0xbdffd000 - 0xbdffffff]
{word} Setting identity map for device 0000:00:1f.0 [0x0 - 0xffffff]
"""
    (gap,) = dmesg.parse(text.encode(), "log").missing
    assert gap.what == "addresses of the RMRR of 04:00.1" and "0xbdffd000 to 0xbdffffff" in gap.why


@pytest.mark.parametrize(
    ("line", "model", "amd"),
    [
        ("smpboot: CPU0: AMD EPYC 7302P (family: 0x17, model: 0x31)", "AMD EPYC 7302P", True),
        ("smpboot: CPU0: Hygon C86 7185 (family: 0x18, model: 0x1)", "Hygon C86 7185", True),
        ("CPU0: AMD Opteron(tm) Processor 6128 stepping 01", "AMD Opteron(tm) Processor 6128", True),
        ("smpboot: CPU0: Intel(R) Xeon(R) D-2123IT CPU @ 2.20GHz (family: 0x6, model: 0x55)",
         "Intel(R) Xeon(R) D-2123IT CPU @ 2.20GHz", False),
    ],
)  # fmt: skip
def test_the_processor_s_name_is_told_whole(line: str, model: str, amd: bool) -> None:
    platform = dmesg.parse(
        f"pci 0000:04:00.1: [8086:1521] type 00 class 0x020000\n{line}\n".encode()
    ).platform
    assert (platform.cpu_model, platform.is_amd) == (model, amd)


def test_functions_that_the_firmware_keeps_memory_for() -> None:
    text = """pci 0000:04:00.1: [8086:1521] type 00 class 0x020000
vfio-pci 0000:04:00.1: DMAR: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.
DMAR: [Firmware Bug]: Your BIOS is broken; DMAR reported at address fed90000 returns all ones!
"""
    whats = [gap.what for gap in dmesg.parse(text.encode(), "log").missing]
    assert whats == ["the IOMMU at 0xfed90000", "addresses of the RMRR of 04:00.1"]


def test_a_driver_tells_a_port_where_nothing_told_the_class() -> None:
    text = (
        "pci 0000:17:00.0: reg 0x10: [mem 0xc5b00000-0xc5bfffff]\nigb 0000:17:00.0 eno1: renamed from eth0\n"
    )
    machine = with_names(dmesg.parse(text.encode()), PciIds(b""))
    (function,) = machine.functions
    assert function.is_ethernet and function.net == (NetInterface("eno1"),)
