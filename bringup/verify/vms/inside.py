"""What is asked in a guest, and what its answers say: PCI functions, interrupts, pings, counters. Pure.

Commands are for busybox and for GNU tools, and say `cd` before they name files of /sys and /proc.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

FUNCTIONS = (
    "cd /sys/bus/pci/devices||exit;for d in *;do echo F $d $(cat $d/vendor $d/device $d/irq);"
    "[ -e $d/driver ]&&echo D $(basename $(readlink $d/driver));"
    "[ -d $d/net ]&&echo N $(ls $d/net);"
    '[ -n "$(ls $d/msi_irqs 2>/dev/null)" ]&&echo M;done;true'
)
_RESOURCE_IO, _RESOURCE_MEM = 0x100, 0x200  # include/linux/ioport.h
_PAGE = 4096


@dataclass(slots=True)
class GuestFunction:
    """A PCI function as a guest sees it; `driver`, `net` and `msi` where it has them."""

    address: str
    id: str
    irq: int
    driver: str = ""
    net: tuple[str, ...] = ()
    msi: bool = False


def read_functions(lines: Sequence[str]) -> tuple[GuestFunction, ...]:
    """Return what `FUNCTIONS` printed."""
    found: list[GuestFunction] = []
    for line in lines:
        match line.split():
            case ["F", address, vendor, device, irq]:
                found.append(GuestFunction(address, f"{vendor[2:]}:{device[2:]}", int(irq)))
            case ["D", driver] if found:
                found[-1].driver = driver
            case ["N", *names] if found:
                found[-1].net = tuple(names)
            case ["M"] if found:
                found[-1].msi = True
    return tuple(found)


def resource_command(address: str) -> str:
    """Return the command for a function's BARs; empty rows would only cost characters."""
    return f"cd /sys/bus/pci/devices/{address}&&head -n 6 resource|grep -v '^0x0* 0x0* 0x0*$';true"


@dataclass(frozen=True, slots=True)
class Bars:
    """The sizes of a function's BARs in bytes, memory and I/O apart, each in order of size."""

    memory: tuple[int, ...]
    io: tuple[int, ...]

    @classmethod
    def of(cls, memory: Sequence[int], io: Sequence[int]) -> Bars:
        """Return sizes as a configuration says them: of memory, whole pages (C19)."""
        pages = sorted((size + _PAGE - 1) // _PAGE * _PAGE for size in memory)
        return cls(tuple(pages), tuple(sorted(io)))

    def __str__(self) -> str:
        parts = [*map(_size, self.memory), *(f"I/O {size}" for size in self.io)]
        return ", ".join(parts) or "none"

    def without(self, other: Bars) -> Bars:
        """Return what is here and not there."""
        return Bars(_minus(self.memory, other.memory), _minus(self.io, other.io))


def _minus(sizes: Sequence[int], others: Sequence[int]) -> tuple[int, ...]:
    left = list(sizes)
    for size in others:
        if size in left:
            left.remove(size)
    return tuple(left)


def _size(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 and size % (1 << 20) == 0 else f"{size >> 10} KiB"


def read_bars(lines: Sequence[str]) -> Bars:
    """Return the BARs by the rows of sysfs `resource`: first, last, flags."""
    memory, io = [], []
    for line in lines:
        words = [int(word, 16) for word in line.split()]
        if len(words) == 3 and words[1] > words[0]:
            size = words[1] - words[0] + 1
            if words[2] & _RESOURCE_IO:
                io.append(size)
            elif words[2] & _RESOURCE_MEM:
                memory.append(size)
    return Bars.of(memory, io)


def interrupts_command(irqs: Sequence[int]) -> str:
    """Return the command for these rows of /proc/interrupts; by number, as names differ."""
    return f"cd /proc;grep -E '^ *({'|'.join(map(str, sorted(set(irqs))))}):' interrupts"


def read_interrupts(lines: Sequence[str]) -> dict[int, int]:
    """Return how often each interrupt came, on all processors together."""
    counts = {}
    for line in lines:
        number, _, rest = line.partition(":")
        words = rest.split()
        texts = next((at for at, word in enumerate(words) if not word.isdigit()), len(words))
        counts[int(number)] = sum(map(int, words[:texts]))
    return counts


def ping_command(to: str, count: int, *, size: int = 56, source: str = "") -> str:
    """Return a ping whose last lines are its statistics; `size` is that of its payload in bytes."""
    words = f"-I {source} " if source else ""
    return f"ping {words}-c {count} -s {size} -W 2 {to}|tail -n 3"


def read_ping(lines: Sequence[str]) -> tuple[int, int] | None:
    """Return how many were sent and answered; None where ping did not get that far."""
    found = re.search(r"(\d+) packets transmitted, (\d+) (?:packets )?received", "\n".join(lines))
    return None if found is None else (int(found[1]), int(found[2]))


LEAVING = (
    ("private", "-d {private}"),
    ("tunnel", "-p udp --dport {port}"),
    ("all", ""),
)
"""What is counted of all that leaves by a card, by rules that do nothing else."""
_PRIVATE = ip_network("10.0.0.0/8")


def private_of(far: str) -> str:
    """Return what is counted as clear text for a host of the other LAN: for any in 10.0.0.0/8, else for it.

    Not all private networks: black's own router is in one, too.
    """
    try:
        return str(_PRIVATE) if ip_address(far) in _PRIVATE else far
    except ValueError:
        return far  # a name


def count_commands(card: str, port: int, private: str, verb: str) -> tuple[str, ...]:
    """Return the commands that add (`-I`) or delete (`-D`) the counting rules.

    In mangle POSTROUTING: behind every rule that forwards or drops, before the source is translated.
    """
    rules = LEAVING if verb == "-D" else tuple(reversed(LEAVING))
    matches = (match.format(port=port, private=private) for _, match in rules)
    return tuple(f"iptables -t mangle {verb} POSTROUTING -o {card} {match}".rstrip() for match in matches)


def counts_command(card: str) -> str:
    """Return the command that shows them."""
    return f"iptables -t mangle -nvxL POSTROUTING|grep ' {card} '"


def read_counts(lines: Sequence[str]) -> dict[str, int] | None:
    """Return the packets that each counting rule met; None where they are not the first three."""
    if len(lines) < len(LEAVING):
        return None
    counts = {}
    for (name, _), line in zip(LEAVING, lines, strict=False):
        words = line.split()
        if not words or not words[0].isdigit():
            return None
        counts[name] = int(words[0])
    return counts


@dataclass(frozen=True, slots=True)
class Measured:
    """What iperf3 said of its receiver."""

    mbit_s: float
    seconds: float


def read_iperf3(lines: Sequence[str]) -> Measured | None:
    """Return the receiver's line of iperf3 (`-f m`); None where there is none."""
    for line in lines:
        found = re.search(r"([\d.]+)-([\d.]+) +sec +[\d.]+ \w+ +([\d.]+) Mbits/sec.*receiver", line, re.ASCII)
        if found is not None:
            return Measured(float(found[3]), float(found[2]) - float(found[1]))
    return None


def grown(before: int, after: int) -> int:
    """Return by how much a counter grew; those of 32-bit guests begin again at 4 GiB."""
    return after - before if after >= before else after - before + (1 << 32)
