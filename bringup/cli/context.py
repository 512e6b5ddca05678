"""What every command is given: which lab file was asked for, and the lab itself once somebody needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bringup.lab.inventory import Lab


@dataclass(frozen=True)
class Context:
    """`lab_file` is the `--lab` option; None means to look for lab.toml here and in the folders above."""

    lab_file: Path | None

    @classmethod
    def of(cls, ctx: click.Context) -> Context:
        """Return what a command was given; shell completion runs without, and gets the default."""
        return ctx.find_object(cls) or cls(lab_file=None)

    def lab(self) -> Lab:
        """Load the lab; raises UsageError for a missing file, ProfileError for what is wrong in it."""
        from bringup.lab.inventory import load_lab

        return load_lab(self.lab_file)
