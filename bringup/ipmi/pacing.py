"""How long a BMC is left alone between two commands.

A profile's least spacing (ironic's 5 s, after BMCs that crashed when they were asked more often) is kept with
a BMC that labours: one that took long over its last answer, said that it is busy, or said nothing. One that
answers at once, as it does a tool that sends a handful of commands in one session, rests a moment after
each, longer after one that has something done.
"""

from __future__ import annotations

from enum import Enum

from bringup.base.clock import Clock

QUICK_S = 0.4
"""An answer that took longer is that of a BMC which labours: on an idle one it takes some milliseconds."""

_TRUSTED_AFTER = 2


class Kind(Enum):
    """What a command makes a BMC do; the value is how long it rests afterwards, in seconds."""

    READ = 0.05
    STORE = 0.2  # boot options are written to flash
    SWITCH = 0.5  # nothing is to be seen before that


class Pacing:
    """Keeps the distance between the commands to one BMC. `spacing_s` is the most, 0 asks for none."""

    def __init__(self, spacing_s: float, clock: Clock | None = None) -> None:
        self.spacing_s = spacing_s
        self._clock = clock or Clock()
        self._free_s = 0.0
        self._sent_s = 0.0
        self._quick = _TRUSTED_AFTER

    @property
    def at_ease(self) -> bool:
        """Whether the BMC answers at once, as far as it was asked: one that labours is spared favours."""
        return self._quick >= _TRUSTED_AFTER

    def wait(self) -> None:
        """Wait until the next command may be sent, and count it as sent."""
        self.rest()
        self.sent()

    def rest(self) -> None:
        """Wait until the next command may be sent."""
        self._clock.sleep(max(0.0, self._free_s - self._clock.now_s()))

    def sent(self) -> None:
        """Count a command as sent now."""
        self._sent_s = self._clock.now_s()
        self._free_s = self._sent_s + self.spacing_s  # until its answer says otherwise

    def answered(self, kind: Kind, *, willing: bool) -> None:
        """Note that the answer came; a `willing` BMC said neither that it is busy nor that it cannot."""
        now_s = self._clock.now_s()
        took_s = now_s - self._sent_s
        self._quick = self._quick + 1 if willing and took_s <= QUICK_S else 0
        if self.at_ease:
            self._free_s = min(self._sent_s + self.spacing_s, now_s + max(kind.value, took_s))

    def silent(self) -> None:
        """Note that no answer came."""
        self._quick = 0
