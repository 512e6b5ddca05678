"""Which loader takes an image from the firmware to its kernel, and the script that loader runs (pure).

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
from bringup.base.firmware import Firmware
from bringup.netboot.spec import LoaderName, Protocol, Route, Transport

IPXE_MODULES_MAX = 8
IPXE_COMMAND_LINES_MAX_BYTES = 512
ATTEMPTS = 3
RETRY_PAUSE_S = 2

# 64 MiB on the virtual board (QEMU 7.2 TCG): iPXE 0.7 s by HTTP and 3.6 s by TFTP; GRUB 16 s by HTTP and 10 s
# by TFTP under BIOS, 13 s and 9 s under UEFI. GRUB's TCP has a window of 8 KiB.
_FASTEST_TRANSPORT: dict[LoaderName, Transport] = {"ipxe": "http", "grub": "tftp"}

_PRINTABLE = re.compile(r"[ -~]*")
_SAFE_NAME = re.compile(r"[^A-Za-z0-9._+-]")
_NAME_MAX = 48


@dataclass(frozen=True, slots=True)
class BootSet:
    """What is loaded, in order: (URL path, command line) of the kernel and of each module or initrd."""

    kernel: tuple[str, str]
    modules: tuple[tuple[str, str], ...]
    kind: Literal["multiboot", "linux"]
    multiboot1: bool = False
    multiboot2: bool = False


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
    firmware: Firmware, boot: BootSet, forced: str = "auto", transport: Transport | None = None
) -> Route:
    """Return the route for this image, or raise why there is none.

    `forced` names a loader instead of letting the image decide. Raises UsageError for a combination that
    somebody asked for and that cannot work, ImageError when no loader can start this image.
    """
    if forced not in ("auto", "ipxe", "grub"):
        raise UsageError(f"no such loader: {forced}", hint="auto, ipxe or grub")
    against_ipxe = _against_ipxe(firmware, boot)
    against_grub = _against_grub(firmware, boot)
    if forced == "ipxe" and against_ipxe:
        raise UsageError(f"iPXE cannot start this image: {against_ipxe}", hint="--loader grub, or auto")
    if against_grub and (forced == "grub" or against_ipxe):
        raise ImageError(f"no loader can start this image: {against_grub}")
    loader: LoaderName = "grub"
    if forced == "ipxe" or (forced == "auto" and firmware is Firmware.BIOS and not against_ipxe):
        loader = "ipxe"
    if loader == "grub" and (unsafe := _unsafe(boot, "grub")):
        raise UsageError(unsafe, hint="change the command line")
    return Route(firmware, loader, _protocol(firmware, boot, loader), transport or _FASTEST_TRANSPORT[loader])


def _protocol(firmware: Firmware, boot: BootSet, loader: LoaderName) -> Protocol:
    if boot.kind == "linux":
        return "linux"
    # Under BIOS both work; multiboot 2 also tells the kernel where ACPI is, so GRUB prefers it.
    return "multiboot2" if loader == "grub" and boot.multiboot2 else "multiboot"


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
    """Return the script of the route's loader; `base_url` as in `http://10.55.0.1:8080`.

    Raises UsageError for a command line the loader could not hand over as it is.
    """
    if unsafe := _unsafe(boot, route.loader):
        raise UsageError(unsafe)
    server = base_url.removeprefix("http://")
    if route.transport == "tftp":
        # Both loaders speak TFTP to port 69 only; the port in the URL is HTTP's.
        server = server.partition(":")[0]
    grub = route.loader == "grub"
    return render(
        "pxe/grub.cfg.j2" if grub else "pxe/boot.ipxe.j2",
        boot=boot,
        route=route,
        base=f"({route.transport},{server})" if grub else f"{route.transport}://{server}",
        attempts=ATTEMPTS,
        pause_s=RETRY_PAUSE_S,
    )


def unsafe_args(args: str, loader: LoaderName) -> str | None:
    """Return why `loader` would change this command line or take part of it as commands, else None."""
    if not _PRINTABLE.fullmatch(args):
        return f"a command line may hold printable ASCII only, not {args!r}"
    if loader == "grub":
        bad = next((char for char in args if char in "\"'\\"), None)
        return f"GRUB rewrites quotes and backslashes, and {args!r} has {bad}" if bad else None
    if "${" in args:
        return f"iPXE would replace ${{...}} in {args!r}"
    for word in args.split():
        if word in ("||", "&&", ";") or word.startswith("#"):
            return f"iPXE would take {word} in {args!r} as its own"
    return None


def _unsafe(boot: BootSet, loader: LoaderName) -> str | None:
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


def render(template: str, **values: Any) -> str:
    """Return an asset such as `pxe/grub.cfg.j2` filled in; unknown names in it are errors."""
    text: str = _environment().get_template(template).render(**values)
    return text


def grub_words(args: str) -> str:
    """Return a command line as GRUB words, each in single quotes, inside which nothing is special."""
    return " ".join(f"'{word}'" for word in args.split())
