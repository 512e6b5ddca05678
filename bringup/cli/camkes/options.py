"""Options that several `bringup camkes` commands have; their names are those of the requests' fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from bringup.cli.complete import capture_names, profile_names
from bringup.cli.file_path import FilePath
from bringup.cli.options import json_option

F = TypeVar("F", bound=Callable[..., Any])

PROFILE = click.option(
    "--profile",
    "profile_name",
    metavar="P",
    shell_complete=profile_names,
    help="Judge by this board profile.",
)
PIN = click.option(
    "--pin",
    "pins",
    multiple=True,
    metavar="DEVICE=IOAPIC/PIN",
    help="State a pin that the capture does not tell: --pin 17:00.0=0/16.",
)
INCLUDE = click.option(
    "-I", "include", type=FilePath(), multiple=True, help="Folder of includes, as for cpp."
)
DEFINE = click.option("-D", "define", multiple=True, metavar="NAME[=V]", help="Macro, as for cpp.")
ALLOW_MISSING = click.option(
    "--allow-missing", is_flag=True, help="Go on without includes that are not found."
)


def capture_option(
    words: str = "A capture, or a board for its latest one.", *, required: bool = False
) -> Callable[[F], F]:
    """Return what adds `--capture` to a command as `captures`."""
    return click.option(
        "--capture",
        "captures",
        required=required,
        multiple=True,
        metavar="C",
        shell_complete=capture_names,
        help=words,
    )


def build_option(words: str) -> Callable[[F], F]:
    """Return what adds `--build-dir` to a command."""
    return click.option("--build-dir", type=FilePath(), metavar="DIR", help=words)


_ASSIGN = (
    capture_option(required=True),
    PROFILE,
    click.option(
        "--assign",
        "assignments",
        required=True,
        multiple=True,
        metavar="VM=DEVICE",
        help="Give a device to a VM; by BDF, MAC or the profile's port name. Once per device.",
    ),
    click.option(
        "--accept", multiple=True, metavar="CODE", help="Take a device on that needs this change elsewhere."
    ),
    PIN,
    build_option("Check against this build, too."),
    click.option(
        "--guest-ram", type=int, metavar="MIB", help="Also set every guest's RAM, pools, heap, CNode."
    ),
    click.option("--vm-ram", multiple=True, metavar="VM=MIB", help="The same for one guest. Once per guest."),
    click.option("--pools", is_flag=True, help="Also set pools, heap and CNode for the RAM that is set."),
    INCLUDE,
    DEFINE,
    ALLOW_MISSING,
    json_option("docs/camkes.md"),
)


def assign_options(function: F) -> F:
    """Add the options of an `AssignRequest`, and `--json`."""
    for option in reversed(_ASSIGN):
        function = option(function)
    return function
