"""`_PRT`: where the firmware says INTx pins arrive, evaluated from captured tables (ACPI 6.4, 6.2.13).

ACPICA interprets, we ask. `\\_PIC(1)` is evaluated first, else the table of the 8259 comes back. Which bus a
`_PRT` is for the OS tells (`places.py`), else it follows from `_BBN` (host bridges) and from `_ADR`, walked
through the bridges that were seen.
Every evaluation is made twice, with operation regions filled differently: what differs rests on registers of
the live machine, which a capture has not, and counts as not resolved. A routing that could not be had is
`Missing`, never an empty table.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bringup.pci.acpi import output as acpiexec_text
from bringup.pci.acpi.aml import AcpiexecError, LateError, LoadError
from bringup.pci.acpi.output import PrtRow
from bringup.pci.acpi.places import Places
from bringup.pci.acpi.session import Session, is_late
from bringup.pci.model import INTX_PINS, Bdf, CodeTable, Function, LostPrt, Machine, Missing, PrtEntry

SECONDS = 20.0
# The slowest of 123 real dumps needs 8 s in all, most of it in its loops, which acpiexec ends after 2 s each.
RUN_SECONDS = 9.0
WHAT = "routing"

_PRT_MAX = 512
_PRESENT = 1


def with_routing(machine: Machine, seconds: float = SECONDS, run_seconds: float = RUN_SECONDS) -> Machine:
    """Return a machine with the rows of every `_PRT` whose bus is known, those that were lost, and the gaps.

    Its tables of code are gone from it then. Takes at most `seconds`, a run of `acpiexec`
    `run_seconds` (both monotonic): what holds one up is named, and the rest goes on.
    """
    acpi = machine.acpi
    if acpi.code is None:
        return machine
    seen = _Machine({f.bdf: f for f in machine.functions}, Places.of(acpi.places))
    entries, lost, problems = _routing_in_time(acpi.code, seen, seconds, run_seconds)
    return replace(
        machine,
        acpi=replace(acpi, prt=entries or None, lost_prt=lost, code=None),
        missing=(*machine.missing, *(Missing(WHAT, problem) for problem in problems)),
    )


@dataclass(frozen=True, slots=True)
class _Machine:
    """What was seen of the machine: its functions, and where the OS says that ACPI devices are."""

    functions: Mapping[Bdf, Function]
    places: Places


_Routing = tuple[tuple[PrtEntry, ...], tuple[LostPrt, ...], list[str]]


def _routing_in_time(
    code: Sequence[CodeTable], machine: _Machine, seconds: float, run_seconds: float
) -> _Routing:
    try:
        with tempfile.TemporaryDirectory(prefix="bringup-prt-") as folder:
            session = Session.of(Path(folder), code, time.monotonic() + seconds, run_seconds)
            try:
                entries, lost, problems = _routing(session, machine)
            except (LoadError, LateError) as error:
                session = session.of_those_that_load(code, error)
                entries, lost, problems = _routing(session, machine)
            return entries, lost, [*session.problems, *problems]
    except AcpiexecError as error:
        return (), (), [str(error)]


@dataclass(frozen=True, slots=True)
class _Device:
    """What the namespace says of a device with a `_PRT`, or of one above it; None: it has no such name.

    `placeless`: it has names that tell where it is, and they could not be evaluated.
    """

    bbn: int | None
    adr: int | None
    segment: int | None
    sta: int | None
    placeless: bool

    @property
    def is_present(self) -> bool:
        """Whether it is there; one without a `_STA` is (ACPI 6.4, 6.3.7)."""
        return self.sta is None or bool(self.sta & _PRESENT)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of one `_PRT` with the path of its link device instead of the node's address."""

    row: PrtRow
    link: str | None


