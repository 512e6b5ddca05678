"""Disks as this tool writes them, started for real, and compared with the model of GRUB's choice.

A handful by default; BRINGUP_DISK_BOOTS=40 in the environment starts so many disks after a power cut, and
every device and firmware that a stick or disc is for.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.firmware import Firmware
from bringup.disk.commit import Loader, install, update
from bringup.disk.grub import Console, make_loader
from bringup.disk.grub_choice import Choice, Machine, grub_choice
from bringup.disk.layout import LETTERS, MIB, Layout, Letter, make_layout
from bringup.disk.manifest import Manifest
from bringup.disk.media import Entry, make_disc, make_stick
from bringup.disk.slot_image import SlotImage, make_slot_image
from bringup.disk.slots import DiskSlots, read_slots
from bringup.disk.state import State
from bringup.image.firmware_probe import firmware_probe
from bringup.image.folder import find_image
from bringup.image.model import Image
from bringup.image.standin import standin_kernel, standin_module
from bringup.jobs.media_build import build_media
from bringup.lab.find import load_lab
from tests.twin.disk_machine import USER_SPACE, DiskMachine, perform, reader
from tests.unit.disk.disks import write_log

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]

MANY = "BRINGUP_DISK_BOOTS"
BOOTS = int(os.environ.get(MANY, "3"))
SLOT = 8 * MIB
CONSOLE = Console()
PROBE_BANNER = b"bringup firmware probe, not seL4"
_STARTED = re.compile(rb"parsing cmdline '[^'\r\n]*image=(\w+)")


def image(name: str) -> Image:
    """Return the stand-in image with a word by which its own console tells which one it is."""
    found = find_image([standin_kernel(), standin_module(MIB)], append=f"image={name}")
    return found.with_serial(CONSOLE.port)


def slot(name: str, layout: Layout) -> SlotImage:
    made = image(name)
    manifest = Manifest.of(made, written_at="2026-11-28T20:00:00Z", written_by="a test")
    return make_slot_image(made, manifest, SLOT, layout.sector_bytes)


def running(text: bytes) -> str | None:
    """Return which image runs at the end of a console's text."""
    found = _STARTED.findall(text)
    return found[-1].decode() if found else None


class Board:
    """An installed disk in a file, and what is said of it: by the model, and by starting it."""

    def __init__(self, folder: Path, device: str, firmware: Firmware, sector_bytes: int = 512) -> None:
        self.layout = make_layout(86 * MIB, sector_bytes, SLOT)
        self.loader: Loader = make_loader(self.layout, CONSOLE)
        self.machine = DiskMachine(folder / "disk", device, firmware)
        with self.machine.disk.open("wb") as file:
            file.truncate(self.layout.disk_bytes)
        perform(self.machine.disk, install(self.layout, self.loader, slot("old", self.layout)))

    def update(self) -> None:
        perform(self.machine.disk, update(self.slots(), slot("new", self.layout)))

    def slots(self) -> DiskSlots:
        return read_slots(reader(self.machine.disk), self.layout, check=LETTERS)

    def write(self, at: int, data: bytes) -> None:
        """Write bytes to the disk."""
        with self.machine.disk.open("r+b") as file:
            file.seek(at)
            file.write(data)

    def module_at(self, letter: Letter) -> int:
        """Return where on the disk a slot's module begins."""
        return self.layout.slot(letter).start + slot("new", self.layout).places["module1.img"][0]

    def flip(self, letter: Letter) -> None:
        """Flip a bit in a slot's module."""
        at = self.module_at(letter) + 99
        byte = reader(self.machine.disk)(at, 1)[0]
        self.write(at, bytes([byte ^ 4]))

    def choice(self, key: str = "", *, can_write: bool = True) -> Choice:
        model = Machine(self.loader, self.machine.firmware, self.layout.sector_bytes, can_write, key)
        return grub_choice(reader(self.machine.disk), self.layout.disk_bytes, model)

    def named(self, choice: Choice) -> str | None:
        """Return the image in the slot of a choice."""
        if choice.slot is None:
            return None
        manifest = self.slots().slot(choice.slot).manifest
        assert manifest is not None
        return manifest.kernel_args.rpartition("image=")[2]

    def start(self, key: str = "") -> str | None:
        """Start it; the model says the same, also of what is on the disk afterwards."""
        choice = self.choice(key)
        expected = self.named(choice)
        text = self.machine.start(key=key.encode())
        assert running(text) == expected, text
        read = reader(self.machine.disk)
        assert all(read(at, len(data)) == data for at, data in choice.writes), text
        return expected


