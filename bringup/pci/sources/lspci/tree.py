"""The tree of `lspci -t` and `-tv`: functions, what bridges lead to, and names (pciutils ls-tree.c).

A line goes on to the right through bridges that have one function behind them; where several are, each has a
line of its own, and its column tells the bus. Lines whose columns do not fit the tree above are not
believed. Classes, BARs and interrupts are in no tree.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bringup.base.errors import UsageError
from bringup.base.size import counted
from bringup.pci.model import Bdf, Bridge, Function, Machine, Missing, SourceInfo
from bringup.pci.sources.common import FUNCTION_LIMIT, lines_of

KIND = "lspci-tree"

MAX_BYTES = 16 << 20
_SNIFFED_BYTES = 64 << 10
_MAX_LINE = 4096
_ROOT = re.compile(r"-?[-+\\]?-\[(?:([0-9a-f]{4,8}):)?([0-9a-f]{2})\](?=-|$)")
_FUNCTION = re.compile(r"([01][0-9a-f])\.([0-7])(?=-\[|--|  |\s*$)")
_BEHIND = re.compile(r"-\[([0-9a-f]{2})(?:-([0-9a-f]{2}))?\](?=-)")
_FORK = re.compile(r"-{1,2}\+-")
_NAME = re.compile(r"  (\S[^\r\n]{0,400})")
_IDS = re.compile(r"(?:(.*) )?\[([0-9a-f]{4}):([0-9a-f]{4})\]|()(?:Device )?([0-9a-f]{4}):([0-9a-f]{4})")
_FIRST = re.compile(rb"^[ \t]{0,32}-(?:\+-)?\[(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}\]-", re.MULTILINE)

Bus = tuple[int, int]


def looks_like(data: bytes) -> bool:
    """Whether a tree begins in the first 64 KiB: `-[0000:00]-` or `-+-[0000:16]-`."""
    return _FIRST.search(data[:_SNIFFED_BYTES]) is not None


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return the functions of a tree; raises UsageError for one that is too large or shows none."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: {len(data)} bytes are too many for the tree of one machine")
    whole = data.endswith(b"\n")
    lines = [line.rstrip("\r") for line in lines_of(data)]
    tree = _Tree(name)
    for number, line in enumerate(lines, 1):
        tree.read(line[:_MAX_LINE], whole=whole or number < len(lines))
    if not tree.functions:
        raise UsageError(f"{name}: no PCI function in this tree", hint="write it with: lspci -tvnn")
    return Machine(
        tuple(tree.functions[bdf] for bdf in sorted(tree.functions)),
        sources=(SourceInfo(name, KIND, hashlib.sha256(data).hexdigest()),),
        missing=tuple(tree.gaps()),
    )


@dataclass(slots=True)
class _Fork:
    """A column at which a bus goes on (root buses: `bus` None); `ended` once its last line was seen."""

    column: int
    bus: Bus | None
    ended: bool = False


@dataclass(slots=True)
class _Tree:
    """What the lines told so far."""

    name: str
    functions: dict[Bdf, Function] = field(default_factory=dict)
    forks: list[_Fork] = field(default_factory=list)
    strays: int = 0

    def read(self, line: str, *, whole: bool) -> None:
        """Read a line; one that does not fit is counted."""
        start = len(line) - len(line.lstrip(" |"))
        if not line[start:]:
            return
        root = _ROOT.match(line, start)
        if root is not None and not self.forks and line[start] == "-":
            if line[start + 1] == "+":
                self.forks.append(_Fork(start + 1, None))
        elif not self._continues(line, start):
            self.strays += 1
            return
        if root is not None:
            bus: Bus | None = int(root[1] or "0", 16), int(root[2], 16)
            at = root.end()
        else:
            bus, at = self.forks[-1].bus, start
        if bus is None:
            self.strays += 1
            return
        self._follow(line, at, bus, whole=whole)

    def _continues(self, line: str, column: int) -> bool:
        """Whether a line stands at a fork of the tree, all those left of it as they were left."""
        there = next((n for n, fork in enumerate(self.forks) if fork.column == column), None)
        if there is None or line[column : column + 2] not in ("+-", "\\-") or self.forks[there].ended:
            return False
        left = {fork.column: " " if fork.ended else "|" for fork in self.forks[:there]}
        if any(line[at] != left.get(at, " ") for at in range(column)):
            return False
        del self.forks[there + 1 :]
        self.forks[there].ended = line[column] == "\\"
        return True

    def _follow(self, line: str, at: int, bus: Bus, *, whole: bool) -> None:
        """Read what a line has behind a bus, to the right."""
        while True:
            if fork := _FORK.match(line, at):
                self.forks.append(_Fork(fork.end() - 2, bus))
                at = fork.end()
            else:
                at += len(line[at:]) - len(line[at:].lstrip("-+\\"))
            found = _FUNCTION.match(line, at)
            if found is None:
                self.strays += bool(line[at:].strip())
                return
            bdf = Bdf(*bus, int(found[1], 16), int(found[2]))
            behind = _BEHIND.match(line, found.end())
            # A line that is cut may have lost what stands behind a function.
            told = whole or behind is not None
            if bdf in self.functions or len(self.functions) >= FUNCTION_LIMIT or not told:
                self.strays += 1
                return
            name = _NAME.match(line, found.end()) if behind is None else None
            self.functions[bdf] = self._function(bdf, behind, name)
            if behind is None:
                return
            bus, at = (bdf.domain, int(behind[1], 16)), behind.end()

    def _function(self, bdf: Bdf, behind: re.Match[str] | None, name: re.Match[str] | None) -> Function:
        known: dict[str, Any] = {}
        if behind is not None:
            secondary = int(behind[1], 16)
            known["bridge"] = Bridge(bdf.bus, secondary, int(behind[2] or behind[1], 16))
        if name is not None:
            text = name[1].strip()
            ids = _IDS.fullmatch(text)
            if ids is None:
                known["device_name"] = text
            else:
                known |= {"vendor": int(ids[2] or ids[5], 16), "device": int(ids[3] or ids[6], 16)}
                known |= {"device_name": ids[1]} if ids[1] else {}
        return Function(bdf, **known, provenance=dict.fromkeys(known, self.name))

    def gaps(self) -> Iterator[Missing]:
        """Yield what the tree does not tell."""
        yield Missing(f"classes, BARs and interrupts in {self.name}", "a tree has none: add lspci -nnvv")
        if self.strays:
            what = f"{counted(self.strays, 'line')} of {self.name}"
            yield Missing(what, "they do not fit the tree")
