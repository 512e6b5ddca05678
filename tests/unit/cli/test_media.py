"""`bringup media build` and `write` as a person types them."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from bringup.disk.layout import read_layout
from bringup.image.standin import standin_kernel
from tests.unit.cli.test_commands import LAB

# A computer's own Linux may be readable by root only, so it is left out here.
BUILD = ("media", "build", str(standin_kernel()), "module", "--without", "linux")
pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def folder(in_folder: Path) -> Path:
    """The folder that commands run in, with a module for the stand-in's kernel."""
    (in_folder / "module").write_bytes(bytes(range(256)) * 256)
    return in_folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bringup", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_stick_is_made_and_what_is_in_its_menu_is_told(folder: Path) -> None:
    words = (*BUILD, "-o", "rescue.img")
    done = run(folder, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["  1. stand-in (not seL4)", "  2. firmware probe"]
    assert "console   0x2f8, 115200 baud" in done.stderr
    stick = folder / "rescue.img"
    layout = read_layout(stick.read_bytes()[:65536], stick.stat().st_size, 512)
    assert layout is not None
    assert layout.is_media
    body = json.loads(run(folder, *words, "--json").stdout)
    assert body == {
        "path": "rescue.img",
        "size": stick.stat().st_size,
        "menu": ["stand-in (not seL4)", "firmware probe"],
        "careful": [],
    }


def test_what_cannot_be_made_leaves_nothing(folder: Path) -> None:
    assert run(folder, *BUILD, "-o", "rescue.bin").returncode == 2
    assert run(folder, "media", "build", "absent", "-o", "rescue.img").returncode == 2
    (folder / "text").write_text("no kernel")
    assert run(folder, "media", "build", "text", "-o", "a.img", "--without", "linux").returncode == 11
    assert sorted(path.name for path in folder.iterdir()) == ["module", "text"]


def test_only_what_was_made_so_before_is_replaced(folder: Path) -> None:
    for name in ("again.img", "again.iso"):
        (folder / name).touch()  # as mktemp leaves it
        assert run(folder, *BUILD, "-o", name).returncode == 0
        before = (folder / name).stat().st_ino
        assert run(folder, *BUILD, "-o", name).returncode == 0
        assert (folder / name).stat().st_ino != before
    kernel = standin_kernel().read_bytes()
    (folder / "kernel.img").write_bytes(kernel)
    os.mkfifo(folder / "pipe.img")
    (folder / "link.iso").symlink_to("kernel.img")
    for name in ("kernel.img", "pipe.img", "link.iso"):
        done = run(folder, *("media", "build", "kernel.img", "module", "--without", "linux"), "-o", name)
        assert done.returncode == 2
        assert f"{name} is there and no stick or disc that bringup made" in done.stderr
    assert (folder / "kernel.img").read_bytes() == kernel
    assert (folder / "pipe.img").is_fifo()


def test_an_image_that_does_not_start_is_no_medium(folder: Path) -> None:
    kernel = str(standin_kernel())
    alone = run(folder, "media", "build", kernel, "-o", "a.img", "--without", "linux")
    assert alone.returncode == 11
    assert "needs a module as its first module" in alone.stderr
    swapped = run(folder, "media", "build", "module", kernel, "-o", "a.iso", "--without", "linux")
    assert swapped.returncode == 11
    assert "the kernel is not named first" in swapped.stderr
    assert [path.name for path in folder.iterdir()] == ["module"]


def test_an_image_that_one_firmware_cannot_start_is_told(folder: Path) -> None:
    magic2 = struct.pack("<I", 0xE85250D6)
    (folder / "old").write_bytes(standin_kernel().read_bytes().replace(magic2, bytes(4)))
    done = run(folder, *("media", "build", "old", "module", "--without", "linux"), "-o", "a.img")
    assert done.returncode == 0, done.stderr
    assert "careful   the image does not start by UEFI: old has only a multiboot 1 header" in done.stderr


def test_in_a_lab_of_several_boards_one_is_named(folder: Path) -> None:
    (folder / "lab.toml").write_text(LAB)
    words = (*BUILD, "-o", "a.img")
    done = run(folder, *words)
    assert done.returncode == 2
    assert "--board e300-1" in done.stderr
    assert run(folder, *words, "--board", "e300-1").returncode == 0


def test_a_device_that_is_none_is_refused_before_anything_is_asked(folder: Path) -> None:
    (folder / "a.img").write_bytes(bytes(2 << 20))
    done = run(folder, "media", "write", "a.img", "/dev/no-such-stick")
    assert done.returncode == 2
    assert "/dev/no-such-stick is no disk of this host" in done.stderr


def test_a_first_word_that_is_no_command_is_a_board(folder: Path) -> None:
    done = run(folder, "media", "nobody", "status")
    assert done.returncode == 2
    assert "no board nobody in this lab" in done.stderr
