"""Reads the virtual machines out of an application's settings, and says what is malformed. Pure.

The templates of camkes-vm take whatever they are given: a list in place of a dictionary, or a missing key,
ends the build in a jinja2 traceback or goes unseen into C. Here such a value becomes a finding (F2) and is
left out of the view, so that the checks read numbers only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from bringup.base.finding import Finding, Gap, Rule
from bringup.base.near import nearest
from bringup.camkes.model import Application, Place, Setting, Unevaluated, Value
from bringup.camkes.vms.attributes import UNTYPED_POOL
from bringup.camkes.vms.display import cut, shown, whole
from bringup.camkes.vms.model import PASSTHROUGH, Device, Irq, Pool, Ports, Range, Vm, is_vm, pool_of
from bringup.camkes.vms.notation import entry_shape

SHAPE = Rule(
    "F2",
    "the values of the VM's settings have the shape that its templates read",
    "camkes-vm components/Init/templates (read unchecked)",
)

# make_virtio_net_vswitch_driver_dummy registers the callback of one more peer, and makes no device
# (camkes-vm components/Init/src/virtio_net_vswitch.c). What the macro stands for: connections.h.
_DUMMY = "_dummy"
_VSWITCH_MACRO, _VSWITCH_HANDLER = "VM_CONNECTION_INIT_HANDLER", "make_virtio_net_vswitch"

_NUMBERS = ("guest_ram_mb", "heap_size", "cnode_size_bits", "iospace_domain", "pci_devices_iospace")
_TEXTS = ("kernel_cmdline", "kernel_image", "kernel_relocs", "initrd_image")


def read_vms(application: Application) -> tuple[tuple[Vm, ...], tuple[Finding | Gap, ...]]:
    """Return the application's VMs in the order of their names, and what is malformed in their settings."""
    places: dict[str, Place] = {}
    for instance in application.instances:
        if is_vm(instance.name, instance.component):
            places.setdefault(instance.name, instance.place)
    settings: dict[str, dict[str, Setting]] = {}
    for setting in application.settings:
        if not setting.applied:
            continue
        if is_vm(setting.instance) or setting.attribute in PASSTHROUGH:
            places.setdefault(setting.instance, setting.place)
        settings.setdefault(setting.instance, {}).setdefault(setting.attribute, setting)
    found: list[Finding | Gap] = []
    vms = []
    for name in sorted(places, key=_natural):
        if not name.endswith("_config"):
            reader = _Reader(name, settings.get(name, {}))
            vms.append(reader.vm(places[name]))
            found += reader.found
    return tuple(vms), tuple(found)


def _natural(name: str) -> tuple[str, int, str]:
    digits = re.search(r"\d{1,9}$", name)
    return (name[: digits.start()], int(digits[0]), name) if digits else (name, -1, name)


Kind = Literal["number", "text", "list"]


