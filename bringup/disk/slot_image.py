"""An image as the bytes of a slot: a FAT file system with kernel, modules, manifest, hashes and GRUB's lines.

Small files come first, so that what a slot holds is told by its first MiB, and two images that share a module
differ in few places. What GRUB prints of loading is what the console's reader waits for (pxe/grub.cfg.j2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bringup.base.errors import ImageError, UsageError
from bringup.base.size import mib_text
from bringup.disk.fat import FatFile, FatImage, FatShape, make_fat
from bringup.disk.manifest import Manifest
from bringup.disk.pieces import FileSpan, Pieces
from bringup.image.model import Image

MANIFEST, HASHES, LINES = "manifest.jsn", "sha256.sum", "slot.cfg"
CLUSTER_BYTES = 32 << 10
HEAD_BYTES = 4 << 20
"""How much of a slot holds everything that tells what is in it."""


@dataclass(frozen=True, slots=True)
class SlotImage:
    """What is written into a slot: `content` from its first byte on, and what it says of itself."""

    manifest: Manifest
    content: Pieces
    places: dict[str, tuple[int, int]]

    @property
    def size(self) -> int:
        """How many bytes are written."""
        return self.content.size


def make_slot_image(image: Image, manifest: Manifest, slot_bytes: int, sector_bytes: int = 512) -> SlotImage:
    """Return an image for a slot of `slot_bytes`.

    Raises ImageError when it is too large or GRUB cannot start it, UsageError for kernel words that GRUB
    would change.
    """
    sources = [FileSpan(file.path, file.size) for file in (image.kernel, *image.modules)]
    small = [
        (LINES, grub_lines(image, manifest).encode("ascii")),
        (MANIFEST, manifest.to_json()),
    ]
    hashes = [(hashlib.sha256(data).hexdigest(), name) for name, data in small]
    hashes += [(file.sha256, file.stored_as) for file in manifest.files]
    sums = "".join(f"{digest}  {name}\n" for digest, name in hashes).encode("ascii")
    files = [FatFile(name, Pieces.of(data)) for name, data in (*small, (HASHES, sums))]
    files += [
        FatFile(file.stored_as, Pieces.of(source))
        for file, source in zip(manifest.files, sources, strict=True)
    ]
    made = _made(files, FatShape(slot_bytes, sector_bytes, CLUSTER_BYTES, label="SLOT"), manifest)
    return SlotImage(manifest, made.used, dict(made.places))


def _made(files: list[FatFile], shape: FatShape, manifest: Manifest) -> FatImage:
    try:
        return make_fat(files, shape)
    except ValueError:
        raise ImageError(
            f"kernel and modules take {mib_text(manifest.size)}, and a slot has {mib_text(shape.size)}",
            hint="larger slots: install again, with a new layout",
        ) from None


def grub_lines(image: Image, manifest: Manifest) -> str:
    """Return what GRUB runs to load this image (pure); the caller of it says `boot`.

    Raises ImageError and UsageError as `make_slot_image` does.
    """
    words = grub_words(image.kernel_args)
    kernel, *modules = manifest.files
    command, module = _commands(image)
    loads = [("kernel", kernel.stored_as, f"{command} /{kernel.stored_as} {words}".rstrip())]
    count = len(modules)
    if image.kind == "linux" and modules:
        names = " ".join(f"/{each.stored_as}" for each in modules)
        loads.append((f"module 1 of {count}", modules[0].stored_as, f"{module} {names}"))
    else:
        loads += [
            (f"module {number} of {count}", each.stored_as, f"{module} /{each.stored_as}")
            for number, each in enumerate(modules, 1)
        ]
    # Each only when the one before was loaded; `return` would end the file that is sourced, not the function.
    opened = [f'echo "bringup: loading {what} {name}"\nif {line}; then' for what, name, line in loads]
    closed = [f'else\n\techo "bringup: loading {what} failed"\nfi' for what, _, _ in reversed(loads)]
    return "\n".join([f"set id={manifest.image_id}", *opened, "set loaded=yes", *closed]) + "\n"


def _commands(image: Image) -> tuple[str, str]:
    if image.kind == "linux":
        return "linux", "initrd"
    if image.multiboot2:
        return "multiboot2", "module2"
    if image.multiboot1:
        return "multiboot", "module"
    raise ImageError("GRUB cannot start this kernel: it has no multiboot header and is no Linux")


def grub_words(words: str) -> str:
    """Return kernel words as GRUB takes them literally; raises UsageError for those that it would change."""
    if not all(" " <= char <= "~" for char in words) or any(char in "\"'\\" for char in words):
        raise UsageError(
            f"GRUB would change the kernel's words {words!r}",
            hint="printable ASCII without quotes and backslashes; see --append",
        )
    return " ".join(f"'{word}'" for word in words.split())
