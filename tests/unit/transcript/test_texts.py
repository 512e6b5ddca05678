"""Texts that a person waits for: found on lines, and never at the price of the tool's time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.transcript.stages import Sighting, StageReader
from bringup.transcript.texts import TextWatch, WantedTexts, compile_text


@pytest.mark.parametrize(
    "expression",
    [
        r"answer is \d+",
        "^# $",
        r"a{1,4}b{3}",
        r"(ok|done)",
        r"[^]\]*+]+x",
        r"\(a+\)",
        "a.*b",
        r"x\{y",
        "(?i)Ready",
    ],
)
def test_ordinary_expressions_are_taken(expression: str) -> None:
    assert compile_text(expression).pattern == expression


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(a+)+b", "repeat"),
        ("(a|aa)+b", "choice"),
        ("(?:a*b?)*c", "repeat"),
        ("(a{1,50}){1,50}", "repeat"),
        (r"(a)\1", "refers back"),
        ("a*b*c*d*e", "three"),
        ("(", "regular expression"),
        ("a{99999999999}", "expression"),
        ("[", "regular expression"),
    ],
)
def test_what_could_take_for_ever_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        compile_text(expression)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab()|*+?{},.12\\[]^$", max_size=14))
def test_what_is_taken_is_quick(expression: str) -> None:
    try:
        pattern = compile_text(expression)
    except UsageError:
        return
    began = time.process_time()
    pattern.search("a" * 512)
    assert time.process_time() - began < 5.0


def found(data: bytes, until: tuple[str, ...] = (), fail: tuple[str, ...] = ()) -> list[tuple[str, str, int]]:
    reader = StageReader(wanted=WantedTexts.of(until, fail))
    sightings: list[Sighting] = []
    for byte in data:
        sightings += reader.feed(bytes([byte]), 1.0)
    return [(s.which, s.marker, s.line_no) for s in sightings if s.kind == "text"]


def test_lines_and_prompts_are_searched_once_in_the_text_of_one_writer() -> None:
    mixed = b"\x1b[0m\x1b[32mthe answer\x1b[0m\x1b[34;47mother text\x1b[0m\x1b[32m is 42\r\n"
    data = b"one\r\n" + mixed + b"the answer is 42\n# "
    assert found(data, (r"answer is \d+", "^# $")) == [("until", r"answer is \d+", 2), ("until", "^# $", 4)]
    assert found(b"all is bad\n", ("all",), ("bad",)) == [("until", "all", 1), ("fail", "bad", 1)]


def test_only_the_end_of_a_long_line_counts() -> None:
    watch = TextWatch(WantedTexts.of(("needle",), ()))
    assert list(watch.feed(b"needle" + b"x" * 5000 + b"\n")) == []
    assert [hit[0] for hit in watch.feed(b"x" * 5000 + b"needle\n")] == ["until"]
