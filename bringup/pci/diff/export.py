"""What differs between two captures as JSON, schema 1 (docs/probe-pci.md)."""

from __future__ import annotations

from typing import Any

from bringup.pci.diff.compare import Diff, Item
from bringup.pci.model import Machine

SCHEMA = 1


def diff_json(diff: Diff, a: Machine, b: Machine) -> dict[str, Any]:
    """Return a comparison as plain JSON values; a key that has no meaning for an item is absent."""
    return {
        "schema": SCHEMA,
        "same": not diff.items,
        "matters": diff.matters,
        "other_unit": diff.other_unit,
        "a": _sources(a),
        "b": _sources(b),
        "items": [_item(item) for item in diff.items],
        "numbers": [{"what": what, "functions": count} for what, count in diff.numbers],
        "not_compared": [{"what": what, "functions": count} for what, count in diff.not_compared],
    }


def _sources(machine: Machine) -> list[dict[str, Any]]:
    return [{"name": source.name, "kind": source.kind, "sha256": source.sha256} for source in machine.sources]


def _item(item: Item) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": item.kind, "what": item.what}
    if item.before is not None:
        body["before"] = str(item.before)
    if item.after is not None:
        body["after"] = str(item.after)
    if item.name:
        body["name"] = item.name
    return body | {"old": item.old, "new": item.new, "matters": item.matters}
