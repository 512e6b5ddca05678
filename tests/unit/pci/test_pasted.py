"""Listings as people paste them: quoted, cut, with chatter inside; a field is right or not observed."""

from __future__ import annotations

import gzip
import html
import json
import random
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.pci.capture.open import read_bytes
from bringup.pci.model import Bar, Capability, Function, Machine
from tests.machines import catalogue

NIC = """\
02:00.0 Ethernet controller [0200]: Acme I210 [8086:1533] (rev 03)
\tSubsystem: Acme I210 [15d9:1533]
\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
\tInterrupt: pin A routed to IRQ 16
\tRegion 0: Memory at f7400000 (32-bit, non-prefetchable) [size=512K]
\tRegion 2: I/O ports at e000 [size=32]
\tRegion 3: Memory at f7480000 (32-bit, non-prefetchable) [size=16K]
\tCapabilities: [40] Power Management version 3
\t\tFlags: PMEClk- DSI+ D1- D2- AuxCurrent=0mA PME(D0+,D1-,D2-,D3hot+,D3cold+)
\t\tStatus: D0 NoSoftRst+ PME-Enable- DSel=0 DScale=1 PME-
\tCapabilities: [a0] Express (v2) Endpoint, MSI 00
\t\tDevCap:\tMaxPayload 512 bytes, PhantFunc 0, Latency L0s <512ns, L1 <64us
\t\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 0.000W
\tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
\t\tInitial VFs: 8, Total VFs: 8, Number of VFs: 0, Function Dependency Link: 00
\t\tRegion 0: Memory at 00000000e1000000 (64-bit, prefetchable)
\tKernel driver in use: igb
\tKernel modules: igb

"""


def read(text: str) -> Machine:
    return read_bytes(text.encode(), "it")


def only(text: str) -> Function:
    (function,) = read(text).functions
    return function


WHOLE = only(NIC)


