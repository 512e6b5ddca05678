"""The rows of a batch: of each board what it does, and of many those that matter."""

from __future__ import annotations

import io
import os
import pty
import re
import sys

import pytest

from bringup.base.events import Event
from bringup.jobs.batch import Outcome
from bringup.report.batch_view import BatchView, Row, head_line, shown_rows


def test_a_row_says_of_a_transfer_how_far_it_is_and_else_what_happened_last() -> None:
    view = BatchView(["a", "b"], quiet=True)
    view.heard("a", Event("disk", "disk.chosen", "slot B"))
    assert view.text_of("a") == "slot B"
    sent = {"role": "writing slot B", "sent": 16 << 20, "size": 64 << 20, "rate": 8 << 20, "left_s": 6}
    view.heard("a", Event("disk", "disk.progress", "writing slot B", sent))
    assert view.text_of("a") == "writing slot B 16 MiB of 64 MiB, 25 %, 8.0 MiB/s, 6 s left"
    assert view.text_of("b") == "waits for its turn"


def rack(*, failed: int = 0, working: int = 0, ok: int = 0, waiting: int = 0) -> dict[str, Row]:
    """A rack: first those that are ok, then the failed ones, those at work, those that wait."""
    rows = [Row(1.0, "", Outcome("", "ok", 0, "user-space", seconds=10.0)) for _ in range(ok)]
    rows += [Row(float(n), "", Outcome("", "lab", 10, cause="dead", seconds=1.0)) for n in range(failed)]
    rows += [Row(20.0, "waiting for dhcp") for _ in range(working)]
    rows += [Row() for _ in range(waiting)]
    return {f"b{number:02}": row for number, row in enumerate(rows, 1)}


def states(rows: dict[str, Row], room: int) -> list[str]:
    return [rows[name].state for name in shown_rows(rows, room)]


def test_where_all_have_room_all_are_shown_in_their_order() -> None:
    rows = rack(ok=3, failed=2, working=2, waiting=1)
    assert shown_rows(rows, 8) == tuple(rows)


def test_those_at_work_and_those_that_failed_have_room_before_the_others() -> None:
    rows = rack(ok=40, failed=3, working=8, waiting=13)
    assert states(rows, 21).count("at work") == 8
    assert states(rows, 21).count("failed") == 3
    assert states(rows, 11) == ["failed"] * 3 + ["at work"] * 8
    assert len(shown_rows(rows, 21)) == 21


def test_of_many_failed_ones_the_last_are_shown_and_work_is_not_hidden_by_them() -> None:
    rows = rack(failed=40, working=20)
    shown = shown_rows(rows, 10)
    assert states(rows, 10) == ["failed"] * 5 + ["at work"] * 5
    assert shown[:5] == ("b36", "b37", "b38", "b39", "b40")
    assert states(rack(failed=40, working=2), 10) == ["failed"] * 8 + ["at work"] * 2


@pytest.mark.parametrize("room", [-2, 0, 1])
def test_on_the_smallest_screen_there_is_one_row(room: int) -> None:
    assert states(rack(working=3, waiting=3), room) == ["at work"]


def test_the_head_counts_and_says_how_long_it_will_take() -> None:
    rows = rack(ok=2, failed=1, working=2, waiting=4)
    line = head_line(rows, began_s=0.0, now_s=25.0)
    # Two work on, 5 s each of the 10 that it takes; four more of 10 s, two at a time.
    assert line == ("9 boards: 2 ok, 1 failed, 2 at work, 4 waiting     25 s, about 25 s left")
    assert head_line(rack(working=1), 0.0, 25.0).endswith("     25 s")


class Terminal(io.TextIOWrapper):
    """A terminal, and what was drawn there."""

    def __init__(self) -> None:
        self._far, near = pty.openpty()
        super().__init__(os.fdopen(near, "wb", buffering=0), encoding="utf-8", write_through=True)

    def drawn(self) -> str:
        os.set_blocking(self._far, False)
        text = b""
        try:
            while data := os.read(self._far, 65536):
                text += data
        except OSError:
            return text.decode(errors="replace")
        return text.decode(errors="replace")


@pytest.mark.parametrize(("lines", "columns"), [(24, 80), (40, 120), (6, 60)])
def test_what_is_drawn_of_64_boards_fits_the_screen(
    lines: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # rich asks the descriptors 0 to 2 for their size, which are not this terminal.
    for name, value in (("LINES", lines), ("COLUMNS", columns), ("TERM", "xterm")):
        monkeypatch.setenv(name, str(value))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    names = [f"shelf-{number:02}" for number in range(1, 65)]
    with BatchView(names) as view:
        for name in names[:20]:
            view.began(name)
            view.heard(name, Event("dhcp", "dhcp.ack", f"{name} is given an address, " + "and " * 40))
        for name in names[:12]:
            bad = name == "shelf-03"
            view.ended(Outcome(name, "lab", 10, cause="dead " * 40) if bad else Outcome(name, "ok", 0))
        terminal.drawn()
        assert view._live is not None  # what its thread does four times a second
        view._live.refresh()
        drawn = terminal.drawn()
    text = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip("\r") for line in drawn.split("\n")]
    text = [line for line in text if line.strip()]
    assert len(text) < lines
    assert max(map(len, text)) <= columns
    assert "64 boards: 11 ok, 1 failed, 8 at work, 44 waiting" in text[0]
    assert any("shelf-03" in line for line in text)
    assert " more" in text[-1]


def test_a_row_tells_what_is_awaited_and_no_packet_nor_line_of_the_console() -> None:
    view = BatchView(["a"], quiet=True)
    view.began("a")
    view.heard("a", Event("run", "run.step", "watch all", {"step": "watch", "state": "begin"}))
    view.heard("a", Event("run", "run.waiting", "waiting for loader"))
    view.heard("a", Event("dhcp", "dhcp.ack", "52:54:00:00:00:01 is given 10.0.0.30"))
    view.heard("a", Event("tftp", "tftp.start", "/undionly.kpxe"))
    view.heard("a", Event("console", "console.stage", "iPXE 1.0.0+"))
    view.heard("a", Event("twin", "twin.held_up", "this host is busy"))
    assert view.text_of("a") == "waiting for loader"
    view.heard("a", Event("power", "bmc.silent", "the BMC does not answer"))
    assert view.text_of("a") == "the BMC does not answer"
    view.heard("a", Event("run", "run.step", "detach the console", {"step": "c", "state": "begin"}))
    view.heard("a", Event("run", "run.step", "stop serving", {"step": "s", "state": "done"}))
    assert view.text_of("a") == "detach the console"
