"""How far one boot came of what it is expected to do, what is missing, and what went wrong. Pure.

A stage with evidence proves every stage before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.stage import BOOT_STAGES, Stage
from bringup.boot.evidence import BootEvidence, SeenFailure, StageReached
from bringup.boot.watch_request import WatchRequest
from bringup.boot.witness import Witness
from bringup.netboot.policy import ARCHITECTURES
from bringup.transcript.failures.loader import GARBAGE

SETTLE_S = 0.5
"""How long a boot is watched after its last stage: a root task that dies at once has not arrived."""

NETWORK_STAGES = (Stage.DHCP, Stage.LOADER, Stage.KERNEL_IMAGE, Stage.MODULES)


def is_garbage(fault: SeenFailure) -> bool:
    """Return whether what was seen is characters of another speed, which a later stage disproves."""
    return fault.failure.code == GARBAGE.code


class Course:
    """What the events so far mean for this boot; times are those of the events. `origin_s` is when the run
    began.
    """

    def __init__(self, request: WatchRequest, origin_s: float) -> None:
        self.request = request
        self.origin_s = origin_s
        self.witness = Witness(
            modules=request.modules,
            logins=request.vms or (None if request.by_itself else 1),
            macs=request.macs,
            prints=request.prints,
            netboot=request.netboot,
            guests=request.kind == "multiboot",
            errand=request.errand.handlers if request.errand is not None else None,
        )

    @property
    def boot(self) -> BootEvidence:
        """What is known of the boot that is going on."""
        return self.witness.boot

    @property
    def until(self) -> Stage:
        """The stage that counts as success; where nobody said, the last one that this image can have."""
        if not self.request.by_itself or self.request.kind != "multiboot":
            return self.request.until
        if self.has_silent_guest:
            return Stage.GUEST
        boot = self.boot
        has_vms = bool(self.request.vms) or boot.vms_seen > 0
        return Stage.LOGIN if has_vms and not self.is_suite else Stage.USER_SPACE

    @property
    def logins_wanted(self) -> int:
        """How many VMs must log in, as far as that is known yet."""
        return self.request.vms or (max(1, self.boot.vms_seen) if self.request.by_itself else 1)

    @property
    def awaits_suite(self) -> bool:
        """Whether what counts is how a test suite ends."""
        return self.request.by_itself and not self.request.until_texts and self.is_suite

    @property
    def is_suite(self) -> bool:
        """Whether the image is a test suite."""
        return self.request.is_suite or self.boot.is_suite

    @property
    def has_silent_guest(self) -> bool:
        """Whether all that an image shows of itself is that a guest asks by DHCP."""
        return not self.request.prints and self.boot.guest_asked and self.boot.text_s is None

    def applicable(self) -> Iterator[Stage]:
        """Yield the stages this boot goes through."""
        request, reached = self.request, self.boot.reached
        vm_image = request.kind == "multiboot" and (bool(request.vms) or Stage.VMM in reached)
        for stage in Stage:
            if stage in reached or not (
                (stage in (Stage.POWER, Stage.FIRMWARE) and request.recorded)
                or (stage in NETWORK_STAGES and not request.netboot)
                or (stage is Stage.MODULES and request.modules == 0)
                or (stage in (Stage.VMM, Stage.GUEST) and not vm_image and self.until is not stage)
                or (stage not in BOOT_STAGES and not self.is_errand(stage))
                or (stage is Stage.USER_SPACE and request.reports)
            ):
                yield stage

    def is_errand(self, stage: Stage) -> bool:
        """Return whether a stage is what the job wants beyond the boot."""
        errand = self.request.errand
        return errand is not None and errand.stage is stage

    @property
    def stages(self) -> tuple[StageReached, ...]:
        """The stages reached, in order; those without evidence of their own are marked as inferred."""
        furthest = self.boot.furthest
        if furthest is None:
            return ()
        return tuple(
            self.boot.reached.get(stage) or StageReached(stage, None, f"inferred from {furthest}")
            for stage in self.applicable()
            if stage <= furthest
        )

    @property
    def awaited(self) -> Stage | None:
        """The first stage up to the wanted one that was not reached; None when all were."""
        furthest, until = self.boot.furthest, self.until
        if self.request.by_itself and self.request.until_texts and self._texts_s() is not None:
            return None
        if until is Stage.LOGIN and furthest is not None and furthest >= until and self._logins_missing():
            return until
        behind = (s for s in self.applicable() if s <= until and (furthest is None or s > furthest))
        return next(behind, None)

    @property
    def waiting(self) -> str:
        """What the boot waits for now, for people."""
        missing, request = self.awaited, self.request
        if missing is Stage.LOGIN and self.logins_wanted > 1:
            return f"waiting for {missing}, {len(self.boot.logins)} of {self.logins_wanted} VMs have it"
        if missing is not None:
            return f"waiting for {missing}"
        if self.done_s() is None:
            return "waiting for the end of its tests" if self.awaits_suite else "waiting for its text"
        if request.for_s:
            return f"watching on for {request.for_s:.0f} s"
        if self.has_no_end and request.quiet_s:
            return f"watching until it has said nothing for {request.quiet_s:.0f} s"
        return "watching that it stays up"

    def _logins_missing(self) -> bool:
        """Return whether more VMs have shown themselves since the login that seemed to be the last."""
        return self.request.by_itself and len(self.boot.logins) < self.logins_wanted

    def impossible_s(self) -> float | None:
        """Return when it was certain that the missing stage is none that this image can have."""
        boot, missing = self.boot, self.awaited
        user_space = boot.reached.get(Stage.USER_SPACE)
        if missing is None or missing < Stage.VMM or boot.suite is None or user_space is None:
            return None
        return (user_space.at_s or self.origin_s) + SETTLE_S

    def done_s(self) -> float | None:
        """Return when all that is wanted had come, None while something is missing."""
        if self.awaited is not None:
            return None
        times = [self.stage_s()]
        if self.request.until_texts:
            texts_s = self._texts_s()
            if texts_s is None:
                return None
            times = [texts_s] if self.request.by_itself else [*times, texts_s]
        elif self.awaits_suite:
            suite = self.boot.suite
            if suite is None or suite.passed is None:
                return None
            times.append(suite.passed[0])
        return max(times)

    def stage_s(self) -> float:
        """Return when the wanted stage was reached, by itself or by a later one."""
        boot, until = self.boot, self.until
        if until is Stage.LOGIN and self.request.by_itself and boot.logins:
            return max(vm.login_s for vm in boot.vms.values() if vm.login_s is not None)
        times = [r.at_s for stage, r in boot.reached.items() if stage >= until and r.at_s is not None]
        return min(times, default=boot.advanced_s or self.origin_s)

    def _texts_s(self) -> float | None:
        """Return when the last of the awaited texts was seen, None while one is missing."""
        seen = [self.boot.texts.get(text) for text in self.request.until_texts]
        times = [text[0] for text in seen if text is not None]
        return max(times) if times and len(times) == len(seen) else None

    def gap_s(self) -> float:
        """Return the seconds in which what is missing may have come unseen, in gaps of the console."""
        since_s = self._text_may_come_from_s()
        return sum(gap.until_s - max(gap.since_s, since_s) for gap in self.boot.gaps if gap.until_s > since_s)

    def _text_may_come_from_s(self) -> float:
        """Return since when it may have been printed: stages come one after the other, VMs at any time."""
        boot, missing = self.boot, self.awaited
        if missing is None:
            return self.origin_s
        if missing is Stage.LOGIN and self.logins_wanted > 1 and boot.console_kernel_s is not None:
            return boot.console_kernel_s
        return self.origin_s if boot.advanced_s is None else boot.advanced_s

    @property
    def asks_otherwise(self) -> bool:
        """Whether the board says that it is of another firmware than this boot serves a file for."""
        arch = self.boot.arch
        return arch is not None and arch not in map(str, ARCHITECTURES[self.request.firmware])

    @property
    def has_no_end(self) -> bool:
        """Whether nothing that this image may say means that it is done."""
        request = self.request
        ends = not request.by_itself or request.until_texts or self.is_suite
        if ends or request.kind != "multiboot":
            return False
        return self.has_silent_guest or self.until is Stage.USER_SPACE

    def all_loaded(self) -> bool:
        """Return whether the image was on the board, as far as the servers know."""
        furthest = self.boot.furthest
        return not self.request.netboot or (furthest is not None and furthest >= Stage.MODULES)

    def fatal(self, *, at_end: bool = False) -> tuple[SeenFailure | None, float]:
        """Return the first failure that ends the boot, and when; at the end of all text, no half one."""
        for fault in self.boot.failures:
            failure = fault.failure
            if not failure.fatal or self.recovered(fault) or (at_end and failure.generic and not fault.whole):
                continue
            if is_garbage(fault) and not self.all_loaded():
                continue  # the firmware's speed may be wrong and the kernel's right
            from_s = max(fault.at_s, self.boot.advanced_s or 0.0) if is_garbage(fault) else fault.at_s
            return fault, from_s + failure.grace_s
        return None, 0.0

    def recovered(self, fault: SeenFailure) -> bool:
        """Return whether what came later disproves a failure."""
        boot = self.boot
        if is_garbage(fault):
            return boot.console_stage_s is not None and boot.console_stage_s > fault.at_s
        passed = boot.suite is not None and boot.suite.passed is not None
        further = boot.furthest is not None and (fault.furthest is None or boot.furthest > fault.furthest)
        # A suite that passed halts the machine, and what a test provoked is no failure of the image.
        return (passed and fault.failure.generic) or (fault.failure.recovers and (further or passed))
