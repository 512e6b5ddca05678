"""The history of throughput as a picture and as text: bands, gaps, and what a record says is not obeyed."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as Xml

from bringup.jobs.history import Measured
from bringup.report.history import history_json, history_lines
from bringup.report.html.history import history_svg
from tests.unit.report.test_html import read

SVG = "{http://www.w3.org/2000/svg}"


def measured(number: int, rate: float | None, image: str = "one") -> Measured:
    return Measured(f"2026-11-28-{number:04d}", "2026-11-28T20:00:00Z", "model-1", image, {"a-b": rate})


def picture(*history: Measured) -> Xml.Element:
    return Xml.fromstring(history_svg("vlab", history, alone=True))  # noqa: S314  # our own


def test_higher_rates_are_higher_and_a_gap_breaks_the_line() -> None:
    root = picture(measured(1, 100), measured(2, 300), measured(3, None), measured(4, 200))
    dots = [each for each in root.iter(f"{SVG}circle") if each.get("class") is None]
    assert len(dots) == 3
    heights = [float(dot.attrib["cy"]) for dot in dots]
    assert heights[1] < heights[2] < heights[0]
    gaps = [each for each in root.iter(f"{SVG}circle") if each.get("class") == "gap"]
    assert len(gaps) == 1 and "not observed" in (gaps[0][0].text or "")
    assert float(gaps[0].attrib["cy"]) > max(heights)
    assert [len(line.attrib["points"].split()) for line in root.iter(f"{SVG}polyline")] == [2, 1]
    assert all(a < b for a, b in pairwise(float(dot.attrib["cx"]) for dot in dots))


def test_a_band_reaches_from_the_lowest_to_the_highest_of_its_image() -> None:
    root = picture(measured(1, 100), measured(2, 300), measured(3, 50, "two"))
    bands = [each for each in root.iter(f"{SVG}rect") if each.get("class") == "band"]
    dots = [float(each.attrib["cy"]) for each in root.iter(f"{SVG}circle")]
    top, height = (float(bands[0].attrib[name]) for name in ("y", "height"))
    assert (round(top), round(top + height)) == (round(dots[1]), round(dots[0]))
    assert len({each.attrib["fill"] for each in bands}) == 2


def test_names_are_shown_and_not_obeyed() -> None:
    nasty = "<script>alert(1)</script>\x1b[31m\x00"
    text = read(history_svg("vlab", (measured(1, 5, nasty),), alone=False))
    assert "<script>alert(1)</script>" in text and "\x1b" not in text


def test_what_no_file_can_hold_is_a_question_mark() -> None:
    picture(measured(1, 5, "a\ufffeb\x0c"))
    text = history_svg("vlab", (measured(1, 5, "half \ud800"),), alone=True)
    assert b"half ?" in text.encode()


def test_text_and_json_say_the_same_band() -> None:
    history = (measured(1, 100), measured(2, None), measured(3, 120.4))
    text = "\n".join(history_lines("vlab", history))
    assert "100 to 120" in text and "not observed on some way in 1 of them: 2026-11-28-0002" in text
    told = history_json("vlab", history)
    assert told["bands"][0]["high"] == 120.4 and told["measured"][1]["mbit_s"] == {"a-b": None}


def test_nothing_measured_is_no_picture() -> None:
    assert history_svg("vlab", (), alone=True) == ""
