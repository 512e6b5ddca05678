"""One function's lines of `lspci -v`, `-vv` or `-vvv`, without its hex rows.

What lspci leaves out means something only where it had the config space and was asked for detail: the
`Control:` line (-vv) is the sign. Then a missing `(rev ..)` is revision 0, no `Region` line is no BAR,
and a missing `Interrupt:` line is pin register 0 unless it is a bridge's (pciutils lspci.c).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bringup.pci.model import INTX_PINS, Bar, Bdf, Bridge, Capability, Function, Window
from bringup.pci.sources.lspci.capability import read_capability
from bringup.pci.sources.lspci.region import read_bus, read_region, read_rom, read_window

_HEADER = re.compile(r"((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]) (?!\")(\S[^\t]*)")
_NUMERIC = re.compile(r"([0-9a-f]{4}): ([0-9a-f]{4}:[0-9a-f]{4})")
_CLASS = re.compile(r"(.*?) ?\[([0-9a-f]{4})\]")
_IDS = re.compile(r"(?:(.*) )?\[([0-9a-f]{4}):([0-9a-f]{4})\]")
_BARE_IDS = re.compile(r"()([0-9a-f]{4}):([0-9a-f]{4})")
_PROG_IF = re.compile(r"([0-9a-f]{2})(?: \[.*\])?\)")
_REVISION = re.compile(r"([0-9a-f]{2})\)")
_INTERRUPT = re.compile(r"Interrupt: pin ([A-Z?])(?: routed to IRQ (\d{1,9}))?")
# What `lspci -v` tells among the flags, and `-vv` on lines of their own.
_IN_FLAGS = re.compile(r", (IRQ|NUMA node|IOMMU group) (\d{1,9})\b")
_FLAGS = {"IRQ": "irq", "NUMA node": "numa_node", "IOMMU group": "iommu_group"}
_SIGN = re.compile(r"([\w/]+)([+-])")
_DECIMAL = re.compile(r"-?\d{1,9}")
# More sentences about one function help nobody, and a hostile text could make millions.
_MAX_REMARKS = 32
# Bits 0 to 10 of the command register (PCI 3.0, 6.2.2), in lspci's words.
_COMMAND = (
    "I/O",
    "Mem",
    "BusMaster",
    "SpecCycle",
    "MemWINV",
    "VGASnoop",
    "ParErr",
    "Stepping",
    "SERR",
    "FastB2B",
    "DisINTx",
)
_TEXTS = {"Physical Slot:": "slot", "DeviceName:": "label", "Kernel driver in use:": "driver"}
_NUMBERS = {"NUMA node:": "numa_node", "IOMMU group:": "iommu_group"}


# How lines right below a header begin, in the order in which lspci writes them: what is behind one that is
# there would have been written before it (pciutils lspci.c, show_verbose).
_ORDER = (
    ("DeviceName:", "Subsystem:", "Physical Slot:", "DT node:", "Device tree node:", "!!! "),
    ("Control:", "Flags:", "Status:", "Latency:", "BIST"),
    ("Interrupt:",),
    ("NUMA node:", "IOMMU group:"),
    ("Region ", "Memory at ", "I/O ports at ", "[virtual] ", "[enhanced] "),
    (
        *("Bus:", "I/O behind", "Memory behind", "Prefetchable memory behind", "Secondary status:"),
        *("Memory window", "I/O window", "16-bit legacy", "Expansion ROM at ", "BridgeCtl:"),
    ),
    ("Capabilities:",),
    ("Kernel driver in use:", "Kernel modules:"),
)
_INTERRUPT_PLACE, _REGION_PLACE, _ROM_PLACE, _LIST_PLACE, _KERNEL_PLACE = 2, 4, 5, 6, 7
_BEHIND_LISTS = ("Capabilities:", *_ORDER[_KERNEL_PLACE])
_KNOWN_STARTS = tuple(start for starts in _ORDER for start in starts)
# The same by their first three letters, since every line is looked up.
_BY_LETTERS: dict[str, list[tuple[str, int]]] = {}
for _place, _starts in enumerate(_ORDER):
    for _start in _starts:
        _BY_LETTERS.setdefault(_start[:3], []).append((_start, _place))


@dataclass(slots=True)
class Paragraph:
    """The lines of one function: its header's rest, those below it with their tabs, its config bytes.

    `closed`: the empty line that lspci writes after a function was seen, so that nothing is missing at its
    end. `damaged`: something stands among its lines that is not lspci's.
    """

    bdf: Bdf
    title: str
    lines: list[str] = field(default_factory=list)
    config: bytearray = field(default_factory=bytearray)
    closed: bool = False
    damaged: bool = False
    past_lists: bool = False
    iommu_group: int | None = None

    def add(self, line: str) -> bool:
        """Take a line below the header; False where it is none of this function's.

        Tabs tell how deep it is. Where they were lost, in a page or a mail, the words do: all before the
        first capability stands right below the header, behind it only capabilities and drivers do.
        """
        if not self.closed and line.startswith("\t"):
            self.lines.append(line)
            return True
        if self.closed and not (line.startswith("\t\t") or line.lstrip().startswith(_KNOWN_STARTS)):
            return False
        if not line.startswith("\t"):
            text = line.lstrip()
            in_list = any(each.startswith("\tCapabilities:") for each in self.lines)
            if in_list and text.startswith(_BEHIND_LISTS):
                line = f"\t{text}"
            elif in_list:
                line = f"\t\t{text}"
            elif text.startswith(_KNOWN_STARTS):
                line = f"\t{text}"
            elif text is not line:
                line = f"\t\t{text}"
            else:
                return False
        self.lines.append(line)
        return True

    def end(self, line: str) -> None:
        """Take the line in which the text breaks off: what it says is not known, where it stands is."""
        self.past_lists = line.lstrip().startswith(_ORDER[_KERNEL_PLACE])


@dataclass(slots=True)
class _Draft:
    """What the lines told so far."""

    known: dict[str, Any] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    bridge: Bridge | None = None
    windows: list[Window] | None = None
    capabilities: list[Capability] | None = None
    hidden: bool = False
    detail: bool = False
    has_list: bool | None = None
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    reached: int = 0
    damaged: bool = False


def read_header(line: str) -> Paragraph | None:
    """Return a new record when the line starts a function, None otherwise."""
    match = _HEADER.fullmatch(line)
    if match is None or ": " not in match[2]:
        return None
    return Paragraph(Bdf.parse(match[1]), match[2])


def read_record(record: Paragraph, source: str) -> Function:
    """Return the function that the text of a record tells, each field's provenance being `source`."""
    draft = _Draft(damaged=record.damaged)
    _read_title(record.title, draft)
    if record.iommu_group is not None:
        draft.known["iommu_group"] = record.iommu_group
    lines = record.lines
    for index, line in enumerate(lines):
        # Two tabs are inside a capability: a `Region` there is that of a virtual function.
        if line.startswith("\t") and not line.startswith("\t\t"):
            _read_line(line[1:], lines, index, draft)
    if record.closed or record.past_lists:
        draft.reached = len(_ORDER)
    _finish(draft)
    known = draft.known
    return Function(
        bdf=record.bdf,
        problems=tuple(draft.problems[:_MAX_REMARKS]),
        unread=tuple(draft.unread[:_MAX_REMARKS]),
        provenance=dict.fromkeys(known, source),
        **known,
    )


