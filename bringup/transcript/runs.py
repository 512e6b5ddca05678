"""Where one boot ends on a console and the next begins. Pure."""

from __future__ import annotations

from bringup.base.stage import Stage
from bringup.transcript.markers import MARKERS

_BANNERS = frozenset(marker.text for marker in MARKERS if marker.banner)


class BootCounter:
    """Notices that a board started over: a banner comes again, or firmware or a loader after a kernel."""

    def __init__(self) -> None:
        self._banners: set[str] = set()
        self._kernel = False

    def begins(self, stage: Stage, marker: str) -> bool:
        """Return whether this text is of another boot than the texts before it."""
        banner = marker in _BANNERS
        again = marker in self._banners if banner else stage <= Stage.LOADER and self._kernel
        if again:
            self._banners.clear()
            self._kernel = False
        if banner:
            self._banners.add(marker)
        self._kernel = self._kernel or stage >= Stage.KERNEL
        return again
