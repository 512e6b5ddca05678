"""Which memory the firmware keeps for a function: the RMRRs of the DMAR table (VT-d 3.3, 8.4); pure."""

from __future__ import annotations

from bringup.pci.model import Bdf, Dmar, Rmrr, Scope
from bringup.pci.topology.above import Topology

ENDPOINT, HIERARCHY = 1, 2
"""Kinds of a device scope: one function, or all behind a bridge (VT-d 3.3, 8.3.1)."""


def reserved_for(bdf: Bdf, dmar: Dmar | None, topology: Topology) -> tuple[Rmrr, ...]:
    """Return the regions whose scopes hold this function, itself or through a bridge above it."""
    above = topology.path(bdf)
    return tuple(
        region
        for region in (dmar.rmrrs if dmar is not None else ())
        if any(_covers(scope, region.segment, bdf, above) for scope in region.scopes)
    )


def _covers(scope: Scope, segment: int, bdf: Bdf, above: tuple[Bdf, ...]) -> bool:
    target = _target(scope, segment)
    return target is not None and (
        (scope.kind == ENDPOINT and target == bdf) or (scope.kind == HIERARCHY and target in above)
    )


def _target(scope: Scope, segment: int) -> Bdf | None:
    """Return the function a scope ends at; that of one hop follows from its numbers alone."""
    if scope.bdf is not None or len(scope.path) != 1:
        return scope.bdf
    try:
        return Bdf(segment, scope.start_bus, *scope.path[0])
    except ValueError:
        return None
