"""The facts a configuration was made for: written into generated files, read back from them. Pure.

A generated overlay carries lines of JSON behind `// bringup:`, the first about the file, then one per device:

    // bringup: {"schema":1,"board":"e300","profile":"…","capture":{"name":"…","sha256":"…"}}
    // bringup: {"vm":"vm0","bdf":"0000:17:00.0","id":"8086:1521","bars":[…],"pin":{…}}

Files written by hand carry none; what they claim is read from their settings (`claims_of_application`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bringup.base.errors import ProfileError
from bringup.camkes.assign.in_use import vms_of
from bringup.camkes.model import Application, Place
from bringup.camkes.text.mark import HEADER_BYTES, MARK
from bringup.pci.assessment import PIN_GRADES, PinGrade
from bringup.pci.bars import bars_under_sel4
from bringup.pci.match.ports import ids_of, subsystem_of
from bringup.pci.model import Bar, Bdf

if TYPE_CHECKING:
    from bringup.camkes.assign.model import Passthrough

SCHEMA = 1
_MAX_DEVICES = 256


@dataclass(frozen=True, slots=True)
class Pin:
    """The IOAPIC input that was configured; `grade` None in a file by hand, which does not tell."""

    ioapic: int
    pin: int
    grade: PinGrade | None = None

    def __str__(self) -> str:
        return f"{self.ioapic}/{self.pin}"


@dataclass(frozen=True, slots=True)
class Claim:
    """One device as a configuration has it.

    A generated file tells `bars` by index. A file by hand tells `ranges`, its frames and ports as (kind,
    first, first after); there, `id` and everything else that the format has no place for is None.
    """

    vm: str
    bdf: Bdf
    id: str | None = None
    subsystem: str | None = None
    mac: str | None = None
    bars: tuple[Bar, ...] | None = None
    ranges: tuple[tuple[str, int, int], ...] = ()
    pin: Pin | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a file was made for; None: it does not say. `file` is how people call it.

    `accepted` are the codes of findings that whoever made it took on knowingly.
    """

    file: str
    devices: tuple[Claim, ...]
    board: str | None = None
    profile: str | None = None
    capture: str | None = None
    sha256: str | None = None
    accepted: tuple[str, ...] = ()
    generated: bool = True

    @property
    def stated(self) -> dict[Bdf, tuple[int, int]]:
        """The pins (IOAPIC, input) that whoever made the file stated by hand."""
        pins = ((claim.bdf, claim.pin) for claim in self.devices)
        return {bdf: (pin.ioapic, pin.pin) for bdf, pin in pins if pin and pin.grade == "stated"}


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """Where the facts of a passthrough come from: the capture's name and hash, the board and profile."""

    capture: str
    sha256: str
    board: str | None = None
    profile: str | None = None
    accepted: tuple[str, ...] = ()


def fact_lines(origin: MadeFrom, passthrough: Passthrough) -> Iterator[str]:
    """Yield the comment lines that `read_claims` reads back; keys in a fixed order."""
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "board": origin.board,
        "profile": origin.profile,
        "capture": {"name": origin.capture, "sha256": origin.sha256},
    }
    if origin.accepted:
        head["accepted"] = list(origin.accepted)
    yield MARK + _compact(head)
    for grant in passthrough.grants:
        function = grant.function
        mac = next((i.mac for i in function.net or () if i.mac), None)
        device: dict[str, Any] = {
            "vm": grant.vm,
            "bdf": str(grant.bdf),
            "id": ids_of(function),
            "subsystem": subsystem_of(function),
            "mac": mac and mac.lower(),
            "bars": [
                {"index": bar.index, "kind": bar.kind, "base": f"{bar.base:#x}", "size": bar.size}
                for bar in bars_under_sel4(function) or ()
                if bar.base and bar.size
            ],
            "pin": {"ioapic": grant.pin.ioapic, "pin": grant.pin.pin, "grade": grant.pin.grade},
        }
        yield MARK + _compact({key: value for key, value in device.items() if value is not None})


def read_claims(head: bytes, file: str) -> Claims | None:
    """Return the facts in a file's first bytes; None where there are none.

    Raises ProfileError with the line where they are damaged: then nobody knows what the file was made for.
    """
    lines = head[:HEADER_BYTES].decode("utf-8", "replace").splitlines()
    found = [(n, line[len(MARK) :]) for n, line in enumerate(lines, 1) if line.startswith(MARK)]
    if not found:
        return None
    number, text = found[0]
    try:
        body = _object(text)
        if body.get("schema") != SCHEMA:
            raise ProfileError(
                f"{file}:{number}: facts of schema {body.get('schema')!r}, and this bringup reads {SCHEMA}",
                hint="generate the overlay again: bringup camkes overlay",
            )
        capture = body.get("capture") or {}
        devices = []
        for number, text in found[1 : _MAX_DEVICES + 1]:
            devices.append(_claim(_object(text), Place(file, number)))
        return Claims(
            file,
            tuple(devices),
            board=_text(body, "board"),
            profile=_text(body, "profile"),
            capture=_text(capture, "name"),
            sha256=_text(capture, "sha256"),
            accepted=tuple(str(code)[:64] for code in body.get("accepted") or ())[:64],
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ProfileError(
            f"{file}:{number}: the facts that bringup wrote here are damaged",
            hint="generate the overlay again: bringup camkes overlay",
        ) from None


def claims_of_application(application: Application) -> Claims:
    """Return what a configuration without facts claims by its settings."""
    devices = []
    for vm in vms_of(application).values():
        irqs = {irq.name: irq for irq in reversed(vm.irqs)}
        # Ports are the VM's and name no device: they can be told to one only where it is alone.
        ports = [("io", p.start, p.end) for p in vm.ports] if len(vm.devices) == 1 else []
        for device in vm.devices:
            irq = irqs.get(device.irq or "")
            pin = Pin(irq.ioapic or 0, irq.source) if irq and irq.source is not None else None
            frames = [("mem", part.base, part.end) for part in device.memory]
            if device.bdf is not None:
                ranges = tuple(frames + ports)
                devices.append(Claim(vm.name, device.bdf, ranges=ranges, pin=pin, place=device.place))
    return Claims(application.root, tuple(devices), generated=False)


def _compact(body: Mapping[str, Any]) -> str:
    # ASCII, so that nothing in a name can end the comment; JSON ends in a brace, never in a backslash.
    return json.dumps(body, separators=(",", ":"), ensure_ascii=True)


def _object(text: str) -> dict[str, Any]:
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body


def _claim(body: Mapping[str, Any], place: Place) -> Claim:
    pin = body["pin"]
    grade = pin.get("grade")
    return Claim(
        vm=str(body["vm"]),
        bdf=Bdf.parse(body["bdf"]),
        id=_text(body, "id"),
        subsystem=_text(body, "subsystem"),
        mac=_text(body, "mac"),
        bars=tuple(_bar(bar) for bar in body["bars"][:6]),
        pin=Pin(_count(pin["ioapic"]), _count(pin["pin"]), grade if grade in PIN_GRADES else None),
        place=place,
    )


def _bar(body: Mapping[str, Any]) -> Bar:
    kind = body["kind"]
    if kind not in ("mem", "io"):
        raise ValueError("no kind of BAR")
    return Bar(_count(body["index"]), kind, int(body["base"], 16), _count(body["size"]))


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise ValueError("no count")
    return value


def _text(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    return value if isinstance(value, str) else None
