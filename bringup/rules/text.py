"""What is written where: C42 to C44, old spellings (F3), settings not applied (F4), guests' consoles (F5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.base.near import nearest
from bringup.camkes.vms.attributes import (
    OLD_ATTRIBUTES,
    VM_ATTRIBUTES,
    find_attribute,
    old_instance,
)
from bringup.camkes.vms.model import Vm, is_vm

if TYPE_CHECKING:
    from bringup.camkes.model import Place, Setting
    from bringup.rules.inputs import Inputs

C42 = Rule(
    "C42",
    "every setting is one that somebody reads",
    "camkes-tool passes over unknown instances and attributes",
)
C43 = Rule("C43", "an attribute is set once", "camkes-tool: duplicate setting for attribute")
C44 = Rule(
    "C44", "a guest with a PCI device starts with pci=nomsi", "libsel4vmmplatsupport hides MSI and MSI-X"
)
F3 = Rule(
    "F3",
    "no setting or number has the spelling from before 2019",
    "camkes-vm-examples 99f77f9; camkes-tool camkes/parser/stage3.py (int(text, 0))",
)
F4 = Rule("F4", "every setting is inside an assembly", "camkes-tool camkes/parser/stage6.py")
F5 = Rule(
    "F5",
    "the guest's console is one it has",
    "camkes-vm Init/src/serial.c emulates COM1 only; Linux Documentation/admin-guide/kernel-parameters.txt",
)

_NAMES = [attribute.name for attribute in VM_ATTRIBUTES]
_POOL_LIKE = re.compile(r"[a-z_]*untyped[a-z_]*(\d{1,3})[a-z_]*", re.ASCII)
# console=ttyS<n>[,<baud>[<parity n|o|e>[<bits 7|8>[r]]]], what is behind the comma
_CONSOLE = re.compile(r"(\d+)(?:[noe](?:[78]r?)?)?", re.ASCII)
_BAUDS = frozenset((1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200))


def attributes_known(inputs: Inputs) -> Found:
    """C42: of VMs, whose attributes are known; and instances that do not exist."""
    application = inputs.written
    declared = {(attribute.component, attribute.name) for attribute in application.attributes}
    components = {instance.name: instance.component for instance in application.instances}
    names = [*components, *application.connections]
    strange: dict[str, list[Setting]] = {}
    for setting in _applied(inputs):
        if old_instance(*setting.key) or setting.instance in application.connections:
            continue  # F3 tells of the former; what connectors read is not known here
        component = components.get(setting.instance)
        if component is None and application.instances:
            strange.setdefault(setting.instance, []).append(setting)
        elif (
            is_vm(setting.instance, component)
            and (component, setting.attribute) not in declared
            and not _is_read(inputs, setting)
        ):
            yield _unknown_attribute(inputs, setting, _interface(inputs, setting, component))
    for instance, settings in strange.items():
        yield from _unknown_instance(inputs, instance, settings, names)


def _is_read(inputs: Inputs, setting: Setting) -> bool:
    name = setting.attribute
    if find_attribute(name) is not None:
        return True
    # A dataport's size goes with its id (camkes-vm-examples optiplex9020).
    stem = name.removesuffix("_size")
    return stem != name and inputs.written.get(setting.instance, f"{stem}_id") is not None


def _unknown_instance(inputs: Inputs, instance: str, settings: list[Setting], names: list[str]) -> Found:
    near = _near(instance, names)
    complete = not inputs.written.missing_includes
    if not complete and near is None:
        # Most likely it is declared in a file that was not read, or by a macro of one.
        yield C42.gap(f"whether there is a {instance}", "the includes that were not read (-I)")
        return
    tell = C42.error if complete else C42.warning
    first, *others = settings
    more = f" and {len(others)} more of its settings" if others else ""
    yield tell(
        "unknown-instance",
        (instance if is_vm(instance) else None, first.place),
        f"there is no {instance}: camkes passes {instance}.{first.attribute}{more} over",
        _meant(inputs, instance, near),
        *(str(setting.place) for setting in others[:5]),
    )


def _meant(inputs: Inputs, instance: str, near: str | None) -> str:
    if near is not None:
        return f"perhaps {near} is meant"
    if not is_vm(instance):
        return "declare it in the composition"
    there = [each.name for each in inputs.written.instances if is_vm(each.name, each.component)]
    have = f"there are {', '.join(there[:8])}; " if there else ""
    return f"{have}a VM is declared in the composition (VM_PER_VM_COMP_DEF)"


def _interface(inputs: Inputs, setting: Setting, component: str | None) -> str | None:
    """Return the interface of the VM's type that an attribute is named after, whose connector may read it."""
    types = inputs.written.components or ()
    names = next((each.interfaces for each in types if each.name == component), ())
    return next((name for name in names if setting.attribute.startswith(f"{name}_")), None)


def _unknown_attribute(inputs: Inputs, setting: Setting, interface: str | None) -> Finding:
    name = setting.attribute
    if interface is not None:
        return C42.warning(
            "interface-attribute",
            (setting.instance, setting.place),
            f"{setting.instance}.{name}: of the attributes of the interface {interface}, this one is unknown",
            "nothing, if the template of its connector reads it",
        )
    near = _near(name, _NAMES)
    pool = _POOL_LIKE.fullmatch(name)
    if pool is not None:
        near = f"simple_untyped{pool[1]}_pool"
    elif name in OLD_ATTRIBUTES and OLD_ATTRIBUTES[name] != name:
        near = OLD_ATTRIBUTES[name]
    tell = C42.error if near or not inputs.written.missing_includes else C42.warning
    return tell(
        "unknown-attribute",
        (setting.instance, setting.place),
        f"{setting.instance}.{name}: nobody reads an attribute of this name, and camkes passes it over",
        f"perhaps {near} is meant" if near else "leave it out, or declare it in the component",
    )


