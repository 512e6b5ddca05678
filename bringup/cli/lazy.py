"""A group of commands that knows their names and help without importing them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from bringup.base.near import did_you_mean


class LazyGroup(click.Group):
    """A group of commands from a table: name -> (module below `bringup.cli`, one line for the overview).

    A module is imported for its own command only; its command is what it calls `command`.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the table's order."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in self._table:
            return None
        command = import_module(f"bringup.cli.{self._table[cmd_name][0]}").command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed; of an unknown one the nearest is told."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as mistake:
            told = mistake.message.rstrip(".") + did_you_mean(args[0], self._table)
            raise click.UsageError(told, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])