def _read_title(title: str, draft: _Draft) -> None:
    title, draft.known["prog_if"] = _cut(title, " (prog-if ", _PROG_IF)
    title, draft.known["revision"] = _cut(title, " (rev ", _REVISION)
    draft.known = {name: value for name, value in draft.known.items() if value is not None}
    numeric = _NUMERIC.fullmatch(title)
    if numeric is not None:
        draft.known["class_code"] = int(numeric[1], 16)
        title = f"[{numeric[1]}]: [{numeric[2]}]"
    kind, _, name = title.partition(": ")
    coded = _CLASS.fullmatch(kind)
    if coded is not None:
        draft.known["class_code"] = int(coded[2], 16)
    _keep(draft, "class_name", kind if coded is None else coded[1])
    name, ids = _ids(name)
    _keep(draft, "device_name", name)
    if ids is not None:
        draft.known["vendor"], draft.known["device"] = ids


def _cut(title: str, mark: str, pattern: re.Pattern[str]) -> tuple[str, int | None]:
    """Take `(rev ..)` or `(prog-if ..)` off the end; names hold brackets too, so only the end counts."""
    head, found, tail = title.rpartition(mark)
    match = pattern.fullmatch(tail) if found else None
    return (title, None) if match is None else (head, int(match[1], 16))


def _ids(text: str) -> tuple[str, tuple[int, int] | None]:
    match = _IDS.fullmatch(text) or _BARE_IDS.fullmatch(text)
    return (text, None) if match is None else (match[1] or "", (int(match[2], 16), int(match[3], 16)))


def _keep(draft: _Draft, name: str, text: str) -> None:
    if text:
        draft.known[name] = text


def _read_line(line: str, lines: Sequence[str], index: int, draft: _Draft) -> None:
    place = _place_of(line)
    if place is None:
        # Half a line, or another program's: what should stand here may be lost.
        draft.damaged = True
        draft.unread.append(f'no line of lspci: "{line[:80]}"')
        return
    draft.reached = max(draft.reached, place)
    if line.startswith("Capabilities:"):
        _read_capability(line, lines, index, draft)
    elif line.startswith(_ORDER[_REGION_PLACE]) and "Expansion ROM" not in line:
        _read_region(line, draft)
    elif line.startswith("!!!"):
        draft.problems.append(f"lspci says: {line[3:80].strip()}")
    elif " behind bridge: " in line:
        draft.windows = draft.windows or []
        window = read_window(line)
        if window is not None:
            draft.windows.append(window)
    elif line.startswith("Bus: "):
        draft.bridge = read_bus(line)
    elif "Expansion ROM at " in line:
        draft.known["rom"] = read_rom(line)
    else:
        _read_plain(line, draft)


