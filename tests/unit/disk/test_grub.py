"""The loader's files: what GRUB's own checker says of the scripts, and where things are patched."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from bringup.base.errors import MissingProgramError
from bringup.disk.grub import Console, disk_script, make_loader
from bringup.disk.layout import make_layout
from tests.unit.disk.disks import SMALL, slot_image


def check(script: str) -> None:
    done = subprocess.run(
        ["grub-script-check", "-v"], input=script.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_grub_understands_the_script_of_a_disk_and_of_a_slot(tmp_path: Path) -> None:
    check(disk_script(Console()))
    image = slot_image(tmp_path, "new")
    lines = image.content.read(*image.places["slot.cfg"]).decode()
    check(lines)
    assert lines.splitlines() == [
        f"set id={image.manifest.image_id}",
        'echo "bringup: loading kernel kernel.elf"',
        "if multiboot2 /kernel.elf 'com2=115200,8n1' 'console=com2'; then",
        'echo "bringup: loading module 1 of 1 module1.img"',
        "if module2 /module1.img; then",
        "set loaded=yes",
        "else",
        '\techo "bringup: loading module 1 of 1 failed"',
        "fi",
        "else",
        '\techo "bringup: loading kernel failed"',
        "fi",
    ]


@pytest.mark.parametrize(
    ("console", "line"),
    [
        (Console(0x3F8, 9600), "serial --unit=0 --speed=9600"),
        (Console(), "serial --unit=1 --speed=115200"),
        (Console(0x6000), "serial --port=0x6000 --speed=115200"),
    ],
)
def test_grub_speaks_on_the_console_alone_and_hears_what_the_firmware_took_from_it(
    console: Console, line: str
) -> None:
    opening = [line, "terminal_output serial", "terminal_input serial console"]
    assert disk_script(console).splitlines()[:3] == opening


def test_a_loader_knows_where_it_lies() -> None:
    loader = make_loader(SMALL, Console())
    sector = SMALL.part("bringup-bios").start // 512
    assert struct.unpack_from("<Q", loader.boot_code, 0x5C) == (sector,)
    assert loader.boot_code[0x64] == 0xFF
    assert struct.unpack_from("<QHH", loader.core, 0x1F4)[0] == sector + 1
    # diskboot.S: what follows its own sector, in sectors, and the segment that it is read to.
    _, length, segment = struct.unpack_from("<QHH", loader.core, 0x1F4)
    assert (length, segment) == (-(-len(loader.core) // 512) - 1, 0x820)
    assert len(loader.core) < SMALL.part("bringup-bios").size
    assert loader.efi.startswith(b"MZ")


def test_the_same_console_makes_the_same_loader() -> None:
    assert make_loader(SMALL, Console()) == make_loader(SMALL, Console())
    assert make_loader(SMALL, Console(0x3F8)).core != make_loader(SMALL, Console()).core


def test_a_disk_of_4096_byte_sectors_has_a_loader_for_uefi_only() -> None:
    loader = make_loader(make_layout(SMALL.disk_bytes, 4096, 1 << 20), Console())
    assert (loader.boot_code, loader.core) == (b"", b"")
    assert loader.efi


def test_without_grub_the_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingProgramError) as caught:
        make_loader(SMALL, Console(), grub_dir=tmp_path)
    assert caught.value.hint == "apt install grub-efi-amd64-bin"
