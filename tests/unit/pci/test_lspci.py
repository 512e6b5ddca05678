"""The text of lspci -nn -vvv, its wordings over the years, and texts that are none."""

from __future__ import annotations

import shutil
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import BringupError, UsageError
from bringup.pci.model import (
    Acs,
    AdvancedFeatures,
    Bar,
    Bdf,
    Bridge,
    Function,
    Msi,
    MsiX,
    Pcie,
    PowerManagement,
    Rom,
    SerialNumber,
    Sriov,
    Window,
)
from bringup.pci.sources.lspci import machine as lspci_machine
from bringup.pci.sources.lspci import text as lspci
from tests.machines.views import View, recordings

NIC = """\
0000:17:00.0 Ethernet controller [0200]: Acme [AC] Net (rev 2) [8086:15a1] (rev 03) (prog-if 01 [Odd [x]])
\tDeviceName: LAN [one]
\tSubsystem: Acme Net Card [15d9:0a1b]
\tPhysical Slot: 7
\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
\tInterrupt: pin B routed to IRQ 368
\tNUMA node: 0
\tIOMMU group: 31
\tRegion 0: Memory at e0c00000 (64-bit, prefetchable) [size=512K]
\tRegion 2: I/O ports at e020 [size=32]
\tRegion 3: Memory at <unassigned> (32-bit, non-prefetchable) [disabled] [size=16K]
\tExpansion ROM at e0d00000 [disabled] [size=1M]
\tCapabilities: [40] Power Management version 3
\t\tFlags: PMEClk- DSI+ D1- D2- AuxCurrent=0mA PME(D0+,D1-,D2-,D3hot+,D3cold+)
\t\tStatus: D3 NoSoftRst+ PME-Enable- DSel=0 DScale=1 PME-
\tCapabilities: [50] MSI: Enable- Count=1/4 Maskable+ 64bit+
\t\tAddress: 0000000000000000  Data: 0000
\tCapabilities: [70] MSI-X: Enable+ Count=10 Masked-
\t\tVector table: BAR=3 offset=00000010
\t\tPBA: BAR=3 offset=00002000
\tCapabilities: [a0] Express (v2) Endpoint, MSI 00
\t\tDevCap:\tMaxPayload 512 bytes, PhantFunc 0, Latency L0s <512ns, L1 <64us
\t\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 0.000W
\t\tDevCtl:\tCorrErr- NonFatalErr- FatalErr- UnsupReq-
\t\t\tRlxdOrd+ ExtTag- PhantFunc- AuxPwr- NoSnoop+ FLReset-
\t\tLnkCap:\tPort #0, Speed 8GT/s, Width x4, ASPM L1, Exit Latency L1 <16us
\t\tLnkSta:\tSpeed 2.5GT/s (downgraded), Width x1 (downgraded)
\tCapabilities: [140 v1] Device Serial Number ac-1f-6b-ff-ff-00-11-22
\tCapabilities: [150 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans+
\t\tACSCtl:\tSrcValid- TransBlk- ReqRedir- CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans-
\tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
\t\tIOVCap:\tMigration-, Interrupt Message Number: 000
\t\tIOVCtl:\tEnable- Migration- Interrupt- MSE- ARIHierarchy+
\t\tInitial VFs: 32, Total VFs: 32, Number of VFs: 2, Function Dependency Link: 00
\t\tVF offset: 16, stride: 1, Device ID: 37cd
\t\tRegion 0: Memory at 00000000e1000000 (64-bit, prefetchable)
\tCapabilities: [1a0 v1] Extended Capability ID 0x2c
\tKernel driver in use: ixgbe
\tKernel modules: ixgbe, other_mod
"""

BRIDGE = """\
00:1c.4 PCI bridge [0604]: Acme Root Port [8086:a114] (rev f1) (prog-if 00 [Normal decode])
\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
\tStatus: Cap- 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
\tBus: primary=00, secondary=02, subordinate=03, sec-latency=0
"""


