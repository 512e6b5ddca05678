"""`bringup serve-rights`: what lets a person serve boards without being root."""

from __future__ import annotations

import click

from bringup.cli.options import json_option


@click.command()
@json_option()
def command(as_json: bool) -> None:
    """Print the line for sudoers that lets you serve boards without being root.

    It allows one command: the process that serves, as you and not as root, with the rights to ports below
    1024, raw sockets and ARP. Put it, as root, into /etc/sudoers.d/bringup with mode 0440.

    \b
    Example, typed once by who boots boards:
      bringup serve-rights > bringup.sudoers
    then sudo install -m 0440 bringup.sudoers /etc/sudoers.d/bringup
    """
    from bringup.base.privilege import serving_rule
    from bringup.report.output import answer, emit_json

    rule = serving_rule("bringup.netboot.serve")
    if as_json:
        emit_json({"rule": rule})
    else:
        answer(rule)
