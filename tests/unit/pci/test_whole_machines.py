"""Every machine read whole in every format; the tables say what is checked of each and of recorded files."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import pytest

from bringup.base.errors import BringupError
from bringup.pci.capture.open import read_bytes
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
from bringup.pci.topology.inferred import infer_bridges
from tests.doubles.pci_compare import agree
from tests.machines import catalogue, sel4, sysfs
from tests.machines.catalogue import E300_9D, FORMATS, MACHINES, TP8F, TP8F_8, TP8F_OTHER
from tests.machines.views import RECORDED, View, recorded, recordings, views

LOM = "lan-on-motherboard"
DELL = "sysfs-dell-dcs8000z.tar.bz2"
KINDS = {
    "bundle.tar.gz": "linux",
    "user-bundle.tar.gz": "linux",
    "sysfs.tar.bz2": "linux",
    "lspci.txt": "lspci",
    "lspci-xxxx.txt": "lspci",
    "lspci-vmm.txt": "lspci-machine",
    "pciconf.txt": "pciconf",
    "pciconf-12.txt": "pciconf",
    "dmesg.txt": "dmesg",
    "dmesg-ancient.txt": "dmesg",
    "dmesg-today.txt": "dmesg",
    "firmware.log": "firmware-probe",
    "sel4.log": "sel4-log",
    "sel4-raised.log": "sel4-log",
}


def test_the_machines_have_as_many_functions_as_are_documented() -> None:
    counts = {name: len(catalogue.made(name).functions) for name in (E300_9D, TP8F, TP8F_OTHER, TP8F_8)}
    assert counts == {E300_9D: 132, TP8F: 135, TP8F_OTHER: 135, TP8F_8: 140}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", MACHINES)
def test_a_made_machine_is_read_whole(name: str, form: str) -> None:
    machine = catalogue.read(name, form)
    assert machine.sources[0].kind == KINDS[form]
    made = catalogue.made(name).functions
    if form.startswith(("firmware", "sel4", "pciconf")):
        # No Linux has run that makes virtual functions.
        made = tuple(one for one in made if one.physical is None)
    if form.startswith(("firmware", "sel4")):
        made = tuple(one for one in made if not one.bdf.domain)
    if form == "sel4.log":
        made = made[: sel4.TABLE]
    assert [function.bdf for function in machine.functions] == [one.bdf for one in made]
    for function, one in zip(machine.functions, made, strict=True):
        assert (function.vendor, function.device) == (one.vendor, one.device)
        moved = one.moved is not None and form.startswith(("dmesg", "bundle"))
        assert bool(function.moves) == moved and not function.problems


# Of a recorded file: how many functions, and one function that only it has, with its BARs and capabilities.
WHOLE = {
    "lspci-bridge-ctl-vga16.txt": (2, "00:1c.2", "8086:9d12", 0, 4),
    "lspci-cap-MSI-mapping.txt": (1, "0a:01.0", "1166:0140", 0, 6),
    "lspci-cap-aer-hdr.txt": (1, "00:1c.0", "8086:9d10", 0, 8),
    "lspci-cap-ea-1.txt": (1, "0002:01:00.0", "177d:a01e", 2, 6),
    "lspci-cap-exp-rev-slot.txt": (1, "01:0a.0", "14e4:9039", 1, 2),
    "lspci-cap-pci-af.txt": (1, "00:1d.0", "8086:3a34", 1, 1),
    "lspci-cap-pcie-1.txt": (1, "00:01.0", "8086:3408", 0, 7),
    "lspci-cap-pcie-2.txt": (1, "01:00.0", "8086:10c9", 4, 8),
    "lspci-cap-rebar.txt": (1, "09:00.0", "1002:7300", 4, 12),
    "lspci-tree-asus-p6t6.txt": (53, "07:00.0", "10ec:8168", 3, 8),
    # Read without root: 64 bytes of each config space, so no capability was observed.
    DELL: (137, "02:00.0", "8086:1521", 3, None),
}
_HEADS = {
    "lspci": re.compile(rb"^(?:[0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] ", re.MULTILINE),
    "pciconf": re.compile(rb"@pci\d"),
}
LISTINGS = [
    *(view for name in MACHINES for view in views(name, "pciconf.txt", "lspci.txt")),
    *recordings("lspci-*.txt"),
]


@pytest.mark.parametrize("view", LISTINGS, ids=str)
def test_a_listing_has_a_function_for_each_head_in_it(view: View) -> None:
    machine = view.machine()
    assert len(machine.functions) == len(_HEADS[machine.sources[0].kind].findall(view.data()))
    assert [f.bdf for f in machine.functions] == sorted({f.bdf for f in machine.functions})
    for function in machine.functions:
        assert function.problems == () and function.observed("vendor") and function.observed("class_code")


def test_a_recorded_file_is_read_as_the_table_says() -> None:
    """Files come and go beside the checkout: those that the table knows are held against it."""
    for name, (functions, place, ids, bars, capabilities) in WHOLE.items():
        if not (RECORDED / name).is_file():
            continue
        machine = recorded(RECORDED / name).machine()
        assert len(machine.functions) == functions, name
        found = port(machine, place)
        assert f"{found.vendor:04x}:{found.device:04x}" == ids
        assert len(found.bars or ()) == bars, name
        count = len(found.capabilities or ()) if found.observed("capabilities") else None
        assert count == capabilities, name


@dataclass(frozen=True)
class Nic:
    """A port: addresses of its BARs in order, INTx pin, and the bridges above it.

    `inferred` is what is left of the path where a listing does not tell which bridge leads to which bus.
    """

    machine: str
    place: str
    family: str
    bases: tuple[int, ...]
    pin: str
    path: tuple[str, ...]
    inferred: tuple[str, ...] | None = None


_SWITCH = ("b2:00.0", "b3:00.0", "b4:03.0")
NICS = (
    Nic(E300_9D, "17:00.0", "I350 card", (0xC5A00000, 0x7060, 0xC5E0C000), "A", ("16:00.0",)),
    Nic(E300_9D, "17:00.1", "I350 card", (0xC5900000, 0x7040, 0xC5E08000), "B", ("16:00.0",)),
    Nic(E300_9D, "17:00.2", "I350 card", (0xC5800000, 0x7020, 0xC5E04000), "C", ("16:00.0",)),
    Nic(E300_9D, "17:00.3", "I350 card", (0xC5700000, 0x7000, 0xC5E00000), "D", ("16:00.0",)),
    Nic(E300_9D, "b5:00.0", "X722/64", (0xF9000000, 0xFB008000), "A", _SWITCH),
    Nic(E300_9D, "b5:00.1", "X722/64", (0xF8000000, 0xFB000000), "A", _SWITCH),
    Nic(TP8F, "66:00.0", "I350", (0xE0D60000, 0xB060, 0xE0D8C000), "A", ("64:03.0",)),
    Nic(TP8F, "66:00.3", "I350", (0xE0D00000, 0xB000, 0xE0D80000), "D", ("64:03.0",)),
    Nic(TP8F, "b5:00.0", "X722/32", (0xFA000000, 0xFB018000), "A", _SWITCH),
    Nic(TP8F, "b5:00.3", "X722/32", (0xF7000000, 0xFB000000), "A", _SWITCH),
    Nic(TP8F_OTHER, "66:00.1", "I350", (0xE0D40000, 0xB040, 0xE0D88000), "B", ("64:03.0",)),
    Nic(TP8F_OTHER, "b5:00.1", "X722/32", (0xF9000000, 0xFB010000), "A", _SWITCH),
    Nic(TP8F_8, "66:00.2", "I350", (0xE0D20000, 0xB020, 0xE0D84000), "C", ("64:03.0",)),
    # Three ports of one switch with like links lead to b5, b6 and b7: which to which is not told.
    Nic(TP8F_8, "b7:00.2", "X722/32", (0xF8000000, 0xFB008000), "A", _SWITCH, ()),
    Nic(LOM, "02:00.0", "I350", (0x91180000, 0x3060, 0x9104C000), "B", ("00:01.1",)),
    Nic(LOM, "02:00.3", "I350", (0x91120000, 0x3000, 0x91040000), "A", ("00:01.1",)),
)
DELL_NICS = (
    Nic(DELL, "02:00.0", "I350", (0x91120000, 0x3020, 0x91144000), "B", ("00:01.1",)),
    Nic(DELL, "02:00.3", "I350", (0x91100000, 0x3000, 0x91140000), "A", ("00:01.1",)),
)
_FORMS = ("bundle.tar.gz", "user-bundle.tar.gz", "lspci.txt", "lspci-xxxx.txt", "pciconf.txt", "firmware.log")
SEEN = [(nic, view) for nic in NICS for view in views(nic.machine, *_FORMS)]
SEEN += [(nic, view) for nic in DELL_NICS for view in recordings(DELL)]
K, M = 1 << 10, 1 << 20
SHAPES: dict[str, tuple[Bar, ...]] = {
    "I350": (Bar(0, "mem", 0, 128 * K), Bar(2, "io", 0, 32), Bar(3, "mem", 0, 16 * K)),
    "I350 card": (Bar(0, "mem", 0, M), Bar(2, "io", 0, 32), Bar(3, "mem", 0, 16 * K)),
    "X722": (Bar(0, "mem", 0, 16 * M, 64, True), Bar(3, "mem", 0, 32 * K, 64, True)),
}


@pytest.mark.parametrize(("nic", "view"), SEEN, ids=[f"{nic.place} in {view}" for nic, view in SEEN])
def test_a_port(nic: Nic, view: View) -> None:
    machine = view.machine()
    function = port(machine, nic.place)
    family = nic.family.partition("/")[0]
    bars = function.bars or ()
    assert tuple(bar.base for bar in bars) == nic.bases
    assert tuple(Bar(b.index, b.kind, 0, b.size, b.width, b.prefetchable) for b in bars) == SHAPES[family]
    listed = machine.sources[0].kind == "pciconf"
    assert function.observed("intx_pin") is not listed
    assert listed or function.intx_pin == nic.pin
    path = nic.inferred if listed and nic.inferred is not None else nic.path
    assert tuple(b.short for b in path_of(machine, function)) == path
    assert function.is_ethernet
    if function.observed("capabilities"):
        check_capabilities(function, nic.family)


def path_of(machine: Machine, function: Function) -> tuple[Bdf, ...]:
    return Topology.of(infer_bridges(machine.functions)).path(function.bdf)


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
    assert agree(function.capability(PowerManagement), PowerManagement("D0"))
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
    assert serial is not None and serial.value[9:14] == "ff-ff"
    assert agree(function.capability(Acs), Acs(0, 0))


@pytest.mark.parametrize(
    "view", views(E300_9D, "bundle.tar.gz", "lspci.txt", "pciconf.txt", "firmware.log"), ids=str
)
def test_the_e300_9d_s_x722_ports_are_beyond_a_table_of_128(view: View) -> None:
    order = [function.bdf.short for function in view.machine().functions]
    assert (order.index("b5:00.0"), order.index("b5:00.1")) == (130, 131)
    assert order.index("17:00.3") < 128


def test_sel4_s_own_scan_of_the_e300_9d_ends_before_the_x722() -> None:
    found = catalogue.read(E300_9D, "sel4.log").functions
    assert len(found) == 128 and not any(function.device == 0x37D2 for function in found)


USERS = [(view, LOM) for view in views(LOM, "user-bundle.tar.gz")] + [
    (view, DELL) for view in recordings(DELL)
]


@pytest.mark.parametrize(("view", "which"), USERS, ids=[str(view) for view, _ in USERS])
def test_a_server_s_ports_have_what_the_kernel_told_a_user(view: View, which: str) -> None:
    machine = view.machine()
    first = port(machine, "02:00.0")
    assert first.driver == "igb" and first.msi_active is True and first.config_bytes == 64
    assert first.label == "LOM 1G I350-BT2 (LAN1)"
    assert first.net is not None and (first.net[0].name, first.net[0].link) == ("eth0", True)
    assert any("64 bytes" in missing.why for missing in machine.missing)
    assert machine.identity is not None
    assert machine.identity.product == {LOM: "Server with I350", DELL: "DCS8000Z"}[which]
    assert machine.platform.vtx is True and machine.platform.firmware == "bios"


def test_what_privilege_hides_is_told_and_never_empty() -> None:
    machine = catalogue.read(E300_9D, "user-bundle.tar.gz")
    missing = {gap.what: gap.why for gap in machine.missing}
    assert missing["cmd/dmesg"] == "operation not permitted"
    assert missing["proc/ioports"].startswith("zeroed")
    assert {f"sys/firmware/acpi/tables/{name}" for name in ("APIC", "DMAR", "MCFG")} <= missing.keys()
    assert machine.ioports is None and machine.acpi.madt is None
    assert not any(function.observed("capabilities") for function in machine.functions)


def test_broken_functions_are_told_one_by_one_and_leave_the_others_whole() -> None:
    told = sysfs.tree(catalogue.made(E300_9D))
    files = dict(told.files)
    off, looping, short = (f"{sysfs.DEVICES}/0000:17:00.{n}/config" for n in range(3))
    files[off] = b"\xff" * 4096
    loop = bytearray(files[looping])
    loop[0xA1] = 0x40  # the last capability leads back to the first
    files[looping] = bytes(loop)
    files[short] = files[short][:40]
    machine = read_bytes(sysfs.archive(sysfs.Tree(files, told.links)), "damaged")
    problems = {f.bdf.short: f.problems for f in machine.functions if f.problems}
    assert list(problems) == ["17:00.0", "17:00.1", "17:00.2"]
    assert "reads as ones" in problems["17:00.0"][0]
    assert "leads to 0x40" in problems["17:00.1"][0]
    assert "40 bytes" in problems["17:00.2"][0]
    # What the kernel told of them beside the registers is still there.
    assert all(port(machine, f"17:00.{n}").driver == "igb" for n in range(3))
    assert len(machine.functions) == 132


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "lspci-xxxx.txt"])
def test_a_file_that_was_cut_off_is_a_machine_or_a_sentence(form: str) -> None:
    data = catalogue.told("desktop", form)
    whole = {function.bdf for function in catalogue.read("desktop", form).functions}
    chance = random.Random(form)
    for _ in range(25):
        try:
            machine = read_bytes(data[: chance.randrange(len(data))], form)
        except BringupError as error:
            assert error.message
        else:
            assert {function.bdf for function in machine.functions} <= whole
