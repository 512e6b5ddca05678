"""Every recorded machine, read whole; the tables say what was checked of each."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bringup.pci.capture.open import open_capture
from bringup.pci.model import (
    Acs,
    Bar,
    Bdf,
    Function,
    Machine,
    Msi,
    MsiX,
    Pcie,
    PowerManagement,
    SerialNumber,
    Sriov,
)
from bringup.pci.topology.above import Topology
from tests import places

PCI = places.SHARED / "data" / "pci"
pytestmark = pytest.mark.skipif(not PCI.is_dir(), reason="recorded data is not here: ../shared/data/pci")

E300 = "pciconf-SYS-E300-9D-FEFC14ABAD.txt"
TP8F = "pciconf-SYS-E300-9D-4CN8TP-05566134F9.txt"
TP8F_2 = "pciconf-SYS-E300-9D-4CN8TP-D0BF3EB35D.txt"
TP8F_8 = "pciconf-SYS-E300-9D-8CN8TP-18576EF86C.txt"
DELL = "sysfs-dell-dcs8000z.tar.bz2"


@dataclass(frozen=True)
class Whole:
    """A file: its kind, how many functions are in it, and one function that only it has."""

    name: str
    kind: str
    functions: int
    place: str
    ids: str
    bars: int
    capabilities: int | None


FILES = (
    Whole("lspci-bridge-ctl-vga16.txt", "lspci", 2, "00:1c.2", "8086:9d12", 0, 4),
    Whole("lspci-cap-MSI-mapping.txt", "lspci", 1, "0a:01.0", "1166:0140", 0, 6),
    Whole("lspci-cap-aer-hdr.txt", "lspci", 1, "00:1c.0", "8086:9d10", 0, 8),
    Whole("lspci-cap-ea-1.txt", "lspci", 1, "0002:01:00.0", "177d:a01e", 2, 6),
    Whole("lspci-cap-exp-rev-slot.txt", "lspci", 1, "01:0a.0", "14e4:9039", 1, 2),
    Whole("lspci-cap-pci-af.txt", "lspci", 1, "00:1d.0", "8086:3a34", 1, 1),
    Whole("lspci-cap-pcie-1.txt", "lspci", 1, "00:01.0", "8086:3408", 0, 7),
    Whole("lspci-cap-pcie-2.txt", "lspci", 1, "01:00.0", "8086:10c9", 4, 8),
    Whole("lspci-cap-rebar.txt", "lspci", 1, "09:00.0", "1002:7300", 4, 12),
    Whole("lspci-tree-asus-p6t6.txt", "lspci", 53, "07:00.0", "10ec:8168", 3, 8),
    Whole(E300, "pciconf", 132, "b5:00.0", "8086:37d2", 2, 11),
    Whole(TP8F, "pciconf", 135, "b5:00.3", "8086:37d0", 2, 11),
    Whole(TP8F_2, "pciconf", 135, "66:00.0", "8086:1521", 3, 11),
    Whole(TP8F_8, "pciconf", 140, "b7:00.0", "8086:37d2", 2, 11),
    # Read without root: 64 bytes of each config space, so no capability was observed.
    Whole(DELL, "linux", 137, "02:00.0", "8086:1521", 3, None),
)


def test_the_table_names_every_recorded_file() -> None:
    assert {path.name for path in PCI.iterdir()} == {whole.name for whole in FILES}


@pytest.mark.parametrize("whole", FILES, ids=lambda whole: whole.name)
def test_a_recorded_file_is_read_whole(whole: Whole) -> None:
    machine = open_capture([PCI / whole.name])
    assert machine.sources[0].kind == whole.kind
    assert len(machine.functions) == whole.functions
    assert [f.bdf for f in machine.functions] == sorted({f.bdf for f in machine.functions})
    for function in machine.functions:
        assert function.problems == () and function.observed("vendor") and function.observed("class_code")
    found = machine.find(Bdf.parse(whole.place))
    assert found is not None
    assert f"{found.vendor:04x}:{found.device:04x}" == whole.ids
    assert len(found.bars or ()) == whole.bars
    count = len(found.capabilities or ()) if found.observed("capabilities") else None
    assert count == whole.capabilities


@dataclass(frozen=True)
class Nic:
    """A port as its listing shows it: addresses of its BARs in order, INTx pin ("?": not told), path."""

    file: str
    place: str
    family: str
    bases: tuple[int, ...]
    pin: str
    path: tuple[str, ...]


_SWITCH = ("b2:00.0", "b3:00.0", "b4:03.0")
NICS = (
    Nic(E300, "17:00.0", "I350 card", (0xC5A00000, 0x7060, 0xC5E0C000), "?", ("16:00.0",)),
    Nic(E300, "17:00.1", "I350 card", (0xC5900000, 0x7040, 0xC5E08000), "?", ("16:00.0",)),
    Nic(E300, "17:00.2", "I350 card", (0xC5800000, 0x7020, 0xC5E04000), "?", ("16:00.0",)),
    Nic(E300, "17:00.3", "I350 card", (0xC5700000, 0x7000, 0xC5E00000), "?", ("16:00.0",)),
    Nic(E300, "b5:00.0", "X722/64", (0xF9000000, 0xFB008000), "?", _SWITCH),
    Nic(E300, "b5:00.1", "X722/64", (0xF8000000, 0xFB000000), "?", _SWITCH),
    Nic(TP8F, "66:00.0", "I350", (0xE0D60000, 0xB060, 0xE0D8C000), "?", ("64:03.0",)),
    Nic(TP8F, "66:00.3", "I350", (0xE0D00000, 0xB000, 0xE0D80000), "?", ("64:03.0",)),
    Nic(TP8F, "b5:00.0", "X722/32", (0xFA000000, 0xFB018000), "?", _SWITCH),
    Nic(TP8F, "b5:00.3", "X722/32", (0xF7000000, 0xFB000000), "?", _SWITCH),
    Nic(TP8F_2, "66:00.1", "I350", (0xE0D40000, 0xB040, 0xE0D88000), "?", ("64:03.0",)),
    Nic(TP8F_2, "b5:00.1", "X722/32", (0xF9000000, 0xFB010000), "?", _SWITCH),
    Nic(TP8F_8, "66:00.2", "I350", (0xE0D20000, 0xB020, 0xE0D84000), "?", ("64:03.0",)),
    # Three ports of one switch with like links lead to b5, b6 and b7: which to which is not told.
    Nic(TP8F_8, "b7:00.2", "X722/32", (0xF8000000, 0xFB008000), "?", ()),
    Nic(DELL, "02:00.0", "I350", (0x91120000, 0x3020, 0x91144000), "B", ("00:01.1",)),
    Nic(DELL, "02:00.3", "I350", (0x91100000, 0x3000, 0x91140000), "A", ("00:01.1",)),
)
K, M = 1 << 10, 1 << 20
SHAPES: dict[str, tuple[Bar, ...]] = {
    "I350": (Bar(0, "mem", 0, 128 * K), Bar(2, "io", 0, 32), Bar(3, "mem", 0, 16 * K)),
    "I350 card": (Bar(0, "mem", 0, M), Bar(2, "io", 0, 32), Bar(3, "mem", 0, 16 * K)),
    "X722": (Bar(0, "mem", 0, 16 * M, 64, True), Bar(3, "mem", 0, 32 * K, 64, True)),
}


@pytest.mark.parametrize("nic", NICS, ids=lambda nic: f"{nic.file[:20]}-{nic.place}")
def test_a_recorded_port(nic: Nic) -> None:
    machine = open_capture([PCI / nic.file])
    function = port(machine, nic.place)
    family = nic.family.partition("/")[0]
    bars = function.bars or ()
    assert tuple(bar.base for bar in bars) == nic.bases
    assert tuple(Bar(b.index, b.kind, 0, b.size, b.width, b.prefetchable) for b in bars) == SHAPES[family]
    assert (function.intx_pin if function.observed("intx_pin") else "?") == nic.pin
    assert tuple(b.short for b in Topology.of(machine.functions).path(function.bdf)) == nic.path
    assert function.is_ethernet and function.vendor_name == "Intel Corporation"
    if function.observed("capabilities"):
        check_capabilities(function, nic.family)


def port(machine: Machine, place: str) -> Function:
    function = machine.find(Bdf.parse(place))
    assert function is not None
    return function


def check_capabilities(function: Function, family: str) -> None:
    """I350: datasheet 333069 chapter 9; X722: what lspci shows of both, all four boxes the same."""
    x722 = family.startswith("X722")
    at = {(c.id, c.extended): c.offset for c in function.capabilities or ()}
    assert (at[1, False], at[5, False], at[0x11, False], at[0x10, False]) == (0x40, 0x50, 0x70, 0xA0)
    assert (at[0x10, True], at[0x0D, True]) == (0x160, 0x1B0 if x722 else 0x1D0)
    assert function.capability(PowerManagement) == PowerManagement("D0")
    assert function.capability(Msi) == Msi(1, False, True, True)
    vectors, pba = (129, 0x1000) if x722 else (10, 0x2000)
    assert function.capability(MsiX) == MsiX(vectors, True, 3, 0, 3, pba)
    link = (2.5, 1, 2.5, 1) if x722 else (5.0, 4, 5.0, 4)
    assert function.capability(Pcie) == Pcie("endpoint", True, *link)
    assert function.flr is True
    sriov = function.capability(Sriov)
    assert sriov is not None and (sriov.enabled, sriov.num_vfs) == (False, 0)
    assert (sriov.total_vfs, sriov.vf_device) == (
        (int(family.rpartition("/")[2]), 0x37CD) if x722 else (8, 0x1520)
    )
    serial = function.capability(SerialNumber)
    assert serial is not None and serial.value[9:14] in ("ff-ff", "ff-ff")
    assert function.capability(Acs) == Acs(None, None)


def test_the_e300_9d_s_x722_ports_are_beyond_a_table_of_128() -> None:
    machine = open_capture([PCI / E300])
    order = [function.bdf.short for function in machine.functions]
    assert order.index("b5:00.0") >= 128 and order.index("17:00.3") < 128


def test_the_dell_s_ports_have_what_the_kernel_told() -> None:
    machine = open_capture([PCI / DELL])
    first = port(machine, "02:00.0")
    assert first.driver == "igb" and first.msi_active is True and first.config_bytes == 64
    assert first.label == "LOM 1G I350-BT2 (LAN1)"
    assert first.net is not None and (first.net[0].name, first.net[0].link) == ("eth0", True)
    assert not first.observed("iommu_group")
    assert any("64 bytes" in missing.why for missing in machine.missing)
    assert machine.identity is not None and machine.identity.product == "DCS8000Z"
    assert machine.platform.vtx is True and machine.platform.firmware == "bios"
