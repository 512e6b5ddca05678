"""What is known beside an application: captures, a board profile, a build; each is read when it is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.base.errors import UsageError

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build
    from bringup.lab.inventory import Board, Lab
    from bringup.pci.assessment import Assessment
    from bringup.pci.model import Bdf, Machine
    from bringup.pci.pins.beliefs import Line
    from bringup.profile.model import Profile


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a machine, its board and a build; each None where nobody named it.

    `practice`: the profile is a twin's only because a capture came from it, and the image may run elsewhere.
    """

    assessment: Assessment | None = None
    profile: Profile | None = None
    build: Build | None = None
    practice: bool = False


def is_path(text: str) -> bool:
    """Return whether a capture's name cannot be a board's: one with a slash, or `-` for standard input."""
    return "/" in text or text == "-"


def find_capture(lab: Lab | None, text: str) -> Path:
    """Return the file or folder that `text` names; a board's name goes first (`./e300` is always a path).

    A board stands for its latest capture; without a lab there are no boards. `-` is standard input.

    Raises UsageError when it is neither, or a board that has not been probed yet.
    """
    path = Path(text)
    if is_path(text):
        return path
    boards = {} if lab is None else lab.boards
    board = boards.get(text)
    if board is not None:
        from bringup.lab.captures import latest_capture

        found = latest_capture(board.name)
        if found is not None:
            return found
        if not path.exists():
            raise UsageError(
                f"there is no capture of {board.name} yet", hint=f"make one: bringup probe-pci {board.name}"
            )
    if not path.exists():
        raise UsageError(
            f"{text} is neither a file nor a board of this lab",
            hint=f"boards: {', '.join(boards)}; a capture is a folder, a tar or a listing",
        )
    return path


def boards_among(lab: Lab | None, captures: Iterable[str]) -> list[Board]:
    """Return the boards that captures were named by."""
    if lab is None:
        return []
    return [lab.boards[text] for text in captures if not is_path(text) and text in lab.boards]


def read_machine(lab: Lab | None, captures: Iterable[str]) -> Machine:
    """Return the machine that captures show together; each is a path, or a board for its latest one."""
    from bringup.pci.capture.open import open_capture

    return open_capture([find_capture(lab, text) for text in captures])


def read_ram(lab: Lab | None, captures: Iterable[str]) -> int:
    """Return how many bytes of RAM the board of these captures has; raises UsageError where none tells."""
    ram = read_machine(lab, captures).platform.memory_bytes
    if ram is None:
        raise UsageError(
            "the capture does not tell how much RAM the board has", hint="give it: --board-ram MIB"
        )
    return ram


def read_facts(
    lab: Lab | None,
    captures: Sequence[str] = (),
    profile_name: str | None = None,
    build_dir: Path | None = None,
    pins: Sequence[str] = (),
    made_with: Mapping[Bdf, Line] | None = None,
) -> Facts:
    """Return what the captures show, judged by their profile, and the build.

    `pins` are what a person states of IOAPIC pins (DEVICE=IOAPIC/PIN), `made_with` what a file holds of that.
    Raises BringupError for what was named and is not there or cannot be read.
    """
    from bringup.rules.assess import assess

    build = None
    if build_dir is not None:
        from bringup.camkes.app.build import read_build

        build = read_build(build_dir)
    profile = named_profile(lab, profile_name, boards_among(lab, captures))
    if not captures:
        if pins:
            raise UsageError(
                "--pin speaks of a device in a capture, and none is named", hint="--capture FILE or BOARD"
            )
        return Facts(None, profile, build)
    machine = read_machine(lab, captures)
    profile, _ = profile_for(lab, machine, profile)
    practice = profile_name is None and profile is not None and profile.virtual
    stated = dict(made_with or {})
    if pins:
        from bringup.camkes.assign.stated import stated_pins

        stated |= stated_pins(pins, machine, profile)
    return Facts(assess(machine, profile, stated), profile, build, practice)


def named_profile(lab: Lab | None, name: str | None, boards: Sequence[Board] = ()) -> Profile | None:
    """Return the profile that a person named, else that of the first board; None: the machine has to tell.

    Asked before a board is booted, so that a typo costs no boot. Raises ProfileError.
    """
    if name is None:
        return boards[0].profile if boards else None
    from bringup.profile.load import load_profile

    return load_profile(name, _folders(lab))


def profile_for(lab: Lab | None, machine: Machine, named: Profile | None) -> tuple[Profile | None, str]:
    """Return the profile to judge a machine by; one that nobody named comes with why it, or why none."""
    if named is not None:
        return named, ""
    from bringup.pci.match.board import profile_and_reason

    return profile_and_reason(machine, _folders(lab))


def _folders(lab: Lab | None) -> tuple[Path, ...]:
    return () if lab is None else lab.profile_folders
