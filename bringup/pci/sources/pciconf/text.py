"""FreeBSD `pciconf -lvbc` text: ids, BARs with sizes, drivers, capabilities (pciconf(8)); decimal addresses.

It tells no INTx pins and no ROMs: those stay not observed. What a listing was not asked for (BARs need -b,
capabilities -c, buses and windows of bridges -B) stays not observed too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Literal

from bringup.base.errors import UsageError
from bringup.pci.model import (
    Bar,
    Bdf,
    Bridge,
    Capability,
    Function,
    Machine,
    PowerManagement,
    SourceInfo,
    Window,
)
from bringup.pci.sources.common import FUNCTION_LIMIT, cut_off, told_elsewhere
from bringup.pci.sources.pciconf.capability import read_capabilities, subsystem_of_bridge

KIND = "pciconf"
MAX_BYTES = 64 << 20
_SAMPLE = 1 << 16
_HEAD = re.compile(
    rb"^([A-Za-z_][A-Za-z0-9_]{0,31}?)(\d{0,9})@pci(\d{1,9}):(\d{1,3}):(\d{1,2}):(\d{1,3}):\s", re.MULTILINE
)
_PAIR = re.compile(r"\b(class|rev|hdr|vendor|device|subvendor|subdevice|card|chip)=0x([0-9a-f]{1,8})\b")
_BAR = re.compile(
    r"^ {4}bar +\[([0-9a-f]{2})\] = type (Prefetchable Memory|Memory|I/O Port), range (\d{2}), "
    r"base (0x[0-9a-f]{1,16}|0), size +(\d{1,20}), ",
    re.MULTILINE,
)
# pciconf.c, print_bus_range and print_window: decimal buses, the limit of a window is inclusive.
_BUSES = re.compile(r"^ {4}bus range +[=:] (\d{1,3})-(\d{1,3})\s*$", re.MULTILINE)
_WINDOW = re.compile(
    r"^ {4}window\[[0-9a-f]{2}\] = type (Prefetchable Memory|Memory|I/O Port), range +\d{2}, "
    r"addr (?:0x)?([0-9a-f]{1,16})-(?:0x)?([0-9a-f]{1,16}), enabled",
    re.MULTILINE,
)
_KINDS: Mapping[str, Literal["io", "mem", "prefetchable"]] = {
    "I/O Port": "io",
    "Memory": "mem",
    "Prefetchable Memory": "prefetchable",
}
_NAME = re.compile(r"^ {4}(vendor|device) {1,8}= '([^'\n]{1,200})'", re.MULTILINE)


def looks_like(data: bytes) -> bool:
    """Whether the first 64 KiB hold a line `name0@pci0:0:0:0:`."""
    return _HEAD.search(data[:_SAMPLE]) is not None


def parse(data: bytes, name: str = KIND) -> Machine:
    """Return the functions of a listing; raises UsageError when there is none or an address is impossible."""
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{name} has more than {MAX_BYTES >> 20} MiB", hint="give the output of pciconf alone"
        )
    heads = list(islice(_HEAD.finditer(data), FUNCTION_LIMIT + 1))
    if len(heads) > FUNCTION_LIMIT:
        raise UsageError(f"{name} has more than {FUNCTION_LIMIT} functions: this is no machine")
    digest = hashlib.sha256(data).hexdigest()
    whole, data = data.endswith(b"\n"), data[: data.rfind(b"\n") + 1]
    if not heads:
        raise UsageError(f"{name} holds no PCI function", hint="give the output of `pciconf -lvbc`")
    ends = [head.start() for head in heads[1:]] + [len(data)]
    functions: dict[Bdf, Function] = {}
    for head, end in zip(heads, ends, strict=True):
        function = _function(head, data[head.start() : end].decode("utf-8", "replace"), name)
        if function.bdf in functions:
            raise UsageError(f"{name} shows {function.bdf.short} twice", hint="give one machine's listing")
        functions[function.bdf] = function
    # What the end of a cut listing does not show may have stood behind it.
    cut = [] if whole else [functions.pop(next(reversed(functions)))]
    told = told_elsewhere([*functions.values(), *cut], {"bars": (), "capabilities": ()})[: len(functions)]
    return Machine(
        tuple(sorted([*told, *cut], key=lambda function: function.bdf)),
        sources=(SourceInfo(name, KIND, digest),),
        missing=cut_off(name, cut[-1].bdf) if cut else (),
    )


def _function(head: re.Match[bytes], text: str, name: str) -> Function:
    driver, _, *place = (part.decode("ascii") for part in head.groups())
    try:
        bdf = _address(*map(int, place))
    except ValueError as error:
        raise UsageError(
            f"{name}: {error}", hint="pciconf writes domain:bus:device:function in decimal"
        ) from None
    first, _, rest = text.partition("\n")
    values = _ids({key: int(number, 16) for key, number in _PAIR.findall(first)})
    values["driver"] = None if driver == "none" else driver
    if bars := tuple(_bar(*found) for found in _BAR.findall(rest)):
        values["bars"] = bars
    if buses := _BUSES.search(rest):
        windows = (
            Window(_KINDS[kind], int(base, 16), int(limit, 16)) for kind, base, limit in _WINDOW.findall(rest)
        )
        values["bridge"] = Bridge(bdf.bus, int(buses[1]) & 0xFF, int(buses[2]) & 0xFF, tuple(windows))
    values |= {f"{label}_name": text for label, text in _NAME.findall(rest)}
    function = Function(bdf, **values, provenance=dict.fromkeys(values, name))
    capabilities = read_capabilities(rest.splitlines())
    return function if capabilities is None else _with_capabilities(function, capabilities, rest, name)


def _address(domain: int, bus: int, device: int, function: int) -> Bdf:
    """Return an address; functions from 8 on are those of ARI, whose device is 0 (PCIe 4.0, 6.13)."""
    if device == 0 and 8 <= function < 256:
        device, function = function >> 3, function & 7
    return Bdf(domain, bus, device, function)


def _with_capabilities(
    function: Function, capabilities: tuple[Capability, ...], text: str, name: str
) -> Function:
    values: dict[str, Any] = {"capabilities": capabilities}
    function = replace(function, capabilities=capabilities)
    power = function.capability(PowerManagement)
    if power is not None and power.state is not None:
        values["power_state"] = power.state
    if function.is_bridge and (subsystem := subsystem_of_bridge(text)):
        values["subsystem"] = subsystem
    return replace(function, **values, provenance={**function.provenance, **dict.fromkeys(values, name)})


def _ids(told: dict[str, int]) -> dict[str, Any]:
    """Return what the first line says; before FreeBSD 13 `chip` and `card` hold two ids in one number."""
    values: dict[str, Any] = {}
    if "chip" in told:
        told |= {"vendor": told["chip"] & 0xFFFF, "device": told["chip"] >> 16}
    if "card" in told:
        told |= {"subvendor": told["card"] & 0xFFFF, "subdevice": told["card"] >> 16}
    # A bridge has no such registers (PCI-to-PCI Bridge 1.2, 3.2): zeros are no word on it.
    if "subvendor" in told and "subdevice" in told and (told.get("hdr") != 1 or told["subvendor"]):
        values["subsystem"] = (told["subvendor"], told["subdevice"])
    if "class" in told:
        values |= {"class_code": told["class"] >> 8, "prog_if": told["class"] & 0xFF}
    names = {"vendor": "vendor", "device": "device", "rev": "revision", "hdr": "header_type"}
    return values | {field: told[key] for key, field in names.items() if key in told}


def _bar(offset: str, kind: str, width: str, base: str, size: str) -> Bar:
    index = (int(offset, 16) - 0x10) // 4
    if kind == "I/O Port":
        return Bar(index, "io", int(base, 16) or None, int(size))
    return Bar(index, "mem", int(base, 16) or None, int(size), int(width), kind.startswith("Prefetchable"))
