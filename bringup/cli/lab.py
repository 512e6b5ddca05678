"""The lab that a command line means: `--lab`, else lab.toml here or above."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bringup import Lab


def lab_of(ctx: click.Context) -> Lab:
    """Load the lab; raises UsageError for a missing file, ProfileError for what is wrong in it."""
    from bringup import load_lab

    return load_lab(ctx.find_root().params.get("lab_file"))


def lab_for(ctx: click.Context, captures: Iterable[str]) -> Lab | None:
    """Load the lab where one of the captures may be a board's; files can be read whatever it holds."""
    from bringup.jobs.configure.facts import is_path

    return None if all(map(is_path, captures)) else lab_of(ctx)