def _place_of(line: str) -> int | None:
    for start, place in _BY_LETTERS.get(line[:3], ()):
        if line.startswith(start):
            return place
    return None


def _read_region(line: str, draft: _Draft) -> None:
    bar = read_region(line)
    if bar is not None and not bar.numbered:
        bar = replace(bar, index=len(draft.bars))
    if bar is None or any(known.index == bar.index for known in draft.bars):
        draft.damaged = True
        draft.unread.append(f'lspci region not understood or told twice: "{line[:80]}"')
    else:
        draft.bars.append(bar)


def _read_plain(line: str, draft: _Draft) -> None:
    """Read the lines that are a key and its value."""
    key, _, value = line.partition(":")
    key, value, known = key + ":", value.strip(), draft.known
    if key == "Control:":
        signs = dict(_SIGN.findall(value))
        # Old versions have no DisINTx; a line without the others is not whole.
        if all(name in signs for name in _COMMAND[:-1]):
            known["command"] = sum(1 << bit for bit, name in enumerate(_COMMAND) if signs.get(name) == "+")
        draft.detail = True
    elif key == "Status:":
        draft.has_list = True if "Cap+" in value else False if "Cap-" in value else None
    elif key == "Subsystem:":
        name, ids = _ids(value)
        _keep(draft, "subsystem_name", name)
        if ids is not None:
            known["subsystem"] = ids
    elif key == "Interrupt:":
        _read_interrupt(line, draft)
    elif key == "Flags:":
        for match in _IN_FLAGS.finditer(value):
            known[_FLAGS[match[1]]] = int(match[2])
    elif key in _TEXTS:
        _keep(draft, _TEXTS[key], value)
    elif key in _NUMBERS and _DECIMAL.fullmatch(value):
        known[_NUMBERS[key]] = int(value)
    elif key == "Kernel modules:":
        known["modules"] = tuple(name.strip() for name in value.split(",") if name.strip())


def _read_interrupt(line: str, draft: _Draft) -> None:
    match = _INTERRUPT.match(line)
    if match is None or (match[1] not in INTX_PINS and match[1] != "?"):
        draft.unread.append(f'lspci interrupt not understood: "{line[:80]}"')
        # The line is there, so the pin register is not 0: what it is stays unknown.
        draft.known["intx_pin"] = ...
        return
    draft.known["intx_pin"] = None if match[1] == "?" else match[1]
    if match[2] is not None:
        # 0 is Linux's word for none.
        draft.known["irq"] = int(match[2]) or None


def _read_capability(line: str, lines: Sequence[str], index: int, draft: _Draft) -> None:
    if "<access denied>" in line:
        draft.hidden = True
        return
    draft.capabilities = draft.capabilities or []
    end = index + 1
    while end < len(lines) and lines[end].startswith("\t\t"):
        end += 1
    found = read_capability(line, [detail.strip() for detail in lines[index + 1 : end]])
    if found is None:
        draft.unread.append(f'lspci capability not understood: "{line[:80]}"')
    else:
        draft.capabilities.append(found)


def _finish(draft: _Draft) -> None:
    """Add what several lines tell together, and what a detailed listing tells by leaving it out.

    Nothing follows from what is not there where a line was damaged, or where the text may end before it.
    """
    known = draft.known
    seen_to = 0 if draft.damaged else draft.reached
    if draft.bridge is not None:
        whole = draft.windows is not None and seen_to > _ROM_PLACE
        known["bridge"] = replace(draft.bridge, windows=tuple(draft.windows or ()) if whole else None)
        if draft.windows is not None:
            known["header_type"] = 1
    if draft.detail and not draft.damaged:
        known.setdefault("revision", 0)
        known.setdefault("prog_if", 0)
    if draft.detail:
        # Old lspci never printed this line for bridges, whatever their pin register held.
        if draft.bridge is None and seen_to > _INTERRUPT_PLACE:
            known.setdefault("intx_pin", None)
        if seen_to > _ROM_PLACE:
            known.setdefault("rom", None)
    if known.get("intx_pin") is ...:
        del known["intx_pin"]
    if draft.bars or (draft.detail and seen_to > _REGION_PLACE):
        known["bars"] = tuple(sorted(draft.bars, key=lambda bar: bar.index))
    if draft.hidden or seen_to <= _LIST_PLACE:
        return
    if draft.capabilities is not None or draft.has_list is False:
        known["capabilities"] = tuple(draft.capabilities or ())
