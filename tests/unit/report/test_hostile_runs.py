"""Run folders that a kill, a full disk or a stranger left: each costs its one line, never the command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import BringupError
from bringup.base.events import Event
from bringup.boot.folders import EventLog, RunFolder, find_run, last_test_of, list_runs, usual_duration_s
from bringup.boot.follow import follow
from bringup.jobs.compare import compare_runs
from bringup.jobs.trace import ending_of, moments
from bringup.report.compare import comparison_json, comparison_lines
from bringup.report.html.run import run_html
from bringup.report.run import console_lines, event_lines, run_report
from bringup.report.runs import run_json, run_row, runs_table
from bringup.report.trace import ending_lines, trace_json

JSON_FILES = ("plan.json", "profile.json", "image.json", "verdict.json")
FILES = (*JSON_FILES, "events.ndjson", "console.log", "console.idx", "console1.log", "console1.idx")

PLAN = {
    "board": "e300",
    "profile": "twin-e300-9d",
    "firmware": "bios",
    "loader": "ipxe",
    "until": "user-space",
    "aim": "user-space",
    "image": {
        "title": "stand-in",
        "kind": "multiboot",
        "key": "0" * 64,
        "kernel": {"size": 4096},
        "modules": [{"size": 4096}],
    },
    "steps": [],
    "limits": [],
}
VERDICT = {
    "verdict": "lab",
    "board": "e300",
    "run": "2026-11-23-0001",
    "cause": "no DHCP request",
    "stage": "power",
    "missing": "dhcp",
    "until": "user-space",
    "at_s": 12.5,
    "stages": [{"name": "power", "at_s": 1.0, "evidence": "on"}],
    "causes": [{"cause": "cable", "fix": "plug it in"}],
    "lines": ["text"],
    "image_key": "0" * 64,
    "firmware": "bios",
    "aim": "user-space",
    "suite": {"passed": 1, "test": 3},
}


def whole(parent: Path) -> RunFolder:
    run = RunFolder(parent / "2026-11-23-0001")
    run.path.mkdir(parents=True)
    for name in JSON_FILES:
        (run.path / name).write_text(json.dumps(VERDICT if name == "verdict.json" else PLAN))
    log = EventLog(run, 0.0)
    log(Event("run", "run.verdict", "ended", {}, at_s=1.0))
    log.close()
    for name in ("console", "console1"):
        (run.path / f"{name}.log").write_bytes(b"a line\n")
        (run.path / f"{name}.idx").write_bytes(b"utc 1.0\n0 0.5\n")
    return run


def read_all(parent: Path) -> None:
    """Do with every run what commands do; one that cannot be shown raises its one sentence."""
    runs = list_runs(parent)
    other = parent.parent / f"{parent.name}-other"
    good = whole(other) if not other.exists() else RunFolder(other / "2026-11-23-0001")
    assert len(runtable := runs_table(runs).splitlines()) == 1 + len(runs), runtable
    assert all(len(line) <= 80 for line in runs_table(runs, 80).splitlines()[1:])
    for run in runs:
        json.dumps(run_row(run))
        json.dumps(run_json(run, with_events=True), default=str)
        list(islice(event_lines(run), 1000))
        list(islice(console_lines(run), 20))
        with suppress(BringupError):
            assert run_report(run)
        with suppress(BringupError):
            list(follow(run, now=Ticking(), sleep=lambda _seconds: None))
        trace_json(run.run_id, moments(run.events()), ending := ending_of(run, run.events()))
        list(ending_lines(ending))
        list(comparison_lines(compared := compare_runs(good, run)))
        json.dumps(comparison_json(compared))
    find_run(parent, None)
    last_test_of(parent, "0" * 64)
    usual_duration_s(parent, "e300", "user-space", "0" * 64, "bios", "user-space")


class Ticking:
    """A clock that passes quickly."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        self.at_s += 1.0
        return self.at_s


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(8 << 30)


