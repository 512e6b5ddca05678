"""The row of a board in a batch."""

from __future__ import annotations

from bringup.base.events import Event
from bringup.report.batch import BatchView


def test_a_row_says_of_a_transfer_how_far_it_is_and_else_what_happened_last() -> None:
    view = BatchView(["a", "b"], quiet=True)
    view.heard("a", Event("disk", "disk.chosen", "slot B"))
    assert view.text_of("a") == "slot B"
    sent = {"role": "writing slot B", "sent": 16 << 20, "size": 64 << 20, "rate": 8 << 20, "left_s": 6}
    view.heard("a", Event("disk", "disk.progress", "writing slot B", sent))
    assert view.text_of("a") == "writing slot B 16 MiB of 64 MiB, 25 %, 8.0 MiB/s, 6 s left"
    assert view.text_of("b") == "waits for its turn"
