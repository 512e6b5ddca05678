"""Firmware and loaders say one thing in many words: what each kind is told as, and what is none of it."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.transcript.failures.table import FAILURES
from bringup.transcript.stages import Sighting, StageReader
from bringup.transcript.wordings import ROWS, find, reach

KINDS: Mapping[str, tuple[str, ...]] = {
    "waits-for-key": (
        "Strike the F1 key to continue, F2 to run the setup utility",
        "Press the F1 key to continue, or the F10 key to run Setup",
        "Press <F1> to resume, <F2> to Setup",
        "F1 to Continue and Retry Boot Order",
        "275-DIMM configuration warning   F1 = Continue",
        "Press ESC Key to resume boot",
        "Press any key to continue, or 'C' to load the configuration utility",
        "ERROR 0251: System CMOS checksum bad - press any key to continue",
        "Lenovo BIOS Setup Utility",
        "Phoenix SecureCore(tm) Setup Utility",
        "InsydeH2O Setup Utility",
        "System Configuration and Boot Management",
        "Please select boot device:",
        "Enter Administrator Password",
    ),
    "nothing-to-boot": (
        "No boot device available.",
        "FATAL: No bootable medium found! System halted.",
        "No boot disk has been detected",
        "Boot Device Not Found",
        "Default Boot Device Missing or Boot Failed.",
        "Operating System not found",
        "Missing operating system.",
        "DISK BOOT FAILURE, INSERT SYSTEM DISK AND PRESS ENTER",
        "An operating system wasn't found.",
        "All boot options are tried.",
        "EFI Shell version 2.31 [5.10]",
        "BdsDxe: Press any key to enter the Boot Manager Menu.",
    ),
    "secure-boot": (
        "error: ../../grub-core/kern/efi/sb.c:208:prohibited by secure boot policy.",
        "error: ../../grub-core/kern/efi/sb.c:182:bad shim signature.",
        "Verification failed: (0x1A) Security Violation",
        "Failed to load image: Security Violation",
        "start_image() returned Security Violation",
        "Verifying shim SBAT data failed: Security Policy Violation",
        "Secure Boot Image failed to verify with *ACCESS DENIED*.",
        "Selected boot image did not authenticate.",
        "EFI Network has been blocked by the current security policy.",
        "UEFI0073: Unable to boot NIC in Slot 1 because of the Secure Boot policy.",
        "Secure Boot Violation",
    ),
    "pxe-no-link": (
        "pxe-e61: media test failure",
        "PXE-E61 Media test failure, check cable",
        "PXE-E12: Could not detect network connection.",
        "Waiting for link-up on net0... Down (https://ipxe.org/38086193)",
    ),
    "pxe-nic": ("PXE-E07: Network device error.", "PXE-E09: Could not allocate I/O buffers."),
    "pxe-tftp-error": ("PXE-T02: Access violation", "PXE-E3F: TFTP packet size is invalid"),
    "pxe-rom": ("PXE-E06: Option ROM requires DDIM support",),
    "pxe-failed": ("PXE-E8F: a number that no list has", "Boot Failed. EFI Network", "PXE boot aborted"),
    "pxe-gave-up": ("Exiting PXE ROM.",),
    "loader-network": (
        "http://10.0.0.1/a... Connection timed out (https://ipxe.org/4c0a6092)",
        "error: ../../grub-core/net/net.c:1540:timeout reading `/kernel'.",
        "error: ../../grub-core/net/net.c:1795:no server is specified.",
    ),
    "loader-memory": ("error: ../../grub-core/kern/mm.c:376:out of memory.",),
    "loader-refuses": ("error: invalid magic number.", "error: multiboot.c:80:no multiboot header found."),
    "loader-file": (
        "error: file `/kernel' not found.",
        "error: ../../grub-core/kern/file.c:88:file '/kernel' not found.",
        "error: premature end of file /kernel.",
        "error: unknown filesystem.",
        "error: no such device: 3f2a-11.",
        "Could not find kernel image: linux",
        "Unable to locate configuration file",
        "ERROR: No configuration file found",
        "Failed to load ldlinux.c32",
        "http://h/x.... Not found (https://ipxe.org/2d0c618e)",
    ),
    "loader-failed": (
        "error: unknown command `foo'.",
        "error: can't find command `linuxefi'.",
        "error: ../../grub-core/video/video.c:762:something that no list has.",
        "Undef symbol FAIL: memset",
        "alloc magic is broken at 0x7f9b1e60: 0",
        "Boot failed: press a key to retry, or wait for reset...",
        "Could not boot: Operation canceled (https://ipxe.org/0b072095)",
    ),
    "grub-rescue": ("grub rescue> ", "GRUB Read Error"),
    "http-boot-failed": (
        "  Error: Server response timeout.",
        "  Error: Could not detect network connection.",
    ),
    "grub-prompt": ("grub> ",),
    "ipxe-prompt": ("iPXE> ",),
}
CASES = [(text, code) for code, texts in KINDS.items() for text in texts]

CLEAN = """
Press <DEL> or <F2> to enter setup, F11 for Boot Menu
Press F2 to enter BIOS Setup Utility
F2 = System Setup   F10 = Lifecycle Controller   F12 = PXE Boot
Press <Ctrl+S> to enter the Setup Menu
Press any key to continue...
Press F2 to enter SETUP
Press enter to boot the selected OS, `e' to edit the commands before booting or `c' for a command-line.
Press ENTER to boot or TAB to edit a menu entry
Press any key to perform MOK management
Entering Setup...
Boot device: UEFI: PXE IPv4
PXE-E117: no such number
  NBP filesize is 1015808 Bytes
