"""What is typed and what is believed: against real shells, and every way of losing characters."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.verify.vms.protocol import (
    LINE_MAX,
    Answer,
    Refused,
    assignments,
    cksum,
    command_lines,
    is_switched,
    marker_line,
    print_line,
    read_answer,
    setup_lines,
    switch_keys,
)
from bringup.verify.vms.texts import lines_of

SHELLS = [["dash"], ["bash"], ["busybox", "sh"]]
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300)
LINES = st.lists(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40), max_size=6
)


def said(ident: str, lines: list[str], code: int = 0) -> str:
    """What a guest prints, made here and not by the code that reads it."""
    body = "".join(f"{line}\n" for line in [*lines, f"={code} {ident}"])
    done = subprocess.run(["cksum"], input=body.encode(), capture_output=True, check=True)
    return f"~{ident} has {'.'.join(done.stdout.decode().split())}\n{body}~{ident} end\n"


@given(st.binary(max_size=400))
def test_the_checksum_is_that_of_cksum(data: bytes) -> None:
    told = subprocess.run(["cksum"], input=data, capture_output=True, check=True).stdout.decode().split()
    assert cksum(data) == ".".join(told)


@given(PRINTABLE)
def test_a_value_is_typed_in_short_lines_of_which_none_is_a_command_of_the_server(value: str) -> None:
    lines = list(assignments("_c", value))
    assert all(len(line) <= LINE_MAX and not line.startswith("@") for line in lines)
    script = "\n".join([*lines, 'printf %s "$_c"'])
    done = subprocess.run(["dash"], input=script.encode(), capture_output=True, check=True)
    assert done.stdout.decode() == value


def test_what_cannot_be_typed_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be typed"):
        list(assignments("_c", "two\nlines"))


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell[0])], ids=" ".join)
def test_real_shells_run_a_command_and_say_it_again(shell: list[str]) -> None:
    lines, ready, bad = setup_lines(2, "a1")
    command = "printf 'a\\tb\\n\\n  it'\"'\"'s\\n'; exit 7"
    script = [*lines, *command_lines(2, "a2", command), print_line("a2"), *command_lines(1, "a3", "echo no")]
    assert all(len(line) <= LINE_MAX for line in script)
    done = subprocess.run(shell, input="\n".join([*script, ""]).encode(), capture_output=True, check=False)
    text = done.stdout.decode()
    assert ready in text and bad not in text
    assert read_answer(text, "a2") == Answer(7, ("a b", "  it's"))
    assert text.count("~a2 end") == 2
    assert read_answer(text, "a3") == Refused(command=True), "it was meant for another VM"


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell[0])], ids=" ".join)
def test_a_setup_that_lost_a_character_defines_nothing(shell: list[str]) -> None:
    lines, ready, _bad = setup_lines(0, "a1")
    whole = "\n".join([*lines, ""])
    for at in range(0, len(whole), 7):
        broken = whole[:at] + whole[at + 1 :]
        done = subprocess.run(shell, input=broken.encode(), capture_output=True, check=False, timeout=120)
        # Blanks between words are of no meaning, and a quote may be made up for by the next.
        if ready in done.stdout.decode():
            again = f"{broken}\n_c=true\n_q b1 {cksum(b'0:true')}\n"
            done = subprocess.run(shell, input=again.encode(), capture_output=True, check=False, timeout=120)
            assert read_answer(done.stdout.decode(), "b1") == Answer(0, ()), at


def test_an_echo_is_no_answer() -> None:
    typed = "\n".join([*setup_lines(0, "a1")[0], marker_line("a2"), *command_lines(0, "a3", "id"), ""])
    assert setup_lines(0, "a1")[1] not in typed
    assert "~a2 here" not in typed
    assert read_answer(typed, "a3") is None


@given(LINES, st.integers(0, 255))
def test_a_whole_answer_is_read(lines: list[str], code: int) -> None:
    assert read_answer("# " + said("7f", lines, code), "7f") == Answer(code, tuple(lines))


@given(LINES, st.data())
def test_an_answer_that_lost_anything_is_never_another_answer(lines: list[str], data: st.DataObject) -> None:
    whole = said("7f", lines)
    gone = data.draw(st.sets(st.integers(0, len(whole) - 1), max_size=8))
    got = read_answer(lines_of("".join(c for at, c in enumerate(whole) if at not in gone)), "7f")
    assert got in (None, Refused(command=False), Answer(0, tuple(lines)))


@given(LINES, LINES, st.integers(0, 60), st.text("abc~=0 \n", min_size=1, max_size=20))
def test_text_that_came_between_breaks_an_answer_and_a_second_copy_mends_it(
    lines: list[str], earlier: list[str], at: int, between: str
) -> None:
    first = said("7f", lines)
    broken = first[:at] + between + first[at:]
    got = read_answer(lines_of(said("6e", earlier) + broken), "7f")
    assert got in (None, Refused(command=False), Answer(0, tuple(lines)))
    assert read_answer(lines_of(broken + said("7f", lines)), "7f") == Answer(0, tuple(lines))


def test_an_answer_to_an_earlier_question_is_none() -> None:
    assert read_answer(said("7e", ["42"]), "7f") is None
    # Printed again under a name that it was not asked under: the command never ran.
    body = "42\n=0 7e\n"
    assert read_answer(f"~7f has {cksum(body.encode())}\n{body}~7f end\n", "7f") == Refused(command=False)


def test_the_keyboard_is_turned_only_by_the_servers_whole_words() -> None:
    assert switch_keys(1) == b"\r@1"
    assert switch_keys(10) == b"\r@:"
    assert switch_keys(2, again=True) == b"\r\r@2"
    assert is_switched("\nSwitching input to 1\n", 1)
    assert not is_switched("\nSwitching input to 1", 1), "it may be 11"
    assert not is_switched("\nSwitching input to 1\nx\nSwitching input to 0\n", 1)
    assert not is_switched("\nSwitching inpt to 1\n", 1)
