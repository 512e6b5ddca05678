"""What a board prints cannot reprogram the terminal of who reads it."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bringup.transcript.clean import TerminalFilter, for_terminal, plain_text

SAFE_ESCAPE = re.compile(rb"\x1b\[[0-9;]{0,32}[ABCDEFGHJKdfm]")

HOSTILE = st.lists(
    st.binary(max_size=20)
    | st.sampled_from(
        [
            b"\x1b",
            b"\x1b[",
            b"\x1b]52;c;aGk=\x07",
            b"\x1bP1$r",
            b"\x1b\\",
            b"\x1b_x",
            b"\x1b^",
            b"\x1bc",
            b"\x9b31m",
            b"\x1b[?1000h",
            b"\x1b[6n",
            b"\x1b[8;1;1t",
            b"\x1b[31m",
            b"\x1b[2J",
            b"\n",
            b"\xc2\x9b",
            b"\xe2\x94\x80",
        ]
    ),
    max_size=30,
).map(b"".join)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\x1b[0m\x1b[32;47mgreen\x1b[m\r\n", b"\x1b[0m\x1b[32;47mgreen\x1b[m\r\n"),
        (b"\x1b[2J\x1b[01;01Hmenu\x1b[K", b"\x1b[2J\x1b[01;01Hmenu\x1b[K"),
        (b"a\x1b]0;title\x07b", b"ab"),
        (b"a\x1b]52;c;cm0gLXJm\x1b\\b", b"ab"),
        (b"a\x1bP+q544e\x1b\\b", b"ab"),
        (b"a\x1b_Gi=1;AAAA\x1b\\b\x1b^x\x1b\\c\x1bXy\x1b\\d", b"abcd"),
        (b"a\x1b[?1049h\x1b[?1000hb", b"ab"),
        (b"a\x1b[6n\x1b[c\x1b[>c\x1b[21tb\x1b[5ic", b"abc"),
        (b"a\x1bcb\x1b(0c\x1b#8d\x1b7e\x1b=f", b"abcdef"),
        (b"a\x9b6nb\x9d0;x\x07c", b"a?6nb?0;xc"),
        (b"a\xc2\x9b6nb", b"a6nb"),
        (b"\x05\x07\x0e\x0f\x11\x7fok", b"ok"),
        ("┌─┐│ü".encode(), b"+-+|?"),
        (b"a\x1b]0;no end\nline", b"a\nline"),
        (b"over\x1b[31\x1b[0mwritten", b"over\x1b[0mwritten"),
        (b"cut off \x1b[3", b"cut off "),
    ],
)
def test_what_is_shown(data: bytes, shown: bytes) -> None:
    assert for_terminal(data) == shown


@settings(max_examples=400, deadline=None)
@given(HOSTILE)
def test_only_harmless_sequences_remain(data: bytes) -> None:
    shown = for_terminal(data)
    rest = SAFE_ESCAPE.sub(b"", shown)
    assert re.fullmatch(rb"[\x08\t\n\r -~]*", rest)
    assert for_terminal(shown) == shown


@settings(max_examples=200, deadline=None)
@given(HOSTILE, st.lists(st.integers(0, 200), max_size=8))
@example(b"\x1bP \x1b \x07", [5])
def test_cutting_changes_nothing(data: bytes, cuts: list[int]) -> None:
    whole, pieces = TerminalFilter(), TerminalFilter()
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    parts = [data[begin:end] for begin, end in pairwise(places)]
    assert b"".join(map(pieces.feed, parts)) == whole.feed(data)


def test_unfinished_string_is_kept_within_bounds() -> None:
    terminal = TerminalFilter()
    assert terminal.feed(b"\x1b]0;" + b"A" * 100_000) == b""
    assert b"\x1b" not in terminal.feed(b"B\x07after\n")
    assert terminal.feed(b"later") == b"later"


def test_plain_text_has_no_escapes_at_all() -> None:
    assert plain_text(b"\x1b[1m<<seL4\x1b[0m\ta\x08\r\x1b]0;x\x07 b") == "<<seL4\t b"
    assert plain_text(b"wait...\b \b\b \b\b \b done\b\b\b\b\b ok") == "wait ok"
