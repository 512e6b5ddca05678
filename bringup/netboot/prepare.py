"""From an image and a place on the network to everything that one boot serves, on disk and as a spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bringup.base.errors import MissingProgramError
from bringup.base.firmware import Firmware
from bringup.base.grub import GRUB_DIR
from bringup.netboot.boot_image import Content, boot_image
from bringup.netboot.grub import core_image
from bringup.netboot.loaders import (
    BootSet,
    SerialLine,
    Target,
    choose_route,
    render_fetch_script,
    render_script,
    url_name,
)
from bringup.netboot.spec import (
    BOOT_IMAGE,
    Role,
    Route,
    Segment,
    ServedFile,
    ServeSpec,
    Transport,
    Upload,
    Visits,
)


@dataclass(frozen=True, slots=True)
class LoaderFolders:
    """Where the distribution installs the loaders."""

    ipxe: Path = Path("/usr/lib/ipxe")
    grub: Path = GRUB_DIR


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file of the image: the kernel, a module or an initrd, with its command line; `size` in bytes."""

    path: Path
    size: int
    args: str = ""
    sha256: str | None = None
    changed_ns: int | None = None


@dataclass(frozen=True, slots=True)
class BootImage:
    """What of an image matters for loading it; modules (Linux: initrds) in the order they are loaded."""

    kernel: LoadedFile
    modules: tuple[LoadedFile, ...]
    kind: Literal["multiboot", "linux"]
    multiboot1: bool = False
    multiboot2: bool = False


def boot_set(image: BootImage) -> BootSet:
    """Return the image under the names it will be served by (pure)."""
    taken: list[str] = []
    for file in (image.kernel, *image.modules):
        taken.append(url_name(file.path.name, (*taken, *_RESERVED)))
    modules = tuple(zip(taken[1:], (file.args for file in image.modules), strict=True))
    size = sum(file.size for file in (image.kernel, *image.modules))
    return BootSet(
        (taken[0], image.kernel.args), modules, image.kind, image.multiboot1, image.multiboot2, size
    )


# Names that the loaders' own files have.
_RESERVED = (BOOT_IMAGE, "/core.0", "/core.efi", "/grub.cfg", "/boot.ipxe", "/undionly.kpxe", "/snponly.efi")


def prepare(
    image: BootImage,
    segment: Segment,
    folder: Path,
    *,
    firmware: Firmware,
    loader: str = "auto",
    serial: SerialLine | None = None,
    transport: Transport | None = None,
    upload: Upload | None = None,
    visits: Visits | None = None,
    memory_bytes: int | None = None,
    loaders: LoaderFolders = LoaderFolders(),
) -> ServeSpec:
    """Choose the route, write its script into `folder` (which exists) and return what is to be served.

    `memory_bytes` is the board's, None where nobody knows. Raises UsageError, ImageError, ProfileError,
    LabError or MissingProgramError; nothing is started or sent.
    """
    names = boot_set(image)
    target = Target(memory_bytes, segment.own_segment)
    route = choose_route(firmware, names, loader, transport, target)
    parts = _parts(image, names)
    script = render_script(names, route, segment.base_url)
    serial = serial or SerialLine()
    if route.one_file:
        made = boot_image(Content(parts, script, serial), grub_dir=loaders.grub)
        parts = [_served(BOOT_IMAGE, made, "boot-image")]
        script = render_fetch_script(names, segment.base_url)
    files = [*parts, *_loader_files(route, serial, segment.server_ip, loaders)]
    if route.script is not None:
        path = folder / route.script.lstrip("/")
        path.write_text(script, encoding="ascii")
        files.append(_served(route.script, path, "loader-script"))
    return ServeSpec(segment, tuple(files), route, upload, visits)


def _parts(image: BootImage, names: BootSet) -> list[ServedFile]:
    """Return kernel and modules as they are served, or put into a boot image."""
    module_role: Role = "initrd" if image.kind == "linux" else "module"
    urls = [names.kernel[0], *(url for url, _ in names.modules)]
    roles: list[Role] = ["kernel", *([module_role] * len(image.modules))]
    return [
        ServedFile(url, file.path.absolute(), role, file.size, file.sha256, file.changed_ns)
        for url, role, file in zip(urls, roles, (image.kernel, *image.modules), strict=True)
    ]


def _served(url: str, path: Path, role: Role) -> ServedFile:
    return ServedFile(url, path.absolute(), role, path.stat().st_size)


def _loader_files(
    route: Route, serial: SerialLine, server_ip: str, loaders: LoaderFolders
) -> Iterator[ServedFile]:
    """Yield what the firmware is given first, where that is a file of its own."""
    if route.first_file == BOOT_IMAGE:
        return
    if route.loader == "grub":
        path = core_image(route.firmware, serial, server_ip, loaders.grub)
    else:
        path = loaders.ipxe / route.first_file.lstrip("/")
        if not path.is_file():
            other = ", or --loader efi-tftp" if route.loader == "efi" else ""
            raise MissingProgramError(f"iPXE's {path.name} is not installed", hint=f"apt install ipxe{other}")
    yield _served(route.first_file, path, "loader")