def only(text: str) -> Function:
    # lspci ends every function with an empty line.
    (function,) = lspci.parse(f"{text}\n".encode()).functions
    return function


def nic_with(line: str) -> Function:
    return only(f"17:00.0 Ethernet controller [0200]: Acme [8086:15a1]\n\t{line}\n")


def test_the_header_is_read_from_its_end_because_names_hold_brackets() -> None:
    nic = only(NIC)
    assert nic.bdf == Bdf(0, 0x17, 0, 0)
    assert (nic.vendor, nic.device, nic.class_code) == (0x8086, 0x15A1, 0x0200)
    assert (nic.revision, nic.prog_if) == (3, 1)
    assert nic.class_name == "Ethernet controller"
    assert nic.device_name == "Acme [AC] Net (rev 2)"
    assert not nic.observed("vendor_name")


@pytest.mark.parametrize(
    ("header", "domain", "ids", "class_code", "device_name"),
    [
        ("00:02.0 VGA compatible controller: Acme Graphics", 0, None, None, "Acme Graphics"),
        ("10000:e1:00.0 0108: 8086:0a54 (rev 01)", 0x10000, (0x8086, 0x0A54), 0x0108, None),
        ("0001:00:00.0 Class [0c0a]: Device [8086:9d10]", 1, (0x8086, 0x9D10), 0x0C0A, "Device"),
    ],
)
def test_headers_with_and_without_numbers_and_domains(
    header: str, domain: int, ids: tuple[int, int] | None, class_code: int | None, device_name: str | None
) -> None:
    function = only(header + "\n")
    assert function.bdf.domain == domain
    assert (function.vendor, function.device) == (ids or (None, None))
    assert function.observed("vendor") is (ids is not None)
    assert function.class_code == class_code
    assert function.device_name == device_name


def test_a_terse_listing_leaves_everything_else_unobserved() -> None:
    function = only("17:00.0 Ethernet controller [0200]: Acme [8086:15a1]\n")
    unknown = ("bars", "rom", "capabilities", "intx_pin", "irq", "revision", "driver", "bridge", "command")
    assert not [name for name in unknown if function.observed(name)]


def test_the_plain_lines_are_read() -> None:
    nic = only(NIC)
    assert (nic.intx_pin, nic.irq, nic.numa_node, nic.iommu_group) == ("B", 368, 0, 31)
    assert (nic.slot, nic.label, nic.driver) == ("7", "LAN [one]", "ixgbe")
    assert nic.modules == ("ixgbe", "other_mod")
    assert (nic.subsystem, nic.subsystem_name) == ((0x15D9, 0x0A1B), "Acme Net Card")
    assert nic.command == 0x0406
    assert nic.provenance["irq"] == "lspci:text"
    assert nic.problems == ()


def test_only_regions_of_the_function_itself_are_its_bars() -> None:
    nic = only(NIC)
    assert nic.bars == (
        Bar(0, "mem", 0xE0C00000, 512 << 10, 64, prefetchable=True),
        Bar(2, "io", 0xE020, 32),
        Bar(3, "mem", None, 16 << 10),
    )
    assert nic.rom == Rom(0xE0D00000, 1 << 20, enabled=False)
    sriov = nic.capability(Sriov)
    assert sriov == Sriov(False, 32, 2, 16, 1, 0x37CD, (Bar(0, "mem", 0xE1000000, None, 64, True),))