def text(content: str | bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


BAD: dict[str, Callable[[Path], Any]] = {
    "pipe": os.mkfifo,
    "folder": lambda path: path.mkdir(),
    "link to itself": lambda path: path.symlink_to(path),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "huge": huge,
    "deep": text("[" * 100_000),
    "deep objects": text('{"a":' * 100_000),
    "half": text('{"board": "e3'),
    "empty": text(b""),
    "bytes": text(bytes(range(256))),
    "null": text("null"),
    "list": text("[1, 2]"),
    "number": text("1" * 5000),
    "nulls": text(json.dumps(dict.fromkeys({**PLAN, **VERDICT}))),
    "lists": text(json.dumps({key: [[1]] for key in {**PLAN, **VERDICT}})),
    "event with a text for a time": text('{"v":1,"t":"x","source":1,"kind":{},"text":[],"data":null}\n'),
    "event of a far time": text('{"v":1,"t":1e999,"source":"run","kind":"a.b","text":"","data":{}}\n'),
    "event of a long time": text(
        '{"v":1,"t":1' + "0" * 400 + ',"source":"","kind":"","text":"","data":{}}\n'
    ),
    "control": text('{"verdict": "ok\\u001b[2J", "board": "a\\nb", "cause": "\\u202e", "run": "\\r"}'),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none_costs_one_line(tmp_path: Path, name: str, bad: str) -> None:
    run = whole(tmp_path)
    (run.path / name).unlink()
    BAD[bad](run.path / name)
    read_all(tmp_path)


def test_a_time_that_is_no_float_is_none(tmp_path: Path) -> None:
    far = [{"name": "user-space", "at_s": 10**400, "evidence": ""}]
    body = {**VERDICT, "verdict": "ok", "stage": "user-space", "stages": far}
    run = whole(tmp_path)
    (run.path / "verdict.json").write_text(json.dumps(body))
    log = EventLog(run, 0.0)
    log(Event("run", "run.verdict", "ended", body, at_s=2.0))
    log.close()
    read_all(tmp_path)
    assert ending_of(run, run.events()).reached_s is None
    assert usual_duration_s(tmp_path, "e300", "user-space", "0" * 64, "bios", "user-space") is None


@pytest.mark.parametrize("put", ["pipe", "link to itself", "empty", "folder"])
def test_what_has_the_name_of_a_run_and_is_none(tmp_path: Path, put: str) -> None:
    whole(tmp_path)
    BAD[put](tmp_path / "2026-11-24-0001")
    read_all(tmp_path)


@pytest.mark.parametrize("put", [b"{", b"[]", b'{"verdict": 5}', b"\xff" * 9, b"[" * 9000])
def test_a_damaged_verdict_is_no_sign_that_the_run_was_killed(tmp_path: Path, put: bytes) -> None:
    run = whole(tmp_path)
    (run.path / "verdict.json").write_bytes(put)
    row = run_row(run)
    assert (row["verdict"], row["cause"]) == ("damaged", "verdict.json is damaged")
    assert "verdict.json is damaged" in run_report(run) and "killed" not in run_report(run)
    assert "verdict.json is damaged" in run_html(run)
    (run.path / "verdict.json").unlink()
    assert run_row(run)["verdict"] == "unfinished" and "was killed" in run_report(run)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value of a JSON object."""
    if path:
        yield path
    if isinstance(body, dict | list):
        for key in body if isinstance(body, dict) else range(len(body)):
            yield from places(body[key], (*path, key))


def changed(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[path[0]] = changed(body[path[0]], path[1:], value)
    return copy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    st.sampled_from([("plan.json", path) for path in places(PLAN)])
    | st.sampled_from([("verdict.json", path) for path in places(VERDICT)]),
    VALUES,
)
def test_any_value_of_another_kind_costs_one_line(
    tmp_path_factory: pytest.TempPathFactory, where: tuple[str, tuple[Any, ...]], value: Any
) -> None:
    parent = tmp_path_factory.mktemp("runs")
    name, path = where
    run = whole(parent)
    body = changed(VERDICT if name == "verdict.json" else PLAN, path, value)
    (run.path / name).write_text(json.dumps(body))
    read_all(parent)


@given(st.dictionaries(st.sampled_from(("v", "t", "source", "kind", "text", "data")), VALUES))
def test_any_object_is_an_event_or_refused(body: dict[str, Any]) -> None:
    with suppress(ValueError, KeyError):
        event = Event.from_body({**body, "v": 1})
        assert isinstance(event.kind, str) and f"{event.at_s:9.3f} {event.kind:<18} {event.text}"
        assert isinstance(event.data, dict) and event.to_json(origin_s=0.0)
