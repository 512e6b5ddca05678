"""What readers of several formats share."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bringup.pci.model import Bdf, Function, Missing

# A machine has a few hundred; what claims more than this is none.
FUNCTION_LIMIT = 1 << 16
CUT_OFF = "the text ends in the middle of it"


def lines_of(data: bytes) -> Iterator[str]:
    """Yield the lines of a text without their ends, one at a time: a hostile one has millions."""
    for line in io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace", newline="\n"):
        yield line.removesuffix("\n")


def cut_off(name: str, bdf: Bdf) -> tuple[Missing, ...]:
    """Return the gap of a text that ends in the middle: what its last record lacks proves nothing."""
    return (Missing(f"the rest of {bdf.short} in {name}", CUT_OFF),)


def told_elsewhere(
    functions: Iterable[Function], absent: Mapping[str, Any], *, source: str | None = None
) -> list[Function]:
    """Return the functions with each field of `absent` observed everywhere if it was observed for one.

    Its value there is what `absent` has for it. Programs and kernels that tell a thing tell it of every
    function that has it (a driver, an IOMMU group): where one has it, none told is none there. Where none has
    it, the source may not know such things at all, unless `source` is given: the name of one that is known to
    tell them.
    """
    told = list(functions)
    tellers = {
        field: next((f.provenance[field] for f in told if f.observed(field)), source) for field in absent
    }
    known = {field: teller for field, teller in tellers.items() if teller is not None}
    return [_with_absent(function, absent, known) for function in told] if known else told


def _with_absent(function: Function, absent: Mapping[str, Any], known: Mapping[str, str]) -> Function:
    untold = {field: teller for field, teller in known.items() if not function.observed(field)}
    if not untold:
        return function
    values = {field: absent[field] for field in untold}
    return replace(function, **values, provenance={**function.provenance, **untold})
