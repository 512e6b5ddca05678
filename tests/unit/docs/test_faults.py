"""docs/faults.md: every fault of the twin has its row, and the verdict that the tool says it has."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from bringup.base.errors import CODES
from bringup.boot.causes.table import TABLE
from bringup.cli import root
from bringup.transcript.failures.loader import GARBAGE
from bringup.transcript.failures.table import FAILURES
from bringup.twin.faults.catalog import FAULTS
from tests.doubles.fault_table import ENGINES, PAGE, read_table, with_table

TEXT = PAGE.read_text(encoding="utf-8")
ROWS = read_table(TEXT)


def test_every_fault_has_a_row_and_no_other() -> None:
    assert list(ROWS) == list(FAULTS)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", FAULTS)
def test_the_measured_verdict_is_the_one_that_is_listed(name: str, engine: str) -> None:
    code, seconds = ROWS[name][engine]
    assert code == FAULTS[name].verdict_on(engine)
    assert int(seconds) > 0


def test_a_row_is_written_as_it_is_read() -> None:
    assert with_table(TEXT, ROWS) == TEXT


def test_verdicts_are_codes_that_there_are() -> None:
    known = {"ok", GARBAGE.code, *TABLE, *CODES, *(failure.code for failure in FAILURES)}
    assert {fault.verdict_on(engine) for fault in FAULTS.values() for engine in ENGINES} <= known


def test_the_command_lists_name_verdict_and_what() -> None:
    done = CliRunner().invoke(root, ["twin", "faults", "--json"])
    listed = json.loads(done.stdout)["faults"]
    assert [(row["name"], row["verdict"], row["what"]) for row in listed] == [
        (fault.name, fault.verdict, fault.what) for fault in FAULTS.values()
    ]
    text = CliRunner().invoke(root, ["twin", "faults"]).stdout
    for name, fault in FAULTS.items():
        assert name in text and fault.what in text
