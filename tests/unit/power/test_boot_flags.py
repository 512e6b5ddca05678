"""Boot flags: the bytes of IPMI 2.0 table 28-14, and what ironic and ipmitool send for the same wishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.power.base import BootOverride
from bringup.power.boot_flags import BootQuirks, Kept, decode, encode, kept

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


BIOS, UEFI, NONE = BootOverride("network"), BootOverride("network", uefi=True), BootOverride("none")


@pytest.mark.parametrize(
    ("wanted", "read", "found"),
    [
        (BIOS, "80 04 00 00 00", Kept.HELD),
        (BIOS, "80 04 40 00 00", Kept.HELD),  # verbosity
        (BIOS, "80 07 03 01 05", Kept.HELD),  # locks, console redirection, the device instance
        (BIOS, "88 84 ff ff ff", Kept.HELD),  # bits that are reserved, and clearing CMOS
        (UEFI, "a0 04 80 00 00", Kept.HELD),
        (BIOS, "00 04 00 00 00", Kept.UNMARKED),  # as OpenIPMI's simulator answers
        (UEFI, "20 04 00 00 00", Kept.UNMARKED),
        (UEFI, "00 04 00 00 00", Kept.OTHER),
        (UEFI, "80 04 00 00 00", Kept.OTHER),
        (BIOS, "a0 04 00 00 00", Kept.OTHER),
        (BIOS, "c0 04 00 00 00", Kept.OTHER),
        (BIOS, "80 08 00 00 00", Kept.OTHER),
        (BIOS, "80 00 00 00 00", Kept.OTHER),
        (BIOS, "00 00 00 00 00", Kept.OTHER),
        (NONE, "00 00 00 00 00", Kept.HELD),
        (NONE, "20 04 00 00 00", Kept.HELD),
        (NONE, "80 00 00 00 00", Kept.HELD),
        (NONE, "80 04 00 00 00", Kept.OTHER),
    ],
)
def test_device_once_and_efi_count_and_no_bit_that_is_the_bmc_s_own(
    wanted: BootOverride, read: str, found: Kept
) -> None:
    assert kept(wanted, bytes.fromhex(read), SUPERMICRO) is found


@given(st.binary(min_size=3, max_size=3), st.integers(0, 0x0F), st.sampled_from([BIOS, UEFI]))
def test_bits_of_the_bmc_never_change_what_is_kept(rest: bytes, low: int, wanted: BootOverride) -> None:
    flags = encode(wanted, SUPERMICRO)
    read = bytes([flags[0] | low, flags[1] | 0xC3]) + rest
    assert kept(wanted, read, SUPERMICRO) is Kept.HELD


def test_the_uefi_disk_of_a_vendor_is_the_disk() -> None:
    assert kept(BootOverride("disk", uefi=True), bytes([0xA0, 0x24, 0, 0, 0]), SUPERMICRO) is Kept.HELD


@given(st.binary(min_size=5, max_size=5))
def test_any_flags_have_a_meaning(raw: bytes) -> None:
    override = decode(raw, SUPERMICRO)
    assert (override.device == "none") == (not raw[0] & 0x80 or not raw[1] & 0x3C)
