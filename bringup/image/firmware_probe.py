"""The firmware probe: a small multiboot program of our own that reports the machine before any OS ran."""

from __future__ import annotations

from pathlib import Path

from bringup.base.assets import asset
from bringup.base.errors import ImageError


def firmware_probe() -> Path:
    """Return the path of the built probe: the checkout's, else the one in the installed package.

    Raises ImageError when neither is there.
    """
    source = asset("probes/firmware")
    built = source.parents[1] / "build" / "firmware" / "firmware-probe"
    for probe in (built, source / "firmware-probe"):
        if probe.is_file():
            return probe
    raise ImageError(
        f"the firmware probe is not built: {built} is not there",
        hint="make -C probes/firmware",
    )
