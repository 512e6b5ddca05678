"""Makes images of GRUB with every module inside, by GRUB's own tool from its installed modules."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import MissingProgramError
from bringup.base.firmware import Firmware
from bringup.base.program import run_program

GRUB_DIR = Path("/usr/lib/grub")
MEMDISK = "(memdisk)"
"""How GRUB names the disk inside an image."""
_MAKE_TIMEOUT_S = 60.0
_PLATFORMS = {Firmware.BIOS: ("i386-pc", "grub-pc-bin"), Firmware.UEFI: ("x86_64-efi", "grub-efi-amd64-bin")}


@dataclass(frozen=True, slots=True)
class GrubModules:
    """GRUB's modules for one firmware: their folder, and the package that they come from."""

    folder: Path
    package: str
    changed_ns: int

    @classmethod
    def of(cls, firmware: Firmware, grub_dir: Path = GRUB_DIR) -> GrubModules:
        """Return the modules for a firmware; raises MissingProgramError when they are not installed."""
        name, package = _PLATFORMS[firmware]
        folder = grub_dir / name
        try:
            changed_ns = (folder / "moddep.lst").stat().st_mtime_ns
        except FileNotFoundError:
            raise MissingProgramError(
                f"GRUB's modules for {firmware} are not installed", hint=f"apt install {package}"
            ) from None
        return cls(folder, package, changed_ns)

    def make_image(
        self,
        image_format: str,
        script: str,
        target: Path,
        modules: Sequence[str],
        memdisk: Path | None = None,
    ) -> None:
        """Write an image with `script`, which runs first, these modules, and a disk in memory (a tar file).

        Raises MissingProgramError or LabError.
        """
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as config:
            config.write(script)
            config.flush()
            command = [
                *("grub-mkimage", "--directory", str(self.folder)),
                *("--format", image_format, "--prefix", MEMDISK),
                *("--config", config.name, "--output", str(target)),
                *(() if memdisk is None else ("--memdisk", str(memdisk))),
                *modules,
            ]
            run_program(command, self.package, timeout_s=_MAKE_TIMEOUT_S)
