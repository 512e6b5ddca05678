"""A machine with one disk in QEMU, without network: what starts from the disk, by its second serial port."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bringup.base.firmware import Firmware
from bringup.disk.commit import Action, Write
from bringup.disk.fat.volume import Reader
from bringup.twin.disks import backing
from bringup.twin.machine import ovmf_files

USER_SPACE = b"Booting all finished, dropped to user space"
# Nothing is asserted about time. GRUB measures its clock within a millisecond (kern/i386/tsc_pmtimer.c): on
# a machine that was busy just then its seconds are long.
DEADLINE_S = 280.0
DEVICES = {
    "sata": ("ide-hd,bus=ide.0,drive=d0,bootindex=1",),
    "nvme": ("nvme,drive=d0,serial=S,bootindex=1",),
    "nvme4k": (
        "nvme,serial=S,id=c",
        "nvme-ns,drive=d0,bus=c,logical_block_size=4096,physical_block_size=4096,bootindex=1",
    ),
    "usb": ("qemu-xhci", "usb-storage,drive=d0,removable=on,bootindex=1"),
    "usb-cd": ("qemu-xhci", "usb-bot,id=bot", "scsi-cd,bus=bot.0,drive=d0,bootindex=1"),
}


@dataclass(frozen=True)
class DiskMachine:
    """A disk in a file, the device it is, and the firmware. `faults` is a file for QEMU's blkdebug."""

    disk: Path
    device: str = "sata"
    firmware: Firmware = Firmware.BIOS
    faults: Path | None = None

    def start(
        self, *, key: bytes = b"", key_at: bytes = b"bringup: GRUB started", until: bytes = USER_SPACE
    ) -> bytes:
        """Start it and return what came until `until`; `key` is typed once `key_at` came."""
        process = subprocess.Popen(
            self._command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            return _watched(process, key, key_at, until)
        finally:
            process.kill()
            process.wait()

    def _command(self) -> list[str]:
        command = [
            *("qemu-system-x86_64", "-machine", "q35", "-m", "512", "-display", "none", "-nodefaults"),
            *("-no-user-config", "-serial", "null", "-serial", "stdio", "-net", "none"),
            *("-blockdev", f"driver=raw,node-name=d0,{backing(self.disk, self.faults)}"),
        ]
        for device in DEVICES[self.device]:
            command += ["-device", device]
        return command + (self._ovmf() if self.firmware is Firmware.UEFI else [])

    def _ovmf(self) -> list[str]:
        found = ovmf_files()
        assert found is not None
        code, variables = found
        # Fresh each time: what starts is found by its removable path.
        own = self.disk.with_suffix(".vars")
        shutil.copy(variables, own)
        return [
            *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"),
            *("-drive", f"if=pflash,unit=1,format=raw,file={own}"),
        ]


def _watched(process: subprocess.Popen[bytes], key: bytes, key_at: bytes, until: bytes) -> bytes:
    assert process.stdout is not None
    assert process.stdin is not None
    text, deadline_s = b"", time.monotonic() + DEADLINE_S
    while until not in text and b"bringup: no slot starts" not in text:
        assert time.monotonic() < deadline_s, text
        if not select.select([process.stdout], [], [], 1.0)[0]:
            continue
        data = os.read(process.stdout.fileno(), 65536)
        assert data, text
        text += data
        if key and key_at in text:
            process.stdin.write(key)
            process.stdin.flush()
            key = b""
    return text


def perform(disk: Path, actions: Iterable[Action]) -> None:
    """Write what these actions write to a disk in a file."""
    with disk.open("r+b") as file:
        for action in actions:
            if isinstance(action, Write):
                file.seek(action.offset)
                file.writelines(action.content.blocks())


def reader(disk: Path) -> Reader:
    """Return a reader of a disk in a file."""

    def read(offset: int, length: int) -> bytes:
        with disk.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    return read
