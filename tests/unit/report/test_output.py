"""What a command writes as it is, and what a terminal is not given."""

from __future__ import annotations

from contextlib import redirect_stderr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.report.output import dotted, show_error
from bringup.report.style import colourless
from tests.doubles.screen import Screen


def test_text_stays_and_what_steers_a_terminal_becomes_a_dot() -> None:
    text = '+\tvm0.x = "grün → 1";\n'.encode()
    assert dotted(text) == text
    assert dotted(b"a\x1b[2Jb\x07\rc\xc2\x9b31m\xff\n") == "a·[2Jb··c·31m\ufffd\n".encode()


@given(st.binary(max_size=200))
def test_no_bytes_steer_a_terminal(data: bytes) -> None:
    shown = dotted(data).decode()
    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)
    assert shown.count("\n") == data.count(b"\n")


def test_an_error_is_broken_at_words_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    error = UsageError("a sentence that is long " * 4, hint="what to do " * 10)
    with redirect_stderr(Screen(terminal=False)) as file:
        show_error(error, as_json=False)
    with redirect_stderr(Screen(terminal=True)) as screen:
        show_error(error, as_json=False)
    whole, lines = file.shown.splitlines(), colourless(screen.shown).splitlines()
    assert len(whole) == 2
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join(whole).split())
    assert [line[:2] for line in lines[1:]] == ["  ", "do", "  "]
