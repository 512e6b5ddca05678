"""What firmware, network boot ROMs and loaders print when they fail: what each line is told as."""

from __future__ import annotations

import pytest

from bringup.transcript.stages import StageReader

LINES = [
    ("PXE-E11: ARP timeout", "pxe-no-answer"),
    ("Intel(R) Boot Agent GE v1.5.88 PXE-E61: Media test failure, check cable", "pxe-no-link"),
    (">>Start PXE over IPv4...  PXE-E18: Server response timeout.", "pxe-no-answer"),
    ("  PXE-E23: Client received TFTP error from server.", "pxe-tftp-error"),
    ("PXE-E52: proxyDHCP offers were received. No DHCP offers were received.", "pxe-no-answer"),
    ("PXE-E55: ProxyDHCP service did not reply to request on port 4011.", "pxe-no-answer"),
    ("PXE-E74: Bad or missing PXE menu and/or prompt information.", "pxe-menu"),
    ("PXE-E79: NBP is too big to fit in free base memory", "pxe-too-big"),
    ("PXE-T01: File not found", "pxe-tftp-error"),
    ("PXE-M0F: Exiting PXE ROM.", "pxe-gave-up"),
    ("PXE-E21: Remote boot cancelled.", "pxe-cancelled"),
    (">>No Media Present......", "pxe-no-link"),
    ("  Error: Could not retrieve NBP file size from HTTP server.", "http-boot-failed"),
    ("Aptio Setup Utility - Copyright (C) 2021 American Megatrends, Inc.", "waits-for-key"),
    ("Press <F1> to continue", "waits-for-key"),
    ("CPU fan has failed! Press F1 to continue, DEL to enter SETUP", "waits-for-key"),
    ("CMOS date/time not set. Press F1 to Resume", "waits-for-key"),
    ("Invalid signature detected. Check Secure Boot Policy in Setup", "secure-boot"),
    ('BdsDxe: failed to load Boot0003 "x" from PciRoot(0x0)/Pci(0x3,0x0): Access Denied', "secure-boot"),
    ('BdsDxe: failed to start Boot0003 "UEFI PXEv4 (MAC:AC1F6B)": Security Violation', "secure-boot"),
    ("UEFI Interactive Shell v2.2", "nothing-to-boot"),
    ("Waiting for link-up on net1... Down (http://ipxe.org/38086193)", "pxe-no-link"),
    ("http://10.0.0.1/boot.ipxe...... Connection timed out (http://ipxe.org/4c0a6035)", "loader-network"),
    ("http://10.0.0.1/kernel... Connection reset (http://ipxe.org/0f0a6039)", "loader-network"),
    ("http://10.0.0.1/kernel... Permission denied (http://ipxe.org/020c618f)", "loader-file"),
    ("Could not boot: Requested memory not available (http://ipxe.org/46038101)", "loader-memory"),
    ("http://10.0.0.1/module... No space left on device (http://ipxe.org/34182006)", "loader-memory"),
    ("error: out of memory.", "loader-memory"),
    ("error: timeout reading `/capdl-loader'.", "loader-network"),
    ("error: no multiboot header found.", "loader-refuses"),
    ("Entering rescue mode...", "grub-rescue"),
    ("   Minimal BASH-like line editing is supported. For the first word, TAB", "grub-prompt"),
]


def codes(text: str) -> list[str]:
    reader = StageReader()
    sightings = [*reader.feed(text.encode(), 0.0), *reader.finish(9.0)]
    return [s.failure.code for s in sightings if s.failure is not None]


@pytest.mark.parametrize(("line", "code"), LINES)
def test_line_is_told_as_what_it_is(line: str, code: str) -> None:
    assert codes(f"\r\n{line}\r\n") == [code]


@pytest.mark.parametrize(
    "line",
    [
        "GET /x: Permission denied",
        "[    4.1] igb 0000:17:00.0: PXE is not enabled",
        "ls: /root: Access Denied",
        "connect: Connection timed out",
        "a module printed: out of memory",
        "see http://ipxe.org/46038101",
    ],
)
def test_like_words_of_others_are_no_loader_failure(line: str) -> None:
    assert codes(f"\r\n{line}\r\n") == []


def test_secure_boot_is_not_blamed_on_a_guest() -> None:
    guest = "Boot config: disable_iommu = false\r\n\x1b[0m\x1b[31;47mmount (a): Access Denied\r\n"
    assert codes(guest) == []
