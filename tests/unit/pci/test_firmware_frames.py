"""The firmware probe's frames: whatever a console loses is recovered by asking again, or named."""

from __future__ import annotations

import base64
import binascii
import random
import struct
import time
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bringup.pci.sources.firmware.frames import (
    BANNER,
    FRAME_PAYLOAD,
    RECORD_BYTES_MAX,
    REPORT_BYTES_MAX,
    Frame,
    FrameReader,
    decode_frame,
    unpack,
)
from tests.firmware.wire import Board, encode_frame, pack

FRAMES_MAX = 65535  # probes/firmware/frame.h


def bodies_of(reader: FrameReader) -> list[bytes]:
    return [record.body for record in reader.records()]


bodies = st.lists(st.binary(max_size=300), max_size=12)


@settings(deadline=None)
@given(bodies, st.integers(1, 200))
def test_everything_sent_arrives_however_it_is_cut(sent: list[bytes], step: int) -> None:
    board, reader = Board(sent), FrameReader()
    data = b"some loader\r\n" + BANNER + b"\r\n# a comment\r\n" + board.say_all()
    for at in range(0, len(data), step):
        reader.feed(data[at : at + step])
    assert reader.complete
    assert reader.missing == ()
    assert (reader.total, reader.received, reader.prompts) == (len(board.frames), len(board.frames), 1)
    assert bodies_of(reader) == sent
    assert reader.request() == b"\ndone *b49f\n"


def lossy(data: bytes, random_: random.Random, loss: float) -> bytes:
    """Lose single bytes, and have a second writer put words in, in the middle of lines too."""
    out = bytearray()
    for byte in data:
        if random_.random() < loss / 20:
            out += random_.choice([b"[  12.3] usb: new device\r\n", b"#", b"\x1b[0m", b"\0", b"#B7#"])
        if random_.random() >= loss:
            out.append(byte)
    return bytes(out)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32))
def test_one_byte_in_twenty_lost_is_recovered_by_asking(seed: int) -> None:
    random_ = random.Random(seed)
    sent = [random_.randbytes(random_.randrange(1, 400)) for _ in range(20)]
    board, reader = Board(sent), FrameReader()
    reader.feed(lossy(board.say_all(), random_, 0.05))
    for _ in range(200):
        if reader.complete:
            break
        reader.feed(lossy(board.answer(reader.request()), random_, 0.05))
    assert reader.complete
    assert bodies_of(reader) == sent


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.floats(0.0, 0.3))
def test_what_is_missing_is_named_exactly(seed: int, loss: float) -> None:
    random_ = random.Random(seed)
    sent = [random_.randbytes(random_.randrange(400)) for _ in range(8)]
    board, reader = Board(sent), FrameReader()
    kept = [frame.number for frame in board.frames if random_.random() >= loss]
    reader.feed(board.send(kept))
    named = {number for first, last in reader.missing for number in range(first, last + 1)}
    lost = set(range(len(board.frames))) - set(kept)
    if 0 in kept:
        assert named == lost
        assert reader.complete == (not lost)
    else:
        assert not reader.complete
        assert reader.total is None
        assert named >= {number for number in lost if number < max(kept, default=0)}
    assert set(bodies_of(reader)) <= set(sent)


def test_a_packet_of_sol_lost_here_and_there_takes_few_rounds() -> None:
    random_ = random.Random(1)
    sent = [random_.randbytes(600) for _ in range(130)]
    board, reader = Board(sent), FrameReader()

    def burst(data: bytes) -> bytes:
        return b"".join(data[at : at + 60] for at in range(0, len(data), 60) if random_.random() > 0.05)

    rounds, wire = 0, board.say_all()
    sent_bytes = len(wire)
    reader.feed(burst(wire))
    while not reader.complete:
        rounds += 1
        wire = board.answer(reader.request())
        sent_bytes += len(wire)
        reader.feed(burst(wire))
    assert bodies_of(reader) == sent
    assert rounds <= 20
    assert sent_bytes < 1.25 * len(board.say_all())


def test_a_restart_in_the_log_counts_from_the_last_hello() -> None:
    first, second = Board([b"one", b"two"], run=3), Board([b"three"], run=9)
    reader = FrameReader()
    reader.feed(first.say_all() + b"everything\r\n")
    assert bodies_of(reader) == [b"one", b"two"]
    reader.feed(BANNER + second.say_all())
    assert reader.run == 9
    assert bodies_of(reader) == [b"three"]


def test_what_a_second_start_lost_is_not_taken_from_the_first() -> None:
    first, second = Board([b"one" * 20, b"two"], run=3), Board([b"six" * 20, b"ten"], run=3)
    reader = FrameReader()
    reader.feed(BANNER + first.say_all())
    lost = len(second.frames) - 1
    for byte in BANNER + second.send([0, *range(1, lost)]):
        reader.feed(bytes([byte]))
    assert bodies_of(reader) == [b"six" * 20]
    assert reader.missing == ((lost, lost),)


def test_the_probe_that_starts_again_listens_again_however_its_words_are_cut() -> None:
    ended = b"bringup firmware probe: the other side has everything\r\n"
    reader = FrameReader()
    reader.feed(ended + BANNER)
    assert not reader.ended
    for byte in ended + b"\r\n" + BANNER[:-1]:
        reader.feed(bytes([byte]))
    assert reader.ended
    reader.feed(BANNER[-1:])
    assert not reader.ended


