"""What is written, in which order: judged by what GRUB would start after a cut at any moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.errors import LabError
from bringup.base.firmware import Firmware
from bringup.disk.commit import (
    Chunk,
    Compare,
    Flush,
    Write,
    chunks,
    confirm,
    install,
    is_kept,
    rollback,
    update,
)
from bringup.disk.contents import LOOK_BYTES, judge
from bringup.disk.grub_choice import Choice, Machine, grub_choice
from bringup.disk.layout import MIB, make_layout
from bringup.disk.slot_image import SlotImage
from bringup.disk.state import State, other
from tests.unit.disk.disks import (
    LOADER,
    SMALL,
    MemoryDisk,
    after,
    installed,
    power_cuts,
    slot_image,
    torn_page,
    write_log,
)

MACHINE = Machine(LOADER)


def boots(disk: MemoryDisk, machine: Machine = MACHINE) -> Choice:
    return grub_choice(disk.read, disk.size, machine)


def started(disk: MemoryDisk, machine: Machine = MACHINE) -> str | None:
    """Start a machine from a disk, which GRUB writes to, and return the id of what runs then."""
    choice = boots(disk, machine)
    for offset, data in choice.writes:
        disk.write(offset, data)
    if choice.slot is None:
        return None
    manifest = disk.slots().slot(choice.slot).manifest
    assert manifest is not None
    return manifest.image_id


@pytest.fixture
def new(tmp_path: Path) -> SlotImage:
    return slot_image(tmp_path, "new")


@pytest.fixture
def old_id(tmp_path: Path) -> str:
    return slot_image(tmp_path, "old").manifest.image_id


@pytest.mark.parametrize("firmware", list(Firmware))
@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_an_installed_disk_starts_its_image(tmp_path: Path, firmware: Firmware, sector_bytes: int) -> None:
    layout = make_layout(71 * MIB, sector_bytes, MIB)
    disk = installed(tmp_path, layout)
    assert boots(disk, Machine(LOADER, firmware, sector_bytes)) == Choice("A")
    assert disk.slots(layout).state == State("A")


def test_the_first_sector_is_written_last_of_all(new: SlotImage) -> None:
    actions = install(SMALL, LOADER, new)
    writes = [action for action in actions if isinstance(action, Write)]
    assert writes[-1].offset == 0
    assert isinstance(actions[-2], Flush)
    assert isinstance(actions[-1], Compare)
    # Cut anywhere before, the disk is not taken for one that starts.
    disk = MemoryDisk(SMALL.disk_bytes)
    log = write_log(actions)
    last = max(at for at, entry in enumerate(log) if entry.data is not None)
    assert boots(after(disk, log[:last])).slot is None
    assert boots(after(disk, log)).slot == "A"


@pytest.mark.parametrize("firmware", list(Firmware))
def test_an_installation_that_is_cut_off_starts_nothing_old_or_torn(
    tmp_path: Path, new: SlotImage, firmware: Firmware
) -> None:
    """Over a disk that started another image; every prefix, random subsets, torn pages."""
    disk = installed(tmp_path, name="older")
    disk.perform(update(disk.slots(), slot_image(tmp_path, "newer")))
    log = write_log(install(SMALL, LOADER, new), 256 << 10)
    machine = Machine(LOADER, firmware)
    # Until the old table is gone for certain the old disk is what it was.
    begun = next(at for at, entry in enumerate(log) if entry.data is None)
    cuts = [after(disk, log[:length]) for length in range(begun, len(log))]
    cuts += power_cuts(after(disk, log[:begun]), log[begun + 1 :], 60, seed=7)
    for cut in cuts:
        choice = boots(cut, machine)
        assert choice.slot in (None, "A")
        if choice.slot:
            assert cut.slots().slot("A").manifest == new.manifest
    assert boots(after(disk, log), machine).slot == "A"


@pytest.mark.parametrize("before", ["empty", "foreign", "ours"])
def test_an_installation_that_is_cut_off_is_ended_by_the_same_command(
    tmp_path: Path, new: SlotImage, before: str
) -> None:
    """What is there is known for what it is, and the next writing leaves a disk that starts."""
    disk = MemoryDisk(SMALL.disk_bytes)
    if before == "ours":
        disk = installed(tmp_path, name="older")
    elif before == "foreign":
        disk.write(512, b"LABELONE" + bytes(16) + b"LVM2 001")
    log = write_log(install(SMALL, LOADER, new), 256 << 10)
    begun = next(at for at, entry in enumerate(log) if entry.data is None)
    cleared = next(at for at, entry in enumerate(log) if entry.data is None and at > begun)
    cuts = [after(disk, log[:length]) for length in range(begun, len(log) + 1)]
    first = cleared if before == "foreign" else begun
    cuts += power_cuts(after(disk, log[:first]), log[first + 1 :], 60, seed=5)
    for cut in cuts[cleared - begun if before == "foreign" else 0 :]:
        contents = judge(cut.read(0, LOOK_BYTES), cut.read(cut.size - LOOK_BYTES, LOOK_BYTES), 512, cut.size)
        assert contents.is_free, contents
        again = contents.is_ours
        cut.perform(update(cut.slots(), new) if again else install(SMALL, LOADER, new))
        assert started(cut) == new.manifest.image_id, "the disk was taken for one that starts already"


def test_an_installation_leaves_nothing_of_what_was_there(tmp_path: Path) -> None:
    disk = installed(tmp_path, name="older")
    disk.perform(update(disk.slots(), slot_image(tmp_path, "newer")))
    disk.perform(install(SMALL, LOADER, slot_image(tmp_path, "fresh")))
    slots = disk.slots()
    assert [slots.role(letter) for letter in ("A", "B")] == ["good", "empty"]


def test_an_update_is_tried_once_and_given_up_unless_it_is_confirmed(
    tmp_path: Path, new: SlotImage, old_id: str
) -> None:
    disk, new_id = installed(tmp_path), new.manifest.image_id
    disk.perform(update(disk.slots(), new))
    assert [disk.slots().role(letter) for letter in ("A", "B")] == ["good", "trial"]
    assert [started(disk) for _ in range(3)] == [new_id, old_id, old_id]
    assert disk.slots().role("B") == "tried"
    disk.perform(confirm(disk.slots(), new_id)[1])
    assert [started(disk) for _ in range(2)] == [new_id, new_id]
    target, actions = rollback(disk.slots())
    disk.perform(actions)
    assert (target, started(disk)) == ("A", old_id)


def test_the_key_y_confirms_what_was_tried_and_nothing_else(
    tmp_path: Path, new: SlotImage, old_id: str
) -> None:
    disk, new_id = installed(tmp_path), new.manifest.image_id
    pressed = Machine(LOADER, key="y")
    assert started(disk, pressed) == old_id
    disk.perform(update(disk.slots(), new))
    assert started(disk) == new_id
    assert started(disk, pressed) == new_id
    assert started(disk) == new_id
    assert disk.slots().state is not None
    assert disk.slots().good == "B"


def test_confirm_refuses_another_image_than_the_one_that_was_tried(tmp_path: Path, new: SlotImage) -> None:
    disk = installed(tmp_path)
    with pytest.raises(LabError, match="no image was tried"):
        confirm(disk.slots(), new.manifest.image_id)
    disk.perform(update(disk.slots(), new))
    started(disk)
    with pytest.raises(LabError, match="not 00000000"):
        confirm(disk.slots(), "00000000")


def test_confirm_refuses_what_was_not_started_and_what_is_not_there_any_more(
    tmp_path: Path, new: SlotImage
) -> None:
    disk, new_id = installed(tmp_path), new.manifest.image_id
    disk.perform(update(disk.slots(), new))
    with pytest.raises(LabError, match="was not started yet"):
        confirm(disk.slots(), new_id)
    started(disk)
    slots = disk.slots()
    kept, tried = slots.slots
    assert tried.manifest is not None
    for slot, why in (
        (replace(tried, intact=False, problem="kernel.elf is not what was written"), "damaged: kernel.elf"),
        (replace(tried, manifest=None, problem="manifest.json cannot be read"), "manifest.json cannot be"),
        (replace(tried, manifest=replace(tried.manifest, image_id="00000000")), "holds 00000000 now"),
    ):
        with pytest.raises(LabError, match=why):
            confirm(replace(slots, slots=(kept, slot)), new_id)
    with pytest.raises(LabError, match="both state files of this disk are damaged"):
        confirm(replace(slots, copies=(None, None)), new_id)
    letter, actions = confirm(slots, new_id)
    disk.perform(actions)
    assert (letter, is_kept(disk.slots(), "B", new_id), is_kept(slots, "B", new_id)) == ("B", True, False)


def test_rollback_gives_up_a_trial_and_keeps_the_good_one(
    tmp_path: Path, new: SlotImage, old_id: str
) -> None:
    disk = installed(tmp_path)
    disk.perform(update(disk.slots(), new))
    target, actions = rollback(disk.slots())
    disk.perform(actions)
    assert (target, started(disk), started(disk)) == ("A", old_id, old_id)


def test_rollback_goes_to_no_damaged_image(tmp_path: Path, new: SlotImage, old_id: str) -> None:
    disk = installed(tmp_path)
    disk.perform(update(disk.slots(), new))
    damaged = disk.copy()
    damaged.flip(SMALL.slot("A").start + new.places["module1.img"][0])
    for moment in ("on trial", "tried", "kept"):
        with pytest.raises(LabError, match=r"slot A has no image to go back to: module1\.img is not"):
            rollback(damaged.slots())
        if moment == "on trial":
            started(damaged)
        elif moment == "tried":
            started(damaged, Machine(LOADER, key="y"))


def test_rollback_leaves_a_damaged_image_for_the_one_that_is_whole(tmp_path: Path, old_id: str) -> None:
    disk = installed(tmp_path)
    good_damaged(disk, tmp_path)
    target, actions = rollback(disk.slots())
    disk.perform(actions)
    assert (target, disk.slots().good, started(disk)) == ("A", "A", old_id)
    with pytest.raises(LabError, match="slot B has no image to go back to"):
        rollback(disk.slots())


def test_rollback_needs_an_image_in_the_other_slot(tmp_path: Path) -> None:
    disk = installed(tmp_path)
    with pytest.raises(LabError, match="slot B has no image to go back to"):
        rollback(disk.slots())


def untouched(_disk: MemoryDisk, _folder: Path) -> None:
    """The disk as installed."""


def on_trial(disk: MemoryDisk, folder: Path) -> None:
    disk.perform(update(disk.slots(), slot_image(folder, "between")))


def tried(disk: MemoryDisk, folder: Path) -> None:
    on_trial(disk, folder)
    started(disk)


def first_state_garbage(disk: MemoryDisk, folder: Path) -> None:
    tried(disk, folder)
    disk.write(disk.slots().places[0], b"\xff" * 512)


def second_state_garbage(disk: MemoryDisk, folder: Path) -> None:
    tried(disk, folder)
    disk.write(disk.slots().places[1], b"\xff" * 512)


def second_state_behind(disk: MemoryDisk, folder: Path) -> None:
    stale = disk.read(disk.slots().places[1], 4096)
    tried(disk, folder)
    disk.write(disk.slots().places[1], stale)


def no_state(disk: MemoryDisk, _folder: Path) -> None:
    for place in disk.slots().places:
        disk.write(place, b"\xff" * 512)


def good_damaged(disk: MemoryDisk, folder: Path) -> None:
    """The slot that was kept has a flipped bit: what GRUB starts is the other one."""
    tried(disk, folder)
    disk.perform(confirm(disk.slots(), slot_image(folder, "between").manifest.image_id)[1])
    disk.flip(SMALL.slot("B").start + slot_image(folder, "between").places["module1.img"][0])


def good_empty(disk: MemoryDisk, _folder: Path) -> None:
    """Somebody pressed the key of a slot that nothing was written to."""
    started(disk, Machine(LOADER, key="b"))


PAST = [
    untouched,
    on_trial,
    tried,
    first_state_garbage,
    second_state_garbage,
    second_state_behind,
    no_state,
    good_damaged,
    good_empty,
]


@pytest.mark.parametrize("past", PAST)
def test_a_cut_at_any_moment_leaves_the_old_or_the_new_image(
    tmp_path: Path, new: SlotImage, old_id: str, past: Callable[[MemoryDisk, Path], None]
) -> None:
    """All prefixes of the write log and random subsets of what no flush made sure of, writes torn."""
    disk = installed(tmp_path)
    past(disk, tmp_path)
    ours = {old_id, new.manifest.image_id}
    before = boots(disk).slot
    log = write_log(update(disk.slots(), new))
    seen = set()
    cuts = [after(disk, log[:length]) for length in range(len(log) + 1)]
    torn = [(at, entry) for at, entry in enumerate(log) if entry.data is not None]
    cuts += [torn_page(after(disk, log[:at]), entry) for at, entry in torn]
    cuts += power_cuts(disk, log, 300 // len(PAST) + 1, seed=13)
    for cut in cuts:
        choice = boots(cut)
        first = started(cut)
        # Whatever was on trial before is given up by the first barrier; until then it may still be tried.
        assert first in ours or (choice.slot == before and before == "B"), choice
        assert started(cut) == old_id
        seen.add(first)
    assert seen >= ours


def test_cuts_into_what_grub_writes_itself_leave_an_image(
    tmp_path: Path, new: SlotImage, old_id: str
) -> None:
    disk = installed(tmp_path)
    disk.perform(update(disk.slots(), new))
    writes = boots(disk).writes
    for sectors in range(5):
        cut = disk.copy()
        for at, data in [(at + n, data[n : n + 512]) for at, data in writes for n in (0, 512)][:sectors]:
            cut.write(at, data)
        assert started(cut) in (old_id, new.manifest.image_id)
        assert started(cut) in (old_id, new.manifest.image_id)
        assert started(cut) == old_id


def test_a_drive_that_was_told_no_barrier_would_lose_the_image(tmp_path: Path, new: SlotImage) -> None:
    """The control: the same writes with the states first are caught by the hashes only."""
    disk = installed(tmp_path)
    actions = update(disk.slots(), new)
    writes = [action for action in actions if isinstance(action, Write)]
    states_first = [*writes[1:], writes[0]]
    torn = after(disk, write_log(states_first)[:3])
    choice = boots(torn)
    assert choice.slot == "A"
    assert "slot B" in choice.why[0]


def test_a_disk_that_refuses_writes_starts_no_trial(tmp_path: Path, new: SlotImage, old_id: str) -> None:
    disk = installed(tmp_path)
    disk.perform(update(disk.slots(), new))
    assert started(disk, Machine(LOADER, can_write=False)) == old_id


@pytest.mark.parametrize("where", ["kernel.elf", "module1.img", "slot.cfg", "manifest.jsn", "sha256.sum"])
def test_a_flipped_bit_or_bad_sector_in_either_slot_starts_the_other(
    tmp_path: Path, new: SlotImage, old_id: str, where: str
) -> None:
    disk, new_id = installed(tmp_path), new.manifest.image_id
    disk.perform(update(disk.slots(), new))
    disk.perform(confirm_now(disk, new_id))
    assert started(disk) == new_id
    for letter, expected in (("B", old_id), ("A", new_id)):
        assert letter in ("A", "B")
        at = SMALL.slot(letter).start + new.places[where][0]
        flipped = disk.copy()
        flipped.flip(at + 5)
        assert started(flipped) == expected
        unreadable = disk.copy()
        unreadable.bad.add(at // 512)
        assert boots(unreadable).slot == ("A" if expected == old_id else "B")


def confirm_now(disk: MemoryDisk, image_id: str) -> tuple[object, ...]:
    started(disk)
    return confirm(disk.slots(), image_id)[1]


def test_without_any_state_the_slot_that_is_whole_is_kept(tmp_path: Path, new: SlotImage) -> None:
    disk, new_id = installed(tmp_path), new.manifest.image_id
    disk.perform(update(disk.slots(), new))
    no_state(disk, tmp_path)
    disk.flip(SMALL.slot("A").start + new.places["module1.img"][0])
    assert disk.slots().good == "B"
    disk.perform(update(disk.slots(), slot_image(tmp_path, "third")))
    state = disk.slots().state
    assert state is not None
    assert (state.good, state.trial) == ("B", "A")
    started(disk)
    assert started(disk) == new_id


def test_an_update_of_a_disk_without_a_good_image_is_refused(tmp_path: Path, new: SlotImage) -> None:
    disk = installed(tmp_path)
    no_state(disk, tmp_path)
    disk.flip(SMALL.slot("A").start + new.places["module1.img"][0])
    with pytest.raises(LabError, match="neither slot"):
        update(disk.slots(), new)


def test_every_write_is_flushed_and_then_read_back(tmp_path: Path, new: SlotImage) -> None:
    disk = installed(tmp_path)
    on_trial(disk, tmp_path)
    for actions in (update(disk.slots(), new), install(SMALL, LOADER, new)):
        pending: list[Write] = []
        open_writes = 0
        for action in actions:
            if isinstance(action, Write):
                assert not [each for each in pending if open_writes == 0], "written before it was read back"
                pending.append(action)
                open_writes += 1
            elif isinstance(action, Flush):
                open_writes = 0
            else:
                assert open_writes == 0
                match = next(each for each in pending if each.offset == action.offset)
                assert (match.content.size, match.content.sha256()) == (action.length, action.sha256)
                pending.remove(match)
        assert not pending


@pytest.mark.parametrize("past", PAST)
def test_no_state_names_a_slot_while_it_is_written(
    tmp_path: Path, new: SlotImage, past: Callable[[MemoryDisk, Path], None]
) -> None:
    disk = installed(tmp_path)
    past(disk, tmp_path)
    idle = other(disk.slots().good or "A")
    written = False
    for action in update(disk.slots(), new):
        if isinstance(action, Write) and action.offset == SMALL.slot(idle).start:
            for state in disk.slots().copies:
                assert state is not None
                assert idle not in (state.good, state.trial, state.tried)
            written = True
        disk.perform([action])
    assert written


def test_an_update_never_writes_to_the_good_slot(tmp_path: Path, new: SlotImage) -> None:
    for past in PAST:
        disk = installed(tmp_path)
        past(disk, tmp_path)
        good = disk.slots().good
        assert good is not None
        part = SMALL.slot(good)
        for action in update(disk.slots(), new):
            if isinstance(action, Write):
                assert action.offset + action.content.size <= part.start or action.offset >= part.end
        assert other(good) != good


def test_chunks_are_the_write_in_parts(new: SlotImage) -> None:
    write = Write(MIB, new.content, "slot B")
    parts = list(chunks(write, 100_000))
    assert all(isinstance(part, Chunk) and part.length <= 100_000 for part in parts)
    assert b"".join(block for part in parts for block in part.blocks()) == new.content.read(
        0, new.content.size
    )
    assert [part.offset for part in parts] == list(range(MIB, MIB + new.content.size, 100_000))
