"""What the events of all sources prove about one boot: the facts that a verdict rests on. Pure.

All sources meet on one clock (CLOCK_MONOTONIC). What was seen before the board was off, or before it was
reset, proves nothing about this boot and is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bringup.base.events import Event
from bringup.base.stage import Stage
from bringup.transcript.failures.table import find as find_failure
from bringup.transcript.markers import MARKERS, Failure

_BANNERS = frozenset(marker.text for marker in MARKERS if marker.banner)
_SERVED_AS = {"loader": Stage.LOADER, "loader-script": Stage.LOADER, "kernel": Stage.KERNEL_IMAGE}
_STRANGERS_MAX = 8
RAMDISK_DONE = "finished"
"""The probe ramdisk's last words (probes/linux/init)."""
_MODULE_ROLES = ("module", "initrd")


@dataclass(frozen=True, slots=True)
class StageReached:
    """A stage the boot came to; `at_s` is None where a later stage is the only evidence."""

    stage: Stage
    at_s: float | None
    evidence: str


@dataclass(frozen=True, slots=True)
class SeenFailure:
    """A failure that the console told of, and how far the boot was then."""

    failure: Failure
    at_s: float
    seen: str
    furthest: Stage | None


@dataclass(slots=True)
class BootEvidence:
    """What is known of the boot that is going on; times are those of the events, None means not boot."""

    reached: dict[Stage, StageReached] = field(default_factory=dict)
    advanced_s: float | None = None
    transfer_s: float | None = None
    transferring: set[Stage] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    kernel_served: bool = False
    logins: set[int] = field(default_factory=set)
    failures: list[SeenFailure] = field(default_factory=list)
    banners: set[str] = field(default_factory=set)
    dhcp: set[str] = field(default_factory=set)
    arch: str | None = None
    strangers: list[str] = field(default_factory=list)
    heard_s: float | None = None
    console_stage_s: float | None = None
    console_kernel_s: float | None = None
    ramdisk_done_s: float | None = None
    report_lost: tuple[float, str] | None = None
    last_line: str | None = None
    restarted: tuple[float, str] | None = None

    @property
    def furthest(self) -> Stage | None:
        """The last stage with evidence."""
        return max(self.reached, key=lambda stage: stage.order, default=None)

    def reach(self, stage: Stage, event: Event, evidence: str) -> None:
        """Note the first evidence of `stage`."""
        if stage in self.reached:
            return
        furthest = self.furthest
        self.reached[stage] = StageReached(stage, event.at_s, evidence)
        if furthest is None or furthest < stage:
            self.advanced_s = event.at_s

    def restart(self, event: Event, evidence: str) -> None:
        """Note that the board started over though nobody told it to."""
        if self.restarted is None:
            self.restarted = (event.at_s, evidence)


