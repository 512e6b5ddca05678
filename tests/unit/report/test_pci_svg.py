"""The picture: well formed, nothing overlaps or sticks out, text stays in its box, names are only text."""

from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings

from bringup.pci.assessment import Assessment
from bringup.pci.model import Identity, Machine
from bringup.report.pci.layout import CHAR, Box, Picture, lay_out
from bringup.report.pci.svg import svg
from bringup.report.words import cells
from tests.machines.catalogue import MACHINES
from tests.machines.views import View, recordings, views
from tests.unit.pci.test_diff import machines
from tests.unit.report.machines import bridge, dull, machine, port, seen, small
from tests.unit.report.test_pci import HOSTILE

_NS = "{http://www.w3.org/2000/svg}"


def check_geometry(picture: Picture) -> None:
    """No two boxes touch, panels hold their boxes and do not overlap, text fits, wires end at boxes."""
    for first, second in combinations(picture.boxes, 2):
        apart = (
            first.x + first.width <= second.x
            or second.x + second.width <= first.x
            or first.y + first.height <= second.y
            or second.y + second.height <= first.y
        )
        assert apart, (first, second)
    for upper, lower in zip(picture.panels, picture.panels[1:], strict=False):
        assert upper.y + upper.height < lower.y
    for box in picture.boxes:
        assert sum(p.y < box.y and box.y + box.height <= p.y + p.height for p in picture.panels) == 1
        assert box.x + box.width < picture.width
        assert max(map(cells, box.lines)) * CHAR <= box.width
        assert len(box.lines) * 15 < box.height
    for wire in picture.wires:
        assert any(_ends_at(box.x + box.width, box, wire.x1, wire.y1) for box in picture.boxes)
        for y in wire.ys:
            assert any(_ends_at(box.x, box, wire.x2, y) for box in picture.boxes)
    if picture.panels:
        assert picture.panels[-1].y + picture.panels[-1].height < picture.height


def _ends_at(edge: float, box: Box, x: float, y: float) -> bool:
    return edge == x and box.y <= y <= box.y + box.height


@given(machines())
@settings(max_examples=50)
def test_nothing_overlaps_on_any_machine(any_machine: Machine) -> None:
    picture = lay_out(Assessment(any_machine), top=100)
    check_geometry(picture)
    shown = "\n".join(box.title for box in picture.boxes).splitlines()
    assert len(shown) == len(any_machine.functions)
    ElementTree.fromstring(svg(Assessment(any_machine)))  # noqa: S314  our own output


def test_the_small_board() -> None:
    picture = lay_out(small(), top=0)
    check_geometry(picture)
    kinds = {box.lines[0].partition(" ")[0]: box.kind for box in picture.boxes}
    assert kinds["17:00.0"] == kinds["17:00.1"] == "passable"
    assert kinds["b5:00.0"] == "needs-change"
    assert kinds["16:00.0"] == "bridge"
    assert kinds["16:08.0-2,"] == "other"
    assert [panel.title for panel in picture.panels] == ["bus 16", "bus b2"]
    assert [wire.label for wire in picture.wires] == ["17", "b5", "b4", "b3"]
    (box,) = [box for box in picture.boxes if box.lines[0].startswith("17:00.1")]
    assert box.lines == (
        "17:00.1  8086:1521",
        "I350",
        "INTB  0/19 inferred",
        "passable, not with b5:00.0 in",
        "another VM",
    )


def test_it_is_self_contained_and_has_a_legend() -> None:
    root = ElementTree.fromstring(svg(small()))  # noqa: S314
    assert {element.tag.removeprefix(_NS) for element in root.iter()} == {
        "svg",
        "title",
        "style",
        "rect",
        "path",
        "g",
        "text",
    }
    assert not any("href" in name for element in root.iter() for name in element.attrib)
    words = " ".join(element.text or "" for element in root.iter(f"{_NS}text"))
    for said in ("passable to a VM", "needs a change first", "not enough observed", "bridge", "SYS-1"):
        assert said in words
    assert float(root.attrib["width"]) > 0


def test_hostile_names_are_only_text() -> None:
    evil = '"><script>alert(1)</script><!-- ]]> &amp; ' + HOSTILE + "\x00\ufffe"
    functions = tuple(
        replace(function, device_name=evil, class_name=evil) for function in small().machine.functions
    )
    held = replace(small().machine, functions=functions, identity=Identity(product=evil, baseboard=evil))
    text = svg(replace(small(), machine=held))
    root = ElementTree.fromstring(text)  # noqa: S314
    assert not list(root.iter(f"{_NS}script"))
    text.encode("utf-8")
    check_geometry(lay_out(replace(small(), machine=held), top=0))


def test_bridges_in_a_ring_end() -> None:
    ring = machine(bridge("01:00.0", 2, 2), bridge("02:00.0", 1, 1), bridge("03:00.0", 3, 3))
    picture = lay_out(Assessment(ring), top=0)
    check_geometry(picture)
    assert len(picture.boxes) == 3


def test_a_bus_whose_bridge_was_not_read_says_so() -> None:
    unread = seen("00:01.0", class_code=0x0604, header_type=1)
    picture = lay_out(Assessment(machine(unread, port("17:00.0", "A", 0))), top=0)
    assert [panel.title for panel in picture.panels] == [
        "bus 00",
        "bus 17  (whether a bridge leads here was not observed)",
    ]


def test_empty_and_deep_machines() -> None:
    ElementTree.fromstring(svg(Assessment(Machine(()))))  # noqa: S314
    deep = [bridge(f"{n:02x}:00.0", n + 1, 200) for n in range(199)]
    picture = lay_out(Assessment(machine(*deep, dull("c7:00.0"))), top=0)
    check_geometry(picture)
    assert len(picture.wires) == 199


WHOLE = [*(view for name in MACHINES for view in views(name, "bundle.tar.gz", "pciconf.txt"))]
WHOLE += recordings("sysfs-*") + recordings("lspci-tree-*")


@pytest.mark.parametrize("view", WHOLE, ids=str)
def test_whole_machines(view: View) -> None:
    assessed = Assessment(view.machine())
    check_geometry(lay_out(assessed, top=0))
    ElementTree.fromstring(svg(assessed))  # noqa: S314


def test_a_renderer_draws_it(tmp_path: Path) -> None:
    renderer = shutil.which("rsvg-convert")
    if renderer is None:
        pytest.skip("rsvg-convert (librsvg2-bin) is not here")
    (tmp_path / "a.svg").write_text(svg(small()), encoding="utf-8")
    subprocess.run([renderer, tmp_path / "a.svg", "-o", tmp_path / "a.png"], check=True, timeout=30)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
