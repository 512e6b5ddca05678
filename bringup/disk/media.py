"""A stick or disc that boots by BIOS and UEFI and offers images in a menu (pure, but for GRUB's own tools).

A stick is a disk with GRUB and one file system; its partition table fits a disk of just its size and is made
anew for the stick that it is written to. A disc is made by grub-mkrescue: hybrid, with a FAT12 image for UEFI
inside of the tree, which a Supermicro's virtual drive lists (kiwi#2512).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import ImageError
from bringup.base.firmware import Firmware
from bringup.base.grub import GRUB_DIR, GrubModules
from bringup.base.program import run_program
from bringup.base.size import mib_text
from bringup.disk.commit import Write
from bringup.disk.fat.make import FatFile, FatShape, make_fat
from bringup.disk.grub import Console, boot_code, loader_image, placed_core
from bringup.disk.layout import (
    BIOS,
    MEDIA,
    MIB,
    Layout,
    backup_table,
    media_layout,
    primary_table,
    protective_mbr,
    read_layout,
)
from bringup.disk.loading import HAND_OVER, load_lines
from bringup.disk.manifest import stored_names
from bringup.disk.pieces import FileSpan, Pieces
from bringup.image.model import Image

MENU_S = 5
"""How long the menu waits before it starts the first entry, in seconds."""
_LEAST_FAT_BYTES = 64 * MIB
_FAT32_CLUSTERS = 66_000
_CLUSTER_MAX = 32 << 10
_FILE_MAX = (1 << 32) - 1
_ISO_TIMEOUT_S = 600.0
_VOLUME = "BRINGUP"
MADE_HEAD_BYTES = 64 << 10
"""How many of a file's first bytes `is_made` looks at."""
# Where a disc's first descriptor begins, with what, and where it names the volume (ECMA-119, 8.4).
_DESCRIPTOR_AT, _DESCRIPTOR, _NAME_AT = 0x8000, b"\x01CD001", 0x8028
_ISO_MODULES = (
    *("normal", "configfile", "part_gpt", "part_msdos", "part_apple", "fat", "iso9660", "search", "test"),
    *("true", "echo", "sleep", "boot", "reboot", "serial", "terminal", "all_video"),
    *("multiboot", "multiboot2", "linux"),
)
# What a menu line shows of a name: nothing that GRUB's language has a meaning for.
_PLAIN = re.compile(r"[^A-Za-z0-9 ._,:()+-]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu: its title, the folder of its files (8.3), and the image with all its words."""

    title: str
    folder: str
    image: Image

    def files(self) -> Iterator[tuple[str, FileSpan]]:
        """Yield each file's path on the medium and where it comes from."""
        sources = (self.image.kernel, *self.image.modules)
        for name, file in zip(stored_names(len(sources) - 1), sources, strict=True):
            yield f"{self.folder}/{name}", FileSpan.all_of(file)

    def lines(self, number: int) -> list[str]:
        """Return the entry as GRUB reads it; raises ImageError and UsageError as `load_lines` does.

        Its number is its key: one byte, which no console cuts in two as it does the cursor keys' three.
        """
        loads = load_lines(self.image, [f"/{path}" for path, _ in self.files()])
        start = [HAND_OVER, "boot", 'echo "bringup: starting kernel failed"']
        inside = ["set loaded=", *loads, 'if [ "$loaded" = yes ]; then', *start, "fi", "sleep 10"]
        title = f"{number}. {_PLAIN.sub('-', self.title)}"
        return [f'menuentry "{title}" --hotkey={number} {{', *inside, "}"]


def menu_script(entries: Sequence[Entry], console: Console, opening: Sequence[str] = ()) -> str:
    """Return what GRUB runs: `opening` after the console was set up, then the menu."""
    lines = [*console.lines(), *opening, 'echo "bringup: GRUB started from medium"']
    lines += ["set default=0", f"set timeout={MENU_S}"]
    for number, entry in enumerate(entries, 1):
        lines += entry.lines(number)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Stick:
    """A stick's bytes: its layout, and everything but the tables, which `tables` makes for a disk's size."""

    layout: Layout
    boot_code: bytes
    core: bytes
    files: Pieces

    def writes(self) -> tuple[Write, ...]:
        """Return all that is written, sector 0 last."""
        contents = (
            Write(self.layout.part(BIOS).start, Pieces.of(self.core), "loader for BIOS"),
            Write(self.layout.part(MEDIA).start, self.files, "files"),
        )
        return (*contents, *table_writes(self.layout, self.boot_code))


def table_writes(layout: Layout, code: bytes) -> tuple[Write, ...]:
    """Return the partition table's three parts, sector 0 last."""
    backup_at, backup = backup_table(layout)
    return (
        Write(backup_at, Pieces.of(backup), "second partition table"),
        Write(layout.sector_bytes, Pieces.of(primary_table(layout)), "partition table"),
        Write(0, Pieces.of(protective_mbr(layout, code)), "first sector"),
    )


def make_stick(entries: Sequence[Entry], console: Console, *, grub_dir: Path = GRUB_DIR) -> Stick:
    """Return a stick for these entries, the first of which is started by itself.

    Raises ImageError for an image that does not fit FAT or that GRUB cannot start, UsageError for kernel
    words that GRUB would change, MissingProgramError and LabError where GRUB is not there.
    """
    opening = [r"""regexp --set=1:disk '^\(([^,)]*)' "$cmdpath" """.strip(), 'set root="$disk,gpt2"']
    script = menu_script(entries, console, opening)
    efi = loader_image(Firmware.UEFI, script, grub_dir=grub_dir)
    files = [FatFile("EFI/BOOT/BOOTX64.EFI", Pieces.of(efi))]
    for entry in entries:
        for path, span in entry.files():
            if span.size > _FILE_MAX:
                raise ImageError(f"{span.path.name} has {mib_text(span.size)}, and FAT ends at 4096 MiB")
            files.append(FatFile(path, Pieces.of(span)))
    shape = _shape(sum(file.content.size for file in files))
    layout = media_layout(2 * MIB + shape.size + MIB, shape.size)
    core_sector = layout.part(BIOS).start // layout.sector_bytes
    core = placed_core(loader_image(Firmware.BIOS, script, grub_dir=grub_dir), core_sector)
    code = boot_code(core_sector, grub_dir=grub_dir)
    return Stick(layout, code, core, make_fat(files, shape).used)


def _shape(content_bytes: int) -> FatShape:
    """Return a FAT32, which all firmware reads, with the largest clusters that leave it one."""
    size = max(_LEAST_FAT_BYTES, content_bytes + content_bytes // 32 + 8 * MIB)
    size += -size % MIB
    cluster = 512
    while cluster < _CLUSTER_MAX and size // (2 * cluster) > _FAT32_CLUSTERS:
        cluster *= 2
    return FatShape(size, 512, cluster, hidden_sectors=2 * MIB // 512)


def is_made(head: bytes, size: int) -> bool:
    """Return whether a file of `size` bytes with these first bytes is a stick or disc as it is made here."""
    layout = read_layout(head, size, 512)
    name = head[_NAME_AT : _NAME_AT + 32].decode("ascii", "replace").rstrip()
    is_disc = head[_DESCRIPTOR_AT:].startswith(_DESCRIPTOR) and name == _VOLUME
    return is_disc or (layout is not None and layout.is_media)


def table_for(head: bytes, image_bytes: int, disk_bytes: int) -> tuple[Write, ...] | None:
    """Return the tables that a stick image needs on a disk of another size, with GUIDs of its own.

    `head` are the first bytes of the image. None for any other image: that is written as it is. Raises
    LabError when the disk is too small.
    """
    found = read_layout(head, image_bytes, 512)
    if found is None or not found.is_media:
        return None
    layout = media_layout(disk_bytes // 512 * 512, found.part(MEDIA).size)
    return table_writes(layout, head[:440])


def make_disc(entries: Sequence[Entry], console: Console, target: Path, *, grub_dir: Path = GRUB_DIR) -> None:
    """Write a disc (ISO 9660, hybrid) to `target`.

    Raises as `make_stick` does, and MissingProgramError where xorriso or mtools are not installed.
    """
    for firmware in Firmware:
        GrubModules.of(firmware, grub_dir)
    with tempfile.TemporaryDirectory(prefix="bringup-disc-") as name:
        folder, scratch = Path(name, "tree"), Path(name, "scratch")
        scratch.mkdir()
        script = folder / "boot/grub/grub.cfg"
        script.parent.mkdir(parents=True)
        script.write_text(menu_script(entries, console), encoding="ascii")
        files = [file for entry in entries for file in entry.files()]
        grafts = [f"{path}={_escaped(span.path)}" for path, span in files]
        command = [
            *("grub-mkrescue", "--output", str(target), str(folder), *grafts),
            *("--compress=no", "--fonts=", "--locales=", "--themes="),
            f"--install-modules={' '.join(_ISO_MODULES)}",
            *("--", "-volid", _VOLUME),
        ]
        packages = "xorriso mtools grub-pc-bin grub-efi-amd64-bin"
        run_program(command, packages, timeout_s=_ISO_TIMEOUT_S, scratch=str(scratch))
        for _, span in files:
            Pieces.of(span).read(0, 1)  # raises when it is not what was hashed any more


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace("=", "\\=")
