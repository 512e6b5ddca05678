"""`bringup doctor`: is it the lab?"""

from __future__ import annotations

import click

from bringup import BringupError
from bringup.cli.complete import board_names
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json


@click.command()
@click.argument("board", required=False, shell_complete=board_names)
@json_option("docs/doctor.md")
@click.pass_context
def command(ctx: click.Context, board: str | None, as_json: bool) -> int:
    """Check this host, the network and the BMC of BOARD; each failing line ends with what mends it.

    Without BOARD it is the lab's only board, else the twin. Nothing is changed: settings are read, one DHCP
    question is asked on the board's network, and the BMC is logged in to. The exit code is 0 where nothing
    fails, else that of whose fault it is (10: lab, 12: profile or lab file).

    \b
    Example:
      bringup doctor
      bringup doctor e300
      sudo bringup doctor e300 --json
    """
    from bringup.jobs.doctor.check import exit_code
    from bringup.jobs.doctor.job import default_board, diagnose, lab_refused
    from bringup.report.doctor import doctor_json, doctor_lines

    try:
        lab = lab_of(ctx)
    except BringupError as error:
        name, found = board or "this lab", lab_refused(error)
    else:
        unit = lab.board(board) if board else default_board(lab)
        name, found = unit.name, diagnose(lab, unit)
    if as_json:
        emit_json(doctor_json(found))
    else:
        answer(*doctor_lines(found, name))
    return exit_code(found)
