"""Builds a stick or disc image: what was named, and beside it the firmware probe and a bare Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bringup.base.errors import LabError, UsageError
from bringup.base.firmware import Firmware
from bringup.base.whole_file import unwritable, whole_file
from bringup.disk.grub import Console
from bringup.disk.media import MADE_HEAD_BYTES, Entry, Stick, is_made, make_disc, make_stick
from bringup.image.check import cautions, check, refuse
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
    """A file that was made: its path, size in bytes, and the menu's titles in order.

    `careful` are sentences on what does not stop the image and may surprise who starts it.
    """

    path: Path
    size: int
    titles: tuple[str, ...]
    careful: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        told = {"menu": list(self.titles), "careful": list(self.careful)}
        return {"path": str(self.path), "size": self.size, **told}


def build_media(
    board: Board, paths: Sequence[Path], target: Path, *, append: str = "", without: Sequence[str] = ()
) -> BuiltMedia:
    """Write a stick (`.img`) or disc (`.iso`) that starts the image that `paths` name on such a board.

    The console is the board's; `without` leaves out what is in the menu beside the image: "probe", "linux".
    A file that was made so before is replaced, no other. Raises UsageError, ImageError for an image that
    neither firmware can start, MissingProgramError naming packages, LabError.
    """
    _refuse_target(target)
    console = Console(board.kernel_port, board.line_rate)
    image = find_image(paths, append=append or read_image_profile(folders_of(paths)).append)
    image = _on(image, console)
    careful = tuple(_careful(image, console))
    entries = list(_entries(image, console, without))
    real = Path(os.path.realpath(target))
    try:
        with whole_file(real, mode=0o644) as file:
            part = Path(file.name)
            if target.suffix == ".iso":
                make_disc(entries, console, part)
            else:
                write_stick(make_stick(entries, console), file)
    except OSError as error:
        raise unwritable(target, error) from None
    return BuiltMedia(target, real.stat().st_size, tuple(entry.title for entry in entries), careful)


def write_stick(stick: Stick, file: IO[bytes]) -> None:
    """Write a stick into a file that is empty; raises OSError, and ImageError for an image that changed."""
    file.truncate(stick.layout.disk_bytes)
    for write in stick.writes():
        file.seek(write.offset)
        file.writelines(write.content.blocks())


def _refuse_target(target: Path) -> None:
    """Raise UsageError for a name that says neither, and for what is there and was not made so before."""
    if target.suffix not in SUFFIXES:
        raise UsageError(
            f"{target.name} is neither a stick nor a disc", hint="a name that ends in .img or .iso"
        )
    try:
        if not target.exists():
            return
        replaced = target.is_file()
        if replaced:
            with target.open("rb") as file:
                head = file.read(MADE_HEAD_BYTES)
            replaced = not head or is_made(head, target.stat().st_size)
    except OSError as error:
        raise unwritable(target, error) from None
    if not replaced:
        raise UsageError(
            f"{target} is there and no stick or disc that bringup made: it is left as it is",
            hint="another name, or remove it first",
        )


def _careful(image: Image, console: Console) -> Iterator[str]:
    """Yield what is worth a word; raises ImageError for what GRUB can start under neither firmware."""
    against = {firmware: check(image, firmware, "grub") for firmware in Firmware}
    if all(against.values()):
        refuse(image, Firmware.BIOS, "grub")
    for firmware, refusals in against.items():
        for refusal in refusals[:1]:
            yield f"the image does not start by {firmware.upper()}: {refusal.message}"
    for caution in cautions(image, console.port):
        yield f"{caution.message}: {caution.fix}"


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
