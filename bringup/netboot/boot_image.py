"""Makes a boot image for UEFI: one EFI program of GRUB's with kernel, modules and its script inside.

Firmware or iPXE fetches it in one transfer at its own speed, and GRUB then asks no network for anything. It
depends on the image, its command line and the serial line, and on no board and no server, so boards of one
kind share it. It is not signed: with Secure Boot on, the firmware does not start it.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bringup.base.bounded_cache import BoundedCache, in_use
from bringup.base.errors import ImageError
from bringup.base.firmware import Firmware
from bringup.base.grub import GRUB_DIR, MEMDISK
from bringup.base.paths import cache_dir
from bringup.netboot.catalog import ChangedFileError, hold, open_served
from bringup.netboot.grub import Grub, opening_lines, stop_lines
from bringup.netboot.loaders import SerialLine
from bringup.netboot.spec import ServedFile, ServeSpec

CACHE_LIMIT_BYTES = 1 << 30

UNSIGNED = 'must be off: no loader here is signed, and the firmware would say "Access Denied"'
"""What people read of Secure Boot."""

_SCRIPT = "grub.cfg"


@dataclass(frozen=True, slots=True)
class Content:
    """What a boot image holds: the files under the names that `script` (for GRUB) loads them by."""

    files: Sequence[ServedFile]
    script: str
    serial: SerialLine


def embedded_script(serial: SerialLine) -> str:
    """Return what GRUB runs first (pure): the serial line is opened, the script is the memdisk's."""
    lines = [*opening_lines(serial), "set root=memdisk", 'echo "bringup: GRUB started"']
    # Without its script the memory disk is missing: GRUB said "out of memory", and went on.
    lines += [f"configfile {MEMDISK}/{_SCRIPT}", *stop_lines("bringup: no memory for the boot image")]
    return "\n".join(lines) + "\n"


def boot_image(content: Content, *, grub_dir: Path = GRUB_DIR, cache: BoundedCache | None = None) -> Path:
    """Return the cached boot image, making it if need be (64 MiB in about a second).

    Raises MissingProgramError when GRUB is not installed, ImageError when a file has changed since the image
    was read, LabError when it cannot be made or kept.
    """
    grub = Grub.of(Firmware.UEFI, grub_dir)
    script = embedded_script(content.serial)
    parts = [(file.url_path, file.sha256 or _sha256(file)) for file in content.files]
    key = hashlib.sha256(repr((grub.stamp, script, content.script, parts)).encode()).hexdigest()[:32]
    cache = cache or BoundedCache(cache_dir() / "boot-images", CACHE_LIMIT_BYTES)
    return cache.get(f"{key}.efi", partial(_make, grub, content, script))


def boot_image_in_use(spec: ServeSpec) -> AbstractContextManager[None]:
    """Keep the boot image of a spec, if there is one, while the context lasts; raises LabError."""
    path = next((file.path for file in spec.files if file.role == "boot-image"), None)
    return nullcontext() if path is None else in_use(path)


def _make(grub: Grub, content: Content, script: str, target: Path) -> None:
    # Beside its target: /tmp may be small.
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".part") as disk:
        # GRUB reads ustar without help of anything that its memdisk would have to carry, too.
        with tarfile.open(fileobj=disk, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for file in content.files:
                _add(archive, file)
            _add_text(archive, _SCRIPT, content.script)
        disk.flush()
        grub.make_image(script, target, ("memdisk", "tar"), memdisk=Path(disk.name))


def _add(archive: tarfile.TarFile, file: ServedFile) -> None:
    """Add a file under its URL's name, if it still is what was hashed; raises ImageError if not."""
    try:
        with open_served(hold(file)) as content:
            archive.addfile(_entry(file.url_path.lstrip("/"), file.size), content)
    except ChangedFileError as error:
        raise ImageError(f"{file.path.name} {error}", hint="start the boot again") from None


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode("ascii")
    archive.addfile(_entry(name, len(data)), io.BytesIO(data))


def _entry(name: str, size: int) -> tarfile.TarInfo:
    # No time, owner or mode of this host: the same content makes the same file.
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry


def _sha256(file: ServedFile) -> str:
    with file.path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
