"""FreeBSD listings: decimal addresses, both id syntaxes, BARs with sizes; whole machines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import BringupError, UsageError
from bringup.pci.model import AdvancedFeatures, Bar, Bdf, Bridge, Msi, MsiX, Pcie, Sriov, Window
from bringup.pci.sources.pciconf import text as pciconf
from bringup.pci.topology.inferred import infer_bridges
from tests.machines.catalogue import E300_9D, MACHINES
from tests.machines.views import View, recordings, views

LISTINGS = [
    *(view for name in MACHINES for view in views(name, "pciconf.txt", "pciconf-12.txt")),
    *recordings("pciconf-*"),
]
OLD = b"""igb0@pci0:23:0:0:\tclass=0x020000 card=0x11d11734 chip=0x15218086 rev=0x01 hdr=0x00
    vendor     = 'Intel Corporation'
    device     = 'I350 Gigabit Network Connection'
    bar   [10] = type Memory, range 32, base 0xd0100000, size 1048576, enabled
    bar   [18] = type I/O Port, range 32, base 0x6020, size 32, enabled
none3@pci0:183:0:1:\tclass=0x020000 hdr=0x00 vendor=0x8086 device=0x37d2 subvendor=0x15d9 subdevice=0x37d2
    bar   [1c] = type Prefetchable Memory, range 64, base 0x38c000000000, size 32768, enabled
"""


def test_more_functions_than_any_machine_has_are_refused() -> None:
    heads = b"".join(b"a0@pci%d:0:0:0:\tclass=0x0\n" % domain for domain in range((1 << 16) + 1))
    with pytest.raises(UsageError, match="more than 65536 functions"):
        pciconf.parse(heads)


def test_both_syntaxes_and_decimal_addresses() -> None:
    first, second = pciconf.parse(OLD).functions
    assert (str(first.bdf), str(second.bdf)) == ("0000:17:00.0", "0000:b7:00.1")
    assert (first.vendor, first.device, first.subsystem) == (0x8086, 0x1521, (0x1734, 0x11D1))
    assert (second.vendor, second.device, second.subsystem) == (0x8086, 0x37D2, (0x15D9, 0x37D2))
    assert first.bars == (Bar(0, "mem", 0xD0100000, 0x100000), Bar(2, "io", 0x6020, 32))
    assert second.bars == (Bar(3, "mem", 0x38C000000000, 0x8000, 64, True),)
    assert (first.driver, second.driver) == ("igb", None)


def test_buses_and_windows_of_a_bridge() -> None:
    text = b"""pcib1@pci0:0:1:0:\tclass=0x060400 rev=0x02 hdr=0x01 vendor=0x8086 device=0x6f02
    bus range  = 22-23
    window[1c] = type I/O Port, range 16, addr 0xf000-0xfff, disabled
    window[20] = type Memory, range 32, addr 0xfb000000-0xfb1fffff, enabled
    window[24] = type Prefetchable Memory, range 64, addr 0x38c000000000-0x38c0ffffffff, enabled
"""
    (function,) = pciconf.parse(text).functions
    windows = (Window("mem", 0xFB000000, 0xFB1FFFFF), Window("prefetchable", 0x38C000000000, 0x38C0FFFFFFFF))
    assert function.bridge == Bridge(0, 22, 23, windows)


CAPABILITIES = b"""mlx5_core0@pci0:5:0:0:\tclass=0x020000 card=0x005815b3 chip=0x101515b3 rev=0x00 hdr=0x00
    cap 01[40] = powerspec 3  supports D0 D3  current D3
    cap 05[50] = MSI supports 8 messages, 64 bit enabled with 2 messages
    cap 11[9c] = MSI-X supports 2048 messages, enabled
                 Table in map 0x10[0x7c000], PBA in map 0x14[0x0]
    cap 10[60] = PCI-Express 2 endpoint slot 3 max data 128(512) FLR NS link x8(x16) speed 8.0(16.0)
    cap 13[b0] = PCI Advanced Features: TP
    ecap 000b[100] = Vendor [1] ID 0001 Rev 0 Length 24
    ecap 0010[180] = SR-IOV 1 IOV enabled, Memory Space enabled, ARI enabled
                     4 VFs configured out of 8 supported
                     First VF RID Offset 0x0001, VF RID Stride 0x0001
                     VF Device ID 0x1016
                     Page Sizes: 4096 (enabled)
    iov bar   [1a4] = type Prefetchable Memory, range 64, base 0x38c000000000, size 1048576, enabled
    ecap 002e[200] = unknown 2

pcib1@pci0:0:1:0:\tclass=0x060400 card=0x00000000 chip=0x20308086 rev=0x04 hdr=0x01
    cap 0d[40] = PCI Bridge card=0x098715d9
