"""What an application needs and has not: F13. Nothing tells of it before the build ends, or the VM dies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.base.near import did_you_mean
from bringup.camkes.app.stock import VM_TYPE, call_of
from bringup.camkes.vms.attributes import VM_ATTRIBUTES

if TYPE_CHECKING:
    from bringup.camkes.model import ComponentType, Place
    from bringup.camkes.vms.model import Vm
    from bringup.rules.inputs import Inputs

F13 = Rule(
    "F13",
    "an application has an assembly, a type for each instance, an interface at each end of a connection, "
    "and a value for each attribute of a VM",
    "camkes-tool camkes/parser/stage6.py, camkes/ast; camkes-vm components/VM/configurations/vm.h",
)

_UNREAD = "the includes that were not read (-I)"
# What the VMM's main.c refers to in any case; iospace_domain only counts with a device (C33).
_REQUIRED = tuple(
    each.name
    for each in VM_ATTRIBUTES
    if each.declared and each.name.startswith(("kernel_", "initrd_", "guest_ram"))
)
_EXAMPLES = {"guest_ram_mb": "128", "kernel_image": '"bzimage"', "initrd_image": '"rootfs.cpio"'}
# Macros of camkes-vm's headers that set none of them.
_STOCK = "VM_"
# In a name that only a macro would tell.
_CALL = "("


def assembled(inputs: Inputs) -> Found:
    """F13: there is an assembly; without one camkes-tool has nothing to build."""
    if inputs.application is None or inputs.application.assembled:
        return
    if inputs.application.missing_includes:
        yield F13.gap("whether there is an assembly", _UNREAD)
        return
    yield F13.error(
        "no-assembly",
        (None, None),
        "there is no assembly: nothing is built, and nothing can be checked",
        "name the root file of the application, the one with assembly { composition … configuration … }",
        inputs.application.root,
    )


def types_declared(inputs: Inputs) -> Found:
    """F13: the type of each instance is declared."""
    application = inputs.written
    types = _types(inputs)
    if types is None:
        return
    vm_types = [name for name, each in types.items() if _is_vm_type(each)]
    for instance in (*application.instances, *application.stock):
        if not instance.component or instance.component in types or _CALL in instance.component:
            continue
        # The types of VMs stand in the application itself, beside each other.
        own = instance.component.startswith("Init") and any(name.startswith("Init") for name in vm_types)
        if not application.missing_includes or own:
            yield F13.error(
                "component-undefined",
                (instance.name if own else None, instance.place),
                f"{instance.name} is of type {instance.component}, and no such component is declared",
                f"declare it: component {instance.component} {{ … }}",
                f"declared: {', '.join(list(types)[:8]) or 'none'}",
            )


def _types(inputs: Inputs) -> dict[str, ComponentType] | None:
    known = inputs.written.components
    return None if known is None else {each.name: each for each in known}


def _is_vm_type(component: ComponentType) -> bool:
    return any(call_of(macro)[0] == VM_TYPE for macro in component.macros) or component.name.startswith(
        "Init"
    )


def attributes_set(inputs: Inputs) -> Found:
    """F13: each attribute that a VM's type declares without a default has a value."""
    types = _types(inputs)
    if types is None:
        return
    instances = (*inputs.written.stock, *inputs.written.instances)
    components = {instance.name: instance.component for instance in instances}
    places = {instance.name: instance.place for instance in inputs.written.stock}
    for vm in inputs.vms:
        component = types.get(components.get(vm.name, ""))
        if component is None:
            continue
        unset = [name for name in _declared(inputs, component) if name not in vm.settings]
        unread = [macro for macro in inputs.written.macros if not macro.startswith(_STOCK)]
        if unset and unread:
            yield F13.gap(f"whether {vm.name} has {', '.join(unset)}: {unread[0]} may set it", _UNREAD)
        elif unset:
            yield from (_unset(vm, places.get(vm.name, vm.place), name) for name in unset)


def _declared(inputs: Inputs, component: ComponentType) -> Iterator[str]:
    declared = {
        attribute.name
        for attribute in inputs.written.attributes
        if attribute.component == component.name and attribute.default is None
    }
    stock = any(call_of(macro)[0] == VM_TYPE for macro in component.macros)
    return (name for name in _REQUIRED if stock or name in declared)


def _unset(vm: Vm, place: Place, name: str) -> Finding:
    return F13.error(
        "attribute-unset",
        (vm.name, place),
        f"{vm.name} has no {name}: it is declared without a default, and the VMM needs it",
        f"{vm.name}.{name} = {_EXAMPLES.get(name, '…')};",
    )


def connected(inputs: Inputs) -> Found:
    """F13: of the macros that connect VMs, none is used without those that belong to it."""
    application = inputs.written
    used = {call_of(macro)[0] for macro in application.macros}
    types = _types(inputs) or {}
    declared = {call_of(macro)[0] for each in types.values() for macro in each.macros}
    if "VM_CONNECTION_COMPONENT_DEF" in declared:
        for macro in ("VM_CONNECTION_CONNECT_VMS", "VM_CONNECTION_CONFIG"):
            if macro not in used:
                yield F13.error(
                    "connection-missing",
                    (None, application.instances[0].place if application.instances else None),
                    f"the VMs have the interfaces of VM_CONNECTION_COMPONENT_DEF, and {macro} is not used: "
                    "they are connected to nothing",
                    f"add {macro}(init.init, topology_def) to the "
                    + ("composition" if macro.endswith("VMS") else "configuration"),
                )


def ends_declared(inputs: Inputs) -> Found:
    """F13: each end of a connection is an interface that the type of an instance declares."""
    application = inputs.written
    instances = {i.name: i.component for i in (*application.stock, *application.instances)}
    for end in application.ends:
        component = instances.get(end.instance)
        if _CALL in str(end):
            continue
        if component is None:
            if not application.missing_includes and not application.macros:
                near = did_you_mean(end.instance, list(instances))
                yield F13.error(
                    "instance-undefined",
                    (None, end.place),
                    f"the connection {end.connection} ends at {end}: there is no instance "
                    f"{end.instance}{near}",
                    "declare it, or connect another one",
                )
            continue
        declared = [each for each in application.components or () if each.name == component]
        # What macros and headers that were not read would declare is not known.
        if not declared or any(each.macros for each in declared):
            continue
        interfaces = [name for each in declared for name in each.interfaces]
        if end.interface not in interfaces:
            near = did_you_mean(end.interface, interfaces)
            yield F13.error(
                "interface-undefined",
                (None, end.place),
                f"the connection {end.connection} ends at {end}: {component} has no interface "
                f"{end.interface}{near}",
                "declare it, or connect another one",
                f"it has {', '.join(interfaces[:8]) or 'none'}",
            )


CHECKS = (
    (F13, assembled),
    (F13, types_declared),
    (F13, attributes_set),
    (F13, connected),
    (F13, ends_declared),
)
