"""A root file system for guests where the person names none: busybox, a login, WireGuard, of this host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from bringup.base.errors import MissingProgramError
from bringup.base.program import run_program
from bringup.image.archive import make_cpio
from bringup.probe.ramdisk import BUSYBOX, ProbeKernel, parse_modules_dep, require_static, unpacked_module

_MODULES = ("virtio_pci", "virtio_net", "wireguard", "igb", "i40e", "e1000e", "e1000")
_LIBRARY = re.compile(r"(/\S+)")
_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev 2>/dev/null
mount -t proc none /proc
mount -t sysfs none /sys
for module in $(cat /modules); do insmod $module 2>/dev/null; done
hostname guest
ip link set lo up
while true; do getty -L 115200 ttyS0 vt100; done
"""
_FILES = {
    "init": _INIT.encode(),
    "etc/passwd": b"root::0:0:root:/root:/bin/sh\n",
    "etc/group": b"root:x:0:\n",
    "etc/issue": b"guest of bringup\n",
    "etc/os-release": b'PRETTY_NAME="guest of bringup"\n',
    "etc/profile": b"export PATH=/bin:/usr/bin\n",
}


def guest_rootfs(kernel: ProbeKernel) -> bytes:
    """Return the archive for a kernel of this host; raises MissingProgramError, LabError, ImageError."""
    require_static(BUSYBOX, "guests need")
    modules = dict(modules_with_needs(kernel, _MODULES))
    files = {**_FILES, "bin/busybox": BUSYBOX.read_bytes(), **modules, **dict(_wg())}
    files["modules"] = "\n".join(f"/{name}" for name in modules).encode() + b"\n"
    files |= {f"{name}/.keep": b"" for name in ("dev", "proc", "sys", "root", "tmp", "run")}
    builtin = kernel.modules / "modules.builtin"
    if builtin.is_file():
        files[f"lib/modules/{kernel.release}/modules.builtin"] = builtin.read_bytes()
    return make_cpio(files)


def modules_with_needs(kernel: ProbeKernel, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield modules by their place in the root file system, each after what it needs."""
    table = parse_modules_dep((kernel.modules / "modules.dep").read_text(encoding="utf-8"))
    done: set[str] = set()
    for wanted in names:
        # modules.dep names what a module needs from the nearest to the farthest.
        for name in (*reversed(table.get(wanted, ("", ()))[1]), wanted):
            if name in table and name not in done:
                done.add(name)
                path = kernel.modules / table[name][0]
                yield f"lib/modules/{kernel.release}/{name}.ko", unpacked_module(path)


def _wg() -> Iterator[tuple[str, bytes]]:
    """Yield `wg` and the libraries it is linked with."""
    program = Path("/usr/bin/wg")
    if not program.is_file():
        raise MissingProgramError(
            "wg is not installed: guests set up their tunnel with it", hint="apt install wireguard-tools"
        )
    yield "usr/bin/wg", program.read_bytes()
    for path in libraries(program):
        yield str(path).lstrip("/"), path.read_bytes()


def libraries(program: Path) -> Iterator[Path]:
    """Yield the libraries that a program, or a library, is linked with."""
    for line in run_program(["ldd", str(program)], "libc-bin", timeout_s=10).decode().splitlines():
        found = _LIBRARY.search(line)
        if found is not None:
            yield Path(found[1])
