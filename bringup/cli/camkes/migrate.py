"""`bringup camkes migrate`: the spellings of before 2019 made today's."""

from __future__ import annotations

from pathlib import Path

import click

from bringup.cli.camkes.update import unified
from bringup.cli.options import json_option
from bringup.report.output import answer, emit, emit_json, say


@click.command("migrate")
@click.argument("application", type=click.Path(path_type=Path))
@click.option(
    "--ioapic", type=click.IntRange(0, 15), default=0, show_default=True, help="IOAPIC of interrupts."
)
@click.option("--diff", is_flag=True, help="Show what would change as a unified diff; write nothing.")
@click.option("--check", is_flag=True, help="Exit 1 when there is something to migrate; write nothing.")
@click.option(
    "-I", "include", type=click.Path(path_type=Path), multiple=True, help="Folder of includes, as for cpp."
)
@click.option("-D", "define", multiple=True, metavar="NAME[=V]", help="Macro, as for cpp.")
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
    from bringup.camkes.app.load import load_application
    from bringup.camkes.text.file import read_file, replace_kept
    from bringup.camkes.text.syntax import read_text, replace
    from bringup.camkes.write.migrate import migration, prove_migration
    from bringup.profile.toml_lines import shown_path

    data = read_file(application)
    document = read_text(data, shown_path(application.absolute()))
    migrated = migration(document, ioapic)
    new = document.encode(replace(document, migrated.changes))
    backup = None
    if new != data:
        before, after = (
            load_application(application, include=include, define=define, allow_missing=True, data=text)
            for text in (data, new)
        )
        prove_migration(before, after, ioapic)
        if not (diff or check):
            backup = replace_kept(application, data, new)
    exit_code = 1 if check and new != data else 0
    text = unified(data, new, application)
    if as_json:
        body = {"schema": 1, "exit_code": exit_code, "file": str(application), "diff": text}
        emit_json({**body, "done": migrated.done, "notes": migrated.notes, "backup": backup and str(backup)})
        return exit_code
    if diff:
        emit(text)
    # A diff may be on its way to `patch`: the words are beside it then.
    tell = say if diff else answer
    tell(*migrated.done, *(f"careful   {note}" for note in migrated.notes))
    if new == data:
        tell(f"{application} is today's already")
    elif backup is not None:
        tell(f"wrote {application}, the old one is {backup.name}")
    return exit_code
