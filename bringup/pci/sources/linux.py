"""A Linux machine from a tree rooted at `/`: live, copied, or a bundle that followed the manifest."""

from __future__ import annotations

from dataclasses import replace

from bringup.pci.acpi.places import read_places
from bringup.pci.acpi.tables import read_acpi, read_code, resolve_scopes
from bringup.pci.model import Machine, Missing, SourceInfo
from bringup.pci.sources.merge import merge
from bringup.pci.sources.platform import read_identity, read_platform
from bringup.pci.sources.proc import read_interrupts, read_ranges
from bringup.pci.sources.sysfs.functions import read_functions
from bringup.pci.tree.files import Files
from bringup.pci.tree.manifest import MANIFEST

KIND = "linux"
UNREADABLE = "missing"
"""A bundle's list of what was there and could not be read: path, tab, reason."""
BOOT_LOG = "cmd/dmesg"

_UNREADABLE_LIMIT = 10_000
_ABSENT = "absent"


def read_linux(files: Files, name: str, sha256: str = "") -> Machine:
    """Return what a tree shows; provenance is `name:FILE`. What could not be read is `missing`."""
    whole = isinstance(files.read(MANIFEST), bytes)
    functions, missing = read_functions(files, name, whole=whole)
    acpi, acpi_missing = read_acpi(files)
    code, no_code = read_code(files)
    acpi = replace(acpi, code=code, places=tuple(read_places(files, functions)))
    interrupts, no_interrupts = read_interrupts(files)
    ioports, no_ioports = read_ranges(files, "proc/ioports")
    iomem, no_iomem = read_ranges(files, "proc/iomem")
    machine = Machine(
        functions=functions,
        identity=read_identity(files),
        platform=read_platform(files),
        acpi=resolve_scopes(acpi, functions),
        interrupts=interrupts,
        ioports=ioports,
        iomem=iomem,
        sources=(SourceInfo(name, KIND, sha256),),
        missing=(
            *missing,
            *acpi_missing,
            *no_code,
            *no_interrupts,
            *no_ioports,
            *no_iomem,
            *_unreadable(files),
        ),
    )
    machine = _with_boot_log(machine, files, name)
    return replace(machine, missing=_with_reasons(machine.missing))


def _with_boot_log(machine: Machine, files: Files, name: str) -> Machine:
    """Add the addresses that the firmware assigned, which only the boot log still knows."""
    log = files.read(BOOT_LOG)
    if not isinstance(log, bytes):
        return replace(machine, missing=(*machine.missing, log))
    # A copied tree has no log, and is read without its reader.
    from bringup.pci.sources.dmesg import addresses as dmesg

    told = dmesg.read_log(log, f"{name}:dmesg")
    here = {function.bdf for function in machine.functions}
    # A log may be of before a device was taken out or moved: the tree says what is there.
    told = replace(told, functions=tuple(f for f in told.functions if f.bdf in here), sources=())
    if machine.acpi.dmar is not None:
        told = replace(told, missing=())
    if not told.functions:
        lost = Missing("firmware BARs", f"{BOOT_LOG} does not reach back to the boot")
        told = replace(told, missing=(*told.missing, lost))
    return merge([machine, told])


def _with_reasons(missing: tuple[Missing, ...]) -> tuple[Missing, ...]:
    """Return the gaps without `absent` for what a bundle says was there and could not be read."""
    explained = {gap.what for gap in missing if gap.why != _ABSENT}
    return tuple(gap for gap in missing if gap.why != _ABSENT or gap.what not in explained)


def _unreadable(files: Files) -> tuple[Missing, ...]:
    data = files.read(UNREADABLE)
    if not isinstance(data, bytes):
        return ()
    lines = data.decode("utf-8", "replace").splitlines()[:_UNREADABLE_LIMIT]
    pairs = [line.partition("\t") for line in lines]
    return tuple(Missing(path[:512], why[:128]) for path, tab, why in pairs if path and tab)
