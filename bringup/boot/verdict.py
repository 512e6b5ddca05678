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
from bringup.base.stage import BOOT_STAGES, Stage
from bringup.boot.causes import TABLE, Causes, Row
from bringup.boot.errand import Errand
from bringup.boot.evidence import BootEvidence, SeenFailure, StageReached, Suite, VmSeen, Witness
from bringup.profile.advice import BoardWords
from bringup.transcript.failures.boot import GARBAGE
from bringup.transcript.nics import Nic
from bringup.transcript.stages import StageReader
from bringup.transcript.texts import WantedTexts
from bringup.transcript.vms import VmNames

SETTLE_S = 0.5
"""How long a boot is watched after its last stage: a root task that dies at once has not arrived."""

QUIET_S = 5.0
"""How long an image that has no VMs and no known end must say nothing to count as done."""

_UNENDING_S = 60.0
_PRINTING_MAX = 20
_OTHER_PORT_S = 5.0

_SERVED_GRACE_S = 1.0
_RELATED_S = 5.0
_CAUSES_MAX = 3
_NAMES_MAX = 5
_EXIT_CODES = {"ok": 0, "undecided": 3, **{fault: kind.exit_code for fault, kind in FAULTS.items()}}
_SILENT_AFTER_KERNEL = {
    Stage.VMM: "no-vmm",
    Stage.GUEST: "no-guest",
    Stage.LOGIN: "no-login",
}
_NETWORK_STAGES = (Stage.DHCP, Stage.LOADER, Stage.KERNEL_IMAGE, Stage.MODULES)
_TRANSFER_STAGES = (Stage.LOADER, Stage.KERNEL_IMAGE, Stage.MODULES)


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a boot is expected to do.

    `until` is the stage that counts as success. `by_itself`: nobody said one, and what counts is what the
    image is good for, as far as its text tells: a test suite passes, every VM logs in, anything else reaches
    user space and says nothing for 5 s. Where `until_texts` are given, all of them must be seen (too, unless
    `by_itself`); one of the `fail_texts` means failure. `for_s` watches on after success. `strict`: a VM's
    login with a dead network controller is a failure. `texts_s` are the seconds of silence while a text or a
    suite's end is awaited. `recorded`: there is text only, of a console that somebody recorded.
    `modules` counts the files besides the kernel, `vms` the VMs whose login is awaited (None: unknown, one is
    enough). `prints`: the kernel prints (False for RELEASE images). `reports`: the image is the firmware
    probe, which has no user space and reports over the console. `limits` are the seconds a stage may take
    after the one before it; a stage without one may take for ever. `macs` are the board's, the one it boots
    from first. `words` are what causes say of this board's settings and console, `vm_names`
    the VMs as the build names them, `errand` what a job wants beyond the boot.
    """

    firmware: Firmware
    until: Stage = Stage.USER_SPACE
    by_itself: bool = False
    until_texts: tuple[str, ...] = ()
    fail_texts: tuple[str, ...] = ()
    for_s: float = 0.0
    strict: bool = False
    texts_s: float = 120.0
    kind: Literal["multiboot", "linux"] = "multiboot"
    modules: int = 1
    vms: int | None = None
    prints: bool = True
    reports: bool = False
    netboot: bool = True
    recorded: bool = False
    macs: tuple[str, ...] = ()
    limits: Mapping[Stage, float] = field(default_factory=dict)
    words: BoardWords = field(default_factory=BoardWords)
    vm_names: VmNames | None = None
    errand: Errand | None = None

    def reader(self) -> StageReader:
        """Return what reads this boot's console; raises UsageError for texts that are no expressions."""
        return StageReader(self.vm_names, WantedTexts.of(self.until_texts, self.fail_texts))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a boot ended; times are seconds since the run's origin, None where unknown.

    `lines` are those of the console that the cause rests on, `buts` what is not well though the boot is ok.
    """

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
    lines: tuple[str, ...] = ()
    buts: tuple[str, ...] = ()
    vms: tuple[VmSeen, ...] = ()
    nics: tuple[Nic, ...] = ()
    suite: Suite | None = None

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
            "lines": list(self.lines),
            "but": list(self.buts),
            "vms": [_vm_dict(vm) for vm in self.vms],
            "nics": [nic.to_dict() for nic in self.nics],
            "suite": None if self.suite is None else _suite_dict(self.suite),
        }


def _vm_dict(vm: VmSeen) -> dict[str, Any]:
    return {
        "name": vm.name,
        "vmm": vm.vmm,
        "guest": vm.guest,
        "login": vm.login_s is not None,
        "trouble": vm.trouble,
    }


def _suite_dict(suite: Suite) -> dict[str, Any]:
    return {
        "test": suite.number,
        "name": suite.name,
        "failed": list(suite.failed),
        "passed": suite.passed is not None,
        "result": suite.result,
    }


def _is_garbage(fault: SeenFailure) -> bool:
    return fault.failure.code == GARBAGE.code


def _name(stage: Stage | None) -> str | None:
    return None if stage is None else str(stage)


class Progress:
    """Collects the events of one boot and decides. `origin_s` is when the run began."""

    def __init__(self, request: WatchRequest, *, origin_s: float = 0.0) -> None:
        self._request = request
        self._origin_s = origin_s
        self._witness = Witness(
            modules=request.modules,
            logins=request.vms or (None if request.by_itself else 1),
            macs=request.macs,
            prints=request.prints,
            netboot=request.netboot,
            guests=request.kind == "multiboot" and not request.prints,
            errand=request.errand.handlers if request.errand is not None else None,
        )

    def reader(self) -> StageReader:
        """Return what reads this boot's console; raises UsageError for texts that are no expressions."""
        return self._request.reader()

    def feed(self, event: Event) -> None:
        """Take one event of any source, in the order they came."""
        self._witness.feed(event)

    @property
    def _boot(self) -> BootEvidence:
        return self._witness.boot

    @property
    def until(self) -> Stage:
        """The stage that counts as success; where nobody said, the last one that this image can have."""
        if not self._request.by_itself or self._request.kind != "multiboot":
            return self._request.until
        boot = self._boot
        has_vms = bool(self._request.vms) or boot.vms_seen > 0
        return Stage.LOGIN if has_vms and not boot.is_suite else Stage.USER_SPACE

    @property
    def _logins_wanted(self) -> int:
        return self._request.vms or (max(1, self._boot.vms_seen) if self._request.by_itself else 1)

    @property
    def _awaits_suite(self) -> bool:
        return self._request.by_itself and not self._request.until_texts and self._boot.is_suite

    def _applicable(self) -> Iterator[Stage]:
        """Yield the stages this boot goes through."""
        request, reached = self._request, self._boot.reached
        vm_image = request.kind == "multiboot" and (bool(request.vms) or Stage.VMM in reached)
        for stage in Stage:
            if stage in reached or not (
                (stage in (Stage.POWER, Stage.FIRMWARE) and request.recorded)
                or (stage in _NETWORK_STAGES and not request.netboot)
                or (stage is Stage.MODULES and request.modules == 0)
                or (stage in (Stage.VMM, Stage.GUEST) and not vm_image and self.until is not stage)
                or (stage not in BOOT_STAGES and not self._is_errand(stage))
                or (stage is Stage.USER_SPACE and request.reports)
            ):
                yield stage

    def _is_errand(self, stage: Stage) -> bool:
        errand = self._request.errand
        return errand is not None and errand.stage is stage

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
        furthest, until = self._boot.furthest, self.until
        if self._request.by_itself and self._request.until_texts and self._texts_s() is not None:
            return None
        if until is Stage.LOGIN and furthest is not None and furthest >= until and self._logins_missing():
            return until
        behind = (s for s in self._applicable() if s <= until and (furthest is None or s > furthest))
        return next(behind, None)

    def _logins_missing(self) -> bool:
        """Return whether more VMs have shown themselves since the login that seemed to be the last."""
        return self._request.by_itself and len(self._boot.logins) < self._logins_wanted

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
        unwanted = boot.unwanted
        if unwanted is not None:
            yield unwanted[0], lambda: self._unwanted(*unwanted)
        done_s = self._done_s()
        if elsewhere_s is None and done_s is not None and (fault is None or fault.at_s > self._ok_s(done_s)):
            yield self._ok_s(done_s), self._ok
        if boot.other_port is not None and self.awaited is Stage.KERNEL:
            other_s = boot.other_port[0] + _OTHER_PORT_S
            other = boot.other_port[2]
            yield other_s, lambda: self._missing("other-port", other_s, other)
        given_up = boot.given_up
        if given_up is not None and self.awaited is not None:
            yield given_up.at_s, lambda: self._missing(given_up.code, given_up.at_s)
        impossible_s = self._impossible_s()
        if impossible_s is not None:
            yield impossible_s, lambda: self._missing("stage-impossible", impossible_s)
        deadline_s = self._deadline_s()
        if deadline_s is not None:
            yield deadline_s, lambda: self._stalled(deadline_s)

    def _impossible_s(self) -> float | None:
        """Return when it was certain that the missing stage is none that this image can have."""
        boot, missing = self._boot, self.awaited
        user_space = boot.reached.get(Stage.USER_SPACE)
        if missing is None or missing < Stage.VMM or boot.suite is None or user_space is None:
            return None
        return (user_space.at_s or self._origin_s) + SETTLE_S

    def _done_s(self) -> float | None:
        """Return when all that is wanted had come, None while something is missing."""
        if self.awaited is not None:
            return None
        times = [self._stage_s()]
        if self._request.until_texts:
            texts_s = self._texts_s()
            if texts_s is None:
                return None
            times = [texts_s] if self._request.by_itself else [*times, texts_s]
        elif self._awaits_suite:
            suite = self._boot.suite
            if suite is None or suite.passed is None:
                return None
            times.append(suite.passed[0])
        return max(times)

    def _stage_s(self) -> float:
        """Return when the wanted stage was reached, by itself or by a later one."""
        boot, until = self._boot, self.until
        if until is Stage.LOGIN and self._request.by_itself and boot.logins:
            return max(vm.login_s for vm in boot.vms.values() if vm.login_s is not None)
        times = [r.at_s for stage, r in boot.reached.items() if stage >= until and r.at_s is not None]
        return min(times, default=boot.advanced_s or self._origin_s)

    def _texts_s(self) -> float | None:
        """Return when the last of the awaited texts was seen, None while one is missing."""
        seen = [self._boot.texts.get(text) for text in self._request.until_texts]
        times = [text[0] for text in seen if text is not None]
        return max(times) if times and len(times) == len(seen) else None

    def _ok_s(self, done_s: float) -> float:
        """Return when the boot is ok: what has no end of its own must have fallen silent."""
        wait_s = SETTLE_S
        if self._has_no_end:
            silent_s = max(done_s, self._boot.text_s or done_s) + QUIET_S
            wait_s = min(silent_s - done_s, _UNENDING_S)
        return done_s + max(wait_s, self._request.for_s)

    @property
    def _has_no_end(self) -> bool:
        request = self._request
        ends = not request.by_itself or request.until_texts or self._boot.is_suite
        return not ends and request.kind == "multiboot" and self.until is Stage.USER_SPACE

    def _elsewhere_s(self) -> float | None:
        """Return when it is certain that what runs was not served; the servers' events may come late."""
        boot = self._boot
        if not self._request.netboot or boot.kernel_served or boot.console_kernel_s is None:
            return None
        return boot.console_kernel_s + _SERVED_GRACE_S

    def _fatal(self, *, at_end: bool = False) -> tuple[SeenFailure | None, float]:
        """Return the first failure that ends the boot, and when; at the end of all text, no half one."""
        for fault in self._boot.failures:
            failure = fault.failure
            if (
                not failure.fatal
                or self._recovered(fault)
                or (at_end and failure.generic and not fault.whole)
            ):
                continue
            if _is_garbage(fault) and not self._all_loaded():
                continue  # the firmware's speed may be wrong and the kernel's right
            from_s = max(fault.at_s, self._boot.advanced_s or 0.0) if _is_garbage(fault) else fault.at_s
            return fault, from_s + failure.grace_s
        return None, 0.0

    def _all_loaded(self) -> bool:
        furthest = self._boot.furthest
        return not self._request.netboot or (furthest is not None and furthest >= Stage.MODULES)

    def _recovered(self, fault: SeenFailure) -> bool:
        boot = self._boot
        if _is_garbage(fault):
            return boot.console_stage_s is not None and boot.console_stage_s > fault.at_s
        passed = boot.suite is not None and boot.suite.passed is not None
        further = boot.furthest is not None and (fault.furthest is None or boot.furthest > fault.furthest)
        # A suite that passed halts the machine, and what a test provoked is no failure of the image.
        return (passed and fault.failure.generic) or (fault.failure.recovers and (further or passed))

    def _deadline_s(self) -> float | None:
        """Return when what is missing is overdue."""
        missing = self.awaited
        if missing is None:
            if self._done_s() is not None:
                return None
            return self._silent_since_s() + self._request.texts_s
        allowed_s = self._allowed_s(missing)
        if allowed_s is None:
            return None
        due_s = self._waiting_since_s() + allowed_s
        # While it prints, it may get further; but what prints for ever must not be watched for ever.
        return min(due_s, self._advanced_s() + allowed_s * _PRINTING_MAX)

    def _advanced_s(self) -> float:
        return self._origin_s if self._boot.advanced_s is None else self._boot.advanced_s

    def _silent_since_s(self) -> float:
        """Return when the boot last went forward or said anything."""
        return max(self._advanced_s(), self._boot.text_s or 0.0)

    def _waiting_since_s(self) -> float:
        """Return when the boot last went forward: by a transfer, or by any text once the image runs."""
        boot, missing = self._boot, self.awaited
        since_s = self._advanced_s()
        moves = missing in _TRANSFER_STAGES or (missing is not None and self._is_errand(missing))
        if moves and boot.transfer_s is not None:
            since_s = max(since_s, boot.transfer_s)
        if missing is None or (missing >= Stage.KERNEL and self._all_loaded()):
            since_s = max(since_s, self._silent_since_s())
        return since_s

    def _allowed_s(self, missing: Stage) -> float | None:
        """Return the seconds until `missing` or the next stage that shows itself must have been reached."""
        request, total_s = self._request, 0.0
        silent = {Stage.FIRMWARE} if request.netboot else set()  # its text may not be redirected to SOL
        if not request.prints:
            silent |= {Stage.KERNEL, Stage.USER_SPACE}
        for stage in self._applicable():
            if missing <= stage <= self.until:
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
        at_s = self._done_s() or self._stage_s()
        buts, causes = self._buts()
        if buts and self._request.strict:
            cause = f"booted, but {buts[0]}"
            return self._verdict("image", "nic-dead", cause, at_s, causes, seen=self._boot.last_line)
        return self._verdict("ok", "ok", self._what_came(), at_s, causes, buts=buts)

    def _what_came(self) -> str:
        """Return what the success rests on."""
        boot, request = self._boot, self._request
        if request.until_texts and request.by_itself:
            return f"said {', '.join(boot.texts[text][1] for text in request.until_texts)}"
        if self._awaits_suite and boot.suite is not None:
            return f"passed its tests: {boot.suite.result or 'all is well'}"
        if self.until is Stage.LOGIN and len(boot.logins) > 1:
            return f"reached login in {', '.join(sorted(boot.logins))}"
        if not request.prints and self.until in boot.reached and boot.furthest is not None:
            return f"reached {self.until}: {boot.reached[self.until].evidence}"
        return f"reached {self.until}"

    def _buts(self) -> tuple[tuple[str, ...], Causes]:
        """Return what is not well in VMs that came up, and what to do about it."""
        dead = self._boot.nics.dead if self.until >= Stage.GUEST or self._boot.logins else []
        faults = [f for f in self._boot.failures if f.failure.code == "iommu-fault"][:1] if dead else []
        buts = [f"{nic.label}: {nic.words()}" for nic in dead] + [f.failure.cause for f in faults]
        advice = [nic.advice() for nic in dead]
        causes = dict.fromkeys(self._filled(*told) for told in advice if told is not None)
        return tuple(buts), tuple(causes)

    def _unwanted(self, at_s: float, expression: str, seen: str) -> Verdict:
        cause = f"said what means failure: {expression}"
        return self._verdict(
            "image", "fail-text", cause, at_s, (("", "look at the lines before it"),), seen=seen
        )

    def ended(self, at_s: float, *, said: str | None = None) -> Verdict:
        """Return the verdict when nothing more will ever be heard, as of a recorded console.

        Silence proves nothing here: what was not seen may have come after the recording. An image without a
        known end is ok only when it reached the stage that somebody `said` counts.
        """
        fault, _ = self._fatal(at_end=True)
        if fault is not None and not self._done_before(fault):
            return self._failed(fault)
        if self._boot.unwanted is not None:
            return self._unwanted(*self._boot.unwanted)
        if self._boot.furthest is None and not self._boot.texts:
            return self._missing("nothing-known", at_s)
        if self._impossible_s() is not None:
            return self._missing("stage-impossible", at_s)
        if self._done_s() is None:
            return self._missing("text-ends", at_s)
        if self._has_no_end and said != str(self.until):
            return self._missing("no-known-end", at_s)
        return self._ok()

    def _done_before(self, fault: SeenFailure) -> bool:
        done_s = self._done_s()
        return done_s is not None and not self._has_no_end and fault.at_s > done_s + SETTLE_S

    def _stalled(self, at_s: float, seen: str | None = None) -> Verdict:
        return self._missing(self._stall_code(), at_s, seen)

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
        cause = failure.cause if fault.vm is None else f"{fault.vm}: {failure.cause}"
        if self._boot.suite is not None and failure.code == "tests-failed":
            failed = self._boot.suite.failed
            cause += f": {', '.join(failed[:_NAMES_MAX])}" if failed else ""
        return self._verdict(
            failure.fault, failure.code, cause, fault.at_s, causes, seen=fault.seen, lines=fault.lines
        )

    def _telling(self, fatal: SeenFailure) -> SeenFailure:
        """Return the failure that says most: `halting...` only says that something went wrong before."""
        if not fatal.failure.generic:
            return fatal
        telling = [f for f in self._boot.failures if not f.failure.generic and not _is_garbage(f)]
        after = [f for f in telling if f.failure.fatal and f.at_s >= fatal.at_s]
        before = [f for f in telling if 0 <= fatal.at_s - f.at_s <= _RELATED_S and not self._recovered(f)]
        return (after or before[-1:] or [fatal])[0]

    def _stall_code(self) -> str:
        """Return the row of the table that fits the silence."""
        boot, missing = self._boot, self.awaited
        if missing is None:
            return "suite-silent" if self._awaits_suite else "text-missing"
        if missing >= Stage.KERNEL:
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
        if missing is Stage.KERNEL and self._boot.other_port is not None:
            return "other-port"
        if missing in (Stage.KERNEL, Stage.USER_SPACE) and not self._request.prints:
            return "nothing-printed"
        if missing is Stage.KERNEL and self._spoke_after_loading():
            return "unknown-text"
        if missing is Stage.KERNEL:
            return "kernel-silent" if self._boot.heard_s is not None else "console-silent"
        if self._request.errand is not None and missing is self._request.errand.stage:
            return self._request.errand.silent_code
        return _SILENT_AFTER_KERNEL.get(missing or Stage.USER_SPACE, "kernel-hangs")

    def _spoke_after_loading(self) -> bool:
        """Return whether text came that is not firmware's or a loader's: silence is judged by bytes."""
        loaded = self._boot.reached.get(Stage.MODULES) or self._boot.reached.get(Stage.KERNEL_IMAGE)
        text_s = self._boot.text_s
        return text_s is not None and (loaded is None or loaded.at_s is None or text_s > loaded.at_s)

    def _missing_vms(self) -> str:
        missing = [vm.name for vm in self._boot.vms.values() if vm.guest and vm.login_s is None]
        return f"; missing: {', '.join(sorted(missing))}" if missing else ""

    def _from_table(
        self, code: str, at_s: float, *, seen: str | None = None, hints: list[SeenFailure] | None = None
    ) -> Verdict:
        row = self._row(code)
        cause = row.cause.format(
            who=self._request.macs[0] if self._request.macs else "the board",
            waited=f"{max(0.0, at_s - self._waiting_since_s()):.0f}",
            arch=self._boot.arch or "unknown",
            firmware=str(self._request.firmware).upper(),
            since_power=f"{max(0.0, at_s - self._power_s()):.0f}",
            some=len(self._boot.logins),
            all=self._logins_wanted,
            lost=self._boot.given_up.lost if self._boot.given_up else "",
            missing=self._missing_vms(),
            port=self._boot.other_port[1] if self._boot.other_port else "another port",
            awaited=self.awaited or "the awaited text",
            where=self._boot.furthest or "the beginning",
            suite=self._boot.suite.words if self._boot.suite else "",
        )
        told = {self._filled(hint.failure.why, hint.failure.fix): None for hint in hints or ()}
        usual = (self._filled(*cause) for cause in row.causes)
        causes = (*told, *self._strangers(code), *usual)[:_CAUSES_MAX]
        return self._verdict(row.fault, code, cause, at_s, causes, seen=seen)

    def _row(self, code: str) -> Row:
        errand = self._request.errand
        return errand.causes[code] if errand is not None and code in errand.causes else TABLE[code]

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
        lines: tuple[str, ...] = (),
        buts: tuple[str, ...] = (),
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
            lines=lines,
            buts=buts,
            vms=tuple(self._boot.vms.values()),
            nics=tuple(self._boot.nics),
            suite=self._boot.suite,
        )

    def _power_s(self) -> float:
        power = self._boot.reached.get(Stage.POWER)
        return self._origin_s if power is None or power.at_s is None else power.at_s

    def _relative(self, at_s: float | None) -> float | None:
        return None if at_s is None else round(at_s - self._origin_s, 3)
