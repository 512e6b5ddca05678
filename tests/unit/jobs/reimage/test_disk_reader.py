"""What GRUB on a disk says: which slot starts, and when the key is pressed that keeps an image."""

from __future__ import annotations

from typing import Any

import pytest

from bringup.base.errors import BringupError
from bringup.jobs.reimage.disk_boot import DiskReader

B_STARTS = (
    b"bringup: GRUB started from disk\r\nbringup: slot B is started, good is A\r\n/kernel.elf: OK\r\n"
    b"bringup: slot B is whole\r\nbringup: starting kernel\r\n"
)
A_STARTS = b"bringup: slot A is whole\r\nbringup: loading kernel\r\nbringup: starting kernel\r\n"
TRIED = b"\x1b[H\x1b[J\x1b[1;1Hbringup: slot B (0123abcd) was tried, press y to keep it\r\n"


class Ends:
    """Stands for the run and its console: what was typed, told, and what ended it."""

    def __init__(self) -> None:
        self.typed = b""
        self.told: list[str] = []
        self.error: BringupError | None = None

    def write(self, data: bytes) -> None:
        self.typed += data

    def emit(self, source: str, kind: str, text: str = "", **data: Any) -> None:
        self.told.append(kind)

    def abort(self, error: BringupError) -> None:
        self.error = self.error or error


def read(
    *pieces: bytes, wanted: str = "B", image: str | None = None, keep: bool = False
) -> tuple[DiskReader, Ends]:
    ends = Ends()
    reader = DiskReader(ends, ends, wanted, image, keep=keep)  # type: ignore[arg-type]
    for piece in pieces:
        reader.feed(piece)
    return reader, ends


def test_the_slot_that_starts_is_known() -> None:
    reader, ends = read(B_STARTS)
    assert reader.started == "B"
    assert ends.told == ["disk.slot"]
    assert ends.error is None


@pytest.mark.parametrize("size", [1, 7, 50])
def test_lines_may_be_cut_anywhere(size: int) -> None:
    reader, ends = read(*(B_STARTS[at : at + size] for at in range(0, len(B_STARTS), size)))
    assert reader.started == "B"
    assert ends.told == ["disk.slot"]


def test_another_slot_ends_the_run() -> None:
    damaged = b"bringup: slot B damaged\r\n" + A_STARTS
    _, ends = read(damaged)
    assert ends.told == ["disk.damaged", "disk.slot"]
    assert "started slot A, not B" in str(ends.error)


@pytest.mark.parametrize(("image", "ends_it"), [("0123abcd", False), ("ffff0000", True), (None, False)])
def test_the_same_slot_of_another_disk_ends_the_run(image: str | None, ends_it: bool) -> None:
    starts = B_STARTS.replace(
        b"bringup: starting", b"bringup: image 0123abcd is started\r\nbringup: starting"
    )
    _, ends = read(starts, image=image)
    assert ("image 0123abcd from another disk, not ffff0000" in str(ends.error)) is ends_it


def test_a_kernel_that_did_not_start_is_followed_by_the_other_slot() -> None:
    _, ends = read(B_STARTS, b"bringup: starting kernel failed\r\n", A_STARTS)
    assert "started slot A, not B" in str(ends.error)


def start_of(slot: str, image: str) -> list[bytes]:
    lines = (
        "bringup: GRUB started from disk",
        f"bringup: slot {slot} is whole",
        f"bringup: image {image} is started",
        "bringup: starting kernel",
    )
    return [f"{line}\r\n".encode() for line in lines]


@pytest.mark.parametrize("lost", range(4))
def test_any_one_line_may_get_lost(lost: int) -> None:
    for slot, image in (("B", "0123abcd"), ("A", "ffff0000")):
        lines = start_of(slot, image)
        del lines[lost]
        ends = Ends()
        reader = DiskReader(ends, ends, "B", "0123abcd", other_id="ffff0000")  # type: ignore[arg-type]
        for line in lines:
            reader.feed(line)
        assert reader.started == slot
        assert ("started slot A, not B" in str(ends.error)) is (slot == "A")


def test_an_image_that_both_slots_have_tells_no_slot() -> None:
    lines = start_of("B", "0123abcd")
    del lines[1]
    ends = Ends()
    reader = DiskReader(ends, ends, "B", "0123abcd", other_id="0123abcd")  # type: ignore[arg-type]
    reader.feed(b"".join(lines))
    assert (reader.started, ends.error) == (None, None)


def test_a_slot_whose_kernel_did_not_start_is_not_taken_for_the_one_that_follows() -> None:
    ends = Ends()
    reader = DiskReader(ends, ends, "B", "0123abcd", other_id="ffff0000")  # type: ignore[arg-type]
    follows = start_of("A", "ffff0000")
    del follows[:2]
    reader.feed(b"".join([*start_of("B", "0123abcd"), b"bringup: starting kernel failed\r\n", *follows]))
    assert reader.started == "A"
    assert "started slot A, not B" in str(ends.error)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (TRIED + B_STARTS, True),
        (B_STARTS, False),
        (TRIED, False),
        (TRIED + A_STARTS, False),
        (TRIED + b"bringup: slot A damaged\r\n" + B_STARTS, False),
    ],
)
def test_an_image_is_kept_where_the_key_was_pressed_and_its_slot_started_first(
    said: bytes, kept: bool
) -> None:
    reader, _ = read(said, image="0123abcd", keep=True)
    assert reader.kept is kept


def test_no_slot_at_all() -> None:
    _, ends = read(b"bringup: no slot starts, reset the board to try again\r\n")
    assert "no slot of this disk starts" in str(ends.error)


def test_the_key_is_pressed_for_the_image_that_was_tried() -> None:
    reader, ends = read(TRIED[:30], TRIED[30:], TRIED, image="0123abcd", keep=True)
    assert ends.typed == b"y"
    assert reader.pressed


def test_it_is_not_pressed_where_nobody_wants_it() -> None:
    _, ends = read(TRIED)
    assert ends.typed == b""


def test_another_image_is_not_kept() -> None:
    _, ends = read(TRIED, image="ffff0000", keep=True)
    assert ends.typed == b""
    assert "0123abcd" in str(ends.error)


@pytest.mark.parametrize("part", [b"0123abc", b"123abcd", b"", b"0123abcd0", b"0123 bcd"])
def test_an_id_that_did_not_come_whole_names_no_image(part: bytes) -> None:
    starts = B_STARTS.replace(
        b"bringup: starting", b"bringup: image " + part + b" is started\r\nbringup: starting"
    )
    reader, ends = read(starts, image="0123abcd")
    assert (reader.started, ends.error) == ("B", None)
    for kept in ("0123abcd", part.decode()):
        reader, ends = read(TRIED.replace(b"0123abcd", part), image=kept, keep=True)
        assert (ends.typed, reader.pressed, ends.error) == (b"", False, None)
