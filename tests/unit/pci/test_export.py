"""The JSON object: names that stay, a golden text, and a page that documents each key and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bringup.pci.assessment import Assessment, Passability, Word
from bringup.pci.diff.compare import Item, differences
from bringup.pci.diff.export import diff_json
from bringup.pci.export.machine import to_json
from bringup.pci.export.parts import capability_json
from bringup.pci.model import Bar, Bdf, Capability, Function, Machine, Pcie, Sriov
from bringup.pci.topology.buses import Buses
from tests import places
from tests.unit.report.machines import PORT0, bridge, full, machine, port, seen, small, small_machine
from tests.unit.report.test_pci import check_golden

PAGE = places.CHECKOUT / "docs" / "probe-pci.md"


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Every key of an object as `functions[].bars[].base`; `provenance` maps keys, it has none of its own."""
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else key
            yield here
            if key != "provenance":
                yield from keys(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{path}[]")


def documented(section: str) -> set[str]:
    """Every key that a section of the page tells: code in first columns, under the prefixes of a heading."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = set()
    prefixes = [""]
    for line in text.splitlines():
        if line.startswith("### "):
            prefixes = re.findall(r"`([^`]*)`", line) or [""]
        elif line.startswith("| `"):
            for key in re.findall(r"`([^`]+)`", line.split("|")[1]):
                whole = [prefix for prefix in prefixes if key.startswith(prefix) and prefix]
                found |= {key} if whole else {f"{prefix}.{key}".lstrip(".") for prefix in prefixes}
    return found


def test_the_page_documents_every_key_and_no_other() -> None:
    assert set(keys(to_json(full()))) == documented("The JSON object")


def test_the_page_documents_the_comparison() -> None:
    first, second = small_machine(), machine(port("17:00.0", "A", 0, irq=11))
    told = set(keys(diff_json(differences(first, second), first, second)))
    assert told | {"numbers[].what", "numbers[].functions"} == documented("The JSON object of `pci diff`")


def test_golden_object() -> None:
    check_golden("assessment.json", json.dumps(to_json(small()), indent=1) + "\n")


def test_the_names_that_others_rely_on() -> None:
    body = to_json(full())
    _, function = body["functions"]
    assert body["schema"] == 1
    assert function["bdf"] == "0000:17:00.0"
    assert (function["vendor"], function["device"], function["class"]) == ("8086", "1521", "020000")
    assert function["subsystem"] == "1734:11d1"
    assert function["bars"] == [
        {
            "index": 0,
            "kind": "mem",
            "base": "0xc5b00000",
            "size": 1048576,
            "width": 32,
            "prefetchable": False,
        }
    ]
    assert function["pins"][0]["grade"] == "measured"
    assert (function["pins"][0]["ioapic"], function["pins"][0]["pin"]) == (0, 16)
    assert set(body["findings"][0]) >= {"code", "severity", "bdf", "message", "evidence", "fix"}


def test_what_was_not_observed_is_absent() -> None:
    (function,) = to_json(Assessment(machine(Function(PORT0))))["functions"]
    assert function == {"bdf": "0000:17:00.0", "provenance": {}}


def test_a_part_of_a_machine_tells_no_root_bus() -> None:
    port = seen("01:00.0", capabilities=(Capability(0x10, 0xA0, decoded=Pcie("endpoint")),))
    host = seen("00:00.0", class_code=0x0600)
    for functions in ((port,), (port, host), (seen("01:00.0"),)):
        assert Buses.of(functions).path(port.bdf) is None
    # Conventional PCI on a bus of its own, all of the machine being there.
    assert Buses.of((host, seen("01:00.0"))).path(port.bdf) == ()
    # What a hypervisor puts on bus 0 is an endpoint on a root bus all the same.
    assert Buses.of((replace(port, bdf=Bdf.parse("00:05.0")),)).path(Bdf.parse("00:05.0")) == ()


def test_bars_of_virtual_functions_that_no_source_told_are_absent() -> None:
    told = [
        capability_json(Capability(0x10, 0x160, extended=True, decoded=Sriov(total_vfs=8, bars=bars)))
        for bars in (None, ())
    ]
    assert "bars" not in told[0] and told[1]["bars"] == []


def test_what_was_observed_and_is_none_is_null() -> None:
    nothing = seen(
        "17:00.0",
        subsystem=None,
        intx_pin=None,
        driver=None,
        iommu_group=None,
        rom=None,
        bars=(),
        capabilities=(),
        physical_function=None,
    )
    (function,) = to_json(Assessment(machine(nothing)))["functions"]
    for key in ("subsystem", "intx_pin", "driver", "iommu_group", "rom", "physical_function"):
        assert function[key] is None, key
    assert function["bars"] == function["capabilities"] == []
    assert function["flr"] is False


def test_a_bar_without_address_or_size() -> None:
    held = seen("17:00.0", bars=(Bar(0, "mem", None), Bar(4, "io", 0x7060, 32)))
    (function,) = to_json(Assessment(machine(held)))["functions"]
    assert function["bars"][0] == {
        "index": 0,
        "kind": "mem",
        "base": None,
        "width": 32,
        "prefetchable": False,
    }
    assert (function["bars"][1]["base"], function["bars"][1]["size"]) == ("0x7060", 32)


def test_a_class_without_its_interface() -> None:
    (function,) = to_json(Assessment(machine(seen("17:00.0", class_code=0x0200))))["functions"]
    assert function["class"] == "0200"


@pytest.mark.parametrize(
    ("word", "passable"),
    [("passable", True), ("needs-change", False), ("not-passable", False), ("unknown", None)],
)
def test_passable(word: Word, passable: bool | None) -> None:
    judged = replace(small(), passability={PORT0: Passability(word)})
    functions = {function["bdf"]: function for function in to_json(judged)["functions"]}
    assert functions[str(PORT0)]["passable"] is passable
    assert functions[str(PORT0)]["verdict"] == word
    assert "passable" not in functions["0000:17:00.1"]


def test_paths_from_the_root_port_down() -> None:
    functions = {function["bdf"]: function for function in to_json(small())["functions"]}
    assert functions["0000:b5:00.0"]["path"] == ["0000:b2:00.0", "0000:b3:00.0", "0000:b4:03.0"]
    assert functions["0000:16:00.0"]["path"] == []


def test_a_path_that_an_unread_bridge_may_be_on_is_absent() -> None:
    unread = seen("02:00.0", class_code=0x0604, header_type=1)
    host = seen("00:00.0", class_code=0x0600)
    others = (bridge("03:00.0", 4, 4), seen("04:00.0"), seen("01:00.0"))
    body = to_json(Assessment(machine(host, unread, *others)))
    paths = {function["bdf"][5:7]: function.get("path") for function in body["functions"]}
    assert paths == {"00": [], "01": [], "02": [], "03": None, "04": None}


def test_a_root_port_is_on_a_root_bus_whatever_was_not_read() -> None:
    unread = seen("02:00.0", class_code=0x0604, header_type=1)
    root_port = seen("16:00.0", capabilities=(Capability(0x10, 0x90, decoded=Pcie("root port")),))
    buses = Buses.of([unread, root_port, seen("17:00.0")])
    assert buses.is_surely_root((0, 0x16))
    assert not buses.is_surely_root((0, 0x17))


def test_the_order_is_that_of_addresses_and_severity() -> None:
    body = to_json(replace(small(), findings=small().findings[::-1]))
    assert body == to_json(small())
    assert [finding["severity"] for finding in body["findings"]] == [
        "error",
        "warning",
        "warning",
        "note",
        "note",
    ]
    assert [function["bdf"] for function in body["functions"]] == sorted(
        function["bdf"] for function in body["functions"]
    )


def test_it_is_plain_json() -> None:
    for assessed in (small(), full(), Assessment(Machine(()))):
        assert json.loads(json.dumps(to_json(assessed))) == to_json(assessed)


def test_an_item_of_the_whole_machine_has_no_address() -> None:
    whole = Item("changed", "bios version", None, None, "", "1.0b", "2.1")
    body = diff_json(replace(differences(Machine(()), Machine(())), items=(whole,)), Machine(()), Machine(()))
    assert set(body["items"][0]) == {"kind", "what", "old", "new", "matters"}