iPXE (http://ipxe.org) 00:03.0 C900 PCI2.10 PnP PMM
  [TXE: 1 x "Operation not supported (https://ipxe.org/3c086083)"]
net0: 52:54:00:12:34:56 using e1000e on 0000:00:03.0 (open)
Welcome to GRUB!
GRUB finds the file and starts it
[    0.5] secureboot: Secure boot disabled
[    1.6] foo: module verification failed: signature and/or required key missing - tainting kernel
[    1.7] PM: Image not found (code -22)
[    1.8] systemd[1]: Unit foo.service not found.
[    1.9] EXT4-fs error (device sda1): file not found
[    2.1] igb: Invalid MAC Address
[    2.2] Out of memory: Killed process 12
[    2.3] reboot: System halted
ls: /x: No such file or directory
sh: foo: not found
ERROR: no device found
capdl-loader: file 'x' not found in cpio
the operating system is loaded
""".strip().splitlines()


def failures(*pieces: bytes) -> list[Sighting]:
    reader = StageReader()
    sightings = [s for at, piece in enumerate(pieces) for s in reader.feed(piece, at * 0.001)]
    return [s for s in [*sightings, *reader.finish(99.0)] if s.failure is not None]


def codes(*pieces: bytes) -> list[str]:
    return [s.failure.code for s in failures(*pieces) if s.failure]


@pytest.mark.parametrize(("text", "code"), CASES)
def test_a_wording_is_told_once_as_what_it_is(text: str, code: str) -> None:
    """GRUB's place in its source says that GRUB met an error; what it was comes behind."""
    told = [s.failure for s in failures(f"\r\n{text}\r\n".encode()) if s.failure]
    specific = [failure.code for failure in told if not failure.generic]
    assert (specific or [failure.code for failure in told]) == [code]
    assert len(told) <= 1 + text.startswith("error: ")


def _varied(text: str, rng: random.Random) -> bytes:
    """Return it in another case, with other blanks and colours."""
    case = rng.choice((str.upper, str.lower, str))
    blank = rng.choice((" ", "   ", " \x1b[1;37m ", "\x1b[0m "))
    return case(text).replace(" ", blank).encode()


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([case for case in CASES if case[1] not in ("grub-rescue", "grub-prompt", "ipxe-prompt")]),
    st.randoms(),
)
def test_case_blanks_and_colours_hide_no_wording(case: tuple[str, str], rng: random.Random) -> None:
    text, code = case
    assert code in codes(b"\r\n" + _varied(text, rng) + b"\r\n")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*(text for text, _ in CASES), *CLEAN]), max_size=12), st.integers(1, 90))
def test_the_same_is_told_however_the_bytes_are_cut(lines: list[str], size: int) -> None:
    data = "".join(f"{line}\r\n" for line in lines).encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    told = [(s.marker, s.line_no, s.failure) for s in failures(*pieces)]
    assert sorted(told, key=str) == sorted(
        ((s.marker, s.line_no, s.failure) for s in failures(data)), key=str
    )


@pytest.mark.parametrize("line", CLEAN)
def test_words_of_a_good_boot_are_no_failure(line: str) -> None:
    assert codes(f"\r\n{line}\r\n".encode()) == []


def test_nothing_in_a_whole_good_boot_is_a_failure() -> None:
    assert codes("\r\n".join(CLEAN).encode()) == []


@settings(max_examples=60, deadline=None)
@given(st.permutations([*CLEAN, "Booting `Debian GNU/Linux'", "Boot device found"]))
def test_nor_do_the_lines_of_one_make_a_failure_together(lines: list[str]) -> None:
    assert codes("\r\n".join(lines).encode()) == []


@pytest.mark.parametrize(
    "kernel", [b"Boot config: disable_iommu = false\r\n", b"[    0.0] Linux version 6.1.0 (a@b)\r\n"]
)
def test_behind_a_kernel_nobody_speaks_in_such_words_until_firmware_does(kernel: bytes) -> None:
    said = b"press f1 to continue\r\n"
    assert codes(kernel, said) == codes(kernel + said) == []
    firmware = b"SeaBIOS (version 1.16.2)\r\n"
    assert codes(kernel, firmware, said) == codes(kernel + firmware + said) == ["waits-for-key"]


def test_every_number_of_network_boot_is_known() -> None:
    for number in range(256):
        for text in (f"PXE-E{number:02X}: says something", f"PXE-T{number:02X}: says something"):
            assert len(codes(f"\r\n{text}\r\n".encode())) == 1, text


def test_what_a_specific_text_says_is_not_said_again_by_a_general_one() -> None:
    (seen,) = failures(b"Could not boot: Exec format error (https://ipxe.org/2e008081)\r\n")
    assert seen.failure is not None and seen.failure.code == "loader-refuses"


def test_every_row_with_wordings_is_looked_for() -> None:
    assert {row.text for row in FAILURES if row.also} == {row.text for row in ROWS if row.also}
    assert reach() < 1024


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_are_searched_without_an_error(text: bytes, old: int) -> None:
    known = {row.text for row in ROWS}
    for row, start, end in find(text, min(old, len(text))):
        assert row in known and 0 <= start < end <= len(text) and end > old
