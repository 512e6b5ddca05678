"""Throughput over the runs of one target as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bringup.base.size import counted
from bringup.jobs.history import Measured, bands
from bringup.report.style import table


def history_lines(target: str, history: Sequence[Measured]) -> Iterator[str]:
    """Yield the band of each image and way, and where nothing was observed."""
    gaps = [each.run for each in history if None in each.rates.values()]
    runs = counted(len(history), "run")
    yield f"{target}: {runs} of verify with throughput to measure, by the receiver's count"
    rows = [
        [
            band.way,
            f"{band.low:.0f} to {band.high:.0f}",
            f"{band.middle:.0f}",
            "not observed" if band.last is None else f"{band.last:.0f}",
            str(band.runs),
            band.image,
        ]
        for band in bands(history)
    ]
    yield table(["way", "Mbit/s", "middle", "last", "runs", "image"], rows)
    if gaps:
        yield f"not observed on some way in {len(gaps)} of them: {', '.join(gaps[-4:])}"


def history_json(target: str, history: Sequence[Measured]) -> dict[str, Any]:
    """Return the history as plain JSON data; a rate of null was looked for and not observed."""
    return {
        "target": target,
        "measured": [
            {
                "run": each.run,
                "started": each.started,
                "plan": each.plan,
                "image": each.image,
                "mbit_s": dict(each.rates),
            }
            for each in history
        ],
        "bands": [asdict(band) for band in bands(history)],
    }
