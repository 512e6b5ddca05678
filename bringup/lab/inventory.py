"""The lab: which boards exist here and how to reach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.errors import ProfileError, UsageError
from bringup.base.near import did_you_mean
from bringup.lab.names import BUILTIN_PROFILE
from bringup.lab.secret import Secret
from bringup.profile.load import SharedProfiles
from bringup.profile.toml_lines import TomlDocument, shown_path

if TYPE_CHECKING:
    from bringup.lab.network import Network
    from bringup.profile.model import Profile

UNITS_FOLDER = "units"
"""Beside the lab file: BOARD.toml of each unit (bringup.profile.unit)."""
_COM1 = 0x3F8


@dataclass(frozen=True)
class BmcAccess:
    """Where a board's BMC is and who logs in; `password_from` names the reference for people."""

    address: str
    port: int
    user: str
    password: Secret
    password_from: str
    password_file: Path | None = None
    """The file that the password is in, for programs that read one."""


@dataclass(frozen=True)
class Board:
    """One board of the lab. A twin has no `bmc`, `network` or `macs` here: its running process tells them.

    `serial` is "sol" or anything pyserial opens; `baud` and `console_port` (of the board's UART that the
    console reads) are None where the profile's line rate and SOL port hold. `console2` is a serial line to
    the board's other UART, None where there is none: what comes there is recorded, too. `power` is the name
    of its power driver, `power_table` what the driver alone understands. `document` is the lab file that the
    board is from, None in the built-in lab. `neighbours` are the MACs of the lab's other boards, and whose.
    `disk` is the serial, WWN or path of the disk that it may be written to, None where the profile or a
    person says; `neighbour_disks` are those of the others, and whose. `tags` are what several boards are
    called together. `profiles` are those that the lab's boards have read.
    """

    name: str
    profile_name: str
    twin: bool = False
    bmc: BmcAccess | None = None
    macs: tuple[str, ...] = ()
    boot_mac: str | None = None
    serial: str = "sol"
    baud: int | None = None
    console_port: int | None = None
    console2: str | None = None
    disk: str | None = None
    tags: tuple[str, ...] = ()
    network: Network | None = None
    power: str = "ipmi"
    power_table: Mapping[str, Any] = field(default_factory=dict, repr=False)
    document: TomlDocument | None = field(default=None, repr=False)
    profile_folders: tuple[Path, ...] = field(default=(), repr=False)
    neighbours: Mapping[str, str] = field(default_factory=dict, repr=False)
    neighbour_disks: Mapping[str, str] = field(default_factory=dict, repr=False)
    profiles: SharedProfiles = field(default_factory=SharedProfiles, compare=False, repr=False)

    @cached_property
    def profile(self) -> Profile:
        """The board's profile with what was measured on the unit, read on first use; raises ProfileError."""
        return self.profiles.load(self.profile_name, self.profile_folders, self.unit_file)

    @property
    def unit_file(self) -> Path | None:
        """Where what is measured on this unit is kept; None for the twin, and without a lab file."""
        if self.twin or self.document is None:
            return None
        return self.document.path.absolute().parent / UNITS_FOLDER / f"{self.name}.toml"

    @property
    def kernel_port(self) -> int:
        """The I/O port of the board's UART that its console reads; raises ProfileError where nobody says."""
        sol_port = self.profile.serial.sol_port
        if self.console_port is not None:
            return self.console_port
        if sol_port is None:
            raise self._unsaid("on which serial port its kernel has to print", "console_port = 0x2f8")
        return sol_port.value

    @property
    def second_port(self) -> str:
        """The serial port that the console does not show, COM1 or COM2."""
        return "COM2" if self.kernel_port == _COM1 else "COM1"

    @property
    def reader(self) -> str:
        """What reads its console, as people call it."""
        return "Serial-over-LAN" if self.serial == "sol" else self.serial

    @property
    def line_rate(self) -> int:
        """The console's baud rate; raises ProfileError where nobody says it."""
        baud = self.profile.serial.baud
        if self.baud is not None:
            return self.baud
        if baud is None:
            raise self._unsaid("how fast its console is", "baud = 115200")
        return baud.value

    def _unsaid(self, what: str, example: str) -> ProfileError:
        return ProfileError(
            f"neither the lab file nor profile {self.profile_name} says of {self.name} {what}",
            hint=f"look into its firmware setup, and give [boards.{self.name}] such as `{example}`",
        )

    @property
    def power_place(self) -> str:
        """FILE:LINE of what the lab file says of the board's power, for messages."""
        if self.document is None:
            return self.name
        return self.document.place(("boards", self.name, "power"))

    def to_dict(self) -> dict[str, Any]:
        """Return the board as plain JSON data, without its password."""
        bmc = self.bmc
        network = self.network
        return {
            "name": self.name,
            "profile": self.profile_name,
            "twin": self.twin,
            "bmc": bmc
            and {
                "address": bmc.address,
                "port": bmc.port,
                "user": bmc.user,
                "password_from": bmc.password_from,
            },
            "macs": list(self.macs),
            "boot_mac": self.boot_mac,
            "serial": self.serial,
            "baud": self.baud,
            "console2": self.console2,
            "console_port": self.console_port,
            "disk": self.disk,
            "tags": list(self.tags),
            "network": network and asdict(network),
            "power": self.power,
        }


@dataclass(frozen=True)
class Lab:
    """All boards here; `file` is None for the built-in lab, `runs_folder` None where the default holds."""

    boards: Mapping[str, Board]
    file: Path | None = None
    runs_folder: Path | None = None
    profile_folders: tuple[Path, ...] = ()

    @property
    def is_builtin(self) -> bool:
        """Whether there is no lab file, so that the only board is the twin."""
        return self.file is None

    def board(self, name: str) -> Board:
        """Return a board; raises UsageError naming what is near."""
        if name in self.boards:
            return self.boards[name]
        hint = f"boards: {', '.join(sorted(self.boards))}"
        if not name.strip():
            raise UsageError("the name of the board is empty; is a variable not set?", hint=hint)
        meant = did_you_mean(name, self.boards)
        where = "there is no lab.toml here" if self.file is None else shown_path(self.file)
        raise UsageError(f"no board {name} in this lab ({where}){meant}", hint=hint)


def twin_board(name: str) -> Board:
    """Return the virtual board of this name."""
    return Board(name, BUILTIN_PROFILE, twin=True)
