"""The lab of where one stands: lab.toml there or in a folder above.

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

import os
from pathlib import Path

from bringup.base.errors import ProfileError
from bringup.base.paths import at_home
from bringup.base.regular_file import is_folder
from bringup.lab.inventory import Lab, twin_board
from bringup.lab.names import BUILTIN_BOARD
from bringup.lab.trust import check_is_ours
from bringup.profile.toml_lines import shown_path

LAB_FILE = "lab.toml"
LAB_VARIABLE = "BRINGUP_LAB"


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
    file = _search(named or Path.cwd()) if named is None or is_folder(named) else named
    if file is None:
        return Lab({BUILTIN_BOARD: twin_board(BUILTIN_BOARD)})
    from bringup.lab.read import read_lab

    return read_lab(file)


def _search(folder: Path) -> Path | None:
    folder = folder.absolute()
    for candidate in (folder, *folder.parents):
        path = candidate / LAB_FILE
        try:
            # A pipe or device of this name is a mistake to be told: passed over, the twin would be taken.
            if path.exists() and not path.is_dir():
                check_is_ours(path)
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
