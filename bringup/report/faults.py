"""What a twin can be made to do wrong, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bringup.twin.faults.catalog import FAULTS, Fault


def fault_lines() -> Iterator[str]:
    """Yield a line for each fault, and how one is played."""
    width = max(map(len, FAULTS))
    verdict_width = max(len(fault.verdict) for fault in FAULTS.values())
    for fault in FAULTS.values():
        yield f"{fault.name:{width}}  {fault.verdict:{verdict_width}}  {fault.what}"
        for one in fault.parameters:
            yield f"{'':{width}}  {'':{verdict_width}}  {one.name}={one.default:g}: {one.what}"
    yield "play one   bringup boot e300 --fault NAME[@STAGE|@SECONDS][,KEY=NUMBER] --seed N"


def faults_json() -> dict[str, Any]:
    """Return all faults as plain JSON data."""
    return {"faults": [_fault_dict(fault) for fault in FAULTS.values()]}


def _fault_dict(fault: Fault) -> dict[str, Any]:
    return {
        "name": fault.name,
        "verdict": fault.verdict,
        "what": fault.what,
        "acts": fault.acts,
        "at": fault.at,
        "parameters": [
            {"name": one.name, "default": one.default, "what": one.what} for one in fault.parameters
        ],
    }
