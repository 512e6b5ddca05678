"""What a person asks of a boot, apart from the image."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.twin.engines import USUAL, TwinSetup


@dataclass(frozen=True, slots=True)
class BootRequest:
    """None leaves the choice to the profile or the image.

    Without `until`, what counts is what the image is good for. `steal` takes the console from whoever has it.

    `until_texts` must all come, one of `fail_texts` means failure; `for_s` are
    the seconds to watch on after success. `strict`: a login with a dead network controller is a failure.
    `ignore_needs` boots an image although the machine lacks what it demands. `twin` says how a twin is
    started that is not up.
    """

    firmware: Firmware | None = None
    until: Stage | None = None
    until_texts: tuple[str, ...] = ()
    fail_texts: tuple[str, ...] = ()
    for_s: float | None = None
    strict: bool = False
    loader: str = "auto"
    vms: int | None = None
    steal: bool = False
    keep_twin: bool = False
    ignore_needs: bool = False
    twin: TwinSetup = USUAL
