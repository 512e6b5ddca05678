"""`bringup serve-rights`: what lets a person serve boards without being root."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(as_json: bool) -> None:
    """Print the line for sudoers that lets you serve boards without being root.

    It allows one command: the process that serves, as you and not as root, with the rights to ports below
    1024, raw sockets and ARP. Put it, as root, into /etc/sudoers.d/bringup with mode 0440.

    \b
    Example, typed once by who boots boards:
      bringup serve-rights > bringup.sudoers
    then sudo install -m 0440 bringup.sudoers /etc/sudoers.d/bringup
    """
    import json

    from bringup.base.privilege import serving_rule
    from bringup.report.output import answer

    rule = serving_rule("bringup.netboot.serve")
    answer(json.dumps({"rule": rule}) if as_json else rule)
