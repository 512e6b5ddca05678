"""A run of verify as a page: the ladder of its checks, the lab with its rates, what was seen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bringup.base.regular_file import open_regular
from bringup.base.size import counted
from bringup.boot.folders import list_runs
from bringup.jobs.history import rate_history
from bringup.report.html.history import history_svg
from bringup.report.html.page import Excerpt, Page, Row, render
from bringup.report.html.topology import topology_svg
from bringup.report.verify import headline, holds

_LINES = 40
_END_BYTES = 64 << 10


def verify_html(body: Mapping[str, Any]) -> str:
    """Return the content of `verify.json` as HTML."""
    failed = [check for check in body["checks"] if check["status"] == "fail"]
    page = Page(
        title=str(body["title"]),
        ok=holds(body),
        answer=headline(body),
        subtitle=f"run {body['run']} on {body['target']}, {body['started']}",
        facts=_facts(body),
        rows=[_row(check) for check in body["checks"]],
        picture=_picture(body) if body.get("scene", "vlab") == "vlab" else "",
        history=_history(body),
        excerpts=_consoles(Path(body["folder"])),
        advice=[f"{check['id']}: {check['purpose']}" for check in failed],
    )
    return render(page)


def _history(body: Mapping[str, Any]) -> str:
    """Return what this run and those before it on its target measured; empty where it measured nothing."""
    if not any("mbit_s" in check["values"] for check in body["checks"]):
        return ""
    runs = [run for run in list_runs(Path(body["folder"]).parent) if run.run_id <= body["run"]]
    return history_svg(body["target"], rate_history(runs, body["target"]), alone=False)


def _facts(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    if body.get("scene", "vlab") != "vlab":
        unproven = [("unproven", str(body["unproven"]))] if body.get("unproven") else []
        engine = ("engine", str(body.get("engine")))
        return [engine, *unproven, ("bringup", body["version"]), ("folder", body["folder"])]
    rules = body["rules"] or f"generated, for {body['firewall']}"
    names = (("rules", rules), ("WireGuard", body.get("engine")), ("bringup", body["version"]))
    return [
        (name, str(value)) for name, value in (*names, ("captures", f"{body['folder']}/captures")) if value
    ]


def _consoles(folder: Path) -> list[Excerpt]:
    """Return the end of each guest's console, or of the one that VMs share, as the run's folder keeps it."""
    excerpts = []
    for path in (*sorted(folder.glob("guest-*.log")), *folder.glob("console-vms.log")):
        lines = _end_of(path)
        excerpts.append(Excerpt(f"Console of {path.stem}: its last {counted(len(lines), 'line')}", lines))
    return excerpts


def _end_of(path: Path) -> list[str]:
    """Return the last lines of a text; none where a pipe or a device has its name."""
    try:
        with open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _END_BYTES))
            return file.read(_END_BYTES).decode("utf-8", "replace").splitlines()[-_LINES:]
    except (OSError, ValueError):
        return []


def _row(check: Mapping[str, Any]) -> Row:
    words = (("How", "how"), ("Limit", "limit"), ("Control", "control"))
    return Row(
        name=check["id"],
        status=check["status"],
        evidence=str(check["evidence"]).split(" | "),
        purpose=check["purpose"],
        details=[(title, check[key]) for title, key in words if check[key]],
        lines=check["excerpt"],
        at_s=check["at_s"],
        seconds=check["seconds"],
    )


def _picture(body: Mapping[str, Any]) -> str:
    by_id = {check["id"]: check for check in body["checks"]}
    told = by_id.get("rate", {}).get("values", {}).get("mbit_s", {})
    rates = {way: rate for way, rate in told.items() if rate is not None}
    tunnel = by_id.get("tunnel", {}).get("status") != "fail"
    return topology_svg(body["lab"], rates, tunnel_ok=tunnel)
