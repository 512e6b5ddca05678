"""Options that many commands have, worded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def json_option(page: str = "") -> Callable[[Function], Function]:
    """Return what adds `--json` to a command as `as_json`; `page` is where its shape is described."""
    where = f" ({page})" if page else ""
    return click.option("--json", "as_json", is_flag=True, help=f"One JSON object on stdout{where}.")


def memory_option(whose: str) -> Callable[[Function], Function]:
    """Return what adds `--memory` to a command as `memory_mib`, None where it is not given."""
    from bringup.twin.engines import DEFAULT_MEMORY_MIB, MEMORY_LIMITS_MIB

    return click.option(
        "--memory",
        "memory_mib",
        type=click.IntRange(*MEMORY_LIMITS_MIB),
        metavar="MIB",
        help=f"{whose} (default: {DEFAULT_MEMORY_MIB}); the host gives what is used.",
    )


def engine_option() -> Callable[[Function], Function]:
    """Return what adds `--engine` to a command."""
    from bringup.twin.engines import ENGINE_CHOICES

    return click.option(
        "--engine",
        type=click.Choice(ENGINE_CHOICES),
        default="auto",
        show_default=True,
        help="What the twin runs on; qemu is the only one now.",
    )
