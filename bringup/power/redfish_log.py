"""The event logs behind a Redfish service (DSP0268 LogService, LogEntry), read for what befell a board.

A system, its managers and its chassis may each keep several logs, and vendors differ in which one tells what;
all are looked through. An entry is dated by the BMC's own clock, and compared with that clock only.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bringup.base.errors import LabError
from bringup.power.base import BoardLog, Logged
from bringup.power.redfish import as_dict, as_list, linked, linked_all, member

if TYPE_CHECKING:
    from bringup.ipmi.sel import Kind
    from bringup.power.redfish import RedfishService

TIMEOUT_S = 2.0
"""How long one answer is waited for: a log is a favour."""
_WHOLE_S = 10.0
_LOGS_MAX, _PAGES_MAX, _SINGLE_MAX = 8, 20, 24
_TEXT_MAX = 120
_WHAT = "event log"
_HOLDERS = ("ManagedBy", "Chassis")

# DSP0268 LogEntry.SensorType; those of an IPMI event log (IPMI 2.0 table 42-3) under Redfish's names.
_SENSORS: Mapping[str, Kind] = {
    "Watchdog": "watchdog",
    "Temperature": "thermal",
    "Voltage": "power",
    "Power Supply / Converter": "power",
    "PowerUnit": "power",
    "Processor": "processor",
    "Memory": "memory",
    "Critical Interrupt": "bus",
    "Button/Switch": "button",
    "System Firmware Progress": "self-test",
    "SystemBoot/Restart": "restart",
}


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# In the order to try: what a message says goes before the sensor that it came from.
_SAID: Sequence[tuple[Kind, re.Pattern[str]]] = (
    ("watchdog", _words(r"watchdog.*(reset|power|reboot|restart|cycle)")),
    ("thermal", _words(r"therm(al)? ?trip|over-?\s?temperature|overheat|temperature.*(critical|above)")),
    ("memory", _words(r"uncorrect\w*.*(ecc|memory|dimm)|(ecc|memory|dimm).*(uncorrect|parity)")),
    ("processor", _words(r"\bIERR\b|CATERR|machine check|(processor|cpu)\b.*(fail|internal error)")),
    ("bus", _words(r"\b[PS]ERR\b|pci.*(fatal|uncorrect|parity)|bus.*(fatal|uncorrect)")),
    ("power", _words(r"power (supply|unit)\b.*(fail|fault|lost|loss)|voltage.*(fail|critical)|ac lost")),
    ("button", _words(r"(power|reset) button")),
)
_A_WATCHDOG_ACTED = _SAID[0][1]
_NO_FAULT = _words(
    "deassert|transition to ok|limit not exceeded|non-?critical|lower.*going high|upper.*going low"
)
_ALWAYS_TOLD = frozenset({"watchdog", "button"})
"""What explains a board that starts over, however harmless the BMC holds it."""


class RedfishLog(BoardLog):
    """The logs of one system; `where` says its path. What is not told within `whole_s` is not known."""

    def __init__(
        self, service: RedfishService, where: Callable[[], str], *, whole_s: float = _WHOLE_S
    ) -> None:
        self._service = service
        self._where = where
        self._whole_s = whole_s
        self._marked: datetime | None = None
        self._until_s = 0.0

    def mark(self) -> None:
        """Remember what time the BMC has."""
        self._marked = None
        self._until_s = time.monotonic() + self._whole_s
        try:
            for holder in self._holders():
                self._marked = self._marked or time_in(holder.get("DateTime"))
                if self._marked is not None:
                    return
        except LabError:
            return

    def since_mark(self) -> tuple[Logged, ...] | None:
        """Return what was added since, each once and in order; None where no clock or no log is told."""
        if self._marked is None:
            return None
        self._until_s = time.monotonic() + self._whole_s
        found: list[tuple[datetime, Logged]] = []
        logs = 0
        try:
            for entries in self._logs():
                logs += 1
                found += self._new(entries, self._marked)
        except LabError:
            return None
        if not logs:
            return None
        found.sort(key=lambda each: each[0].replace(tzinfo=None))
        return tuple(dict.fromkeys(logged for _, logged in found))

    def _get(self, path: str) -> dict[str, Any]:
        if time.monotonic() > self._until_s:
            raise LabError(f"{self._service} takes too long over its event log")
        return self._service.get(path, _WHAT)

    def _holders(self) -> Iterator[dict[str, Any]]:
        """Yield the system, its managers and its chassis."""
        system = self._get(self._where())
        yield system
        for name in _HOLDERS:
            for path in linked_all(member(system, "Links").get(name)):
                yield self._get(path)

    def _logs(self) -> Iterator[str]:
        """Yield where the entries of each log are."""
        seen: set[str] = set()
        for holder in self._holders():
            services = linked(holder.get("LogServices"))
            for path in linked_all(self._get(services).get("Members")) if services else ():
                entries = linked(self._get(path).get("Entries"))
                if entries and entries not in seen and len(seen) < _LOGS_MAX:
                    seen.add(entries)
                    yield entries

    def _new(self, path: str, marked: datetime) -> Iterator[tuple[datetime, Logged]]:
        for entry in self._entries(path, marked):
            created = time_in(entry.get("Created"))
            logged = meaning(entry)
            if logged is not None and created is not None and is_after(created, marked):
                yield created, logged

    def _entries(self, path: str | None, marked: datetime) -> Iterator[dict[str, Any]]:
        """Yield the entries of a log, page by page; of those that are links only, the new ones."""
        for _ in range(_PAGES_MAX):
            page = self._get(path) if path else {}
            members = [as_dict(each) for each in as_list(page.get("Members"))]
            yield from (each for each in members if "Created" in each)
            yield from self._fetched([each for each in members if "Created" not in each], marked)
            path = page.get("Members@odata.nextLink")
            if not isinstance(path, str):
                return

    def _fetched(self, links: list[dict[str, Any]], marked: datetime) -> Iterator[dict[str, Any]]:
        """Yield entries from either end as long as they are new: BMCs differ in which end that is."""
        for order in (links, links[::-1]):
            for path in linked_all(order)[:_SINGLE_MAX]:
                entry = self._get(path)
                created = time_in(entry.get("Created"))
                if created is None or not is_after(created, marked):
                    break
                yield entry


def meaning(entry: Mapping[str, Any]) -> Logged | None:
    """Return what a log entry says of a fault, None where it says none (pure).

    Redfish's `SensorType` and `EntryCode` tell it where a BMC gives them, else the words of its message.
    """
    message = " ".join(str(entry.get("Message") or entry.get("MessageId") or "").split())
    if _NO_FAULT.search(str(entry.get("EntryCode") or "")):
        return None
    kind = next((kind for kind, said in _SAID if said.search(message)), None)
    if kind is None:
        kind = _SENSORS.get(str(entry.get("SensorType")))
        if kind == "watchdog" and not _A_WATCHDOG_ACTED.search(f"watchdog {message}"):
            return None  # one that expired, and did nothing
    harmless = entry.get("Severity") not in ("Critical", "Warning")
    if kind is None or (harmless and kind not in _ALWAYS_TOLD):
        return None
    return Logged(kind, f"{kind}: {message or entry.get('SensorType')}"[:_TEXT_MAX])


def time_in(text: object) -> datetime | None:
    """Return the time that a member holds, None for anything else."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def is_after(created: datetime, marked: datetime) -> bool:
    """Whether an entry is younger; where only one of them names its zone, both are of the BMC's own."""
    if created.tzinfo is None or marked.tzinfo is None:
        return created.replace(tzinfo=None) > marked.replace(tzinfo=None)
    return created > marked
