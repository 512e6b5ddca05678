"""Serial adapters of this host: by which name each is found again, and whether this user may open it."""

from __future__ import annotations

import functools
import grp
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import LabError, MissingProgramError
from bringup.jobs.doctor.check import Check, Group, Result, failed, passed, skipped
from bringup.jobs.doctor.root import as_root
from bringup.lab.inventory import Board
from bringup.profile.toml_lines import shown_path


@dataclass(frozen=True, slots=True)
class Adapter:
    """A serial line: the kernel's name, which a replug may change, and one that stays, if it has any."""

    device: str
    stable: str | None
    what: str = ""
    usb_serial: str | None = None

    def __str__(self) -> str:
        named = f", serial number {self.usb_serial}" if self.usb_serial else ""
        return f"{self.device} is {self.what or 'a serial port'}{named}: {self.stable or 'no stable name'}"


def adapters() -> tuple[Adapter, ...]:
    """Return the serial adapters that udev knows; raises MissingProgramError where it cannot be asked."""
    try:
        # Imported late: it loads libudev, which only this needs.
        import pyudev

        found = list(pyudev.Context().list_devices(subsystem="tty"))
    except (ImportError, OSError) as error:
        raise MissingProgramError(
            f"cannot ask udev for devices: {error}", hint="apt install libudev1"
        ) from None
    return tuple(
        Adapter(
            device.device_node,
            stable_name(device.device_links),
            str(device.get("ID_MODEL_FROM_DATABASE") or device.get("ID_MODEL") or ""),
            device.get("ID_SERIAL_SHORT"),
        )
        for device in found
        if device.get("ID_BUS") == "usb" and device.device_node
    )


def stable_name(links: object) -> str | None:
    """Return the link that names the adapter by its USB serial number, else by its socket."""
    names = sorted(str(link) for link in links) if hasattr(links, "__iter__") else []
    for folder in ("/dev/serial/by-id/", "/dev/serial/by-path/"):
        for name in names:
            if name.startswith(folder):
                return name
    return None


def serial_checks(board: Board, find: Callable[[], tuple[Adapter, ...]] = adapters) -> Group:
    """Return the checks of the adapters, and of each serial line that the board's lab entry names."""
    ask = functools.cache(find)
    checks = [Check("serial-adapters", "adapters", functools.partial(_adapters, ask))]
    for name, line in (("serial", board.serial), ("console2", board.console2)):
        if line is not None and line.startswith("/dev/"):
            run = functools.partial(_line, board, name, line, ask)
            checks.append(Check(f"serial-{name}", name, run))
    return Group("serial lines", checks)


def _adapters(find: Callable[[], tuple[Adapter, ...]]) -> Result:
    try:
        found = find()
    except LabError as error:
        return failed(error.message, as_root(str(error.hint)))
    return passed("; ".join(map(str, found))) if found else skipped("no USB serial adapter is plugged in")


def _line(board: Board, name: str, line: str, find: Callable[[], tuple[Adapter, ...]]) -> Result:
    path = Path(line)
    if not path.exists():
        others = ", ".join(each.stable or each.device for each in find()) or "no adapter at all"
        return failed(
            f"{line}, which is `{name}` of {board.name}, is not there; this host has {others}", "dmesg | tail"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        group = _group(path)
        return failed(
            f"{line} belongs to group {group}, and this user is not in it",
            f"sudo usermod -aG {group} $USER  # then log in again",
        )
    stable = next((each.stable for each in find() if each.device == line), None)
    if stable is None:
        return passed(f"{line} can be opened")
    lab = "lab.toml" if board.document is None else shown_path(board.document.path)
    return failed(
        f"{line} is another adapter after a replug; {stable} stays this one",
        f'sed -i \'s#"{line}"#"{stable}"#\' {lab}',
    )


def _group(path: Path) -> str:
    gid = path.stat().st_gid
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
