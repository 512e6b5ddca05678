"""A folder whose files are each a view of one machine, and which of them counts for what.

What a board's two probes saw is kept so, and any folder of listings and logs opens the same way.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bringup.pci.model import Acpi, Function, Machine, Platform
from bringup.pci.sources import firmware, linux

FILES_MAX = 16
# A folder of what a person or sosreport put together has more, most of it about other things.
_COLLECTED_MAX = 4096
_DEPTH_MAX = 4


def files_of(folder: Path) -> tuple[Path, ...]:
    """Return the files of a folder that holds nothing but a few files, sorted; else nothing.

    Where a machine's own files lie there are folders too. What cannot be listed has none: opening it tells.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted((e for e in listing if not e.name.startswith(".")), key=lambda e: e.name)
            plain = all(entry.is_file() for entry in entries)
    except OSError:
        return ()
    return tuple(Path(entry.path) for entry in entries) if plain and len(entries) <= FILES_MAX else ()


def collected(folder: Path) -> tuple[Path, ...]:
    """Return every file in a folder and those below it, sorted: what a person or a report tool collected.

    Nothing that is no plain file is among them, so that reading none of them waits.
    """
    found: list[Path] = []
    todo = [(folder, 0)]
    while todo and len(found) < _COLLECTED_MAX:
        place, depth = todo.pop()
        try:
            with os.scandir(place) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth < _DEPTH_MAX:
                todo.append((Path(entry.path), depth + 1))
            elif entry.is_file(follow_symlinks=False):
                found.append(Path(entry.path))
    return tuple(sorted(found[:_COLLECTED_MAX]))


def prefer_bare_metal(machine: Machine, views: Sequence[Machine]) -> Machine:
    """Return the merged machine with what the firmware probe among its views saw better than an OS can.

    Those are the BARs as firmware left them, where a boot log repeats what Linux made of them, the tables in
    memory, and the state of VT-x and x2APIC in which seL4 would start.
    """
    if any(view.sources[0].kind == linux.KIND for view in views):
        # Linux had every table.
        still = tuple(missing for missing in machine.missing if missing.why != firmware.NOT_ASKED)
        machine = replace(machine, missing=still)
    for view in views:
        if view.sources[0].kind == firmware.KIND:
            machine = replace(
                machine,
                functions=_with_firmware_bars(machine.functions, view.functions),
                acpi=_acpi(view.acpi, machine.acpi),
                platform=_platform(view.platform, machine.platform),
            )
    return machine


def _with_firmware_bars(functions: Sequence[Function], seen: Sequence[Function]) -> tuple[Function, ...]:
    probed = {function.bdf: function for function in seen if function.observed("firmware_bars")}
    return tuple(
        replace(
            function,
            firmware_bars=probed[function.bdf].firmware_bars,
            provenance={
                **function.provenance,
                "firmware_bars": probed[function.bdf].provenance["firmware_bars"],
            },
        )
        if function.bdf in probed
        else function
        for function in functions
    )


def _acpi(seen: Acpi, other: Acpi) -> Acpi:
    return replace(
        other, madt=seen.madt or other.madt, dmar=seen.dmar or other.dmar, mcfg=seen.mcfg or other.mcfg
    )


def _platform(seen: Platform, other: Platform) -> Platform:
    return replace(
        other,
        vtx=other.vtx if seen.vtx is None else seen.vtx,
        vtx_locked_off=other.vtx_locked_off if seen.vtx_locked_off is None else seen.vtx_locked_off,
        x2apic=other.x2apic if seen.x2apic is None else seen.x2apic,
    )
