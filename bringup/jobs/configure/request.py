"""What a person asked of an application: by what it is read and judged, and what its VMs shall be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.camkes.app.command import command_of
from bringup.camkes.app.load import load_application
from bringup.camkes.model import Application
from bringup.jobs.configure.facts import Facts, read_facts
from bringup.lab.inventory import Lab

if TYPE_CHECKING:
    from bringup.pci.model import Bdf
    from bringup.pci.pins.beliefs import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """Captures (paths, or boards for their latest one), a profile, a build's folder, and options of cpp.

    `pins` are what a person states of IOAPIC pins, as DEVICE=IOAPIC/PIN.
    """

    captures: Sequence[str] = ()
    profile_name: str | None = None
    pins: Sequence[str] = ()
    build_dir: Path | None = None
    include: Sequence[Path] = ()
    define: Sequence[str] = ()
    allow_missing: bool = False

    def read(self, path: Path, data: bytes | None = None, *, of: Path | None = None) -> Application:
        """Read an application, or `data` as if it stood at `path`; raises ProfileError or UsageError.

        Behind the folders and macros that are named come those of its build, else of the projects around it:
        of the application `of` that a draft is for, which may be written anywhere.
        """
        own = command_of(of or path, self.build_dir)
        named = {macro.partition("=")[0] for macro in self.define}
        return load_application(
            path,
            include=(*self.include, *own.include),
            define=(*self.define, *(d for d in own.define if d.partition("=")[0] not in named)),
            allow_missing=self.allow_missing,
            data=data,
            draft_of=of,
        )

    def facts(self, lab: Lab | None, made_with: Mapping[Bdf, Line] | None = None) -> Facts:
        """Read what is named beside the application; `made_with` are pins that its maker stated."""
        return read_facts(lab, self.captures, self.profile_name, self.build_dir, self.pins, made_with)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignRequest(CheckRequest):
    """What a person asked for. `assignments` are VM=DEVICE, `accept` codes of what they take on knowingly.

    `guest_ram` (MiB) sets the RAM of every VM, with its pools, heap and CNode, `vm_ram` that of one (VM=MIB);
    `pools` sets these for the RAM that is set already, of the VMs that get a device.
    """

    assignments: Sequence[str]
    accept: Sequence[str] = ()
    guest_ram: int | None = None
    vm_ram: Sequence[str] = ()
    pools: bool = False