def _routing(session: Session, machine: _Machine) -> _Routing:
    texts = _find(session)
    names = {name: set(acpiexec_text.named_objects(text)) for name, text in texts.items()}
    constants = {
        path: value for text in texts.values() for path, value in acpiexec_text.constants(text).items()
    }
    owners = sorted(owner for path in names["_PRT"] if _up(owner := path.rpartition(".")[0]))
    if not owners:
        return (), (), ["the tables have no _PRT"]
    if len(owners) > _PRT_MAX:
        return (), (), [f"the tables have {len(owners)} _PRTs, more than {_PRT_MAX}"]
    family = sorted({ancestor for owner in owners for ancestor in _up(owner)})
    methods = [
        path
        for device in family
        for name in names
        if name != "_PRT" and (path := f"{device}.{name}") in names[name] and path not in constants
    ]
    first, second = session.ask_twice(
        ["objects device", *(f"evaluate {path}" for path in methods), "all _PRT"]
    )
    if is_late(first["all _PRT"]) or is_late(second["all _PRT"]):
        # One of them holds up the rest: each is asked for by itself.
        first, second = _one_by_one(session, owners, first, second)
    problems: list[str] = []
    values = constants | _values(methods, first, second, problems)
    devices = {path: _device(path, values, set(methods) - set(values)) for path in family}
    rows = _agreed(_prts(first, owners), _prts(second, owners), problems)
    gsis = _links(session, {row.link for table in rows.values() for row in table if row.link})
    entries: dict[tuple[int, int, int, int], PrtEntry] = {}
    lost: list[LostPrt] = []
    for owner in owners:
        place = _bus(owner, devices, machine, problems)
        if place is not None and owner in rows:
            _add(entries, place, rows[owner], gsis, problems)
        elif place is not None:
            lost.append(LostPrt(place[1], False, place[0]))
        elif devices[owner].is_present:
            lost += _lost(owner, devices, machine)
    if not entries and not problems:
        problems.append("no _PRT of the tables gave a row")
    ordered = tuple(entries[key] for key in sorted(entries))
    return ordered, tuple(dict.fromkeys(lost)), list(dict.fromkeys(problems))


