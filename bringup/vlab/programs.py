"""What the virtual lab is made with, from the distribution; what is absent is refused by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from bringup.base.errors import MissingProgramError

# program -> Debian package
PACKAGES = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "hostname": "hostname",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "wg": "wireguard-tools",
    "wireguard-go": "wireguard-go",
    "nft": "nftables",
    "iptables": "iptables",
    "qemu-system-x86_64": "qemu-system-x86",
}


def search_path() -> str:
    """Return PATH with the folders of system programs, which ordinary users do not always search."""
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def require(programs: Iterable[str]) -> None:
    """Raise MissingProgramError naming every absent program, and the command that gets them all."""
    absent = [name for name in programs if shutil.which(name, path=search_path()) is None]
    if absent:
        packages = " ".join(sorted({PACKAGES[name] for name in absent}))
        verb = "are" if len(absent) > 1 else "is"
        raise MissingProgramError(
            f"{', '.join(absent)} {verb} not installed: the virtual lab is made with "
            f"{'them' if len(absent) > 1 else 'it'}",
            hint=f"apt install {packages}",
        )
