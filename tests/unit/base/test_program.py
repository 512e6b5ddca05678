"""A program is run and heard, or the sentence says what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import LabError, MissingProgramError
from bringup.base.program import run_program


def test_it_is_given_its_input_and_speaks_english() -> None:
    assert run_program(["sh", "-c", "cat; echo $LC_ALL"], "dash", timeout_s=10, data=b"in\0") == b"in\0C\n"


def test_one_that_is_missing_names_its_package() -> None:
    with pytest.raises(MissingProgramError, match="the program no-such-program is not installed") as caught:
        run_program(["no-such-program"], "its-package", timeout_s=10)
    assert caught.value.hint == "apt install its-package"


def test_one_that_may_not_be_started_is_told(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(LabError, match="program cannot be started: permission denied"):
        run_program([str(program)], "its-package", timeout_s=10)


@pytest.mark.parametrize(
    ("script", "reason"), [("echo a >&2; echo b >&2; exit 3", "b"), ("exit 1", "no reason")]
)
def test_one_that_fails_has_the_last_word(script: str, reason: str) -> None:
    with pytest.raises(LabError, match=f"sh failed: {reason}") as caught:
        run_program(["sh", "-c", script], "dash", timeout_s=10)
    assert caught.value.hint == "apt install --reinstall dash"


XORRISO_FULL = """\
xorriso : FAILURE : Image size 9894s exceeds free space on media 3070s
libisofs: MISHAP : Image write cancelled
xorriso : NOTE : -return_with SORRY 32 triggered by problem severity FAILURE
grub-mkrescue: error: `xorriso` invocation failed
.
"""


def test_a_full_disk_is_told_as_what_it_is() -> None:
    with pytest.raises(LabError, match="sh failed: xorriso : FAILURE : Image size") as caught:
        run_program(["sh", "-c", "cat >&2; exit 1"], "xorriso", timeout_s=10, data=XORRISO_FULL.encode())
    assert caught.value.hint == "free some space there, or write elsewhere"


def test_one_that_hangs_is_not_waited_for() -> None:
    with pytest.raises(LabError, match="sleep did not finish within 0 s"):
        run_program(["sleep", "60"], "coreutils", timeout_s=0.1)
