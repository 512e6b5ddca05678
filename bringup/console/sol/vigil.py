"""Whether a console is alive, and since when its text may have a hole: decided by times alone, without I/O.

Alive means that anything came from the BMC, text or answer. Silence is asked about; a question without
answer, and time in which this process itself stood still (SIGSTOP, a suspended laptop, a host out of memory),
leave a doubt: a BMC that gets no acknowledgement drops text after its retries. All times are seconds of
CLOCK_BOOTTIME.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

STALL_S = 0.7
"""How long this process may not look before text may be lost: OpenBMC gives a packet up after 8 tries 0.1 s
apart (phosphor-net-ipmid sol_manager.hpp, `retryCount` and `retryInterval`)."""
PROBE_AFTER_MAX_S, UNANSWERED_S = 5.0, 4.0
"""After so much silence at most the BMC is asked, and so long after that without any answer people are told
that nobody vouches for the console: within 10 s."""
EXPIRED_S = 65.0
"""A BMC has ended a session by then (60 s, at most 3 more; IPMI 2.0 6.12.15)."""
_ANSWER_S = 1.5
# So seldom that a BMC that is back after a minute still takes our numbers, 15 ahead at most
# (IPMI 2.0 6.12.13).
_PAUSES_S = (0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0)


class Act(Enum):
    """What has to be done now."""

    ASK = "ask the BMC"
    POKE = "ask the console itself"
    TELL = "tell that nobody vouches for the console"
    END = "give the session up"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Text from after `since_s` may be missing; noticed at `at_s`.

    The hole is `before` the text that comes next: the BMC gave up what it got no acknowledgement of; or it is
    `behind` it, because that text lay here already while this process stood still.
    """

    since_s: float
    at_s: float
    reason: str
    before: bool = False
    behind: bool = False


class Vigil:
    """Watches one session. `probe_after_s` is the silence after which the BMC is asked, at most 5 s."""

    def __init__(self, now: float, *, probe_after_s: float) -> None:
        self.heard_s = now
        self.silent = False
        self.doubt: Doubt | None = None
        self._probe_after_s = min(probe_after_s, PROBE_AFTER_MAX_S)
        self._turn_s = self._judged_from_s = now
        self._probes: list[float] = []

    @property
    def asks(self) -> bool:
        """Whether something is asked that the BMC has not answered yet."""
        return bool(self._probes)

    def turn(self, now: float) -> None:
        """Note that this process looks at the line now; call it before anything else."""
        stood_s, before_s = now - self._turn_s, self._turn_s
        self._turn_s = now
        if stood_s < STALL_S:
            return
        reason = f"this process stood still for {stood_s:.1f} s"
        self._add(Doubt(before_s, now, reason, behind=True))
        self._judged_from_s = now
        self._probes.clear()

    def heard(self, now: float) -> None:
        """Note a packet of the BMC of any kind."""
        if self._probes and now - self._probes[0] > _ANSWER_S:
            self._add(Doubt(self.heard_s, now, "the BMC did not answer", before=True))
        self.heard_s = self._judged_from_s = now
        self.silent = False
        self._probes.clear()

    def settle(self) -> Doubt | None:
        """Return the doubt, which is told now."""
        doubt, self.doubt = self.doubt, None
        return doubt

    def tick(self, now: float) -> Act | None:
        """Return what is due, at most one thing; call it several times a second."""
        silent_s = now - self._judged_from_s
        if now - self.heard_s > EXPIRED_S:
            return Act.END
        if not self.silent and self._probes and silent_s > self._probe_after_s + UNANSWERED_S:
            self.silent = True
            return Act.TELL
        count = len(self._probes)
        due_s = self._probes[-1] + _PAUSES_S[min(count, len(_PAUSES_S)) - 1] if count else 0.0
        if silent_s < self._probe_after_s or now < due_s:
            return None
        self._probes.append(now)
        # The third and every second one after it goes another way: a BMC may be slow at commands only.
        return Act.POKE if count >= 2 and count % 2 == 0 else Act.ASK

    def _add(self, more: Doubt) -> None:
        old = self.doubt
        if old is None:
            self.doubt = more
        else:
            since_s, before, behind = min(old.since_s, more.since_s), old.before, old.behind
            self.doubt = Doubt(since_s, more.at_s, old.reason, before or more.before, behind or more.behind)
