"""sysfs trees of all ages: `resource` layouts, short config spaces, links as text, what was not looked at."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.pci.model import Bar, Bdf, Function, Missing, NetInterface, Rom, Sriov
from bringup.pci.sources.sysfs.functions import read_functions
from bringup.pci.sources.sysfs.resource import Resources, read_resource
from bringup.pci.tree.files import MemoryFiles
from tests.machines import caps, sysfs
from tests.machines.bars import MadeBar
from tests.machines.model import Made

NIC = Made(
    Bdf(0, 0x17, 0, 0),
    0x8086,
    0x1521,
    0x0200,
    pin=1,
    bars=(MadeBar(0, False, 0xC5B00000, 1 << 20), MadeBar(2, True, 0x7060, 32)),
)
FOLDER = "sys/bus/pci/devices/0000:17:00.0"


def lines(*rows: str, count: int = 13) -> bytes:
    nothing = "0x0000000000000000 0x0000000000000000 0x0000000000000000"
    return "".join(f"{row}\n" for row in (*rows, *[nothing] * (count - len(rows)))).encode()


def resources(data: bytes) -> Resources:
    found = read_resource(data)
    assert found is not None
    return found


def one(
    files: dict[str, bytes], links: dict[str, str] | None = None, *, whole: bool = False
) -> tuple[Function, tuple[Missing, ...]]:
    functions, missing = read_functions(MemoryFiles(files, links), "x", whole=whole)
    assert len(functions) == 1
    return functions[0], missing


def shown(machine: Iterable[Made], config_bytes: int = 4096) -> tuple[dict[str, bytes], dict[str, str]]:
    told = sysfs.functions(machine, config_bytes)
    return dict(told.files), dict(told.links)


@pytest.mark.parametrize("count", [7, 11, 13, 17, 18])
def test_only_the_place_of_a_line_counts(count: int) -> None:
    data = lines("0x00000000c5b00000 0x00000000c5bfffff 0x0000000000040200", count=count)
    assert resources(data).bars == (Bar(0, "mem", 0xC5B00000, 1 << 20),)
    assert (resources(data).vf_bars is None) == (count < 13)


@pytest.mark.parametrize("flags", ["12120c", "14220c", "10000c"], ids=["Linux 3", "today", "bare"])
def test_width_and_prefetch_come_from_the_bits_that_never_moved(flags: str) -> None:
    data = lines(f"0x000038c000000000 0x000038c000ffffff 0x{int(flags, 16) | 0x200:016x}")
    assert resources(data).bars == (Bar(0, "mem", 0x38C000000000, 1 << 24, 64, True),)


def test_an_unset_bar_has_a_size_and_no_address() -> None:
    data = lines("0x0000000000000000 0x00000000000fffff 0x0000000020040200")
    assert resources(data).bars == (Bar(0, "mem", None, 1 << 20),)


def test_the_video_rom_in_ram_is_no_bar() -> None:
    row = "0x00000000000c0000 0x00000000000dffff 0x0000000000000212"
    rom = resources(lines(*["0x0 0x0 0x0"] * 6, row)).rom
    assert rom == Rom(0xC0000, 0x20000, enabled=False, shadow=True)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"one two\n", b"0x1 0x2\n"])
def test_what_is_no_resource_file_tells_nothing(data: bytes) -> None:
    assert read_resource(data) is None


def test_a_broken_line_is_told_and_the_others_count() -> None:
    found = resources(b"rubbish\n0x00000000c5b00000 0x00000000c5bfffff 0x40200\n")
    assert found.bars == (Bar(1, "mem", 0xC5B00000, 1 << 20),)
    assert found.unread == ('resource line 0 is not understood: "rubbish"',)


@given(st.binary(max_size=400))
def test_random_resource_files_raise_nothing(data: bytes) -> None:
    found = read_resource(data)
    assert found is None or len(found.bars) <= 6


def test_vf_bars_are_those_of_one_virtual_function() -> None:
    physical = Made(
        NIC.bdf,
        0x8086,
        0x37D2,
        0x0200,
        capabilities=(
            caps.Express(caps.ENDPOINT, flr=True, link=(1, 1)),
            caps.OtherExtended(1, 0x100),
            caps.VirtualFunctions(64, 16, 1, 0x37CD),
        ),
    )
    files, links = shown([physical])
    rows = ["0x0 0x0 0x0"] * 7 + ["0x000038c100000000 0x000038c1003fffff 0x000000000014220c"]
    files[f"{FOLDER}/resource"] = lines(*rows)
    function, _ = one(files, links)
    sriov = function.capability(Sriov)
    assert sriov is not None and sriov.bars == (Bar(0, "mem", 0x38C100000000, 0x10000, 64, True),)
    assert function.bars == ()


def test_64_bytes_are_told_as_what_privilege_hid() -> None:
    function, missing = one(*shown([NIC], config_bytes=64))
    assert function.config_bytes == 64 and not function.observed("capabilities")
    assert function.bars and function.intx_pin == "A"
    assert [m.what for m in missing] == ["capabilities of 1 function in x"]


def test_a_sleeping_device_has_identity_and_addresses_but_no_pin() -> None:
    files, links = shown([NIC])
    files[f"{FOLDER}/config"] = b"\xff" * 256
    files[f"{FOLDER}/power_state"] = b"D3cold\n"
    function, _ = one(files, links)
    assert (function.vendor, function.device, function.class_code) == (0x8086, 0x1521, 0x0200)
    assert function.provenance["vendor"] == "x:sysfs"
    assert function.bars and function.power_state == "D3cold"
    assert not function.observed("intx_pin") and function.problems


def test_a_virtual_function_has_the_ids_that_its_registers_lack() -> None:
    files, links = shown([NIC])
    raw = bytearray(files[f"{FOLDER}/config"])
    struct.pack_into("<HH", raw, 0, 0xFFFF, 0xFFFF)
    files[f"{FOLDER}/config"] = bytes(raw)
    files[f"{FOLDER}/vendor"], files[f"{FOLDER}/device"] = b"0x8086\n", b"0x1520\n"
    links[f"{FOLDER}/physfn"] = "../0000:17:00.0"
    function, _ = one(files, links)
    assert (function.vendor, function.device) == (0x8086, 0x1520)
    assert function.physical_function == Bdf(0, 0x17, 0, 0)


def test_a_pseudo_folder_without_files_is_no_function() -> None:
    files, links = shown([NIC])
    files["sys/bus/pci/devices/0000:85:00.0/uevent"] = b""
    function, missing = one(files, links)
    assert function.bdf == NIC.bdf
    assert missing[0].what.endswith("0000:85:00.0")


def test_register_and_kernel_that_differ_are_told() -> None:
    files, links = shown([NIC])
    row = "0x000038c000000000 0x000038c0000fffff 0x0000000000040200"
    files[f"{FOLDER}/resource"] = lines(row)
    function, _ = one(files, links)
    assert (function.bars or ())[0].base == 0x38C000000000
    # BAR 2 is in the registers alone: the kernel gave it no place.
    assert (function.bars or ())[1] == Bar(2, "io", None)
    assert function.moves == (
        "BAR 0 holds 0xc5b00000, the kernel says 0x38c000000000",
        "BAR 2 holds 0x7060, which the kernel ignores",
    )


@pytest.mark.parametrize("as_link", [True, False], ids=["symbolic link", "text file"])
def test_links_may_be_carried_as_text(as_link: bool) -> None:
    files, _ = shown([NIC])
    targets = {f"{FOLDER}/driver": "../../drivers/igb", f"{FOLDER}/iommu_group": "../../iommu_groups/31"}
    if not as_link:
        files |= {path: f"{target}\n".encode() for path, target in targets.items()}
    function, _ = one(files, targets if as_link else {})
    assert (function.driver, function.iommu_group) == ("igb", 31)


def test_what_one_function_has_all_were_asked_for() -> None:
    other = Made(Bdf(0, 0x18, 0, 0), 1, 2, 0x0200)
    files, links = shown([NIC, other])
    bare, _ = read_functions(MemoryFiles(files, links), "x")
    assert not any(f.observed("driver") or f.observed("iommu_group") for f in bare)
    links[f"{FOLDER}/driver"] = "../../drivers/igb"
    told, _ = read_functions(MemoryFiles(files, links), "x")
    assert [f.driver for f in told] == ["igb", None] and all(f.observed("driver") for f in told)
    whole, _ = read_functions(MemoryFiles(files, {}), "x", whole=True)
    assert all(f.observed("driver") and f.observed("iommu_group") and f.net == () for f in whole)


def test_msi_is_told_by_its_folder_its_list_or_its_enable_bits() -> None:
    files, links = shown([NIC])
    assert one({**files, f"{FOLDER}/msi_irqs/65": b"msix\n"}, links)[0].msi_active is True
    assert one({**files, f"{FOLDER}/msi_irqs": b"65\n66\n"}, links)[0].msi_active is True
    assert one({**files, f"{FOLDER}/msi_irqs": b""}, links)[0].msi_active is False
    active = Made(NIC.bdf, 1, 2, 0x0200, capabilities=(caps.Msi(enabled=True, maskable=False),))
    assert one(*shown([active]))[0].msi_active is True
    short, _ = one(*shown([NIC], config_bytes=64))
    assert not short.observed("msi_active")


def test_ports_slots_and_labels() -> None:
    files, links = shown([NIC])
    net = f"{FOLDER}/net/eth0"
    files |= {
        f"{net}/address": b"ac:1f:6b:70:53:78\n",
        f"{net}/carrier": b"1\n",
        f"{net}/speed": b"1000\n",
        f"{FOLDER}/net/eth1/operstate": b"down\n",
        f"{FOLDER}/net/eth1/speed": b"-1\n",
        "sys/bus/pci/slots/7/address": b"0000:17:00\n",
        f"{FOLDER}/label": b"Intel LAN X722 #1\n",
    }
    function, _ = one(files, links)
    assert function.net == (
        NetInterface("eth0", "ac:1f:6b:70:53:78", True, 1000),
        NetInterface("eth1", None, None, None),
    )
    assert (function.slot, function.label) == ("7", "Intel LAN X722 #1")


def test_domains_of_four_to_eight_digits() -> None:
    wide = Made(Bdf(0x10000, 0xE1, 0, 0), 0x8086, 0x2030, 0x0604)
    functions, _ = read_functions(MemoryFiles(*shown([NIC, wide])), "x")
    assert [str(f.bdf) for f in functions] == ["0000:17:00.0", "10000:e1:00.0"]


@given(st.dictionaries(st.sampled_from(["config", "resource", "irq", "class", "msi_irqs"]), st.binary()))
def test_random_files_raise_nothing(content: dict[str, bytes]) -> None:
    files, links = shown([NIC])
    files |= {f"{FOLDER}/{name}": data for name, data in content.items()}
    functions, _ = read_functions(MemoryFiles(files, links), "x")
    assert len(functions) == 1
