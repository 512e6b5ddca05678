"""The disk of a scripted board: what the ramdisk does to it, and what GRUB on it starts and says."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bringup.disk.commit import Action, install, rollback, update
from bringup.disk.layout import make_layout, read_layout
from bringup.disk.manifest import Manifest
from bringup.disk.slot_image import SlotImage, make_slot_image
from bringup.disk.slots import DiskSlots, read_slots
from bringup.image.folder import find_image
from bringup.jobs.reimage.carry_out import CarryOut
from bringup.jobs.reimage.disk_boot import DiskReader
from bringup.jobs.reimage.survey import survey
from bringup.probe.agent import Agent, DiskError
from bringup.twin.scripted.board import Nature, ScriptedBoard
from bringup.twin.scripted.disk import BoardDisk
from bringup.twin.scripted.network import Nic
from bringup.twin.scripted.ramdisk import Ramdisk
from tests.doubles.front_door import FrontDoor
from tests.unit.boot.jobs import image
from tests.unit.disk.disks import LOADER
from tests.unit.jobs.reimage.disk_file import DiskFile

SIZE, SLOT = 256 << 20, 64 << 20


@pytest.fixture
def disk(tmp_path: Path) -> BoardDisk:
    path = tmp_path / "sda"
    path.touch()
    os.truncate(path, SIZE)
    return BoardDisk(str(path), "SHELF-01")


@pytest.fixture
def agent(disk: BoardDisk) -> Iterator[Agent]:
    """The host's side of a ramdisk that a scripted board plays."""
    agent = Agent()
    door = FrontDoor(agent.visits)
    loop = asyncio.new_event_loop()
    serving = loop.create_task(Ramdisk(agent.url(door.base_url), asyncio.open_connection, disk).serve())

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)

    thread = threading.Thread(target=run)
    thread.start()
    yield agent
    loop.call_soon_threadsafe(serving.cancel)
    thread.join()
    agent.close()
    door.close()
    loop.close()


def slot_image(folder: Path, append: str = "") -> SlotImage:
    found = find_image(image(folder), append=append)
    return make_slot_image(found, Manifest.of(found, written_at="now", written_by="me"), SLOT)


def carry(disk: BoardDisk, actions: tuple[Action, ...]) -> None:
    CarryOut(DiskFile(Path(disk.file)), "sda", 512, lambda _reached: None).all(actions)


def slots(disk: BoardDisk) -> DiskSlots:
    layout = read_layout(disk.read(0, 64 << 10), SIZE, 512)
    assert layout is not None
    return read_slots(disk.read, layout)


@pytest.fixture
def installed(disk: BoardDisk, tmp_path: Path) -> BoardDisk:
    carry(disk, install(make_layout(SIZE, 512, SLOT), LOADER, slot_image(tmp_path)))
    return disk


def test_the_ramdisk_tells_of_it_reads_writes_and_hashes_it(agent: Agent, disk: BoardDisk) -> None:
    (seen,) = survey(agent)
    assert (seen.name, seen.serial, seen.size_bytes, seen.sector_bytes) == ("sda", "SHELF-01", SIZE, 512)
    assert seen.contents.is_empty
    data = os.urandom(3 << 20)
    agent.write("sda", 4096, len(data), lambda: [data])
    agent.flush("sda")
    assert agent.read("sda", 4096, len(data)) == data
    assert agent.hashes("sda", [(4096, len(data)), (0, 512)]) == (
        disk.sha256(4096, len(data)),
        disk.sha256(0, 512),
    )


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda agent: agent.read("sda", SIZE, 512), "read"),
        (lambda agent: agent.hashes("sda", [(SIZE - 512, 1024)]), "read"),
        (lambda agent: agent.write("sda", SIZE, 512, lambda: [bytes(512)]), "write"),
        (lambda agent: agent.write("sda", 0, 1024, lambda: [bytes(512)]), "fetch"),
        (lambda agent: agent.flush("sdb"), "order"),
    ],
)
def test_what_it_cannot_do_is_told_as_the_real_one_tells_it(
    agent: Agent, act: Callable[[Agent], object], why: str
) -> None:
    with pytest.raises(DiskError) as error:
        act(agent)
    assert error.value.why == why


def boot(disk: BoardDisk, typed: str = "") -> str:
    """Return what a board says that boots from its disk, while this is typed."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if "press y" in text:
            board.hear(typed)

    async def live() -> None:
        board.on(network=False, uefi=False)
        assert board._life is not None
        await board._life

    nature = Nature(Nic("none", "52:54:00:0e:30:10"), post_s=0.0, disk=disk, patience=0.01)
    board = ScriptedBoard(nature, say, lambda: None)
    asyncio.run(live())
    return "".join(said)


class Told:
    """What the reader of GRUB's words finds, as the run and the console of it."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.errors: list[str] = []

    def emit(self, _source: str, kind: str, _text: str = "", **data: str) -> None:
        if kind == "disk.slot":
            self.started.append(data["slot"])

    def abort(self, error: Exception) -> None:
        self.errors.append(str(error))


def started(text: str) -> list[str]:
    told = Told()
    DiskReader(told, told, "A", None).feed(text.encode())  # type: ignore[arg-type]
    return told.started or told.errors


def test_a_blank_disk_starts_nothing(disk: BoardDisk) -> None:
    assert "Reboot and Select proper Boot device" in boot(disk)


def test_what_was_installed_starts_and_says_so(installed: BoardDisk) -> None:
    text = boot(installed)
    assert started(text) == ["A"]
    assert "bringup: loading kernel kernel" in text
    assert text.endswith("dropped to user space\r\n")


def test_a_trial_starts_once_and_is_kept_by_its_key(installed: BoardDisk, tmp_path: Path) -> None:
    new = slot_image(tmp_path, "play=hang:kernel")
    carry(installed, update(slots(installed), new))
    text = boot(installed)
    assert started(text) == ["B"]
    assert "bringup: slot B is started, good is A" in text
    assert "play=hang:kernel" in text and "user space" not in text
    after = boot(installed)
    assert f"bringup: slot B ({new.manifest.image_id}) was tried, press y to keep it" in after
    assert started(after) == ["A"]
    assert started(boot(installed, "x\xffy")) == ["B"]
    assert (slots(installed).good, started(boot(installed))) == ("B", ["B"])
    _, back = rollback(slots(installed))
    carry(installed, back)
    assert started(boot(installed)) == ["A"]


def test_a_damaged_slot_is_followed_by_the_other_and_both_by_nothing(
    installed: BoardDisk, tmp_path: Path
) -> None:
    carry(installed, update(slots(installed), slot_image(tmp_path, "words")))
    layout = slots(installed).layout
    for letter, expected in (("B", ["A"]), ("A", ["no slot of this disk starts"])):
        installed.write(layout.slot(letter).start, bytes(4096))  # type: ignore[arg-type]
        text = boot(installed)
        assert f"bringup: slot {letter} damaged" in text
        assert started(text) == expected
