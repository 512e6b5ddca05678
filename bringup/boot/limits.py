"""When a boot is decided though nothing more is seen: done by silence, or overdue. Pure.

Silence is evidence, too, once a stage's limit has passed; while text comes, limits of later stages wait.
"""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.stage import Stage
from bringup.boot.course import SETTLE_S, Course
from bringup.boot.evidence import BootEvidence
from bringup.boot.facts import HTTP_ARCHITECTURES

UNENDING_S = 60.0
"""How long an image without a known end is watched that never falls silent."""
HELD_ASKED_EVERY_S = 15.0
"""How often a console that somebody else has is asked for."""

_PRINTING_MAX = 20
_HELD_UP_MAX = 4
"""A machine that this host emulates gets at most so many times its limit more."""
_SERVED_GRACE_S = 1.0
# A BMC hands over what it kept when its console is back, and what is typed then may be answered.
_GAP_GRACE_S = 8.0
# A BMC that restarts takes the console with it, and is told of once it has said nothing for a while.
_BMC_TOLD_S = 11.0
# A board that is of the other firmware repeats its request within seconds, and has nothing else to ask.
_ASKS_OTHERWISE_S = 15.0
# A console that somebody else has is asked for once more, and the answer is waited for.
_HELD_S = HELD_ASKED_EVERY_S + 1.0
_TRANSFER_STAGES = (Stage.LOADER, Stage.KERNEL_IMAGE, Stage.MODULES)


class Limits:
    """The times at which the silence of one boot means something."""

    def __init__(self, course: Course) -> None:
        self._course = course

    @property
    def _boot(self) -> BootEvidence:
        return self._course.boot

    def ok_s(self) -> float | None:
        """Return when the boot is ok, None while something is missing: what has no end of its own must have
        fallen silent.
        """
        done_s, wait_s = self._course.done_s(), SETTLE_S
        if done_s is None:
            return None
        if self._course.has_no_end:
            # What was said in a gap nobody knows.
            heard_s = max([gap.until_s for gap in self._boot.gaps[-1:]], default=done_s)
            silent_s = max(done_s, self._boot.text_s or done_s, heard_s) + self._course.request.quiet_s
            wait_s = max(SETTLE_S, min(silent_s - done_s, UNENDING_S))
        return done_s + max(wait_s, self._course.request.for_s)

    def elsewhere_s(self) -> float | None:
        """Return when it is certain that what runs was not served; the servers' events may come late."""
        boot = self._boot
        if not self._course.request.netboot or boot.kernel_served or boot.console_kernel_s is None:
            return None
        return boot.console_kernel_s + _SERVED_GRACE_S

    def deadline_s(self) -> float | None:
        """Return when what is missing is overdue."""
        missing = self._course.awaited
        if self._is_out_of_sight(missing):
            return None  # whoever watches the power says when the BMC is gone for good
        if missing is None:
            if self._course.done_s() is not None:
                return None
            return self._lasting(self._silent_since_s(), self._course.request.texts_s)
        allowed_s = self._allowed_s(missing)
        if allowed_s is None:
            return None
        due_s = self._lasting(self.waiting_since_s(), allowed_s)
        if missing >= Stage.KERNEL and self._boot.gaps:
            due_s = max(due_s, self._boot.gaps[-1].until_s + _GAP_GRACE_S)
        witness = self._course.witness
        if missing >= Stage.KERNEL and witness.console_lost_s is not None and not witness.console_held:
            # Whether its BMC is there at all is known a little later.
            due_s = max(due_s, witness.console_lost_s + _BMC_TOLD_S)
        # While it prints, it may get further; but what prints for ever must not be watched for ever.
        due_s = min(due_s, self._advanced_s() + allowed_s * _PRINTING_MAX)
        return min([due_s, *self._evident_s(missing)])

    def _lasting(self, since_s: float, allowed_s: float) -> float:
        """Return when the board has had so much time: what a machine waited for a processor is none."""
        waited_s = sum(seconds for at_s, seconds in self._boot.held_up if at_s > since_s)
        return since_s + allowed_s + min(waited_s, allowed_s * _HELD_UP_MAX)

    def _evident_s(self, missing: Stage) -> Iterator[float]:
        """Yield when what keeps the boot from going on is plain before its limit has passed."""
        boot, course = self._boot, self._course
        if missing <= Stage.DHCP and course.asks_otherwise and boot.arch not in HTTP_ARCHITECTURES:
            # HTTP boot comes before PXE on many boards; of the two firmwares a board runs one.
            yield (boot.arch_s or 0.0) + _ASKS_OTHERWISE_S
        only_console_tells = missing >= Stage.KERNEL and course.until <= Stage.USER_SPACE
        if only_console_tells and course.all_loaded() and course.witness.console_held:
            yield self.waiting_since_s() + _HELD_S

    def _is_out_of_sight(self, missing: Stage | None) -> bool:
        """Return whether only the console can tell, and it is away with a BMC that restarts."""
        witness = self._course.witness
        told_by_console = missing is None or missing >= Stage.KERNEL
        return told_by_console and witness.bmc_silent and witness.console_lost_s is not None

    def _advanced_s(self) -> float:
        return self._course.origin_s if self._boot.advanced_s is None else self._boot.advanced_s

    def _silent_since_s(self) -> float:
        """Return when the boot last went forward or said anything."""
        return max(self._advanced_s(), self._boot.text_s or 0.0)

    def waiting_since_s(self) -> float:
        """Return when the boot last went forward: by a transfer, or by any text once the image runs."""
        boot, missing = self._boot, self._course.awaited
        since_s = self._advanced_s()
        moves = missing in _TRANSFER_STAGES or (missing is not None and self._course.is_errand(missing))
        if moves and boot.transfer_s is not None:
            since_s = max(since_s, boot.transfer_s)
        if missing is None or (missing >= Stage.KERNEL and self._course.all_loaded()):
            # What a boot image holds is still to be put in its place when it has been fetched.
            since_s = max(since_s, self._silent_since_s(), boot.loader_said_s or 0.0)
            since_s = max(since_s, self._course.witness.bmc_back_s or 0.0)
        return since_s

    def _allowed_s(self, missing: Stage) -> float | None:
        """Return the seconds until `missing` or the next stage that shows itself must have been reached."""
        request, total_s = self._course.request, 0.0
        silent = {Stage.FIRMWARE} if request.netboot else set()  # its text may not be redirected to SOL
        if not request.prints:
            silent |= {Stage.KERNEL, Stage.USER_SPACE}
        for stage in self._course.applicable():
            if missing <= stage <= self._course.until:
                limit_s = request.limits.get(stage)
                if limit_s is None:
                    return None
                total_s += limit_s
                if stage not in silent:
                    break
        return total_s
