"""The firmware probe: a small multiboot program of our own that reports the machine before any OS ran."""

from __future__ import annotations

from pathlib import Path

from bringup.base.assets import asset, built_probe


def firmware_probe() -> Path:
    """Return the path of the built probe; raises ImageError when it is not built."""
    source = asset("probes/firmware")
    return built_probe(source, "firmware-probe", "the firmware probe", "make -C probes/firmware")
