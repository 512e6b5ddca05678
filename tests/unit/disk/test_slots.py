"""What a disk's slots say, and from any bytes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import ImageError, LabError, UsageError
from bringup.disk.commit import rollback, update
from bringup.disk.grub_choice import Machine, grub_choice
from bringup.disk.layout import MIB
from bringup.disk.manifest import Manifest, parse_manifest
from bringup.disk.slot_image import make_slot_image, slot_lines
from bringup.disk.slots import read_slots
from bringup.image.folder import find_image
from tests.unit.disk.disks import LOADER, SMALL, MemoryDisk, installed, multiboot_kernel, slot_image


def test_both_slots_tell_what_is_in_them(tmp_path: Path) -> None:
    disk = installed(tmp_path)
    new = slot_image(tmp_path, "new")
    disk.perform(update(disk.slots(), new))
    slots = read_slots(disk.read, SMALL)
    assert slots.slot("B").manifest == new.manifest
    assert (slots.good, slots.role("A"), slots.role("B")) == ("A", "good", "trial")
    told = json.loads(json.dumps(slots.to_dict()))
    assert told["slots"]["B"]["manifest"]["capture"] == "c0ffee"


def test_a_disk_without_state_files_is_none_of_ours(tmp_path: Path) -> None:
    disk = installed(tmp_path)
    disk.write(SMALL.part("bringup-state").start, bytes(4096))
    with pytest.raises(LabError, match="state files of this disk cannot be found"):
        disk.slots()


def test_state_files_that_lie_in_one_page_are_none(tmp_path: Path) -> None:
    """What is written to one would be written to both, and a cut would leave neither."""
    disk = installed(tmp_path)
    state = SMALL.part("bringup-state").start
    data = disk.read(state, 64 << 10)
    first, second = (data.index(name) for name in (b"STATE1  ENV", b"STATE2  ENV"))
    disk.write(state + second + 26, data[first + 26 : first + 28])  # where it begins
    with pytest.raises(LabError, match="in a page of its own"):
        disk.slots()


def test_damage_is_told_and_which_file_it_is(tmp_path: Path) -> None:
    disk = installed(tmp_path)
    at = SMALL.slot("A").start + slot_image(tmp_path, "old").places["module1.img"][0]
    disk.flip(at)
    slot = disk.slots().slot("A")
    assert (slot.intact, slot.problem) == (False, "module1.img is not what was written")
    assert disk.slots(check=False).slot("A").intact is None


def described_by_a_newer_version(folder: Path) -> MemoryDisk:
    """An installed disk whose image starts, with a manifest that this version does not know."""
    disk, image = installed(folder), slot_image(folder, "old")
    start = SMALL.slot("A").start
    at, length = image.places["manifest.jsn"]
    old = disk.read(start + at, length)
    new = old.replace(b'"v": 1', b'"v": 9')
    disk.write(start + at, new)
    at, length = image.places["sha256.sum"]
    before, after = (hashlib.sha256(data).hexdigest().encode() for data in (old, new))
    disk.write(start + at, disk.read(start + at, length).replace(before, after))
    return disk


def test_an_image_that_a_newer_version_described_is_good_and_never_overwritten(tmp_path: Path) -> None:
    disk = described_by_a_newer_version(tmp_path)
    slots = disk.slots()
    slot = slots.slot("A")
    assert (slot.manifest, slot.intact, slot.problem) == (None, True, "manifest.jsn cannot be read")
    assert (slots.good, slots.role("A")) == ("A", "good")
    disk.perform(update(slots, slot_image(tmp_path, "new")))
    letter, actions = rollback(disk.slots())
    assert letter == "A"
    disk.perform(actions)
    assert grub_choice(disk.read, disk.size, Machine(LOADER)).slot == "A"


def test_what_is_written_of_an_image_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "kernel\x1b[2J\udcff\u202e"
    path.write_bytes(multiboot_kernel())
    image = find_image([path], append="a" * 4000)
    manifest = Manifest.of(image, written_at="now", written_by="so\nme\x1bbody" * 999, capture=None)
    assert parse_manifest(manifest.to_json()) == manifest
    with pytest.raises(ImageError, match="the kernel's words have 5000 characters, and a disk takes 4096"):
        Manifest.of(find_image([path], append="a" * 5000), written_at="now", written_by="", capture=None)


def test_the_hashes_in_a_slot_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    image = slot_image(tmp_path, "new")
    folder = tmp_path / "slot"
    folder.mkdir()
    for name, (at, length) in image.places.items():
        (folder / name).write_bytes(image.content.read(at, length))
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "sha256.sum"], cwd=folder, check=True)


def test_words_that_grub_would_change_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(multiboot_kernel())
    for words in ('say="hi"', "a\\b", "it's", "café"):
        image = find_image([path], append=words)
        with pytest.raises(UsageError, match="GRUB would change"):
            slot_lines(image, Manifest.of(image, written_at="", written_by=""))
    image = find_image([path], append="$root {a} ; reboot")
    lines = slot_lines(image, Manifest.of(image, written_at="", written_by=""))
    assert "multiboot2 /kernel.elf '$root' '{a}' ';' 'reboot'" in lines


def test_an_image_larger_than_its_slot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(multiboot_kernel(bytes(2 * MIB)))
    image = find_image([path])
    with pytest.raises(ImageError, match=r"kernel and modules take 2\.0 MiB, and a slot has 1 MiB"):
        make_slot_image(image, Manifest.of(image, written_at="", written_by=""), MIB)


def test_an_image_of_more_modules_than_a_disk_can_name_is_told_as_that(tmp_path: Path) -> None:
    kernel, module = tmp_path / "kernel", tmp_path / "module"
    kernel.write_bytes(multiboot_kernel())
    module.write_bytes(b"module")
    most = find_image([kernel, *[module] * 99])
    made = make_slot_image(most, Manifest.of(most, written_at="", written_by=""), 64 * MIB)
    assert "module99.img" in made.places
    with pytest.raises(ImageError, match="the image has 100 modules, and a disk takes at most 99"):
        Manifest.of(find_image([kernel, *[module] * 100]), written_at="", written_by="")


def test_an_image_that_grub_cannot_start_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(b"no kernel")
    image = find_image([path])
    with pytest.raises(ImageError, match="GRUB cannot start this kernel"):
        slot_lines(image, Manifest.of(image, written_at="", written_by=""))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["v", "files"]), inner),
    max_leaves=8,
)


@given(st.binary(max_size=300), JSON)
def test_any_bytes_are_a_manifest_or_none(data: bytes, body: object) -> None:
    assert parse_manifest(data) is None
    assert parse_manifest(json.dumps(body).encode()) is None


@given(JSON, st.sampled_from(["files", "title", "capture", "image_id", "kernel_args"]))
def test_a_manifest_with_one_odd_value_is_one_or_none(value: object, name: str) -> None:
    manifest = Manifest("ab", "seL4", "multiboot", "", (), "now", "me")
    body = {
        **json.loads(manifest.to_json()),
        "files": [{"name": "k", "stored_as": "k", "size": 1, "sha256": ""}],
    }
    found = parse_manifest(json.dumps({**body, name: value}).encode())
    assert found is None or parse_manifest(found.to_json()) == found
    # Nothing in it can move a terminal's cursor.
    assert found is None or found.title.isprintable()