class Witness:
    """Takes the events of a run; `boot` is what they prove.

    `modules` files besides the kernel make the MODULES stage, `logins` VMs the LOGIN stage. DHCP packets from
    other than `macs` are somebody else's (any is the board's when none is given).
    """

    def __init__(self, *, modules: int, logins: int, macs: tuple[str, ...] = ()) -> None:
        self.boot = BootEvidence()
        self.console_lost_s: float | None = None
        self.servers_lost_s: float | None = None
        self._modules = modules
        self._logins = logins
        self._macs = frozenset(mac.lower() for mac in macs)
        self._bytes = 0

    def feed(self, event: Event) -> None:
        """Take one event; kinds that prove nothing are ignored."""
        handler = _HANDLERS.get(event.kind)
        if handler is not None:
            handler(self, event)
        elif event.kind.startswith(("tftp.", "http.")):
            self.boot.transfer_s = event.at_s

    def _power_state(self, event: Event) -> None:
        state = str(event.data.get("state", "")).lower()
        if state == "off":
            self.boot = BootEvidence()
        elif state == "on":
            self.boot.reach(Stage.POWER, event, event.text or "power is on, confirmed")

    def _power_action(self, event: Event) -> None:
        """Forget what was seen before the board starts anew; the action is told before it is done."""
        action = event.data.get("action")
        if action == "on":
            self.boot = BootEvidence()
        elif action == "reset":
            power = self.boot.reached.get(Stage.POWER)
            self.boot = BootEvidence(advanced_s=event.at_s)
            if power is not None:
                self.boot.reached[Stage.POWER] = power

    def _console_activity(self, event: Event) -> None:
        count = int(event.data.get("bytes", 0))
        if count > self._bytes:
            self._bytes = count
            self.boot.heard_s = event.at_s

    def _console_lost(self, event: Event) -> None:
        self.console_lost_s = event.at_s

    def _console_back(self, _event: Event) -> None:
        self.console_lost_s = None

    def _console_stage(self, event: Event) -> None:
        boot, stage = self.boot, Stage(event.data["stage"])
        boot.heard_s = boot.console_stage_s = event.at_s
        line = _quote(event)
        self._notice_restart(stage, event, line)
        boot.last_line = line
        if stage >= Stage.KERNEL and boot.console_kernel_s is None:
            boot.console_kernel_s = event.at_s
        if stage is Stage.LOGIN:
            boot.logins.add(event.data.get("vm") or 0)
            if len(boot.logins) < self._logins:
                stage = Stage.GUEST
        boot.reach(stage, event, line)

    def _notice_restart(self, stage: Stage, event: Event, line: str) -> None:
        marker = event.data.get("marker")
        if marker in _BANNERS:
            if marker in self.boot.banners:
                self.boot.restart(event, line)
            self.boot.banners.add(marker)
        elif stage <= Stage.LOADER and self.boot.console_kernel_s is not None:
            self.boot.restart(event, line)

    def _console_failure(self, event: Event) -> None:
        failure = find_failure(str(event.data.get("code")), str(event.data.get("marker", "")))
        if failure is not None:
            self.boot.heard_s = event.at_s
            self.boot.failures.append(SeenFailure(failure, event.at_s, _quote(event), self.boot.furthest))

    def _dhcp(self, event: Event) -> None:
        boot, name = self.boot, event.kind.removeprefix("dhcp.")
        mac = str(event.data.get("mac", "")).lower()
        if self._macs and mac and mac not in self._macs:
            if mac not in boot.strangers and len(boot.strangers) < _STRANGERS_MAX:
                boot.strangers.append(mac)
            return
        if name in ("discover", "ignored") and event.data.get("arch") is not None:
            boot.arch = str(event.data["arch"])
        if name == "discover":
            furthest = boot.furthest
            begun = furthest is not None and furthest >= Stage.MODULES
            if begun and _is_boot_client(event):
                boot.restart(event, event.text or "a network boot is asked for again")
            boot.reach(Stage.FIRMWARE, event, event.text or "a network boot was asked for")
        elif name in ("ack", "reply"):
            boot.reach(Stage.DHCP, event, event.text or "the DHCP request was answered")
        boot.dhcp.add(name)

    def _served(self, event: Event) -> None:
        boot, role = self.boot, event.data.get("role")
        boot.transfer_s = event.at_s
        evidence = event.text or f"{event.data.get('path')} by {event.source.upper()}"
        if role == "kernel":
            boot.kernel_served = True
        if role in _SERVED_AS:
            boot.reach(_SERVED_AS[role], event, evidence)
        elif role in _MODULE_ROLES:
            boot.modules.add(str(event.data.get("path")))
            if len(boot.modules) >= self._modules:
                boot.reach(Stage.MODULES, event, evidence)

    def _serving(self, event: Event) -> None:
        boot, role = self.boot, event.data.get("role")
        boot.transfer_s = event.at_s
        if role == "kernel":
            boot.kernel_served = True
        stage = Stage.MODULES if role in _MODULE_ROLES else _SERVED_AS.get(str(role))
        # TFTP tells no role at its start; before the kernel it can only be the loader.
        boot.transferring.add(stage or Stage.LOADER)

    def _sent_back(self, event: Event) -> None:
        self.boot.reach(Stage.CAPTURE, event, event.text)

    def _ramdisk_works(self, event: Event) -> None:
        self.boot.heard_s = self.boot.transfer_s = event.at_s
        if event.text == RAMDISK_DONE:
            self.boot.ramdisk_done_s = event.at_s

    def _report_comes(self, event: Event) -> None:
        """Take frames of the firmware probe as proof that it runs: a bad line may lose its first words."""
        boot = self.boot
        boot.heard_s = boot.transfer_s = event.at_s
        if boot.console_kernel_s is None:
            boot.console_kernel_s = event.at_s
        boot.reach(Stage.KERNEL, event, event.text)

    def _report_lost(self, event: Event) -> None:
        self.boot.report_lost = (event.at_s, event.text)

    def _servers_lost(self, event: Event) -> None:
        self.servers_lost_s = event.at_s


def _quote(event: Event) -> str:
    line = event.data.get("line")
    where = "console" if line is None else f"console line {line}"
    return f'{where}: "{event.text}"'


def _is_boot_client(event: Event) -> bool:
    """Return whether a DHCP packet came from firmware or iPXE: an operating system asks without option 93."""
    vendor = str(event.data.get("vendor_class") or "")
    return event.data.get("arch") is not None or vendor.startswith(("PXEClient", "HTTPClient"))


_HANDLERS: dict[str, Callable[[Witness, Event], None]] = {
    "power.state": Witness._power_state,
    "power.action": Witness._power_action,
    "console.attached": Witness._console_back,
    "console.gap": Witness._console_back,
    "console.lost": Witness._console_lost,
    "console.activity": Witness._console_activity,
    "console.stage": Witness._console_stage,
    "console.failure": Witness._console_failure,
    **{f"dhcp.{name}": Witness._dhcp for name in ("discover", "offer", "request", "ack", "ignored", "reply")},
    "tftp.done": Witness._served,
    "http.done": Witness._served,
    "tftp.start": Witness._serving,
    "http.start": Witness._serving,
    "tftp.progress": Witness._serving,
    "http.progress": Witness._serving,
    "http.upload": Witness._sent_back,
    "console.upload": Witness._sent_back,
    "console.probe": Witness._ramdisk_works,
    "console.upload_progress": Witness._ramdisk_works,
    "console.report": Witness._report_comes,
    "console.report_lost": Witness._report_lost,
    "run.servers_lost": Witness._servers_lost,
}
