"""One machine as seen by each program, made or recorded: what tests of whole machines run on.

Recorded files lie beside the checkout and not in it. Those that are there are more views to test; which are
there, and whether any is, no test depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bringup.pci.capture.open import open_capture
from bringup.pci.model import Machine
from tests.machines import catalogue
from tests.machines.catalogue import E300_9D, TP8F, TP8F_8, TP8F_OTHER
from tests.places import SHARED

RECORDED = SHARED / "data" / "pci"
RECORDINGS = {
    E300_9D: "pciconf-SYS-E300-9D-FEFC14ABAD.txt",
    TP8F: "pciconf-SYS-E300-9D-4CN8TP-05566134F9.txt",
    TP8F_OTHER: "pciconf-SYS-E300-9D-4CN8TP-D0BF3EB35D.txt",
    TP8F_8: "pciconf-SYS-E300-9D-8CN8TP-18576EF86C.txt",
}


@dataclass(frozen=True)
class View:
    """A view: its name, its bytes, and the model that is read from it."""

    name: str
    data: Callable[[], bytes] = field(compare=False)
    machine: Callable[[], Machine] = field(compare=False)

    def __str__(self) -> str:
        return self.name


def views(name: str, *forms: str) -> list[View]:
    """Return the views of a machine in these formats, and its recorded listing where that is there."""
    made = [
        View(
            f"{name}/{form}",
            lambda form=form: catalogue.told(name, form),  # type: ignore[misc]
            lambda form=form: catalogue.read(name, form),  # type: ignore[misc]
        )
        for form in forms
    ]
    recording = RECORDED / RECORDINGS.get(name, "none is known")
    return [*made, *([recorded(recording)] if recording.is_file() else [])]


def recorded(path: Path) -> View:
    """Return the view that a recorded file is."""
    return View(path.name, path.read_bytes, lambda: _read(path))


def recordings(glob: str = "*") -> list[View]:
    """Return every recorded file that is there."""
    return [recorded(path) for path in sorted(RECORDED.glob(glob)) if path.is_file()]


@cache
def _read(path: Path) -> Machine:
    return open_capture([path])
