"""What is built from the probes is found in the checkout, then in the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.assets import asset, built_probe
from bringup.base.errors import ImageError


def test_assets_are_where_they_are_said_to_be() -> None:
    for name in ("boards", "pxe/grub.cfg.j2", "probes/firmware", "probes/standin"):
        assert asset(name).exists()


def test_a_built_probe_is_found_in_the_checkout_then_in_the_package(tmp_path: Path) -> None:
    source = tmp_path / "probes" / "firmware"
    wanted = (source, "firmware-probe", "the firmware probe", "make -C probes/firmware")
    with pytest.raises(ImageError, match="the firmware probe is not built") as caught:
        built_probe(*wanted)
    assert caught.value.hint == "make -C probes/firmware"
    packaged = source / "firmware-probe"
    packaged.parent.mkdir(parents=True)
    packaged.touch()
    assert built_probe(*wanted) == packaged
    built = tmp_path / "build" / "firmware" / "firmware-probe"
    built.parent.mkdir(parents=True)
    built.touch()
    assert built_probe(*wanted) == built
