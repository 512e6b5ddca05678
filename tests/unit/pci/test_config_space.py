"""Config space bytes built by hand: what they say, what they do not tell, and that every walk ends."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from bringup.pci.config.space import decode_config
from bringup.pci.model import AdvancedFeatures, Bar, Bdf, MsiX, Pcie, Rom, Sriov, Window

NIC = Bdf.parse("17:00.0")


def endpoint(size: int = 256) -> bytearray:
    config = bytearray(size)
    struct.pack_into("<HHHHBBHBBB", config, 0, 0x8086, 0x1521, 0x0006, 0x0010, 1, 0, 0x0200, 0, 0, 0x80)
    struct.pack_into("<IIII", config, 0x10, 0xC5B00000, 0, 0x7061, 0xC5E0C000)
    struct.pack_into("<HHII", config, 0x2C, 0x1734, 0x11D1, 0, 0)
    config[0x3C], config[0x3D] = 0x0B, 2
    return config


def put(config: bytearray, at: int, raw: bytes) -> None:
    config[at : at + len(raw)] = raw


def test_header_of_an_endpoint() -> None:
    function = decode_config(NIC, bytes(endpoint()), "config")
    assert (function.vendor, function.device, function.subsystem) == (0x8086, 0x1521, (0x1734, 0x11D1))
    assert (function.class_code, function.multifunction, function.intx_pin) == (0x0200, True, "B")
    assert function.bars == (Bar(0, "mem", 0xC5B00000), Bar(2, "io", 0x7060), Bar(3, "mem", 0xC5E0C000))
    assert function.interrupt_line == 11
    assert set(function.provenance.values()) == {"config"}


def test_64_bytes_say_nothing_of_capabilities() -> None:
    function = decode_config(NIC, bytes(endpoint()[:64]), "config")
    assert function.observed("bars") and not function.observed("capabilities")


def test_all_ones_and_a_cut_header_tell_nothing() -> None:
    for config in (b"\xff" * 256, bytes(20)):
        function = decode_config(NIC, config, "config")
        assert not function.observed("vendor") and function.problems


def test_pin_register_zero_is_an_observed_absence() -> None:
    config = endpoint()
    config[0x3D] = 0
    function = decode_config(NIC, bytes(config), "config")
    assert function.intx_pin is None and function.observed("intx_pin")


def test_64_bit_bar_above_4_gib_is_one_bar() -> None:
    config = endpoint()
    struct.pack_into("<IIII", config, 0x10, 0x0000000C, 0x38C0, 0, 0)
    bars = decode_config(NIC, bytes(config), "config").bars
    assert bars == (Bar(0, "mem", 0x38C000000000, None, 64, True),)


def test_64_bit_bar_in_the_last_register_is_broken() -> None:
    config = endpoint()
    struct.pack_into("<I", config, 0x24, 0xFEB00004)
    assert any("BAR 5" in problem for problem in decode_config(NIC, bytes(config), "config").problems)


def test_msix_of_a_recorded_shape() -> None:
    config = endpoint()
    config[0x34] = 0x70
    # A decoder that gives the table size 10 of its 11 bits reads all that follows shifted.
    put(config, 0x70, struct.pack("<BBHII", 0x11, 0, 0x8004, 0x3, 0x2003))
    msix = decode_config(NIC, bytes(config), "config").capability(MsiX)
    assert msix == MsiX(5, True, 3, 0, 3, 0x2000)


def test_flr_by_pcie_and_by_advanced_features() -> None:
    config = endpoint()
    config[0x34] = 0xA0
    put(config, 0xA0, struct.pack("<BBHI", 0x10, 0x60, 0x0002, 1 << 28) + bytes(0x1C))
    put(config, 0x60, struct.pack("<BBBBH", 0x13, 0, 6, 0x01, 0))
    function = decode_config(NIC, bytes(config), "config")
    pcie, features = function.capability(Pcie), function.capability(AdvancedFeatures)
    assert pcie is not None and pcie.flr and pcie.port_type == "endpoint"
    assert features == AdvancedFeatures(False)
    assert function.flr is True


def test_sriov_bars_are_kept_apart() -> None:
    config = endpoint(4096)
    config[0x34] = 0xA0
    put(config, 0xA0, struct.pack("<BBHI", 0x10, 0, 0x0002, 0) + bytes(0x34))
    put(config, 0x100, struct.pack("<I", 0x0010 | 1 << 16))
    struct.pack_into("<HH", config, 0x10C, 8, 8)
    struct.pack_into("<II", config, 0x124, 0xC000000C, 0)
    function = decode_config(NIC, bytes(config), "config")
    sriov = function.capability(Sriov)
    assert sriov is not None and sriov.total_vfs == 8
    assert sriov.bars == (Bar(0, "mem", 0xC0000000, None, 64, True),)
    assert len(function.bars or ()) == 3


def test_a_chain_that_goes_round_ends_and_is_told() -> None:
    config = endpoint()
    config[0x34] = 0x50
    put(config, 0x50, bytes([0x09, 0x60]))
    put(config, 0x60, bytes([0x09, 0x50]))
    function = decode_config(NIC, bytes(config), "config")
    assert len(function.capabilities or ()) == 2
    assert any("broken" in problem for problem in function.problems)


def test_bridge_windows_open_and_closed() -> None:
    config = endpoint()
    config[0x0E] = 1
    put(config, 0x18, bytes([0x16, 0x17, 0x17, 0, 0x70, 0x70]))
    struct.pack_into("<HHHH", config, 0x20, 0xC580, 0xC5F0, 0xFFF1, 0x0001)
    put(config, 0x28, bytes(8))
    struct.pack_into("<I", config, 0x38, 0xFEB00001)
    function = decode_config(NIC, bytes(config), "config")
    assert function.bridge is not None and function.bridge.secondary == 0x17
    assert function.bridge.windows == (
        Window("io", 0x7000, 0x7FFF),
        Window("mem", 0xC5800000, 0xC5FFFFFF),
    )
    assert function.rom == Rom(0xFEB00000, enabled=True)
    assert not function.observed("subsystem")


@given(st.binary(max_size=512))
def test_random_bytes_end_and_raise_nothing(raw: bytes) -> None:
    function = decode_config(NIC, raw, "config")
    assert len(function.capabilities or ()) <= 512


@given(st.binary(min_size=4, max_size=64))
def test_random_extended_chains_end(raw: bytes) -> None:
    config = bytearray((raw * (4096 // len(raw) + 1))[:4096])
    struct.pack_into("<H", config, 0x06, 0x10)
    config[0x34], config[0x40], config[0x41] = 0x40, 0x10, 0
    function = decode_config(NIC, bytes(config), "config")
    assert function.observed("capabilities")
