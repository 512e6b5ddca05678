"""What a boot will do, as data: the dry run prints it, the run executes it, the display times it.

A plan touches nothing and asks nobody; it follows from the profile, the board, the image and the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage

if TYPE_CHECKING:
    from bringup.boot.verdict import WatchRequest
    from bringup.netboot.prepare import Segment
    from bringup.netboot.spec import Route


@dataclass(frozen=True, slots=True)
class BootRequest:
    """What a person asked for, apart from the image.

    Until `Stage.CAPTURE`, the board is left as it was found: off, or reset where it was on; `restart` allows
    that for a real board that is on. Where `another_follows` it is left as it is, unless a person interrupts
    or the image could not even be loaded; the boot that follows is told how it was found: `found_running`.
    """

    firmware: Firmware | None = None
    until: Stage | None = None
    loader: str = "auto"
    vms: int | None = None
    steal: bool = False
    keep_twin: bool = False
    restart: bool = False
    another_follows: bool = False
    found_running: bool | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `name` is its key in events, `title` what a person reads, times in seconds."""

    name: str
    title: str
    expected_s: float
    timeout_s: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageLimit:
    """How long a stage usually takes after the one before, and how long it may."""

    stage: Stage
    expected_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one boot will do, in order; secrets never enter it."""

    board: str
    profile: str
    twin: bool
    firmware: Firmware
    loader: str
    until: Stage
    vms: int | None
    image: Mapping[str, Any]
    steps: tuple[Step, ...]
    limits: tuple[StageLimit, ...]
    unconfirmed: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON data."""
        body = asdict(self)
        body["until"] = str(self.until)
        body["limits"] = [{**asdict(limit), "stage": str(limit.stage)} for limit in self.limits]
        return body


# What the steps before the watch may take; on the real board a BMC answers within a second or not at all.
_TWIN_S = (0.5, 20.0)
_CONSOLE_S = (0.5, 30.0)
_SERVE_S = (0.7, 20.0)
_OVERRIDE_S = (0.2, 30.0)
_RESTORE_S = (1.0, 60.0)


def make_plan(
    *,
    board: str,
    profile: str,
    twin: bool,
    request: BootRequest,
    image: Mapping[str, Any],
    route: Route,
    segment: Segment,
    console: Mapping[str, Any],
    watch: WatchRequest,
    limits: tuple[StageLimit, ...],
    unconfirmed: tuple[str, ...],
    cautions: tuple[str, ...],
) -> Plan:
    """Return the steps of one boot (pure)."""
    by_stage = {limit.stage: limit for limit in limits}
    power = by_stage[Stage.POWER]
    steps = [
        Step("console", _console_title(console), *_CONSOLE_S, detail=dict(console)),
        Step("serve", _serve_title(segment), *_SERVE_S, detail=_serve_detail(route, segment)),
        Step(
            "override",
            f"boot override: network, once, {watch.firmware.upper()}; read back",
            *_OVERRIDE_S,
            detail={"device": "network", "persistent": False, "uefi": watch.firmware is Firmware.UEFI},
        ),
        Step(
            "power",
            "power to a confirmed on (a running board is switched off first)",
            power.expected_s,
            power.timeout_s,
        ),
        Step(
            "watch",
            f"watch BMC, DHCP, TFTP, HTTP and console until {watch.until}",
            sum(limit.expected_s for limit in limits),
            sum(limit.timeout_s for limit in limits),
            detail={} if watch.vms is None else {"vms": watch.vms},
        ),
        Step("disarm", "stop serving, clear an override that was not taken", 0.5, 15.0),
    ]
    if watch.until is Stage.CAPTURE:
        title = "leave the board as it was found: off, or reset into its usual system where it was on"
        steps.append(Step("restore", title, *_RESTORE_S))
    if twin:
        steps.insert(0, Step("twin", "start the twin if it is not up", *_TWIN_S))
    return Plan(
        board=board,
        profile=profile,
        twin=twin,
        firmware=watch.firmware,
        loader=route.loader,
        until=watch.until,
        vms=watch.vms,
        image=image,
        steps=tuple(steps),
        limits=limits,
        unconfirmed=unconfirmed,
        cautions=cautions,
    )


def _console_title(console: Mapping[str, Any]) -> str:
    return f"attach the console ({console['via']}, {console['baud']} baud) and wait until it is operational"


def _serve_title(segment: Segment) -> str:
    who = ", ".join(segment.macs)
    return f"serve DHCP ({segment.mode}), TFTP and HTTP on {segment.interface} to {who} only"


def _serve_detail(route: Route, segment: Segment) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "loader": route.loader,
        "protocol": route.protocol,
        "transport": route.transport,
        "first_file": route.first_file,
        "server": segment.address,
    }
    if segment.board_address is not None:
        detail["board_address"] = segment.board_address
    return detail
