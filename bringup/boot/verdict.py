"""From events to a verdict: how far the boot came, what is missing, whose fault, what to do. Pure.

A stage with evidence proves every stage before it; silence is evidence too, once a stage's limit has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bringup.base.errors import FAULTS, BringupError
from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.causes import TABLE, Causes
from bringup.boot.evidence import BootEvidence, SeenFailure, StageReached, Witness
from bringup.profile.advice import BoardWords
from bringup.transcript.failures.boot import GARBAGE

SETTLE_S = 0.5
"""How long a boot is watched after its last stage: a root task that dies at once has not arrived."""

_SERVED_GRACE_S = 1.0
# The ramdisk's last word comes by console, the capture through another process.
_CAPTURE_GRACE_S = 3.0
_RELATED_S = 5.0
_CAUSES_MAX = 3
_EXIT_CODES = {"ok": 0, **{fault: kind.exit_code for fault, kind in FAULTS.items()}}
_SILENT_AFTER_KERNEL = {
    Stage.CAPTURE: "no-capture",
    Stage.VMM: "no-vmm",
    Stage.GUEST: "no-guest",
    Stage.LOGIN: "no-login",
}
_NETWORK_STAGES = (Stage.DHCP, Stage.LOADER, Stage.KERNEL_IMAGE, Stage.MODULES)
_TRANSFER_STAGES = (Stage.LOADER, Stage.KERNEL_IMAGE, Stage.MODULES, Stage.CAPTURE)


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a boot is expected to do.

    `modules` counts the files besides the kernel, `vms` the VMs whose login is awaited (None: unknown, one is
    enough). `prints`: the kernel prints (False for RELEASE images). `reports`: the image is the firmware
    probe, which has no user space and reports over the console. `limits` are the seconds a stage may take
    after the one before it; a stage without one may take for ever. `macs` are the board's, the one it boots
    from first. `words` are what causes say of this board's settings and console.
    """

    firmware: Firmware
    until: Stage = Stage.USER_SPACE
    kind: Literal["multiboot", "linux"] = "multiboot"
    modules: int = 1
    vms: int | None = None
    prints: bool = True
    reports: bool = False
    netboot: bool = True
    macs: tuple[str, ...] = ()
    limits: Mapping[Stage, float] = field(default_factory=dict)
    words: BoardWords = field(default_factory=BoardWords)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a boot ended; times are seconds since the run's origin, None where unknown."""

    kind: str
    exit_code: int
    code: str
    stage: Stage | None
    missing: Stage | None
    cause: str
    seen: str | None
    causes: Causes
    at_s: float | None
    stages: tuple[StageReached, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        return {
            "verdict": self.kind,
            "exit_code": self.exit_code,
            "code": self.code,
            "stage": _name(self.stage),
            "missing": _name(self.missing),
            "cause": self.cause,
            "seen": self.seen,
            "causes": [{"cause": cause, "fix": fix} for cause, fix in self.causes],
            "at_s": self.at_s,
            "stages": [
                {"name": str(reached.stage), "at_s": reached.at_s, "evidence": reached.evidence}
                for reached in self.stages
            ],
        }


def _name(stage: Stage | None) -> str | None:
    return None if stage is None else str(stage)


class Progress:
    """Collects the events of one boot and decides. `origin_s` is when the run began."""

    def __init__(self, request: WatchRequest, *, origin_s: float = 0.0) -> None:
        self._request = request
        self._origin_s = origin_s
        self._logins_wanted = request.vms or 1
        self._witness = Witness(modules=request.modules, logins=self._logins_wanted, macs=request.macs)

    def feed(self, event: Event) -> None:
        """Take one event of any source, in the order they came."""
        self._witness.feed(event)

    @property
    def _boot(self) -> BootEvidence:
        return self._witness.boot

    def _applicable(self) -> Iterator[Stage]:
        """Yield the stages this boot goes through."""
        request, reached = self._request, self._boot.reached
        vm_image = request.kind == "multiboot" and (bool(request.vms) or Stage.VMM in reached)
        for stage in Stage:
            if stage in reached or not (
                (stage in _NETWORK_STAGES and not request.netboot)
                or (stage is Stage.MODULES and request.modules == 0)
                or (stage in (Stage.VMM, Stage.GUEST) and not vm_image and request.until is not stage)
                or (stage is Stage.CAPTURE and request.until is not stage)
                or (stage is Stage.USER_SPACE and request.reports)
            ):
                yield stage

    @property
    def stages(self) -> tuple[StageReached, ...]:
        """The stages reached, in order; those without evidence of their own are marked as inferred."""
        furthest = self._boot.furthest
        if furthest is None:
            return ()
        return tuple(
            self._boot.reached.get(stage) or StageReached(stage, None, f"inferred from {furthest}")
            for stage in self._applicable()
            if stage <= furthest
        )

    @property
    def awaited(self) -> Stage | None:
        """The first stage up to the wanted one that was not reached; None when all were."""
        furthest, until = self._boot.furthest, self._request.until
        behind = (s for s in self._applicable() if s <= until and (furthest is None or s > furthest))
        return next(behind, None)

    @property
    def next_deadline_s(self) -> float | None:
        """When `decide` may say something new though no event comes; None when silence proves nothing."""
        return min((due_s for due_s, _ in self._outcomes()), default=None)

    def decide(self, now_s: float) -> Verdict | None:
        """Return the verdict, None while the boot goes on."""
        return next((build() for due_s, build in self._outcomes() if now_s >= due_s), None)

    def _outcomes(self) -> Iterator[tuple[float, Callable[[], Verdict]]]:
        """Yield (when it is decided, the verdict), the strongest first."""
        boot = self._boot
        fault, due_s = self._fatal()
        if boot.restarted is not None:
            at_s, line = boot.restarted
            crash = fault  # says more than the restart that followed it
            yield at_s, lambda: self._failed(crash) if crash else self._restarted(at_s, line)
        if self._witness.servers_lost_s is not None and self.awaited in _NETWORK_STAGES:
            lost_s = self._witness.servers_lost_s
            yield lost_s, lambda: self._from_table("servers-lost", lost_s)
        if fault is not None:
            yield due_s, lambda: self._failed(fault)
        elsewhere_s = self._elsewhere_s()
        if elsewhere_s is not None:
            yield elsewhere_s, lambda: self._from_table("booted-elsewhere", elsewhere_s, seen=boot.last_line)
        elif self.awaited is None and (fault is None or fault.at_s > self._done_s() + SETTLE_S):
            yield self._done_s() + SETTLE_S, self._ok
        if boot.ramdisk_done_s is not None and self.awaited is Stage.CAPTURE:
            given_up_s = boot.ramdisk_done_s + _CAPTURE_GRACE_S
            yield given_up_s, lambda: self._incomplete(given_up_s)
        if boot.report_lost is not None and self.awaited is not None:
            lost_s, _ = boot.report_lost
            yield lost_s, lambda: self._missing("report-incomplete", lost_s)
        deadline_s = self._deadline_s()
        if deadline_s is not None:
            yield deadline_s, lambda: self._stalled(deadline_s)

    def _done_s(self) -> float:
        """Return when the wanted stage was reached, by itself or by a later one."""
        until = self._request.until
        times = [r.at_s for stage, r in self._boot.reached.items() if stage >= until and r.at_s is not None]
        return min(times, default=self._boot.advanced_s or self._origin_s)

    def _elsewhere_s(self) -> float | None:
        """Return when it is certain that what runs was not served; the servers' events may come late."""
        boot = self._boot
        if not self._request.netboot or boot.kernel_served or boot.console_kernel_s is None:
            return None
        return boot.console_kernel_s + _SERVED_GRACE_S

    def _fatal(self) -> tuple[SeenFailure | None, float]:
        """Return the first failure that ends the boot, and when it does."""
        for fault in self._boot.failures:
            failure = fault.failure
            if not failure.fatal or self._recovered(fault):
                continue
            if failure is GARBAGE and not self._all_loaded():
                continue  # the firmware's speed may be wrong and the kernel's right
            from_s = fault.at_s if failure is not GARBAGE else max(fault.at_s, self._boot.advanced_s or 0.0)
            return fault, from_s + failure.grace_s
        return None, 0.0

    def _all_loaded(self) -> bool:
        furthest = self._boot.furthest
        return not self._request.netboot or (furthest is not None and furthest >= Stage.MODULES)

    def _recovered(self, fault: SeenFailure) -> bool:
        boot = self._boot
        if fault.failure is GARBAGE:
            return boot.console_stage_s is not None and boot.console_stage_s > fault.at_s
        further = boot.furthest is not None and (fault.furthest is None or boot.furthest > fault.furthest)
        return fault.failure.recovers and further

    def _deadline_s(self) -> float | None:
        """Return when the missing stage is overdue."""
        missing = self.awaited
        if missing is None:
            return None
        allowed_s = self._allowed_s(missing)
        if allowed_s is None:
            return None
        return self._waiting_since_s() + allowed_s

    def _waiting_since_s(self) -> float:
        """Return when the boot last went forward; a transfer goes forward with every byte."""
        boot = self._boot
        since_s = self._origin_s if boot.advanced_s is None else boot.advanced_s
        if self.awaited in _TRANSFER_STAGES and boot.transfer_s is not None:
            since_s = max(since_s, boot.transfer_s)
        return since_s

    def _allowed_s(self, missing: Stage) -> float | None:
        """Return the seconds until `missing` or the next stage that shows itself must have been reached."""
        request, total_s = self._request, 0.0
        silent = {Stage.FIRMWARE} if request.netboot else set()  # its text may not be redirected to SOL
        if not request.prints:
            silent |= {Stage.KERNEL, Stage.USER_SPACE}
        for stage in self._applicable():
            if missing <= stage <= request.until:
                limit_s = request.limits.get(stage)
                if limit_s is None:
                    return None
                total_s += limit_s
                if stage not in silent:
                    break
        return total_s

    # Verdicts.

    def failed(self, error: BringupError, now_s: float) -> Verdict:
        """Return the verdict of a run that an error ended."""
        causes: Causes = (("", error.hint),) if error.hint else ()
        return self._verdict(error.fault, error.code, error.message, now_s, causes)

    def _ok(self) -> Verdict:
        return self._verdict("ok", "ok", f"reached {self._request.until}", self._done_s(), ())

    def _stalled(self, at_s: float, seen: str | None = None) -> Verdict:
        return self._missing(self._stall_code(), at_s, seen)

    def _incomplete(self, at_s: float) -> Verdict:
        return self._missing("capture-incomplete", at_s)

    def _missing(self, code: str, at_s: float, seen: str | None = None) -> Verdict:
        hints = [f for f in self._boot.failures if not f.failure.generic and not self._recovered(f)]
        line = seen or (hints[0].seen if hints else self._boot.last_line)
        return self._from_table(code, at_s, seen=line, hints=hints)

    def _restarted(self, at_s: float, seen: str) -> Verdict:
        return self._from_table("reboot-loop", at_s, seen=seen)

    def _failed(self, fatal: SeenFailure) -> Verdict:
        if fatal.failure.gives_up and self.awaited is not None and self.awaited < Stage.KERNEL:
            return self._stalled(fatal.at_s, fatal.seen)
        fault = self._telling(fatal)
        failure = fault.failure
        causes = (self._filled(failure.why, failure.fix),)
        return self._verdict(failure.fault, failure.code, failure.cause, fault.at_s, causes, seen=fault.seen)

    def _telling(self, fatal: SeenFailure) -> SeenFailure:
        """Return the failure that says most: `halting...` only says that something went wrong before."""
        if not fatal.failure.generic:
            return fatal
        telling = [f for f in self._boot.failures if not f.failure.generic and f.failure is not GARBAGE]
        after = [f for f in telling if f.failure.fatal and f.at_s >= fatal.at_s]
        before = [f for f in telling if 0 <= fatal.at_s - f.at_s <= _RELATED_S and not self._recovered(f)]
        return (after or before[-1:] or [fatal])[0]

    def _stall_code(self) -> str:
        """Return the row of the table that fits the silence."""
        boot, missing = self._boot, self.awaited
        if missing is None or missing >= Stage.KERNEL:
            return self._stall_code_after_loading(missing)
        if missing is Stage.POWER:
            return "no-power"
        if missing <= Stage.DHCP:
            if "ignored" in boot.dhcp and "offer" not in boot.dhcp:
                return "dhcp-ignored"
            if "discover" in boot.dhcp:
                return "dhcp-not-taken" if "offer" in boot.dhcp else "dhcp-unanswered"
            return "no-dhcp" if boot.heard_s is not None else "no-sign-of-life"
        started = missing in boot.transferring
        if missing is Stage.LOADER:
            return "loader-stalled" if started else "loader-not-fetched"
        if started:
            return "transfer-stalled"
        return "kernel-not-fetched" if missing is Stage.KERNEL_IMAGE else "module-not-fetched"

    def _stall_code_after_loading(self, missing: Stage | None) -> str:
        if self._witness.console_lost_s is not None:
            return "console-lost"
        if missing in (Stage.KERNEL, Stage.USER_SPACE) and not self._request.prints:
            return "nothing-printed"
        if missing is Stage.KERNEL:
            return "kernel-silent" if self._boot.heard_s is not None else "console-silent"
        if missing is Stage.CAPTURE and self._request.reports:
            return "no-report"
        return _SILENT_AFTER_KERNEL.get(missing or Stage.USER_SPACE, "kernel-hangs")

    def _from_table(
        self, code: str, at_s: float, *, seen: str | None = None, hints: list[SeenFailure] | None = None
    ) -> Verdict:
        row = TABLE[code]
        cause = row.cause.format(
            who=self._request.macs[0] if self._request.macs else "the board",
            waited=f"{max(0.0, at_s - self._waiting_since_s()):.0f}",
            arch=self._boot.arch or "unknown",
            firmware=str(self._request.firmware).upper(),
            since_power=f"{max(0.0, at_s - self._power_s()):.0f}",
            some=len(self._boot.logins),
            all=self._logins_wanted,
            lost=self._boot.report_lost[1] if self._boot.report_lost else "",
        )
        told = {self._filled(hint.failure.why, hint.failure.fix): None for hint in hints or ()}
        usual = (self._filled(*cause) for cause in row.causes)
        causes = (*told, *self._strangers(code), *usual)[:_CAUSES_MAX]
        return self._verdict(row.fault, code, cause, at_s, causes, seen=seen)

    def _filled(self, why: str, fix: str) -> tuple[str, str]:
        """Return a cause with the board's own words in it."""
        return why, self._request.words.fill(fix)

    def _strangers(self, code: str) -> Causes:
        strangers = self._boot.strangers
        if code not in ("no-dhcp", "no-sign-of-life") or not strangers:
            return ()
        fix = "move the cable, or add that MAC to the board in lab.toml"
        return ((f"{', '.join(strangers[:_CAUSES_MAX])} asked instead", fix),)

    def _verdict(
        self,
        kind: str,
        code: str,
        cause: str,
        at_s: float,
        causes: Causes,
        *,
        seen: str | None = None,
    ) -> Verdict:
        return Verdict(
            kind=kind,
            exit_code=_EXIT_CODES[kind],
            code=code,
            stage=self._boot.furthest,
            missing=self.awaited,
            cause=cause,
            seen=seen,
            causes=causes,
            at_s=self._relative(at_s),
            stages=tuple(
                StageReached(reached.stage, self._relative(reached.at_s), reached.evidence)
                for reached in self.stages
            ),
        )

    def _power_s(self) -> float:
        power = self._boot.reached.get(Stage.POWER)
        return self._origin_s if power is None or power.at_s is None else power.at_s

    def _relative(self, at_s: float | None) -> float | None:
        return None if at_s is None else round(at_s - self._origin_s, 3)
