"""What a slot holds, by whom and for which machine: one JSON file in the slot, read back from any bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bringup.base.errors import ImageError
from bringup.image.model import Image

_TEXT_MAX = 4096
_TEXTS = ("image_id", "title", "kind", "kernel_args", "written_at", "written_by")
_FILES_MAX = 256
# Of names that FAT takes: module99.img is the last.
_MODULES_MAX = 99


@dataclass(frozen=True, slots=True)
class SlotFile:
    """One file: what people call it, its name in the slot, its size in bytes and its SHA-256."""

    name: str
    stored_as: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What lies in a slot.

    `image_id` is the same for two images exactly when the same bytes start with the same words. `written_at`
    is UTC in ISO 8601, `written_by` a person or a host. `capture` is the hash of the capture that the image's
    overlay was made for, None where nobody said.
    """

    image_id: str
    title: str
    kind: str
    kernel_args: str
    files: tuple[SlotFile, ...]
    written_at: str
    written_by: str
    capture: str | None = None

    @classmethod
    def of(cls, image: Image, *, written_at: str, written_by: str, capture: str | None = None) -> Manifest:
        """Return the manifest of an image whose kernel has all its words already; raises ImageError.

        What it says can be read back.
        """
        if len(image.kernel_args) > _TEXT_MAX:
            raise ImageError(
                f"the kernel's words have {len(image.kernel_args)} characters, and a disk takes {_TEXT_MAX}",
                hint="fewer words: see --append",
            )
        names = stored_names(len(image.modules))
        files = tuple(
            SlotFile(file.name, stored, file.size, file.sha256)
            for stored, file in zip(names, (image.kernel, *image.modules), strict=True)
        )
        return cls(
            *(image_id(image), image.title, image.kind, image.kernel_args, files),
            *(written_at, _shown(written_by), capture),
        )

    @property
    def size(self) -> int:
        """The bytes of kernel and modules together."""
        return sum(file.size for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain JSON data."""
        return asdict(self)

    def to_json(self) -> bytes:
        """Return the manifest as the file that lies in the slot."""
        return json.dumps({"v": 1, **self.to_dict()}, indent=1).encode("ascii") + b"\n"


def image_id(image: Image) -> str:
    """Return the first 8 digits of an image's key: what a person compares."""
    return image.key[:8]


def is_image_id(text: str) -> bool:
    """Return whether a text may be the id of an image."""
    return re.fullmatch(r"[0-9a-f]{8}", text, re.ASCII) is not None


def stored_names(modules: int) -> tuple[str, ...]:
    """Return the names on the disk of a kernel and its modules, in their order; raises ImageError."""
    if modules > _MODULES_MAX:
        raise ImageError(
            f"the image has {modules} modules, and a disk takes at most {_MODULES_MAX}",
            hint="boot it by network: bringup boot",
        )
    return ("kernel.elf", *(f"module{number}.img" for number in range(1, modules + 1)))


def parse_manifest(data: bytes) -> Manifest | None:
    """Return the manifest in a file, None for anything else. Any bytes are taken."""
    try:
        body = json.loads(data)
        if body.get("v") != 1:
            return None
        files = _files(body["files"])
        texts = {name: _text(body[name]) for name in _TEXTS}
        capture = None if body.get("capture") is None else _text(body["capture"])
        return Manifest(files=files, capture=capture, **texts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _files(listed: Sequence[Mapping[str, Any]]) -> tuple[SlotFile, ...]:
    if not isinstance(listed, list) or not 1 <= len(listed) <= _FILES_MAX:
        raise ValueError("no files")
    return tuple(
        SlotFile(_text(each["name"]), _text(each["stored_as"]), _size(each["size"]), _text(each["sha256"]))
        for each in listed
    )


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:_TEXT_MAX]


def _text(value: object) -> str:
    # What is read here is shown on terminals.
    if isinstance(value, str) and len(value) <= _TEXT_MAX and value.isprintable():
        return value
    raise ValueError("no text")


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("no size")
