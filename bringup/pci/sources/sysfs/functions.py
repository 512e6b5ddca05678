"""PCI functions of a sysfs tree: `sys/bus/pci/devices` of a live machine, of a copied tree or of a bundle.

Every fact says which file it is from (`NAME:config`, `NAME:resource`, `NAME:sysfs`). Where register and
kernel differ about an address, the kernel's is kept, as lspci does, and the function tells the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bringup.base.size import counted
from bringup.pci.config.space import decode_config
from bringup.pci.model import Bar, Bdf, Function, Missing, Msi, MsiX, Rom, Sriov
from bringup.pci.sources.common import FUNCTION_LIMIT, told_elsewhere
from bringup.pci.sources.sysfs.net import read_net
from bringup.pci.sources.sysfs.resource import Resources, read_resource
from bringup.pci.tree.files import DEVICES, Files, names_in

SLOTS = "sys/bus/pci/slots"
_NAME = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_HEX = re.compile(rb"(?:0x)?([0-9a-fA-F]{1,8})\s*")
_DECIMAL = re.compile(rb"(-?[0-9]{1,9})\s*")
_SLOT = re.compile(rb"([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2})\s*")
_IDENTITY = ("vendor", "device", "class", "revision", "subsystem_vendor", "subsystem_device")
_STATES = ("D0", "D1", "D2", "D3hot", "D3cold")
_UNPRIVILEGED_BYTES = 64
# What the kernel shows for every function that has it, and the value where it shows none.
_TOLD = {"driver": None, "iommu_group": None, "physical_function": None, "msi_active": False, "net": ()}


def read_functions(
    files: Files, name: str, *, whole: bool = False
) -> tuple[tuple[Function, ...], tuple[Missing, ...]]:
    """Return the functions in scan order, and what could not be read of them.

    `whole`: the tree was made by following the manifest, so what it lacks did not exist on the machine.
    """
    missing: list[Missing] = []
    slots = _slots(files)
    functions = []
    for entry in files.children(DEVICES)[:FUNCTION_LIMIT]:
        if not _NAME.fullmatch(entry):
            continue
        function = _Reader(files, f"{DEVICES}/{entry}", Bdf.parse(entry), name).read(missing)
        if function is None:
            continue
        slot = slots.get(entry.rpartition(".")[0])
        functions.append(function if slot is None else _with(function, f"{name}:sysfs", slot=slot))
    functions.sort(key=lambda function: function.bdf)
    _tell_privilege(functions, missing, name)
    functions = told_elsewhere(functions, _TOLD, source=f"{name}:sysfs" if whole else None)
    return tuple(functions), tuple(missing)


def _tell_privilege(functions: Iterable[Function], missing: list[Missing], name: str) -> None:
    short = sum(function.config_bytes == _UNPRIVILEGED_BYTES for function in functions)
    if short:
        what = f"capabilities of {counted(short, 'function')} in {name}"
        missing.append(Missing(what, "config spaces have 64 bytes: they were read without root"))


def _slots(files: Files) -> dict[str, str]:
    """Return slot names by `domain:bus:device` (drivers/pci/slot.c)."""
    found = {}
    for slot in files.children(SLOTS)[:FUNCTION_LIMIT]:
        data = files.read(f"{SLOTS}/{slot}/address")
        if isinstance(data, bytes) and (match := _SLOT.fullmatch(data)):
            found[match[1].decode("ascii")] = slot
    return found


def _with(function: Function, source: str, **values: Any) -> Function:
    """Return the function with fields of this source."""
    if not values:
        return function
    return replace(function, **values, provenance={**function.provenance, **dict.fromkeys(values, source)})


@dataclass(frozen=True, slots=True)
class _Reader:
    """One function's folder."""

    files: Files
    folder: str
    bdf: Bdf
    name: str

    def read(self, missing: list[Missing]) -> Function | None:
        """Return the function; None for a folder that is none (an NTB's pseudo folder is empty)."""
        there = frozenset(self.files.children(self.folder))
        config = self.files.read(f"{self.folder}/config") if "config" in there else None
        identity = self._identity(there)
        if isinstance(config, bytes) and config:
            function = decode_config(self.bdf, config, f"{self.name}:config")
        elif "vendor" in identity:
            function = Function(self.bdf)
        else:
            missing.append(Missing(self.folder, "neither config nor vendor: no PCI function"))
            return None
        if not isinstance(config, bytes):
            why = config.why if config is not None else "absent"
            missing.append(Missing(f"{self.folder}/config", why))
        # The kernel's ids win: a virtual function's registers read ffff, and quirks mend wrong classes.
        known = {k: v for k, v in identity.items() if not function.observed(k) or getattr(function, k) != v}
        if function.is_bridge and known.get("subsystem") == (0, 0):
            del known["subsystem"]
        function = _with(function, f"{self.name}:sysfs", **known)
        if "resource" in there:
            function = self._resources(function)
        return _with(function, f"{self.name}:sysfs", **self._kernel(function, there))

    def _identity(self, there: frozenset[str]) -> dict[str, Any]:
        found = {key: self._number(key, _HEX) for key in _IDENTITY if key in there}
        told: dict[str, Any] = {k: v for k in _IDENTITY[:2] if (v := found.get(k)) is not None}
        if (code := found.get("class")) is not None:
            told |= {"class_code": code >> 8 & 0xFFFF, "prog_if": code & 0xFF}
        if (revision := found.get("revision")) is not None:
            told["revision"] = revision
        vendor, device = found.get("subsystem_vendor"), found.get("subsystem_device")
        if vendor is not None and device is not None:
            told["subsystem"] = (vendor, device)
        return told

    def _kernel(self, function: Function, there: frozenset[str]) -> dict[str, Any]:
        """Return what the kernel made of the function."""
        known: dict[str, Any] = {}
        if "irq" in there and (irq := self._number("irq", _DECIMAL)) is not None:
            known["irq"] = irq or None
        if "numa_node" in there and (node := self._number("numa_node", _DECIMAL)) is not None:
            known["numa_node"] = node
        for label in ("acpi_index", "label"):
            if label in there and (text := self._text(label)):
                known["label"] = text
        if "power_state" in there and (state := self._text("power_state")) in _STATES:
            known["power_state"] = state
        if "driver" in there and (driver := self._target("driver")):
            known["driver"] = driver
        if "iommu_group" in there and (group := self._target("iommu_group")) and group.isdecimal():
            known["iommu_group"] = int(group)
        if "physfn" in there and (parent := self._target("physfn")) and _NAME.fullmatch(parent):
            known["physical_function"] = Bdf.parse(parent)
        if (active := self._msi_active(function, there)) is not None:
            known["msi_active"] = active
        if "net" in there:
            known["net"] = read_net(self.files, f"{self.folder}/net")
        return known

    def _msi_active(self, function: Function, there: frozenset[str]) -> bool | None:
        if "msi_irqs" in there:
            return bool(names_in(self.files, f"{self.folder}/msi_irqs"))
        if not function.observed("capabilities"):
            return None
        ways = (function.capability(Msi), function.capability(MsiX))
        return any(way is not None and way.enabled for way in ways)

    def _resources(self, function: Function) -> Function:
        data = self.files.read(f"{self.folder}/resource")
        told = read_resource(data) if isinstance(data, bytes) else None
        if told is None:
            return function
        bars, moves = _merge_bars(function.bars or (), told.bars)
        values: dict[str, Any] = {"bars": bars, "rom": _merge_rom(function.rom, told.rom)}
        function = replace(function, unread=(*function.unread, *told.unread), moves=(*function.moves, *moves))
        return _with(_with_vf_bars(function, told), f"{self.name}:resource", **values)

    def _number(self, file: str, pattern: re.Pattern[bytes]) -> int | None:
        data = self.files.read(f"{self.folder}/{file}")
        match = pattern.fullmatch(data) if isinstance(data, bytes) else None
        return None if match is None else int(match[1], 16 if pattern is _HEX else 10)

    def _text(self, file: str) -> str | None:
        data = self.files.read(f"{self.folder}/{file}")
        return data[:256].decode("utf-8", "replace").strip() or None if isinstance(data, bytes) else None

    def _target(self, file: str) -> str | None:
        """Return the last part of a link, or of the text that stands for it where links cannot be carried."""
        target = self.files.link(f"{self.folder}/{file}")
        if target is None:
            target = self._text(file)
        return None if target is None else target.rstrip("/").rpartition("/")[2] or None


