"""What recording programs add to lines is taken off, and nothing of the console's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.transcript.stamps import LineCleaner

BOOT = b"Boot config: disable_iommu = false\r\n"


def cleaned(*pieces: bytes) -> bytes:
    cleaner = LineCleaner()
    return b"".join(map(cleaner.feed, pieces)) + cleaner.finish()


@pytest.mark.parametrize(
    "added",
    [
        "   6.454 ", "    8.218 s  ", "2026-11-28T10:56:15.031Z  ", "[2026-11-28 10:56:15] ", "10:56:15.031 ",
        "[10:56:15] ", "Nov 28 10:56:15 ", "Nov  8 10:56:15 ", "> ", "> > ", "> 10:56:15 ",
        "> [2026-11-28 10:56:15.1] ", "2026-11-28 10:56:15,031 ", "2026-11-28T10:56:15+01:00 ",
        "[   12.345678] ", "> [   12.345678] ",
    ],
)  # fmt: skip
def test_additions_are_taken_off(added: str) -> None:
    stamped = b"".join(added.encode() + line for line in (BOOT, b"\x1b[0m\x1b[32mtext\r\n", BOOT))
    assert cleaned(stamped) == BOOT + b"\x1b[0m\x1b[32mtext\r\n" + BOOT


@pytest.mark.parametrize(
    "own",
    [
        b"[    0.000000] Linux version 6.1\r\n[    0.100000] ACPI: Core revision\r\n",
        b">>Start PXE over IPv4.\r\n>>Checking Media Presence......\r\n",
        b"  [100000..7ffdf000)\r\n\tPhysical Memory Region from 0 size 9fc00 type 1\r\n",
        b"0x6cb7a0: 0x6cb840\r\n",
        b"PXE-E61: Media test failure\r\n",
        b"3 boards, 2 up\r\nno end",
    ],
)
def test_the_consoles_own_text_stays(own: bytes) -> None:
    assert cleaned(own) == own


def test_cat_v_is_undone_and_our_own_quotes_are_dropped() -> None:
    assert (
        cleaned(b"^[[0m^[[32mtext^M\n" + BOOT[:-2] + b"^M\n") == b"\x1b[0m\x1b[32mtext\n" + BOOT[:-2] + b"\n"
    )
    report = b'   8.5 s  user-space    console line 78: "Booting all finished"\n' + BOOT
    assert b"Booting" not in cleaned(report)


@given(
    st.lists(st.sampled_from([BOOT, b"> ", b"10:56:15 ", b"\n", b"text", b"  1.234 "]), max_size=20),
    st.data(),
)
def test_cutting_changes_nothing(parts: list[bytes], data: st.DataObject) -> None:
    whole = BOOT + b"".join(parts)
    place = data.draw(st.integers(len(BOOT), len(whole)))
    assert cleaned(whole[:place], whole[place:]) == cleaned(whole)


def test_a_line_without_end_is_kept_within_bounds() -> None:
    cleaner = LineCleaner()
    assert len(cleaner.feed(b"x" * 100_000)) == 100_000
    assert cleaner.finish() == b""
