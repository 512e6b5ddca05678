"""What has no meaning together on the command line of `bringup probe-pci`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bringup import UsageError

_MACHINES = {"BOARD": "board", "--from": "paths", "--local": "local", "--collector": "collector"}
_OF_A_BOARD = ("firmware_probe", "linux_probe", "firmware", "restart", "steal", "keep", "dry_run")
_SHOWING = ("profile", "everything", "tree", "split", "as_json", "svg", "verbose")
# What has no meaning together: (when, what is wrong, what to do).
_REFUSED: tuple[tuple[Callable[[dict[str, Any]], bool], str, str], ...] = (
    (
        lambda o: o["collector"] and any(o[word] for word in _SHOWING),
        "--collector prints a script and nothing else",
        "leave the rest out",
    ),
    (
        lambda o: o["split"] and (o["tree"] or o["everything"]),
        "--split shows network ports only, neither --tree nor --all",
        "ask once for each",
    ),
    (
        lambda o: o["as_json"] and o["tree"],
        "--json and --tree exclude each other",
        "the JSON has the topology: `path`",
    ),
    (
        lambda o: o["as_json"] and str(o["svg"]) == "-",
        "--json and --svg - both go to standard output",
        "name a file: --svg topology.svg",
    ),
)


def refuse_senseless(options: dict[str, Any]) -> None:
    """Refuse a command line that names no machine, or several, or options that have no meaning with it."""
    named = [word for word, key in _MACHINES.items() if options[key]]
    if len(named) != 1:
        told = f"{' and '.join(named)} exclude each other" if named else "no machine named"
        raise UsageError(
            told, hint="give one of: BOARD, --from PATH, --local, --collector; see bringup probe-pci --help"
        )
    for word in () if options["board"] else _OF_A_BOARD:
        if options[word]:
            option = f"--{word.replace('_', '-')}"
            raise UsageError(f"{option} is about probing a board, and none is named", hint="name a BOARD")
    for refused, told, hint in _REFUSED:
        if refused(options):
            raise UsageError(told, hint=hint)
    if options["svg"] is not None and options["svg"].is_dir():
        raise UsageError(f"{options['svg']} is a folder", hint="name a file: --svg topology.svg")
