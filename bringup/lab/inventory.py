"""The lab: which boards exist here and how to reach them, from lab.toml.

    [boards.e300-1]
    profile = "supermicro-e300-9d"
    macs = ["ac:1f:6b:0e:30:17"]
    bmc = { address = "10.0.0.17", user = "ADMIN", password = { file = "~/.config/bringup/e300-1" } }

    [boards.e300-1.network]
    interface = "enp3s0"
    mode = "own-segment"
    address = "192.168.77.1/24"
    board_address = "192.168.77.30"

Without a lab file there is one board, `e300`, and it is the twin.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.errors import ProfileError, UsageError, reason_of
from bringup.base.near import did_you_mean
from bringup.base.paths import at_home
from bringup.base.regular_file import is_folder
from bringup.lab.names import BUILTIN_BOARD, BUILTIN_PROFILE
from bringup.lab.secret import Secret, from_command, from_environment, from_file, from_keyring
from bringup.profile.files import find_profile, merged
from bringup.profile.load import SharedProfiles
from bringup.profile.toml_lines import KeyPath, TomlDocument, read_toml, shown_path

if TYPE_CHECKING:
    from bringup.lab.file import BmcTable, BoardTable, LabFile, NetworkTable
    from bringup.lab.network import Network
    from bringup.profile.model import Profile

LAB_FILE = "lab.toml"
UNITS_FOLDER = "units"
"""Beside the lab file: BOARD.toml of each unit (bringup.profile.unit)."""
LAB_VARIABLE = "BRINGUP_LAB"
_COM1 = 0x3F8
_IPMI_PORT = 623


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
        meant = did_you_mean(name, self.boards)
        where = "there is no lab.toml here" if self.file is None else shown_path(self.file)
        raise UsageError(
            f"no board {name} in this lab ({where}){meant}", hint=f"boards: {', '.join(sorted(self.boards))}"
        )


def twin_board(name: str) -> Board:
    """Return the virtual board of this name."""
    return Board(name, BUILTIN_PROFILE, twin=True)


def load_lab(start: Path | None = None) -> Lab:
    """Return the lab of a lab file, or the built-in one with the twin.

    `start` is a lab file, or a folder to begin looking in (it and the folders above). None means the file
    that $BRINGUP_LAB names, else the current folder. Raises UsageError for a named file that is not there,
    ProfileError with FILE:LINE for what is wrong in it.
    """
    named = start
    if named is None and os.environ.get(LAB_VARIABLE):
        named = Path(os.environ[LAB_VARIABLE])
    # `~` stands in a variable as it was typed; the shell has put in the home of an argument already.
    named = named and at_home(named)
    if named is not None and not is_folder(named):
        return _read_lab(named)
    found = _search(named or Path.cwd())
    if found is None:
        return Lab({BUILTIN_BOARD: twin_board(BUILTIN_BOARD)})
    return _read_lab(found)


def _search(folder: Path) -> Path | None:
    folder = folder.absolute()
    for candidate in (folder, *folder.parents):
        path = candidate / LAB_FILE
        try:
            # A pipe or device of this name is a mistake to be told: passed over, the twin would be taken.
            if path.exists() and not path.is_dir():
                _check_is_ours(path)
                return path
            if path.is_symlink() and not path.exists():
                raise ProfileError(
                    f"{shown_path(path)} is a link to {path.readlink()}, which is not there",
                    hint="mend the link, or remove it; another lab file is named by --lab FILE",
                )
        except PermissionError:
            raise ProfileError(
                f"whether {shown_path(candidate)} has a {LAB_FILE} cannot be seen: it may not be entered",
                hint="go to a folder of your own, or name the file: --lab FILE",
            ) from None
    return None


def _check_is_ours(path: Path) -> None:
    # A lab file can name a command to run: one that a stranger left in a folder above must not count.
    owner = path.stat().st_uid
    if owner not in (0, os.geteuid()) and str(owner) != os.environ.get("SUDO_UID"):
        raise UsageError(
            f"{shown_path(path)} belongs to another user (id {owner}) and was not asked for",
            hint=f"if you trust it: --lab {shown_path(path)}",
        )


def _check_only_ours(path: Path) -> None:
    """Raise UsageError when others than its owner may write a lab file: they could name a command in it."""
    found = path.stat()
    shared = bool(found.st_mode & stat.S_IWGRP) and not _is_alone_in(found.st_gid, found.st_uid)
    if found.st_mode & stat.S_IWOTH or shared:
        who = "anybody" if found.st_mode & stat.S_IWOTH else f"group {found.st_gid}"
        raise UsageError(
            f"{shown_path(path)} can be changed by {who}, and what it says is run as you",
            hint=f"chmod go-w {shown_path(path)}",
        )


def _is_alone_in(gid: int, uid: int) -> bool:
    """Return whether a group is a user's own, which has nobody else in it."""
    try:
        name = pwd.getpwuid(uid).pw_name
        return pwd.getpwuid(uid).pw_gid == gid and set(grp.getgrgid(gid).gr_mem) <= {name}
    except KeyError:
        return False


