"""What probes of a guest's kernel work with: what was read of it, and guests, booted when first asked for."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bringup.base.errors import ImageError, reason_of
from bringup.image.guest_kernel import (
    GuestKernel,
    KernelConfig,
    Rootfs,
    parse_config,
    read_kernel,
    read_rootfs,
)
from bringup.probe.ramdisk import find_kernel
from bringup.verify.guests.boot import Guest, GuestRequest
from bringup.verify.guests.ramdisk import guest_rootfs

_MACS = ("02:00:00:00:aa:01", "02:00:00:00:aa:02")


@dataclass(frozen=True, slots=True)
class GuestFiles:
    """What a person named; without a kernel, this host's with a root file system of our own."""

    kernel: Path | None = None
    rootfs: Path | None = None
    boot_s: float = 240.0


class GuestScene:
    """A kernel and its root file system, read; two guests of them, when they are needed."""

    def __init__(self, files: GuestFiles, folder: Path) -> None:
        self._stack = ExitStack()
        self.boot_s = files.boot_s
        self.kernel_path, self.rootfs_path = _paths(files, folder)
        shown = self.kernel_path.name
        self.kernel: GuestKernel = read_kernel(_bytes(self.kernel_path), shown)
        self.rootfs: Rootfs = read_rootfs(_bytes(self.rootfs_path), self.rootfs_path.name)
        self.folder = folder

    @cached_property
    def config(self) -> KernelConfig | None:
        """The kernel's configuration, from wherever it can be had; None where nobody has it."""
        return self.kernel.config or self.rootfs.config or self._beside()

    def _beside(self) -> KernelConfig | None:
        """Return the configuration in a file beside the kernel: `config-RELEASE`, `.config`, `config`."""
        for name in (f"config-{self.kernel.release}", ".config", "config"):
            path = self.kernel_path.parent / name
            if path.is_file():
                return parse_config(path.read_text(encoding="utf-8", errors="replace"), path.name)
        return None

    @property
    def modules(self) -> frozenset[str]:
        """The modules that the root file system has for this very kernel."""
        return self.rootfs.modules.get(self.kernel.release or "", frozenset())

    @cached_property
    def guests(self) -> tuple[Guest, Guest]:
        """Two guests on one segment, logged in; raises LabError with what was said last."""
        ends = socket.socketpair()
        guests = []
        for number, (end, mac) in enumerate(zip(ends, _MACS, strict=True)):
            request = GuestRequest(f"guest-{number}", self.kernel_path, self.rootfs_path, mac, link=end)
            guest = Guest(request)
            self._stack.callback(self._keep, guest)
            guests.append(guest)
        for end in ends:
            end.close()
        self.logins = [guest.log_in(self.boot_s) for guest in guests]
        return guests[0], guests[1]

    def _keep(self, guest: Guest) -> None:
        guest.close()
        (self.folder / f"{guest.name}.log").write_text(guest.text, encoding="utf-8")

    def close(self) -> None:
        """End the guests and keep their consoles."""
        self._stack.close()


def _paths(files: GuestFiles, folder: Path) -> tuple[Path, Path]:
    if files.kernel is not None and files.rootfs is not None:
        return files.kernel, files.rootfs
    kernel = find_kernel()
    rootfs = folder / "rootfs.cpio"
    rootfs.write_bytes(guest_rootfs(kernel))
    return kernel.path, rootfs


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {reason_of(error)}") from None
