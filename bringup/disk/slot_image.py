"""An image as the bytes of a slot: a FAT file system with kernel, modules, manifest, hashes and GRUB's lines.

Small files come first, so that what a slot holds is told by its first MiB, and two images that share a module
differ in few places. What GRUB prints of loading is what the console's reader waits for (pxe/grub.cfg.j2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bringup.base.errors import ImageError
from bringup.base.size import mib_text
from bringup.disk.fat.make import FatFile, FatImage, FatShape, make_fat
from bringup.disk.loading import load_lines
from bringup.disk.manifest import Manifest
from bringup.disk.pieces import FileSpan, Pieces
from bringup.image.model import Image

MANIFEST, HASHES, LINES = "manifest.jsn", "sha256.sum", "slot.cfg"
CLUSTER_BYTES = 32 << 10


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
    sources = [FileSpan.all_of(file) for file in (image.kernel, *image.modules)]
    small = [
        (LINES, slot_lines(image, manifest).encode("ascii")),
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


def slot_lines(image: Image, manifest: Manifest) -> str:
    """Return what GRUB runs to load a slot's image (pure); raises as `make_slot_image` does."""
    names = [f"/{file.stored_as}" for file in manifest.files]
    return "\n".join([f"set id={manifest.image_id}", *load_lines(image, names)]) + "\n"