@pytest.mark.parametrize(
    ("line", "bar"),
    [
        ("Region 1: [virtual] Memory at 843000000000 (32-bit, non-prefetchable) [size=1G]",
         Bar(1, "mem", 0x843000000000, 1 << 30, 64)),
        ("Region 0: [enhanced] Memory at f0000000 (64-bit, prefetchable) [size=2T]",
         Bar(0, "mem", 0xF0000000, 2 << 40, 64, True)),
        ("Region 0: Memory at f0000000 [virtual] (32-bit, prefetchable) [size=4K]",
         Bar(0, "mem", 0xF0000000, 4096, 32, True)),
        ("Region 2: Memory at <ignored> (32-bit, non-prefetchable) [size=4K]", Bar(2, "mem", None, 4096)),
        ("Region 5: Memory at <broken-64-bit-slot> (64-bit, non-prefetchable)",
         Bar(5, "mem", None, None, 64)),
        ("Region 3: Memory at 000d0000 (low-1M, non-prefetchable) [size=64K]",
         Bar(3, "mem", 0xD0000, 65536, 20)),
        ("Region 4: I/O ports at <unassigned> [disabled]", Bar(4, "io", None)),
        ("Region 4: [virtual] I/O ports at 0000 [size=16]", Bar(4, "io", None, 16)),
    ],
)  # fmt: skip
def test_every_wording_of_a_region(line: str, bar: Bar) -> None:
    assert nic_with(line).bars == (bar,)


def test_a_region_that_cannot_be_is_told_and_is_no_bar() -> None:
    function = nic_with("Region 7: Memory at f0000000 (32-bit, non-prefetchable)")
    assert not function.observed("bars")
    assert "Region 7" in function.unread[0]


def test_a_region_told_twice_counts_once() -> None:
    function = only(NIC + "\tRegion 0: Memory at f0000000 (32-bit, non-prefetchable) [size=4K]\n")
    assert [bar.base for bar in function.bars or () if bar.index == 0] == [0xE0C00000]
    assert "twice" in function.unread[0]


def test_the_boot_rom_in_ram_is_a_shadow() -> None:
    function = nic_with("[virtual] Expansion ROM at 000c0000 [disabled] [size=128K]")
    assert function.rom == Rom(0xC0000, 128 << 10, enabled=None, shadow=True)
    assert nic_with("Expansion ROM at <ignored> [size=4K]").rom == Rom(None, 4096, enabled=True)


def test_capabilities_are_ids_offsets_and_contents() -> None:
    nic = only(NIC)
    ids = [(c.id, c.offset, c.extended, c.version) for c in nic.capabilities or ()]
    assert ids == [
        (0x01, 0x40, False, None), (0x05, 0x50, False, None), (0x11, 0x70, False, None),
        (0x10, 0xA0, False, None), (0x03, 0x140, True, 1), (0x0D, 0x150, True, 1),
        (0x10, 0x160, True, 1), (0x2C, 0x1A0, True, 1),
    ]  # fmt: skip
    assert nic.capability(PowerManagement) == PowerManagement("D3hot", True)
    assert nic.capability(Msi) == Msi(4, False, True, True)
    assert nic.capability(MsiX) == MsiX(10, True, 3, 0x10, 3, 0x2000)
    assert nic.capability(Pcie) == Pcie("endpoint", True, 8.0, 4, 2.5, 1)
    assert nic.capability(Acs) == Acs(0b1000101, 0)
    assert nic.capability(SerialNumber) == SerialNumber("ac-1f-6b-ff-ff-00-11-22")


def test_old_wordings_of_capabilities() -> None:
    assert nic_with("Capabilities: [60] MSI: Mask+ 64bit- Count=1/2 Enable-").capability(Msi) == Msi(
        2, False, False, True
    )
    assert nic_with("Capabilities: [70] MSI-X: Enable+ Mask- TabSize=10").capability(MsiX) == MsiX(10, True)
    (unnamed,) = nic_with("Capabilities: [300 v1] #19").capabilities or ()
    assert (unnamed.id, unnamed.extended) == (0x19, True)


def test_what_the_listing_does_not_say_about_a_capability_stays_unknown() -> None:
    function = nic_with("Capabilities: [a0] Express Root Port (Slot+), MSI 00")
    assert function.capability(Pcie) == Pcie("root port")
    assert function.flr is None
    advanced = nic_with("Capabilities: [50] PCI Advanced Features\n\t\tAFCap: TP+ FLR+\n\t\tAFCtrl: FLR-")
    assert advanced.capability(AdvancedFeatures) == AdvancedFeatures(True)


