"""Builds what boards boot while the package is built, so that an installed wheel needs no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Folder below probes/, and the built file: below build/ in a checkout, beside the source in a wheel.
PROGRAMS = (("standin", "standin-kernel"), ("firmware", "firmware-probe"))
INSTALL = "install gcc, binutils and make (Debian and Ubuntu: apt install gcc binutils make)"


class StandinBuildHook(BuildHookInterface[Any]):
    """Runs each program's own Makefile; a wheel takes the results along, a checkout has them in build/."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the wheel's files are gathered (`version` "standard" or "editable")."""
        root = Path(self.root)
        for folder, name in PROGRAMS:
            built = root / "build" / folder / name
            build_kernel(root / "probes" / folder, built)
            if version != "editable":
                build_data["force_include"][str(built)] = f"bringup/_assets/probes/{folder}/{name}"


def build_kernel(source: Path, kernel: Path) -> None:
    """Make `kernel` from `source`; raises SystemExit with one sentence for the person who ran pip."""
    what = f"probes/{source.name}"
    compiler = os.environ.get("CC", "gcc")
    for program in ("make", *compiler.split()[:1], "ld"):
        if shutil.which(program) is None:
            raise SystemExit(f"bringup: building {what} needs {program}: {INSTALL}")
    command = ["make", "--no-print-directory", "-C", str(source), f"OUT={kernel}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(f"bringup: building {what} failed: {INSTALL}\n{result.stderr}")
