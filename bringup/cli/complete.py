"""Completion of names on the command line; a broken lab file completes to nothing instead of failing."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from bringup.base.errors import BringupError
from bringup.cli.context import Context


def board_names(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the boards of this lab that begin with what was typed."""
    context = ctx.find_object(Context) or Context(lab_file=None)
    try:
        names = list(context.lab().boards)
    except BringupError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
