"""`bringup camkes migrate`: the spellings of before 2019 made today's."""

from __future__ import annotations

from pathlib import Path

import click

from bringup.cli.camkes.options import DEFINE, INCLUDE
from bringup.cli.file_path import FilePath
from bringup.cli.options import json_option
from bringup.report.output import answer, emit, emit_json, say


@click.command("migrate")
@click.argument("application", type=FilePath())
@click.option(
    "--ioapic", type=click.IntRange(0, 15), default=0, show_default=True, help="IOAPIC of interrupts."
)
@click.option("--diff", is_flag=True, help="Show what would change as a unified diff; write nothing.")
@click.option("--check", is_flag=True, help="Exit 1 when there is something to migrate; write nothing.")
@INCLUDE
@DEFINE
@json_option()
def command(
    application: Path,
    ioapic: int,
    diff: bool,
    check: bool,
    include: tuple[Path, ...],
    define: tuple[str, ...],
    as_json: bool,
) -> int:
    """Rename vm0_config.irqs and its like in APPLICATION.camkes to vm0.vm_irqs; give interrupts an `ioapic`.

    Everything else stays as it is; the old file stays as APPLICATION.camkes.bak. Includes that are not found
    are passed over: the spelling is changed in this file, and its own text decides.

    \b
    Example:
      bringup camkes migrate minimal.camkes --diff
    """
    from bringup import plan_migration
    from bringup.report.camkes.migrate import migration_diff, migration_json, migration_lines

    planned = plan_migration(application, ioapic=ioapic, include=include, define=define)
    backup = None if diff or check else planned.write()
    exit_code = int(check and (planned.stale or bool(planned.left)))
    if as_json:
        emit_json(migration_json(planned, exit_code, backup))
        return exit_code
    if diff:
        emit(migration_diff(planned))
    # A diff may be on its way to `patch`: the words are beside it then.
    tell = say if diff else answer
    tell(*migration_lines(planned, backup))
    return exit_code
