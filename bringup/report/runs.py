"""What was booted as a table, and one run as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bringup.boot.folders import BATCH, REIMAGE, SLOTS, VERDICT, RunFolder
from bringup.report.style import table
from bringup.report.words import clean

_WITHOUT = {"damaged": "damaged", "goes on": "running", "killed": "unfinished"}


def run_row(run: RunFolder) -> dict[str, Any]:
    """Return one line's worth of a run; without a verdict it is running, damaged, or unfinished: killed."""
    verdict = run.read_json("verdict.json") or {}
    plan = run.read_json("plan.json") or {}
    return {
        "run": run.run_id,
        "board": plan.get("board"),
        "work": plan.get("work") or plan.get("command") or plan.get("kind"),
        "verdict": verdict.get("verdict") or _WITHOUT[run.without_verdict()],
        "stage": verdict.get("stage"),
        "cause": verdict.get("cause") or ("verdict.json is damaged" if run.is_damaged(VERDICT) else None),
        "at_s": verdict.get("at_s"),
    }


def runs_table(runs: Iterable[RunFolder], width: int | None = None) -> str:
    """Return runs as a table, one line each, cut to `width` columns; None: as long as they are."""
    lines = table(
        ["run", "board", "work", "verdict", "how it ended"],
        [
            [row["run"], row["board"] or "?", str(row["work"] or "-"), row["verdict"], _ending(row)]
            for row in map(run_row, runs)
        ],
    ).splitlines()
    # Only causes are long, and they are no rows of letters with colours in them.
    return "\n".join([lines[0], *(clean(line, width) for line in lines[1:])])


def _ending(row: Mapping[str, Any]) -> str:
    """Return the stage that a good run reached, or why another did not: that comes first, lines are cut."""
    stage, cause = row["stage"], row["cause"]
    at = "" if row["at_s"] is None else f"{row['at_s']:.1f} s"
    if row["verdict"] == "ok":
        what = stage if stage and cause in (None, f"reached {stage}") else cause or "-"
        return f"{what} in {at}" if at else what
    if cause:
        cause = cause.removeprefix(f"{row['verdict']}; ")
    where = ", ".join(filter(None, (stage, at)))
    return f"{cause}     ({where})" if cause and where else cause or where


def run_json(run: RunFolder, *, with_events: bool) -> dict[str, Any]:
    """Return a run as plain JSON data; what it did not come to is null."""
    body: dict[str, Any] = {"run": run.run_id, "folder": str(run.path)}
    for name in ("plan", "image", "profile", "verdict"):
        body[name] = run.read_json(f"{name}.json")
    if with_events:
        body["events"] = [
            {
                "t": event.at_s,
                "source": event.source,
                "kind": event.kind,
                "text": event.text,
                "data": event.data,
            }
            for event in run.events()
        ]
    for name in (BATCH, REIMAGE, SLOTS):
        if (record := run.read_json(name)) is not None:
            body[name.removesuffix(".json")] = record
    return body
