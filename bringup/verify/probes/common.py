"""What probes of all topics do alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bringup.verify.result import Control, Result, absent, together
from bringup.verify.scene import SITES, Scene, Watch
from bringup.vlab.frames import Frame

_SHOWN = 4


def each_site(make: Callable[[Scene, str], Result], scene: Scene, *, at_once: bool = False) -> Result:
    """Return the result of both sites as one; `at_once` where what is done at one leaves the other alone."""
    with ThreadPoolExecutor(len(SITES) if at_once else 1) as pool:
        results = pool.map(lambda site: make(scene, site), SITES)
        return together({f"site {site}": result for site, result in zip(SITES, results, strict=True)})


def nothing_seen(watch: Watch, what: str, hits: Sequence[Frame], *controls: Control) -> Result:
    """Return that `hits` are none, believed beside `controls` of the same capture."""
    lines = [frame.describe() for frame in hits[:_SHOWN]]
    return absent(what, len(hits), controls, losses=watch.losses, excerpt=lines)
