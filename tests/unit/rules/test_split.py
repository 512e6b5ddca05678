"""Which network ports can go to different VMs: each thing that holds some together, each doubt, no other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.pci.assessment import Assessment, Passability, PinCandidate
from bringup.pci.model import Acs, Bar, Bdf, Bridge, Capability, Function, Machine, Pcie
from bringup.report.pci.split import report_split, split_json
from bringup.report.pci.text import View
from bringup.rules.split import Split, split_ports
from tests import places
from tests.unit.camkes.passthrough import function

PORT, UPSTREAM, DOWNSTREAM = "root port", "upstream port", "downstream port"
TO_PCI = "pci-express to pci/pci-x bridge"


def port(bdf: str, base: int = 0, size: int = 0x1000, **fields: object) -> Function:
    bars = (Bar(0, "mem", base, size),) if base else ()
    return function(bdf, device=0x10D3, bars=bars, intx_pin="A", **fields)


def bridge(bdf: str, bus: int, kind: str | None, acs: int | None = None) -> Function:
    held = [Capability(0x10, 0x40, decoded=Pcie(kind))] if kind else []
    held += [Capability(0x0D, 0x100, decoded=Acs(0x5F, acs))] if acs is not None else []
    behind = Bridge(int(bdf[:2], 16), bus, bus)
    return function(bdf, class_code=0x0604, header_type=1, bridge=behind, capabilities=tuple(held))


def split(
    *functions: Function,
    pins: Mapping[str, int] | None = None,
    words: Mapping[str, Passability] | None = None,
) -> Split:
    """Return the split of a machine whose ports have pins of their own unless `pins` says otherwise."""
    own = {str(f.bdf.short): 16 + n for n, f in enumerate(functions)}
    lines = {Bdf.parse(bdf): pin for bdf, pin in {**own, **(pins or {})}.items() if pin >= 0}
    return split_ports(
        Assessment(
            Machine(functions),
            pins={bdf: (PinCandidate(0, pin, "known", "test"),) for bdf, pin in lines.items()},
            passability={Bdf.parse(bdf): word for bdf, word in (words or {}).items()},
        )
    )


def groups(found: Split) -> list[str]:
    return [" ".join(bdf.short for bdf in group) for group in found.groups]


def kinds(found: Split) -> tuple[list[str], list[str]]:
    return [bond.kind for bond in found.bonds], [doubt.kind for doubt in found.doubts]


TWO = (port("01:00.0", 0xC0000000), port("02:00.0", 0xC0100000))


def test_ports_that_share_nothing_part() -> None:
    found = split(*TWO)
    assert groups(found) == ["01:00.0", "02:00.0"] and kinds(found) == ([], [])


def test_ports_on_one_pin_go_together() -> None:
    found = split(*TWO, pins={"01:00.0": 16, "02:00.0": 16})
    assert groups(found) == ["01:00.0 02:00.0"] and kinds(found) == (["pin"], [])


def test_ports_on_one_page_go_together_and_pages_that_touch_do_not() -> None:
    touching = (port("01:00.0", 0xC0000000, 0x1800), port("02:00.0", 0xC0002000))
    assert groups(split(*touching)) == ["01:00.0", "02:00.0"]
    sharing = (port("01:00.0", 0xC0000000, 0x1800), port("02:00.0", 0xC0001800, 0x800))
    assert groups(split(*sharing)) == ["01:00.0 02:00.0"]
    within = (port("01:00.0", 0xC0000000, 0x10000), port("02:00.0", 0xC0001000), port("03:00.0", 0xC0008000))
    assert groups(split(*within)) == ["01:00.0 02:00.0 03:00.0"]


def test_ports_behind_one_conventional_bridge_go_together() -> None:
    root = bridge("00:1c.0", 1, PORT)
    ports = (port("02:00.0", 0xC0000000), port("02:01.0", 0xC0100000))
    assert groups(split(root, bridge("01:00.0", 2, TO_PCI), *ports)) == ["02:00.0 02:01.0"]
    assert groups(split(bridge("00:1e.0", 2, None), *ports)) == ["02:00.0 02:01.0"]
    assert groups(split(bridge("00:1c.0", 2, PORT), *ports)) == ["02:00.0", "02:01.0"]


def test_a_bridge_whose_capabilities_nobody_read_holds_nothing_together() -> None:
    blind = function("00:1e.0", class_code=0x0604, header_type=1, bridge=Bridge(0, 2, 2))
    ports = (port("02:00.0", 0xC0000000), port("02:01.0", 0xC0100000))
    assert groups(split(blind, *ports)) == ["02:00.0", "02:01.0"]


@pytest.mark.parametrize(("acs", "doubts"), [(None, ["switch"]), (0, ["switch"]), (0x1D, []), (0x5F, [])])
def test_ports_below_one_switch_without_acs_are_in_doubt(acs: int | None, doubts: Sequence[str]) -> None:
    machine = (
        bridge("00:1c.0", 1, PORT), bridge("01:00.0", 2, UPSTREAM),
        bridge("02:01.0", 3, DOWNSTREAM, acs), bridge("02:02.0", 4, DOWNSTREAM, acs),
        port("03:00.0", 0xC0000000), port("04:00.0", 0xC0100000),
    )  # fmt: skip
    found = split(*machine)
    assert groups(found) == ["03:00.0", "04:00.0"] and kinds(found) == ([], doubts)


def test_one_iommu_group_is_a_doubt() -> None:
    ports = (port("01:00.0", 0xC0000000, iommu_group=7), port("01:00.1", 0xC0100000, iommu_group=7))
    assert kinds(split(*ports)) == ([], ["iommu-group"])


def test_a_pin_that_is_not_known_settles_nothing() -> None:
    found = split(*TWO, pins={"02:00.0": -1})
    assert kinds(found) == ([], ["pin-unknown"])
    assert [found.settled(group) for group in found.groups] == [True, False]
    assert "1 network port, each for a VM of its own; of 1 more (?) it is not known" in shown(found, *TWO)
    neither = split(*TWO, pins={"01:00.0": -1, "02:00.0": -1})
    assert "2 network ports; whether they can go to different VMs is not known" in shown(neither, *TWO)


def test_what_no_vm_can_have_is_left_out_and_what_needs_a_change_is_marked() -> None:
    words = {
        "01:00.0": Passability("not-passable", reasons=("it has no INTx pin",)),
        "02:00.0": Passability("needs-change", changes=("more",)),
    }
    found = split(*TWO, words=words)
    assert groups(found) == ["02:00.0"] and [b.short for b in found.changes] == ["02:00.0"]
    text = shown(found, *TWO)
    assert "no port   01:00.0: it has no INTx pin" in text and "needs a change" in text
    assert "no network port of this machine can be given" in shown(split())


def test_only_network_ports_are_split() -> None:
    assert groups(split(TWO[0], function("03:00.0", class_code=0x0106))) == ["01:00.0"]


def shown(found: Split, *functions: Function) -> str:
    lines = list(report_split(Assessment(Machine(functions)), found, View(100)))
    assert all(len(line) <= 100 for line in lines)
    return "\n".join(lines)


def test_the_page_documents_every_key() -> None:
    text = (places.CHECKOUT / "docs" / "probe-pci.md").read_text(encoding="utf-8")
    section = text.partition("## The JSON object of `--split`")[2].partition("\n## ")[0]
    paths = re.findall(r"`([a-z_.\[\]]+)`", section)
    told = {key.removesuffix("[]") for path in paths for key in path.split(".")} - {"split"}
    words = {"01:00.0": Passability("not-passable", reasons=("no",))}
    more = (*TWO, port("03:00.0", 0xC0200000), port("04:00.0"))
    body = split_json(split(*more, pins={"02:00.0": 5, "03:00.0": 5, "04:00.0": -1}, words=words))
    keys = {*body, *body["groups"][0], *body["left"][0], *body["doubts"][0]}
    assert told == keys


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=9))
def test_every_port_is_in_one_group_and_no_two_groups_share_pin_or_page(
    given_ports: list[tuple[int, int, int]],
) -> None:
    ports = [port(f"{n + 1:02x}:00.0", 0xC0000000 + page * 0x800, size * 0x800) for n, (_, page, size) in
             enumerate(given_ports)]  # fmt: skip
    pins = {f.bdf.short: pin for f, (pin, _, _) in zip(ports, given_ports, strict=True)}
    found = split(*ports, pins=pins)
    assert sorted(bdf for group in found.groups for bdf in group) == [f.bdf for f in ports]
    seen: dict[object, int] = {}
    for number, group in enumerate(found.groups):
        for bdf in group:
            page, size = given_ports[bdf.bus - 1][1:]
            held = {("page", at // 2) for at in range(page, page + size)}
            held |= {("pin", pins[bdf.short])} if pins[bdf.short] >= 0 else set()
            assert all(seen.setdefault(thing, number) == number for thing in held)