def _near(name: str, names: list[str]) -> str | None:
    near = nearest(name, names, likeness=0.75)
    return near if near != name else None


def _applied(inputs: Inputs) -> Iterator[Setting]:
    return (setting for setting in inputs.written.settings if setting.applied)


def set_once(inputs: Inputs) -> Found:
    """C43: in one assembly and across merged ones."""
    first: dict[tuple[str, str], Place] = {}
    for setting in _applied(inputs):
        before = first.setdefault(setting.key, setting.place)
        if before is not setting.place:
            yield C43.error(
                "set-twice",
                (setting.instance if is_vm(setting.instance) else None, setting.place),
                f"{setting.instance}.{setting.attribute} is set again; it is set at {before}",
                "leave one of them out",
                f"first {before}",
            )


def msi_off(inputs: Inputs) -> Found:
    """C44."""
    for vm in inputs.vms:
        if not vm.devices or ("kernel_cmdline" in vm.settings and "kernel_cmdline" not in vm.texts):
            continue
        words = vm.texts.get("kernel_cmdline", "").split()
        options = [option for word in words if word.startswith("pci=") for option in word[4:].split(",")]
        if "nomsi" not in options:
            yield C44.warning(
                "msi-on",
                (vm.name, vm.place_of("kernel_cmdline")),
                f"the command line of {vm.name} has no pci=nomsi, and its driver may wait for an MSI that "
                "never comes",
                "add pci=nomsi to kernel_cmdline (a guest built without CONFIG_PCI_MSI does not need it)",
            )


def old_spelling(inputs: Inputs) -> Found:
    """F3."""
    for setting in _applied(inputs):
        vm = old_instance(*setting.key)
        if vm is None or any(i.name == setting.instance for i in inputs.written.instances):
            continue
        today = OLD_ATTRIBUTES.get(setting.attribute, setting.attribute)
        yield F3.error(
            "old-spelling",
            (vm, setting.place),
            f"{setting.instance}.{setting.attribute} is the spelling of before 2019; nobody reads it today",
            f"write {vm}.{today}; `bringup camkes migrate` does it, and adds ioapic",
        )


def octal_numbers(inputs: Inputs) -> Found:
    """F3: numbers that begin with 0, told once per file; what they are is another in each camkes-tool."""
    told: dict[str, list[tuple[str, Place]]] = {}
    for text, place in inputs.written.octal:
        told.setdefault(place.file, []).append((text, place))
    for numbers in told.values():
        text, place = numbers[0]
        more = f" (and {len(numbers) - 1} more here)" if len(numbers) > 1 else ""
        yield F3.warning(
            "octal-number",
            (None, place),
            f"{text}{more} is octal for the camkes-tool of Python 2, {int(text, 8)}, and refused by that of "
            "Python 3",
            f"write {int(text, 8)}" + (f", or {int(text)} if that is meant" if len(text) > 2 else ""),
        )


def in_an_assembly(inputs: Inputs) -> Found:
    """F4."""
    places: dict[str, list[Setting]] = {}
    for setting in inputs.written.settings:
        if not setting.applied:
            places.setdefault(setting.place.file, []).append(setting)
    for settings in places.values():
        first = settings[0]
        yield F4.error(
            "not-applied",
            (None, first.place),
            f"settings ({len(settings)}) stand in a configuration outside of any assembly: camkes reads them "
            "and applies none",
            "put it inside: assembly { composition {} configuration { … } }",
            f"first {first.instance}.{first.attribute}",
        )


def console_sane(inputs: Inputs) -> Found:
    """F5."""
    for vm in inputs.vms:
        for word in vm.texts.get("kernel_cmdline", "").split():
            if word.startswith("console=ttyS"):
                problem = _console_problem(word.removeprefix("console="))
                if problem is not None:
                    yield F5.warning(
                        "guest-console",
                        (vm.name, vm.place_of("kernel_cmdline")),
                        f"the command line of {vm.name} has {word[:60]}: {problem}",
                        "write console=ttyS0,115200",
                    )
    yield from _relocs(inputs.vms)


def _console_problem(console: str) -> str | None:
    port, comma, options = console.partition(",")
    problems = []
    if port != "ttyS0":
        problems.append(f"the VMM emulates ttyS0 only, so nothing is seen at {port}")
    match = _CONSOLE.fullmatch(options)
    if comma and match is None:
        problems.append(f"{options} is no speed with parity (n, o, e) and bits (7, 8), such as 115200n8")
    elif match is not None and (len(match[1]) > 6 or int(match[1]) not in _BAUDS):
        problems.append("that baud rate does not exist")
    return "; ".join(problems) or None


def _relocs(vms: tuple[Vm, ...]) -> Found:
    for vm in vms:
        relocs, image = vm.texts.get("kernel_relocs"), vm.texts.get("kernel_image")
        if relocs and image and relocs != image:
            yield F5.warning(
                "relocs-of-other",
                (vm.name, vm.place_of("kernel_relocs")),
                f'{vm.name} starts "{image}" and relocates it by those of "{relocs}"',
                "the same name for a 32-bit kernel, or an empty string for a 64-bit one",
            )


CHECKS = (
    (C42, attributes_known),
    (C43, set_once),
    (C44, msi_off),
    (F3, old_spelling),
    (F3, octal_numbers),
    (F4, in_an_assembly),
    (F5, console_sane),
)
