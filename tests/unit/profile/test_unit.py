"""Unit files: read, written, and laid over the profile of a board of the lab."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import ProfileError
from bringup.lab.find import load_lab
from bringup.profile.unit import UnitFact, UnitFile, read_unit, unit_toml

NAME = "supermicro-e300-9d"
FACT = """
[[facts]]
name = "{name}"
value = {value}
grade = "measured"
evidence = "seen"
date = "2026-01-01"
"""


def unit(profile: str = NAME, **facts: str) -> str:
    text = f'board = "e300-1"\nprofile = "{profile}"\n'
    return text + "".join(
        FACT.format(name=name.replace("__", "."), value=value) for name, value in facts.items()
    )


def lab(folder: Path, text: str | None) -> Path:
    (folder / "lab.toml").write_text(
        f'[boards.e300-1]\nprofile = "{NAME}"\nmacs = ["02:00:00:00:00:01"]\n'
        'serial = "/dev/ttyUSB0"\npower = "manual"\n'
    )
    if text is not None:
        (folder / "units").mkdir()
        (folder / "units" / "e300-1.toml").write_text(text)
    return folder / "lab.toml"


@pytest.mark.usefixtures("home")
def test_a_board_of_the_lab_has_what_was_measured_on_it(tmp_path: Path) -> None:
    text = unit(interrupts__root_port_rule="20", bmc__cipher_order="[3]", unit__post_s="95.0")
    profile = load_lab(lab(tmp_path, text)).board("e300-1").profile
    assert profile.interrupts.root_port_rule is not None and profile.bmc.cipher_order is not None
    assert profile.interrupts.root_port_rule.value == 20
    assert profile.bmc.cipher_order.value == (3,)
    assert profile.bmc.cipher_order.grade == "measured"
    assert "bmc.cipher_order" not in " ".join(profile.unconfirmed())


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (unit(profile="generic-ipmi-x86"), "measured against profile generic-ipmi-x86"),
        (unit(interrupts__root_port_rule='"many"'), "does not fit profile"),
        (unit().replace("board =", "bord ="), "bord"),
        (unit(unit__x="1").replace("measured", "guessed"), "grade"),
    ],
)
def test_a_file_that_does_not_fit_is_told_by_name(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=told) as error:
        _ = load_lab(lab(tmp_path, text)).board("e300-1").profile
    assert "e300-1.toml" in error.value.message


@pytest.mark.usefixtures("home")
def test_without_a_unit_file_the_profile_holds(tmp_path: Path) -> None:
    board = load_lab(lab(tmp_path, None)).board("e300-1")
    assert board.unit_file == tmp_path / "units" / "e300-1.toml"
    assert board.profile.interrupts.root_port_rule is not None
    assert board.profile.interrupts.root_port_rule.grade == "INF"


_TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)
_VALUES = st.recursive(
    st.integers(-(2**62), 2**62) | st.booleans() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner)
    ),
    max_leaves=5,
)


@given(_TEXTS, _VALUES, _TEXTS)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: object, evidence: str
) -> None:
    fact = UnitFact(name=name, value=value, grade="measured", evidence=evidence, date="2026-01-01")
    whole = UnitFile(board="e300-1", profile=NAME, facts=(fact,))
    path = tmp_path_factory.mktemp("unit") / "e300-1.toml"
    path.write_text(unit_toml(whole), encoding="utf-8")
    assert read_unit(path) == whole
