"""Applications of the ARM VMM, whose VMs get devices by a device tree: no x86 rule holds for them. Pure.

Sources: camkes-vm components/VM_Arm (vm.camkes, configurations/vm.h), camkes-vm-examples apps/Arm.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bringup.camkes.model import Application, Unevaluated
from bringup.camkes.vms.model import is_vm

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build

_FILE = re.compile(r"(?:^|[/\\])(?:VM_Arm|vm_arm|Arm|aarch(?:32|64))(?:[/\\]|$)")
# Attributes of components/VM_Arm/configurations/vm.h that the x86 VM has not.
_ATTRIBUTES = frozenset(
    ("linux_address_config", "linux_image_config", "vm_address_config", "vm_image_config", "num_vcpus", "dtb")
)


def arm_sign(application: Application, build: Build | None = None) -> str | None:
    """Return what shows that an application is one for ARM, None where nothing does."""
    if build is not None and (arch := build.text("KernelArch")) is not None:
        return f"KernelArch={arch}" if arch.lower() == "arm" else None
    for name in application.missing_includes:
        if _FILE.search(name):
            return name
    components = {instance.name: instance.component for instance in application.instances}
    for setting in application.settings:
        if not is_vm(setting.instance, components.get(setting.instance)):
            continue
        query = isinstance(setting.value, Unevaluated) and setting.value.kind == "query"
        if setting.attribute in _ATTRIBUTES or query:
            return f"{setting.instance}.{setting.attribute} ({setting.place})"
    return next((name for name in application.files if "VM_Arm" in name), None)
