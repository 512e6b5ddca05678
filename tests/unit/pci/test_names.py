"""Names from a pci.ids text: found, absent, never the neighbour's."""

from __future__ import annotations

from bringup.pci.model import Bdf, Function, Machine
from bringup.pci.names import PciIds, with_names

IDS = PciIds(
    b"# a comment\n"
    b"1002  First Vendor\n"
    b"\t1521  Not the Intel one\n"
    b"8086  Intel Corporation\n"
    b"# inside\n"
    b"\t1521  I350 Gigabit Network Connection\n"
    b"\t\t1734 11d1  Subsystem\n"
    b"8087  Other\n"
    b"\t37d2  Not the Intel one either\n"
    b"C 02  Network controller\n"
    b"\t00  Ethernet controller\n"
    b"C 03  Display controller\n"
    b"\t80  Display controller of no kind\n"
)


def test_names_are_found_in_their_own_section() -> None:
    assert IDS.vendor(0x8086) == "Intel Corporation"
    assert IDS.device(0x8086, 0x1521) == "I350 Gigabit Network Connection"
    assert IDS.class_name(0x0200) == "Ethernet controller"


def test_an_id_of_the_next_vendor_is_not_taken() -> None:
    assert IDS.device(0x8086, 0x37D2) is None
    assert IDS.vendor(0x1234) is None


def test_a_subclass_without_a_name_has_its_base_class_s() -> None:
    assert IDS.class_name(0x0280) == "Network controller"
    assert IDS.class_name(0x7700) is None


def test_names_fill_only_what_no_source_told() -> None:
    told = Function(
        Bdf(0, 0, 0, 0),
        vendor=0x8086,
        device=0x1521,
        device_name="as lspci says",
        provenance={"vendor": "x", "device": "x", "device_name": "x"},
    )
    (function,) = with_names(Machine((told,)), IDS).functions
    assert function.device_name == "as lspci says"
    assert function.vendor_name == "Intel Corporation"
    assert function.provenance["vendor_name"] == "pci.ids"


def test_what_lspci_writes_for_no_name_is_no_name() -> None:
    def name(text: str, device: int) -> str | None:
        read = {"vendor": 0x8086, "device": device, "device_name": text}
        told = Function(Bdf(0, 0, 0, 0), **read, provenance=dict.fromkeys(read, "x"))  # type: ignore[arg-type]
        return with_names(Machine((told,)), IDS).functions[0].device_name

    assert name("Intel Corporation Device 1521", 0x1521) == "I350 Gigabit Network Connection"
    assert name("Device 1521", 0x1521) == "I350 Gigabit Network Connection"
    assert name("Intel Corporation Device 9999", 0x9999) == "Device 9999"


def test_a_class_is_known_by_its_name() -> None:
    def class_code(text: str) -> int | None:
        told = Function(Bdf(0, 0, 0, 0), class_name=text, provenance={"class_name": "x"})
        (function,) = with_names(Machine((told,)), IDS).functions
        assert function.observed("class_code") == (function.class_code is not None)
        return function.class_code

    assert class_code("Ethernet controller") == 0x0200
    # A base class's name is what lspci writes for any of its nameless subclasses.
    assert class_code("Network controller") is None
    assert class_code("I350 Gigabit Network Connection") is None
    assert class_code("") is None


def test_no_names_no_change() -> None:
    machine = Machine((Function(Bdf(0, 0, 0, 0), vendor=0x8086, provenance={"vendor": "x"}),))
    assert with_names(machine, None) is machine
