"""Names of boards: what one may be, and the board that is there without a lab file."""

from __future__ import annotations

import re

from bringup.base.errors import UsageError

BOARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
BUILTIN_BOARD = "e300"
BUILTIN_PROFILE = "twin-e300-9d"


def check_board_name(name: str) -> None:
    """Raise UsageError for a name that no board can have; names become parts of paths."""
    if not BOARD_NAME.fullmatch(name):
        raise UsageError(
            f"not the name of a board: {name!r}",
            hint="at most 32 letters, digits, - and _, a letter or digit first",
        )
