"""From a lab file to the boards that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bringup.base.errors import ProfileError, UsageError, reason_of
from bringup.base.paths import at_home
from bringup.lab.file import BmcTable, BoardTable, LabFile, NetworkTable
from bringup.lab.inventory import BmcAccess, Board, Lab
from bringup.lab.names import BUILTIN_PROFILE
from bringup.lab.network import Network
from bringup.lab.secret import Secret, from_command, from_environment, from_file, from_keyring
from bringup.lab.trust import check_only_ours
from bringup.profile.check import validate
from bringup.profile.files import find_profile, merged
from bringup.profile.load import SharedProfiles
from bringup.profile.toml_lines import KeyPath, TomlDocument, read_toml, shown_path

_IPMI_PORT = 623


def read_lab(path: Path) -> Lab:
    """Return the lab of a file; raises UsageError where it is not to be read, ProfileError with FILE:LINE."""
    try:
        check_only_ours(path)
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
