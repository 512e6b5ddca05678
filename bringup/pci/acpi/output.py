"""What acpiexec prints for `find`, `objects` and `evaluate`, as values; pure.

Raises ValueError for an answer that has another shape, or in which the evaluation failed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# A name is a path from the root of one to four characters each (ACPI 6.4, 20.2.2).
_NAMED = re.compile(
    r"^ *(\\(?:[A-Z_][A-Z0-9_]{0,3})(?:\.[A-Z_][A-Z0-9_]{0,3}){0,30}) +\w+ +(0x[0-9a-f]{1,16}) ", re.M
)
_CONSTANT = re.compile(r"^ *(\\[A-Z0-9_.]{1,160}) +Integer +0x[0-9a-f]{1,16} .{0,20}= ([0-9A-F]{16})$", re.M)
_EVALUATED = re.compile(r"^(\\[A-Z0-9_.]{1,160}) +returned (AE_[A-Z_]{1,40})$", re.M)
_FAILED = re.compile(r"^Evaluation of \S{1,200} failed with status (\w{1,60})", re.M)
_PACKAGE = re.compile(r"^( *)\[Package\] Contains (\d{1,6}) Elements:")
_INTEGER = re.compile(r"^ *\[Integer\] = ([0-9A-F]{1,16})$")
_REFERENCE = re.compile(r"^ *\[Object Reference\] = (0x[0-9a-f]{1,16}) ")
_HEX_ROW = re.compile(r"\b[0-9A-F]{4}: ((?:[0-9A-F]{2} ){1,16})")

_EXTENDED_INTERRUPT = 0x89
_IRQ_SMALL = 0x04
_END_SMALL = 0x0F


@dataclass(frozen=True, slots=True)
class PrtRow:
    """One row of a `_PRT`: `link` is the address of the link device's node; None: `index` is the GSI."""

    device: int
    pin: int
    link: int | None
    index: int


def named_objects(text: str) -> dict[str, int]:
    """Return path to address of everything a `find` or `objects` answer lists."""
    return {path: int(address, 16) for path, address in _NAMED.findall(text)}


def constants(text: str) -> dict[str, int]:
    """Return the names of a `find` answer that are integers and need no evaluation, with their values."""
    return {path: int(value, 16) for path, value in _CONSTANT.findall(text)}


def failure(text: str) -> str | None:
    """Return the ACPICA status (AE_…) an evaluation ended with, None when it worked."""
    match = _FAILED.search(text)
    return None if match is None else match[1]


def integer(text: str) -> int:
    """Return the integer an evaluation gave."""
    _refuse_failure(text)
    for line in text.splitlines():
        if match := _INTEGER.match(line):
            return int(match[1], 16)
    raise ValueError("gave no integer")


def evaluations(text: str) -> dict[str, str]:
    """Return path to text of an `all NAME` answer; the text of a failed one reads as `failure` does.

    `all` and not `evaluate`, because the latter has 16 KiB for the result, which QEMU's `_PRT` fills.
    """
    found = list(_EVALUATED.finditer(text))
    ends = [*(match.start() for match in found), len(text)][1:]
    return {
        _trimmed(match[1]): text[match.end() : end]
        if match[2] == "AE_OK"
        else f"Evaluation of {match[1]} failed with status {match[2]}"
        for match, end in zip(found, ends, strict=True)
    }


def _trimmed(path: str) -> str:
    """Write a path as `find` does: `\\_SB_.PCI0._PRT` is `\\_SB.PCI0._PRT`."""
    return "\\" + ".".join(segment.rstrip("_") or "_" for segment in path[1:].split("."))


def prt_rows(text: str) -> list[PrtRow]:
    """Return the rows of an evaluated `_PRT` (ACPI 6.4, 6.2.13)."""
    _refuse_failure(text)
    rows: list[list[tuple[str, int]]] | None = None
    for line in text.splitlines():
        if _PACKAGE.match(line):
            # The outermost package comes first; each further one is a row.
            if rows is None:
                rows = []
            else:
                rows.append([])
        elif rows and (match := _INTEGER.match(line)):
            rows[-1].append(("integer", int(match[1], 16)))
        elif rows and (match := _REFERENCE.match(line)):
            rows[-1].append(("reference", int(match[1], 16)))
    if rows is None:
        raise ValueError("gave no package")
    return [_prt_row(row) for row in rows]


def _prt_row(cells: list[tuple[str, int]]) -> PrtRow:
    if len(cells) != 4:
        raise ValueError(f"has a row of {len(cells)} readable elements, expected 4")
    (_, address), (_, pin), source, index = cells
    # Firmware that swaps the last two is common enough for ACPICA to put up with it (rscreate.c).
    if index[0] == "reference":
        source, index = index, source
    if pin > 3:
        raise ValueError(f"has a row for pin {pin}, expected 0 to 3")
    return PrtRow(address >> 16 & 0x1F, pin, source[1] if source[0] == "reference" else None, index[1])


def interrupts(text: str) -> tuple[int, ...]:
    """Return the interrupts in a link device's `_CRS` answer; empty for a link that is switched off."""
    _refuse_failure(text)
    data = bytes.fromhex("".join(_HEX_ROW.findall(text)))
    found: list[int] = []
    offset = 0
    while offset < len(data):
        tag = data[offset]
        # Large items have bit 7 and a 16-bit length, small ones their length in the tag (ACPI 6.4, 6.4.2).
        head = 3 if tag & 0x80 else 1
        length = int.from_bytes(data[offset + 1 : offset + 3], "little") if tag & 0x80 else tag & 7
        body = data[offset + head : offset + head + length]
        if tag == _EXTENDED_INTERRUPT and len(body) >= 2:
            words = body[2 : 2 + 4 * body[1]]
            found += [int.from_bytes(words[at : at + 4], "little") for at in range(0, len(words), 4)]
        elif tag >> 3 == _IRQ_SMALL and len(body) >= 2:
            mask = int.from_bytes(body[:2], "little")
            found += [irq for irq in range(16) if mask >> irq & 1]
        elif tag >> 3 == _END_SMALL:
            break
        offset += head + length
    # 0 is the timer's: firmware writes it into links that are off.
    return tuple(number for number in found if number)


def _refuse_failure(text: str) -> None:
    status = failure(text)
    if status is not None:
        raise ValueError(f"failed with {status}")
