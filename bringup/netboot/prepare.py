"""From an image and a place on the network to everything that one boot serves, on disk and as a spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bringup.base.errors import MissingProgramError
from bringup.base.firmware import Firmware
from bringup.netboot.grub import GRUB_DIR, core_image
from bringup.netboot.loaders import BootSet, SerialLine, choose_route, render_script, url_name
from bringup.netboot.spec import Role, Route, Segment, ServedFile, ServeSpec, Transport, Upload


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
    return BootSet((taken[0], image.kernel.args), modules, image.kind, image.multiboot1, image.multiboot2)


# Names that the loaders' own files have.
_RESERVED = ("/core.0", "/core.efi", "/grub.cfg", "/boot.ipxe", "/undionly.kpxe", "/snponly.efi")


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
    loaders: LoaderFolders = LoaderFolders(),
) -> ServeSpec:
    """Choose the route, write its script into `folder` (which exists) and return what is to be served.

    Raises UsageError, ImageError, ProfileError or MissingProgramError; nothing is started or sent.
    """
    names = boot_set(image)
    route = choose_route(firmware, names, loader, transport)
    script = folder / route.script.lstrip("/")
    first = _first_file(route, serial or SerialLine(), segment.server_ip, loaders)
    module_role: Role = "initrd" if image.kind == "linux" else "module"
    urls = [names.kernel[0], *(url for url, _ in names.modules)]
    roles: list[Role] = ["kernel", *([module_role] * len(image.modules))]
    files = [
        ServedFile(url, file.path.absolute(), role, file.size, file.sha256, file.changed_ns)
        for url, role, file in zip(urls, roles, (image.kernel, *image.modules), strict=True)
    ]
    text = render_script(names, route, segment.base_url)
    script.write_text(text, encoding="ascii")
    files += [_served(route.first_file, first, "loader"), _served(route.script, script, "loader-script")]
    return ServeSpec(segment, tuple(files), route, upload)


def _served(url: str, path: Path, role: Role) -> ServedFile:
    return ServedFile(url, path.absolute(), role, path.stat().st_size)


def _first_file(route: Route, serial: SerialLine, server_ip: str, loaders: LoaderFolders) -> Path:
    if route.loader == "grub":
        return core_image(route.firmware, serial, server_ip, loaders.grub)
    path = loaders.ipxe / route.first_file.lstrip("/")
    if not path.is_file():
        raise MissingProgramError(f"iPXE's {path.name} is not installed", hint="apt install ipxe")
    return path
