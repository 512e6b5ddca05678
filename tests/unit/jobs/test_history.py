"""Throughput over runs: bands by image, gaps where nothing was observed, nothing from damaged records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bringup.boot.folders import RunFolder
from bringup.jobs.history import bands, history_of, rate_history


def run(number: int, rates: object = None, **more: Any) -> dict[str, Any]:
    values = {} if rates is None else {"mbit_s": rates}
    return {
        "run": f"2026-11-28-{number:04d}",
        "started": "2026-11-28T20:00:00Z",
        "plan": "model-1",
        "target": "vlab",
        "firewall": "nftables",
        "rules": None,
        "engine": "kernel",
        "checks": [{"id": "rate", "values": values}],
        **more,
    }


def test_a_band_is_of_one_image_and_names_what_was_measured_last() -> None:
    history = history_of(
        [
            run(1, {"a-b": 200.0, "b-a": 90}),
            run(2, {"a-b": 240.0, "b-a": 80}),
            run(3, {"a-b": 210.0, "b-a": None}),
            run(4, {"a-b": 20.0}, rules="/home/somebody/mine"),
        ]
    )
    told = {(band.image, band.way): band for band in bands(history)}
    ours, theirs = "generated rules, nftables, kernel", "rules mine, kernel"
    assert (told[ours, "a-b"].low, told[ours, "a-b"].middle, told[ours, "a-b"].high) == (200, 210, 240)
    assert (told[ours, "b-a"].runs, told[ours, "b-a"].last) == (2, None)
    assert told[theirs, "a-b"].high == 20
    # Looked for by the same check, and not observed there.
    assert (theirs, "b-a") not in told and history[3].rates == {"a-b": 20.0, "b-a": None}


def test_a_check_without_a_figure_is_a_gap_and_one_that_was_not_made_is_nothing() -> None:
    opted = run(5, checks=[{"id": "rate", "values": {"asked": False}}])
    none = [run(6 + number, {"a-b": rate}) for number, rate in enumerate((10**400, float("nan"), "9", True))]
    history = history_of([run(1, {"a-b": 7}), run(2), run(3, checks=[]), run(4, {"a-b": 0.0}), opted, *none])
    assert [(each.run[-1], dict(each.rates)) for each in history] == [
        ("1", {"a-b": 7.0}),
        ("2", {"a-b": None}),
        *((number, {"a-b": None}) for number in "46789"),
    ]


def test_several_checks_that_measure_are_told_apart_and_an_image_is_named_by_its_content() -> None:
    checks = [{"id": "vms", "values": {"mbit_s": 31.5}}, {"id": "nic", "values": {"mbit_s": {"in": 940}}}]
    image = {"title": "seL4", "key": "0123456789abcdef"}
    board, played = history_of(
        run(number, checks=checks, image=image, engine=engine)
        for number, engine in enumerate(("board", "scripted"))
    )
    assert dict(board.rates) == {"vms": 31.5, "nic in": 940.0}
    assert (board.image, played.image) == ("seL4 01234567", "seL4 01234567, scripted")


def test_runs_of_other_targets_and_damaged_ones_are_left_out(tmp_path: Path) -> None:
    runs = []
    for number, text in enumerate(
        (json.dumps(run(0, {"a-b": 5})), "{", json.dumps(run(2, {"a-b": 6}, target="e300")), "[]")
    ):
        folder = tmp_path / f"2026-11-28-{number:04d}"
        folder.mkdir()
        (folder / "verify.json").write_text(text, encoding="utf-8")
        runs.append(RunFolder(folder))
    assert [dict(each.rates) for each in rate_history(runs, "vlab")] == [{"a-b": 5.0}]
    assert rate_history(runs, "nobody") == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(
    st.lists(st.fixed_dictionaries({}, optional={"checks": JSON, "image": JSON, "rules": JSON}), max_size=3),
    JSON,
)
def test_whatever_a_record_holds_a_rate_is_a_number_above_0_or_none(
    bodies: list[dict[str, Any]], rates: Any
) -> None:
    for each in history_of([*bodies, run(1, rates)]):
        assert all(rate is None or rate > 0 for rate in each.rates.values())
