"""What lies on the disk of a twin whose firmware passes the boot override over: a system that says it booted.

A boot sector for BIOS. It prints a text by INT 10h, which SeaBIOS shows on the twin's console, and halts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bringup.twin.disks import TwinDisk
from bringup.twin.faults.choice import ChosenFault

SECTOR_BYTES = 512
SAYS = b"\r\nGRUB loading.\r\nWelcome to GRUB!\r\n\r\nDebian GNU/Linux 12 twin ttyS1\r\n\r\ntwin login: "
_PASSED_OVER = {"override-ignored", "override-expired"}
_DISK_MIB = 8
_LOADED_AT = 0x7C00
_CODE = bytes.fromhex(
    "fc"  # cld
    "31c0 8ed8"  # xor ax, ax; mov ds, ax
    "be 0000"  # mov si, the text
    "ac 84c0 7409"  # next: lodsb; test al, al; jz end
    "b40e bb0700 cd10"  # mov ah, 0eh (teletype); mov bx, 7; int 10h
    "ebf2"  # jmp next
    "f4 ebfd"  # end: hlt; jmp end
)
_TEXT_AT = 6
_SIGNATURE = b"\x55\xaa"


def boot_sector() -> bytes:
    """Return the 512 bytes that a BIOS loads at 7C00h and starts (pure)."""
    text_at = (_LOADED_AT + len(_CODE)).to_bytes(2, "little")
    code = _CODE[:_TEXT_AT] + text_at + _CODE[_TEXT_AT + 2 :]
    body = code + SAYS + b"\0"
    return body.ljust(SECTOR_BYTES - len(_SIGNATURE), b"\0") + _SIGNATURE


def disk_with_system(folder: Path, faults: Iterable[ChosenFault]) -> tuple[TwinDisk, ...]:
    """Return a disk with such a system in `folder`, where a fault lets the board boot its disk."""
    if not any(one.name in _PASSED_OVER for one in faults):
        return ()
    file = folder / "system.img"
    with file.open("wb") as image:
        image.write(boot_sector())
        image.truncate(_DISK_MIB << 20)
    return (TwinDisk("ahci", size_mib=_DISK_MIB, serial="SYSTEM", file=str(file)),)
