"""Sticks and discs, held against the tools that check such things."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bringup.base.errors import LabError
from bringup.disk.fat.volume import FatVolume
from bringup.disk.grub import Console
from bringup.disk.layout import MEDIA, MIB, read_layout
from bringup.disk.media import Entry, make_disc, make_stick, menu_script, table_for
from bringup.image.folder import find_image
from bringup.jobs.media_build import write_stick
from tests.unit.disk.disks import multiboot_kernel, tool
from tests.unit.disk.test_grub import check

# A name that a person may give a folder, and GRUB's language has other meanings for.
ODD_TITLE = 'x"; reboot; {$(a)} "'


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    folder = tmp_path / "two words = one"
    folder.mkdir()
    kernel, module = folder / "kernel", folder / "module"
    kernel.write_bytes(multiboot_kernel())
    module.write_bytes(b"module" * 50_000)
    image = find_image([kernel, module]).with_serial(0x2F8)
    return [Entry(ODD_TITLE, "image", image), Entry("again", "probe", image)]


@pytest.fixture
def stick(tmp_path: Path, entries: list[Entry]) -> Path:
    path = tmp_path / "stick.img"
    made = make_stick(entries, Console())
    with path.open("wb") as file:
        write_stick(made, file)
    return path


def output(*words: str | Path) -> str:
    done = subprocess.run([tool(str(words[0])), *words[1:]], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_grub_understands_the_menu_whatever_an_image_is_called(entries: list[Entry]) -> None:
    script = menu_script(entries, Console())
    check(script)
    assert 'menuentry "1. x-- reboot- --(a)- -" --hotkey=1 {' in script.splitlines()


def test_checkers_find_nothing_wrong_with_a_stick(tmp_path: Path, stick: Path) -> None:
    said = output("sgdisk", "-v", stick)
    assert "No problems found" in said
    layout = read_layout(stick.read_bytes()[: 64 << 10], stick.stat().st_size, 512)
    assert layout is not None
    assert layout.is_media
    part = layout.part(MEDIA)
    volume = tmp_path / "volume"
    volume.write_bytes(stick.read_bytes()[part.start : part.end])
    output("fsck.vfat", "-n", volume)
    assert (
        subprocess.run(
            ["mcopy", "-i", volume, "::image/module1.img", "-"], capture_output=True, check=True
        ).stdout
        == b"module" * 50_000
    )


def test_a_stick_starts_under_uefi_by_its_removable_path(stick: Path) -> None:
    data = stick.read_bytes()
    read = lambda at, length: data[at : at + length]  # noqa: E731
    program = FatVolume(read, 2 * MIB).file("EFI/BOOT/BOOTX64.EFI", 8 * MIB)
    assert program.startswith(b"MZ")


def test_a_larger_stick_gets_tables_that_fit_it(tmp_path: Path, stick: Path) -> None:
    size = stick.stat().st_size
    head = stick.read_bytes()[: 64 << 10]
    tables = table_for(head, size, 3 * size + 512)
    assert tables is not None
    with stick.open("r+b") as file:
        file.truncate(3 * size + 512)
        for write in tables:
            file.seek(write.offset)
            file.writelines(write.content.blocks())
    assert "No problems found" in output("sgdisk", "-v", stick)
    with pytest.raises(LabError, match="are needed"):
        table_for(head, size, size - 512)
    assert table_for(bytes(65536), size, size) is None


def test_checkers_find_nothing_wrong_with_a_disc(tmp_path: Path, entries: list[Entry]) -> None:
    disc = tmp_path / "disc.iso"
    make_disc(entries, Console(), disc)
    assert "No problems found" in output("sgdisk", "-v", disc)
    told = output("xorriso", "-indev", disc, "-report_el_torito", "plain", "-find", "/", "-type", "f")
    assert "Volume id    : 'BRINGUP'" in told
    assert "'/image/module1.img'" in told
    (load_size,) = re.findall(r"UEFI +y +none +\S+ +\S+ +(\d+)", told)
    efi = tmp_path / "efi.img"
    output("xorriso", "-osirrox", "on", "-indev", disc, "-extract", "/efi.img", efi)
    # The firmware is given all of the file system with the loader (assisted-service#1372).
    assert int(load_size) * 512 == efi.stat().st_size
    output("fsck.vfat", "-n", efi)
    module = tmp_path / "module"
    output("xorriso", "-osirrox", "on", "-indev", disc, "-extract", "/image/module1.img", module)
    assert module.read_bytes() == b"module" * 50_000
