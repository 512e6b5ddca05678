"""One console taken apart: however its bytes are cut, each writer has his own text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bringup.transcript.streams import Demultiplexer
from bringup.twin.scripted.vms.server import HEARTBEAT_S, SerialServer
from bringup.verify.vms.texts import KEPT, Texts, lines_of

GUESTS = {
    guest: next(Demultiplexer().feed(b"\x1b[0m\x1b[%d;47mx" % colour))[0]
    for guest, colour in enumerate((32, 34, 35))
}
WORDS = st.text("abc ~=@#\r\n", max_size=30)
SAYINGS = st.lists(st.tuples(st.sampled_from([0, 1, 2]), WORDS, st.booleans()), max_size=20)


def served(sayings: list[tuple[int, str, bool]]) -> bytes:
    line = bytearray()
    server = SerialServer(3, line.extend, lambda _guest, _key: None)
    for guest, text, beat in sayings:
        server.write(guest, text.encode())
        if beat:
            server.heartbeat()
    for _ in range(4):
        server.heartbeat()
    return bytes(line)


@given(SAYINGS, st.lists(st.integers(1, 40), max_size=30))
def test_everyone_has_his_own_text_whatever_is_flushed_when_and_cut_where(
    sayings: list[tuple[int, str, bool]], cuts: list[int]
) -> None:
    line = served(sayings)
    texts = Texts()
    start = texts.place()
    at = 0
    for size in (*cuts, len(line)):
        texts.receive(line[at : at + size])
        at += size
    for guest, writer in GUESTS.items():
        want = "".join(text for who, text, _ in sayings if who == guest)
        assert texts.since(start, writer) == lines_of(want)


@given(SAYINGS, SAYINGS)
def test_a_place_parts_what_came_before_from_what_came_after(
    before: list[tuple[int, str, bool]], after: list[tuple[int, str, bool]]
) -> None:
    texts = Texts()
    texts.receive(served(before))
    place = texts.place()
    texts.receive(served(after))
    for guest, writer in GUESTS.items():
        assert texts.since(place, writer) == lines_of("".join(t for who, t, _ in after if who == guest))
    assert set(texts.heard_since(place)) <= set(GUESTS.values())


def test_nuls_and_line_ends_of_any_kind_are_one() -> None:
    texts = Texts()
    place = texts.place()
    texts.receive(
        b"\x1b[0m\x1b[32;47mStarting logg\0ing: OK\r\n\r\x1b[0m\x1b[34;47mother\r\n\r\x1b[0m\x1b[32;47mnext\n"
    )
    assert texts.since(place, GUESTS[0]) == "Starting logging: OK\nnext\n"


def test_memory_is_bounded_and_the_end_is_what_is_kept() -> None:
    texts = Texts()
    start = texts.place()
    for number in range(40_000):
        texts.receive(b"%06d and some more text\n" % number)
    late = texts.place()
    texts.receive(b"last\n")
    assert texts.all_since(late) == "last\n"
    assert len(texts.all_since(start)) <= 2 * KEPT
    assert texts.all_since(start).endswith("039999 and some more text\nlast\n")


def test_the_server_flushes_as_the_real_one() -> None:
    line = bytearray()
    given_keys: list[tuple[int, int]] = []
    server = SerialServer(2, line.extend, lambda guest, key: given_keys.append((guest, key)))
    server.write(0, b"no line end")
    assert not line, "it waits for the heartbeat"
    server.heartbeat()
    assert line == b"\x1b[0m\x1b[32;47mno line end"
    server.write(0, b"!")
    assert line.endswith(b"end!"), "who wrote last and is alone writes at once"
    server.write(1, b"half")
    server.write(0, b"held")
    assert line.endswith(b"end!"), "somebody waits, so everybody does"
    server.write(1, b" a line\r\n")
    assert line.endswith(b"\x1b[0m\x1b[34;47mhalf a line\r\n\r")
    for key in b"x@1\r@1y@\r@@@9":
        server.hear(key)
    assert b"Switching input to 1\r\n\r" in line
    assert given_keys == [
        *((0, key) for key in b"x@1\r"),
        *((1, key) for key in b"y@\r@@9"),
    ]
    assert HEARTBEAT_S == 0.5
