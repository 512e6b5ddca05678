"""Makes an image of what a person names: a build's folder, or files in the order they are loaded.

Every file is read once, hashed while it is read. A kernel that came compressed (Debian's Xen) is unpacked
into the cache and served unpacked: GRUB unpacks only with a module that our loader leaves out, iPXE never.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bringup.base.errors import ImageError, LabError, UsageError
from bringup.base.paths import cache_dir
from bringup.base.whole_file import whole_file
from bringup.image.elf import ELF_MAGIC, Elf, VmCounter, memory_span, parse_elf
from bringup.image.linux import archive_format, parse_linux
from bringup.image.model import KERNEL_NAME, ROOT_TASK_NAME, BootFile, Content, Family, Image, Kind
from bringup.image.multiboot import (
    MULTIBOOT2_LIMIT,
    find_multiboot1,
    find_multiboot2,
    find_near_miss,
)
from bringup.image.needs import START_64_TEXT, Bits, KernelNeeds, kernel_needs
from bringup.image.suite import count_tests
from bringup.transcript.suite import DRIVER

# Far above any kernel there is, and small enough to be held in memory.
KERNEL_MAX = 256 << 20
_SUITE_MAX = 256 << 20
# Multiboot addresses have 32 bits, and a PC's devices take the upper quarter of them.
MODULE_MAX = 3 << 30
_CHUNK = 1 << 20
_NAMES_SHOWN = 8
_GZIP_MAGIC = b"\x1f\x8b"

# Texts inside kernels: seL4 boot_sys.c (debug builds), this project's own two, Xen common/kernel.c.
_SEL4_TEXT = b"Expect at least one boot module"
_STANDIN_TEXT = b"bringup stand-in image"
_PROBE_TEXT = b"bringup firmware probe, not seL4"
_XEN_TEXT = b"Xen version %d.%d"


def find_image(
    paths: Sequence[Path], *, append: str = "", extra_args: Sequence[str] = (), kernel_max: int = KERNEL_MAX
) -> Image:
    """Return the image that `paths` name: one folder, or a kernel and then its modules or initrd.

    The kernel's command line is `extra_args`, then `append`; a kernel has at most `kernel_max` bytes,
    unpacked, too. Whether the image can boot is another question (check.py). Raises UsageError when nothing
    is named or a name does not exist, ImageError when a folder holds no image or more than one, and when a
    file cannot be read or unpacked, LabError when an unpacked kernel cannot be kept.
    """
    kernel_path, *module_paths = _boot_set(paths)
    kernel, data = _read_kernel(kernel_path, kernel_max)
    family = _family(kernel, data)
    # Only a root task has VMMs in it, and only the first module becomes one (seL4 boot_sys.c).
    counter = VmCounter() if family in ("sel4", "other") else None
    modules = [_read_module(path, None if number else counter) for number, path in enumerate(module_paths)]
    elf, elf_fault = _elf(data, kernel.name)
    multiboot1, multiboot2 = find_multiboot1(data), find_multiboot2(data)
    misses = [
        find_near_miss(data, 1) if multiboot1 is None else None,
        find_near_miss(data, 2) if multiboot2 is None else None,
    ]
    return Image(
        kind=_kind(kernel, modules),
        family=family,
        kernel=kernel,
        modules=tuple(modules),
        kernel_args=" ".join([*extra_args, append]).strip(),
        multiboot1=multiboot1,
        multiboot2=multiboot2,
        near_misses=tuple(miss for miss in misses if miss is not None),
        elf=elf,
        elf_fault=elf_fault,
        linux=parse_linux(data),
        vms=counter.finish() if counter else None,
        needs=_needs(data, kernel, modules) if family == "sel4" else None,
        last_test=_last_test(modules[0]) if modules else None,
    )


def _last_test(module: BootFile) -> int | None:
    if DRIVER not in module.name or module.size > _SUITE_MAX:
        return None
    return count_tests(b"".join(_chunks(module.path)))


def _needs(data: bytes, kernel: BootFile, modules: Sequence[BootFile]) -> KernelNeeds:
    classes: dict[Content, Bits] = {Content.ELF32: 32, Content.ELF64: 64}
    bits = classes.get(modules[0].content) if modules else None
    if (named := KERNEL_NAME.fullmatch(kernel.name)) is not None:
        bits = 64 if named[1] == "x86_64" else 32
    return kernel_needs(data, bits)


def _family(kernel: BootFile, data: bytes) -> Family:
    if kernel.content is Content.LINUX:
        return "linux"
    if _STANDIN_TEXT in data:
        return "stand-in"
    if _PROBE_TEXT in data:
        return "firmware-probe"
    if KERNEL_NAME.fullmatch(kernel.name) or _SEL4_TEXT in data or START_64_TEXT in data:
        return "sel4"
    return "xen" if _XEN_TEXT in data else "other"


def _kind(kernel: BootFile, modules: Sequence[BootFile]) -> Kind:
    linux_is_module = any(module.content is Content.LINUX for module in modules)
    if kernel.content is Content.LINUX or (kernel.content is Content.ARCHIVE and linux_is_module):
        return "linux"
    return "multiboot"


def _elf(data: bytes, name: str) -> tuple[Elf | None, str | None]:
    try:
        return parse_elf(data, name), None
    except ImageError as error:
        return None, error.message


def classify(head: bytes) -> Content:
    """Return what a file is by its first bytes (32 KiB are enough for every kind)."""
    if not head:
        return Content.EMPTY
    if parse_linux(head):
        return Content.LINUX
    if find_multiboot1(head) or find_multiboot2(head):
        return Content.MULTIBOOT
    if head.startswith(ELF_MAGIC):
        return Content.ELF64 if head[4:5] == b"\x02" else Content.ELF32
    if _has_packed_multiboot(head):
        return Content.MULTIBOOT
    return Content.ARCHIVE if archive_format(head) else Content.OTHER


def _has_packed_multiboot(head: bytes) -> bool:
    if not head.startswith(_GZIP_MAGIC):
        return False
    try:
        begin = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, MULTIBOOT2_LIMIT)
    except zlib.error:
        return False
    return bool(find_multiboot1(begin) or find_multiboot2(begin))


# Which files.


def folders_of(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the folders that belong to the image that `paths` name, nearest first: its own, its build's."""
    if not paths:
        return ()
    named = paths[0] if _is_folder(paths[0]) else paths[0].parent
    named = named.absolute()
    inside = [named / "images"] if _is_folder(paths[0]) and _is_folder(named / "images") else []
    return (*inside, named, *([named.parent] if named.name == "images" else []))


