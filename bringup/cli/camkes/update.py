"""`bringup camkes update`: passthrough settings put into a file that a person wrote, in place."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from typing import Any

import click

from bringup.base.errors import ProfileError, UsageError
from bringup.base.finding import finding_json
from bringup.cli.camkes.assign import (
    assign_options,
    assigned,
    grant_lines,
    grants_json,
)
from bringup.report.output import answer, emit, emit_json, say
from bringup.report.screen import fold_width


@click.command("update")
@click.argument("application", type=click.Path(path_type=Path))
@click.option("-o", "output", type=click.Path(path_type=Path), metavar="FILE", help="Write here instead.")
@click.option("--diff", is_flag=True, help="Show what would change as a unified diff; write nothing.")
@click.option("--check", is_flag=True, help="Exit 1 when the file is stale, 0 when it is current.")
@click.option("--replace", is_flag=True, help="Drop entries of these VMs that no device is assigned to.")
@assign_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    application: Path,
    output: Path | None,
    diff: bool,
    check: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Put the values for the assigned devices into APPLICATION.camkes, changing nothing else.

    Only the numbers change where the entries are there already; comments stay. A value under a preprocessor
    condition or in an included file is refused with its line. The old file stays as APPLICATION.camkes.bak.

    \b
    Example:
      bringup camkes update zmq.camkes --capture e300 --assign vm0=17:00.0 --assign vm2=17:00.1 --diff
      bringup camkes update zmq.camkes --capture e300 --assign vm0=17:00.0 --check
    """
    from bringup.base.whole_file import write_whole
    from bringup.camkes.text.file import read_file, replace_kept
    from bringup.camkes.text.syntax import read_text, replace
    from bringup.camkes.write.update import prove, update_changes
    from bringup.profile.toml_lines import shown_path
    from bringup.report.findings import count_line, folded, short_lines

    if output is not None and (diff or check):
        raise UsageError("-o writes, and --diff and --check do not", hint="give one of them")
    data = read_file(application)
    document = read_text(data, shown_path(application.absolute()))
    target = output or application
    given = assigned(ctx, application, options, data)
    changes = update_changes(document, given.application, given.passthrough, drop=options["replace"])
    new = document.encode(replace(document, changes))
    after = given.read(application if output is None else output.resolve(), new)
    prove(given.application, after, given.passthrough.settings())
    report = given.check(after)
    stale = new != data
    backup = None
    if not (diff or check) and (stale or output is not None):
        was = data if output is None else _content(output)
        if was is None:
            write_whole(target, new)
        elif was != new:
            backup = replace_kept(target, was, new)
    shown = unified(data, new, application) if diff else ""
    exit_code = (1 if stale else 0) if check else (0 if report.clean else ProfileError.exit_code)
    if as_json:
        body: dict[str, Any] = {"schema": 2, "exit_code": exit_code, "file": str(target), "stale": stale}
        body |= {"backup": backup and str(backup), "diff": shown or unified(data, new, application)}
        body |= {"devices": grants_json(given.passthrough), "findings": [*map(finding_json, report.findings)]}
        emit_json({**body, "cautions": list(given.passthrough.cautions)})
        return exit_code
    if diff:
        emit(shown)
    # A diff may be on its way to `patch`: the words are beside it then.
    tell = say if diff else answer
    tell(*folded(grant_lines(given.passthrough), fold_width(), 10))
    tell(f"{_outcome(target, stale, diff or check, backup)} ({count_line(report)})")
    tell(*folded(short_lines(report), fold_width(), 6))
    return exit_code


def _content(output: Path) -> bytes | None:
    """Return what stands in the file that is about to be written, None where there is none."""
    from bringup.camkes.text.file import read_file

    return read_file(output) if output.exists() else None


def _outcome(target: Path, stale: bool, dry: bool, backup: Path | None) -> str:
    if not stale:
        return f"{target} is current"
    if dry:
        return f"{target} is stale"
    kept = f", the old one is {backup.name}" if backup else ""
    return f"wrote {target}{kept}"


def unified(old: bytes, new: bytes, path: Path) -> str:
    """Return the difference of two texts as `diff -u` shows it."""
    before, after = (data.decode("utf-8", "replace").splitlines(keepends=True) for data in (old, new))
    lines = list(unified_diff(before, after, f"{path}", f"{path} (updated)"))
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
