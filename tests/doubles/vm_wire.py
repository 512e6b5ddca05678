"""Played VMs behind a wire whose time is made: waits cost nothing, and a loaded machine changes nothing."""

from __future__ import annotations

from bringup.twin.scripted.vms.play import PlayedVms


class PlayedWire:
    """A console of the VMs of one case, which have booted; `log` is all that the line carried."""

    def __init__(self, case: str, seed: int = 1) -> None:
        self.log = b""
        self.typed = b""
        self._came = b""
        self._time_s = 0.0
        self.vms = PlayedVms(case, self._take, seed)
        self.vms.boot()

    def _take(self, data: bytes) -> None:
        self._came += data
        self.log += data

    def now_s(self) -> float:
        return self._time_s

    def read(self, timeout_s: float) -> bytes:
        if not self._came:
            self.rest(timeout_s)
        came, self._came = self._came, b""
        return came

    def write(self, data: bytes) -> None:
        self.typed += data
        self.vms.hear(data)

    def rest(self, seconds: float) -> None:
        self._time_s += seconds
        self.vms.pass_time(seconds)

    def close(self) -> None:
        self.vms.close()
