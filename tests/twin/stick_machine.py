"""A machine in QEMU with sticks in its USB ports, and this host's files, read-only, as its own.

It is a host for `media write`: the kernel is this distribution's, the program is the checkout's. What runs
in it (`stick_cases.py`) prints `SAID NAME JSON`, and asks for what only a hand at the ports can do by
`ASK WORD...`, which is answered by a line.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bringup.probe.ramdisk import BUSYBOX, find_kernel, unpacked_module, wanted_modules
from bringup.twin.disks import backing
from bringup.twin.qmp import Qmp
from tests.places import CHECKOUT

DEADLINE_S = 600.0
_DRIVERS = (
    *("virtio_pci", "virtio_net", "9p", "9pnet_virtio", "xhci_pci", "usb_storage", "sd_mod", "ahci"),
    *("vfat", "nls_ascii", "nls_cp437", "nls_utf8", "crc64_rocksoft_generic", "crct10dif_generic"),
)
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for module in {drivers}; do modprobe $module; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /host
for folder in proc sys dev; do mount --bind /$folder /host/$folder; done
mount -t tmpfs t /host/mnt; mount -t tmpfs t /host/run
export HOME=/mnt TMPDIR=/mnt PYTHONPATH={checkout} PYTHONDONTWRITEBYTECODE=1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
chroot /host {python} -m tests.twin.stick_cases {arguments} </dev/console >/dev/console 2>&1
echo ENDED
poweroff -f
"""


@dataclass(frozen=True)
class Port:
    """What is plugged in: a file, whose name is the disk's serial, and how QEMU shows it."""

    file: Path
    driver: str = "usb-storage"
    options: str = "removable=on"
    file_options: str = ""
    faults: Path | None = None

    @property
    def name(self) -> str:
        return self.file.name

    def words(self) -> list[str]:
        """Return QEMU's arguments."""
        device = f"{self.driver},id={self.name},drive=d-{self.name},serial={self.name},{self.options}"
        blockdev = f"driver=raw,node-name=d-{self.name},{backing(self.file, self.faults)}{self.file_options}"
        return ["-blockdev", blockdev, "-device", device.rstrip(",")]


@dataclass
class StickMachine:
    """The machine; `spare` is a stick that lies beside it. `run` returns what was said, by its name."""

    folder: Path
    ports: list[Port]
    spare: Path
    hands: Mapping[str, Callable[..., None]] = field(default_factory=dict)

    def run(self, *arguments: str) -> dict[str, object]:
        """Start it, lend it hands, and return what it said until it ended."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = subprocess.Popen(
                self._command(arguments, theirs.fileno()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
            )
            try:
                return self._attended(process, Qmp(ours, lambda _name, _data: None))
            finally:
                process.kill()
                process.wait()

    def _attended(self, process: subprocess.Popen[bytes], monitor: Qmp) -> dict[str, object]:
        assert process.stdout is not None
        assert process.stdin is not None
        said: dict[str, object] = {}
        text, seen, deadline_s = b"", b"", time.monotonic() + DEADLINE_S
        while b"ENDED" not in seen:
            assert time.monotonic() < deadline_s, seen.decode(errors="replace")
            if not select.select([process.stdout], [], [], 1.0)[0]:
                continue
            data = os.read(process.stdout.fileno(), 65536)
            assert data, seen.decode(errors="replace")
            text, seen = text + data, seen + data
            *lines, text = text.split(b"\n")
            for line in lines:
                kind, _, rest = line.decode(errors="replace").strip().partition(" ")
                if kind == "SAID":
                    name, _, body = rest.partition(" ")
                    said[name] = json.loads(body)
                elif kind == "ASK":
                    self._lend(monitor, *rest.split())
                    process.stdin.write(b"done\n")
                    process.stdin.flush()
        assert said, seen.decode(errors="replace")
        return said

    def _lend(self, monitor: Qmp, what: str, *words: str) -> None:
        if what == "pull":
            monitor.execute("device_del", id=words[0])
        elif what == "plug":
            device = {"driver": "usb-storage", "id": "spare", "drive": "d-spare", "removable": True}
            monitor.execute("device_add", **device, serial=self.spare.name)
        else:
            self.hands[what](*words)

    def _command(self, arguments: tuple[str, ...], monitor: int) -> list[str]:
        kernel = find_kernel()
        command = [
            *("qemu-system-x86_64", "-machine", "q35", "-m", "1024", "-display", "none", "-nodefaults"),
            *("-no-user-config", "-no-reboot", "-serial", "stdio", "-net", "none"),
            *("-kernel", str(kernel.path), "-initrd", str(self._ramdisk(arguments))),
            *("-append", "console=ttyS0 loglevel=1 no_timer_check"),
            *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
            *("-chardev", f"socket,id=qmp,fd={monitor}", "-mon", "chardev=qmp,mode=control"),
            *("-device", "qemu-xhci,p2=15,p3=15"),
            *("-blockdev", f"driver=raw,node-name=d-spare,file.driver=file,file.filename={self.spare}"),
        ]
        for port in self.ports:
            command += port.words()
        return command

    def _ramdisk(self, arguments: tuple[str, ...]) -> Path:
        kernel, root = find_kernel(), self.folder / "root"
        place = root / "lib/modules" / kernel.release
        for folder in (*(root / name for name in ("bin", "dev", "proc", "sys", "host")), place):
            folder.mkdir(parents=True)
        lines = []
        for module in wanted_modules(kernel, _DRIVERS):
            (place / f"{module.name}.ko").write_bytes(unpacked_module(module.path))
            lines.append(f"{module.name}.ko:{''.join(f' {name}.ko' for name in module.needs)}\n")
        (place / "modules.dep").write_text("".join(lines))
        init = _INIT.format(
            drivers=" ".join(_DRIVERS),
            checkout=CHECKOUT,
            python=sys.executable,
            arguments=" ".join(arguments),
        )
        for path, data in (("bin/busybox", BUSYBOX.read_bytes()), ("init", init.encode())):
            (root / path).write_bytes(data)
            (root / path).chmod(0o755)
        target = self.folder / "ramdisk"
        names = b"".join(os.fsencode(path.relative_to(root)) + b"\0" for path in sorted(root.rglob("*")))
        packed = subprocess.run(
            ["cpio", "-0", "-o", "-H", "newc", "--quiet", "-D", str(root)],
            input=names,
            stdout=subprocess.PIPE,
            check=True,
        )
        target.write_bytes(packed.stdout)
        return target
