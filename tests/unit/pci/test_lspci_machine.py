"""The records of lspci -vmmnnk, and texts that are none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import BringupError, UsageError
from bringup.pci.model import Bdf, Function
from bringup.pci.sources.lspci import machine as lspci_machine
from bringup.pci.sources.lspci import text as lspci

NIC = """\
Slot:\t17:00.1
Class:\tEthernet controller [0200]
Vendor:\tAcme [AC] Corporation [8086]
Device:\tNet 5720 [1521]
SVendor:\tBoard Maker [15d9]
SDevice:\tDevice [0a1b]
PhySlot:\t7
Rev:\t01
ProgIf:\t02
Driver:\tigb
Module:\tigb
Module:\tother_mod
NUMANode:\t-1
IOMMUGroup:\t31
DTNode:\t/soc/pci
"""


def only(text: str) -> Function:
    (function,) = lspci_machine.parse(text.encode()).functions
    return function


def test_more_lines_than_a_function_has_are_refused() -> None:
    with pytest.raises(UsageError, match=r"line 4098: 17:00\.0 has more lines"):
        lspci_machine.parse(b"Slot:\t17:00.0\n" + b"Module:\tx\n" * 5000)


def test_a_record_is_read() -> None:
    nic = only(NIC)
    assert nic.bdf == Bdf.parse("17:00.1")
    assert (nic.class_code, nic.vendor, nic.device) == (0x0200, 0x8086, 0x1521)
    assert (nic.class_name, nic.vendor_name) == ("Ethernet controller", "Acme [AC] Corporation")
    assert (nic.device_name, nic.subsystem_name) == ("Net 5720", "Board Maker Device")
    assert nic.subsystem == (0x15D9, 0x0A1B)
    assert (nic.slot, nic.revision, nic.prog_if, nic.driver) == ("7", 1, 2, "igb")
    assert nic.modules == ("igb", "other_mod")
    assert (nic.numa_node, nic.iommu_group) == (-1, 31)
    assert set(nic.provenance.values()) == {"lspci-machine"}


def test_what_the_format_cannot_tell_is_unobserved() -> None:
    nic = only(NIC)
    assert not [n for n in ("bars", "rom", "intx_pin", "irq", "capabilities", "bridge") if nic.observed(n)]
    assert not only("Slot:\t00:00.0\nClass:\tHost bridge [0600]\n").observed("revision")


def test_names_without_ids_and_ids_without_names() -> None:
    named = only("Slot:\t00:00.0\nVendor:\tAcme\nDevice:\tNet 5720\n")
    assert named.device_name == "Net 5720"
    assert not named.observed("device")
    numbered = only("Slot:\t00:00.0\nVendor:\t8086\nDevice:\t5720\n")
    assert (numbered.vendor, numbered.device) == (0x8086, 0x5720)
    assert not numbered.observed("device_name")


def test_the_older_address_key_and_domains() -> None:
    function = only("Device:\t10000:e1:00.0\r\nClass:\tBridge [0604]\r\nDevice:\tPort [2030]\r\n")
    assert function.bdf.domain == 0x10000
    assert (function.device_name, function.device) == ("Port", 0x2030)


def test_where_one_driver_is_named_no_name_is_no_driver() -> None:
    machine = lspci_machine.parse((NIC + "\nSlot:\t00:00.0\nClass:\tHost bridge [0600]\n\n").encode())
    bridge = machine.functions[0]
    assert bridge.bdf == Bdf.parse("00:00.0")
    assert bridge.observed("driver")
    assert bridge.driver is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no PCI function"),
        ("Class:\tBridge\n", "no PCI function"),
        (NIC + "\n" + NIC, "more than one machine"),
        (NIC + "garbage\n", "line 16"),
        (NIC + "\n" + NIC.replace("17:00.1", "17:00.2") + "garbage\n", "line 32"),
        (NIC + "x" * 5000, "no line of lspci"),
    ],
)
def test_bad_texts_are_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        lspci_machine.parse(text.encode())


def test_only_its_own_format_looks_like_it() -> None:
    assert lspci_machine.looks_like(b"\n" + NIC.encode())
    assert not lspci.looks_like(NIC.encode())
    for other in (b"", b"\xff" * 70000, b"Slot:\tseven\n", b"Device: 00:00.0\n"):
        assert not lspci_machine.looks_like(other)


@settings(max_examples=150, deadline=2000)
@given(st.data())
def test_damaged_texts_end_in_a_machine_or_a_sentence(data: st.DataObject) -> None:
    text = bytearray((NIC + "\n" + NIC.replace("17:00.1", "18:00.0")).encode())
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=12))
    try:
        assert lspci_machine.parse(bytes(text)).functions
    except BringupError as error:
        assert error.message