def _boot_set(paths: Sequence[Path]) -> tuple[Path, ...]:
    if not paths:
        raise UsageError("no image is named", hint="name a build's folder, or KERNEL MODULE...")
    if len(paths) == 1 and _is_folder(paths[0]):
        return _in_folder(paths[0])
    return tuple(paths)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # Not ours to look at; opening it says why.
        return False


def _in_folder(folder: Path) -> tuple[Path, ...]:
    places = [folder, folder / "images"]
    listings = [_names(place) for place in places if _is_folder(place)]
    # A CAmkES VM build also leaves its guests' bzImage and initrd about: seL4 goes first.
    for sets in (_sel4_sets, _linux_sets):
        found = [boot_set for files in listings for boot_set in sets(files)]
        if len(found) > 1:
            choices = "; ".join(" + ".join(_shown(folder, path) for path in each) for each in found)
            raise ImageError(
                f"{_printable(str(folder))} holds {len(found)} images: {choices}",
                hint="name the files of one of them, in this order",
            )
        if found:
            return found[0]
    raise ImageError(
        f"{_printable(str(folder))} holds no image: {_inventory(folder, listings)}",
        hint="an image is kernel-x86_64-pc99 and capdl-loader-image-x86_64-pc99, here or in images/, "
        "or one bzImage or vmlinuz and one initrd; or name KERNEL MODULE... yourself",
    )


def _names(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise ImageError(f"{_printable(str(folder))} cannot be read: {error.strerror}") from None
    # A name and its symbolic link (vmlinuz, initrd.img) are one file.
    by_target = {path.resolve(): path for path in reversed(files)}
    return sorted(by_target.values())


def _sel4_sets(files: Sequence[Path]) -> list[tuple[Path, ...]]:
    sets: list[tuple[Path, ...]] = []
    for kernel in files:
        if match := KERNEL_NAME.fullmatch(kernel.name):
            roots = [path for path in files if _architecture(ROOT_TASK_NAME, path) == match[1]]
            sets += [(kernel, root) for root in roots]
    return sets


def _architecture(pattern: re.Pattern[str], path: Path) -> str | None:
    match = pattern.fullmatch(path.name)
    return match[1] if match else None


def _linux_sets(files: Sequence[Path]) -> list[tuple[Path, ...]]:
    kernels = [path for path in files if path.name.lower().startswith(("bzimage", "vmlinuz"))]
    initrds = [path for path in files if path.name.lower().startswith(("initrd", "initramfs", "rootfs.cpio"))]
    return [(kernel, initrd) for kernel in kernels for initrd in initrds]


def _inventory(folder: Path, listings: Sequence[Sequence[Path]]) -> str:
    shown = [_shown(folder, path) for files in listings for path in files]
    more = f" and {len(shown) - _NAMES_SHOWN} more" if len(shown) > _NAMES_SHOWN else ""
    return f"found {', '.join(shown[:_NAMES_SHOWN])}{more}" if shown else "it has no files"


def _shown(folder: Path, path: Path) -> str:
    return _printable(str(path.relative_to(folder)))


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)


