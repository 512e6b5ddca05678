"""Every play of the stand-in is known here and told in docs/twin.md."""

from __future__ import annotations

import re

from tests.places import CHECKOUT
from tests.transcripts.plays import PLAYS

SOURCE = CHECKOUT / "probes" / "standin"
DOCS = (CHECKOUT / "docs" / "twin.md").read_text()


def test_every_report_is_expected_and_documented() -> None:
    reports = re.findall(
        r'^    \{"([a-z-]+)", (?:IN|KERNELS)_', (SOURCE / "reports.c").read_text(), re.MULTILINE
    )
    assert len(reports) > 20
    assert {f"play=report:{name}" for name in reports} <= set(PLAYS)
    section = DOCS.split("### Reports")[1]
    assert [name for name in reports if f"`{name}`" not in section] == []
    for code in {play.code for append, play in PLAYS.items() if "report:" in append}:
        assert f"`{code}`" in section


def test_every_play_is_documented() -> None:
    plays = re.findall(r'\{"([a-z-]+)",\s+PLAY_', (SOURCE / "options.c").read_text())
    assert len(plays) > 10
    section = DOCS.split("## Failures to practise on")[1]
    assert [name for name in plays if not re.search(rf"`{name}[`:\[]", section)] == []
