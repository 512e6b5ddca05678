"""Why VMs are slow: the build's settings and the console's words, and nothing without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.camkes.app.build import Build
from bringup.verify.vms.slow import slow_causes

_OPTION = "LibSel4VMUseTranslationVspace"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({_OPTION: "OFF"}, "the build has no translation vspace"),
        ({}, "its libraries lack it"),
        ({_OPTION: "ON"}, None),
    ],
)
def test_the_setting_of_the_build_is_the_cause(options: dict[str, str], words: str | None) -> None:
    causes = slow_causes(Build(Path("build"), options), "")
    assert [words in cause for cause in causes if words] == [True] * (words is not None)
    assert len(causes) == (words is not None)


@pytest.mark.parametrize("said", ["Dropping frame", "Unknown error while enqueuing available buffer"])
def test_a_full_ring_is_told_by_what_the_console_said(said: str) -> None:
    causes = slow_causes(None, f"vm1: {said} for address 52:54\n")
    assert len(causes) == 1
    assert said in causes[0]


def test_without_a_build_and_without_words_no_cause_is_known() -> None:
    assert slow_causes(None, "buildroot login:") == ()