class _Reader:
    """Reads one VM's settings and keeps what is wrong with them in `found`."""

    def __init__(self, vm: str, settings: Mapping[str, Setting]) -> None:
        self.name = vm
        self.settings = settings
        self.found: list[Finding | Gap] = []
        self.unread: set[str] = set()

    def vm(self, place: Place) -> Vm:
        numbers = {name: value for name in _NUMBERS if (value := self._plain_number(name)) is not None}
        texts = {name: text for name in _TEXTS if (text := self._plain_text(name)) is not None}
        makers = tuple(handler for handler in self._handlers() if not handler.endswith(_DUMMY))
        made = Vm(
            self.name,
            place,
            self.settings,
            devices=tuple(self._devices()),
            irqs=tuple(self._irqs()),
            ports=tuple(self._ports()),
            excluded=tuple(self._excluded()),
            pools=tuple(self._pools()),
            handlers=makers,
            numbers=numbers,
            texts=texts,
        )
        return replace(made, unread=frozenset(self.unread))

    # Lists of dictionaries.

    def _ports(self) -> Iterator[Ports]:
        keys: dict[str, Kind] = {"start": "number", "end": "number", "name": "text"}
        for entry, place in self._entries("vm_ioports"):
            found = self._keys(entry, keys, ("pci_device",), place, "vm_ioports")
            start, end = whole(found.get("start")), whole(found.get("end"))
            if start is not None and end is not None:
                yield Ports(str(found.get("name", "?")), start, end, place)

    def _irqs(self) -> Iterator[Irq]:
        numbers = ("source", "level_trig", "active_low", "dest")
        keys: dict[str, Kind] = {"name": "text", **dict.fromkeys(numbers, "number")}
        for entry, place in self._entries("vm_irqs"):
            found = self._keys(entry, keys, ("ioapic",), place, "vm_irqs")
            ioapic = self._number(entry["ioapic"], place, "vm_irqs: ioapic") if "ioapic" in entry else None
            source, level, low, dest = (whole(found.get(key)) for key in numbers)
            yield Irq(str(found.get("name", "?")), ioapic, source, level, low, dest, place)

    def _devices(self) -> Iterator[Device]:
        numbers = ("bus", "dev", "fun")
        keys: dict[str, Kind] = {
            "name": "text",
            "irq": "text",
            "memory": "list",
            **dict.fromkeys(numbers, "number"),
        }
        for entry, place in self._entries("pci_devices"):
            found = self._keys(entry, keys, (), place, "pci_devices")
            bus, dev, fun = (whole(found.get(key)) for key in numbers)
            if bus is not None and dev is not None and fun is not None:
                irq = found.get("irq")
                memory = tuple(self._memory(found.get("memory"), place))
                text = irq if isinstance(irq, str) else None
                yield Device(str(found.get("name", "?")), bus, dev, fun, text, memory, place)

    def _memory(self, value: Value | None, place: Place) -> Iterator[Range]:
        keys: dict[str, Kind] = dict.fromkeys(("paddr", "size", "page_bits"), "number")
        for element in value if isinstance(value, tuple) else ():
            if isinstance(element, Unevaluated):
                self._computed("pci_devices memory", element)
                continue
            if not isinstance(element, Mapping):
                self._wrong(
                    "memory-entry",
                    place,
                    f"{self.name}.pci_devices: an entry of `memory` is {shown(element)}, not a dictionary",
                    'write {"paddr":…, "size":…, "page_bits":12}',
                )
                continue
            found = self._keys(element, keys, (), place, "pci_devices memory")
            paddr, size, bits = (whole(found.get(key)) for key in ("paddr", "size", "page_bits"))
            if paddr is not None and size is not None:
                yield Range(paddr, self._size(paddr, size, place), place, bits)

    def _size(self, base: int, size: int, place: Place) -> int:
        """Return the size that is meant where an end address is written; a BAR is never above its base.

        It lies on a multiple of its own size (PCI 3.0 6.2.5.1).
        """
        for meant in (size + 1 - base, size - base):
            if 0 < base <= size and meant >= 16 and not meant & (meant - 1) and not base % meant:
                self._wrong(
                    "size-is-end",
                    place,
                    f"{self.name}.pci_devices memory {base:#x}: the size {size:#x} is an address, where the "
                    f"BAR ends, and not a number of bytes",
                    f'write "size":{meant:#x}',
                )
                return meant
        return size

    def _entries(self, attribute: str) -> Iterator[tuple[Mapping[str | int, Value], Place]]:
        setting = self._list(attribute)
        if setting is None or not isinstance(setting.value, tuple):
            return
        if setting.value and all(isinstance(element, int) for element in setting.value):
            self._wrong(
                "shorthand",
                setting.place,
                f"{self.name}.{attribute} is {shown(setting.value)}: the shorthand of slides; "
                "the template reads a list of dictionaries",
                f"{self.name}.{attribute} = [{entry_shape(attribute, setting.value)}];",
            )
            return
        for element, place in self._elements(setting):
            if isinstance(element, Mapping):
                yield element, place
            elif isinstance(element, Unevaluated):
                self._computed(attribute, element)
            else:
                self._wrong(
                    "shorthand" if isinstance(element, tuple) else "not-a-dictionary",
                    place,
                    f"{self.name}.{attribute}: an entry is {shown(element)}, not a dictionary",
                    f"write it as {entry_shape(attribute, element if isinstance(element, tuple) else ())}",
                )

    def _elements(self, setting: Setting) -> Iterator[tuple[Value, Place]]:
        value = setting.value if isinstance(setting.value, tuple) else ()
        for number, element in enumerate(value):
            yield element, setting.places[number] if number < len(setting.places) else setting.place

    def _keys(
        self,
        entry: Mapping[str | int, Value],
        required: Mapping[str, Kind],
        optional: tuple[str, ...],
        place: Place,
        what: str,
    ) -> Mapping[str, Value]:
        """Return the entry's well-formed values of the required keys, telling what is missing or unknown."""
        known = (*required, *optional)
        strange = [str(key) for key in entry if key not in known]
        found: dict[str, Value] = {}
        for key, kind in required.items():
            if key not in entry:
                near = nearest(key, strange)
                meant = f'; it has "{near}"' if near else ""
                self._wrong(
                    "missing-key",
                    place,
                    f'{self.name}.{what}: an entry has no "{key}"{meant}',
                    f'rename "{near}" to "{key}"'
                    if near
                    else f'add "{key}": the build ends in an UndefinedError',
                )
            elif (value := self._typed(entry[key], kind, place, f"{what}: {key}")) is not None:
                found[key] = value
        for key in strange:
            self._unread(key, [name for name in known if name not in entry], place, what)
        return found

    def _unread(self, key: str, missing: list[str], place: Place, what: str) -> None:
        if nearest(key, missing) is None:
            self.found.append(
                SHAPE.warning(
                    "unknown-key",
                    (self.name, place),
                    f'{self.name}.{what}: nothing reads the key "{key}"',
                    "leave it out",
                )
            )
        elif "ioapic" in missing and nearest(key, ["ioapic"]):
            self._wrong(
                "misspelt-key",
                place,
                f'{self.name}.{what}: nothing reads the key "{key}"',
                'rename it "ioapic"',
            )

    def _typed(self, value: Value, kind: Kind, place: Place, what: str) -> Value | None:
        if kind == "number":
            return self._number(value, place, what)
        if isinstance(value, Unevaluated):
            self._computed(what, value)
            return None
        if isinstance(value, str if kind == "text" else tuple):
            return value
        article = "a string" if kind == "text" else "a list"
        self._wrong(
            "wrong-type",
            place,
            f"{self.name}.{what} is {shown(value)}, not {article}",
            "the name of an entry of vm_irqs in double quotes"
            if what.endswith("irq")
            else f"write {article}",
        )
        return None

    def _number(self, value: Value, place: Place, what: str) -> int | None:
        number = whole(value)
        if number is not None:
            return number
        if isinstance(value, Unevaluated):
            self._computed(what, value)
        else:
            self._wrong(
                "wrong-type",
                place,
                f"{self.name}.{what} is {shown(value)}, not a whole number of 64 bits",
                "write it without quotes, in decimal or as 0x…, in at most 64 bits",
            )
        return None

    # Plain settings.

    def _list(self, attribute: str) -> Setting | None:
        setting = self.settings.get(attribute)
        if setting is None or isinstance(setting.value, tuple):
            return setting
        if isinstance(setting.value, Unevaluated):
            self._computed(attribute, setting.value)
        else:
            self._wrong(
                "not-a-list",
                setting.place,
                f"{self.name}.{attribute} is {shown(setting.value)}, not a list",
                f"{self.name}.{attribute} = [ … ];",
            )
        return None

    def _plain_number(self, attribute: str) -> int | None:
        setting = self.settings.get(attribute)
        return None if setting is None else self._number(setting.value, setting.place, attribute)

    def _plain_text(self, attribute: str) -> str | None:
        setting = self.settings.get(attribute)
        if setting is None or isinstance(setting.value, str):
            return None if setting is None else str(setting.value)
        if isinstance(setting.value, Unevaluated):
            self._computed(attribute, setting.value)
        else:
            self._wrong(
                "wrong-type",
                setting.place,
                f"{self.name}.{attribute} is {shown(setting.value)}, not a string",
                "write it in double quotes",
            )
        return None

    def _pools(self) -> Iterator[Pool]:
        for attribute, setting in self.settings.items():
            if UNTYPED_POOL.fullmatch(attribute):
                self._number(setting.value, setting.place, attribute)
                if (pool := pool_of(setting)) is not None:
                    yield pool

    def _excluded(self) -> Iterator[Range]:
        setting = self._list("exclude_paddr")
        for element, place in self._elements(setting) if setting else ():
            pair = element if isinstance(element, tuple) else (element,)
            if unread := next((part for part in pair if isinstance(part, Unevaluated)), None):
                self._computed("exclude_paddr", unread)
                continue
            base, size = (whole(value) for value in pair) if len(pair) == 2 else (None, None)
            if base is not None and size is not None:
                yield Range(base, size, place)
            else:
                self._wrong(
                    "not-a-pair",
                    place,
                    f"{self.name}.exclude_paddr: an entry is {shown(element)}, not [address, bytes]",
                    f"{self.name}.exclude_paddr = [[0x7b000000, 0x1000]];",
                )

    def _handlers(self) -> Iterator[str]:
        setting = self._list("init_cons")
        for element, place in self._elements(setting) if setting else ():
            init = element.get("init") if isinstance(element, Mapping) else element
            if isinstance(init, Unevaluated) and re.split(r"[ (]", init.text)[0] == _VSWITCH_MACRO:
                yield _VSWITCH_HANDLER
            elif isinstance(init, Unevaluated):
                self._computed("init_cons", init)
            elif isinstance(element, Mapping) and isinstance(init, str):
                yield init
            else:
                self._wrong(
                    "init-cons",
                    place,
                    f"{self.name}.init_cons: an entry is {shown(element)}, without the name of a C function",
                    'write {"init":"make_virtio_net"}, or the macro VM_CONNECTION_INIT_HANDLER',
                )

    # What is told.

    def _wrong(self, slug: str, place: Place, message: str, fix: str) -> None:
        self.found.append(SHAPE.error(slug, (self.name, place), message, fix))

    def _computed(self, what: str, value: Unevaluated) -> None:
        self.unread.add(re.split("[: ]", what, maxsplit=1)[0])
        if value.kind == "macro":
            told, need = f"the macro {cut(value.text)}", "the header that defines it (-I)"
        else:
            told, need = f"a {value.kind} ({cut(value.text)})", "a value written in the file"
        self.found.append(SHAPE.gap(f"{self.name}.{what} is {told}", need))
