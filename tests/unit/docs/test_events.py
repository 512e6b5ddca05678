"""docs/events.md names every kind of event that there is."""

from __future__ import annotations

import re
from typing import get_args

from bringup.base.events import Source
from tests.places import CHECKOUT

# Told by the power, the network and the console.
_WHOSE = (*get_args(Source), "bmc", "override", "link", "second_port")
_KIND = re.compile(rf"\b(?:{'|'.join(_WHOSE)})\.[a-z_]+\b")
# Files, modules and what a console says of itself as JSON look the same.
_OTHERS = {"console.log", "console.data", "console.mark", "console.notice", "console.idx", "image.json"}
_FILES = re.compile(r"\.(?:json|log|ndjson|toml|py|idx|cfg|sh)$")


def kinds(text: str) -> set[str]:
    return {kind for kind in _KIND.findall(text) if kind not in _OTHERS and not _FILES.search(kind)}


def test_every_kind_that_the_code_tells_is_documented_and_no_other() -> None:
    quoted = re.compile(r'"((?:[a-z_0-9]+)\.[a-z_]+)"')
    told = {
        name
        for path in (CHECKOUT / "bringup").rglob("*.py")
        for name in quoted.findall(path.read_text(encoding="utf-8"))
    }
    told = kinds(" ".join(told))
    listed = kinds((CHECKOUT / "docs/events.md").read_text(encoding="utf-8"))
    # What a line of the console proves is told under its kind's own name.
    sightings = {f"console.{kind}" for kind in ("stage", "failure", "text", "nic", "test")}
    assert told | sightings == listed
