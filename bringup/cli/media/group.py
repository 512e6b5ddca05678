"""`bringup media`: sticks and discs, and what a board's BMC shows to it as one."""

from __future__ import annotations

import click

from bringup.cli.lazy import LazyGroup

# name -> (module, one line for the overview).
_COMMANDS = {
    "build": ("media.build", "Make a stick or disc that starts an image."),
    "write": ("media.write", "Write one to a stick, and read it back."),
    "board": ("media.board", "Show, insert or eject a board's virtual media; `board` may be left out."),
}


class _OrBoard(LazyGroup):
    """The commands of the table; any other first word is a board's name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names, else the board's with all words."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            args = ["board", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_OrBoard, table=_COMMANDS)
def command() -> None:
    """Make sticks and discs that start an image, write them, and show discs to a board through its BMC.

    \b
    Example:
      bringup media build build/ -o rescue.img
      bringup media write rescue.img /dev/sdb
      bringup media e300-1 insert http://10.0.0.1/rescue.iso --boot uefi
    """