def _read_lab(path: Path) -> Lab:
    from bringup.lab.file import LabFile
    from bringup.profile.check import validate

    try:
        _check_only_ours(path)
        document = read_toml(path)
    except FileNotFoundError:
        raise UsageError(f"there is no lab file {shown_path(path)}") from None
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"the lab file {shown_path(path)} cannot be read: {reason}") from None
    content = validate(LabFile, document.data, [document])
    folder = path.absolute().parent
    profile_folders = (folder / at_home(content.lab.boards or "boards"),)
    _check_nothing_is_shared(content, document)
    _check_tags(content, document)
    neighbours = {mac: name for name, table in content.boards.items() for mac in table.macs}
    disks = {table.disk: name for name, table in content.boards.items() if table.disk is not None}
    boards = {}
    references: dict[tuple[str, bool], str] = {}  # boards of one kind share a profile
    profiles = SharedProfiles()
    for name, table in content.boards.items():
        kind = (table.profile_name, table.twin)
        if kind not in references:
            references[kind] = _profile_reference(table, profile_folders, document, name, profiles)
        board = _board(name, table, references[kind], document, profile_folders)
        others = {mac: other for mac, other in neighbours.items() if other != name}
        other_disks = {disk: other for disk, other in disks.items() if other != name}
        boards[name] = replace(board, neighbours=others, neighbour_disks=other_disks, profiles=profiles)
    runs = folder / at_home(content.lab.runs) if content.lab.runs else None
    return Lab(boards, path.absolute(), runs, profile_folders)


def _check_nothing_is_shared(content: LabFile, document: TomlDocument) -> None:
    """Refuse what two boards have: one of them would be switched off, or given an address, for the other."""
    owner: dict[tuple[str, str], str] = {}
    for name, table in content.boards.items():
        for what, value, key in _belongings(table):
            other = owner.setdefault((what, value.lower()), name)
            if other != name:
                place = document.place(("boards", name, *key))
                raise ProfileError(
                    f"{place}: {value} is {what} of {other} already", hint=f"{what} belongs to one board"
                )


def _check_tags(content: LabFile, document: TomlDocument) -> None:
    for name, table in content.boards.items():
        for tag in set(table.tags) & set(content.boards):
            place = document.place(("boards", name, "tags"))
            raise ProfileError(
                f"{place}: {tag} is a tag of {name} and a board, too", hint="call one of the two otherwise"
            )


def _belongings(table: BoardTable) -> Iterator[tuple[str, str, KeyPath]]:
    """Yield what one board alone may have: what it is, its value, and where it stands."""
    for mac in table.macs:
        yield "a MAC", mac, ("macs",)
    if table.bmc is not None:
        port = "" if table.bmc.port == _IPMI_PORT else f" port {table.bmc.port}"
        yield "the BMC address", f"{table.bmc.address}{port}", ("bmc", "address")
    if table.network is not None and table.network.board_address is not None:
        yield "the `board_address`", table.network.board_address, ("network", "board_address")
    # A serial or WWN is one disk's; boards of one model have the same paths.
    if table.disk is not None and "/" not in table.disk and not table.disk.startswith("pci-"):
        yield "the disk", table.disk, ("disk",)


def _profile_reference(
    table: BoardTable,
    folders: tuple[Path, ...],
    document: TomlDocument,
    board: str,
    profiles: SharedProfiles,
) -> str:
    """Return the profile that a board is said to have; raises ProfileError where it cannot be its."""
    where = ("boards", board, "profile")
    name = table.profile_name
    if "/" in name or name.endswith(".toml"):
        name = str(document.path.absolute().parent / at_home(name))
    try:
        path = find_profile(name, folders)
    except ProfileError as error:
        raise ProfileError(f"{document.place(where)}: {error.message}", hint=error.hint) from None
    if table.twin and merged(profiles.chain(path, folders)).get("virtual") is not True:
        raise ProfileError(
            f"{document.place(where)}: this board is a twin, and profile {path.stem} is that of a real board",
            hint=f'leave `profile` out, or take one with `virtual = true`, such as "{BUILTIN_PROFILE}"',
        )
    return name


def _board(
    name: str, table: BoardTable, profile: str, document: TomlDocument, profile_folders: tuple[Path, ...]
) -> Board:
    folder = document.path.absolute().parent
    return Board(
        name=name,
        profile_name=profile,
        twin=table.twin,
        bmc=None if table.bmc is None else _bmc(table.bmc, folder),
        macs=table.macs,
        boot_mac=table.boot_mac or next(iter(table.macs), None),
        serial=table.serial,
        baud=table.baud,
        console_port=table.console_port,
        console2=table.console2,
        disk=table.disk,
        tags=table.tags,
        network=None if table.network is None else _network(table.network),
        power=table.power.driver,
        power_table=table.power.model_extra or {},
        document=document,
        profile_folders=profile_folders,
    )


def _network(table: NetworkTable) -> Network:
    from bringup.lab.network import Network

    return Network(
        table.interface,
        table.mode,
        table.address,
        table.board_address,
        http_port=table.http_port,
        tftp_port=table.tftp_port,
    )


def _bmc(table: BmcTable, folder: Path) -> BmcAccess:
    reference = table.password
    path: Path | None = None
    if reference.env is not None:
        variable = reference.env
        password, source = Secret(lambda: from_environment(variable)), f"environment variable {variable}"
    elif reference.file is not None:
        path = folder / at_home(reference.file)
        password, source = _file_password(path), f"file {shown_path(path)}"
    elif reference.command is not None:
        words = reference.command
        # Its arguments may say more than people need to see; the program is enough.
        password, source = Secret(lambda: from_command(words)), f"command {words[0]}"
    else:
        service = str(reference.keyring)
        password, source = Secret(lambda: from_keyring(service, table.user)), f"keyring, service {service}"
    return BmcAccess(table.address, table.port, table.user, password, source, path)


def _file_password(path: Path) -> Secret:
    return Secret(lambda: from_file(path))
