"""What is given out once over the whole assembly: entry names, guest IRQs, IOMMU domains. Pure.

What the application already has for a device stays where it may, so that an update changes numbers only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bringup.base.errors import ProfileError
from bringup.camkes.assign.in_use import Occupied, trailing_number
from bringup.camkes.assign.model import Grant
from bringup.camkes.assign.resources import device_name
from bringup.camkes.vms.model import Device, Vm
from bringup.camkes.vms.vmm import USABLE_IRQS, taken_irqs
from bringup.pci.model import Dmar

_FIRST_DOMAIN = 0x0F


def allot_names(grants: Sequence[Grant], vms: Mapping[str, Vm]) -> list[Grant]:
    """Return the grants with names: those the application has for a device, else one made of the BDF."""
    named: list[Grant] = []
    for grant, entry in pair_devices(grants, vms):
        name = entry.name if entry else device_name(grant.function)
        irq = (entry and entry.irq) or f"{name}_irq"
        sharing = next((g for g in named if g.vm == grant.vm and g.line == grant.line), None)
        named.append(replace(grant, name=name, irq=sharing.irq if sharing else irq))
    for vm in dict.fromkeys(grant.vm for grant in named):
        mine = [grant for grant in named if grant.vm == vm]
        lines = {(grant.irq, grant.line) for grant in mine}
        if len(lines) != len({irq for irq, _ in lines}):
            # Two pins under one name, in a file by hand: names of our own keep them apart (C9).
            own = [replace(g, irq=f"{device_name(g.function)}_irq") for g in mine]
            named = [next((o for o in own if o.bdf == g.bdf), g) if g.vm == vm else g for g in named]
    return named


def pair_devices(grants: Sequence[Grant], vms: Mapping[str, Vm]) -> list[tuple[Grant, Device | None]]:
    """Return each grant with the `pci_devices` entry it takes the place of.

    That is the entry with its BDF, and where a device moved, the one left over at its place in the order.
    """
    pairs: list[tuple[Grant, Device | None]] = []
    for vm in dict.fromkeys(grant.vm for grant in grants):
        mine = [grant for grant in grants if grant.vm == vm]
        there = vms[vm].devices
        by_bdf = {device.bdf: device for device in there}
        left = [device for device in there if device.bdf not in {grant.bdf for grant in mine}]
        for grant in mine:
            device = by_bdf.get(grant.bdf) or (left.pop(0) if left else None)
            pairs.append((grant, device))
    return pairs


def allot_guest_irqs(grants: Sequence[Grant], vms: Mapping[str, Vm], others: Occupied) -> list[Grant]:
    """Return the grants with guest IRQs, unique over the assembly (C6); those set now where they may stay."""
    used = set(others.guest_irqs)
    chosen: dict[tuple[str, str], int] = {}
    for grant in grants:
        key = (grant.vm, grant.irq)
        dest = _dest_now(vms[grant.vm], grant)
        if key not in chosen and dest is not None and dest not in used and _free(vms[grant.vm], dest):
            chosen[key] = dest
            used.add(dest)
    for grant in grants:
        key = (grant.vm, grant.irq)
        if key not in chosen:
            chosen[key] = _next_irq(vms[grant.vm], grant, used)
            used.add(chosen[key])
    return [replace(grant, dest=chosen[grant.vm, grant.irq]) for grant in grants]


def _dest_now(vm: Vm, grant: Grant) -> int | None:
    return next((irq.dest for irq in vm.irqs if irq.name == grant.irq), None)


def _free(vm: Vm, dest: int) -> bool:
    return dest in USABLE_IRQS and dest not in taken_irqs(vm)


def _next_irq(vm: Vm, grant: Grant, used: Collection[int]) -> int:
    for dest in USABLE_IRQS:
        if dest not in used and _free(vm, dest):
            return dest
    raise ProfileError(
        f"no guest IRQ is left for {grant.bdf.short} in {grant.vm}: there are {len(USABLE_IRQS)} for the "
        "devices of all VMs together (C6, C7)",
        hint="assign fewer devices, or put those on one pin into one VM",
    )


def allot_domains(
    names: Sequence[str], vms: Mapping[str, Vm], others: Occupied, dmar: Dmar | None
) -> dict[str, int]:
    """Return an IOMMU domain per VM: what the application sets, else one of its own (C33)."""
    contexts = sum(len(rmrr.scopes) for rmrr in dmar.rmrrs) if dmar else 0
    first = max(_FIRST_DOMAIN, contexts)
    set_now = {name: vms[name].numbers.get("iospace_domain", 0) for name in names}
    domains = {name: domain for name, domain in set_now.items() if domain > 0}
    for name in names:
        used = {*others.domains, *domains.values()}
        wish = first + (trailing_number(name) or 0) % 0x80
        domains.setdefault(name, next(d for d in (wish, *range(first, first + 0x400)) if d not in used))
    return domains