none0@pci0:0:0:0:\tclass=0x060000 card=0x00008086 chip=0x20208086 rev=0x04 hdr=0x00
"""


def test_capabilities_in_older_and_newer_wordings() -> None:
    host, bridge, card = pciconf.parse(CAPABILITIES).functions
    assert card.driver == "mlx5_core" and card.power_state == "D3hot"
    assert card.capability(Msi) == Msi(8, True, True, False)
    assert card.capability(MsiX) == MsiX(2048, True, 0, 0x7C000, 1, 0)
    assert card.capability(Pcie) == Pcie("endpoint", True, 16.0, 16, 8.0, 8, 3)
    assert card.capability(AdvancedFeatures) == AdvancedFeatures(False)
    virtual = Bar(0, "mem", 0x38C000000000, 1 << 20, 64, True)
    assert card.capability(Sriov) == Sriov(True, 8, 4, 1, 1, 0x1016, (virtual,))
    versions = {c.id: c.version for c in card.capabilities or () if c.extended}
    assert versions == {0x0B: 1, 0x10: 1, 0x2E: 2}
    assert bridge.subsystem == (0x15D9, 0x0987)
    # The listing was asked for capabilities, so this function has none.
    assert host.observed("capabilities") and host.capabilities == ()


def test_a_listing_without_b_or_c_observed_no_bars_and_no_capabilities() -> None:
    plain = b"igb0@pci0:23:0:0:\tclass=0x020000 card=0x11d11734 chip=0x15218086 rev=0x01 hdr=0x00\n"
    (function,) = pciconf.parse(plain).functions
    assert not function.observed("bars") and not function.observed("capabilities")


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
        machine = pciconf.parse(OLD[:at] + rubbish + OLD[at:])
    except BringupError as error:
        assert error.message
        return
    assert len({function.bdf for function in machine.functions}) == len(machine.functions)


@pytest.mark.parametrize("view", views(E300_9D, "pciconf.txt", "pciconf-12.txt"), ids=str)
def test_the_e300_9d(view: View) -> None:
    machine = view.machine()
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


@pytest.mark.parametrize("view", LISTINGS, ids=str)
def test_every_listing_is_read_whole(view: View) -> None:
    data = view.data()
    assert pciconf.looks_like(data)
    assert len(pciconf.parse(data).functions) == data.count(b"@pci")


CARD = b"ix0@pci0:4:0:0:\tclass=0x020000 rev=0x01 hdr=0x00 vendor=0x8086 device=0x1528\n"


@pytest.mark.parametrize(
    ("words", "port", "flr"),
    [
        ("endpoint MSI 1 max data 256(512) FLR RO NS", "endpoint", True),
        ("endpoint slot max data 128(512)", "endpoint", False),
        ("endpoint max data 256(512) FLR RO NS", "endpoint", True),
        ("root port slot 4 max data 128(256)", "root port", None),
        ("some new port MSI 1 max data 128(256) FLR", None, True),
        ("some new port MSI 1 max data 128(256)", None, None),
    ],
)
def test_a_port_is_understood_whatever_follows_its_name(
    words: str, port: str | None, flr: bool | None
) -> None:
    text = CARD + f"    cap 10[a0] = PCI-Express 2 {words}\n                 link x8(x8)\n".encode()
    (function,) = pciconf.parse(text).functions
    found = function.capability(Pcie)
    assert found is not None
    assert (found.port_type, found.flr, found.width) == (port, flr, 8)


def test_a_port_that_is_not_understood_is_not_put_behind_a_bridge() -> None:
    bridge = "pcib1@pci0:0:1:0:\tclass=0x060400 rev=0x01 hdr=0x01 vendor=0x8086 device=0x0001\n"
    bridge += "    cap 10[a0] = PCI-Express 2 root port max data 128(256)\n                 link x8(x8)\n"
    host = "hostb0@pci0:0:0:0:\tclass=0x060000 rev=0x01 hdr=0x00 vendor=0x8086 device=0x0002\n"
    for words, behind in (("endpoint MSI 1 max data 128", 4), ("some new port max data 128", None)):
        card = CARD.decode() + f"    cap 10[a0] = PCI-Express 2 {words}\n                 link x8(x8)\n"
        machine = pciconf.parse((host + bridge + card).encode())
        port = infer_bridges(machine.functions)[1]
        assert (port.bridge.secondary if port.bridge else None) == behind


def test_functions_of_ari_and_padded_sizes() -> None:
    text = (
        CARD.replace(b":4:0:0:", b":4:0:17:")
        + b"    bar   [10] = type I/O Port, range 32, base 0x30a8, size  8, disabled\n"
    )
    (function,) = pciconf.parse(text).functions
    assert str(function.bdf) == "0000:04:02.1"
    assert function.bars == (Bar(0, "io", 0x30A8, 8),)


@given(st.integers(1, len(OLD)))
def test_a_listing_cut_anywhere_tells_no_other_value(length: int) -> None:
    whole = {function.bdf: function for function in pciconf.parse(OLD).functions}
    try:
        machine = pciconf.parse(OLD[:length])
    except UsageError:
        return
    for function in machine.functions:
        for field in function.provenance:
            theirs = getattr(whole[function.bdf], field)
            if field == "bars":
                assert set(function.bars or ()) <= set(theirs)
                assert function.bars == theirs or machine.missing or OLD[length - 1 : length] == b"\n"
            else:
                assert getattr(function, field) == theirs
