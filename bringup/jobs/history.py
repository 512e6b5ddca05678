"""Which throughput the runs of one target measured, in order: read back from what they kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from statistics import median
from sys import float_info
from typing import Any

from bringup.boot.folders import RunFolder

_MOST_RUNS = 500


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: what was judged there (`image`), and Mbit/s by way; None was looked for and not observed."""

    run: str
    started: str
    plan: str
    image: str
    rates: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Band:
    """What the runs of one image measured on one way: Mbit/s, lowest, middle and highest, and the last."""

    image: str
    way: str
    runs: int
    low: float
    middle: float
    high: float
    last: float | None


def rate_history(runs: Iterable[RunFolder], target: str) -> tuple[Measured, ...]:
    """Return what the latest runs of verify on `target` measured, the oldest first; damaged ones are out."""
    bodies = [run.read_json("verify.json") for run in list(runs)[-_MOST_RUNS:]]
    return history_of(body for body in bodies if body is not None and body.get("target") == target)


def history_of(bodies: Iterable[Mapping[str, Any]]) -> tuple[Measured, ...]:
    """Return the history that contents of `verify.json` make.

    A check that measured in one run and has no figure in another was looked for there and not observed; a
    run that was not asked for the check tells nothing.
    """
    read = [(body, _figures(body)) for body in bodies]
    ways: dict[str, dict[str, None]] = {}
    for _body, figures in read:
        for check, rates in figures.items():
            ways.setdefault(check, {}).update(dict.fromkeys(rates))
    several = sum(bool(names) for names in ways.values()) > 1
    measured = []
    for body, figures in read:
        rates = {
            f"{check} {way}" if several and way != check else way: figures[check].get(way)
            for check, names in ways.items()
            if check in figures
            for way in names
        }
        if rates:
            run, started, plan = (str(body.get(name) or "?") for name in ("run", "started", "plan"))
            measured.append(Measured(run, started, plan, image_words(body), rates))
    return tuple(measured)


def _figures(body: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return by check what it measured; a check without figures has none."""
    figures: dict[str, dict[str, float | None]] = {}
    checks = body.get("checks")
    for check in checks if isinstance(checks, list) else ():
        if not isinstance(check, dict) or not isinstance(name := check.get("id"), str):
            continue
        values = check.get("values")
        values = values if isinstance(values, dict) else {}
        if values.get("asked") is False:
            continue
        told = values.get("mbit_s")
        by_way = told if isinstance(told, dict) else {} if told is None else {name: told}
        figures[name] = {str(way): _figure(rate) for way, rate in by_way.items()}
    return figures


def _figure(told: object) -> float | None:
    """Return a rate, None for what is none: 0 is what was written where no figure came."""
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return float(told) if 0 < told <= float_info.max else None


def image_words(body: Mapping[str, Any]) -> str:
    """Return what a run judged, in a few words: an image, or rules; and on what, unless that is a board."""
    image, rules, firewall, engine = (body.get(key) for key in ("image", "rules", "firewall", "engine"))
    named = ""
    if isinstance(image, dict):
        named = f"{image.get('title') or 'an image'} {str(image.get('key') or '')[:8]}".strip()
    elif rules:
        named = f"rules {PurePath(str(rules)).name}"
    elif firewall:
        named = f"generated rules, {firewall}"
    words = (named, "" if engine == "board" else engine)
    return ", ".join(str(word) for word in words if word) or "unknown"


def bands(history: Iterable[Measured]) -> tuple[Band, ...]:
    """Return the bands of each image and way, in the order in which they were first seen."""
    seen: dict[tuple[str, str], list[float | None]] = {}
    for each in history:
        for way, rate in each.rates.items():
            seen.setdefault((each.image, way), []).append(rate)
    made = []
    for (image, way), rates in seen.items():
        figures = sorted(rate for rate in rates if rate is not None)
        if figures:
            made.append(Band(image, way, len(figures), figures[0], median(figures), figures[-1], rates[-1]))
    return tuple(made)
