"""The report of a machine at two widths, the tree, and names that want to steer the terminal."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.size import bar_size
from bringup.pci.assessment import CHIPSET, Assessment, Passability
from bringup.pci.model import Bdf, Function, Identity, Machine, SourceInfo
from bringup.report.pci.text import View, report_lines
from bringup.report.pci.tree import tree_lines
from bringup.report.screen import fitted
from bringup.report.words import bdf_list, cells, clean, short_name, verdict_text
from tests.unit.report.machines import GOLDEN, PORT0, bridge, dull, machine, port, seen, small

_SGR = re.compile(r"\x1b\[[0-9;]*m")


def text(lines: Iterable[str]) -> str:
    return _SGR.sub("", "\n".join(lines)) + "\n"


def check_golden(name: str, shown: str) -> None:
    """Compare with the golden file; BRINGUP_WRITE_GOLDEN=1 writes it anew, for a person to read."""
    if os.environ.get("BRINGUP_WRITE_GOLDEN"):
        (GOLDEN / name).write_text(shown, encoding="utf-8")
    assert shown == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("report-80.txt", View(80)),
        ("report-140.txt", View(140)),
        ("report-80-all-verbose.txt", View(80, everything=True, verbose=True)),
    ],
)
def test_golden_reports(name: str, view: View) -> None:
    shown = text(report_lines(small(), view))
    check_golden(name, shown)
    assert max(map(len, shown.splitlines())) <= view.width


def test_golden_trees() -> None:
    check_golden("tree-80.txt", text(tree_lines(small(), width=80)))
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as stream:
        ascii_tree = fitted(text(tree_lines(small(), width=120, everything=True)), stream)
    check_golden("tree-120-ascii.txt", ascii_tree)
    assert ascii_tree.isascii()


def test_the_tree_names_every_function_once() -> None:
    shown = text(tree_lines(small(), everything=True))
    for function in small().machine.functions:
        assert len(re.findall(rf"^[│├└─ ]*{re.escape(function.bdf.short)}  ", shown, re.MULTILINE)) == 1


def test_bridges_in_a_ring_are_shown_once_and_end() -> None:
    ring = machine(bridge("01:00.0", 2, 2), bridge("02:00.0", 1, 1), bridge("03:00.0", 3, 3))
    shown = text(tree_lines(Assessment(ring)))
    assert [shown.count(f" {bdf}  ") for bdf in ("01:00.0", "02:00.0", "03:00.0")] == [1, 1, 1]


def test_what_was_not_observed_is_said() -> None:
    bare = Function(
        Bdf.parse("17:00.0"), class_code=0x0200, vendor=1, device=2, provenance={"class_code": "a"}
    )
    shown = text(report_lines(Assessment(Machine((bare,))), View(120)))
    assert re.search(r"17:00\.0 +0001:0002 +0001:0002 +INT\? +BARs not observed +pin \? +-$", shown, re.M)
    assert "unit: not named by this capture  1 function" in shown
    assert "no profile" in shown


@pytest.mark.parametrize(
    ("assessed", "said"),
    [
        (Assessment(Machine(())), "no PCI function was seen"),
        (Assessment(machine(dull("00:00.0"))), "no Ethernet controller was seen\n"),
        (Assessment(machine(dull("00:00.0"))), "\n1 other function: --all"),
        (
            Assessment(machine(dull("00:00.0"), Function(PORT0))),
            "no Ethernet controller was seen; what 1 of 2 are was not observed",
        ),
    ],
)
def test_machines_without_a_nic(assessed: Assessment, said: str) -> None:
    assert said in text(report_lines(assessed, View(80)))


def test_long_words_get_a_line_of_their_own_even_where_columns_would_do() -> None:
    long = Passability("passable", limits=("not with " + "17:00.1, " * 20,))
    lines = text(report_lines(replace(small(), passability={PORT0: long}), View(140))).splitlines()
    assert lines[3].startswith("BDF      what") and lines[4] == "         BARs"
    assert lines[5] == "17:00.0  I350            8086:1521  INTA  0/16 measured elsewhere"
    assert lines[6].startswith("         passable, not with 17:00.1, ")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_layout_says_what_its_columns_are(width: int) -> None:
    shown = text(report_lines(small(), View(width)))
    head = shown[shown.index("BDF") : shown.index("17:00.0")]
    assert [
        word for word in ("what", "ids", "INTx", "BARs", "IOAPIC pin", "for a VM") if word not in head
    ] == []


def test_functions_of_the_chipset_are_a_row_per_device() -> None:
    functions = tuple(
        seen(f"16:08.{n}", vendor=0x8086, device=0x208D, device_name="CHA Registers", class_code=0x0880)
        for n in (0, 1, 2, 5)
    )
    nic = port("17:00.0", "A", 0)
    word = Passability("not-passable", reasons=(f"{CHIPSET} and has no INTx pin (C10)",))
    judged = dict.fromkeys((f.bdf for f in functions), word) | {nic.bdf: Passability("passable")}
    assessed = replace(small(), machine=machine(*functions, nic), passability=judged)
    rows = text(report_lines(assessed, View(160, everything=True))).splitlines()
    (row,) = [line for line in rows if line.startswith("16:08")]
    assert row.startswith("16:08.0-2,5  CHA Registers") and "8086:208d" in row and row.endswith("(C10)")
    assert sum(line.startswith("17:00.0") for line in rows) == 1
    single = text(report_lines(assessed, View(160, everything=True, verbose=True))).splitlines()
    assert sum(line.startswith("16:08") for line in single) == 4


def test_inputs_are_named_by_kind() -> None:
    kinds = ("linux", "lspci", "lspci-machine", "dmesg", "sel4-log", "firmware-probe", "pciconf")
    sources = tuple(SourceInfo(f"{kind}.txt", kind, "0" * 64) for kind in kinds)
    shown = text(report_lines(Assessment(Machine((), sources=sources)), View(200)))
    assert shown.splitlines()[1].startswith(
        "from Linux (linux.txt), lspci (lspci.txt, lspci-machine.txt), boot log (dmesg.txt), "
        "seL4 boot log (sel4-log.txt), firmware probe (firmware-probe.txt), pciconf (pciconf.txt); no profile"
    )


def test_findings_that_say_the_same_are_one_and_others_are_counted() -> None:
    shown = text(report_lines(small(), View(100)))
    assert shown.count("shares a pin") == 1
    assert "  17:00.1, b5:00.0\n" in shown
    assert "1 finding about other functions: --all" in shown
    assert shown.index("needs a change\n  b5:00.0") < shown.index("warnings\n") < shown.index("notes\n")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("profile-board", "unit does not match profile board-1"),
        ("profile-functions-missing", "unit does not match profile board-1"),
        ("profile-bars", "unit matches profile board-1, with differences"),
        ("shared-pin", "unit matches profile board-1"),
    ],
)
def test_whether_the_unit_matches_is_said_first(code: str, said: str) -> None:
    found = replace(small().findings[0], code=code)
    shown = text(report_lines(replace(small(), findings=(found,)), View(120)))
    assert shown.splitlines()[1].endswith(said)


def test_why_there_is_no_profile_is_said() -> None:
    view = View(120, why_no_profile="no profile is of a BOARD-1")
    shown = text(report_lines(replace(small(), profile=None), view))
    assert shown.splitlines()[1].endswith("; no profile: no profile is of a BOARD-1")
    turned = text(
        report_lines(replace(small(), profile=None), replace(view, why_no_profile="no \u202eprofile"))
    )
    assert turned.splitlines()[1].endswith("no profile: no ?profile")


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        (None, "-"),
        (Passability("passable"), "passable"),
        (Passability("passable", limits=("not with b5:00.0",)), "passable, not with b5:00.0"),
        (Passability("passable", limits=("not with a", "not b")), "passable, not with a; not b"),
        (Passability("needs-change", changes=("x",)), "needs a change"),
        (
            Passability("not-passable", reasons=("it has no INTx pin",)),
            "not passable because it has no INTx pin",
        ),
        (Passability("unknown", reasons=("no BARs were seen",)), "unknown: no BARs were seen"),
    ],
)
def test_the_word_about_a_function(judged: Passability | None, said: str) -> None:
    assert verdict_text(judged) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("I350 Gigabit Network Connection", "I350"),
        ("Intel Corporation I350 Gigabit Network Connection", "I350"),
        ("Ethernet Connection X722 for 10GBASE-T", "X722 10GBASE-T"),
        ("Ethernet Controller 10-Gigabit X540-AT2", "10-Gigabit X540-AT2"),
        ("Realtek Semiconductor Co., Ltd. RTL8111/8168 PCI Express", "RTL8111/8168 PCI Express"),
        ("Virtio network device", "Virtio network device"),
        ("Network Connection", "Network Connection"),
    ],
)
def test_short_names(name: str, said: str) -> None:
    assert short_name(port("17:00.0", "A", 0)) == "I350"
    assert short_name(replace(port("17:00.0", "A", 0), device_name=name)) == said


def test_sizes_and_lists_of_addresses() -> None:
    assert [bar_size(size) for size in (32, 1000, 1024, 1536, 1 << 20, 3 << 30, 1 << 40)] == [
        "32",
        "1000",
        "1K",
        "1536",
        "1M",
        "3G",
        "1T",
    ]
    bdfs = map(Bdf.parse, ["17:00.3", "17:00.0", "17:00.1", "b5:00.0", "10000:01:00.0"])
    assert bdf_list(bdfs) == "17:00.0-1, 17:00.3, b5:00.0, 10000:01:00.0"


HOSTILE = "I350 \x1b[31mred\x1b]0;title\x07\n\r\t\u202e\u200b evil \ud800" + "x" * 5000


def test_hostile_names_neither_steer_the_terminal_nor_break_the_layout() -> None:
    evil = small()
    functions = tuple(replace(f, device_name=HOSTILE, class_name=HOSTILE) for f in evil.machine.functions)
    identity = Identity(product=HOSTILE, baseboard=HOSTILE, bios_version=HOSTILE)
    findings = tuple(
        replace(f, message=HOSTILE, fix=HOSTILE, source=HOSTILE, evidence=(HOSTILE,)) for f in evil.findings
    )
    evil = replace(
        evil, machine=replace(evil.machine, functions=functions, identity=identity), findings=findings
    )
    for lines in (
        report_lines(evil, View(80, everything=True, verbose=True)),
        tree_lines(evil, width=80),
    ):
        for line in lines:
            shown = _SGR.sub("", line)
            assert shown.isprintable(), shown
            assert cells(shown) <= 80, shown


def test_wide_characters_are_counted_as_two() -> None:
    assert cells("網卡") == 4
    assert clean("網卡網卡", 6) == "網卡…"
    assert cells(clean("網" * 50, 18)) <= 18
    wide = replace(port("17:00.0", "A", 0xC5B00000), device_name="網卡 1")
    lines = text(report_lines(Assessment(machine(wide, port("17:00.1", "B", 0))), View(140))).splitlines()
    rows = [line for line in lines if line.startswith("17:00.")]
    assert len({cells(row[: row.index("8086:1521")]) for row in rows}) == 1


@given(st.text(max_size=200), st.integers(2, 60))
def test_cleaned_text_is_printable_and_short(name: str, limit: int) -> None:
    cleaned = clean(name, limit)
    assert cleaned.isprintable()
    assert cells(cleaned) <= limit


def test_colours_are_only_colours() -> None:
    lines = list(report_lines(small(), View(140)))
    coloured = [line for line in lines if "\x1b[" in line]
    assert any("\x1b[32mpassable\x1b[0m" in line for line in coloured)
    assert all(line.count("\x1b[0m") * 2 == line.count("\x1b[") for line in coloured)
    assert PORT0.short in text(lines)
