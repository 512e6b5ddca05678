"""Errors have public words, and cross from one process to another whole."""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Any

import pytest

import bringup
from bringup.base.errors import CODES, FAULTS, BringupError, LabError


def kinds(of: type[BringupError] = BringupError) -> set[type[BringupError]]:
    return {of}.union(*(kinds(kind) for kind in of.__subclasses__()))


def test_every_kind_of_error_has_a_word_of_its_own() -> None:
    for module in pkgutil.walk_packages(bringup.__path__, "bringup."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = {kind for kind in kinds() if kind.__module__.startswith("bringup.")}
    assert ours == set(CODES.values())
    assert len(CODES) == len(set(CODES.values()))


@pytest.mark.parametrize("hint", [None, "do\nthis"])
@pytest.mark.parametrize("code", CODES)
def test_an_error_arrives_whole(code: str, hint: str | None) -> None:
    error = CODES[code]("what is «wrong»", hint=hint)
    there = BringupError.from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(there) is type(error)
    assert (there.code, there.message, there.hint, there.fault) == (code, error.message, hint, error.fault)


def test_a_kind_without_a_word_goes_by_its_nearest_base() -> None:
    kind = type("FuseError", (LabError,), {})
    assert kind("x").code == "lab"


WHOLE = {"code": "lab", "message": "x", "hint": None}


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {},
        {"code": "lab"},
        WHOLE | {"code": "no such"},
        WHOLE | {"code": []},
        WHOLE | {"message": 1},
        WHOLE | {"hint": {}},
    ],
)
def test_what_is_no_error_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match="not an error"):
        BringupError.from_dict(body)


def test_every_fault_has_its_exit_code() -> None:
    assert {fault: kind.exit_code for fault, kind in FAULTS.items()} == {
        "tool": 1,
        "usage": 2,
        "lab": 10,
        "image": 11,
        "profile": 12,
        "interrupted": 130,
    }
