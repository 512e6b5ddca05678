"""Explain: what a recorded console proves, judged as a boot that was watched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.errors import UsageError
from bringup.base.firmware import Firmware
from bringup.base.regular_file import is_folder
from bringup.base.stage import Stage
from bringup.boot.folders import RunFolder
from bringup.boot.recorded import Recording, judge_recording
from bringup.boot.request import BootRequest, with_defaults
from bringup.boot.watch_request import WatchRequest
from bringup.console.recorded import recorded_pieces
from bringup.image.standin import played_by
from bringup.transcript.vms import VmNames, find_vm_names

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build


def explain(log: Path, request: BootRequest | None = None, image: Path | None = None) -> Recording:
    """Judge the console text in `log`: a file, a pipe, `-` for standard input, or a run's folder.

    `image` is the folder of the build that was booted. Of the request, what says when a boot is done and
    failed counts; a `bringup.toml` in the build's folder fills in what it leaves open. Raises UsageError for
    what cannot be read or does not end, ProfileError for mistakes in that file.
    """
    request, names, build = request or BootRequest(), None, None
    if image is not None:
        request, names, build = _of_image(image, request)
    plan = _plan_of(log)
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
        prints=not (_is_release(plan) or _builds_release(build)),
        vm_names=names,
        netboot=False,
    )
    return judge_recording(recorded_pieces(log), watch, said=_until(plan))


def _of_image(image: Path, request: BootRequest) -> tuple[BootRequest, VmNames | None, Build | None]:
    if not is_folder(image):
        raise UsageError(f"{image} is no folder", hint="name the build's folder")
    # Only here: they read TOML by a model, which takes as long to import as all the rest.
    from bringup.camkes.app.build import find_build
    from bringup.image.folder import folders_of
    from bringup.image.profile import read_image_profile

    folders = folders_of([image])
    said = read_image_profile(folders)
    return with_defaults(request, said, twin=False), find_vm_names(image), find_build(folders)


def _plan_of(log: Path) -> Mapping[str, Any]:
    """Return the plan of the run whose folder this is, empty where there is none that can be read."""
    return RunFolder(log).read_json("plan.json") or {}


def _until(plan: Mapping[str, Any]) -> str | None:
    until = plan.get("until")
    return until if isinstance(until, str) else None


def _is_release(plan: Mapping[str, Any]) -> bool:
    """Return whether the kernel of a run prints nothing, as far as its plan tells."""
    image = plan.get("image")
    if not isinstance(image, dict):
        return False
    if image.get("standin"):
        return not played_by(str(image.get("kernel_args", ""))).prints
    needs = image.get("needs")
    return isinstance(needs, dict) and needs.get("release") is True


def _builds_release(build: Build | None) -> bool:
    return build is not None and build.kernel is not None and not build.kernel.prints
