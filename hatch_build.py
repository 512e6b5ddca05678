"""Builds the stand-in kernel while the package is built, so that an installed wheel can boot the twin."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNEL = Path("build", "standin", "standin-kernel")
IN_WHEEL = "bringup/_assets/probes/standin/standin-kernel"
INSTALL = "install gcc, binutils and make (Debian and Ubuntu: apt install gcc binutils make)"


class StandinBuildHook(BuildHookInterface[Any]):
    """Runs the kernel's own Makefile; a wheel takes the result along, a checkout has it in build/."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the kernel before the wheel's files are gathered (`version` "standard" or "editable")."""
        root = Path(self.root)
        kernel = root / KERNEL
        build_kernel(root / "probes" / "standin", kernel)
        if version != "editable":
            build_data["force_include"][str(kernel)] = IN_WHEEL


def build_kernel(source: Path, kernel: Path) -> None:
    """Make `kernel` from `source`; raises SystemExit with one sentence for the person who ran pip."""
    compiler = os.environ.get("CC", "gcc")
    for program in ("make", *compiler.split()[:1], "ld"):
        if shutil.which(program) is None:
            raise SystemExit(f"bringup: building the stand-in kernel needs {program}: {INSTALL}")
    command = ["make", "--no-print-directory", "-C", str(source), f"OUT={kernel}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(f"bringup: building the stand-in kernel failed: {INSTALL}\n{result.stderr}")
