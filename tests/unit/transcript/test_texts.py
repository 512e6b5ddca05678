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
        "(?i:Ready)|(?P<other>done)?x",
        "login: ?$",
        r"(\d{1,3}\.){3}\d{1,3}.*up",
        "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
        "panic|oops|fault|failed|ASSERT|dead|stuck|lost",
        "a.*?b.*?c.*?d",
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
        ("a*b*c*d*e*f", "too many"),
        ("a?" * 40 + "b", "too many"),
        ("(a|a)" * 30 + "b", "too many"),
        ("(a?){30}b", "choice"),
        ("(a*){5}b", "too many"),
        ("((a?b?){4}){4}c", "too many"),
        ("", "every line"),
        ("a*", "every line"),
        ("^", "every line"),
        ("(", "regular expression"),
        ("a{99999999999}", "expression"),
        ("[", "regular expression"),
    ],
)
def test_what_could_take_for_ever_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        compile_text(expression)


@pytest.mark.parametrize(
    "expression", ["a*a*a*b", "a+a+$b", "(?=a*a*b)c", "a{0,65535}a{0,65535}b", "a*?a*?b"]
)
def test_repeats_that_follow_each_other_are_searched_in_less_of_a_line(expression: str) -> None:
    watch = TextWatch(WantedTexts.of((expression,), ()))
    began = time.process_time()
    assert list(watch.feed(b"a" * 600 + b"\n")) == []
    assert time.process_time() - began < 60.0  # hours, where the whole line is searched


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab()|*+?{},.12\\[]^$", max_size=14))
def test_what_is_taken_is_quick(expression: str) -> None:
    try:
        watch = TextWatch(WantedTexts.of((expression,), ()))
    except UsageError:
        return
    began = time.process_time()
    list(watch.feed(b"a" * 512))
    assert time.process_time() - began < 60.0


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
