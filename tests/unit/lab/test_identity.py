"""Whose BMC a board's BMC was: remembered at first, compared afterwards, forgotten when asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import WrongBoardError
from bringup.lab.find import load_lab
from bringup.lab.identity import check_identity, forget_identity, known_identity
from bringup.lab.inventory import Board
from tests.unit.lab.test_inventory import BOARD

pytestmark = pytest.mark.usefixtures("home")

WHO = "the BMC at 10.0.0.17 port 623"
ONE, TWO = "GUID 00000000-0000-0000-0000-ac1f6b000001", "serial number S1234"
OTHER = BOARD.replace("e300-1", "e300-2").replace("10.0.0.17", "10.0.0.18").replace("6b:0e", "6b:0f")
OTHER = OTHER.replace("6B-0E", "6B-0F")


@pytest.fixture
def boards(tmp_path: Path) -> tuple[Board, Board]:
    """Two boards of one lab file."""
    (tmp_path / "lab.toml").write_text(BOARD + OTHER)
    lab = load_lab(tmp_path / "lab.toml")
    return lab.board("e300-1"), lab.board("e300-2")


def test_the_first_time_it_is_remembered_and_then_known(boards: tuple[Board, Board]) -> None:
    board, other = boards
    assert known_identity(board) is None
    assert check_identity(board, ONE, WHO) is False
    assert check_identity(board, ONE, WHO) is True
    known = known_identity(board)
    assert known is not None and (known.board, known.bmc) == ("e300-1", ONE)
    assert known_identity(other) is None


def test_another_bmc_at_the_address_is_no_board_of_ours(boards: tuple[Board, Board]) -> None:
    board, _ = boards
    check_identity(board, ONE, WHO)
    with pytest.raises(WrongBoardError) as caught:
        check_identity(board, TWO, WHO)
    assert caught.value.message.startswith(f"{WHO} is not that of e300-1: it says {TWO}; that of e300-1 said")
    assert ONE in caught.value.message and "nothing was switched" in caught.value.message
    assert "boards forget e300-1" in str(caught.value.hint)
    assert known_identity(board).bmc == ONE  # type: ignore[union-attr]


@pytest.mark.parametrize("met", [False, True])
def test_another_board_of_the_lab_is_named(boards: tuple[Board, Board], met: bool) -> None:
    board, other = boards
    check_identity(other, TWO, WHO)
    if met:
        check_identity(board, ONE, WHO)
    with pytest.raises(WrongBoardError, match="it says serial number S1234, which is that of e300-2"):
        check_identity(board, TWO, WHO)


def test_the_same_name_in_another_lab_file_is_another_board(
    boards: tuple[Board, Board], tmp_path: Path
) -> None:
    check_identity(boards[0], ONE, WHO)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lab.toml").write_text(BOARD)
    namesake = load_lab(tmp_path / "other" / "lab.toml").board("e300-1")
    assert check_identity(namesake, TWO, WHO) is False


def test_what_is_forgotten_is_remembered_anew(boards: tuple[Board, Board]) -> None:
    board, _ = boards
    check_identity(board, ONE, WHO)
    assert forget_identity(board).bmc == ONE  # type: ignore[union-attr]
    assert forget_identity(board) is None
    assert check_identity(board, TWO, WHO) is False


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(st.binary(max_size=60), st.sampled_from([b"[]", b"{}", b'{"board": 1, "bmc": 2, "since": 3}']))
)
def test_a_damaged_memory_is_none(boards: tuple[Board, Board], home: Path, content: bytes) -> None:
    board, _ = boards
    forget_identity(board)
    check_identity(board, ONE, WHO)
    [file] = (home / "state" / "identities").iterdir()
    file.write_bytes(content)
    assert known_identity(board) is None


def test_a_pipe_in_its_place_holds_nobody_up(boards: tuple[Board, Board], home: Path) -> None:
    board, _ = boards
    check_identity(board, ONE, WHO)
    (path,) = (home / "state/identities").iterdir()
    path.unlink()
    os.mkfifo(path)
    assert known_identity(board) is None
