"""`bringup reimage`, `slots` and `rollback` with several boards: what is refused before any is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bringup.base.errors import UsageError
from bringup.cli import root

pytestmark = pytest.mark.usefixtures("home", "in_folder")

SHELF = "".join(f'[boards.b{number}]\ntwin = true\ntags = ["shelf"]\n' for number in range(1, 7))


@pytest.fixture(autouse=True)
def shelf(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(SHELF)


def refusal(*words: str) -> tuple[UsageError, str]:
    """Return what is refused, and what was said before."""
    result = CliRunner().invoke(root, words, standalone_mode=False)
    assert isinstance(result.exception, UsageError), (result.exception, result.output)
    return result.exception, result.output


@pytest.mark.parametrize("boards", ["b1,b2", "b[12]", "b1*"])
def test_disks_are_overwritten_only_after_a_yes_to_the_list(boards: str) -> None:
    error, said = refusal("reimage", boards)
    assert "overwrite" in error.message
    assert error.hint == "--yes"
    names = "b1" if boards == "b1*" else "b1, b2"
    assert f": {names}\n" in said


@pytest.mark.parametrize("command", ["boot", "reimage", "slots", "rollback"])
def test_nobody_is_asked_where_standard_input_is_closed(command: str) -> None:
    words = [sys.executable, "-m", "bringup", command, "shelf"]
    asked = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words], capture_output=True, text=True, check=False
    )
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "nobody can answer" in asked.stderr
    assert "--yes" in asked.stderr


@pytest.mark.parametrize("command", ["slots", "rollback"])
def test_many_boards_are_looked_at_after_a_yes(command: str) -> None:
    error, said = refusal(command, "shelf")
    assert error.hint == "--yes"
    assert "6 boards: b1, b2, b3, b4, b5, b6" in said


@pytest.mark.parametrize("command", ["reimage", "slots", "rollback"])
def test_one_disk_cannot_be_that_of_several_boards(command: str) -> None:
    error, _ = refusal(command, "b1,b2", "--yes", "--disk", "S1")
    assert error.message.startswith("--disk ")
    assert "several" in error.message


def test_nobody_is_asked_board_by_board() -> None:
    assert "--confirm ask" in refusal("reimage", "shelf", "--yes", "--confirm", "ask")[0].message
    assert "--dry-run" in refusal("reimage", "shelf", "--dry-run")[0].message


@pytest.mark.parametrize("command", ["reimage", "slots", "rollback"])
def test_failed_ones_are_those_of_a_batch_of_the_same_kind(command: str) -> None:
    error, _ = refusal(command, "shelf", "--only-failed", "--yes")
    assert error.message == f"there is no batch of {command} yet"


@pytest.mark.parametrize("command", ["reimage", "slots", "rollback"])
def test_a_stream_of_events_is_of_one_board_and_alone_on_stdout(command: str) -> None:
    error, _ = refusal(command, "b1,b2", "--yes", "--events")
    assert error.message.startswith("--events ")
    error, _ = refusal(command, "b1", "--events", "--json")
    assert "both want stdout" in error.message


@pytest.mark.parametrize("command", ["reimage", "slots", "rollback"])
def test_a_stream_ends_in_a_verdict_though_nothing_could_begin(command: str) -> None:
    result = CliRunner().invoke(root, (command, "nobody", "--events"), standalone_mode=False)
    (line,) = result.stdout.splitlines()
    told = json.loads(line)
    assert (told["kind"], told["data"]["exit_code"]) == ("run.verdict", result.return_value)
    assert result.return_value != 0


@pytest.mark.parametrize(
    ("command", "steps"),
    [("slots", {"slots"}), ("rollback", {"slots", "rollback"})],
)
def test_a_dry_run_tells_the_steps_and_starts_nothing(home: Path, command: str, steps: set[str]) -> None:
    done = CliRunner().invoke(root, [command, "b1", "--dry-run", "--json"], standalone_mode=False)
    assert done.exception is None, done.output
    (plan,) = json.loads(done.output)["plans"]
    assert {step["name"] for step in plan["steps"]} & {"slots", "rollback"} == steps
    text = CliRunner().invoke(root, [command, "b1", "--dry-run"], standalone_mode=False).output
    assert text.endswith("nothing was touched\n")
    assert ("write both state files" in text) is (command == "rollback")
    assert not (home / "state").exists()
    error, _ = refusal(command, "shelf", "--dry-run", "--yes")
    assert "--dry-run is about one board" in error.message


def test_the_dry_run_of_confirm_tells_the_step_that_keeps_the_image() -> None:
    words = ["slots", "b1", "--confirm", "37FF5704", "--dry-run", "--json"]
    done = CliRunner().invoke(root, words, standalone_mode=False)
    assert done.exception is None, done.output
    (plan,) = json.loads(done.output)["plans"]
    assert "confirm" in {step["name"] for step in plan["steps"]}


@pytest.mark.parametrize("board", ["b1", "shelf"])
@pytest.mark.parametrize("text", ["", "37ff570", "37ff57044", "37ff570g", "37ff5704 37ff5704"])
def test_what_is_no_id_of_an_image_is_refused_before_anything(board: str, text: str) -> None:
    error, _ = refusal("slots", board, "--yes", "--confirm", text)
    assert "no image's id" in error.message


def test_many_boards_keep_an_image_after_a_yes_that_names_it() -> None:
    error, _ = refusal("slots", "shelf", "--confirm", "37ff5704")
    assert "keep image 37ff5704 on these 6 boards" in error.message


@pytest.mark.parametrize(
    "words",
    [
        *(("reimage", "b1", ""), ("boot", "b1", ""), ("boot", "b1", "--image", "")),
        *(("media", "build", "", "-o", "x.img"), ("reimage", "", "KERNEL"), ("power", " ")),
    ],
)
def test_a_name_that_is_empty_is_a_variable_that_is_not_set(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(root, words, standalone_mode=False)
    assert isinstance(result.exception, UsageError | click.UsageError), result.exception
    assert "empty; is a variable not set?" in str(result.exception)


@pytest.mark.parametrize(
    "words", [("reimage", "b1"), ("reimage", "shelf"), ("slots", "b1"), ("rollback", "b1")]
)
def test_a_disk_without_a_name_is_refused_before_the_board_is_started(words: tuple[str, ...]) -> None:
    error, said = refusal(*words, "--disk", "")
    assert (error.message, said) == ("the name of the disk is empty", "")