def test_an_unknown_capability_is_told() -> None:
    function = nic_with("Capabilities: [50] Perpetual Motion")
    assert function.capabilities == ()
    assert "Perpetual Motion" in function.unread[0]


def test_capabilities_hidden_from_a_user_are_unobserved() -> None:
    function = only(BRIDGE.replace("Cap-", "Cap+") + "\tCapabilities: <access denied>\n")
    assert not function.observed("capabilities")
    assert only(BRIDGE).observed("capabilities")
    assert only(BRIDGE).capabilities == ()


def test_no_interrupt_line_in_a_detailed_listing_is_no_intx_except_of_a_bridge() -> None:
    endpoint = only(BRIDGE.rpartition("\tBus: ")[0])
    assert endpoint.observed("intx_pin")
    assert endpoint.intx_pin is None
    assert (endpoint.bars, endpoint.rom) == ((), None)
    assert not only(BRIDGE).observed("intx_pin")


def test_an_interrupt_line_without_a_pin_and_one_with_an_impossible_pin() -> None:
    pinless = only(BRIDGE + "\tInterrupt: pin ? routed to IRQ 11\n")
    assert (pinless.observed("intx_pin"), pinless.intx_pin, pinless.irq) == (True, None, 11)
    strange = only(BRIDGE + "\tInterrupt: pin E routed to IRQ 11\n")
    assert not strange.observed("intx_pin")
    assert strange.unread


@pytest.mark.parametrize(
    ("lines", "windows"),
    [
        ("", None),
        ("\tI/O behind bridge: None\n\tMemory behind bridge: None\n", ()),
        ("\tI/O behind bridge: 0000f000-00000fff [disabled] [16-bit]\n", ()),
        ("\tI/O behind bridge: 0000a000-0000afff\n", (Window("io", 0xA000, 0xAFFF),)),
        (
            "\tMemory behind bridge: f1100000-f11fffff [size=1M] [32-bit]\n"
            "\tPrefetchable memory behind bridge: 00000020c7800000-00000020c7ffffff [size=8M]\n",
            (Window("mem", 0xF1100000, 0xF11FFFFF), Window("prefetchable", 0x20C7800000, 0x20C7FFFFFF)),
        ),
    ],
)
def test_bridge_windows(lines: str, windows: tuple[Window, ...] | None) -> None:
    assert only(BRIDGE + lines).bridge == Bridge(0, 2, 3, windows)


def test_where_one_driver_is_named_no_name_is_no_driver() -> None:
    machine = lspci.parse((NIC + "\n" + BRIDGE + "\n").encode())
    bridge = machine.find(Bdf.parse("00:1c.4"))
    assert bridge is not None
    assert bridge.observed("driver")
    assert bridge.driver is None
    assert not only(BRIDGE).observed("driver")


def test_windows_line_ends_and_single_v_listings() -> None:
    assert only(NIC.replace("\n", "\r\n")) == only(NIC)
    short = nic_with(
        "Flags: bus master, fast devsel, latency 0, IRQ 16\n\tMemory at f0000000 (32-bit) [size=4K]"
    )
    assert short.irq == 16
    assert short.bars == (Bar(0, "mem", 0xF0000000, 4096, numbered=False),)
    assert not short.observed("intx_pin")


def test_lines_that_are_not_lspcis_are_counted() -> None:
    machine = lspci.parse(("lspci: Unable to load libkmod\n$ lspci\n" + NIC + "\n\tlost line\n").encode())
    (missing,) = machine.missing
    assert missing.what.startswith("2 lines")
    assert missing.why.endswith("line 2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no PCI function"),
        ("hello\n", "no PCI function"),
        (NIC + "\n" + NIC, "more than one machine"),
        (NIC + "00: 86 80 a1 15\n", "not 16 bytes"),
        (NIC + "00: " + "zz " * 16 + "\n", "not 16 bytes"),
        (NIC + "10: " + "00 " * 16 + "\n", "does not follow"),
        (NIC + "\tx" + "y" * 5000, "no line of lspci"),
    ],
)
def test_bad_texts_are_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        lspci.parse(text.encode())


