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
