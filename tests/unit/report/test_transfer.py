"""How far a transfer came, in words."""

from __future__ import annotations

import io

import pytest

from bringup.report.transfer import TransferLine, duration_text, progress_text

MIB = 1 << 20


def test_it_says_how_much_how_fast_and_how_long() -> None:
    assert progress_text("writing", 230 * MIB, 512 * MIB, 6.0) == (
        "writing  44 %  230 MiB of 512 MiB  38 MiB/s  7 s left"
    )
    assert (
        progress_text("writing", 512 * MIB, 512 * MIB, 16.0) == "writing 100 %  512 MiB of 512 MiB  32 MiB/s"
    )
    assert progress_text("writing", 0, 512 * MIB, 3.0) == "writing   0 %  0 B of 512 MiB"
    assert progress_text("writing", 0, 0, 0.0) == "writing 100 %  0 B of 0 B"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_times_are_said_as_a_person_waits_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_pipe_gets_a_line_for_each_quarter(capsys: pytest.CaptureFixture[str]) -> None:
    with TransferLine(io.StringIO()) as line:
        for done in range(101):
            line.show("writing", done * MIB, 100 * MIB, done / 10)
    said = capsys.readouterr().err.splitlines()
    assert [text.split("%")[0].strip() for text in said] == [
        "writing   0",
        "writing  25",
        "writing  50",
        "writing  75",
        "writing 100",
    ]
