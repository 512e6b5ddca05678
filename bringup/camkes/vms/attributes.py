"""What the x86 VM component reads from its settings: the table that finds a misspelt attribute (C42).

camkes-tool checks a setting's type only where the component declares the attribute, and passes over a name
nobody reads. The declared ones are those of `VM_INIT_DEF` (seL4/camkes-vm
components/VM/configurations/vm.h); the rest is read by the templates named in `reader`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

ValueType = Literal["int", "string", "flag", "list"]


@dataclass(frozen=True, slots=True)
class VmAttribute:
    """One attribute of the VM component. `unit` is empty for a plain number, a name or a list.

    `declared` ones camkes-tool checks against their type; `reader` is the file that uses the value.
    """

    name: str
    type: ValueType
    unit: str
    declared: bool
    reader: str


def _declared(name: str, kind: ValueType, unit: str = "") -> VmAttribute:
    return VmAttribute(name, kind, unit, True, "camkes-vm components/VM/configurations/vm.h")


def _vm(name: str, kind: ValueType, reader: str, unit: str = "") -> VmAttribute:
    return VmAttribute(name, kind, unit, False, f"camkes-vm components/Init/templates/{reader}")


def _camkes(name: str, kind: ValueType, reader: str, unit: str = "") -> VmAttribute:
    return VmAttribute(name, kind, unit, False, f"camkes-tool camkes/templates/{reader}")


def _thread(name: str, kind: ValueType, unit: str = "") -> VmAttribute:
    return VmAttribute(name, kind, unit, False, "camkes-tool, for the threads of any component")


VM_ATTRIBUTES: tuple[VmAttribute, ...] = (
    _declared("kernel_cmdline", "string"),
    _declared("kernel_image", "string"),
    _declared("kernel_relocs", "string"),
    _declared("initrd_image", "string"),
    _declared("iospace_domain", "int"),
    _declared("guest_ram_mb", "int", "MiB"),
    _declared("cnode_size_bits", "int", "bits"),
    _declared("vswitch_layout", "list"),
    _declared("vswitch_mac_address", "string"),
    _declared("serial_layout", "list"),
    _declared("socket_layout", "list"),
    _declared("guest_cid", "int"),
    _vm("vm_ioports", "list", "seL4VMIOPorts.template.c"),
    _vm("pci_devices", "list", "seL4VMPCIDevices.template.c"),
    _vm("pci_devices_iospace", "flag", "seL4VMPCIDevices.template.c"),
    _vm("vm_irqs", "list", "seL4VMIRQs.template.c"),
    _vm("exclude_paddr", "list", "seL4ExcludeGuestPAddr.template.c"),
    _vm("ram", "list", "seL4ExtraRAM.template.c"),
    _vm("guest_mappings", "list", "seL4GuestMaps.template.c"),
    _vm("init_cons", "list", "seL4InitConnection.template.c"),
    _camkes("untyped_mmios", "list", "component.simple.c"),
    _camkes("simple", "flag", "component.simple.c"),
    _camkes("simple_extra_bootinfo", "list", "component.simple.c"),
    _camkes("asid_pool", "flag", "component.simple.c"),
    _camkes("heap_size", "int", "component.common.c", "bytes"),
    _camkes("dma_pool", "int", "component.common.c", "bytes"),
    _camkes("dma_pool_cached", "flag", "component.common.c"),
    _camkes("dma_pool_paddr", "int", "component.common.c", "bytes"),
    _camkes("tcb_pool", "int", "component.common.c", "objects"),
    _camkes("ep_pool", "int", "component.common.c", "objects"),
    _camkes("notification_pool", "int", "component.common.c", "objects"),
    _camkes("environment", "string", "component.environment.c"),
    _thread("priority", "int"),
    _thread("max_priority", "int"),
    _thread("affinity", "int", "core"),
    _thread("domain", "int"),
    _thread("sched_ctrl", "int", "core"),
    _thread("period", "int", "microseconds"),
    _thread("budget", "int", "microseconds"),
    _thread("integrity_label", "string"),
    _camkes("global_endpoint_base", "int", "component.common.c"),
    _camkes("global_endpoint_mask", "int", "component.common.c"),
    _camkes("global_rpc_endpoint_base", "int", "component.common.c"),
    _camkes("fs_shmem_size", "int", "seL4RPCDataport-from.template.c", "bytes"),
    _camkes("serial_getchar_shmem_size", "int", "seL4SerialServer-from.template.c", "bytes"),
)

# `N` is the exponent of the size: N in 4..47 on 64 bit, else the build stops (C38).
UNTYPED_POOL = re.compile(r"simple_untyped(\d+)_pool", re.ASCII)

# A name made of an interface's name and one of these suffixes belongs to the interface's connector, like
# `ether_1_send_shmem_size` or `serial_getchar_attributes`; `_stack_size` and `_priority` alone belong to
# the control thread (camkes-tool camkes/templates/component.common.c).
_INTERFACE = re.compile(
    r"\w*_(?:affinity|attributes|badge|budget|buf_size|dma|global_endpoint|hardware_cached|id"
    r"|interrupt_label|irq_priority|mac|max_priority|passive|period|priority|rpc|shmem_size|stack_size|value)",
    re.ASCII,
)

# The attributes before camkes-vm-examples 99f77f9 (2019), set on an instance `vmN_config`, and today's.
_OLD_CONFIG_INSTANCE = re.compile(r"(\w+)_config", re.ASCII)
_VM_NAME = re.compile(r"vm\d+", re.ASCII)
OLD_ATTRIBUTES: dict[str, str] = {
    "ioports": "vm_ioports",
    "irqs": "vm_irqs",
    "pci_devices": "pci_devices",
    "pci_devices_iospace": "pci_devices_iospace",
    "init_cons": "init_cons",
}


def old_instance(instance: str, attribute: str) -> str | None:
    """Return the VM whose setting this was before 2019, None for one that is no old spelling.

    VMs may have any name; of `vm0_config` everything is old, of another only what the VMM read.
    """
    found = _OLD_CONFIG_INSTANCE.fullmatch(instance)
    if found is None or not (_VM_NAME.fullmatch(found[1]) or attribute in OLD_ATTRIBUTES):
        return None
    return found[1]


_BY_NAME = {attribute.name: attribute for attribute in VM_ATTRIBUTES}


def find_attribute(name: str) -> VmAttribute | None:
    """Return what is known of an attribute of the VM component, None where nobody is known to read it."""
    known = _BY_NAME.get(name)
    if known is not None:
        return known
    if UNTYPED_POOL.fullmatch(name):
        return _camkes(name, "int", "component.simple.c", "objects")
    if _INTERFACE.fullmatch(name):
        return VmAttribute(name, "int", "", False, "the connector of that interface")
    return None
