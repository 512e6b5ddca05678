"""`bringup camkes check`: what a configuration would be refused for, and what else is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bringup import ProfileError
from bringup.cli.camkes.options import (
    ALLOW_MISSING,
    DEFINE,
    INCLUDE,
    PIN,
    PROFILE,
    build_option,
    capture_option,
)
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json, say
from bringup.report.screen import fold_width


@click.command("check")
@click.argument("application", required=False, type=FilePath())
@capture_option()
@PROFILE
@PIN
@build_option("Read its CMakeCache.txt.")
@INCLUDE
@DEFINE
@ALLOW_MISSING
@click.option("--strict", is_flag=True, help="Warnings fail, too.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Show where each rule is from, and all that was not checked."
)
@json_option("docs/camkes-check.md")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    application: Path | None,
    strict: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Check APPLICATION.camkes against what VMM, capDL and kernel accept; exit 12 when it cannot work.

    With --build-dir the application may be left out: it is the file that the build was made from.

    \b
    Example:
      bringup camkes check app.camkes -I camkes-vm/components/VM
      bringup camkes check e300/passthrough.camkes --capture e300 --build-dir build
      bringup camkes check --build-dir build
    """
    from bringup import CheckRequest, check_file
    from bringup.report.camkes.check import check_json, check_lines

    request = CheckRequest(**options)
    # A check of the text alone needs no lab, and runs whatever its file holds.
    lab = lab_of(ctx) if request.captures or request.profile_name is not None else None
    checked = check_file(lab, application, request)
    failed = not checked.report.clean or (strict and checked.report.count("warning") > 0)
    exit_code = ProfileError.exit_code if failed else 0
    if application is None and not as_json:
        say(f"the build was made from {checked.report.root}")
    if as_json:
        emit_json(check_json(checked, exit_code, request.captures))
    else:
        answer(*check_lines(checked, exit_code, fold_width(), verbose=verbose))
    return exit_code
