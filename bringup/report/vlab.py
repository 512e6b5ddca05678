"""The virtual lab as text and as JSON: which nodes there are, and how to look into them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bringup.report.style import table
from bringup.vlab.description import Description
from bringup.vlab.lab import LabInfo


def up_lines(info: LabInfo) -> Iterator[str]:
    """Yield what is up and how to go on."""
    yield f"the virtual lab is up: {info.description.title or 'two sites'}, {_rules(info)}{_engine(info)}"
    yield f"captures  {info.captures}, one file a segment"
    yield "try       bringup vlab shell pc-a ping 10.0.2.10"
    yield "end       bringup vlab down"


def status_lines(info: LabInfo | None) -> Iterator[str]:
    """Yield whether a lab is up, and its nodes."""
    if info is None:
        yield "the virtual lab is not up; start it with: bringup vlab up"
        return
    yield f"the virtual lab is up (process {info.namespaces.init_pid}), {_rules(info)}{_engine(info)}"
    yield f"captures  {info.captures}"
    yield node_table(info.description)


def node_table(description: Description) -> str:
    """Return the nodes as a table."""
    rows = []
    for node in description.nodes():
        cards = ", ".join(f"{link.name} {link.with_prefix} on {link.segment}" for link in node.links)
        rows.append([node.name, _MEANING[node.role], cards])
    return table(["node", "is", "cards"], rows)


def lab_json(info: LabInfo | None) -> dict[str, Any]:
    """Return the lab as plain JSON data."""
    if info is None:
        return {"up": False}
    return {
        "up": True,
        "pid": info.namespaces.init_pid,
        "captures": str(info.captures),
        "backend": info.body["backend"],
        "rules": info.body["rules"],
        "engine": "qemu" if info.guests else "namespaces",
        "nodes": {
            node.name: {
                "pid": info.namespaces.holders.get(node.name),
                "role": node.role,
                "links": {
                    link.name: {"segment": link.segment, "address": link.with_prefix} for link in node.links
                },
            }
            for node in info.description.nodes()
        },
    }


def exported_lines(folder: Path, files: list[str]) -> Iterator[str]:
    """Yield what was written and what it is good for."""
    yield f"wrote {', '.join(files)} into {folder}"
    yield f"judge     bringup verify vlab --plan model-1 --rules {folder}"


def _rules(info: LabInfo) -> str:
    rules = info.body["rules"]
    return f"rules of {rules}" if rules else f"generated rules ({info.body['backend']})"


def _engine(info: LabInfo) -> str:
    return f", {len(info.guests)} QEMU guests" if info.guests else ""


_MEANING = {
    "pc": "PC",
    "vm0": "red VM",
    "vm1": "crypto VM, ends the tunnel",
    "vm2": "black VM",
    "internet": "router, web and DNS",
    "attacker": "stranger outside",
}
