"""The stand-in image: a small multiboot kernel of our own and modules that it can check.

It takes the place of an seL4 image wherever what matters is the way to the kernel: it says how far it came in
the words of an seL4 debug boot, and whether its module arrived unharmed (`probes/standin`).

A module is a header of 32 bytes, little-endian, and a payload:

    0   8 bytes  magic "BRINGUP1"
    8   u64      size of header and payload, bytes
    16  u32      CRC-32 of the payload (zlib's)
    20  u32      version of this format, 1
    24  u64      reserved, 0
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bringup.base.assets import asset, built_probe
from bringup.base.errors import LabError, UsageError
from bringup.base.paths import cache_dir
from bringup.base.whole_file import whole_file

HEADER = struct.Struct("<8sQIIQ")
MAGIC = b"BRINGUP1"
VERSION = 1

MAX_MODULE_BYTES = 3 << 30
"""Above this no PC has room for a module below 4 GiB, where both multiboot protocols put it."""

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Played:
    """What the stand-in does by its command line: whether its kernel `prints`, and whether something comes
    (`goes_on`) after the text that user space was reached.
    """

    prints: bool
    goes_on: bool


def played_by(kernel_args: str) -> Played:
    """Return what the words on the stand-in's command line make it do (`probes/standin/options.c`)."""
    given = dict(word.partition("=")[::2] for word in kernel_args.split())
    play = given.get("play", "").partition(":")[0]
    vms = given.get("vms", "0")
    return Played(prints=play != "release", goes_on=bool(play) or vms != "0")


def write_module(path: Path, size_bytes: int, *, first_stays: bool = False) -> None:
    """Write a module of `size_bytes`, header included; the same bytes for the same size on every machine.

    The file appears whole or not at all; `first_stays` as in `whole_file`. Raises UsageError for a size that
    no module can have and LabError when the folder cannot be written.
    """
    if not HEADER.size <= size_bytes <= MAX_MODULE_BYTES:
        raise UsageError(
            f"a stand-in module cannot have {size_bytes} bytes",
            hint=f"ask for {HEADER.size} to {MAX_MODULE_BYTES} bytes",
        )
    try:
        # Not waited for until it is on the disk: one that a power cut shortened is written again.
        with whole_file(path, mode=0o644, lasting=False, first_stays=first_stays) as file:
            file.write(bytes(HEADER.size))  # the CRC is known only after the payload
            crc = 0
            for block in _payload(size_bytes - HEADER.size):
                crc = zlib.crc32(block, crc)
                file.write(block)
            file.seek(0)
            file.write(HEADER.pack(MAGIC, size_bytes, crc, VERSION, 0))
    except OSError as error:
        raise LabError(
            f"cannot write the stand-in module {path}: {error.strerror}",
            hint="free some space there, or choose another folder with BRINGUP_HOME",
        ) from None


def _payload(size_bytes: int) -> Iterator[bytes | memoryview]:
    """Blocks that do not compress and differ from each other, so that no loader can confuse two of them."""
    noise = _noise()
    for number, start in enumerate(range(0, size_bytes, _BLOCK_BYTES)):
        block = number.to_bytes(8, "little") + noise
        yield memoryview(block)[: size_bytes - start]


@cache
def _noise() -> bytes:
    return hashlib.shake_128(b"bringup stand-in module").digest(_BLOCK_BYTES - 8)


def standin_kernel() -> Path:
    """Return the path of the built stand-in kernel; raises ImageError when it is not built."""
    return built_probe(asset("probes/standin"), "standin-kernel", "the stand-in kernel", "make standin")


def standin_module(size_bytes: int) -> Path:
    """Return a module of `size_bytes` from the cache, written first if need be; raises as `write_module`."""
    folder = cache_dir() / "standin"
    folder.mkdir(exist_ok=True)
    path = folder / f"module-v{VERSION}-{size_bytes}"
    if path.is_file() and path.stat().st_size != size_bytes:
        path.unlink(missing_ok=True)
    if not path.is_file():
        write_module(path, size_bytes, first_stays=True)
    return path
