"""The hardware that native components own: drivers that are no VM, such as serial, timer and SATA. Pure.

Sources: camkes-tool camkes/templates (seL4HardwareInterrupt, seL4HardwareIOPort, seL4HardwareMMIO,
component.simple.c). An attribute counts as it is set, as `<-` takes it from the component around, or else by
the default that the type declares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bringup.camkes.model import Application, Place, Unevaluated, Value
from bringup.camkes.vms.extra import UNTYPED
from bringup.camkes.vms.model import is_vm
from bringup.camkes.vms.owned import Native, Owner
from bringup.camkes.vms.vmm import PAGE, PORTS
from bringup.pci.model import Bdf

_NUMBER = r"\s*(0x[0-9a-fA-F]{1,16}|\d{1,19})\s*"
# First and last port, both the component's.
_PORTS = re.compile(f"{_NUMBER}:{_NUMBER}")
# Address, bytes, and the bits of a page.
_MMIO = re.compile(f"{_NUMBER}:{_NUMBER}(?::{_NUMBER})?")
# Domain, bus, device and function of a function in the IOMMU.
_IOSPACE = re.compile(":".join([_NUMBER] * 4))
_BDF = re.compile(f"{_NUMBER}:{_NUMBER}[.]{_NUMBER}")
_FOLLOWED_MAX = 20


def native_hardware(application: Application) -> Native:
    """Return what the components own that are no VMs."""
    native = Native()
    for instance, attributes in _attributes(application).items():
        for name, (value, place) in attributes.items():
            _take(native, Owner(instance, place), name, value, attributes)
    return native


Attributes = Mapping[str, tuple[Value, Place]]


def _attributes(application: Application) -> dict[str, dict[str, tuple[Value, Place]]]:
    """Return the attributes of every instance that is no VM, by name, `<-` followed."""
    found: dict[str, dict[str, tuple[Value, Place]]] = {}
    components = {instance.name: instance for instance in application.instances}
    declared: dict[str, dict[str, Value]] = {}
    for attribute in application.attributes:
        if attribute.default is not None:
            declared.setdefault(attribute.component, {}).setdefault(attribute.name, attribute.default)
    for name, instance in components.items():
        defaults = declared.get(instance.component, {})
        found[name] = {attribute: (value, instance.place) for attribute, value in defaults.items()}
    first: set[tuple[str, str]] = set()
    for setting in application.settings:
        if setting.applied and setting.key not in first:
            first.add(setting.key)
            found.setdefault(setting.instance, {})[setting.attribute] = (setting.value, setting.place)
    for name, attributes in found.items():
        for key, (value, place) in attributes.items():
            attributes[key] = (_followed(value, name, found), place)
    vms = {name for name in found if is_vm(name, components[name].component if name in components else None)}
    return {name: attributes for name, attributes in found.items() if name not in vms}


def _followed(value: Value, instance: str, found: Mapping[str, Attributes]) -> Value:
    """Return what a chain of references ends in; a name without an instance is the component's around."""
    for _ in range(_FOLLOWED_MAX):
        if not isinstance(value, Unevaluated) or value.kind != "reference":
            break
        around = instance.rpartition(".")[0]
        holder, _, attribute = value.text.replace(" ", "").rpartition(".")
        instance = ".".join(part for part in (around, holder) if part)
        target = found.get(instance, {}).get(attribute)
        if target is None:
            break
        value = target[0]
    return value


def _take(native: Native, owner: Owner, name: str, value: Value, attributes: Attributes) -> None:
    if name.endswith("irq_vector") and isinstance(value, int):
        native.vectors.append((value, owner))
    elif name.endswith("irq_ioapic_pin") and isinstance(value, int):
        ioapic, _ = attributes.get(name.removesuffix("_pin"), (0, owner.place))
        native.pins.append(((ioapic if isinstance(ioapic, int) else 0, value), owner))
    elif name == "ioports" or name.endswith("_attributes"):
        native.ports += [(*_port_range(a, b), owner) for a, b in _parts(_PORTS, value) if a <= b < PORTS]
    elif name == "mmios":
        native.memory += [(base, base + size, owner) for base, size, *_ in _parts(_MMIO, value)]
    elif name == "untyped_mmios":
        native.memory += [
            (base, base + (1 << bits), owner) for base, bits in _parts(UNTYPED, value) if bits < 64
        ]
    elif name.endswith("_paddr") and isinstance(value, int):
        size, _ = attributes.get(f"{name.removesuffix('_paddr')}_size", (PAGE, owner.place))
        native.memory.append((value, value + (size if isinstance(size, int) else PAGE), owner))
    elif name == "iospaces":
        for domain, *at in _parts(_IOSPACE, value):
            native.domains.append((domain, owner))
            native.functions += [(bdf, owner) for bdf in _functions(at)]
    elif name == "pci_bdfs":
        native.functions += [(bdf, owner) for at in _parts(_BDF, value) for bdf in _functions(at)]


def _port_range(first: int, last: int) -> tuple[int, int]:
    return first, last + 1


def _functions(at: list[int]) -> Iterator[Bdf]:
    try:
        yield Bdf(0, *at)
    except ValueError:
        return


def _parts(shape: re.Pattern[str], value: Value) -> Iterator[list[int]]:
    """Yield the numbers of each part of this shape: in a text with commas, or a list of texts."""
    texts = value if isinstance(value, tuple) else (value,)
    for text in texts:
        for part in text.split(",") if isinstance(text, str) else ():
            if match := shape.fullmatch(part):
                yield [int(number, 0) for number in match.groups() if number]
