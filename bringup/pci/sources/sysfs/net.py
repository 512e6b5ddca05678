"""Network ports of a function in sysfs: `net/NAME/…` (Documentation/ABI/testing/sysfs-class-net)."""

from __future__ import annotations

import re

from bringup.pci.model import NetInterface
from bringup.pci.tree.files import Files, names_in

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_SPEED = re.compile(r"[0-9]{1,8}")
_PORT_LIMIT = 1024


def read_net(files: Files, folder: str) -> tuple[NetInterface, ...]:
    """Return the ports below a function's `net` folder; an empty folder has none."""
    names = names_in(files, folder) or ()
    return tuple(_port(files, f"{folder}/{name}", name) for name in names[:_PORT_LIMIT])


def _port(files: Files, folder: str, name: str) -> NetInterface:
    mac, speed = _text(files, f"{folder}/address"), _text(files, f"{folder}/speed")
    return NetInterface(
        name=name,
        mac=mac if _MAC.fullmatch(mac) else None,
        link=_link(_text(files, f"{folder}/carrier"), _text(files, f"{folder}/operstate")),
        # A port without link says -1, old kernels 65535 or 4294967295.
        speed_mbps=int(speed) if _SPEED.fullmatch(speed) and int(speed) not in (0, 65535) else None,
    )


def _link(carrier: str, operstate: str) -> bool | None:
    """Return whether there is a link; the kernel refuses to read `carrier` of a port that is not up."""
    if carrier in ("0", "1"):
        return carrier == "1"
    return True if operstate == "up" else None


def _text(files: Files, path: str) -> str:
    data = files.read(path)
    return data[:64].decode("ascii", "replace").strip() if isinstance(data, bytes) else ""
