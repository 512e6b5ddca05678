"""A second, independent reading of captures: what a line alone says, by splitting words.

It shares no code and no expression with the readers. It knows `lspci` with details, `pciconf` and Linux boot
logs, says nothing of other texts, and leaves out what is not plain.
"""

from __future__ import annotations

from collections.abc import Iterator

Fields = dict[str, object]
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def told(text: str) -> dict[str, Fields]:
    """Return the fields that lines tell, by address with its domain; nothing for a text of another kind."""
    lines = text.replace("\r", "").split("\n")
    if any("@pci" in line and "class=0x" in line for line in lines):
        return _pciconf(lines)
    if any(line.startswith("\tControl: ") for line in lines):
        return _lspci(lines)
    if any("] type 0" in line and " class 0x" in line for line in lines):
        return _boot_log(lines)
    return {}


def _place(word: str) -> str | None:
    """Return `0000:17:00.0` for `17:00.0`; None for what is no address."""
    parts = word.split(":")
    if len(parts) == 2:
        parts = ["0000", *parts]
    if len(parts) != 3 or "." not in parts[2]:
        return None
    device, _, function = parts[2].partition(".")
    try:
        numbers = [int(part, 16) for part in (parts[0], parts[1], device, function)]
    except ValueError:
        return None
    domain, bus, slot, number = numbers
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{number:x}" if slot < 32 and number < 8 else None


def _lspci(lines: list[str]) -> dict[str, Fields]:
    found: dict[str, Fields] = {}
    now: Fields | None = None
    for line in lines:
        if line[:1] in "0123456789abcdef" and line[:1]:
            place = _place(line.split(" ", 1)[0])
            now = found.setdefault(place, {}) if place is not None and ": " in line else now
            if now is not None and place is not None:
                _title(line, now)
        elif now is not None and line.startswith("\tRegion ") and " at " in line:
            _region(line, now)
        elif now is not None and line.startswith("\tInterrupt: pin "):
            pin = line.split()[2]
            if pin in "ABCD":
                now["pin"] = pin
    return found


def _title(line: str, now: Fields) -> None:
    head = line.split(" (rev ")[0].split(" (prog-if ")[0].rstrip()
    if head.endswith("]") and head[-6] == ":" and head[-11] == "[":
        now["ids"] = head[-10:-1]


def _region(line: str, now: Fields) -> None:
    number, _, rest = line[len("\tRegion ") :].partition(": ")
    base = rest.split(" at ")[1].split(" ")[0]
    size = rest.split("[size=")[1].split("]")[0] if "[size=" in rest else ""
    if not base.startswith("<") and "[virtual]" not in rest and size and number.isdigit():
        unit = _UNITS.get(size[-1], 1)
        now.setdefault("bars", {})[int(number)] = (int(base, 16), int(size.rstrip("KMGT")) * unit)  # type: ignore[index]


def _pciconf(lines: list[str]) -> dict[str, Fields]:
    found: dict[str, Fields] = {}
    now: Fields = {}
    for line in lines:
        if "@pci" in line and not line.startswith((" ", "\t")):
            numbers = line.split("@pci")[1].split(":")[:4]
            domain, bus, device, function = map(int, numbers)
            if function > 7:
                device, function = function // 8, function % 8
            now = found.setdefault(f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}", {})
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if "chip" in words:
                now["ids"] = f"{words['chip'][-4:]}:{words['chip'][2:-4].rjust(4, '0')}"
            elif "vendor" in words:
                now["ids"] = f"{words['vendor'][2:]}:{words['device'][2:]}"
        elif line.strip().startswith("bar ") and "base 0x" in line:
            offset = int(line.split("[")[1].split("]")[0], 16)
            base = int(line.split("base ")[1].split(",")[0], 16)
            size = int(line.split("size ")[1].split(",")[0])
            if base:
                now.setdefault("bars", {})[(offset - 16) // 4] = (base, size)  # type: ignore[index]
    return found


def _boot_log(lines: list[str]) -> dict[str, Fields]:
    """Return ids and the first words on BARs that have an address."""
    found: dict[str, Fields] = {}
    for line in lines:
        for place, rest in _said(line):
            now = found.setdefault(place, {})
            if rest.startswith("[") and "] type " in rest:
                now.setdefault("ids", rest[1:10])
            number = _number(rest)
            inside = rest.split("[")[-1].split("]")[0].split()
            if number is not None and len(inside) > 1 and "-0x" in inside[1]:
                start, end = (int(each, 16) for each in inside[1].split("-"))
                bars = now.setdefault("bars", {})
                assert isinstance(bars, dict)
                bars.setdefault(number, (start, end - start + 1))
    return found


_REGISTERS = ("10", "14", "18", "1c", "20", "24")


def _number(rest: str) -> int | None:
    """Return which BAR a line of the first reading is about."""
    words = rest.split()
    if rest.startswith("reg ") and words[1].rstrip(":").removeprefix("0x") in _REGISTERS:
        return _REGISTERS.index(words[1].rstrip(":").removeprefix("0x"))
    if rest.startswith("BAR ") and len(words) > 2 and words[2].startswith("[") and rest.endswith("]"):
        return int(words[1]) if words[1].isdigit() and int(words[1]) < 6 else None
    return None


def _said(line: str) -> Iterator[tuple[str, str]]:
    if "pci " in line:
        rest = line.split("pci ", 1)[1]
        place = _place(rest.split(": ")[0]) if ": " in rest else None
        if place is not None:
            yield place, rest.partition(": ")[2].rstrip()
