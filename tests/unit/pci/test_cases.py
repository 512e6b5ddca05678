"""Cases beside the checkout, each of a kind that was once read wrong: the right reading, as a table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bringup.base.errors import UsageError
from bringup.pci.assessment import Assessment
from bringup.pci.capture.open import open_capture
from bringup.pci.model import Bridge, Function, MsiX, Pcie
from bringup.rules.assess import assess
from tests.places import SHARED

CASES = SHARED / "cases" / "captures"

Reading = Callable[[Assessment], object]


def at(told: Assessment, place: str) -> Function:
    return next(f for f in told.machine.functions if f.bdf.short == place)


def bases(place: str) -> Reading:
    return lambda told: [f"{bar.base or 0:x}" for bar in at(told, place).bars or ()]


def firmware(place: str) -> Reading:
    return lambda told: [f"{bar.base or 0:x}" for bar in at(told, place).firmware_bars or ()]


def codes(told: Assessment) -> set[str]:
    return {finding.code for finding in told.findings}


def field(place: str, name: str) -> Reading:
    return lambda told: getattr(at(told, place), name)


def pin(place: str) -> Reading:
    return lambda told: [(p.ioapic, p.pin, p.grade) for p in told.pins.get(at(told, place).bdf, ())][:1]


def gaps(told: Assessment) -> str:
    return "; ".join(f"{gap.what}: {gap.why}" for gap in told.machine.missing)


X520 = ["f2100000", "9020", "f2200000"]
RTL = ["d000", "91304000", "91300000"]

TABLE: list[tuple[str, Reading, object]] = [
    ("c01-x520-lspci-v.txt", bases("07:00.0"), X520),
    ("c01-x520-lspci-v-tabs.txt", bases("07:00.0"), X520),
    ("c01-x520-lspci-v.txt", field("07:00.0", "driver"), "vfio-pci"),
    ("c03-rtl8168-flat.txt", bases("03:00.0"), RTL),
    ("c03-rtl8168-spaces.txt", bases("03:00.0"), RTL),
    ("c03-rtl8168-flat.txt", lambda told: at(told, "03:00.0").capability(MsiX) is not None, True),
    ("c03-rtl8168-flat.txt", field("03:00.0", "intx_pin"), "A"),
    ("c03-rtl8168-flat.txt", lambda told: at(told, "03:00.0").flr, False),
    ("c10-dmesg-ancient.txt", field("04:00.0", "class_code"), 0x0200),
    ("c10-dmesg-ancient.txt", field("04:00.1", "moves"), ()),
    ("c11-dmesg-T.txt", firmware("01:00.0"), ["42c00000", "42d00000"]),
    ("c11-dmesg-T.txt", lambda told: "config-damaged" in codes(told), False),
    ("c12-noassign.txt", lambda told: codes(told) & {"config-damaged", "bar-unassigned"}, {"bar-unassigned"}),
    ("c14-lspci-tv.txt", lambda told: len(told.machine.functions), 11),
    ("c14-lspci-tv.txt", lambda told: at(told, "b4:03.0").bridge, Bridge(0xB4, 0xB7, 0xB8)),
    (
        "c14-lspci-tv.txt",
        field("b7:00.3", "device_name"),
        "Intel Corporation Ethernet Connection X722 for 10GbE SFP+",
    ),
    ("c16-lspci.txt", pin("01:00.0"), []),
    ("c16dir", pin("01:00.0"), [(0, 17, "known")]),
    ("c17-amd.txt", lambda told: [f.message for f in told.findings if "SVM" in f.message] != [], True),
    ("c18-rmrr.txt", lambda told: "addresses of the RMRR of 04:00.1" in gaps(told), True),
    ("c24-i219-noflr.txt", field("00:1f.6", "driver"), "e1000e"),
    ("c27-amd-tree", pin("05:00.0"), [(0, 17, "known")]),
    ("c41-a.txt", lambda told: len(told.machine.functions), 3),
    ("c45b.txt", pin("08:00.0"), [(0, 16, "firmware")]),
    ("c50-nnk.txt", field("00:19.0", "driver"), "e1000e"),
    ("c52.txt", field("17:00.0", "class_code"), 0x0200),
    ("c60-sel4-i350.log", field("17:00.0", "class_code"), 0x0200),
    ("c62-pc.log", pin("00:04.0"), [(0, 11, "measured")]),
    ("c63-window.txt", lambda told: "bar-unreachable" in codes(told), True),
    ("c64", lambda told: "c64/README" in gaps(told), True),
    ("d1.txt", bases("02:00.0"), ["86100000", "4000"]),
    ("d2.txt", bases("02:00.0"), ["86100000"]),
    ("d8.txt", lambda told: codes(told) & {"config-damaged", "firmware-bar-differs"}, set()),
    ("dmesg-e300-FFA58-excerpt.txt", lambda told: "bar-above-4g" in codes(told), False),
    ("dmesg-e300-FFA58-excerpt.txt", field("b7:00.1", "bars"), None),
    ("dmesg-efifb.txt", lambda told: {f for f in codes(told) if "damaged" in f or "differs" in f}, set()),
    ("lspci-e300-b7.txt", bases("b7:00.1"), ["38c001000000", "38c005008000"]),
    ("lspci-pcilib-inband.txt", field("02:00.0", "intx_pin"), "A"),
    ("lspci-pcilib-inband.txt", bases("02:00.0"), ["f7400000", "f7480000"]),
    ("lspci-virtio-caps.txt", lambda told: "config-damaged" in codes(told), False),
    ("lspci-virtio-caps.txt", field("00:09.0", "unread"), ()),
    ("pciconf-endpoint-msi.txt", lambda told: at(told, "04:00.0").capability(Pcie).port_type, "endpoint"),  # type: ignore[union-attr]
    ("pciconf-endpoint-msi.txt", lambda told: at(told, "04:00.0").flr, True),
    ("pciconf-endpoint-ok.txt", lambda told: at(told, "04:00.0").flr, True),
    ("pciconf-size8.txt", lambda told: [b.size for b in at(told, "00:1f.2").bars or ()], [8, 4, 32, 2048]),
]


@pytest.mark.parametrize(
    ("name", "reading", "right"), TABLE, ids=[f"{n}-{name}" for n, (name, *_) in enumerate(TABLE)]
)
def test_a_case_is_read_right(name: str, reading: Reading, right: object) -> None:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    assert reading(assess(open_capture([path]))) == right


WITHOUT_FUNCTIONS = ("c16-interrupts.txt", "c26-acpidump.txt")


def test_every_case_has_its_row() -> None:
    if not CASES.is_dir():
        pytest.skip(f"{CASES} is not there")
    rows = {name for name, *_ in TABLE} | {*WITHOUT_FUNCTIONS}
    assert {path.name for path in CASES.iterdir()} <= rows


@pytest.mark.parametrize("name", WITHOUT_FUNCTIONS)
def test_a_file_without_functions_says_what_to_give_it_with(name: str) -> None:
    if not (CASES / name).exists():
        pytest.skip(f"{name} is not there")
    with pytest.raises(UsageError, match="no PCI function"):
        open_capture([CASES / name])


def test_bars_that_only_linux_placed_are_nobody_s_fault() -> None:
    views = [CASES / "lspci-e300-b7.txt", CASES / "dmesg-e300-FFA58-excerpt.txt"]
    if not all(view.exists() for view in views):
        pytest.skip("the recorded cases are not there")
    assert "bar-above-4g" not in codes(assess(open_capture(views)))
