"""Explain: what a recorded console proves, judged as a boot that was watched."""

from __future__ import annotations

import json
from pathlib import Path

from bringup.base.errors import UsageError
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.recorded import Recording, judge_recording
from bringup.boot.request import BootRequest, with_defaults
from bringup.boot.watch_request import WatchRequest
from bringup.console.recorded import recorded_pieces
from bringup.transcript.vms import VmNames, find_vm_names


def explain(log: Path, request: BootRequest | None = None, image: Path | None = None) -> Recording:
    """Judge the console text in `log`: a file, a pipe, `-` for standard input, or a run's folder.

    `image` is the folder of the build that was booted. Of the request, what says when a boot is done and
    failed counts; a `bringup.toml` in the build's folder fills in what it leaves open. Raises UsageError for
    what cannot be read or does not end, ProfileError for mistakes in that file.
    """
    request, names = request or BootRequest(), None
    if image is not None:
        request, names = _of_image(image, request)
    vms = request.vms
    if vms is None and names is not None and request.until in (None, Stage.LOGIN):
        vms = len(names.vms)
    watch = WatchRequest(
        Firmware.BIOS,
        until=request.until or Stage.USER_SPACE,
        by_itself=request.until is None,
        until_texts=request.until_texts,
        fail_texts=request.fail_texts,
        vms=vms,
        strict=request.strict,
        vm_names=names,
        netboot=False,
    )
    return judge_recording(recorded_pieces(log), watch, said=_waited_for(log))


def _of_image(image: Path, request: BootRequest) -> tuple[BootRequest, VmNames | None]:
    if not image.is_dir():
        raise UsageError(f"{image} is no folder", hint="name the build's folder")
    # Only here: they read TOML by a model, which takes as long to import as all the rest.
    from bringup.image.folder import folders_of
    from bringup.image.profile import read_image_profile

    said = read_image_profile(folders_of([image]))
    return with_defaults(request, said, twin=False), find_vm_names(image)


def _waited_for(log: Path) -> str | None:
    """Return the stage that a run waited for, where the log is that of its folder."""
    try:
        plan = json.loads((log / "plan.json").read_bytes())
    except (OSError, ValueError):
        return None
    until = plan.get("until") if isinstance(plan, dict) else None
    return until if isinstance(until, str) else None
