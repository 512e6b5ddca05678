"""FreeBSD listings: decimal addresses, both id syntaxes, BARs with sizes; the recorded E300-9D machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.errors import BringupError, UsageError
from bringup.pci.model import Bar, Bdf
from bringup.pci.sources import pciconf

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
OLD = b"""igb0@pci0:23:0:0:\tclass=0x020000 card=0x11d11734 chip=0x15218086 rev=0x01 hdr=0x00
    vendor     = 'Intel Corporation'
    device     = 'I350 Gigabit Network Connection'
    bar   [10] = type Memory, range 32, base 0xc5a00000, size 1048576, enabled
    bar   [18] = type I/O Port, range 32, base 0x7060, size 32, enabled
none3@pci0:183:0:1:\tclass=0x020000 hdr=0x00 vendor=0x8086 device=0x37d2 subvendor=0x15d9 subdevice=0x37d2
    bar   [1c] = type Prefetchable Memory, range 64, base 0x38c000000000, size 32768, enabled
"""


def test_both_syntaxes_and_decimal_addresses() -> None:
    first, second = pciconf.parse(OLD).functions
    assert (str(first.bdf), str(second.bdf)) == ("0000:17:00.0", "0000:b7:00.1")
    assert (first.vendor, first.device, first.subsystem) == (0x8086, 0x1521, (0x1734, 0x11D1))
    assert (second.vendor, second.device, second.subsystem) == (0x8086, 0x37D2, (0x15D9, 0x37D2))
    assert first.bars == (Bar(0, "mem", 0xC5A00000, 0x100000), Bar(2, "io", 0x7060, 32))
    assert second.bars == (Bar(3, "mem", 0x38C000000000, 0x8000, 64, True),)
    assert (first.driver, second.driver) == ("igb", None)


def test_what_it_does_not_tell_is_not_observed() -> None:
    function = pciconf.parse(OLD).functions[0]
    assert not function.observed("intx_pin") and not function.observed("bridge")
    assert not function.observed("capabilities")


@pytest.mark.parametrize(
    "data", [b"", b"00:1f.0 ISA bridge [0601]: x\n", b"igb0@pci0:300:0:0:\tclass=0x020000\n"]
)
def test_what_is_no_listing_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError):
        pciconf.parse(data)


def test_a_function_shown_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        pciconf.parse(OLD + OLD)


@given(st.binary(max_size=300), st.integers(0, len(OLD)))
def test_damaged_listings_raise_nothing_else(rubbish: bytes, at: int) -> None:
    try:
        pciconf.parse(OLD[:at] + rubbish + OLD[at:])
    except BringupError:
        return


@pytest.mark.skipif(not SHARED.is_dir(), reason="recorded data is not here: ../shared/data")
def test_the_recorded_e300_9d() -> None:
    machine = pciconf.parse((SHARED / "pci" / "pciconf-SYS-E300-9D-FEFC14ABAD.txt").read_bytes())
    assert len(machine.functions) == 132
    table = {
        "17:00.0": [(0, 0xC5A00000, 1 << 20), (2, 0x7060, 32), (3, 0xC5E0C000, 1 << 14)],
        "17:00.1": [(0, 0xC5900000, 1 << 20), (2, 0x7040, 32), (3, 0xC5E08000, 1 << 14)],
        "b5:00.0": [(0, 0xF9000000, 1 << 24), (3, 0xFB008000, 1 << 15)],
        "b5:00.1": [(0, 0xF8000000, 1 << 24), (3, 0xFB000000, 1 << 15)],
    }
    for place, bars in table.items():
        function = machine.find(Bdf.parse(place))
        assert function is not None
        assert [(bar.index, bar.base, bar.size) for bar in function.bars or ()] == bars
    # The VMM's table holds 128 functions in scan order: both X722 ports are beyond it.
    assert [str(f.bdf)[5:] for f in machine.functions[128:]][-2:] == ["b5:00.0", "b5:00.1"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="recorded data is not here: ../shared/data")
def test_every_recorded_listing_is_read_whole() -> None:
    for path in (SHARED / "pci").glob("pciconf-*.txt"):
        data = path.read_bytes()
        assert pciconf.looks_like(data)
        assert len(pciconf.parse(data).functions) == data.count(b"@pci")
