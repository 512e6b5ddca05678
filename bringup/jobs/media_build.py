"""Builds a stick or disc image: what was named, and beside it the firmware probe and a bare Linux."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bringup.base.errors import LabError, UsageError
from bringup.base.whole_file import unwritable, whole_file
from bringup.disk.grub import Console
from bringup.disk.media import Entry, make_disc, make_stick
from bringup.image.firmware_probe import firmware_probe
from bringup.image.folder import find_image, folders_of
from bringup.image.model import Image
from bringup.image.profile import read_image_profile
from bringup.lab.inventory import Board

SUFFIXES = (".img", ".iso")
# The ramdisk's own first program is for captures; who starts Linux from a stick wants a shell.
_LINUX_WORDS = "rdinit=/bin/busybox -- sh"


@dataclass(frozen=True, slots=True)
class BuiltMedia:
    """A file that was made: its path, size in bytes, and the menu's titles in order."""

    path: Path
    size: int
    titles: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {"path": str(self.path), "size": self.size, "menu": list(self.titles)}


def build_media(
    board: Board, paths: Sequence[Path], target: Path, *, append: str = "", without: Sequence[str] = ()
) -> BuiltMedia:
    """Write a stick (`.img`) or disc (`.iso`) that starts the image that `paths` name on such a board.

    The console is the board's; `without` leaves out what is in the menu beside the image: "probe", "linux".
    Raises UsageError, ImageError for an image that cannot boot so, MissingProgramError naming packages,
    LabError.
    """
    if target.suffix not in SUFFIXES:
        raise UsageError(
            f"{target.name} is neither a stick nor a disc", hint="a name that ends in .img or .iso"
        )
    console = Console(board.kernel_port, board.line_rate)
    image = find_image(paths, append=append or read_image_profile(folders_of(paths)).append)
    entries = list(_entries(_on(image, console), console, without))
    try:
        with whole_file(target, mode=0o644) as file:
            part = Path(file.name)
            if target.suffix == ".iso":
                make_disc(entries, console, part)
            else:
                stick = make_stick(entries, console)
                file.truncate(stick.layout.disk_bytes)
                for write in stick.writes():
                    file.seek(write.offset)
                    file.writelines(write.content.blocks())
    except OSError as error:
        raise unwritable(target, error) from None
    return BuiltMedia(target, target.stat().st_size, tuple(entry.title for entry in entries))


def _on(image: Image, console: Console) -> Image:
    return image.with_serial(console.port, baud=console.baud)


def _entries(image: Image, console: Console, without: Sequence[str]) -> Iterator[Entry]:
    yield Entry(image.title, "image", image)
    if "probe" not in without:
        yield Entry("firmware probe", "probe", _on(find_image([firmware_probe()]), console))
    if "linux" not in without:
        from bringup.probe.ramdisk import find_kernel, ramdisk

        try:
            kernel = find_kernel()
            files = [kernel.path, ramdisk(kernel)]
        except LabError as error:
            raise LabError(error.message, hint=f"{error.hint}; or --without linux") from None
        linux = _on(find_image(files, append=_LINUX_WORDS), console)
        yield Entry(f"Linux {kernel.release}, a shell", "linux", linux)