def test_only_its_own_format_looks_like_it() -> None:
    assert lspci.looks_like(NIC.encode())
    assert lspci.looks_like(b"lspci: warning\n\n" + BRIDGE.encode())
    others = (
        b"Slot:\t00:00.0\nClass:\tHost bridge [0600]\n",
        b"hostb0@pci0:0:0:0:\tclass=0x060000 rev=0x11\n",
        b"[    0.3] pci 0000:00:00.0: [8086:6f02] type 00 class 0x060000\n",
        b'00:00.0 "Host bridge [0600]" "Acme [8086]"\n',
        b"\x00\xff" * 40000,
        b"",
    )
    assert not [data for data in others if lspci.looks_like(data)]
    assert not lspci_machine.looks_like(NIC.encode())


@settings(max_examples=150, deadline=2000)
@given(st.data())
def test_damaged_texts_end_in_a_machine_or_a_sentence(data: st.DataObject) -> None:
    text = bytearray((NIC + "\n" + BRIDGE).encode())
    for _ in range(data.draw(st.integers(0, 12))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=12))
    try:
        machine = lspci.parse(bytes(text))
    except BringupError as error:
        assert error.message
    else:
        assert list(machine.functions) == sorted(machine.functions, key=lambda f: f.bdf)


# --- the config space in hex ---


def nic_config() -> bytes:
    config = bytearray(256)
    config[0:16] = bytes.fromhex("8680211506041000 0100000210000000".replace(" ", ""))
    config[0x10:0x14] = (0xF0000000).to_bytes(4, "little")
    config[0x2C:0x30] = bytes.fromhex("d9151b0a")
    config[0x34], config[0x3C], config[0x3D] = 0x40, 0x0B, 3
    config[0x40:0x48] = bytes.fromhex("0150 23c8 08000000".replace(" ", ""))
    config[0x50:0x60] = bytes.fromhex("0570 8401 00000000 00000000 00000000".replace(" ", ""))
    config[0x70:0x7C] = bytes.fromhex("1100 0980 03000000 03200000".replace(" ", ""))
    return bytes(config)


def hex_rows(config: bytes) -> str:
    rows = (f"{at:02x}: {config[at : at + 16].hex(' ')}" for at in range(0, len(config), 16))
    return "\n".join(rows) + "\n"


def test_hex_alone_is_a_listing_too() -> None:
    function = only("17:00.0 Ethernet controller: Acme\n" + hex_rows(nic_config()))
    assert (function.vendor, function.device, function.class_code) == (0x8086, 0x1521, 0x0200)
    assert function.intx_pin == "C"
    assert [c.id for c in function.capabilities or ()] == [0x01, 0x05, 0x11]
    assert function.provenance["vendor"].startswith("lspci:hex")
    assert function.provenance["device_name"] == "lspci:text"


def test_hex_wins_for_pins_and_text_adds_sizes() -> None:
    function = only(NIC + hex_rows(nic_config()))
    assert (function.device, function.intx_pin, function.irq) == (0x1521, "C", 368)
    assert [bar.size for bar in function.bars or ()] == [512 << 10, 32, 16 << 10]
    assert function.provenance["bars"] == "lspci:text"
    # 256 bytes end before the extended capabilities: those of the text stay.
    assert [c.id for c in function.capabilities or () if c.extended] == [0x03, 0x0D, 0x10, 0x2C]


