"""What is known beside an application: a capture by path or board, and the one choice of a profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import ProfileError, UsageError
from bringup.jobs.configure.facts import (
    Facts,
    boards_among,
    find_capture,
    named_profile,
    profile_for,
    read_facts,
)
from bringup.lab import captures
from bringup.lab.inventory import Board, Lab
from bringup.pci.model import Machine
from tests.machines import catalogue
from tests.machines.catalogue import E300_9D

LAB = Lab({"e300": Board("e300", "supermicro-e300-9d"), "twin": Board("twin", "twin-e300-9d", twin=True)})

pytestmark = pytest.mark.usefixtures("home", "in_folder")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A capture of the documented machine."""
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(catalogue.told(E300_9D, "bundle.tar.gz"))
    return path


def test_a_board_stands_for_its_latest_capture_and_goes_before_a_file(bundle: Path) -> None:
    Path("e300").write_text("a file of that name")
    assert find_capture(LAB, "e300") == Path("e300")  # there is no capture yet
    kept = captures.add("e300", bundle)
    assert find_capture(LAB, "e300") == kept
    assert find_capture(LAB, "./e300") == Path("e300")
    assert find_capture(None, "e300") == Path("e300")  # without a lab there are no boards
    assert find_capture(None, "-") == Path("-")


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(UsageError, match="no capture of e300 yet"):
        find_capture(LAB, "e300")
    with pytest.raises(UsageError, match="e301 is neither a file nor a board") as refused:
        find_capture(LAB, "e301")
    assert "e300, twin" in str(refused.value.hint)


def test_a_profile_is_named_else_the_boards_else_what_the_machine_fits(bundle: Path) -> None:
    captures.add("twin", bundle)
    named = read_facts(LAB, ["twin"], "supermicro-e300-9d-4cn8tp").profile
    boards = read_facts(LAB, ["twin"]).profile
    fitting = read_facts(LAB, [str(bundle)]).profile
    assert [p and p.name for p in (named, boards, fitting)] == [
        "supermicro-e300-9d-4cn8tp",
        "twin-e300-9d",
        "supermicro-e300-9d",
    ]
    assert [board.name for board in boards_among(LAB, ["./e300", "twin", "-"])] == ["twin"]


def test_a_profile_that_nobody_named_comes_with_its_reason() -> None:
    assert named_profile(LAB, None) is None
    twin = named_profile(None, "twin-e300-9d")
    assert twin is not None
    assert profile_for(None, Machine(()), twin) == (twin, "")
    assert profile_for(LAB, Machine(()), None) == (None, "no profile's ids fit")
    with pytest.raises(ProfileError):
        named_profile(LAB, "no-such-profile", [LAB.boards["e300"]])


def test_what_nobody_named_is_none(bundle: Path, tmp_path: Path) -> None:
    assert read_facts(None) == Facts(None, None, None)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "CMakeCache.txt").write_text("PLATFORM:STRING=x86_64\n")
    facts = read_facts(None, [str(bundle)], build_dir=tmp_path / "build")
    assert facts.build is not None and facts.build.folder == tmp_path / "build"
    assert facts.assessment is not None and facts.profile is not None
    assert facts.assessment.profile == facts.profile.name


def test_a_twin_is_for_practice_unless_its_profile_is_named(bundle: Path) -> None:
    captures.add("twin", bundle)
    captures.add("e300", bundle)
    assert read_facts(LAB, ["twin"]).practice
    assert not read_facts(LAB, ["twin"], "twin-e300-9d").practice
    assert not read_facts(LAB, ["twin"], "supermicro-e300-9d").practice
    assert not read_facts(LAB, ["e300"]).practice
    assert not read_facts(LAB, [], "twin-e300-9d").practice
