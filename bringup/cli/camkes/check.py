"""`bringup camkes check`: what a configuration would be refused for, and what else is wrong with it."""

from __future__ import annotations

from pathlib import Path

import click

from bringup.base.errors import ProfileError
from bringup.cli.camkes.facts import read_facts
from bringup.cli.complete import capture_names, profile_names
from bringup.cli.context import Context
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json
from bringup.report.screen import fold_width
from bringup.report.style import glyph


@click.command("check")
@click.argument("application", type=click.Path(path_type=Path))
@click.option(
    "--capture",
    "captures",
    multiple=True,
    metavar="C",
    shell_complete=capture_names,
    help="A capture, or a board for its latest one.",
)
@click.option(
    "--profile",
    "profile_name",
    metavar="P",
    shell_complete=profile_names,
    help="Judge by this board profile.",
)
@click.option("--build-dir", type=click.Path(path_type=Path), metavar="DIR", help="Read its CMakeCache.txt.")
@click.option(
    "-I", "include", type=click.Path(path_type=Path), multiple=True, help="Folder of includes, as for cpp."
)
@click.option("-D", "define", multiple=True, metavar="NAME[=V]", help="Macro, as for cpp.")
@click.option("--allow-missing", is_flag=True, help="Go on without includes that are not found.")
@click.option("--strict", is_flag=True, help="Warnings fail, too.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Show where each rule is from, and all that was not checked."
)
@json_option("docs/camkes-check.md")
@click.pass_context
def command(
    ctx: click.Context,
    application: Path,
    captures: tuple[str, ...],
    profile_name: str | None,
    build_dir: Path | None,
    include: tuple[Path, ...],
    define: tuple[str, ...],
    allow_missing: bool,
    strict: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Check APPLICATION.camkes against what VMM, capDL and kernel accept; exit 12 when it cannot work.

    \b
    Example:
      bringup camkes check app.camkes -I camkes-vm/components/VM
      bringup camkes check e300/passthrough.camkes --capture e300 --build-dir build
    """
    from bringup.boot.drift import claims_in
    from bringup.camkes.app.load import load_application
    from bringup.report.findings import configuration_lines, count_line, folded, report_json
    from bringup.rules.check import check

    context = Context.of(ctx)
    loaded = load_application(application, include=include, define=define, allow_missing=allow_missing)
    assessment, profile, build = read_facts(context, captures, profile_name, build_dir)
    claims = claims_in(application)
    report = check(loaded, assessment=assessment, build=build, profile=profile, claims=claims)
    failed = not report.clean or (strict and report.count("warning") > 0)
    exit_code = ProfileError.exit_code if failed else 0
    if as_json:
        inputs = {
            "captures": list(captures),
            "profile": profile.name if profile else None,
            "build": str(build.folder) if build else None,
            "missing_includes": list(loaded.missing_includes),
        }
        emit_json(report_json(report, exit_code=exit_code, inputs=inputs))
        return exit_code
    code = f"  (exit {exit_code})" if failed else ""
    answer(f"{glyph('bad' if failed else 'ok')} {count_line(report)}{code}")
    if loaded.missing_includes:
        unread = ", ".join(loaded.missing_includes)
        answer(f"not read: {unread} (what is checked is a part of the application)")
    answer(*folded(configuration_lines(report, verbose=verbose), fold_width()))
    return exit_code
