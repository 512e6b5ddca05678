"""From events to a verdict: collects what is seen of one boot and decides when that is enough. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bringup.base.errors import BringupError
from bringup.base.events import Event
from bringup.base.stage import Stage
from bringup.boot.course import NETWORK_STAGES, SETTLE_S, Course
from bringup.boot.evidence import BootEvidence, SeenFailure, StageReached
from bringup.boot.limits import Limits
from bringup.boot.telling import Telling
from bringup.boot.verdict import Verdict
from bringup.boot.watch_request import WatchRequest
from bringup.transcript.stages import StageReader

_OTHER_PORT_S = 5.0
_SILENCE_S = 3600.0
# When Enter is typed where text may have been missed: what is there to answer must have had time to come up.
_PROMPT_QUIET_S, _PROMPT_EVERY_S = 5.0, 20.0


class Progress:
    """Collects the events of one boot and decides. `origin_s` is when the run began."""

    def __init__(self, request: WatchRequest, *, origin_s: float = 0.0) -> None:
        self._course = Course(request, origin_s)
        self._limits = Limits(self._course)
        self._tell = Telling(self._course, self._limits)
        self._prompted_s = -_PROMPT_EVERY_S

    @property
    def _boot(self) -> BootEvidence:
        return self._course.boot

    @property
    def awaited(self) -> Stage | None:
        """The first stage up to the wanted one that was not reached; None when all were."""
        return self._course.awaited

    @property
    def waiting(self) -> str:
        """What the boot waits for now, for people."""
        return self._course.waiting

    @property
    def stages(self) -> tuple[StageReached, ...]:
        """The stages reached, in order; those without evidence of their own are marked as inferred."""
        return self._course.stages

    def failed(self, error: BringupError, now_s: float) -> Verdict:
        """Return the verdict of a run that an error ended."""
        return self._tell.ended_by(error, now_s)

    def reader(self) -> StageReader:
        """Return what reads this boot's console; raises UsageError for texts that are no expressions."""
        return self._course.request.reader()

    def feed(self, event: Event) -> None:
        """Take one event of any source, in the order they came."""
        self._course.witness.feed(event)

    def prompt_due(self, now_s: float) -> bool:
        """Return whether to ask now, by typing Enter, if something answers that may have come up in a gap.

        True at most every 20 s, after 5 s of silence, once the kernel has started: to firmware and loaders
        Enter is an answer.
        """
        boot, missing = self._boot, self._course.awaited
        if missing is None or missing <= Stage.KERNEL or not boot.gaps or not self._course.gap_s():
            return False
        quiet_since_s = max(boot.gaps[-1].until_s, boot.heard_s or 0.0)
        if now_s < max(quiet_since_s + _PROMPT_QUIET_S, self._prompted_s + _PROMPT_EVERY_S):
            return False
        self._prompted_s = now_s
        return True

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
        fault, due_s = self._course.fatal()
        if boot.restarted is not None:
            at_s, line = boot.restarted
            crash = fault  # says more than the restart that followed it
            yield at_s, lambda: self._tell.failed(crash) if crash else self._tell.restarted(at_s, line)
        if self._course.witness.servers_lost_s is not None and self._course.awaited in NETWORK_STAGES:
            lost_s = self._course.witness.servers_lost_s
            yield lost_s, lambda: self._tell.from_table("servers-lost", lost_s)
        if fault is not None:
            yield due_s, lambda: self._tell.failed(fault)
        elsewhere_s = self._limits.elsewhere_s()
        if elsewhere_s is not None:
            yield (
                elsewhere_s,
                lambda: self._tell.elsewhere(elsewhere_s),
            )
        unwanted = boot.unwanted
        if unwanted is not None:
            yield unwanted[0], lambda: self._tell.unwanted(*unwanted)
        ok_s = self._limits.ok_s()
        if elsewhere_s is None and ok_s is not None and (fault is None or fault.at_s > ok_s):
            yield ok_s, self._tell.ok
        if boot.other_port is not None and self._course.awaited is Stage.KERNEL:
            other_s = boot.other_port[0] + _OTHER_PORT_S
            other = boot.other_port[2]
            yield other_s, lambda: self._tell.missing("other-port", other_s, other)
        given_up = boot.given_up
        if given_up is not None and self._course.awaited is not None:
            yield given_up.at_s, lambda: self._tell.missing(given_up.code, given_up.at_s)
        impossible_s = self._course.impossible_s()
        if impossible_s is not None:
            yield impossible_s, lambda: self._tell.missing("stage-impossible", impossible_s)
        deadline_s = self._limits.deadline_s()
        if deadline_s is not None:
            # What may still recover is the better word for a stage that is overdue.
            yield deadline_s, lambda: self._tell.failed(fault) if fault else self._tell.stalled(deadline_s)

    def so_far(self, now_s: float, *, ended: bool = False) -> Verdict:
        """Return the verdict, or, while a boot goes on, the one that it will have if nothing more comes.

        `ended`: nothing more does, so that what needed a moment of silence has it.
        """
        decided = self.decide(now_s + (_SILENCE_S if ended else 0.0))
        if decided is not None:
            return decided
        return self._tell.ok() if self._course.done_s() is not None else self._tell.stalled(now_s)

    def ended(self, at_s: float, *, said: str | None = None) -> Verdict:
        """Return the verdict when nothing more will ever be heard, as of a recorded console.

        Silence proves nothing here: what was not seen may have come after the recording. An image without a
        known end is ok only when it reached the stage that somebody `said` counts.
        """
        fault, _ = self._course.fatal(at_end=True)
        if fault is not None and not self._done_before(fault):
            return self._tell.failed(fault)
        if self._boot.unwanted is not None:
            return self._tell.unwanted(*self._boot.unwanted)
        if self._boot.furthest is None and not self._boot.texts:
            return self._tell.missing(self._without_a_stage(), at_s)
        if self._course.impossible_s() is not None:
            return self._tell.missing("stage-impossible", at_s)
        if self._course.done_s() is None:
            return self._tell.missing("text-ends", at_s)
        if self._course.has_no_end and said != str(self._course.until):
            return self._tell.missing("no-known-end", at_s)
        return self._tell.ok()

    def _without_a_stage(self) -> str:
        """Return the row for a text that proves no stage: it may be empty, or tell of what ends no boot."""
        if self._boot.tail is None:
            return "nothing-said"
        harmless = [not seen.failure.fatal for seen in self._boot.failures]
        return "ends-nothing" if harmless and all(harmless) else "nothing-known"

    def _done_before(self, fault: SeenFailure) -> bool:
        done_s = self._course.done_s()
        return done_s is not None and not self._course.has_no_end and fault.at_s > done_s + SETTLE_S