@pytest.mark.parametrize(
    "held",
    [
        lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"> > {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
        lambda text: f"Here it is:\n\n```\n{text}```\nThanks!\n",
        lambda text: text.replace("\t", "        "),
        lambda text: text.replace("\t", "    "),
        lambda text: re.sub(r"(?m)^\s+(?=\S)", "", text),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: "".join(f"{n:6}\t{line}\n" for n, line in enumerate(text.splitlines(), 1)),
        lambda text: "".join(f"{n:4}  {line}\n" for n, line in enumerate(text.splitlines(), 7)),
        lambda text: f"<p>Here:</p>\n<pre class=x><code>{html.escape(text)}</code></pre>\n",
        lambda text: f'[QUOTE="a, post: 1"]\n[CODE=text]{text}[/CODE]\n[/QUOTE]\n',
        lambda text: f"\x1b[01;31m\x1b[K02:00.0\x1b[m\x1b[K{text[7:]}",
        lambda text: "".join(f"[2026-11-28 10:56:01.031] {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"Nov 28 10:56:01 {line}\n" for line in text.splitlines()),
        lambda text: "\n".join(("hello,", "it does not work.", "", "", "my board:", "the list:", "", text)),
    ],
    ids=[
        "quoted",
        "twice",
        "indented",
        "fenced",
        "spaces",
        "four",
        "flat",
        "crlf",
        "doubled",
        "numbered",
        "nl",
        "html",
        "forum",
        "coloured",
        "stamped",
        "syslog",
        "letter",
    ],
)
def test_a_listing_reads_the_same_however_it_is_held(held) -> None:  # type: ignore[no-untyped-def]
    function = only(held(NIC))
    assert function == WHOLE
    assert function.intx_pin == "A" and len(function.bars or ()) == 3 and function.flr is True


def test_a_compressed_log_and_one_in_utf_16() -> None:
    for data in (gzip.compress(NIC.encode()), b"\xff\xfe" + NIC.encode("utf-16-le")):
        assert read_bytes(data, "it").functions == (WHOLE,)


def test_what_lspci_says_in_between_is_cut_out_and_the_line_joined() -> None:
    chatter = "pcilib: sysfs_read_vpd: read failed: Input/output error\n"
    for at in range(len(NIC) - 1):
        function = only(NIC[:at] + chatter + NIC[at:])
        assert function == WHOLE, at


def test_a_damaged_line_proves_nothing_by_what_it_lacks() -> None:
    function = only(NIC.replace("\tInterrupt: pin A", "\tInterru: pin A"))
    assert not function.observed("intx_pin") and function.unread and not function.problems
    wrapped = only(NIC.replace(" (rev 03)", "\n(rev 03)"))
    assert not wrapped.observed("revision")


def test_lspci_v_tells_bars_by_their_addresses() -> None:
    text = """07:00.0 Ethernet controller: Acme X520 (rev 01)
\tFlags: fast devsel, IRQ 11
\tMemory at f2100000 (64-bit, non-prefetchable) [disabled] [size=512K]
\tI/O ports at 9020 [disabled] [size=32]
\tMemory at f2200000 (64-bit, non-prefetchable) [disabled] [size=16K]
\tKernel driver in use: vfio-pci

"""
    bars = only(text).bars
    assert bars == (
        Bar(0, "mem", 0xF2100000, 512 << 10, 64, numbered=False),
        Bar(1, "io", 0x9020, 32, numbered=False),
        Bar(2, "mem", 0xF2200000, 16 << 10, 64, numbered=False),
    )
    assert bars[2].name == "the BAR at 0xf2200000"


def test_lspci_v_tells_node_and_group_among_the_flags() -> None:
    text = """07:00.0 Ethernet controller: Acme X710 (rev 02)
\tFlags: bus master, fast devsel, latency 0, IRQ 40, NUMA node 1, IOMMU group 55
\tMemory at c7000000 (64-bit, prefetchable) [size=16M]

"""
    function = only(text)
    assert (function.irq, function.numa_node, function.iommu_group) == (40, 1, 55)


def test_a_journal_in_json_is_the_log_that_it_holds() -> None:
    log = [
        "Linux version 6.14.8 (a@b)",
        "pci 0000:01:00.0: [8086:15f3] type 00 class 0x020000 PCIe Endpoint",
        "pci 0000:01:00.0: BAR 0 [mem 0x42c00000-0x42cfffff]",
    ]
    entries = "".join(json.dumps({"_TRANSPORT": "kernel", "MESSAGE": line}) + "\n" for line in log)
    plain = read("\n".join(log) + "\n")
    assert read(entries).functions == plain.functions and plain.functions[0].firmware_bars
    assert read(entries + '{"MESSAGE": [1, 2]}\n{"MESS').functions == plain.functions


def test_numbers_that_are_the_file_s_own_stay() -> None:
    rows = "           CPU0\n" + "".join(f"  {n}:  1  IO-APIC  {n}-edge  x\n" for n in range(9))
    assert [line.irq for line in read(rows + "").interrupts or ()] == list(range(9))


def test_a_listing_of_iommu_groups() -> None:
    text = """IOMMU Group 1:
\t00:01.0 PCI bridge [0604]: Acme [8086:1901] (rev 07)
\t01:00.0 Ethernet controller [0200]: Acme [8086:1533] (rev 03)
IOMMU Group 7 02:00.0 Ethernet controller [0200]: Acme [8086:1521] (rev 01)
"""
    assert [f.iommu_group for f in read(text).functions] == [1, 1, 7]


@pytest.mark.parametrize(
    "text",
    [
        "IOMMU group 1:\t[8086:1901] 00:01.0 PCI bridge: Acme (x16) (rev 07)\n"
        "[8086:1521] 01:00.0 Ethernet controller: Acme (rev 01)\n",
        "Group 1:\t[8086:1901] [R] 00:01.0  PCI bridge        Acme (x16)\n"
        "\t[8086:1521] [R] 01:00.0  Ethernet controller      Acme\n",
        "Group:  1   0000:00:01.0 PCI bridge [0604]: Acme [8086:1901] (rev 07)   Driver: pcieport\n"
        "Group:  1   0000:01:00.0 Ethernet controller [0200]: Acme [8086:1521] (rev 01)   Driver: igb\n",
        "/sys/kernel/iommu_groups/1/devices/0000:00:01.0\n/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n",
        "pci 0000:00:01.0: Adding to iommu group 1\npci 0000:01:00.0: Adding to iommu group 1\n",
        "iommu: Adding device 0000:00:01.0 to group 1\npci 0000:01:00.0: Adding to iommu group 1\n",
    ],
    ids=["ids-first", "columns", "driver", "sysfs", "log", "old-log"],
)
def test_groups_in_other_words(text: str) -> None:
    machine = read(text)
    assert [(f.bdf.short, f.iommu_group) for f in machine.functions] == [("00:01.0", 1), ("01:00.0", 1)]
    told = [f.device for f in machine.functions if f.observed("device")]
    assert told in ([], [0x1901, 0x1521]) and bool(told) == ("8086" in text)
    assert [f.driver for f in machine.functions] == (["pcieport", "igb"] if "Driver" in text else [None] * 2)
    assert not any("rest of" in gap.what for gap in machine.missing)


def is_right(function: Function, whole: Function) -> bool:
    """Whether every field is what the whole listing tells; BARs of a broken-off one are some of them."""
    for field in function.provenance:
        ours, theirs = getattr(function, field), getattr(whole, field)
        if field == "bars":
            if not set(ours) <= set(theirs):
                return False
        elif field == "bridge" and ours is not None and ours.windows is None:
            if ours != replace(theirs, windows=None):
                return False
        elif ours != theirs:
            return False
    return not function.problems


CHATTER = (
    "pcilib: sysfs_read_vpd: read failed\n",
    "lspci: Unable to load libkmod resources: error -2\n",
    "[   12.345678] igb 0000:17:00.0 eth0: link is up\n",
)
DESKTOP = catalogue.told("desktop", "lspci.txt").decode()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 30))
def test_a_listing_cut_anywhere_tells_no_other_value(seed: int) -> None:
    chance = random.Random(seed)
    text = DESKTOP
    whole = {function.bdf: function for function in read(text).functions}
    start = chance.randrange(len(text))
    try:
        machine = read(text[: chance.randrange(start, len(text))])
    except UsageError:
        return
    for function in machine.functions:
        assert is_right(function, whole[function.bdf])
        wrong = function.bars != whole[function.bdf].bars and function.observed("bars")
        assert not wrong or any(function.bdf.short in gap.what for gap in machine.missing)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30))
