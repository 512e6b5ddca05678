"""Which loader takes an image from the firmware to its kernel, and the script that loader runs (pure).

    ipxe      iPXE fetches kernel and modules and starts them
    grub      GRUB fetches kernel and modules and starts them
    efi       iPXE fetches one boot image over HTTP: GRUB, kernel and modules in one EFI program
    efi-tftp  the firmware fetches that boot image itself

iPXE starts multiboot 1 on BIOS only, at most 8 modules, all command lines together in 512 bytes, and it
silently cuts what is longer (iPXE src/arch/x86/image/multiboot.c, ipxe#577). GRUB starts everything, and is
the only one that loads multiboot 2, which is the only way a seL4 kernel finds its ACPI tables under UEFI
(seL4 boot_sys.c; seL4#178).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from bringup.base.assets import asset
from bringup.base.errors import ImageError, UsageError
from bringup.base.firmware import LOADER_CHOICES, Firmware, LoaderName
from bringup.base.grub import MEMDISK
from bringup.base.once import made_once
from bringup.netboot.spec import BOOT_IMAGE, Protocol, Route, Starter, Transport

IPXE_MODULES_MAX = 8
IPXE_COMMAND_LINES_MAX_BYTES = 512
ATTEMPTS = 3
RETRY_PAUSE_S = 2

# The fastest first. 64 MiB on the virtual board (QEMU 7.2 TCG): iPXE 0.7 s by HTTP and 3.6 s by TFTP; GRUB
# 16 s by HTTP and 10 s by TFTP under BIOS, 13 s and 9 s under UEFI. GRUB's TCP has a window of 8 KiB.
_TRANSPORTS: dict[LoaderName, tuple[Transport, ...]] = {
    "ipxe": ("http", "tftp"),
    "grub": ("tftp", "http"),
    "efi": ("http",),
    "efi-tftp": ("tftp",),
}

# GRUB's heap under UEFI is a quarter of the memory (GRUB grub-core/kern/efi/mm.c), and what it loads from a
# boot image lies there twice: in its memory disk, and where it is put for the kernel. Memory above 2 GiB is
# not counted on: with 4 GiB the twin (OVMF 2022.11, GRUB 2.06) booted 250 MiB, and 450 MiB were too much.
_BOOT_IMAGE_SHARE = 8
_BOOT_IMAGE_MAX_BYTES = 256 << 20
ASSUMED_MEMORY_BYTES = 2 << 30
"""What a board is taken to have where nobody knows."""

_PRINTABLE = re.compile(r"[ -~]*")
_SAFE_NAME = re.compile(r"[^A-Za-z0-9._+-]")
_NAME_MAX = 48
_OTHER_LOADER = "--loader grub, or auto"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class BootSet:
    """What is loaded, in order: (URL path, command line) of the kernel and of each module or initrd.

    `size` is that of all of them, in bytes.
    """

    kernel: tuple[str, str]
    modules: tuple[tuple[str, str], ...]
    kind: Literal["multiboot", "linux"]
    multiboot1: bool = False
    multiboot2: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What the choice of a loader asks of a board: `memory_bytes` (None: not known), and whether its segment
    is this host's own.
    """

    memory_bytes: int | None = None
    own_segment: bool = True


@dataclass(frozen=True, slots=True)
class SerialLine:
    """The UART that Serial-over-LAN shows: `unit` counts from 0 (COM1), `baud` in bits per second."""

    unit: int = 1
    baud: int = 115200


def url_name(name: str, taken: Sequence[str] = ()) -> str:
    """Return the URL path for a file called `name`: its own name as far as scripts can carry it, unique."""
    clean = _SAFE_NAME.sub("-", name)[-_NAME_MAX:].lstrip(".-_+") or "file"
    path, number = f"/{clean}", 2
    while path in taken:
        path, number = f"/{number}-{clean}", number + 1
    return path


