"""The machine this runs on, as the files of a capture: enumerated by udev, read through the manifest."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import LabError, MissingProgramError
from bringup.pci.model import Missing
from bringup.pci.tree.files import DEVICES, FILE_LIMIT, FolderFiles, MemoryFiles
from bringup.pci.tree.manifest import collect, linux_manifest

NAME = "local"
_COMMAND_SECONDS = 20


@dataclass(frozen=True, slots=True)
class _LiveRoot:
    """The root file system, with the PCI functions that udev enumerates."""

    files: FolderFiles
    functions: tuple[str, ...]

    def read(self, path: str) -> bytes | Missing:
        """Return a file's bytes."""
        return self.files.read(path)

    def children(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        return self.functions if path.rstrip("/") == DEVICES else self.files.children(path)

    def link(self, path: str) -> str | None:
        """Return what a symbolic link points at."""
        return self.files.link(path)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        return self.files.is_folder(path)


def local_files() -> MemoryFiles:
    """Return a capture of this machine in memory; raises LabError where it has no PCI functions."""
    return live_files(_enumerate())


def live_files(functions: tuple[str, ...]) -> MemoryFiles:
    """Return a capture of these functions of this machine; raises LabError where there are none."""
    if not functions:
        raise LabError(
            "this machine shows no PCI functions",
            hint="is this a container without /sys? capture on the machine itself: probe-pci --collector",
        )
    return collect(_LiveRoot(FolderFiles(Path("/")), functions), linux_manifest(), _run)


def _enumerate() -> tuple[str, ...]:
    """Return the names of the PCI functions, sorted."""
    try:
        # Imported late: it loads libudev, which only this needs.
        import pyudev

        return tuple(sorted(device.sys_name for device in pyudev.Context().list_devices(subsystem="pci")))
    except (ImportError, OSError) as error:
        raise MissingProgramError(
            f"cannot ask udev for devices: {error}", hint="apt install libudev1"
        ) from None


def _run(command: Sequence[str]) -> bytes | Missing:
    """Return what a program of the manifest prints, or why not."""
    name = command[0]
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_COMMAND_SECONDS, check=False
        )
    except FileNotFoundError:
        return Missing(name, "absent")
    except subprocess.TimeoutExpired:
        return Missing(name, f"gave no answer in {_COMMAND_SECONDS} s")
    except OSError as error:
        return Missing(name, (error.strerror or "did not start").lower())
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return Missing(name, lines[-1].rpartition(": ")[2][:128].lower() if lines else "failed")
    return done.stdout[:FILE_LIMIT]
