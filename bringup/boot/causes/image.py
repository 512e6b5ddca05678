"""Rows on an image that does not come as far as it should."""

from __future__ import annotations

from collections.abc import Mapping

from bringup.boot.causes.row import Cause, Row
from bringup.boot.causes.usual import LOGGED, RELEASE, WRONG_PORT

IMAGE: Mapping[str, Row] = {
    "kernel-hangs": Row(
        "image",
        "the kernel started and did not reach user space within {waited} s",
        (
            *LOGGED,
            Cause("the kernel stops while it reads ACPI tables", "the last console line names the table"),
            Cause("memory that is not memory", "compare the kernel's memory map with the capture"),
            Cause("a slow build on a slow machine", "raise the user-space limit of the profile"),
        ),
    ),
    "no-vmm": Row(
        "image",
        "user space started and no VMM within {waited} s",
        (
            *LOGGED,
            Cause(
                "the capDL loader still creates objects",
                "device memory above 4 GiB takes very long; {advice:above-4g}",
            ),
            Cause(
                "a component of the image crashed", "build with debug output; look at the last console lines"
            ),
        ),
    ),
    "no-guest": Row(
        "image",
        "the VMM started and no guest kernel within {waited} s",
        (
            *LOGGED,
            Cause(
                "the guest kernel's name is not in the file server",
                "compare kernel_image with the build's files",
            ),
            Cause("the guest prints elsewhere", "console=ttyS0 on the guest's command line"),
            Cause("the VMM scans PCI", "a wait of seconds per VM is normal; raise the guest limit"),
        ),
    ),
    "no-login": Row(
        "image",
        "{some} of {all} VMs reached a login prompt within {waited} s{missing}",
        (
            *LOGGED,
            Cause("no getty on the guest's console", "getty on ttyS0 in the guest's root file system"),
            Cause("an interrupt storm", "level_trig = 0, and one VM per IOAPIC pin"),
            Cause("a driver waits for its device", "look at the guest's last lines"),
        ),
    ),
    "text-missing": Row(
        "image",
        "the text that was waited for did not come, and nothing more was said for {waited} s",
        (
            *LOGGED,
            Cause("the program hangs", "look at its last lines"),
            Cause("it says something else", "compare the expression with the console's log"),
        ),
    ),
    "suite-silent": Row(
        "image",
        "the test suite said nothing for {waited} s, {suite}",
        (
            *LOGGED,
            Cause("this test hangs", "run it alone: -DLibSel4TestPrinterRegex=NAME"),
        ),
    ),
    "nothing-printed": Row(
        "undecided",
        "everything was loaded, and this kernel prints nothing: no text, no guest's DHCP for {waited} s",
        (RELEASE, WRONG_PORT),
    ),
    "unknown-text": Row(
        "undecided",
        "the board printed, but nothing that is known, and then nothing for {waited} s",
        (
            Cause(
                "it is no seL4 image, or one that prints only its own text",
                "--until-text REGEX says what to wait for",
            ),
            RELEASE,
        ),
    ),
    "nothing-known": Row(
        "undecided",
        "nothing in this text is known",
        (
            Cause(
                "it is no seL4 image, or one that prints only its own text",
                "--until-text REGEX says what must come",
            ),
            RELEASE,
        ),
    ),
    "nothing-said": Row(
        "undecided",
        "there is no text in this recording",
        (
            Cause(
                "the board said nothing while it was recorded, or it says it on another line",
                "watch it start: bringup console BOARD, then switch the board on",
            ),
        ),
    ),
    "ends-nothing": Row(
        "undecided",
        "{told}, which alone ends no boot; what came of it is not in this text",
        (
            Cause(
                "the recording ended early",
                "record until the board starts something or nothing more comes",
            ),
        ),
    ),
    "no-known-end": Row(
        "undecided",
        "user space was reached, and the text does not tell whether that was all",
        (
            Cause(
                "an image without VMs and tests has no known end",
                "say what counts as success: --until user-space, or --until-text REGEX",
            ),
        ),
    ),
    "stage-impossible": Row(
        "profile",
        "a test suite has no VMs: {awaited} cannot come",
        (
            Cause(
                "a stage is asked of this image that it has not",
                "leave --until out: the suite's own end counts",
            ),
        ),
    ),
    "text-ends": Row(
        "undecided",
        "the text ends after {where}; {awaited} is not in it",
        (
            Cause(
                "the recording ended early",
                "record until the end, or say with --until what counts as success",
            ),
        ),
    ),
}
