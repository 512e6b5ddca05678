"""`bringup camkes`: from PCI truth to a CAmkES configuration that works, and whether one does."""

from __future__ import annotations

from importlib import import_module

import click

# name -> (module, one line for the overview); a module is imported only for its own command.
_COMMANDS = {
    "overlay": ("camkes.overlay", "Write a file that adds passthrough settings to an application."),
    "update": ("camkes.update", "Put passthrough settings into a file in place."),
    "check": ("camkes.check", "Check a whole configuration against what seL4 and the VMM accept."),
    "plan-memory": ("camkes.plan_memory", "Propose untyped pools, heap and cnode size."),
    "migrate": ("camkes.migrate", "Make spellings of before 2019 today's."),
}


class LazyCommands(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the work."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"bringup.cli.{_COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyCommands)
def command() -> None:
    """Feed PCI truth back into a CAmkES application, and check what is there.

    \b
    Example:
      bringup camkes overlay zmq.camkes --capture e300 --assign vm0=17:00.0 -o e300/passthrough.camkes
      bringup camkes check e300/passthrough.camkes --capture e300 --build-dir build
    """