def test_an_update_is_tried_once_given_up_and_kept_when_y_is_pressed(tmp_path: Path) -> None:
    board = Board(tmp_path, "sata", Firmware.BIOS)
    board.update()
    assert board.start() == "new"
    assert board.start() == "old"
    assert board.start("y") == "new"
    assert board.slots().good == "B"
    assert board.start("a") == "old"
    state = board.slots().state
    assert state is not None
    assert state == State("A", None, None, state.image_id, 2)


@pytest.mark.long
def test_a_disk_with_sectors_of_4096_bytes_starts_a_trial_under_uefi(tmp_path: Path) -> None:
    board = Board(tmp_path, "nvme4k", Firmware.UEFI, 4096)
    board.update()
    assert board.start() == "new"
    assert board.slots().role("B") == "tried"


def damage_of_trial(board: Board) -> None:
    """A flipped bit in the module of the slot on trial."""
    board.flip("B")


def damage_of_good(board: Board) -> None:
    """A flipped bit in the good slot, after the trial was given up."""
    board.start()
    board.flip("A")


def first_state_garbage(board: Board) -> None:
    """The first state file is garbage."""
    board.write(board.slots().places[0], b"\xff" * 1024)


def no_state(board: Board) -> None:
    """Both state files are garbage, and slot A is damaged, too."""
    for place in board.slots().places:
        board.write(place, b"\xff" * 1024)
    board.flip("A")


def damage_of_idle(board: Board) -> None:
    """A flipped bit in the slot that is not good any more, after the new image was kept."""
    board.start()
    board.start("y")
    board.flip("A")


DAMAGES = [
    (damage_of_trial, "old"),
    *(
        pytest.param(damage, "new", marks=pytest.mark.long)
        for damage in (damage_of_good, damage_of_idle, first_state_garbage, no_state)
    ),
]


@pytest.mark.parametrize(("damage", "starts"), DAMAGES)
def test_a_damaged_disk_starts_what_is_whole(
    tmp_path: Path, damage: Callable[[Board], None], starts: str
) -> None:
    board = Board(tmp_path, "nvme", Firmware.BIOS)
    board.update()
    damage(board)
    assert board.start() == starts


_RULE = '[inject-error]\nevent = "none"\niotype = "%s"\nerrno = "5"\nonce = "off"\n'


@pytest.mark.parametrize("refused", ["write", pytest.param("read", marks=pytest.mark.long)])
def test_a_disk_that_refuses_starts_the_good_slot(tmp_path: Path, refused: str) -> None:
    """Every write fails, so no trial begins; or one sector of the slot on trial cannot be read."""
    board = Board(tmp_path, "sata", Firmware.BIOS)
    board.update()
    rule = _RULE % refused
    if refused == "read":
        rule += f'sector = "{board.module_at("B") // 512 + 7}"\n'
    faults = tmp_path / "faults"
    faults.write_text(rule)
    text = replace(board.machine, faults=faults).start()
    assert running(text) == "old", text
    assert (b"slot B damaged" in text) == (refused == "read")
    if refused == "write":
        assert board.named(board.choice(can_write=False)) == "old"