def _merge_bars(registers: Iterable[Bar], kernel: Iterable[Bar]) -> tuple[tuple[Bar, ...], list[str]]:
    """Return the kernel's BARs, and sentences where the registers hold something else."""
    merged = {bar.index: bar for bar in kernel}
    moves = []
    for bar in registers:
        ours = merged.get(bar.index)
        if ours is None:
            merged[bar.index] = replace(bar, base=None)
            if bar.base is not None:
                moves.append(f"BAR {bar.index} holds {bar.base:#x}, which the kernel ignores")
        elif None not in (bar.base, ours.base) and bar.base != ours.base:
            moves.append(f"BAR {bar.index} holds {bar.base:#x}, the kernel says {ours.base:#x}")
    return tuple(merged[index] for index in sorted(merged)), moves


def _merge_rom(register: Rom | None, kernel: Rom | None) -> Rom | None:
    """Return the kernel's ROM with the register's enable bit; one that the kernel gave no place has none."""
    if kernel is None:
        return None if register is None else replace(register, base=None)
    if kernel.shadow or register is None:
        return kernel
    return replace(kernel, enabled=register.enabled)


def _with_vf_bars(function: Function, told: Resources) -> Function:
    """Give the SR-IOV capability the kernel's addresses and the size of ONE virtual function."""
    sriov = function.capability(Sriov)
    if sriov is None or not told.vf_bars or not sriov.total_vfs:
        return function
    total = sriov.total_vfs
    bars = tuple(replace(b, size=None if b.size is None else b.size // total) for b in told.vf_bars)
    capabilities = tuple(
        replace(capability, decoded=replace(sriov, bars=bars)) if capability.decoded is sriov else capability
        for capability in function.capabilities or ()
    )
    return replace(function, capabilities=capabilities)
