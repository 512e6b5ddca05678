"""Boot flags: the bytes of IPMI 2.0 table 28-14, and what ironic and ipmitool send for the same wishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.power.base import BootOverride
from bringup.power.boot_flags import BootQuirks, decode, encode, took

SUPERMICRO = BootQuirks(uefi_disk_selector=0x24)


@pytest.mark.parametrize(
    ("override", "raw"),
    [
        (BootOverride("network", uefi=True), "a0 04 00 00 00"),
        (BootOverride("network", persistent=True, uefi=True), "e0 04 00 00 00"),
        (BootOverride("network"), "80 04 00 00 00"),
        (BootOverride("network", persistent=True), "c0 04 00 00 00"),
        (BootOverride("disk", uefi=True), "a0 24 00 00 00"),
        (BootOverride("disk"), "80 08 00 00 00"),
        (BootOverride("setup", uefi=True), "a0 18 00 00 00"),
        (BootOverride("none"), "00 00 00 00 00"),
    ],
)
def test_bytes_of_an_override_and_back(override: BootOverride, raw: str) -> None:
    flags = bytes.fromhex(raw)
    assert encode(override, SUPERMICRO) == flags
    assert decode(flags, SUPERMICRO) == override


def test_without_the_quirk_the_uefi_disk_is_the_specifications() -> None:
    assert encode(BootOverride("disk", uefi=True), BootQuirks())[1] == 0x08


def test_a_profiles_own_bytes_win() -> None:
    wanted = BootOverride("network", uefi=True)
    quirks = BootQuirks(flags={wanted: bytes([0x80, 0x04, 0, 0, 0])})
    assert encode(wanted, quirks)[0] == 0x80


def test_every_bit_counts_when_something_is_asked_for() -> None:
    wanted = bytes([0xA0, 0x04, 0, 0, 0])
    assert took(wanted, wanted)
    for position in range(5):
        for bit in range(8):
            other = bytearray(wanted)
            other[position] ^= 1 << bit
            assert not took(wanted, bytes(other))


def test_for_none_only_the_valid_bit_counts() -> None:
    assert took(bytes(5), bytes([0x20, 0x04, 0, 0, 0]))
    assert not took(bytes(5), bytes([0x80, 0x04, 0, 0, 0]))


@given(st.binary(min_size=5, max_size=5))
def test_any_flags_have_a_meaning(raw: bytes) -> None:
    override = decode(raw, SUPERMICRO)
    assert (override.device == "none") == (not raw[0] & 0x80 or not raw[1] & 0x3C)