def test_disks_after_a_power_cut_start_what_the_model_says(tmp_path: Path) -> None:
    board = Board(tmp_path, "sata", Firmware.BIOS)
    whole = tmp_path / "whole"
    shutil.copy(board.machine.disk, whole)
    log = write_log(update(board.slots(), slot("new", board.layout)), 128 << 10)
    rng = random.Random(13)
    seen = set()
    for number in range(BOOTS):
        # The last writes name the new slot: cuts there are the interesting ones.
        cut = len(log) - number if number < 8 else rng.randrange(len(log) + 1)
        shutil.copy(whole, board.machine.disk)
        with board.machine.disk.open("r+b") as file:
            for entry in log[:cut]:
                if entry.data is not None:
                    file.seek(entry.offset)
                    file.write(entry.data)
            # The write that was under way is torn between two of its sectors.
            if cut < len(log) and (data := log[cut].data) is not None:
                file.seek(log[cut].offset)
                file.write(data[: rng.randrange(len(data) // 512 + 1) * 512])
        seen.add(board.start())
    assert seen <= {"old", "new"}
    assert "new" in seen


MEDIA = [
    ("img", "usb", Firmware.UEFI),
    ("iso", "usb-cd", Firmware.BIOS),
    ("img", "usb", Firmware.BIOS),
    ("iso", "usb-cd", Firmware.UEFI),
    ("iso", "usb", Firmware.BIOS),
    ("iso", "usb", Firmware.UEFI),
]


def medium(path: Path, entries: list[Entry]) -> Path:
    if path.suffix == ".iso":
        make_disc(entries, CONSOLE, path)
    else:
        made = make_stick(entries, CONSOLE)
        with path.open("wb") as file:
            file.truncate(made.layout.disk_bytes)
        perform(path, made.writes())
    return path


@pytest.mark.parametrize(("kind", "device", "firmware"), MEDIA if MANY in os.environ else MEDIA[:2])
def test_a_stick_or_disc_starts_its_first_entry(
    tmp_path: Path, kind: str, device: str, firmware: Firmware
) -> None:
    entries = [Entry("the image", "image", image("first")), Entry("another", "probe", image("second"))]
    path = medium(tmp_path / f"medium.{kind}", entries)
    assert running(DiskMachine(path, device, firmware).start()) == "first"


def test_a_key_that_the_firmware_reads_before_the_menu_is_there_chooses_all_the_same(tmp_path: Path) -> None:
    """UEFI reads the console's port, too, and here it is the only one who does: GRUB has not begun."""
    probe = find_image([firmware_probe()]).with_serial(CONSOLE.port)
    entries = [Entry("the image", "image", image("first")), Entry("firmware probe", "probe", probe)]
    machine = DiskMachine(medium(tmp_path / "medium.img", entries), "usb", Firmware.UEFI)
    text = machine.start(key=b"2", key_at=b"BdsDxe: starting", until=PROBE_BANNER)
    assert running(text) is None


CHOICES = [(b"", USER_SPACE), (b"2", PROBE_BANNER), (b"\x1b[B\r", PROBE_BANNER), (b"3", b"BusyBox v")]


@pytest.mark.long
@pytest.mark.parametrize(("kind", "device", "firmware"), MEDIA)
def test_all_that_is_in_the_menu_starts_on_every_device_and_firmware(
    tmp_path: Path, kind: str, device: str, firmware: Firmware
) -> None:
    """As `media build` makes it: the first by itself, the others by number, or cursor down and Enter."""
    path = tmp_path / f"medium.{kind}"
    built = build_media(load_lab(tmp_path).board("e300"), [standin_kernel(), standin_module(MIB)], path)
    assert built.titles[:2] == ("stand-in (not seL4)", "firmware probe")
    for key, until in CHOICES:
        text = DiskMachine(path, device, firmware).start(key=key, until=until)
        assert (USER_SPACE in text) == (until == USER_SPACE)
