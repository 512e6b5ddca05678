"""The stand-in in whole boots on the twin: it says recorded consoles again, and plays failures of its own.

A recorded console has one verdict, read by `bringup explain` and played. A whole boot takes some ten seconds:
of each kind of verdict one is played, of each kind of text only by `make test-long`, and with
BRINGUP_TEST_ALL_PLAYS=1 in the environment every one. Without recordings beside the checkout, texts of our
own are played. All of them, without a board around them: tests/transcripts/test_played.py.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.recorded import judge_recording
from bringup.boot.watch_request import WatchRequest
from bringup.image.standin import standin_kernel
from tests.places import SHARED
from tests.transcripts.image_part import image_part
from tests.transcripts.logs import LOGS
from tests.transcripts.plays import PLAYS
from tests.twin.helpers import Cli, Outcome, long

pytestmark = pytest.mark.slow

ALL = "BRINGUP_TEST_ALL_PLAYS"
FOLDERS = ("data/serial", "data/transcripts", "cases/console")
RECORDED = sorted(path for folder in FOLDERS for path in (SHARED / folder).glob("*.log"))
REQUEST = WatchRequest(Firmware.BIOS, by_itself=True)
QUIET = ", then quiet for 5 s"


def chosen(rows: Iterable[tuple[str, str, Hashable]]) -> list[Any]:
    """Return names of (name, verdict, kind): the first of each verdict, and those that take longer in all.

    Those are the first of each kind, or all.
    """
    verdicts, kinds = set[str](), set[tuple[str, Hashable]]()
    names: list[Any] = []
    for name, verdict, kind in rows:
        if verdict not in verdicts:
            names.append(name)
        elif (verdict, kind) not in kinds or os.environ.get(ALL):
            names.append(long(name))
        verdicts.add(verdict)
        kinds.add((verdict, kind))
    return names


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A command line whose twin is up."""
    run = Cli(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("here"))
    assert run("twin", "up").code == 0
    yield run
    run("twin", "down")


def boot(twin: Cli, *words: str) -> Outcome:
    return twin("boot", "e300", *words, "--json", timeout_s=300)


# Recorded consoles.


def consoles() -> dict[str, bytes]:
    """All recorded texts there are, by name."""
    if RECORDED:
        return {path.name: path.read_bytes() for path in RECORDED}
    return {name: log.text.encode() for name, log in LOGS.items()}


def kind_of(text: bytes) -> tuple[str, Hashable]:
    verdict = judge_recording([text], REQUEST).verdict
    kind = verdict.stage, bool(verdict.lines), bool(verdict.buts), bool(verdict.suite)
    return verdict.kind, kind


@dataclass(frozen=True, slots=True)
class Row:
    """What a verdict says, as far as the text of an image can tell."""

    kind: str
    exit_code: int
    stage: str | None
    code: str
    cause: str
    buts: tuple[str, ...]

    @classmethod
    def of(cls, body: dict[str, Any]) -> Row:
        """Return the row of a verdict: without stages before the kernel and the silence after the text."""
        stage = body["stage"]
        told = stage is not None and Stage(stage) >= Stage.KERNEL
        return cls(
            kind=body["verdict"],
            exit_code=body["exit_code"],
            stage=stage if told else None,
            code=body["code"],
            cause=body["cause"].removesuffix(QUIET),
            buts=tuple(body["but"]),
        )


@pytest.mark.parametrize("name", chosen((name, *kind_of(text)) for name, text in consoles().items()))
def test_a_console_has_one_verdict_read_and_played(twin: Cli, name: str, tmp_path: Path) -> None:
    log, module = tmp_path / "console.log", tmp_path / "module"
    log.write_bytes(consoles()[name])
    module.write_bytes(image_part(log.read_bytes()))
    read = twin("explain", str(log), "--json")
    played = boot(twin, str(standin_kernel()), str(module), "--append", "play=module")
    said, lived = Row.of(read.json), Row.of(played.json)
    assert (read.code, played.code) == (said.exit_code, lived.exit_code)
    if said.kind == "undecided":
        # What the text leaves open, the silence after it decides: the board got no further.
        assert lived.stage == said.stage
        return
    assert lived == said


# Plays.


@pytest.mark.parametrize("append", chosen((name, play.kind, play.whose) for name, play in PLAYS.items()))
def test_a_play_has_its_verdict(twin: Cli, append: str) -> None:
    expected = PLAYS[append]
    outcome = boot(twin, "--append", append)
    body = outcome.json
    assert (body["verdict"], body["code"]) == (expected.kind, expected.code), body["cause"]
    assert expected.words in body["cause"]
    assert outcome.code == body["exit_code"]


def test_a_release_image_proves_itself_by_text_on_the_console(twin: Cli) -> None:
    body = boot(twin, "--append", "play=release:0x2f8").json
    assert (body["verdict"], body["stage"]) == ("ok", "user-space"), body["cause"]
    assert "characters after the hand-over" in body["cause"]


def test_a_release_image_that_talks_to_com1_is_told_so(twin: Cli) -> None:
    outcome = boot(twin, "--append", "play=release:0x3f8")
    assert (outcome.code, outcome.json["code"]) == (12, "other-port")
    assert outcome.json["cause"] == "the image talks to COM1, which this console does not show"


def test_a_kernel_that_demands_what_the_engine_lacks_is_heard_on_com1(twin: Cli) -> None:
    outcome = boot(twin, "--append", "play=needs:pcid")
    assert (outcome.code, outcome.json["code"]) == (11, "cpu-pcid")
    assert outcome.json["seen"] == 'COM1 line 1: "PCIDs not supported by the processor"'


def test_a_demand_that_the_engine_meets_is_none(twin: Cli) -> None:
    assert boot(twin, "--append", "play=needs:fsgsbase").json["verdict"] == "ok"
