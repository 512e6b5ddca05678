"""A CAmkES application as its settings: values with the places they stand at; pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: the file as it was named, line and column from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Item:
    """A value with its place. `value` is plain Python (int, float, bool, str, list, dict) all the way down.

    `items` are the elements of a list, `entries` the pairs of a dict; both empty for anything else.
    `text` is the value as written after the preprocessor (`0x7060`, `0x4088 + 8`).
    """

    value: Any
    place: Place
    text: str = ""
    items: tuple[Item, ...] = ()
    entries: tuple[tuple[str, Item], ...] = ()

    def entry(self, key: str) -> Item | None:
        """Return the item of a dict's key."""
        for name, item in self.entries:
            if name == key:
                return item
        return None


@dataclass(frozen=True, slots=True)
class Setting:
    """`instance.attribute = value;` inside an assembly's configuration."""

    instance: str
    attribute: str
    item: Item
    place: Place

    @property
    def key(self) -> str:
        """`vm0.heap_size`."""
        return f"{self.instance}.{self.attribute}"

    @property
    def value(self) -> Any:
        """The plain value."""
        return self.item.value


@dataclass(frozen=True, slots=True)
class Instance:
    """`component Type name;` in an assembly's composition, once per type use."""

    name: str
    type: str
    place: Place


@dataclass(frozen=True, slots=True)
class Connection:
    """`connection Type name(from a.x, to b.y);`, the ends as `instance.interface`."""

    name: str
    type: str
    ends: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Problem:
    """Something camkes-tool refuses or silently passes over, found while reading.

    Codes: "duplicate" (C43: `duplicate setting for attribute`), "free-configuration" (a top-level
    `configuration`, never applied), "no-composition" and "no-configuration" (an assembly without).
    """

    code: Literal["duplicate", "free-configuration", "no-composition", "no-configuration"]
    message: str
    place: Place


@dataclass(frozen=True, slots=True)
class Application:
    """All assemblies of an application merged as camkes-tool does (parser/stage6.py).

    `attributes` maps a component type to the attributes its text declares, with their types as written;
    a type that is not in it was not declared in what was read (a header that was not found).
    `settings` hold every setting, a duplicate too. `sources` maps each file read to its bytes' sha256.
    """

    settings: tuple[Setting, ...]
    instances: tuple[Instance, ...] = ()
    connections: tuple[Connection, ...] = ()
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def get(self, instance: str, attribute: str) -> Setting | None:
        """Return the first setting of an attribute."""
        for setting in self.settings:
            if setting.instance == instance and setting.attribute == attribute:
                return setting
        return None
