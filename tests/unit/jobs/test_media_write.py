"""A stick image on a device: regular files stand for devices, in a listing that is given."""

from __future__ import annotations

import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.errors import ImageError, InterruptedRunError, LabError, UsageError
from bringup.disk.layout import MEDIA, MIB, read_layout
from bringup.disk.media import Stick, media_layout
from bringup.disk.pieces import Pieces
from bringup.disk.removable import BlockDevice
from bringup.jobs.block_devices import block_devices, mounted_sources, number_text
from bringup.jobs.media_build import write_stick
from bringup.jobs.media_write import Progress, plan_media

FILES = b"files of the stick " * 30_000


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "rescue.img"
    stick = Stick(media_layout(7 * MIB, 4 * MIB), b"code".ljust(440), b"core" * 1000, Pieces.of(FILES))
    with path.open("wb") as file:
        write_stick(stick, file)
    return path


@pytest.fixture
def stick(tmp_path: Path) -> BlockDevice:
    """A stick of 20 MiB that is full of somebody else's bytes."""
    path = tmp_path / "sdb"
    path.write_bytes(b"\xa5" * 20 * MIB)
    return BlockDevice(str(path), 0, 20 * MIB, removable=True, bus="usb", model="Ultra", serial="4C53")


def test_a_stick_holds_the_image_and_a_table_of_its_own(image: Path, stick: BlockDevice) -> None:
    seen: list[Progress] = []
    plan_media(image, stick.node, listing=lambda: [stick]).run(seen.append)
    written = Path(stick.node).read_bytes()
    assert len(written) == stick.size_bytes
    made, there = read_layout(image.read_bytes(), 7 * MIB, 512), read_layout(written, 20 * MIB, 512)
    assert made is not None
    assert there is not None
    assert there.part(MEDIA).size == made.part(MEDIA).size
    # Two sticks of one image are two disks to a firmware.
    assert there.disk_guid != made.disk_guid
    assert written[:440] == image.read_bytes()[:440]
    assert written[MIB : 6 * MIB] == image.read_bytes()[MIB : 6 * MIB]
    assert written[-512:].startswith(b"EFI PART")
    # What lay behind is overwritten only where something new is.
    assert written[8 * MIB] == 0xA5
    stages = [each.stage for each in seen]
    assert list(dict.fromkeys(stages)) == ["writing", "reading back"]
    assert seen[-1].done == seen[-1].total


def test_any_other_image_is_written_as_it_is(tmp_path: Path, stick: BlockDevice) -> None:
    image = tmp_path / "other.iso"
    image.write_bytes(bytes(range(256)) * 4 * 3 * 1024)
    plan_media(image, stick.node, listing=lambda: [stick]).run()
    written = Path(stick.node).read_bytes()
    assert written[: 3 * MIB] == image.read_bytes()
    assert not any(written[-MIB:])


def test_the_first_sector_is_written_last(image: Path, stick: BlockDevice) -> None:
    planned = plan_media(image, stick.node, listing=lambda: [stick])
    assert planned.writes[0].offset == planned.writes[-1].offset == 0

    def stop(at: Progress) -> None:
        if at.done > 3 * MIB:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="half written and does not boot"):
        planned.run(stop)
    assert not any(Path(stick.node).read_bytes()[:MIB])


def test_a_stick_that_loses_a_bit_is_told(image: Path, stick: BlockDevice) -> None:
    def flip(at: Progress) -> None:
        if at.stage == "writing" and at.done == at.total:
            with Path(stick.node).open("r+b") as file:
                file.seek(2 * MIB + 100)
                file.write(b"\0")

    with pytest.raises(LabError, match="does not hold what was written to it at 2 MiB"):
        plan_media(image, stick.node, listing=lambda: [stick]).run(flip)


def test_who_stops_the_reading_back_is_not_told_that_nothing_boots(image: Path, stick: BlockDevice) -> None:
    def stop(at: Progress) -> None:
        if at.stage == "reading back":
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="is written, and not all of it was read back"):
        plan_media(image, stick.node, listing=lambda: [stick]).run(stop)


@pytest.mark.parametrize("stage", ["writing", "reading back"])
def test_an_image_that_is_built_anew_meanwhile_is_no_fault_of_the_stick(
    image: Path, stick: BlockDevice, stage: str
) -> None:
    def build(at: Progress) -> None:
        if at.stage == stage:
            with image.open("r+b") as file:
                file.seek(2 * MIB)
                file.write(b"new")
            os.utime(image, (0, 0))

    with pytest.raises(ImageError, match=r"rescue\.img changed while it was in use"):
        plan_media(image, stick.node, listing=lambda: [stick]).run(build)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"removable": False, "bus": "ata"}, "neither removable nor on USB"),
        ({"mounts": ("/media/me/STICK",)}, "mounted at /media/me/STICK"),
        ({"mounts": ("/media/x", "/boot/efi")}, r"the running system is on it \(/boot/efi\)"),
        ({"mounts": ("swap",)}, r"the running system is on it \(swap\)"),
        ({"holders": ("dm-0",)}, "in use by dm-0"),
        ({"read_only": True}, "write-protected"),
        ({"size_bytes": 0}, "no medium in it"),
        ({"sector_bytes": 4096}, "sectors have 4096 bytes, and images of sticks are made for 512"),
        ({"size_bytes": 2 * MIB}, r"it has 2 MiB, and 7 MiB are needed"),
    ],
)
def test_what_must_not_be_written_is_refused_before_it_is_opened(
    image: Path, stick: BlockDevice, changes: dict[str, object], sentence: str
) -> None:
    listed = replace(stick, node="/dev/that-is-not-there", **changes)  # type: ignore[arg-type]
    with pytest.raises(LabError, match=sentence):
        plan_media(image, listed.node, listing=lambda: [listed])


