"""Which profile a machine fits, by what each profile says of its board: names and ids, read from its file.

The models that check a profile whole take longer to load than a capture to read, so only the one that fits is
loaded by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.pci.match.ports import ids_of, subsystem_of
from bringup.pci.model import Bdf, Machine
from bringup.pci.sources.common import CUT_OFF

if TYPE_CHECKING:
    from bringup.profile.model import Profile
    from bringup.profile.toml_lines import TomlDocument


@dataclass(frozen=True, slots=True)
class BoardSigns:
    """What a profile's board is known by; `expected` has how many of which ids every unit shows at least."""

    name: str
    baseboard: str | None
    subsystem: str | None
    expected: Mapping[str, int]

    @classmethod
    def read(cls, name: str, data: Mapping[str, Any]) -> BoardSigns:
        """Read a profile's tables; raises LookupError, TypeError or AttributeError for others."""
        identity = data.get("identity", {})
        baseboard, subsystem = identity.get("baseboard_product"), identity.get("subsystem")
        return cls(
            name,
            None if baseboard is None else baseboard["value"],
            None if subsystem is None else subsystem["value"],
            {each["id"]: int(each["count"]) for each in data["pci"]["expected"]},
        )


def profile_and_reason(machine: Machine, folders: Sequence[Path] = ()) -> tuple[Profile | None, str]:
    """Return the one profile that a machine fits, and in a sentence why that one or why none.

    `folders` are searched before the profiles that this tool brings along. Raises ProfileError for a file
    among them that is no profile.
    """
    from bringup.profile.load import load_profile

    name, reason = choose(machine, board_signs(folders))
    return (None if name is None else load_profile(name, folders)), reason


def board_signs(folders: Sequence[Path] = ()) -> list[BoardSigns]:
    """Return what the boards of all profiles are known by; raises ProfileError."""
    from bringup.profile.files import merged, profile_files, read_chain

    signs = []
    read: dict[Path, TomlDocument] = {}
    for name, path in profile_files(folders).items():
        try:
            signs.append(BoardSigns.read(name, merged(read_chain(path, folders, read))))
        except (AttributeError, KeyError, TypeError, ValueError):
            signs.append(_checked(name, folders))
    return signs


def _checked(name: str, folders: Sequence[Path]) -> BoardSigns:
    """Have a file that does not look like a profile told in full; raises ProfileError."""
    from bringup.profile.load import load_profile

    profile = load_profile(name, folders)
    baseboard, subsystem = profile.identity.baseboard_product, profile.identity.subsystem
    return BoardSigns(
        name,
        None if baseboard is None else baseboard.value,
        None if subsystem is None else subsystem.value,
        {each.id: each.count for each in profile.pci.expected},
    )


def why_partial(machine: Machine) -> str | None:
    """Return by what a capture is known to be of a part of a machine; None where it may be whole.

    Every PC has a host bridge at 00:00.0, and who lists functions in order begins with it.
    """
    if machine.functions and machine.find(Bdf(0, 0, 0, 0)) is None:
        return "its host bridge 00:00.0 is not in it"
    cut = next((gap for gap in machine.missing if gap.why == CUT_OFF), None)
    return None if cut is None else f"{cut.what} is missing, where the text ends"


def choose(machine: Machine, boards: Sequence[BoardSigns]) -> tuple[str | None, str]:
    """Return the name of the profile that fits, and why; pure.

    The SMBIOS name of the baseboard decides where it was observed, and what every unit shows must be there.
    Among those that fit, one that expects all that another expects and more goes before it. A profile that
    expects nothing is of no one board, and never chosen.
    """
    shown = machine.identity.baseboard if machine.identity is not None else None
    boards = [board for board in boards if board.expected]
    named = [board for board in boards if shown is None or board.baseboard == shown]
    if shown is not None and not named:
        return None, f"no profile is of a {shown}"
    counts = Counter(ids_of(function) for function in machine.functions)
    subsystems = {subsystem_of(function) for function in machine.functions} - {None}
    fitting = [
        board
        for board in named
        if all(counts[ids] >= count for ids, count in board.expected.items())
        and (shown or not board.subsystem or not subsystems or board.subsystem in subsystems)
    ]
    fitting = [
        board for board in fitting if not any(o.expected.keys() > board.expected.keys() for o in fitting)
    ]
    if len(fitting) == 1:
        how = f"its baseboard is a {shown}" if shown else "its functions are those of that model"
        return fitting[0].name, f"{fitting[0].name}: {how}"
    if fitting:
        return None, f"several profiles fit: {', '.join(board.name for board in fitting)}"
    if machine.functions and not counts.keys() - {None}:
        return None, "the capture tells no ids"
    return None, f"the functions that a {shown} shows are not all there" if shown else "no profile's ids fit"
