"""The twin's disks: what a person may name, what QEMU is told, and that bytes are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import UsageError
from bringup.twin.disks import TwinDisk, disk_arguments, first_disks, kept_disks, parse_disk

pytestmark = pytest.mark.usefixtures("home")


def test_a_disk_is_its_kind_and_what_is_said_of_it() -> None:
    assert parse_disk("nvme") == TwinDisk("nvme")
    disk = parse_disk("ahci,size=8G,serial=S1,model=A B,wwn=0x5000c500a1b2c3d4")
    assert disk == TwinDisk("ahci", 8192, "S1", "A B", "0x5000c500a1b2c3d4")
    assert parse_disk("usb,size=300M").size_mib == 300


@pytest.mark.parametrize(
    "text",
    [
        "",
        "floppy",
        "nvme,size=8",
        "nvme,size=0G",
        "nvme,serial=",
        "nvme,serial=a,,id=b",
        "ahci,serial=twenty-one-characters",
        "ahci,wwn=5000",
        "nvme,wwn=0x5000",
        "usb,model=Stick",
        "nvme,colour=red",
        "ahci,serial=a b",
    ],
)
def test_what_no_disk_can_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_disk(text)


def test_bytes_and_names_are_kept_from_one_start_to_the_next() -> None:
    (first,) = kept_disks("e300", [parse_disk("ahci,size=16M")])
    assert first.file is not None
    Path(first.file).write_bytes(b"system" + bytes((16 << 20) - 6))
    assert kept_disks("e300", None) == (first,)
    (again,) = kept_disks("e300", [parse_disk("ahci,size=8M")])
    assert again.size_mib == 16, "a disk is never cut short"
    assert Path(first.file).read_bytes()[:6] == b"system"
    assert kept_disks("e300", []) == ()
    assert kept_disks("e300", None) == ()


def test_twins_and_disks_have_files_and_serials_of_their_own() -> None:
    disks = [
        *kept_disks("a", [TwinDisk("ahci", 1), TwinDisk("usb", 1)]),
        *kept_disks("b", [TwinDisk("ahci", 1)]),
    ]
    assert len({disk.file for disk in disks}) == 3
    assert [disk.serial for disk in disks] == ["TWIN0", "TWIN1", "TWIN0"]


def test_a_twin_is_given_a_first_disk_once() -> None:
    asked = first_disks("e300")
    assert asked == (TwinDisk("ahci"),)
    kept_disks("e300", asked)
    assert first_disks("e300") is None


def test_without_disks_there_is_one_that_keeps_nothing() -> None:
    assert "driver=null-co" in disk_arguments(())[1]


def test_every_kind_is_a_device_of_its_own_in_the_order_of_boot() -> None:
    kinds = ("ahci", "nvme", "nvme4k", "usb")
    words = disk_arguments([TwinDisk(kind, serial=kind, file=f"/d/{kind},1") for kind in kinds])  # type: ignore[arg-type]
    devices = [words[i + 1] for i, word in enumerate(words) if word == "-device"]
    indices = [
        device.rpartition("bootindex=")[2].partition(",")[0] for device in devices if "bootindex" in device
    ]
    assert indices == ["2", "3", "4", "5"]
    assert sum("logical_block_size=4096" in device for device in devices) == 1
    assert sum(device.startswith("qemu-xhci") for device in devices) == 1
    assert "driver=raw,node-name=disk0,file.driver=file,file.filename=/d/ahci,,1" in words
    addresses = [device.partition("addr=")[2] for device in devices if "addr=" in device]
    assert len(addresses) == len(set(addresses))


def test_a_faulty_disk_is_read_through_its_rules() -> None:
    words = disk_arguments([TwinDisk("ahci", serial="S", file="/d", fault_file="/rules")])
    block = words[words.index("-blockdev") + 1]
    assert "file.driver=blkdebug,file.config=/rules" in block
    assert "file.image.filename=/d" in block
