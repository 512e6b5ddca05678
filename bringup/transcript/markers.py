"""Text on the console that tells how far a boot came: data only, each row with the source of its words.

`text` is compared with all white space removed, so it may be split, padded or wrapped anywhere; `%d` stands
for a decimal number, `%x` for a hexadecimal one. A text shorter than a dozen characters has to be anchored
(`line_start`), or other text would be taken for it. What went wrong is in `failures.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bringup.base.stage import Stage

Family = Literal["firmware", "loader", "probe", "sel4", "vmm", "xen", "linux"]
Fault = Literal["image", "profile", "lab"]
Where = Literal["any", "guest", "board"]


@dataclass(frozen=True, slots=True)
class Marker:
    """A text that proves `stage`.

    `linux` texts are printed by guests too: there they prove `Stage.GUEST`, of the VM whose text it is.
    `banner` texts come exactly once in a boot, so a second one is a second boot.
    """

    text: str
    stage: Stage
    family: Family
    source: str
    line_start: bool = False
    banner: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A text that means something failed.

    `cause` is a sentence for the verdict, `why` the usual reason behind it in a few words, `fix` what to do,
    with `{advice:TOPIC}` where a board's profile knows the words (`bringup.profile.advice`).
    `fatal`: the boot ends `grace_s` later. `generic`: says only that something failed, so that any other
    failure near it is the better cause. `recovers`: forgotten when the boot goes on to a further stage.
    `gives_up`: the firmware or loader stopped trying, and the first missing stage says why.
    `where`: only in a guest's text, or only in text that no guest printed. `early`: only before a kernel.
    `also`: wordings in which firmware or a loader says the same, looked for before a kernel (`wordings.py`).
    """

    code: str
    fault: Fault
    text: str
    cause: str
    why: str
    fix: str
    source: str
    fatal: bool = True
    generic: bool = False
    recovers: bool = False
    gives_up: bool = False
    grace_s: float = 0.5
    where: Where = "any"
    line_start: bool = False
    early: bool = False
    also: tuple[str, ...] = ()


def _group(family: Family, stage: Stage, source: str, *texts: str, line_start: bool = False) -> list[Marker]:
    return [Marker(text, stage, family, source, line_start=line_start) for text in texts]


LOGIN_WORD = "login:"
"""Where a login prompt may end; whether it is one is decided on the whole line (`stages.py`)."""

KNOWN_PROMPTS = ("buildroot login:",)
"""Prompts taken as such whatever stray spaces are in them (seL4 ci-actions camkes-vm/builds.yml)."""

KERNEL_USER_ERROR = "<<seL4(CPU"
"""Begins a line the seL4 kernel prints about a refused system call (seL4 include/api/debug.h, userError)."""

MODULE_LINE = "module #%d: start=0x"
"""Begins the kernel's line about a boot module, which ends in its file's name."""

HAND_OVER = "bringup: starting kernel"
"""What the scripts of this tool print last (pxe/)."""

SUITE_STARTS = "Starting test suite"
SUITE_RESULT = "Test suite passed."
SUITE_PASSED = "All is well in the universe"
"""What sel4test says first, and at its end when every test passed."""

_OURS = "bringup:"


def is_ours(marker: str) -> bool:
    """Return whether a loader's text is of this tool's own scripts (pxe/): all their lines begin so."""
    return marker.startswith(_OURS)


