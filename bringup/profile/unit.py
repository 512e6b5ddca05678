"""What was measured on one unit: `units/BOARD.toml` beside lab.toml. It outranks the profile of its model.

    board = "e300-1"
    profile = "supermicro-e300-9d"

    [[facts]]
    name = "nics.X722 #2.ioapic_pin"
    value = 19
    grade = "measured"
    evidence = "firmware probe: an interrupt arrived there"
    date = "2026-11-28"

A name is the fact's place in the profile, with ports by their names. What begins with `unit.` is of this unit
alone and has no place in a profile. Facts that a profile has no place for are kept and outrank nothing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bringup.base.errors import ProfileError
from bringup.profile.check import validate
from bringup.profile.kinds import Many, Text
from bringup.profile.toml_lines import KeyPath, read_toml, shown_path

if TYPE_CHECKING:
    from bringup.profile.model import Profile, Sourced

MEASURED = "measured"
SOURCE = "unit"
OF_THE_UNIT = "unit."
_LIMIT_TIMES, _LIMIT_MAX_S = 2, 3600


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class UnitFact(_Model):
    """One value that was measured, by what, and on which day (ISO 8601)."""

    name: Text
    value: Any
    grade: Literal["measured"]
    evidence: Text
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class UnitFile(_Model):
    """What is known of one unit; `profile` is the one that it was measured against."""

    board: Text
    profile: Text
    facts: Many[UnitFact] = ()


def read_unit(path: Path) -> UnitFile | None:
    """Return the file of a unit, None where there is none; raises ProfileError with FILE:LINE."""
    try:
        document = read_toml(path)
    except FileNotFoundError:
        return None
    return validate(UnitFile, document.data, [document])


def unit_toml(unit: UnitFile) -> str:
    """Return the text of a unit file."""
    head = [
        f"# Measured on {unit.board} by `bringup verify {unit.board} --plan hardware`; outranks its profile.",
        f"board = {_toml(unit.board)}",
        f"profile = {_toml(unit.profile)}",
    ]
    return "\n".join([*head, *(line for fact in unit.facts for line in _fact_lines(fact))]) + "\n"


def _fact_lines(fact: UnitFact) -> Iterator[str]:
    yield ""
    yield "[[facts]]"
    yield f"name = {_toml(fact.name)}"
    yield f"value = {_toml(fact.value)}"
    yield f'grade = "{fact.grade}"'
    yield f"evidence = {_toml(fact.evidence)}"
    yield f'date = "{fact.date}"'


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # The same in JSON and TOML, but for one character that TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def named_facts(profile: Profile) -> dict[str, Sourced]:
    """Return every fact of a profile by its name in a unit file."""
    return {_name(profile, path): fact for path, fact in profile.facts()}


def _name(profile: Profile, path: KeyPath) -> str:
    words = [str(part) for part in path]
    if path[0] == "nics":
        words[1] = profile.nics[int(path[1])].name
    elif path[:2] == ("pci", "expected"):
        words[2] = profile.pci.expected[int(path[2])].id
    return ".".join(words)


def with_unit(data: Mapping[str, Any], unit: UnitFile, shown: str) -> dict[str, Any]:
    """Return a profile's tables with what was measured on a unit in them; `shown` names its file."""
    result: dict[str, Any] = copy.deepcopy(dict(data))
    result.setdefault("sources", {})[SOURCE] = f"{shown}: measured on this unit"
    for fact in unit.facts:
        place = _place(result, fact.name)
        if place is None:
            continue
        table, key = place
        told = {"grade": MEASURED, "source": f"{SOURCE}: {fact.evidence}, {fact.date}"}
        value = (
            _times(table.get(key), fact.value) if fact.name.startswith("stages.") else {"value": fact.value}
        )
        table[key] = {**value, **told}
    return result


def _times(old: Any, spent_s: Any) -> dict[str, Any]:
    """Return a stage's times: as long as it took; the profile's limit, more only where it took longer."""
    limit_s = (old or {}).get("timeout_s", 0)
    if isinstance(spent_s, int | float) and spent_s >= limit_s:
        limit_s = min(_LIMIT_TIMES * spent_s, _LIMIT_MAX_S)
    return {"expected_s": spent_s, "timeout_s": limit_s}


def _place(data: dict[str, Any], name: str) -> tuple[dict[str, Any], str] | None:
    """Return the table and the key of a fact, None where the profile has no such place."""
    words: Sequence[str] = name.split(".")
    table: Any = data
    if words[0] == "nics":
        port, _, key = name.removeprefix("nics.").rpartition(".")
        table = next((nic for nic in data.get("nics", ()) if nic.get("name") == port), None)
        return None if table is None else (table, key)
    for word in words[:-1]:
        table = table.setdefault(word, {}) if word in _TABLES else None
        if not isinstance(table, dict):
            return None
    return (table, words[-1]) if table is not data else None


_TABLES = frozenset(
    (
        *("identity", "processor", "serial", "bmc", "boot_flags", "firmware", "disk", "interrupts", "pci"),
        *("hypervisor", "stages"),
    )
)


def load_with_unit(profile: Profile, data: Mapping[str, Any], path: Path) -> Profile:
    """Return `profile`, which was read from `data`, with the unit file at `path`; itself without such a file.

    Raises ProfileError naming the file: measured against another profile, or with a value that does not fit.
    """
    from bringup.profile.model import Profile

    unit = read_unit(path)
    if unit is None:
        return profile
    shown = shown_path(path)
    again = f"move the file away, then measure again: bringup verify {unit.board} --plan hardware"
    if unit.profile != profile.name:
        raise ProfileError(
            f"{shown}: was measured against profile {unit.profile}, and the board has {profile.name}",
            hint=again,
        )
    try:
        return validate(Profile, with_unit(data, unit, shown), [read_toml(path)])
    except ProfileError as error:
        raise ProfileError(
            f"{shown}: does not fit profile {profile.name}: {error.message}", hint=again
        ) from None
