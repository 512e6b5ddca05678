"""A rate is what iperf3's receiver counted; whatever else it wrote is no figure."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bringup.verify.probes.traffic import read_iperf


def told(size: object, seconds: object) -> str:
    received = {"start": 0, "end": seconds, "seconds": seconds, "bytes": size, "bits_per_second": 1.0}
    return json.dumps({"end": {"sum_sent": {"bytes": 9e9, "retransmits": 12}, "sum_received": received}})


def test_the_receivers_bytes_and_seconds_make_the_rate() -> None:
    moved = read_iperf(told(30_000_000, 1.2))
    assert moved is not None and round(moved.mbit_s) == 200
    assert str(moved) == "30000000 bytes in 1.20 s; 12 segments sent again"


def test_no_bytes_no_time_and_an_error_are_no_figure() -> None:
    for text in (told(0, 1.0), told(5, 0), '{"error": "unable to connect"}', "", "[]", '{"end": null}'):
        assert read_iperf(text) is None


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_text_is_an_error(text: str) -> None:
    assert read_iperf(text) is None
