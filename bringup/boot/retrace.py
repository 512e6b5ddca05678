"""How far a boot came, judged anew from what was recorded of it: events, by their times. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.progress import Progress
from bringup.boot.verdict import Verdict
from bringup.boot.watch_request import WatchRequest


def judged(events: Iterable[Event], request: WatchRequest, *, ended: bool = False) -> Verdict:
    """Return the verdict of a boot on what was recorded; `ended`: nothing more came after it."""
    progress, last_s = _progress(events, request)
    return progress.so_far(last_s, ended=ended)


def is_decided(events: Iterable[Event], request: WatchRequest) -> bool:
    """Return whether what was recorded decides: a boot that was cut short would have ended like that."""
    progress, last_s = _progress(events, request)
    return progress.awaited is None or progress.decide(last_s) is not None


def _progress(events: Iterable[Event], request: WatchRequest) -> tuple[Progress, float]:
    """Return what the events make of a boot, and the time of the last."""
    progress, last_s = Progress(request), 0.0
    for event in events:
        try:
            progress.feed(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # of a kind that is known, and without what it has to tell
        last_s = max(last_s, event.at_s)
    return progress, last_s


def request_of(plan: Mapping[str, Any]) -> WatchRequest:
    """Return what a run watched for, as far as its plan tells; what it does not is as for any boot."""
    image = plan.get("image")
    image = image if isinstance(image, dict) else {}
    modules, vms = image.get("modules"), plan.get("vms")
    return WatchRequest(
        firmware=Firmware.UEFI if plan.get("firmware") == "uefi" else Firmware.BIOS,
        until=_stage(plan.get("until")) or Stage.USER_SPACE,
        kind="linux" if image.get("kind") == "linux" else "multiboot",
        modules=len(modules) if isinstance(modules, list) else 1,
        vms=vms if isinstance(vms, int) and not isinstance(vms, bool) and 0 < vms < 64 else None,
        limits=_limits(plan),
    )


def _limits(plan: Mapping[str, Any]) -> dict[Stage, float]:
    """Return how long each stage may take, in seconds."""
    found = {}
    for row in plan.get("limits") or ():
        stage, seconds = _stage(row.get("stage")), row.get("timeout_s")
        if stage is not None and isinstance(seconds, int | float):
            found[stage] = float(seconds)
    return found


def _stage(name: object) -> Stage | None:
    return next((stage for stage in Stage if str(stage) == name), None)
