"""Which boards a word means."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import ProfileError, UsageError
from bringup.lab.find import load_lab
from bringup.lab.inventory import Lab
from bringup.lab.select import means_many, select_boards

LAB = """
[boards.shelf-1]
twin = true
tags = ["shelf", "left"]
[boards.shelf-2]
twin = true
tags = ["shelf"]
[boards.desk]
twin = true
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "lab.toml").write_text(LAB)
    return load_lab(tmp_path / "lab.toml")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["desk"], ["desk"]),
        (["shelf"], ["shelf-1", "shelf-2"]),
        (["shelf-*"], ["shelf-1", "shelf-2"]),
        (["shelf-[2-9]"], ["shelf-2"]),
        (["left, desk"], ["shelf-1", "desk"]),
        (["desk", "shelf", "shelf-?", "desk"], ["shelf-1", "shelf-2", "desk"]),
    ],
)
def test_names_patterns_and_tags_each_board_once(lab: Lab, words: list[str], names: list[str]) -> None:
    assert [board.name for board in select_boards(lab, words)] == names


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("sehlf", "no board sehlf"),
        ("rack-*", "no board of this lab fits rack-*"),
        ("desk,", "a name is missing"),
    ],
)
def test_a_word_that_names_nothing_is_refused(lab: Lab, word: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("*", r"\*")):
        select_boards(lab, [word])


@pytest.mark.parametrize(
    ("word", "many"),
    [("desk", False), ("nothing", False), ("shelf", True), ("*", True), ("desk,shelf-1", True)],
)
def test_what_stands_for_several(lab: Lab, word: str, many: bool) -> None:
    assert means_many(lab, word) is many


@pytest.mark.parametrize(
    ("tags", "says"),
    [('["desk"]', "a tag of shelf-1 and a board, too"), ('["a b"]', "written like a board's name")],
)
def test_a_tag_is_a_name_of_its_own(tmp_path: Path, tags: str, says: str) -> None:
    (tmp_path / "lab.toml").write_text(LAB.replace('["shelf", "left"]', tags))
    with pytest.raises(ProfileError, match=says):
        load_lab(tmp_path / "lab.toml")
