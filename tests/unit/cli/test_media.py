"""`bringup media build` and `write` as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bringup.disk.layout import read_layout
from bringup.image.standin import standin_kernel
from tests.unit.cli.test_commands import LAB

pytestmark = pytest.mark.usefixtures("home")


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


def test_a_stick_is_made_and_what_is_in_its_menu_is_told(in_folder: Path) -> None:
    # A computer's own Linux may be readable by root only, so it is left out here.
    words = ("media", "build", str(standin_kernel()), "-o", "rescue.img", "--without", "linux")
    done = run(in_folder, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["  1. stand-in (not seL4)", "  2. firmware probe"]
    assert "console   0x2f8, 115200 baud" in done.stderr
    stick = in_folder / "rescue.img"
    layout = read_layout(stick.read_bytes()[:65536], stick.stat().st_size, 512)
    assert layout is not None
    assert layout.is_media
    body = json.loads(run(in_folder, *words, "--json").stdout)
    assert body == {
        "path": "rescue.img",
        "size": stick.stat().st_size,
        "menu": ["stand-in (not seL4)", "firmware probe"],
    }


def test_what_cannot_be_made_leaves_nothing(in_folder: Path) -> None:
    kernel = str(standin_kernel())
    assert run(in_folder, "media", "build", kernel, "-o", "rescue.bin").returncode == 2
    assert run(in_folder, "media", "build", "absent", "-o", "rescue.img").returncode == 2
    (in_folder / "text").write_text("no kernel")
    assert run(in_folder, "media", "build", "text", "-o", "a.img", "--without", "linux").returncode == 11
    assert [path.name for path in in_folder.iterdir()] == ["text"]


def test_in_a_lab_of_several_boards_one_is_named(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    words = ("media", "build", str(standin_kernel()), "-o", "a.img", "--without", "linux")
    done = run(in_folder, *words)
    assert done.returncode == 2
    assert "--board e300-1" in done.stderr
    assert run(in_folder, *words, "--board", "e300-1").returncode == 0


def test_a_device_that_is_none_is_refused_before_anything_is_asked(in_folder: Path) -> None:
    (in_folder / "a.img").write_bytes(bytes(2 << 20))
    done = run(in_folder, "media", "write", "a.img", "/dev/no-such-stick")
    assert done.returncode == 2
    assert "/dev/no-such-stick is no disk of this host" in done.stderr


def test_a_first_word_that_is_no_command_is_a_board(in_folder: Path) -> None:
    done = run(in_folder, "media", "nobody", "status")
    assert done.returncode == 2
    assert "no board nobody in this lab" in done.stderr
