"""Which of the lines before a stop say why: those that no good boot prints. Pure.

The kernel, a root task or a guest often prints its reason and then, a line later, a text that only says that
something failed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_REASONS_MAX = 4

# Lines of every good start (seL4 src/arch/x86/kernel/boot_sys.c, cmdline.c, src/plat/pc99/machine/acpi.c),
# of loaders, and texts that say only that something failed.
_ORDINARY = re.compile(
    r"\s*(?:Boot config:|Detected \d+ boot|module #\d|Parsing GRUB|Physical [Mm]emory|Adding physical|Got |"
    r"Multiboot gave|ACPI: |Kernel loaded to:|ELF-loading|size=0x|Moving loaded|Starting node|Mapping kernel|"
    r"[Aa]vailable phys|[Rr]eserved virt|\[[0-9a-f]+\.\.[0-9a-f]+\)|IOMMU 0x|\*\*\*WARNING|"
    r"Booting all finished|bringup: |Kernel entry via|seL4 called fail|boot_sys failed|[Hh]alting\.\.\.|\"$|"
    r"<<seL4\(CPU|ERROR: free memory management|Debug halt syscall|seL4 root server abort|With stack|"
    r"0x[0-9a-f]+: 0x|simple_get_extended_bootinfo|p_start=|v_entry=)"
)


def reason_lines(before: Sequence[str]) -> tuple[str, ...]:
    """Return the lines right before a stop that are not of every good boot, at most four, in order.

    Texts that only say that something failed are stepped over.
    """
    told: list[str] = []
    for line in reversed(before):
        if _ORDINARY.match(line):
            if told:
                break
            continue
        told.append(line)
    return tuple(reversed(told[:_REASONS_MAX]))


_BANNER = re.compile(r"Linux version \d")
# Every crash report counts itself, "Oops: 0002 [#1] SMP" (arch/x86/kernel/dumpstack.c).
_DIES = re.compile(r"^\s*(?:\[[^\]]*\]\s*){0,2}(\S.*?):? ?(?:[0-9a-f]{4} )?\[#\d{1,3}\]")
_BUG = re.compile(r"BUG: (.*)|(kernel BUG at [^\s!]+)")
_IP = re.compile(
    r"\b(?:[RE]?IP(?: is at|:)?|pc :) ?(?:[0-9a-f]{4}: ?)?(?:\[<[0-9a-f]+>\] ?){0,2}([A-Za-z_][\w.]*)\+0x"
)
_HEAD_LINES = 8


@dataclass(frozen=True, slots=True)
class Crash:
    """What Linux reported before it panicked, with the function, and the lines that say it."""

    what: str
    lines: tuple[str, ...]


def what_crashed(before: Sequence[str]) -> Crash | None:
    """Return the first crash that Linux reported since it started, None for none.

    What comes after the first report, of a program that is killed or of the panic itself, follows from it.
    """
    banners = [number for number, line in enumerate(before) if _BANNER.search(line)]
    lines = before[banners[-1] :] if banners else before
    dies = next(((number, found) for number, found in enumerate(map(_DIES.search, lines)) if found), None)
    if dies is None:
        return None
    number, header = dies
    told = lines[max(0, number - _HEAD_LINES) : number]
    bug = next((found for found in map(_BUG.search, reversed(told)) if found), None)
    first = number if bug is None else lines.index(bug.string)
    place = next((found for found in map(_IP.search, lines[first:]) if found), None)
    what = (header.group(1) if bug is None else bug.group(1) or bug.group(2)).strip()
    what = what.removeprefix("Oops: ")
    shown = (lines[first], *(() if place is None else (place.string,)))
    return Crash(what if place is None else f"{what} in {place.group(1)}", tuple(dict.fromkeys(shown)))


_OF_CRASH = re.compile(r"fatal exception|attempted to kill|panic_on_oops|stack", re.IGNORECASE)


def of_crash(reason: str) -> bool:
    """Return whether a panic for this reason follows from a crash: others say themselves what is wrong."""
    return _OF_CRASH.search(reason) is not None


# Reasons of Linux panics, the usual cause and what to do (panic() in init/do_mounts.c, init/main.c,
# kernel/exit.c, mm/oom_kill.c, arch/x86/kernel/apic/io_apic.c).
_PANICS: tuple[tuple[str, str, str], ...] = (
    ("fpu__init_system_xstate|xstate", "the VMM shows this CPU's XSAVE to a 32-bit guest that cannot cope "
     "(camkes-vm-examples#95)", "add noxsave to the guest's kernel_cmdline, or take a 64-bit guest"),
    ("unable to mount root|cannot open root|VFS:", "the guest has no root file system",
     "compare root= on its kernel_cmdline and initrd_image with the files of the build"),
    ("no working init|no init found|requested init|init failed", "the guest's root file system has no init",
     "put an /init into the root file system, or name it with init= (rdinit= for a ramdisk)"),
    ("attempted to kill init", "the guest's first program ended",
     "look at its last lines; run it by hand with init=/bin/sh"),
    ("out of memory|compulsory panic_on_oom|deadlocked on memory", "the guest has too little memory",
     "raise vmN.guest_ram_mb"),
    ("io-apic|timer doesn't work", "the guest looks for an IOAPIC that the VMM does not have",
     "add noapic and nolapic to the guest's kernel_cmdline"),
)  # fmt: skip


def panic_advice(reason: str) -> tuple[str, str]:
    """Return (usual cause, what to do) for the reason that a Linux kernel gave."""
    for words, why, fix in _PANICS:
        if re.search(words, reason, re.IGNORECASE):
            return why, fix
    return "a crash in the guest's kernel", "look at the guest's lines before this one"
