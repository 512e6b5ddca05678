"""The machine that a generated file was made for: F8, asked by a check and before a board is booted."""

from __future__ import annotations

from bringup.base.finding import Found, Rule
from bringup.camkes.claims.compare import compare
from bringup.pci.assessment import Assessment
from bringup.rules.inputs import Inputs

F8 = Rule(
    "F8",
    "the machine is the one that the file was generated for",
    "the facts in the file's own header (bringup camkes overlay)",
)


def made_for(inputs: Inputs) -> Found:
    """F8: each device that moved, went, or has other BARs or another pin than the file was made for."""
    claims = inputs.claims
    if claims is None or inputs.machine is None:
        return
    drift = compare(claims, Assessment(inputs.machine, pins=inputs.pins))
    places = {(claim.vm, claim.bdf): claim.place for claim in claims.devices}
    origin = f"made from {claims.capture or 'an unnamed capture'} of {claims.board or 'an unnamed board'}"
    for each in drift.differences:
        yield F8.error(
            f"drift-{each.kind}",
            (each.vm, places.get((each.vm, each.bdf))),
            each.message,
            "generate it again from this capture: bringup camkes overlay",
            origin,
        )
    for note in drift.notes:
        yield F8.note("drift-unknown", None, note, "", origin)


CHECKS = ((F8, made_for),)