def report_of(payload: bytes, frames: int = FRAMES_MAX) -> FrameReader:
    """A report of whole frames that all start a record in the same way."""
    board = Board([])
    hello = pack(struct.pack("<BHHH", 1, frames, frames - 1, 0))
    head = struct.pack("<II", 1 | len(hello) << 8, zlib.crc32(hello))
    board.frames = [Frame(0, 5, True, head + hello)]
    board.frames += [Frame(number, 5, True, payload) for number in range(1, frames)]
    reader = FrameReader()
    reader.feed(board.say_all())
    return reader


def test_records_that_overlap_are_damaged_and_cost_no_square_of_time() -> None:
    reader = report_of(struct.pack("<II", 2 | 0xFFFFFF << 8, 0))
    started = time.process_time()
    assert reader.missing == ((1, FRAMES_MAX - 1),)
    assert time.process_time() - started < 60  # minutes, when each looked at all that follow


def test_a_record_that_another_one_cuts_is_damaged() -> None:
    board, reader = Board([b"a" * 100, b"b" * 50], run=5), FrameReader()
    start = board.frames[3]
    board.frames[3] = Frame(3, 5, True, Board([b"c"]).frames[1].payload)
    reader.feed(board.say_all())
    assert not reader.complete
    assert (1, 2) in [(first, min(last, 2)) for first, last in reader.missing]
    board.frames[3] = start
    reader.feed(board.say_all())
    assert bodies_of(reader) == [b"a" * 100, b"b" * 50]


def test_what_all_records_unpack_to_is_bounded() -> None:
    bomb = b"\xdf\xff" * 5
    reader = report_of(struct.pack("<II", 4 | len(bomb) << 8, zlib.crc32(bomb)) + bomb, 3000)
    assert sum(map(len, bodies_of(reader))) <= REPORT_BYTES_MAX
    assert not reader.complete


def test_memory_is_bounded_by_runs() -> None:
    reader = FrameReader()
    for run in range(127):
        reader.feed(Board([b"x"], run).send([1]))
    assert len(reader._runs) <= 8


def test_a_damaged_record_is_asked_for_again_whole() -> None:
    board, reader = Board([b"a" * 100, b"b" * 50]), FrameReader()
    good = board.frames[3]
    # Right by its own CRC, wrong in its content: what the record's CRC-32 is for.
    board.frames[3] = Frame(3, good.run, False, bytes(FRAME_PAYLOAD))
    reader.feed(board.say_all())
    assert not reader.complete
    assert reader.missing == ((1, 6),)
    assert bodies_of(reader) == [b"b" * 50]
    board.frames[3] = good
    reader.feed(board.answer(reader.request()))
    assert bodies_of(reader) == [b"a" * 100, b"b" * 50]


def test_a_record_without_its_start_is_asked_for() -> None:
    board, reader = Board([b"a" * 100]), FrameReader()
    board.frames[1] = Frame(1, 5, False, board.frames[1].payload)
    reader.feed(board.say_all())
    assert not reader.complete
    assert reader.missing == ((1, 6),)


def test_the_hello_of_another_version_is_none() -> None:
    board, reader = Board([b"a"]), FrameReader()
    hello = pack(struct.pack("<BHHH", 2, 2, 1, 0))
    head = struct.pack("<II", 1 | len(hello) << 8, zlib.crc32(hello))
    board.frames[0] = Frame(0, 5, True, head + hello)
    reader.feed(board.say_all())
    assert reader.total is None
    assert not reader.complete
    assert b"resend 0" in reader.request()


@given(st.binary(max_size=3000))
@example(b"#" * 2000)
@example(b"#" + b"0" * 30)
def test_noise_is_no_report(noise: bytes) -> None:
    reader = FrameReader()
    reader.feed(noise)
    assert reader.total is None
    assert not reader.complete
    assert reader.request().startswith(b"\nresend 0")


@given(st.binary(min_size=30, max_size=30))
def test_thirty_characters_are_a_frame_only_with_their_check(characters: bytes) -> None:
    frame = decode_frame(characters)
    if frame is not None:
        assert encode_frame(frame) == b"#" + characters


def test_a_frame_is_what_the_c_code_says() -> None:
    text = encode_frame(Frame(0x1234, 5, True, b"bringup"))
    data = base64.b85decode(text[1:].replace(b",", b"#"))
    assert text[:1] == b"#"
    assert data[:3] == bytes([0x34, 0x12, 0x85])
    assert data[3:22] == b"bringup".ljust(19, b"\0")
    assert int.from_bytes(data[22:], "little") == binascii.crc_hqx(data[:22], 0xFFFF)


@pytest.mark.parametrize(
    ("packed", "raw"),
    [
        (b"", b""),
        (b"\x00a\x80", b"a\0\0"),
        (b"\xbf", bytes(65)),
        (b"\xc0\x00", bytes(66)),
        (b"\xdf\xff", bytes(8257)),
        (b"\xe0\xff", b"\xff" * 35),
        (b"\x7f" + bytes(range(128)), bytes(range(128))),
    ],
)
def test_packed_bytes(packed: bytes, raw: bytes) -> None:
    assert unpack(packed) == raw


@pytest.mark.parametrize("packed", [b"\x00", b"\x05abc", b"\xc0", b"\xdf\xff" * (RECORD_BYTES_MAX // 8000)])
def test_packed_bytes_that_are_cut_or_too_many(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"end in the middle|more than 2 MiB"):
        unpack(packed)
