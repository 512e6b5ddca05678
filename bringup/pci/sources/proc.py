"""/proc/interrupts, /proc/ioports and /proc/iomem: lines of a running kernel (pure, bounded)."""

from __future__ import annotations

import re

from bringup.pci.model import InterruptLine, IoRange, Missing
from bringup.pci.tree.files import Files

INTERRUPTS = "proc/interrupts"
_LINE_LIMIT = 20_000
# "16-fasteoi", "2-edge"; before Linux 3.x "IO-APIC-fasteoi" without a pin.
_PIN = re.compile(r"(\d{1,7})-(\w+)")
_OLD_CHIP = re.compile(r"([A-Za-z][\w-]*?)-(edge|level|fasteoi)")
_RANGE = re.compile(r"( {0,32})([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.{1,200})")


def read_interrupts(files: Files) -> tuple[tuple[InterruptLine, ...] | None, tuple[Missing, ...]]:
    """Return the numbered rows of /proc/interrupts (kernel/irq/proc.c, show_interrupts), or why not."""
    data = files.read(INTERRUPTS)
    if isinstance(data, Missing):
        return None, (data,)
    lines = data.decode("utf-8", "replace").splitlines()[:_LINE_LIMIT]
    cpus = lines[0].split() if lines else []
    if not cpus or any(not cpu.startswith("CPU") for cpu in cpus):
        return None, (Missing(INTERRUPTS, "has no heading of CPUs"),)
    rows = (_row(line, len(cpus)) for line in lines[1:])
    return tuple(row for row in rows if row is not None), ()


def _row(line: str, cpus: int) -> InterruptLine | None:
    """Return `16:  12  0  IO-APIC  16-fasteoi  igb, eth1`; None for rows such as NMI."""
    head, _, rest = line.partition(":")
    words = rest.split(None, cpus)
    if not head.strip().isdecimal() or len(head) > 10 or len(words) <= cpus:
        return None
    counts, tail = words[:cpus], words[cpus]
    if not all(count.isdecimal() and len(count) < 21 for count in counts):
        return None
    chip, pin, trigger, users = _chip(tail)
    return InterruptLine(
        irq=int(head),
        chip=chip,
        pin=pin,
        trigger=trigger,
        count=sum(map(int, counts)),
        users=tuple(user.strip() for user in users.split(",") if user.strip()),
    )


def _chip(tail: str) -> tuple[str, int | None, str | None, str]:
    """Return controller, pin, trigger and the users' text."""
    words = tail.split(None, 2)
    if len(words) > 1 and (match := _PIN.fullmatch(words[1])):
        return words[0], int(match[1]), match[2], words[2] if len(words) > 2 else ""
    if match := _OLD_CHIP.fullmatch(words[0]):
        return match[1], None, match[2], tail[len(words[0]) :]
    return words[0], None, None, tail[len(words[0]) :]


def read_ranges(files: Files, path: str) -> tuple[tuple[IoRange, ...] | None, tuple[Missing, ...]]:
    """Return the ranges of /proc/ioports or /proc/iomem (kernel/resource.c, r_show), or why not.

    Without privilege the kernel writes every address as 0: that is no observation.
    """
    data = files.read(path)
    if isinstance(data, Missing):
        return None, (data,)
    lines = data.decode("utf-8", "replace").splitlines()[:_LINE_LIMIT]
    matches = [match for match in map(_RANGE.fullmatch, lines) if match]
    if not matches:
        return None, (Missing(path, "holds no range"),)
    ranges = tuple(IoRange(int(m[2], 16), int(m[3], 16), m[4].strip(), len(m[1]) // 2) for m in matches)
    if not any(place.base or place.limit for place in ranges):
        return None, (Missing(path, "zeroed: the kernel hides addresses from anyone but root"),)
    return ranges, ()
