"""DHCP: the configuration follows the policy, and dnsmasq's own log becomes events."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import LabError, MissingProgramError, PortBusyError
from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.netboot.dhcp import LogReader, dnsmasq_config, log_text
from bringup.netboot.dnsmasq import start_error
from bringup.netboot.policy import AnswerRule, rules
from bringup.netboot.spec import Route
from tests import places
from tests.unit.netboot.test_spec import PROXY, make_spec

GOLDEN = places.GOLDEN / "netboot"
DUT = "52:54:00:0e:30:10"
GRUB_BIOS = Route(Firmware.BIOS, "grub", "multiboot2", "tftp")
GRUB_UEFI = Route(Firmware.UEFI, "grub", "multiboot2", "tftp")
IPXE_UEFI = Route(Firmware.UEFI, "ipxe", "linux", "http")
EFI = Route(Firmware.UEFI, "efi", "multiboot2", "http")
EFI_TFTP = Route(Firmware.UEFI, "efi-tftp", "multiboot2", "tftp")


@pytest.mark.parametrize(
    ("golden", "changes"),
    [
        ("own-segment-ipxe-bios.conf", {}),
        ("own-segment-grub-uefi.conf", {"route": GRUB_UEFI, "macs": (DUT, "52:54:00:0e:30:11")}),
        ("proxy-ipxe-bios.conf", PROXY),
        ("proxy-grub-uefi.conf", {**PROXY, "route": GRUB_UEFI}),
    ],
)
def test_golden_configurations(golden: str, changes: dict[str, Any]) -> None:
    assert dnsmasq_config([make_spec(**changes)]) == (GOLDEN / golden).read_text()


def test_a_proxy_is_never_a_server_or_a_router() -> None:
    config = dnsmasq_config([make_spec(**PROXY)])
    assert "dhcp-range=10.55.0.0,proxy,255.255.255.0" in config
    for word in ("static", "enable-ra", "authoritative", "ra-only", "dhcp-option"):
        assert word not in config


# The policy. That dnsmasq does the same is asked of dnsmasq itself in tests/twin/test_netboot_dhcp.py.


@pytest.mark.parametrize(
    ("changes", "architectures", "file", "for_ipxe"),
    [
        ({}, (0,), "undionly.kpxe", "http://10.55.0.1/boot.ipxe"),
        ({"route": GRUB_BIOS}, (0,), "core.0", "core.0"),
        ({"route": GRUB_UEFI}, (7, 9), "core.efi", "core.efi"),
        ({"route": IPXE_UEFI}, (7, 9), "snponly.efi", "http://10.55.0.1/boot.ipxe"),
        ({"route": EFI}, (7, 9), "snponly.efi", "http://10.55.0.1/boot.ipxe"),
        ({"route": EFI_TFTP}, (7, 9), "boot.efi", "boot.efi"),
        (PROXY, (0,), "undionly.kpxe", "http://10.55.0.1/boot.ipxe"),
        ({**PROXY, "route": EFI_TFTP}, (7, 9), "boot.efi", "boot.efi"),
        ({**PROXY, "route": GRUB_UEFI}, (7, 9), "core.efi", "core.efi"),
    ],
)
def test_policy(changes: dict[str, Any], architectures: tuple[int, ...], file: str, for_ipxe: str) -> None:
    assert rules(make_spec(**changes)) == (
        AnswerRule(architectures, ipxe=False, file=file),
        AnswerRule(architectures, ipxe=True, file=for_ipxe),
    )


# The log.


def read(golden: str) -> list[Event]:
    reader = LogReader()
    lines = (GOLDEN / golden).read_text().splitlines()
    return [event for line in lines for event in reader.feed(line)] + reader.flush()


def summary(events: list[Event]) -> list[tuple[Any, ...]]:
    keys = ("mac", "arch", "address", "file")
    return [(event.kind, *(event.data[key] for key in keys if key in event.data)) for event in events]


def test_log_of_an_own_segment() -> None:
    events = read("dnsmasq-own-segment.log")
    assert summary(events) == [
        ("dhcp.discover", DUT, 0),
        ("dhcp.offer", DUT, "10.55.0.30"),
        ("dhcp.request", DUT),
        ("dhcp.ack", DUT, "10.55.0.30", "http://10.55.0.1/boot.ipxe"),
        ("dhcp.ignored", "52:54:00:00:00:99", None),
        ("dhcp.request", DUT),
        ("dhcp.ack", DUT, "10.55.0.30", None),
    ]
    assert events[0].data["vendor_class"] == "PXEClient:Arch:00000:UNDI:002001"
    assert events[0].data["user_class"] == "iPXE"
    assert events[0].text == f"{DUT} asks as BIOS client"
    assert all(first.at_s <= second.at_s for first, second in itertools.pairwise(events))


def test_log_of_a_proxy_for_bios() -> None:
    assert summary(read("dnsmasq-proxy-bios.log")) == [
        ("dhcp.discover", DUT, 0),
        ("dhcp.offer", DUT, None),
        ("dhcp.reply", DUT, "undionly.kpxe"),
        # A request on port 4011 without an item is answered without a file: nothing that helps the board.
        ("dhcp.discover", DUT, 0),
        ("dhcp.offer", DUT, None),
        ("dhcp.reply", DUT, "http://10.55.0.1/boot.ipxe"),
        ("dhcp.reply", DUT, "http://10.55.0.1/boot.ipxe"),
        ("dhcp.ignored", DUT, 6),
    ]


def test_log_of_a_proxy_for_uefi() -> None:
    assert summary(read("dnsmasq-proxy-uefi.log")) == [
        ("dhcp.discover", DUT, 7),
        ("dhcp.offer", DUT, None),
        ("dhcp.reply", DUT, "core.efi"),
        ("dhcp.reply", DUT, "core.efi"),
        ("dhcp.discover", DUT, 7),
        ("dhcp.offer", DUT, None),
        ("dhcp.reply", DUT, "core.efi"),
    ]


def test_an_ack_without_a_file_waits_for_flush() -> None:
    reader = LogReader()
    assert reader.feed(f"dnsmasq-dhcp: 7 DHCPACK(eth0) 10.0.0.2 {DUT} ") == []
    assert reader.holds_event
    assert summary(reader.flush()) == [("dhcp.ack", DUT, "10.0.0.2", None)]
    assert not reader.holds_event


@given(
    st.lists(st.text(max_size=80) | st.from_regex(r"dnsmasq-dhcp: \d{1,3} (PXE|DHCP[A-Z]{1,5})\(e\) .{0,40}"))
)
def test_any_lines_are_survived(lines: list[str]) -> None:
    reader = LogReader()
    for line in lines:
        assert all(event.source == "dhcp" for event in reader.feed(line))
    reader.flush()


def test_memory_of_the_reader_is_bounded() -> None:
    reader = LogReader()
    told = 0
    for number in range(2000):
        mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        told += len(reader.feed(f"dnsmasq-dhcp: {number} DHCPDISCOVER(e) {mac} ignored"))
    assert told == 2000
    assert len(reader._transactions) <= 256
    assert len(reader._ignored) <= 256


def test_prefixes() -> None:
    for line in ("Nov  4 02:54:33 dnsmasq[4645]: started, x", "dnsmasq: started, x", "started, x"):
        assert log_text(line) == "started, x"


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("failed to bind DHCP server socket: Address already in use", PortBusyError, "port 67"),
        ("unknown interface br9", LabError, "unknown interface br9"),
        ("setting capabilities failed: Operation not permitted", LabError, "as this user"),
        ("cannot open or create: Permission denied", LabError, "as this user"),
        (
            "setpriv: failed to execute dnsmasq: No such file or directory",
            MissingProgramError,
            "not installed",
        ),
        ("bad option at line 7 of stdin", LabError, "bad option at line 7"),
        ("", LabError, "gave no reason"),
    ],
)
def test_start_errors(text: str, kind: type[LabError], said: str) -> None:
    error = start_error(text)
    assert type(error) is kind
    assert said in error.message
