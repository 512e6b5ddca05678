"""A capture over the console: whatever a line loses, no wrong byte is ever taken for a right one."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.assets import asset
from bringup.base.errors import LabError
from bringup.base.events import Event
from bringup.probe.console_capture import LINE_BYTES, CaptureReader
from bringup.probe.on_board import CAPTURE_NAME, ConsoleCapture

LIMIT = 1 << 20
DATA = random.Random(1).randbytes(5000)


def frame(data: bytes, sha256: str | None = None) -> list[bytes]:
    """The lines that the ramdisk writes in one round."""
    digest = sha256 or hashlib.sha256(data).hexdigest()
    lines = [f"bringup-capture: begin {len(data)} {digest}"]
    for number, at in enumerate(range(0, len(data), LINE_BYTES), 1):
        part = data[at : at + LINE_BYTES]
        lines.append(f"bringup-capture: {number} {zlib.crc32(part):08x} {base64.b64encode(part).decode()}")
    return [f"{line}\r\n".encode() for line in [*lines, "bringup-capture: end"]]


def read(data: bytes, limit: int = LIMIT) -> CaptureReader:
    reader = CaptureReader(limit)
    reader.feed(data)
    return reader


@given(st.binary(min_size=1, max_size=2000), st.lists(st.integers(1, 300), min_size=1, max_size=8))
def test_any_capture_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    reader, stream, at, turn = CaptureReader(LIMIT), b"noise" + b"".join(frame(data)), 0, 0
    while at < len(stream):
        step = cuts[turn % len(cuts)]
        reader.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    assert reader.capture == data


def test_lines_that_one_round_loses_come_from_another() -> None:
    lines, chance = frame(DATA), random.Random(2)
    reader = CaptureReader(LIMIT)
    for _ in range(8):
        kept = [line for line in lines if chance.random() > 0.5]
        reader.feed(b"[   12.3] kernel words ".join(kept))
    assert reader.capture == DATA


@settings(max_examples=60)
@given(st.data())
def test_damage_is_never_taken_for_the_capture(data: st.DataObject) -> None:
    stream = bytearray(b"".join(frame(DATA[:500])))
    for _ in range(data.draw(st.integers(1, 20))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    assert read(bytes(stream)).capture in (None, DATA[:500])


@given(st.binary(max_size=500))
def test_any_bytes_are_survived(noise: bytes) -> None:
    assert read(noise + b"\nbringup-capture: " + noise + b"\n").capture is None


@pytest.mark.parametrize(
    "lines",
    [
        [b"bringup-capture: begin 999999999 " + b"0" * 64],
        [b"bringup-capture: begin 0 " + b"0" * 64],
        frame(DATA)[1:],
        frame(DATA, "0" * 64),
        [*frame(DATA)[:1], *[b"bringup-capture: 9999999 00000000 QUJD\n"] * 10],
    ],
)
def test_what_does_not_add_up_gives_nothing(lines: list[bytes]) -> None:
    reader = read(b"\n".join(lines) + b"\n")
    assert reader.capture is None
    # A later, right round still counts.
    reader.feed(b"".join(frame(DATA)))
    assert reader.capture == DATA


def test_a_line_without_end_takes_no_memory() -> None:
    reader = CaptureReader(LIMIT)
    for _ in range(100):
        reader.feed(b"x" * 100_000)
    assert len(reader._rest) < 2000
    reader.feed(b"\n" + b"".join(frame(DATA)))
    assert reader.capture == DATA


def test_the_ramdisks_words_are_told_without_its_troubles() -> None:
    reader = read(b"bringup probe: started\r\nbringup probe: trouble: no link on eth0 within 40 s\r\n")
    assert reader.said == ["started"]


def test_it_is_kept_once_and_told(tmp_path: Path) -> None:
    events: list[Event] = []
    capture = ConsoleCapture(tmp_path, events.append)
    for line in frame(DATA) * 2:
        capture.feed(line)
    assert (tmp_path / CAPTURE_NAME).read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == [CAPTURE_NAME]
    assert [event.kind for event in events if event.kind == "console.upload"] == ["console.upload"]
    assert next(e for e in events if e.kind == "console.upload_progress").data["size"] == len(DATA)


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    capture = ConsoleCapture(tmp_path / "gone", lambda _event: None)
    with pytest.raises(LabError, match="cannot keep the capture"):
        capture.feed(b"".join(frame(DATA)))


@pytest.mark.parametrize("size", [1, 95, 96, 97, 20_000])
def test_the_ramdisks_own_shell_writes_what_is_read(size: int, tmp_path: Path) -> None:
    """The function `frame_lines` of the ramdisk's init, with the programs that it has there."""
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed")
    init = asset("probes/linux/init").read_text()
    body = init[init.index("frame_lines() {") : init.index("send_by_console() {")]
    # In the ramdisk these names are busybox; here they must not be the host's.
    body = re.sub(r"\b(xxd|base64|paste|awk)(?= -| ')", r"busybox \1", body).replace("/tmp/", f"{tmp_path}/")  # noqa: S108
    data = random.Random(size).randbytes(size)
    (tmp_path / "capture").write_bytes(data)
    done = subprocess.run(
        ["busybox", "sh", "-c", f"{body}\nframe_lines"], capture_output=True, check=True, timeout=30
    )
    begin = frame(data)[0]
    assert read(begin + done.stdout).capture == data
    assert done.stdout.splitlines() == [line.strip() for line in frame(data)[1:-1]]