def _one_by_one(
    session: Session, owners: Sequence[str], first: dict[str, str], second: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the answers with each `_PRT` evaluated by a command of its own.

    Nodes have other addresses in every run, so those that answer are asked in one run, without the late ones.
    """
    asked = ["objects device", *(f"evaluate {owner}._PRT" for owner in owners)]
    one, other = session.ask_twice(asked)
    late = {command: text for text_of in (one, other) for command, text in text_of.items() if is_late(text)}
    if late:
        one, other = session.ask_twice([command for command in asked if command not in late])
    return {**first, "all _PRT": "", **one, **late}, {**second, "all _PRT": "", **other, **late}


def _lost(owner: str, devices: Mapping[str, _Device], machine: _Machine) -> list[LostPrt]:
    """Return where a `_PRT` is whose bus is not known: behind the bus above it, if that is known.

    Nowhere, if its device has an `_ADR` at which nothing that leads to a bus was seen.
    """
    device, parent = devices[owner], owner.rpartition(".")[0]
    if parent not in devices:
        return [LostPrt(None)]
    above = _bus(parent, devices, machine, [])
    if above is None:
        return [LostPrt(None)] if devices[parent].is_present else []
    if device.adr is not None:
        return []
    return [LostPrt(above[1], True, above[0])]


def _find(session: Session) -> dict[str, str]:
    """Return what `find` lists under each name; of two runs all, so that nothing is missed."""
    names = ("_PRT", "_BBN", "_ADR", "_SEG", "_STA")
    first, second = session.ask_twice([f"find {name}" for name in names])
    return {name: f"{first[f'find {name}']}\n{second[f'find {name}']}" for name in names}


def _up(path: str) -> list[str]:
    """Return a device and those above it, up to the host bridge right below `\\_SB`."""
    found = []
    while path not in ("", "\\_SB"):
        found.append(path)
        path = path.rpartition(".")[0]
    return found


def _values(
    methods: list[str], first: Mapping[str, str], second: Mapping[str, str], problems: list[str]
) -> dict[str, int]:
    """Return what the methods gave; one that failed, or rests on registers, is left out and told."""
    values = {}
    for path in methods:
        try:
            one, other = (acpiexec_text.integer(answer[f"evaluate {path}"]) for answer in (first, second))
        except ValueError as error:
            problems.append(f"{path} {error}")
            continue
        if one != other and not path.endswith("._STA"):
            problems.append(f"{path} depends on registers that a capture has not")
            continue
        # A device counts as absent only when it is so whatever the registers hold.
        values[path] = one | other
    return values


def _device(path: str, values: Mapping[str, int], lost: set[str]) -> _Device:
    bbn, adr, segment, sta = (values.get(f"{path}.{name}") for name in ("_BBN", "_ADR", "_SEG", "_STA"))
    placeless = any(f"{path}.{name}" in lost for name in ("_BBN", "_ADR", "_SEG"))
    return _Device(bbn, adr, segment, sta, placeless)


def _prts(answer: Mapping[str, str], owners: list[str]) -> dict[str, list[_Row] | str]:
    """Return the rows of every `_PRT`, or why they could not be had."""
    devices = acpiexec_text.named_objects(answer["objects device"])
    paths = {address: path for path, address in devices.items()}
    evaluated = acpiexec_text.evaluations(answer["all _PRT"])
    found: dict[str, list[_Row] | str] = {}
    for owner in owners:
        asked = answer.get(f"evaluate {owner}._PRT")
        try:
            rows = acpiexec_text.prt_rows(asked or evaluated.get(f"{owner}._PRT", ""))
        except ValueError as error:
            found[owner] = f"{owner}._PRT {error}"
            continue
        links = [None if row.link is None else paths.get(row.link, "?") for row in rows]
        # The node's address is another in every run.
        found[owner] = [_Row(replace(row, link=None), link) for row, link in zip(rows, links, strict=True)]
    return found


def _agreed(
    first: Mapping[str, list[_Row] | str], second: Mapping[str, list[_Row] | str], problems: list[str]
) -> dict[str, list[_Row]]:
    """Return the tables that are the same whatever the registers hold."""
    agreed = {}
    for owner, rows in first.items():
        if isinstance(rows, str):
            problems.append(rows)
        elif rows != second[owner]:
            problems.append(f"{owner}._PRT depends on registers that a capture has not")
        else:
            agreed[owner] = rows
    return agreed


def _links(session: Session, links: set[str]) -> dict[str, tuple[int, ...]]:
    """Return the interrupts of each link device; a link that depends on registers has none."""
    known = sorted(links - {"?"})
    if not known:
        return {}
    first, second = session.ask_twice([f"evaluate {link}._CRS" for link in known])
    gsis = {}
    for link in known:
        command = f"evaluate {link}._CRS"
        try:
            numbers, again = (acpiexec_text.interrupts(answer[command]) for answer in (first, second))
        except ValueError:
            continue
        if numbers == again:
            gsis[link] = numbers
    return gsis


def _bus(
    path: str, devices: Mapping[str, _Device], machine: _Machine, problems: list[str]
) -> tuple[int, int] | None:
    """Return (domain, bus) below a device; None when it is absent or its bus cannot be known."""
    told = machine.places.bus_of(path)
    if told is not None:
        return told
    device = devices[path]
    if device.placeless or not device.is_present:
        return None
    parent = path.rpartition(".")[0]
    if device.bbn is not None:
        return device.segment or 0, device.bbn & 0xFF
    if parent not in devices:
        # Firmware that names no base bus means 0 (ACPI 6.4, 6.5.5), which can be true of one root only.
        others = [other for other in devices if other != path and other.rpartition(".")[0] == parent]
        if any(devices[other].bbn in (None, 0) and devices[other].is_present for other in others):
            problems.append(f"{path} has no _BBN, so its bus is not known")
            return None
        return device.segment or 0, 0
    place = _bus(parent, devices, machine, problems)
    if place is None or device.adr is None or (device.adr >> 16) > 31 or (device.adr & 0xFFFF) > 7:
        return None
    function = machine.functions.get(Bdf(*place, device.adr >> 16, device.adr & 7))
    if function is None or not function.is_bridge:
        return None
    if function.bridge is None:
        problems.append(f"the bus behind {function.bdf.short} ({path}) was not observed")
        return None
    return place[0], function.bridge.secondary


def _add(
    entries: dict[tuple[int, int, int, int], PrtEntry],
    place: tuple[int, int],
    rows: list[_Row],
    gsis: Mapping[str, tuple[int, ...]],
    problems: list[str],
) -> None:
    domain, bus = place
    for found in rows:
        row = found.row
        numbers = gsis.get(found.link, ()) if found.link else (row.index,)
        at = row.index if found.link else 0
        # GSI 0 is the timer's: a row that says so is a name the interpreter could not read.
        gsi = (numbers[at] or None) if at < len(numbers) else None
        entry = PrtEntry(bus, row.device, INTX_PINS[row.pin], gsi, found.link, domain)
        key = (domain, bus, row.device, row.pin)
        if entries.setdefault(key, entry).gsi != gsi:
            problems.append(
                f"two _PRTs of bus {bus:02x} disagree about device {row.device:02x} pin {entry.pin}"
            )
            entries[key] = replace(entry, gsi=None)
