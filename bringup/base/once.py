"""What is made once in a process, whichever of its threads asks first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def made_once(maxsize: int | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return what remembers a function's results as `functools.lru_cache`, and has one thread make each.

    The boards of a batch ask for the same things at the same time: those that come meanwhile wait.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        remembered = cast("Callable[P, R]", lru_cache(maxsize)(function))
        one_at_a_time = threading.RLock()

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with one_at_a_time:
                return remembered(*args, **kwargs)

        return call

    return decorate
