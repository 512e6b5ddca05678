"""How text reaches a terminal or a pipe: colours only where wanted, control characters never."""

from __future__ import annotations

import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from bringup.base.errors import LabError, UsageError
from bringup.report.output import answer, say, show_error
from bringup.report.style import emphasis, glyph, table
from tests.doubles.screen import Screen

UNREACHABLE = LabError("no answer", hint="check the cable")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_colours_on_a_terminal() -> None:
    with redirect_stderr(Screen()) as screen:
        say(f"{glyph('ok')} power")
    assert screen.shown == "\x1b[32m●\x1b[0m power\x1b[0m\n"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_not_wanted(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with redirect_stderr(Screen()) as screen:
        say(f"{glyph('bad')} {emphasis('x')} \x1b[31mred\x1b[0m")
    assert screen.shown == "✖ x red\n"


def test_plain_glyphs_where_the_encoding_has_no_others() -> None:
    with redirect_stderr(Screen("ascii", terminal=False)) as screen:
        say(f"{glyph('ok')}{glyph('bad')}{glyph('idle')} é")
    assert screen.shown == "*xo \\xe9\n"


def test_control_characters_do_not_reach_the_terminal() -> None:
    with redirect_stderr(Screen()) as screen:
        say("a\x1b]52;c;aGk=\x07b\x1b[2Jc\x9b6n\rd\x00\te")
    assert screen.shown == "a?]52;c;aGk=?b?[2Jc?6n?d?\te\n"


def test_text_that_turns_writing_round_does_not_reach_the_terminal() -> None:
    with redirect_stderr(Screen()) as screen:
        say("a\u202eb\u2066c\u2028d")
    assert screen.shown == "a?b?c?d\n"


def test_our_own_signs_have_a_form_in_ascii() -> None:
    with redirect_stderr(Screen("ascii", terminal=False)) as screen:
        say("a long na… 1 → 2")
    assert screen.shown == "a long na... 1 -> 2\n"


def test_a_sentence_is_one_line_whatever_it_quotes() -> None:
    with redirect_stderr(Screen(terminal=False)) as screen:
        show_error(LabError("no file a\nb"), as_json=False)
    assert screen.shown == "✖ lab: no file a b  (exit 10)\n"


def test_the_line_that_a_sentence_is_about_stands_below_it() -> None:
    with redirect_stderr(Screen(terminal=False)) as screen:
        show_error(
            UsageError("a.camkes:2:3: a ; is missing behind 1\n      x = 1", hint="add it"), as_json=False
        )
    assert screen.shown == (
        "✖ usage: a.camkes:2:3: a ; is missing behind 1  (exit 2)\nseen      x = 1\ndo        add it\n"
    )


def test_each_stream_has_its_own_colours_and_signs() -> None:
    with redirect_stdout(Screen("ascii", terminal=False)) as piped, redirect_stderr(Screen()) as screen:
        answer(f"{glyph('ok')} 1 → 2", emphasis("é"))
        say(f"{glyph('idle')} noted")
    assert piped.shown == "* 1 -> 2\n\\xe9\n"
    assert screen.shown == "\x1b[2m○\x1b[0m noted\x1b[0m\n"


def test_control_characters_do_not_reach_an_answers_reader() -> None:
    with redirect_stdout(Screen(terminal=False)) as piped:
        answer("a\x1b[2Jb\udcff")
    assert piped.shown == "a?[2Jb\\udcff\n"


@pytest.mark.parametrize("streams", ["|", "2>&1 |"])
@pytest.mark.parametrize(("words", "code"), [("boards", 0), ("runs --json", 0), ("boards show e3000", 2)])
def test_a_reader_who_leaves_ends_nothing(streams: str, words: str, code: int) -> None:
    # The reader is gone before anything is written: `head -1` would leave at a moment of its own.
    shell = f'{{ sleep 1; "$0" -m bringup {words}; echo $? >&3; }} {streams} true'
    done = subprocess.run(
        ["bash", "-c", f"exec 3>&1; {shell}", sys.executable], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == f"{code}\n"
    assert done.stderr.count("\n") == (1 if code and streams == "|" else 0) * 2


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        (">&-", 10, "✖ lab: cannot write to standard output: it is closed  (exit 10)\n"),
        (">/dev/full", 10, "✖ lab: cannot write to standard output: no space left on device  (exit 10)\n"),
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
    ],
)
@pytest.mark.parametrize("words", ["", "--json"])
def test_output_that_cannot_be_written_is_a_sentence(
    words: str, redirection: str, code: int, told: str
) -> None:
    shell = f'"$0" -m bringup boards {words} {redirection}'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (code, told)


def test_an_error_is_told_in_words_where_its_json_cannot_be_written() -> None:
    shell = '"$0" -m bringup pci diff no-such-1 no-such-2 --json >&-'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("✖ usage: no-such-1 is neither")


def test_a_table_is_aligned_whatever_its_colours() -> None:
    with redirect_stderr(Screen()) as screen:
        say(table(["name", "n"], [[emphasis("ab"), "1"], ["abcdef", "2\x1b[H2"]]))
    for code in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
        assert code in screen.shown
    plain = screen.shown.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert plain.splitlines() == ["name    n", "ab      1", "abcdef  2?[H2"]


def test_errors_carry_their_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(UNREACHABLE, as_json=False)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "✖ lab: no answer  (exit 10)\ndo        check the cable\n"
    show_error(UNREACHABLE, as_json=True)
    told = capsys.readouterr()
    assert (
        told.out == '{"verdict": "lab", "exit_code": 10, "cause": "no answer", "hint": "check the cable"}\n'
    )
    assert told.err == ""