def test_chatter_quotes_and_tabs_change_no_value(seed: int) -> None:
    chance = random.Random(seed)
    text = DESKTOP
    whole = {function.bdf: function for function in read(text).functions}
    # From the back, so that none lands in another one.
    for at in sorted((chance.randrange(len(text)) for _ in range(chance.randrange(6))), reverse=True):
        text = text[:at] + chance.choice(CHATTER) + text[at:]
    if chance.random() < 0.5:
        text = text.replace("\t", " " * 8)
    if chance.random() < 0.5:
        text = "".join(f"> {line}\n" for line in text.splitlines())
    for function in read(text).functions:
        assert is_right(function, whole[function.bdf])
        assert function.bars == whole[function.bdf].bars


FORMS = ("lspci-xxxx.txt", "lspci-vmm.txt", "pciconf.txt", "pciconf-12.txt", "dmesg.txt", "dmesg-ancient.txt")


def in_part(function: Function, whole: Function) -> bool:
    """Whether every field is the whole text's, or the part of it that was told so far."""
    for field in function.provenance:
        ours, theirs = getattr(function, field), getattr(whole, field)
        if field == "config_bytes":
            continue  # how much was read
        if field in ("bars", "firmware_bars", "capabilities", "modules") and isinstance(ours, tuple):
            if not all(_is_of(each, theirs or ()) for each in ours):
                return False
        elif field == "bridge" and ours is not None:
            if (ours.secondary, ours.subordinate) != (theirs.secondary, theirs.subordinate):
                return False
        elif ours != theirs:
            return False
    return not function.problems


def _is_of(ours: object, theirs: tuple[object, ...]) -> bool:
    """Whether a thing is among those of the whole; of a capability that breaks off, what it says so far."""
    if ours in theirs or not isinstance(ours, Capability):
        return ours in theirs
    places = {(each.id, each.offset) for each in theirs if isinstance(each, Capability)}
    return (ours.id, ours.offset) in places


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30))
def test_other_texts_cut_anywhere_tell_no_other_value(form: str, seed: int) -> None:
    chance = random.Random(seed)
    text = catalogue.told("desktop", form).decode()
    whole = {function.bdf: function for function in read(text).functions}
    try:
        machine = read(text[: chance.randrange(len(text) // 8, len(text))])
    except UsageError:
        return
    for function in machine.functions:
        assert in_part(function, whole[function.bdf]), function.bdf.short


@pytest.mark.parametrize("form", ["pciconf.txt", "pciconf-12.txt", "dmesg.txt", "dmesg-ancient.txt"])
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30))
def test_lines_of_others_and_quotes_change_no_value_in_other_texts(form: str, seed: int) -> None:
    chance = random.Random(seed)
    text = catalogue.told("desktop", form).decode()
    whole = read(text).functions
    lines = text.splitlines(keepends=True)
    for _ in range(chance.randrange(6)):
        lines.insert(chance.randrange(len(lines)), chance.choice(CHATTER))
    text = "".join(f"> {line}" if seed % 2 else line for line in lines)
    told = {function.bdf: function for function in read(text).functions}
    for function in whole:
        assert in_part(told[function.bdf], function)
        assert told[function.bdf].bars == function.bars


def test_the_processor_s_file_beside_a_listing() -> None:
    cpu = read(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7302P\nflags\t\t: fpu svm\n\n"
    )
    assert cpu.functions == () and cpu.platform.cpu_model == "AMD EPYC 7302P" and cpu.platform.is_amd
