"""How many bytes, or of what, as people write it: the one formatter of sizes and counts."""

from __future__ import annotations

_UNITS = ("", "K", "M", "G", "T")


def size_text(count: int) -> str:
    """Return a number of bytes, exact: `256 bytes`, `20 KiB`, `1300 MiB`; odd ones above a MiB to a tenth."""
    step, whole = _largest(count)
    if step:
        return f"{whole} {_UNITS[step]}iB"
    return f"{count} bytes" if count < 1 << 20 else mib_text(count)


def mib_text(count: int) -> str:
    """Return bytes in MiB, for sums: `11744 MiB`, `1.5 MiB`."""
    return f"{count >> 20} MiB" if count % (1 << 20) == 0 else f"{count / (1 << 20):.1f} MiB"


def bar_size(count: int) -> str:
    """Return bytes as people write BARs, exact: `32`, `16K`, `1M`, `8G`."""
    step, whole = _largest(count)
    return f"{whole}{_UNITS[step]}"


def rough_size(count: int) -> str:
    """Return bytes in the unit that a person would choose, rounded: `900 B`, `1.5 MiB`, `64 MiB`."""
    step = min(max(count.bit_length() - 1, 0) // 10, 3)
    amount = count / (1 << 10 * step)
    digits = 0 if step == 0 or amount >= 10 else 1
    return f"{amount:.{digits}f} {_UNITS[step]}{'iB' if step else 'B'}"


def counted(number: int, thing: str) -> str:
    """Return `1 line`, `2 lines`; `thing` is the word for one, whose plural ends in s or es."""
    return f"{number} {thing}{'' if number == 1 else 'es' if thing.endswith('s') else 's'}"


def _largest(count: int) -> tuple[int, int]:
    """Return the largest unit that divides a number of bytes, and how many of it there are."""
    step = 0
    while step < len(_UNITS) - 1 and count >= 1024 and count % 1024 == 0:
        step, count = step + 1, count >> 10
    return step, count
