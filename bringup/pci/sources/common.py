"""What readers of several formats share."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
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
    functions: Iterable[Function], field: str, absent: Any = None, *, source: str | None = None
) -> list[Function]:
    """Return the functions with `field` observed everywhere if it was observed for one: as `absent`.

    Programs and kernels that tell a thing tell it of every function that has it (a driver, an IOMMU group):
    where one has it, none told is none there. Where none has it, the source may not know such things at all,
    unless `source` is given: the name of one that is known to tell them.
    """
    told = list(functions)
    source = next((f.provenance[field] for f in told if f.observed(field)), source)
    if source is None:
        return told
    return [
        function
        if function.observed(field)
        else replace(function, **{field: absent}, provenance={**function.provenance, field: source})
        for function in told
    ]
