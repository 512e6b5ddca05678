"""Options that many commands have, worded once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from bringup import UsageError
from bringup.cli.complete import disk_names, fault_names
from bringup.lab.who import AS_VARIABLE

Function = TypeVar("Function", bound=Callable[..., Any])


def json_option(page: str = "") -> Callable[[Function], Function]:
    """Return what adds `--json` to a command as `as_json`; `page` is where its shape is described."""
    where = f" ({page})" if page else ""
    return click.option("--json", "as_json", is_flag=True, help=f"One JSON object on stdout{where}.")


def refuse_two_forms(*, as_json: bool, events: bool, detach: bool = False) -> None:
    """Raise UsageError where stdout would have to hold two things."""
    if events and as_json:
        raise UsageError(
            "--events and --json both want stdout", hint="the last line of --events is the verdict"
        )
    if events and detach:
        raise UsageError(
            "--detach returns before there are events", hint="bringup runs follow RUN --events shows them"
        )


def disk_option(words: str) -> Callable[[Function], Function]:
    """Return what adds `--disk NAME` to a command; an empty name is refused before the board is touched."""

    def named(_ctx: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
        if name is not None and not name.strip():
            raise UsageError("the name of the disk is empty", hint="is a variable not set?")
        return name

    return click.option("--disk", metavar="NAME", shell_complete=disk_names, callback=named, help=words)


def as_option() -> Callable[[Function], Function]:
    """Return what adds `--as NAME` to a command: who others are told holds the board."""

    def remember(_ctx: click.Context, _parameter: click.Parameter, name: str | None) -> None:
        if name:
            os.environ[AS_VARIABLE] = name

    return click.option(
        "--as",
        metavar="NAME",
        expose_value=False,
        callback=remember,
        help=f"Who you are to others of this board (default: ${AS_VARIABLE}, else your login).",
    )


def memory_option(whose: str) -> Callable[[Function], Function]:
    """Return what adds `--memory` to a command as `memory_mib`, None where it is not given."""
    from bringup.twin.engines import DEFAULT_MEMORY_MIB, MEMORY_LIMITS_MIB

    return click.option(
        "--memory",
        "memory_mib",
        type=click.IntRange(*MEMORY_LIMITS_MIB),
        metavar="MIB",
        help=f"{whose} (default: {DEFAULT_MEMORY_MIB}; on bochs 2047); the host gives what is used.",
    )


def engine_option() -> Callable[[Function], Function]:
    """Return what adds `--engine` to a command."""
    from bringup.base.engine_names import ENGINE_CHOICES

    return click.option(
        "--engine",
        type=click.Choice(ENGINE_CHOICES),
        default="auto",
        show_default=True,
        help="What the twin runs on: qemu is fast, bochs and kvm (where it nests) have VT-x for VMs; "
        "scripted says the texts of a boot and runs nothing.",
    )


SEED = click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="What the faults' chances follow from.",
)


def fault_options() -> Callable[[Function], Function]:
    """Return what adds `--fault` and `--seed` to a command, as `faults` and `seed`."""

    def checked(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
        if not texts:
            return ()
        from bringup.twin.faults.choice import choose_all

        return tuple(map(str, choose_all(texts)))

    fault = click.option(
        "--fault",
        "faults",
        multiple=True,
        callback=checked,
        shell_complete=fault_names,
        metavar="NAME[@STAGE|@SECONDS][,KEY=NUMBER]",
        help="What the twin plays; `bringup twin faults` lists them. Repeatable.",
    )
    return lambda function: fault(SEED(function))


def override_option() -> Callable[[Function], Function]:
    """Return what adds `--override` to a command, None where the profile has the word."""
    return click.option(
        "--override",
        type=click.Choice(["verified", "unverified", "none"]),
        help="Boot override: read back; set, readable or not; none (default: the profile's).",
    )
