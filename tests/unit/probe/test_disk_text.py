"""Disks as the maintenance ramdisk tells them: where each kind has its serial, model and place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.probe.disk_text import by_path, read_disks

SATA = "/sys/devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda"
NVME = "/sys/devices/pci0000:00/0000:00:1d.4/0000:05:00.0/nvme/nvme0/nvme0n1"
USB = "/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb"


def line(disk: str, key: str, data: bytes | str) -> str:
    data = data.encode() if isinstance(data, str) else data
    return f"{disk} {key} {data.hex()}\n"


def identify(model: str) -> bytes:
    words = bytearray(60 + 512)
    text = model.ljust(40).encode()
    words[60 + 54 : 60 + 94] = bytes(text[at ^ 1] for at in range(40))
    return bytes(words)


def test_a_sata_disk_has_serial_and_model_in_its_vital_product_data() -> None:
    text = (
        f"sda path {SATA}\n"
        + line("sda", "size", "8388608\n")
        + line("sda", "queue/logical_block_size", "512\n")
        + line("sda", "device/model", "SAMSUNG MZ7LH480\n")
        + line("sda", "device/vpd_pg80", b"\0\x80\0\x14      S45PNA0M512345")
        + line("sda", "device/vpd_pg89", identify("SAMSUNG MZ7LH480HAHQ-00005"))
        + line("sda", "device/wwid", "naa.5002538e00a1b2c3\n")
        + line("sda", "ata/port_no", "3\n")
        + line("sda", "removable", "0\n")
        + "sda part sda1 2048 4096\n"
    )
    (disk,) = read_disks(text)
    assert disk.name == "sda"
    assert disk.size_bytes == 4 << 30
    assert disk.sector_bytes == 512
    assert (disk.model, disk.serial) == ("SAMSUNG MZ7LH480HAHQ-00005", "S45PNA0M512345")
    assert disk.wwn == "naa.5002538e00a1b2c3"
    assert disk.path == "pci-0000:00:1f.2-ata-3"
    assert not disk.removable
    assert disk.uses == ()


def test_an_nvme_disk_with_large_sectors() -> None:
    text = (
        f"nvme0n1 path {NVME}\n"
        + line("nvme0n1", "size", "2097152\n")
        + line("nvme0n1", "queue/logical_block_size", "4096\n")
        + line("nvme0n1", "device/model", "QEMU NVMe Ctrl                          \n")
        + line("nvme0n1", "device/serial", "M2                  \n")
        + line("nvme0n1", "wwid", "nvme.1b36-4d32-51454d55-00000001\n")
    )
    (disk,) = read_disks(text)
    assert (disk.model, disk.serial, disk.wwn) == ("QEMU NVMe Ctrl", "M2", "")
    assert disk.sector_bytes == 4096
    assert disk.path == "pci-0000:05:00.0-nvme-1"
    assert disk.size_bytes == 1 << 30, "the kernel counts in 512 bytes whatever the sectors"


SHARED = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"


def test_an_nvme_disk_that_could_have_a_second_controller_is_plugged_in_where_its_controller_is() -> None:
    place = NVME.rpartition("/")[0]
    alone = f"nvme0n1 path {SHARED}\nnvme0n1 via {place}\n" + line("nvme0n1", "size", "2097152\n")
    assert read_disks(alone)[0].path == by_path(NVME) == "pci-0000:05:00.0-nvme-1"
    second = "/sys/devices/pci0000:00/0000:00:1d.0/0000:04:00.0/nvme/nvme1"
    # Which of them the kernel tells first does not matter.
    for both in (f"nvme0n1 via {second}\n" + alone, alone + f"nvme0n1 via {second}\n"):
        assert read_disks(both)[0].path == "pci-0000:04:00.0-nvme-1"
    assert read_disks(alone.replace(" via ", " was "))[0].path == SHARED


def test_a_stick_is_known_by_its_usb_device_and_removable() -> None:
    text = (
        f"sdb path {USB}\n"
        + line("sdb", "size", "1024\n")
        + line("sdb", "removable", "1\n")
        + line("sdb", "usb/serial", "4C530001\n")
        + line("sdb", "usb/manufacturer", "SanDisk\n")
        + line("sdb", "usb/product", "Cruzer\n")
    )
    (disk,) = read_disks(text)
    assert (disk.model, disk.serial) == ("SanDisk Cruzer", "4C530001")
    assert disk.removable
    assert disk.path == "pci-0000:00:14.0-usb-0:1:1.0-scsi-0:0:0:0"


def test_who_holds_a_disk_is_told() -> None:
    text = line("vda", "size", "8\n") + "vda holder md127\nvda holder dm-0\n" + line("vda", "ro", "1\n")
    (disk,) = read_disks(text)
    assert disk.uses == ("md127 holds it", "dm-0 holds it")
    assert disk.read_only


def test_the_number_that_no_later_disk_has_is_part_of_what_a_disk_is_called() -> None:
    size = line("sda", "size", "8\n")
    assert read_disks(size + line("sda", "diskseq", "12\n"))[0].handle == "sda@12"
    assert read_disks(size)[0].handle == "sda", "a kernel before 5.15"


def test_a_drive_without_a_medium_is_no_disk() -> None:
    assert read_disks(line("sdc", "size", "0\n")) == ()


@pytest.mark.parametrize("place", ["/sys/devices/platform/x/mmc_host/mmc0/mmc0:0001/block/mmcblk0", "", SATA])
def test_an_unknown_place_is_its_folder(place: str) -> None:
    assert by_path(place) == place


def test_characters_that_reprogram_a_terminal_are_not_kept() -> None:
    text = line("sda", "size", "8\n") + line("sda", "device/serial", b"A\x1b[2J\nB\xff")
    assert read_disks(text)[0].serial == "A [2J B"


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    assert all(disk.name and disk.size_bytes > 0 for disk in read_disks(text))


@given(
    st.lists(st.tuples(st.sampled_from(["size", "path", "device/vpd_pg89", "device/vpd_pg80"]), st.binary()))
)
def test_any_bytes_of_a_file_are_taken(facts: list[tuple[str, bytes]]) -> None:
    for disk in read_disks("".join(line("sda", key, data) for key, data in facts)):
        assert disk.name == "sda" and disk.size_bytes > 0
        assert (disk.serial + disk.wwn + disk.path).isprintable()