def choose_route(
    firmware: Firmware,
    boot: BootSet,
    forced: str = "auto",
    transport: Transport | None = None,
    target: Target = Target(),
) -> Route:
    """Return the route for this image, or raise why there is none.

    `forced` names a loader instead of letting image and board decide. Raises UsageError for a combination
    that somebody asked for and that cannot work, ImageError when no loader can start this image.
    """
    loader, why = _choose(firmware, boot, forced, target)
    possible = _TRANSPORTS[loader]
    if transport is not None and transport not in possible:
        raise UsageError(f"the loader {loader} does not load by {transport}", hint=f"by {possible[0]}")
    return Route(firmware, loader, _protocol(firmware, boot, loader), transport or possible[0], why)


def _choose(firmware: Firmware, boot: BootSet, forced: str, target: Target) -> tuple[LoaderName, str]:
    """Return the loader, and why it is this one."""
    against_ipxe, against_grub = _against_ipxe(firmware, boot), _against_grub(firmware, boot)
    if against_grub and (forced not in ("auto", "ipxe") or against_ipxe):
        if forced == "ipxe":
            raise UsageError(f"iPXE cannot start this image: {against_ipxe}", hint=_OTHER_LOADER)
        raise ImageError(f"no loader can start this image: {against_grub}")
    against_one_file = _against_boot_image(firmware, boot, target)
    if forced != "auto":
        return _asked(forced, boot, against_ipxe, against_one_file), "as asked"
    if firmware is Firmware.BIOS and not against_ipxe:
        return "ipxe", "the fastest under BIOS"
    _refuse_unsafe(boot, "grub")
    if firmware is Firmware.BIOS:
        return "grub", f"not iPXE: {against_ipxe}"
    if against_one_file:
        return "grub", against_one_file
    if target.own_segment:
        return "efi", "the fastest under UEFI"
    return "efi-tftp", "on a shared LAN iPXE would wait 13 s for an IPv6 router"


def _asked(forced: str, boot: BootSet, against_ipxe: str | None, against_one_file: str | None) -> LoaderName:
    """Return the loader that somebody named; raises UsageError when it cannot be that one."""
    loader = next((name for name in _TRANSPORTS if name == forced), None)
    if loader is None:
        raise UsageError(f"no such loader: {forced}", hint=", ".join(LOADER_CHOICES))
    if loader == "ipxe" and against_ipxe:
        raise UsageError(f"iPXE cannot start this image: {against_ipxe}", hint=_OTHER_LOADER)
    if loader in ("efi", "efi-tftp") and against_one_file:
        raise UsageError(f"--loader {loader} cannot boot this: {against_one_file}", hint=_OTHER_LOADER)
    if loader != "ipxe":
        _refuse_unsafe(boot, "grub")
    return loader


def _refuse_unsafe(boot: BootSet, starter: Starter) -> None:
    if unsafe := _unsafe(boot, starter):
        raise UsageError(unsafe, hint="change --append, or `append` in the image's bringup.toml")


