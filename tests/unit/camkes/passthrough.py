"""Machines and applications for the tests of what is fed back, as small as they can be."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bringup.base.finding import Finding
from bringup.camkes.model import Application, Instance, Place, Setting, Value
from bringup.pci.assessment import Assessment, Passability, PinCandidate, PinGrade
from bringup.pci.model import FUNCTION_FIELDS, Bar, Bdf, Function, Machine, NetInterface, SourceInfo
from tests import camkes_oracle as oracle

ROOT = "zmq.camkes"
SHA = "5d41" * 16


def function(bdf: str, **fields: Any) -> Function:
    """Return an Ethernet function with everything it is given marked as observed."""
    fields = {"vendor": 0x8086, "device": 0x1521, "class_code": 0x0200, **fields}
    observed = dict.fromkeys(FUNCTION_FIELDS & set(fields), "test")
    return Function(Bdf.parse(bdf), **fields, provenance=observed)


def i350(bdf: str, bar0: int, port: int, bar3: int, **fields: Any) -> Function:
    """Return one port of an I350 add-in card."""
    bars = (Bar(0, "mem", bar0, 0x100000), Bar(2, "io", port, 32), Bar(3, "mem", bar3, 0x4000))
    return function(bdf, bars=bars, subsystem=(0x1734, 0x11D1), **fields)


def x722(bdf: str, bar0: int, bar3: int, **fields: Any) -> Function:
    """Return one port of the onboard X722."""
    bars = (
        Bar(0, "mem", bar0, 0x1000000, 64, True),
        Bar(3, "mem", bar3, 0x8000, 64, True),
    )
    return function(bdf, device=0x37D2, bars=bars, subsystem=(0x15D9, 0x37D2), **fields)


def net(mac: str) -> tuple[NetInterface, ...]:
    """Return one interface with this MAC."""
    return (NetInterface("eth0", mac=mac),)


E300 = Machine(
    (
        i350("17:00.0", 0xC5B00000, 0x7060, 0xC5E0C000, net=net("00:19:99:e3:1c:15")),
        i350("17:00.1", 0xC5A00000, 0x7040, 0xC5E08000, net=net("00:19:99:e3:1c:16")),
        i350("17:00.2", 0xC5900000, 0x7020, 0xC5E04000),
        i350("17:00.3", 0xC5800000, 0x7000, 0xC5E00000),
        x722("b5:00.0", 0xFA000000, 0xFB008000),
        x722("b5:00.1", 0xF9000000, 0xFB000000),
    ),
    sources=(SourceInfo("e300.tar", "bundle", SHA),),
)

_E300_PINS: dict[str, tuple[int, PinGrade]] = {
    "17:00.0": (16, "measured"),
    "17:00.1": (17, "measured"),
    "17:00.2": (18, "inferred"),
    "17:00.3": (19, "inferred"),
    "b5:00.0": (19, "known"),
    "b5:00.1": (19, "inferred"),
}


def assessed(
    machine: Machine = E300,
    pins: Mapping[str, tuple[int, PinGrade]] = _E300_PINS,
    words: Mapping[str, Passability] | None = None,
    findings: Sequence[Finding] = (),
) -> Assessment:
    """Return an assessment in which everything is passable that `words` says nothing about."""
    by_bdf = {f.bdf: f for f in machine.functions}
    told = {Bdf.parse(bdf): word for bdf, word in (words or {}).items()}
    return Assessment(
        machine,
        profile="supermicro-e300-9d",
        pins={
            Bdf.parse(bdf): (PinCandidate(0, pin, grade, "board profile"),)
            for bdf, (pin, grade) in pins.items()
        },
        findings=tuple(findings),
        passability={bdf: told.get(bdf, Passability("passable")) for bdf in by_bdf},
    )


def plain(value: Value) -> object:
    """Return a value as the second opinion (tests/camkes_oracle) tells it: lists for tuples."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value


def second_opinion(path: Path) -> dict[tuple[str, str], object]:
    """Return all settings as `cpp -P` and another grammar read them; none may be set twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # plyplus's own escapes
        found = oracle.settings(oracle.preprocessed(path, path.parent, []))
    settings = {(instance, attribute): value for instance, attribute, value in found}
    assert len(settings) == len(found)
    return settings


def application(
    vms: Sequence[str] = ("vm0", "vm1", "vm2"), settings: Mapping[str, Value] | None = None
) -> Application:
    """Return an application with these VMs; `settings` maps "vm0.attribute" to values, one line each."""
    instances = tuple(Instance(vm, f"Init{vm[2:]}", Place(ROOT, 3 + n)) for n, vm in enumerate(vms))
    made = []
    for number, (key, value) in enumerate((settings or {}).items()):
        instance, _, attribute = key.partition(".")
        made.append(Setting(instance, attribute, value, Place(ROOT, 20 + number, 9)))
    return Application(ROOT, tuple(made), instances)