def test_a_usb_hard_disk_that_says_it_is_not_removable_is_allowed(image: Path, stick: BlockDevice) -> None:
    disk = replace(stick, removable=False)
    assert plan_media(image, disk.node, listing=lambda: [disk]).device is disk


def test_a_device_is_named_by_any_path_that_leads_to_it_and_never_by_a_partition(
    image: Path, stick: BlockDevice, tmp_path: Path
) -> None:
    listed = replace(stick, partitions=(f"{stick.node}1",))
    by_id, part = tmp_path / "usb-Ultra", tmp_path / "usb-Ultra-part1"
    by_id.symlink_to(stick.node)
    part.symlink_to(f"{stick.node}1")
    for name in (stick.node, str(by_id), f"{tmp_path}/../{tmp_path.name}/sdb"):
        assert plan_media(image, name, listing=lambda: [listed]).device is listed
    for name in (f"{stick.node}1", str(part)):
        with pytest.raises(UsageError, match="sdb1 is a partition"):
            plan_media(image, name, listing=lambda: [listed])
    with pytest.raises(UsageError, match="is no disk of this host") as caught:
        plan_media(image, "/dev/sdz", listing=lambda: [listed])
    assert str(listed) in str(caught.value.hint)


def test_a_device_that_is_another_one_by_now_is_not_written(image: Path, stick: BlockDevice) -> None:
    for other in (replace(stick, number=0x810), replace(stick, sequence=7)):
        with pytest.raises(LabError, match="is another device now"):
            plan_media(image, stick.node, listing=lambda other=other: [other])
    planned = plan_media(image, stick.node, listing=lambda: [stick])
    larger = Path(stick.node)
    larger.write_bytes(b"\xa5" * 21 * MIB)  # pulled out, and another one plugged in, while it was asked
    with pytest.raises(LabError, match="is another device now"):
        planned.run()
    assert larger.read_bytes() == b"\xa5" * 21 * MIB
    larger.unlink()
    with pytest.raises(LabError, match="is not there any more"):
        planned.run()


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("writing", r"went away while writing at 1 MiB: it was pulled out"),
        ("reading back", r"went away while reading at \d MiB: it was pulled out"),
    ],
)
def test_a_stick_that_is_pulled_out_is_not_called_bad(
    image: Path, stick: BlockDevice, stage: str, sentence: str
) -> None:
    def pull(at: Progress) -> None:
        if at.stage == stage and at.done > MIB:
            os.truncate(stick.node, 0)
            # The kernel fails every write to a disk that is not there; a file would grow again.
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    planned = plan_media(image, stick.node, listing=lambda: [stick])
    try:
        with pytest.raises(LabError, match=sentence):
            planned.run(pull)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_write_that_fails_is_told_with_its_reason_and_place(image: Path, stick: BlockDevice) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    planned = plan_media(image, stick.node, listing=lambda: [stick])
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, limits[1]))
    try:
        with pytest.raises(LabError, match=r"writing .*sdb at 19 MiB failed: file too large") as caught:
            planned.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "not to be trusted" in str(caught.value.hint)


def test_what_is_on_the_stick_is_known_before_it_is_overwritten(image: Path, stick: BlockDevice) -> None:
    planned = plan_media(image, stick.node, listing=lambda: [stick])
    assert str(planned.contents) == "data of an unknown kind"
    planned.run()
    again = plan_media(image, stick.node, listing=lambda: [stick])
    assert str(again.contents).startswith("GPT (2 partitions), ")


def test_what_is_no_image_is_refused(tmp_path: Path, stick: BlockDevice) -> None:
    small = tmp_path / "page.html"
    small.write_text("<html>not found</html>")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (small, tmp_path / "absent", tmp_path, pipe):
        with pytest.raises(UsageError):
            plan_media(path, stick.node, listing=lambda: [stick])


def test_mounts_and_swap_are_told_by_number_and_node() -> None:
    mountinfo = (
        "36 35 98:0 / /mnt/two\\040words rw,noatime master:1 - ext4 /dev/sdb1 rw\n"
        "40 35 0:33 / /home rw - btrfs /dev/sdc2 rw\n"
    )
    swaps = "Filename\tType\tSize\tUsed\tPriority\n/dev/sdd3 partition 8 0 -2\n"
    assert mounted_sources(mountinfo, swaps) == {
        "98:0": ("/mnt/two words",),
        "/dev/sdb1": ("/mnt/two words",),
        "0:33": ("/home",),
        "/dev/sdc2": ("/home",),
        "/dev/sdd3": ("swap",),
    }


def test_this_hosts_own_disks_are_listed_and_none_with_its_root_may_be_written(image: Path) -> None:
    for device in block_devices():
        if "/" in device.mounts:
            with pytest.raises(LabError, match="the running system is on it"):
                plan_media(image, device.node)


def test_numbers_of_devices_have_more_than_eight_bits() -> None:
    assert number_text(os.makedev(259, 300)) == "259:300"
