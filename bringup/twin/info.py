"""What is known of a running twin: written by its process, read by every command that drives it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from bringup.base.paths import home_runtime_dir, state_dir
from bringup.base.regular_file import read_whole
from bringup.base.whole_file import whole_file
from bringup.lab.secret import Secret
from bringup.twin.disks import TwinDisk
from bringup.twin.network import NETWORK, Namespace

_MAX_BYTES = 64 << 10
# IPMI 2.0 table 22-30 allows 20 bytes; real tools had trouble with 19 and 20.
_PASSWORD_BYTES = 12
USER = "ADMIN"
ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class TwinInfo:
    """A running twin; `started_ticks` tells its process from a later one with the same number.

    `board_address` is what its network gives the board. One of a `shelf` shares its process and its network
    with the others.
    """

    name: str
    pid: int
    started_ticks: int
    bmc_address: str
    bmc_port: int
    user: str
    keeper_pid: int
    boot_mac: str
    memory_mib: int
    engine: str
    variant: str = "standard"
    disks: tuple[TwinDisk, ...] = ()
    faults: tuple[str, ...] = ()
    seed: int = 0
    board_address: str = NETWORK.board_address or ""
    shelf: bool = False

    @property
    def password_file(self) -> Path:
        """The file the password lies in, for tools that read one."""
        return twin_folder(self.name) / "password"

    @property
    def password(self) -> Secret:
        """The BMC password of this twin, made anew at every start."""
        return Secret(self.password_file.read_text(encoding="utf-8").strip())

    @property
    def namespace(self) -> Namespace:
        """The twin's private network."""
        return Namespace(self.keeper_pid)

    def alive(self) -> bool:
        """Return whether the process that wrote this still runs."""
        return process_started_ticks(self.pid) == self.started_ticks

    def save(self) -> None:
        """Write it whole into the twin's runtime folder."""
        with whole_file(twin_folder(self.name) / "twin.json", lasting=False) as file:
            file.write(json.dumps(asdict(self)).encode())


def twin_folder(name: str) -> Path:
    """Return the runtime folder of the twin `name` (exists only while it runs)."""
    return home_runtime_dir() / f"twin-{name}"


def load(name: str) -> TwinInfo | None:
    """Return what the twin's process wrote, None when there is nothing readable."""
    try:
        body = json.loads(read_whole(twin_folder(name) / "twin.json", _MAX_BYTES))
        disks = tuple(TwinDisk(**disk) for disk in body.pop("disks", ()))
        faults = tuple(body.pop("faults", ()))
        return TwinInfo(**body, disks=disks, faults=faults)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def running(name: str) -> TwinInfo | None:
    """Return the running twin called `name`, None if it is not up; clears away what a crash left."""
    found = load(name)
    if found is None or found.alive():
        return found
    shutil.rmtree(twin_folder(name), ignore_errors=True)
    return None


def make_password() -> str:
    """Make up a BMC password."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def leave_password(folder: Path, password: str) -> None:
    """Leave a BMC password in `folder`, for tools that read one from a file."""
    descriptor = os.open(folder / "password", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password + "\n")


def bmc_state_file(name: str) -> Path:
    """Return where the BMC of the twin `name` keeps its boot options and event log."""
    folder = state_dir() / "twins"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{name}.json"


def process_started_ticks(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot, proc(5) field 22), None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    # A zombie keeps its entry until its parent looks: it does not run any more.
    return None if fields[0] == "Z" else int(fields[19])


def own_ticks() -> int:
    """Return `process_started_ticks` of this process."""
    ticks = process_started_ticks(os.getpid())
    return -1 if ticks is None else ticks
