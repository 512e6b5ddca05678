"""The machine that a generated file was made for: F8, asked by a check and before a board is booted."""

from __future__ import annotations

from bringup.base.finding import Found, Rule
from bringup.camkes.claims.compare import compare
from bringup.camkes.vms.vmm import PAGE
from bringup.pci.assessment import Assessment
from bringup.rules.inputs import Inputs, memory_bars

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


def written_for(inputs: Inputs) -> Found:
    """F8 of a file by hand: where no address that VMs are given is a BAR here, it was another unit's."""
    parts = [(vm, part) for vm, device in inputs.devices() for part in device.memory]
    bars = {
        bar.base // PAGE
        for function in inputs.functions.values()
        for bar in memory_bars(function)
        if bar.base
    }
    if inputs.claims is not None or not parts or not bars:
        return
    if any(part.base // PAGE in bars for _, part in parts):
        return
    vm, part = parts[0]
    yield F8.warning(
        "other-unit",
        (vm.name, part.place),
        "no address that a VM is given is a BAR in this capture: the numbers are those of another unit, "
        "or from before its firmware settings changed",
        "put in this capture's: bringup camkes update",
        f"written: {', '.join(f'{part.base:#x}' for _, part in parts[:6])}",
    )


CHECKS = ((F8, made_for), (F8, written_for))
