"""What a person asks of a boot, apart from the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.power.base import OverridePolicy
from bringup.twin.engines import USUAL, TwinSetup

if TYPE_CHECKING:
    from bringup.image.profile import ImageProfile


@dataclass(frozen=True, slots=True)
class BootRequest:
    """None leaves the choice to the profile or the image.

    Without `until`, what counts is what the image is good for. `steal` takes the console from whoever has it.

    `until_texts` must all come, one of `fail_texts` means failure; `for_s` are
    the seconds to watch on after success. `strict`: a login with a dead network controller is a failure.
    `ignore_needs` boots an image although the machine lacks what it demands. `twin` says how a twin is
    started that is not up. `override` says whether the boot override has to be read back.
    `restart` restarts a real board that is on without asking.
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
    override: OverridePolicy | None = None
    restart: bool = False


def with_defaults(request: BootRequest, said: ImageProfile, *, twin: bool) -> BootRequest:
    """Return the request with what the image's own file says where the person said nothing."""
    ends = request.until is not None or bool(request.until_texts)
    setup = request.twin
    if twin and setup.engine == "auto" and said.engine is not None:
        setup = replace(setup, engine=said.engine)
    return replace(
        request,
        until=request.until if ends else said.stage,
        until_texts=request.until_texts if ends else said.until_texts,
        fail_texts=request.fail_texts or said.fail,
        for_s=said.for_s if request.for_s is None else request.for_s,
        vms=said.vms if request.vms is None else request.vms,
        twin=setup,
    )