# Reading them.


def _read_kernel(path: Path, limit: int) -> tuple[BootFile, bytes]:
    parts: list[bytes] = []
    size = 0
    changed_ns = _changed_ns(path)
    for chunk in _chunks(path):
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise ImageError(
                f"{_printable(path.name)} has more than {limit >> 20} MiB, and no kernel is that large",
                hint="the kernel is named first, then its modules",
            )
    data = b"".join(parts)
    name = _printable(path.name)
    if _has_packed_multiboot(data[:MULTIBOOT2_LIMIT]):
        data = _unpacked(data, name, limit)
        name = name.removesuffix(".gz") or "kernel"
        path = _in_cache(data, name)
        changed_ns = _changed_ns(path)
    digest = hashlib.sha256(data).hexdigest()
    return BootFile(path.absolute(), name, len(data), digest, classify(data), changed_ns), data


def _read_module(path: Path, counter: VmCounter | None) -> BootFile:
    digest = hashlib.sha256()
    size = 0
    content = Content.EMPTY
    span = None
    changed_ns = _changed_ns(path)
    for chunk in _chunks(path):
        if not size:
            content = classify(chunk[:MULTIBOOT2_LIMIT])
            span = memory_span(chunk)
        size += len(chunk)
        if size > MODULE_MAX:
            raise ImageError(
                f"{_printable(path.name)} has more than {MODULE_MAX >> 30} GiB, "
                "and loaders place modules below 4 GiB",
                hint="is this the right file?",
            )
        digest.update(chunk)
        if counter:
            counter.feed(chunk)
    name = _printable(path.name)
    return BootFile(path.absolute(), name, size, digest.hexdigest(), content, changed_ns, span)


def _changed_ns(path: Path) -> int | None:
    try:
        return path.stat().st_ctime_ns
    except (OSError, ValueError):
        return None  # reading it says what is wrong


def _chunks(path: Path) -> Iterator[bytes]:
    name = _printable(str(path))
    try:
        # O_NONBLOCK: a pipe with no writer must not hold us up before we can see that it is one.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise UsageError(f"{name} does not exist") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be read: {_reason(error)}") from None
    try:
        _check_regular(os.fstat(descriptor).st_mode, name)
        while chunk := os.read(descriptor, _CHUNK):
            yield chunk
    except OSError as error:
        raise ImageError(f"{name} cannot be read: {_reason(error)}") from None
    finally:
        os.close(descriptor)


def _check_regular(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise ImageError(f"{name} is a folder where a file is needed", hint="name one folder alone, or files")
    if not stat.S_ISREG(mode):
        raise ImageError(f"{name} is not a regular file")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or "unknown error") if isinstance(error, OSError) else "a name has no NUL in it"


def _unpacked(data: bytes, name: str, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(limit + 1)
    except (OSError, EOFError, zlib.error):
        raise ImageError(
            f"{name} is a damaged gzip file", hint="copy the file again, or build it again"
        ) from None
    if len(unpacked) > limit:
        raise ImageError(f"{name} unpacks to more than {limit >> 20} MiB, and no kernel is that large")
    return unpacked


def _in_cache(data: bytes, name: str) -> Path:
    """Return the path of a file in the cache, called `name`, with just these bytes; written if need be."""
    folder = cache_dir() / "kernels" / hashlib.sha256(data).hexdigest()[:16]
    target = folder / name
    try:
        if target.is_file() and target.read_bytes() == data:
            return target  # somebody may be booting it: rewritten, it would no longer be the file they hashed
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(target, first_stays=not target.exists()) as file:
            file.write(data)
    except OSError as error:
        raise LabError(f"{target} cannot be written: {error.strerror}") from None
    return target
