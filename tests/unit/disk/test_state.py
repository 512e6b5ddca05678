"""State files, held against GRUB's own tool, and read back from any bytes."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bringup.disk.layout import LETTERS
from bringup.disk.state import BLOCK_BYTES, PAGE_BYTES, State, environment, parse_state, saved

SLOTS = st.sampled_from(LETTERS)
STATES = st.builds(
    State,
    good=SLOTS,
    trial=st.none() | SLOTS,
    tried=st.none() | SLOTS,
    image_id=st.text("0123456789abcdef", max_size=16),
    n=st.integers(0, 999_999_999),
)


@given(STATES)
def test_a_state_is_read_back_from_its_first_sector(state: State) -> None:
    block = state.block()
    assert len(block) == BLOCK_BYTES
    assert len(state.page()) == PAGE_BYTES
    assert parse_state(block) == state
    # The second sector is the same for every state: a cut between the two changes nothing.
    assert block[512:] == b"#" * 512


@given(STATES, STATES, st.integers(0, 512))
def test_a_block_cut_off_inside_is_bad_or_says_one_of_both(old: State, new: State, at: int) -> None:
    assert parse_state(new.block()[:at] + bytes(BLOCK_BYTES - at)) in (None, new)
    assert parse_state(new.block()[:at].ljust(BLOCK_BYTES, b"#")) in (None, new)


@given(st.binary(max_size=1100))
def test_any_bytes_are_a_state_or_none(data: bytes) -> None:
    for block in (data, b"# GRUB Environment Block\n" + data, State("A").block()[:60] + data):
        found = parse_state(block.ljust(BLOCK_BYTES, b"#"))
        assert found is None or parse_state(found.block()) == found


PIECES = [
    *(b"v=1\n", b"good=A\n", b"trial=B\n", b"end=1\n", b"end=1", b"id=zz\n", b"# c\n", b"#\\\nq=1\n"),
    *(b"v\n", b"\r\n", b"\n", b"=", b"#", b"\\", b"\0", b"x", b" ", b"\xff"),
]
BLOCKS = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)


@st.composite
def flipped(draw: st.DrawFn) -> bytes:
    """A state with some bits flipped, without its first line."""
    body = bytearray(draw(STATES).block()[25:120])
    for at, bit in draw(st.lists(st.tuples(st.integers(0, 94), st.integers(0, 7)), min_size=1, max_size=4)):
        body[at] ^= 1 << bit
    return bytes(body)


@given(BLOCKS | flipped(), st.sampled_from([b"#", b"\0", b"x"]))
def test_grub_reads_odd_blocks_as_we_do(body: bytes, filled_with: bytes) -> None:
    """Where both would differ, an update would write to the slot that GRUB starts."""
    block = (b"# GRUB Environment Block\n" + body).ljust(BLOCK_BYTES, filled_with)
    with tempfile.NamedTemporaryFile() as file:
        file.write(block)
        file.flush()
        listed = subprocess.run(["grub-editenv", file.name, "list"], capture_output=True, check=True)
    found = environment(block)
    assert found is not None
    assert "".join(f"{name}={value}\n" for name, value in found).encode("latin-1") == listed.stdout


def editenv(block: bytes, *words: str) -> bytes | None:
    """Return a block after GRUB's own tool was at it, None where it refuses."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(block)
        file.flush()
        done = subprocess.run(["grub-editenv", file.name, "set", *words], capture_output=True, check=False)
        return Path(file.name).read_bytes() if done.returncode == 0 else None


VALUES = st.sampled_from(["", "A", "B", "1a2b3c4d", "x\\y", "a\nb", "#", "q" * 400])


@given(
    BLOCKS | flipped(),
    st.sampled_from([b"#", b"\0", b"x", b"x\n"]),
    st.integers(25, BLOCK_BYTES),
    st.lists(st.tuples(st.sampled_from(["good", "trial", "tried", "id"]), VALUES), min_size=1, max_size=4),
)
def test_grub_saves_into_odd_blocks_as_we_say(
    body: bytes, filled_with: bytes, length: int, values: list[tuple[str, str]]
) -> None:
    block = (b"# GRUB Environment Block\n" + body + filled_with * BLOCK_BYTES)[:length].ljust(
        BLOCK_BYTES, b"#"
    )
    assert saved(block, values) == editenv(block, *(f"{name}={value}" for name, value in values))


def test_a_state_counts_whatever_its_id_and_number_are() -> None:
    """GRUB does not look at them."""
    odd = (
        State("B", "A", None, "1a2b3c4d", 7).block().replace(b"1a2b3c4d", b"1a2b3c4z").replace(b"n=7", b"n=x")
    )
    assert parse_state(odd) == State("B", "A", None, "", 0)


def test_grub_reads_and_writes_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "state1.env"
    state = State("A", "B", None, "1a2b3c4d", 7)
    path.write_bytes(state.block())
    listed = subprocess.run(["grub-editenv", path, "list"], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == [
        *("v=1", "n=7", "good=A", "trial=B", "tried=", "id=1a2b3c4d", "end=1"),
    ]
    subprocess.run(["grub-editenv", path, "set", "tried=B", "trial="], check=True)
    assert path.read_bytes() == state.begun().block()
    subprocess.run(["grub-editenv", path, "set", "good=B", "tried="], check=True)
    assert parse_state(path.read_bytes()) == State("B", None, None, "1a2b3c4d", 7)