# An iPXE banner says "firmware": where the NIC's option ROM is iPXE, it appears before any DHCP packet.
MARKERS: tuple[Marker, ...] = (
    *_group("firmware", Stage.FIRMWARE, "SeaBIOS src/bootsplash.c, src/boot.c",
            "SeaBIOS (version ", "Booting from ROM...", "Booting from Hard Disk...",
            "Press ESC for boot menu."),
    *_group("firmware", Stage.FIRMWARE, "iPXE src/usr/autoboot.c, src/arch/x86/prefix/romprefix.S",
            "Open Source Network Boot Firmware", "iPXE (http://ipxe.org)"),
    *_group("firmware", Stage.FIRMWARE, "EDK2 NetworkPkg/UefiPxeBcDxe, recorded with OVMF",
            ">>Start PXE over IPv4", ">>Start PXE over IPv6", ">>Start HTTP Boot over IPv4",
            "BdsDxe: loading Boot", "BdsDxe: starting Boot", "BdsDxe: failed to load Boot"),
    *_group("firmware", Stage.FIRMWARE, "AMI Aptio as users report it, not recorded",
            "DXE--Ready to Boot", "DXE--BIOS PCI Bus Enumeration", "PEI--Intel MRC Execution",
            ">>Checking Media Presence", ">>Media Present", "Press <DEL> to run Setup",
            "Press <F12> to boot from PXE", "American Megatrends, Inc. Copyright"),
    *_group("firmware", Stage.FIRMWARE, "Intel Boot Agent (legacy option ROM)",
            "Initializing Intel(R) Boot Agent", "Intel(R) Boot Agent GE", "Intel(R) Boot Agent XE",
            "CLIENT MAC ADDR:"),
    *_group("loader", Stage.LOADER, "GRUB grub-core/kern/main.c, recorded with OVMF",
            "Welcome to GRUB!", "GRUB loading."),
    *_group("loader", Stage.LOADER, "PXELINUX core/pxelinux.asm banner", "PXELINUX 6.", line_start=True),
    *_group("loader", Stage.LOADER, "pxe/boot.ipxe.j2, pxe/grub.cfg.j2 and pxe/disk.cfg of this tool",
            "bringup: loading kernel", "bringup: loading module", HAND_OVER),
    Marker("bringup firmware probe, not seL4", Stage.KERNEL, "probe", "probes/firmware of this tool",
           banner=True),
    *_group("sel4", Stage.KERNEL, "probes/standin of this tool", "bringup stand-in image, not seL4"),
    Marker("Boot config: disable_iommu = ", Stage.KERNEL, "sel4", "seL4 src/arch/x86/kernel/cmdline.c",
           banner=True),
    *_group("sel4", Stage.KERNEL, "seL4 src/arch/x86/kernel/cmdline.c",
            "Boot config: parsing cmdline '", "Boot config: console_port = 0x",
            "Boot config: debug_port = 0x"),
    *_group("sel4", Stage.KERNEL, "seL4 src/arch/x86/kernel/boot_sys.c",
            "Parsing GRUB physical memory map", "Adding physical memory region 0x",
            "Kernel loaded to: start=0x",
            "ELF-loading userland images from boot modules:",
            "Moving loaded userland images to final location:", "Starting node #0 with APIC ID",
            MODULE_LINE),
    *_group("sel4", Stage.KERNEL, "seL4 src/plat/pc99/machine/acpi.c", "ACPI: MADT_IOAPIC ioapic_id="),
    *_group("sel4", Stage.USER_SPACE, "seL4 src/arch/x86/kernel/boot_sys.c",
            "Booting all finished, dropped to user space"),
    *_group("sel4", Stage.USER_SPACE, "sel4test-driver src/main.c, libsel4test src/testreporter.c",
            SUITE_STARTS, SUITE_RESULT, SUITE_PASSED),
    *_group("sel4", Stage.USER_SPACE, "camkes-tool libsel4camkes src/fault.c",
            "FAULT HANDLER: Register dump"),
    *_group("vmm", Stage.VMM, "seL4_projects_libs libsel4vm, camkes-vm components/Init",
            "Guest address space root allocated at", "guest_elf_relocate@guest_image.c",
            "Constructing guest cmdline at 0x", "Guest boot info allocated at", "Final e820 map is:",
            "Initializing guest to start running at 0x"),
    *_group("xen", Stage.KERNEL, "Xen xen/drivers/char/console.c: prefix of every hypervisor line",
            "(XEN) ", line_start=True),
    *_group("xen", Stage.KERNEL, "Xen xen/common/kernel.c banner", "Xen version 4."),
    *_group("linux", Stage.KERNEL, "Linux init/version-timestamp.c banner", "Linux version %d."),
    *_group("linux", Stage.USER_SPACE, "probes/linux/init of this tool", "bringup probe: started"),
    *_group("linux", Stage.USER_SPACE, "Linux init/main.c run_init_process; systemd src/core/main.c",
            "Run /init as init process", "Run /sbin/init as init process",
            "systemd[1]: Detected architecture",
            "Freeing unused kernel image", "Freeing unused kernel memory:"),
)  # fmt: skip
