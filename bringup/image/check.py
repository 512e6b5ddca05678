"""Why an image cannot boot on a firmware by a loader, decided before anything is touched (pure).

Sources of what loaders refuse: GRUB grub-core/loader (multiboot_mbi.c, multiboot_mbi2.c, multiboot_elfxx.c,
i386/linux.c), iPXE src/arch/x86/image/multiboot.c and src/image/elf.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bringup.base.errors import ImageError
from bringup.base.firmware import Firmware
from bringup.image.elf import against_grub, against_ipxe
from bringup.image.model import KERNEL_NAME, ROOT_TASK_NAME, SEL4_PORT_WORDS, Content, Image
from bringup.image.multiboot import LIMITS, NearMiss, unknown_to_grub

LOADERS = ("ipxe", "grub")

_MIB = 1 << 20
_FOUR_GIB = 1 << 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why the boot cannot work: `message` is a sentence, `fix` what to do."""

    code: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that often goes wrong and may be meant; the boot goes on."""

    code: str
    message: str
    fix: str


def check(image: Image, firmware: Firmware, loader: str) -> tuple[Refusal, ...]:
    """Return every reason why `image` cannot boot, the one to tell first in front; empty when it may.

    `loader` is "ipxe", "grub", or "auto": then only what stands in the way of every loader counts.
    """
    if loader == "auto":
        return min((check(image, firmware, each) for each in ("grub", "ipxe")), key=len)
    # With the wrong files, or in the wrong order, every further finding would be about the wrong kernel.
    basics = (*_files(image), *_order(image))
    if basics:
        return basics
    if image.kind == "linux":
        return tuple(_linux(image, firmware, loader))
    return (*_headers(image, firmware, loader), *_elf(image, loader), *_modules(image))


def check_memory(image: Image, memory_mib: int, more_bytes: int = 0) -> tuple[Refusal, ...]:
    """Return why `image` does not fit into a machine's memory; empty when it may.

    `more_bytes` is what it takes beside its files and its root task. What user space allocates is not known.
    """
    wanted_mib = -(-(image.memory_bytes + more_bytes) // _MIB)
    if image.kind == "linux" or wanted_mib <= memory_mib:
        return ()
    return (
        Refusal(
            "memory-short",
            f"the image takes {wanted_mib} MiB before anything runs, and the machine has {memory_mib} MiB",
            f"give it more: --memory {wanted_mib} is the least",
        ),
    )


def refuse(image: Image, firmware: Firmware, loader: str) -> None:
    """Raise ImageError when `image` cannot boot: the first refusal as sentence, the others in the hint."""
    refusals = check(image, firmware, loader)
    if refusals:
        first, *others = refusals
        hint = first.fix + "".join(f"; also: {other.message}" for other in others)
        raise ImageError(first.message, hint=hint)


def loaders_for(image: Image, firmware: Firmware) -> tuple[str, ...]:
    """Return the loaders that nothing here speaks against, of "ipxe" and "grub"."""
    return tuple(loader for loader in LOADERS if not check(image, firmware, loader))


# Both kinds.


def _files(image: Image) -> Iterator[Refusal]:
    for file in (image.kernel, *image.modules):
        if file.content is Content.EMPTY:
            yield Refusal(
                "empty-file", f"{file.name} is empty", "build or copy it again: the disk may be full"
            )
        elif file.size >= _FOUR_GIB:
            yield Refusal(
                "file-too-large",
                f"{file.name} has {file.size / _FOUR_GIB * 4:.1f} GiB, and loaders place files below 4 GiB",
                "load less: large data belongs on a disk or a server",
            )


def _order(image: Image) -> Iterator[Refusal]:
    kernel = image.kernel
    for module in image.modules:
        by_name = ROOT_TASK_NAME.fullmatch(kernel.name) and KERNEL_NAME.fullmatch(module.name)
        if by_name or _better_kernel(module.content, kernel.content):
            others = [file.name for file in (kernel, *image.modules) if file is not module]
            yield Refusal(
                "swapped",
                f"the kernel is not named first: {kernel.name} is a {kernel.content}, "
                f"{module.name} a {module.content}",
                f"name them in the order {' '.join([module.name, *others])}",
            )
            return
        if module.sha256 == kernel.sha256:
            yield Refusal(
                "kernel-twice", f"{module.name} is the kernel itself", "name the root task after the kernel"
            )
            return


def _better_kernel(module: Content, kernel: Content) -> bool:
    if module is Content.MULTIBOOT:
        return kernel is not Content.MULTIBOOT
    # Beside an ELF kernel that only lacks its header, a bzImage is rightly a module (Xen and its dom0).
    return module is Content.LINUX and kernel in (Content.ARCHIVE, Content.OTHER)


# Multiboot.


def _headers(image: Image, firmware: Firmware, loader: str) -> Iterator[Refusal]:
    if image.multiboot1 is None and image.multiboot2 is None:
        yield _no_header(image)
    elif loader == "ipxe":
        yield from _ipxe_header(image, firmware)
    elif image.multiboot2 is not None:
        yield from _multiboot2(image)
    elif firmware is Firmware.UEFI:
        yield Refusal(
            "multiboot1-on-uefi",
            f"{image.kernel.name} has only a multiboot 1 header, and under UEFI such a kernel "
            f"finds no ACPI tables{_miss_text(image, 2)}",
            "build the kernel with a multiboot 2 header (seL4: KernelMultiboot2Header ON), "
            "or boot under BIOS (CSM)",
        )
    else:
        yield from _multiboot1_flags(image)


def _no_header(image: Image) -> Refusal:
    name, content = image.kernel.name, image.kernel.content
    for version in (1, 2):
        miss = _miss(image, version)
        if miss is not None:
            code = f"multiboot{version}-{miss.reason.name.lower()}"
            return Refusal(code, miss.sentence(name), miss.cure)
    if image.elf_fault:
        return _damaged(image.elf_fault)
    what = f"{name} is no kernel that a loader knows, but a {content}"
    fix = "name a kernel with a multiboot header, or a Linux bzImage"
    if content in (Content.ELF32, Content.ELF64):
        what = f"{name} has no multiboot header in its first {LIMITS[1]} bytes ({LIMITS[2]} for version 2)"
        fix = "name the kernel first; of Linux, name arch/x86/boot/bzImage and not vmlinux"
    return Refusal("no-header", what, fix)


def _miss(image: Image, version: int) -> NearMiss | None:
    return next((miss for miss in image.near_misses if miss.version == version), None)


def _miss_text(image: Image, version: int) -> str:
    miss = _miss(image, version)
    return f"; {miss.sentence('it')}" if miss else ""


def _ipxe_header(image: Image, firmware: Firmware) -> Iterator[Refusal]:
    if firmware is Firmware.UEFI:
        yield Refusal(
            "ipxe-on-uefi",
            "iPXE starts multiboot kernels under BIOS only (ipxe#577)",
            "take GRUB (--loader grub), or boot under BIOS (CSM)",
        )
    elif image.multiboot1 is None:
        yield Refusal(
            "no-multiboot1",
            f"{image.kernel.name} has no multiboot 1 header, and iPXE knows no other{_miss_text(image, 1)}",
            "take GRUB (--loader grub), or build the kernel with KernelMultiboot1Header ON",
        )
    else:
        yield from _multiboot1_flags(image)


def _multiboot1_flags(image: Image) -> Iterator[Refusal]:
    header = image.multiboot1
    if header is not None and header.unknown_requirements:
        yield Refusal(
            "multiboot1-flags",
            f"{image.kernel.name} requires multiboot 1 features that no loader has "
            f"(flags {header.unknown_requirements:#x})",
            "leave bits 3 to 15 of the header's flags clear",
        )


def _multiboot2(image: Image) -> Iterator[Refusal]:
    header = image.multiboot2
    if header is None:
        return
    if header.fault:
        yield Refusal(
            "multiboot2-tags",
            f"the multiboot 2 header of {image.kernel.name} is damaged: {header.fault}",
            "every tag starts at a multiple of 8, and the last one has type 0 and size 8",
        )
    elif unknown := unknown_to_grub(header):
        yield Refusal(
            "multiboot2-unknown",
            f"GRUB refuses the multiboot 2 header of {image.kernel.name}: {unknown}",
            "mark that tag optional (flag bit 0), or leave it out",
        )


def _elf(image: Image, loader: str) -> Iterator[Refusal]:
    by_version2 = loader == "grub" and image.multiboot2 is not None
    header = image.multiboot2 if by_version2 else image.multiboot1
    # With load addresses in the header, GRUB does not look at ELF, and iPXE takes them where ELF fails.
    if header is None or header.raw:
        return
    elf, name = image.elf, image.kernel.name
    if image.elf_fault:
        yield _damaged(image.elf_fault)
    elif elf is None:
        yield Refusal(
            "not-elf",
            f"{name} has a multiboot header, but is neither ELF nor says where to load it",
            "link the kernel as ELF, or give its header load addresses",
        )
    elif loader == "ipxe" and elf.bits == 64:
        yield Refusal(
            "elf64-by-ipxe",
            f"{name} is ELF64, and iPXE loads ELF32 only",
            "take GRUB (--loader grub), or convert it: objcopy -O elf32-i386, as seL4's build does",
        )
    elif why := against_grub(elf, LIMITS[2 if by_version2 else 1]) if loader == "grub" else against_ipxe(elf):
        yield Refusal("elf-unloadable", f"{name} cannot be loaded: {why}", "link the kernel again")


def _damaged(fault: str) -> Refusal:
    return Refusal("elf-damaged", fault, "copy the file again, or build it again")


def _modules(image: Image) -> Iterator[Refusal]:
    name = image.kernel.name
    if (image.is_sel4 or image.is_standin) and not image.modules:
        what = "root task" if image.is_sel4 else "module"
        yield Refusal(
            "no-module",
            f"{name} needs a {what} as its first module, and none is named",
            "name it after the kernel, as in capdl-loader-image-x86_64-pc99",
        )
    elif image.is_sel4:
        yield from _root_task(image)


def _root_task(image: Image) -> Iterator[Refusal]:
    root = image.modules[0]
    if root.content not in (Content.ELF32, Content.ELF64):
        yield Refusal(
            "root-task-not-elf",
            f"seL4 takes its first module as the root task, and {root.name} is a {root.content}",
            "name the root task (capdl-loader-image-x86_64-pc99) right after the kernel, not compressed",
        )
        return
    named = KERNEL_NAME.fullmatch(image.kernel.name)
    wanted = {"x86_64": Content.ELF64, "ia32": Content.ELF32}[named[1]] if named else root.content
    if root.content is not wanted:
        yield Refusal(
            "root-task-class",
            f"{image.kernel.name} needs a {wanted} as its root task, and {root.name} is a {root.content}",
            "take kernel and root task from the same build",
        )


# Linux.


def _linux(image: Image, firmware: Firmware, loader: str) -> Iterator[Refusal]:
    header, kernel = image.linux, image.kernel
    if header is None:
        return
    # The header counts in paragraphs of 16 bytes, and not every maker fills the last one.
    if header.file_size is not None and kernel.size <= header.file_size - 16:
        yield Refusal(
            "linux-cut-off",
            f"{kernel.name} is cut off: it has {kernel.size} bytes and says it has {header.file_size}",
            "copy the file again",
        )
    if header.protocol < (2, 3) or not header.loaded_high:
        yield Refusal(
            "linux-too-old",
            f"{kernel.name} has {image.headers} and cannot be started in 32-bit mode",
            "take a kernel of this century (bzImage)",
        )
    if firmware is Firmware.UEFI and loader == "ipxe" and not header.efi_stub:
        yield Refusal(
            "linux-no-efi-stub",
            f"{kernel.name} has no EFI stub, and under UEFI iPXE starts nothing else",
            "take GRUB (--loader grub), or build the kernel with CONFIG_EFI_STUB",
        )
    if len(image.kernel_args) > header.command_line_max:
        yield Refusal(
            "linux-args-too-long",
            f"the command line has {len(image.kernel_args)} characters, and {kernel.name} takes "
            f"{header.command_line_max}",
            "shorten it",
        )


# Cautions.


def cautions(
    image: Image, console_port: int | None = None, reader: str = "Serial-over-LAN"
) -> tuple[Caution, ...]:
    """Return what is worth a word and is no reason to stop.

    `console_port` is the I/O port of the board's UART that the console reads, `reader` what reads it.
    """
    found = _linux_cautions(image) if image.kind == "linux" else _multiboot_cautions(image)
    return (*found, *(_console_cautions(image, console_port, reader) if console_port is not None else ()))


def _console_cautions(image: Image, console_port: int, reader: str) -> Iterator[Caution]:
    """Tell console words of an seL4 kernel that name another UART than the one we read (C45)."""
    for word in image.kernel_args.split() if image.is_sel4 or image.is_standin else ():
        name, _, value = word.partition("=")
        if name not in SEL4_PORT_WORDS:
            continue
        try:
            elsewhere = int(value, 0) != console_port
        except ValueError:
            elsewhere = True
        if elsewhere:
            yield Caution(
                "console-elsewhere",
                f"the kernel is told {word}, and {reader} reads {console_port:#x}",
                f"write {name}={console_port:#x}, or leave it out",
            )


def _linux_cautions(image: Image) -> Iterator[Caution]:
    if not image.modules:
        yield Caution("no-initrd", "no initrd is named", "without one, the kernel needs a root= it can mount")
    for module in image.modules:
        if module.content is not Content.ARCHIVE:
            yield Caution(
                "initrd-unknown",
                f"{module.name} is a {module.content}, and Linux unpacks cpio archives",
                "name an initrd made by initramfs-tools, dracut or buildroot (cpio)",
            )


def _multiboot_cautions(image: Image) -> Iterator[Caution]:
    name = image.kernel.name
    if not image.modules and image.family not in ("sel4", "stand-in", "firmware-probe"):
        yield Caution("no-module", f"{name} starts without any module", "most kernels need one, Xen its dom0")
    if image.is_sel4 and len(image.modules) > 1:
        ignored = ", ".join(module.name for module in image.modules[1:])
        yield Caution("extra-modules", f"seL4 starts the first module only, not {ignored}", "leave them out")
    segments = sorted(image.elf.segments, key=lambda segment: segment.physical) if image.elf else []
    for below, above in pairwise(segments):
        if above.physical < below.physical_end:
            yield Caution(
                "segments-overlap",
                f"two segments of {name} overlap at {above.physical:#x}",
                "link the kernel again; GRUB may find no memory for it",
            )
    if segments and segments[0].physical < _MIB:
        yield Caution(
            "below-1-mib",
            f"{name} loads to {segments[0].physical:#x}, below 1 MiB, where firmware and loaders live",
            "link the kernel at 1 MiB or above",
        )
