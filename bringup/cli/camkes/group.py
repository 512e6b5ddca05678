"""`bringup camkes`: from PCI truth to a CAmkES configuration that works, and whether one does."""

from __future__ import annotations

import click

from bringup.cli.lazy import LazyGroup

# name -> (module, one line for the overview).
_COMMANDS = {
    "overlay": ("camkes.overlay", "Write a file that adds passthrough settings to an application."),
    "update": ("camkes.update", "Put passthrough settings into a file in place."),
    "check": ("camkes.check", "Check a whole configuration against what seL4 and the VMM accept."),
    "plan-memory": ("camkes.plan_memory", "Propose untyped pools, heap and cnode size."),
    "migrate": ("camkes.migrate", "Make spellings of before 2019 today's."),
}


@click.group(cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """Feed PCI truth back into a CAmkES application, and check what is there.

    \b
    Example:
      bringup camkes overlay zmq.camkes --capture e300 --assign vm0=17:00.0 -o e300/passthrough.camkes
      bringup camkes check e300/passthrough.camkes --capture e300 --build-dir build
    """