@pytest.mark.skipif(shutil.which("lspci") is None, reason="lspci is not installed")
def test_lspcis_own_words_tell_what_the_hex_tells(tmp_path: Path) -> None:
    dump = tmp_path / "dump.txt"
    dump.write_text("17:00.0 Ethernet controller: Acme\n" + hex_rows(nic_config()))
    words = subprocess.run(
        ["lspci", "-F", str(dump), "-vvv", "-nn"], capture_output=True, check=True, timeout=20
    ).stdout
    text, config = lspci.parse(words).functions[0], lspci.parse(dump.read_bytes()).functions[0]
    for name in ("vendor", "device", "class_code", "prog_if", "revision", "subsystem", "intx_pin", "command"):
        assert getattr(text, name) == getattr(config, name), name
    told = [[(c.id, c.offset, c.decoded) for c in side.capabilities or ()] for side in (text, config)]
    assert told[0] == told[1]


# --- whole listings: those that were recorded are read in test_whole_machines.py ---


# Enhanced Allocation: the BAR registers read as zero and the OS alone knows the addresses (PCIe 4.0, 7.8.5).
ENHANCED = b"""\
0002:01:00.0 Ethernet controller [0200]: Cavium, Inc. THUNDERX Network Interface [177d:a01e] (rev 08)
\tSubsystem: Cavium, Inc. Device [177d:a11e]
\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
\tRegion 0: [enhanced] Memory at 843000000000 (64-bit, non-prefetchable) [size=1G]
\tRegion 4: [enhanced] Memory at 843060000000 (64-bit, non-prefetchable) [size=1M]
\tCapabilities: [98] Enhanced Allocation (EA): NumEntries=2
\t\tEntry 0: Enable+ Writable- EntrySize=3
\tKernel driver in use: thunder-nic
"""
BY_OS = [View("made", lambda: ENHANCED, lambda: lspci.parse(ENHANCED)), *recordings("lspci-cap-ea-1.txt")]


@pytest.mark.parametrize("view", BY_OS, ids=str)
def test_a_function_whose_bars_only_the_os_knows(view: View) -> None:
    (nic,) = view.machine().functions
    assert nic.bdf.domain == 2
    assert [(bar.index, bar.base, bar.size) for bar in nic.bars or ()] == [
        (0, 0x843000000000, 1 << 30),
        (4, 0x843060000000, 1 << 20),
    ]
    assert nic.driver == "thunder-nic"


def test_a_virtual_function_has_the_ids_that_its_registers_lack() -> None:
    header = "01:10.0 Ethernet controller [0200]: Intel I350 Virtual Function [8086:1520] (rev 01)"
    rows = [
        f"{at:02x}: {' '.join(['ff'] * 4 + ['00'] * 12 if not at else ['00'] * 16)}"
        for at in range(0, 64, 16)
    ]
    function = only("\n".join([header, *rows]) + "\n")
    assert (function.vendor, function.device) == (0x8086, 0x1520)
    assert function.provenance["device"].endswith(":text") and function.provenance["command"].endswith(":hex")


def test_a_listing_without_numbers_says_so() -> None:
    named = b"17:00.0 Ethernet controller: Intel Corporation I350 Gigabit Network Connection (rev 01)\n"
    (missing,) = lspci.parse(named, "it").missing
    assert missing.what == "ids of 1 function in it" and "-nn" in missing.why
    assert not lspci.parse(
        named.replace(b": Intel", b" [0200]: Intel").replace(b" (rev", b" [8086:1521] (rev")
    ).missing


HEADER = b"17:00.0 Ethernet controller [0200]: Intel Corporation I350 [8086:1521]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEADER + b"\t!!! x\n" * 9_000_000, "more lines than lspci writes"),
        (HEADER * 800_000, "two functions at 17:00.0"),
        pytest.param(HEADER + b"x\n" * 30_000_000, "lines that are not lspci's", marks=pytest.mark.slow),
    ],
    ids=["lines of one function", "functions at one address", "other lines"],
)
def test_hostile_repetition_is_refused_before_it_takes_memory(text: bytes, told: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=told):
            lspci.parse(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
