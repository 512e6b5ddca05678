"""What guests of the virtual lab boot: this host's kernel, its firewall and WireGuard tools, and the agent.

The agent is a Python program, so an interpreter of this host goes along, with the modules that the agent
imports and no others.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bringup.base.bounded_cache import BoundedCache
from bringup.base.errors import MissingProgramError
from bringup.base.paths import cache_dir
from bringup.base.program import run_program
from bringup.image.archive import make_cpio
from bringup.probe.ramdisk import BUSYBOX, ProbeKernel, find_kernel, require_static
from bringup.verify.guests.ramdisk import libraries, modules_with_needs
from bringup.vlab import agent
from bringup.vlab.guests import AGENT_PORT, GuestImage
from bringup.vlab.programs import PACKAGES, search_path

_MODULES = (
    *("virtio_pci", "virtio_net", "virtio_console", "wireguard"),
    # The checksum that libcrc32c, and so nf_tables, asks the kernel's crypto for by name.
    "crc32c_generic",
    *("nf_tables", "nft_chain_nat", "nft_ct", "nft_masq", "nft_nat", "nft_rt", "nft_exthdr", "nft_compat"),
    *("nf_conntrack_netlink", "xt_conntrack", "xt_MASQUERADE", "xt_nat", "xt_tcpudp", "xt_TCPMSS"),
)
_PROGRAMS = ("ip", "nft", "iptables", "ip6tables", "wg")
# What iptables loads by name for the rules that are written here.
_EXTENSIONS = ("standard", "conntrack", "tcp", "udp", "icmp", "MASQUERADE", "DNAT", "NAT", "TCPMSS")
_SYSTEM = "/usr/bin:/bin"
_CACHE_LIMIT_BYTES = 256 << 20
_IMPORTED = "import sys, json; sys.path.insert(0, {folder!r}); import agent, encodings.idna; " + (
    "print(json.dumps([m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)]))"
)
_INIT = f"""\
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/run
/bin/busybox mkdir -p /dev /proc /sys /run /tmp /root /var /etc
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /run
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
mkdir -p /run/lock
ln -s /run /var/run
for module in $(cat /modules); do insmod $module 2>/dev/null; done
for word in $(cat /proc/cmdline); do
  case $word in bringup.node=*) hostname ${{word#*=}};; esac
done
ip link set lo up
serve() {{
  while true; do
    # A host that has hung up is at the end of the line: whoever calls next is heard again.
    {{ echo '{{"ready": true}}' >&3; {{python}} -I -S -u {agent.__file__} <&3 >&3; }} 3<>{AGENT_PORT}
    sleep 1
  done
}}
serve 2>/dev/console &
while true; do setsid -c sh -l </dev/ttyS0 >/dev/ttyS0 2>&1; sleep 1; done
"""


def lab_guests() -> GuestImage:
    """Return what guests boot, its root file system in the cache by what it holds.

    Raises MissingProgramError, LabError and ImageError.
    """
    kernel = find_kernel()
    data = lab_rootfs(kernel)
    name = f"guests-{hashlib.sha256(data).hexdigest()[:16]}.cpio.gz"
    # Each update of this host's programs makes another one.
    cache = BoundedCache(cache_dir() / "vlab", _CACHE_LIMIT_BYTES)
    rootfs = cache.get(name, lambda target: _write_packed(target, data))
    return GuestImage(kernel.path, rootfs)


def _write_packed(target: Path, data: bytes) -> None:
    target.write_bytes(gzip.compress(data, 1, mtime=0))


def lab_rootfs(kernel: ProbeKernel) -> bytes:
    """Return the archive for a kernel of this host; raises MissingProgramError, LabError, ImageError."""
    require_static(BUSYBOX, "guests need")
    modules = dict(modules_with_needs(kernel, _MODULES))
    python = guest_python()
    # Not busybox' shell for scripts: that one takes its own `ip` before any other.
    programs = {f"usr/sbin/{name}": _program(name) for name in _PROGRAMS} | {"usr/sbin/sh": _program("dash")}
    imported = _imported(python)
    extensions = list(_extensions())
    linked = (python, *programs.values(), *(path for path in imported if ".so" in path.name))
    closure = {python, *(library for program in linked for library in libraries(program))}
    files = {_place(path): path.read_bytes() for path in (*closure, *imported, *extensions)}
    files |= {place: path.read_bytes() for place, path in programs.items()}
    files |= {"bin/busybox": BUSYBOX.read_bytes(), **modules}
    files["modules"] = "\n".join(f"/{name}" for name in modules).encode() + b"\n"
    files["init"] = _INIT.replace("{python}", str(python)).encode()
    files["etc/passwd"] = b"root::0:0:root:/root:/bin/sh\n"
    return make_cpio(files)


def guest_python() -> Path:
    """Return the interpreter that guests have: the distribution's, the smallest, where it is there."""
    return Path(os.path.realpath(shutil.which("python3", path=_SYSTEM) or sys.executable))


def _place(path: Path) -> str:
    return str(path).lstrip("/")


def _program(name: str) -> Path:
    found = shutil.which(name, path=search_path())
    if found is None:
        package = PACKAGES.get(name, "iptables")
        raise MissingProgramError(f"{name} is not installed: guests need it", hint=f"apt install {package}")
    return Path(os.path.realpath(found))


def _imported(python: Path) -> list[Path]:
    """Return the files of all modules that the agent imports, and the marks by which Python finds itself."""
    code = _IMPORTED.format(folder=str(Path(agent.__file__).parent))
    told = json.loads(run_program([str(python), "-I", "-S", "-c", code], "python3", timeout_s=20))
    return [Path(name) for name in told]


def _extensions() -> Iterator[Path]:
    for folder in Path("/usr/lib").glob("*/xtables"):
        for name in _EXTENSIONS:
            for family in ("xt", "ipt", "ip6t"):
                path = folder / f"lib{family}_{name}.so"
                if path.is_file():
                    yield path