def _against_boot_image(firmware: Firmware, boot: BootSet, target: Target) -> str | None:
    if firmware is not Firmware.UEFI:
        return "it makes an EFI program, and this boot is under BIOS"
    memory = target.memory_bytes or ASSUMED_MEMORY_BYTES
    limit = min(memory // _BOOT_IMAGE_SHARE, _BOOT_IMAGE_MAX_BYTES)
    if boot.size <= limit:
        return None
    assumed = "" if target.memory_bytes else ", which nobody told and is assumed"
    return (
        f"kernel and modules take {boot.size / _MIB:.0f} MiB, and a boot image may carry "
        f"{limit / _MIB:.0f} MiB on a board with {memory / _MIB:.0f} MiB of memory{assumed}"
    )


def _protocol(firmware: Firmware, boot: BootSet, loader: LoaderName) -> Protocol:
    if boot.kind == "linux":
        return "linux"
    # Under BIOS both work; multiboot 2 also tells the kernel where ACPI is, so GRUB prefers it.
    return "multiboot2" if loader != "ipxe" and boot.multiboot2 else "multiboot"


def _against_ipxe(firmware: Firmware, boot: BootSet) -> str | None:
    if unsafe := _unsafe(boot, "ipxe"):
        return unsafe
    if boot.kind == "linux":
        return None
    if firmware is Firmware.UEFI:
        return "its multiboot support exists for BIOS only (ipxe#577)"
    if not boot.multiboot1:
        return "it has no multiboot 1 header, and iPXE knows no other"
    if len(boot.modules) > IPXE_MODULES_MAX:
        return f"it has {len(boot.modules)} modules, and iPXE takes {IPXE_MODULES_MAX}"
    # iPXE puts the file's URL before each command line and a NUL behind it; the server's part is generous.
    lines = [boot.kernel, *boot.modules]
    size = sum(len("http://255.255.255.255:65535") + len(url) + len(args) + 2 for url, args in lines)
    if size > IPXE_COMMAND_LINES_MAX_BYTES:
        return (
            f"its command lines take {size} bytes with their names, "
            f"and iPXE has room for {IPXE_COMMAND_LINES_MAX_BYTES}"
        )
    return None


def _against_grub(firmware: Firmware, boot: BootSet) -> str | None:
    if boot.kind == "linux" or boot.multiboot2:
        return None
    if not boot.multiboot1:
        return "it has neither a multiboot 1 nor a multiboot 2 header"
    if firmware is Firmware.UEFI:
        return "it has only a multiboot 1 header, and under UEFI that kernel would find no ACPI tables"
    return None


def render_script(boot: BootSet, route: Route, base_url: str) -> str:
    """Return the script of the program that starts the kernel; `base_url` as in `http://10.55.0.1:8080`.

    That of a boot image lies in it, and names the files there. Raises UsageError for a command line the
    loader could not hand over as it is.
    """
    _refuse_unsafe(boot, route.starter)
    server = _server(route, base_url)
    if route.one_file:
        base = MEMDISK
    else:
        base = f"({route.transport},{server})" if route.starter == "grub" else f"{route.transport}://{server}"
    template = "pxe/grub.cfg.j2" if route.starter == "grub" else "pxe/boot.ipxe.j2"
    return render(template, boot=boot, route=route, base=base, attempts=ATTEMPTS, pause_s=RETRY_PAUSE_S)


def render_fetch_script(boot: BootSet, base_url: str) -> str:
    """Return the script by which iPXE fetches and starts a boot image."""
    return render(
        "pxe/fetch.ipxe.j2",
        boot=boot,
        url=f"{base_url}{BOOT_IMAGE}",
        attempts=ATTEMPTS,
        pause_s=RETRY_PAUSE_S,
    )


def _server(route: Route, base_url: str) -> str:
    server = base_url.removeprefix("http://")
    # Both loaders speak TFTP to port 69 only; the port in the URL is HTTP's.
    return server.partition(":")[0] if route.transport == "tftp" else server


def unsafe_args(args: str, loader: Starter) -> str | None:
    """Return why `loader` would change this command line or take part of it as commands, else None."""
    if not _PRINTABLE.fullmatch(args):
        return f"the image's command line may hold printable ASCII only, not {args!r}"
    if loader == "grub":
        bad = next((char for char in args if char in "\"'\\"), None)
        return f"GRUB rewrites quotes and backslashes, and {args!r} has {bad}" if bad else None
    if "${" in args:
        return f"iPXE would replace ${{...}} in {args!r}"
    for word in args.split():
        if word in ("||", "&&", ";") or word.startswith("#"):
            return f"iPXE would take {word} in {args!r} as its own"
    return None


def _unsafe(boot: BootSet, loader: Starter) -> str | None:
    return next(filter(None, (unsafe_args(args, loader) for _, args in (boot.kernel, *boot.modules))), None)


@cache
def _environment() -> Any:
    # Imported here: it costs 5 MiB, and the serving process needs it for one file only.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: asset(name).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        # What is rendered is loader scripts, whose quoting is theirs; every value is checked before.
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["grub_words"] = grub_words
    environment.filters["name"] = lambda url: url.lstrip("/")
    return environment


@made_once()
def _template(name: str) -> Any:
    return _environment().get_template(name)


def render(template: str, **values: Any) -> str:
    """Return an asset such as `pxe/grub.cfg.j2` filled in; unknown names in it are errors."""
    text: str = _template(template).render(**values)
    return text


def grub_words(args: str) -> str:
    """Return a command line as GRUB words, each in single quotes, inside which nothing is special."""
    return " ".join(f"'{word}'" for word in args.split())
