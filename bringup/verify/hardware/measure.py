"""What a unit shows of each fact, by probe; pure.

A probe is named by a plan's checks. It takes the fact and what was seen, and returns what was measured, or
why nothing could be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from bringup.base.size import counted
from bringup.pci.match.ports import ids_of, subsystem_of
from bringup.pci.model import Machine
from bringup.pci.pins.beliefs import pin_candidates
from bringup.verify.hardware.facts import Asked
from bringup.verify.hardware.ports import port
from bringup.verify.hardware.seen import BmcSeen, Finding, Measured, NotSeen, Seen

FactProbe = Callable[[Asked, Seen], Finding]
_SHOWN = 4


def _of_machine(look: Callable[[Asked, Machine], Finding]) -> FactProbe:
    def probe(asked: Asked, seen: Seen) -> Finding:
        if seen.machine is None:
            return NotSeen(seen.why.get("machine", "there is no capture"))
        return look(asked, seen.machine)

    return probe


def _of_bmc(look: Callable[[Asked, BmcSeen], Finding]) -> FactProbe:
    def probe(asked: Asked, seen: Seen) -> Finding:
        if seen.bmc is None:
            return NotSeen(seen.why.get("bmc", "the BMC was not asked"))
        return look(asked, seen.bmc)

    return probe


def _smbios(asked: Asked, machine: Machine) -> Finding:
    names = {"system_product": "product", "baseboard_product": "baseboard"}
    value = getattr(machine.identity, names.get(asked.key, asked.key), None)
    if asked.key.startswith("bios") and value is not None:
        return Measured(value, "SMBIOS type 0")
    return Measured(value, "SMBIOS") if value else NotSeen("the capture holds no such SMBIOS text")


def _subsystem(asked: Asked, machine: Machine) -> Finding:
    counts = Counter(name for each in machine.functions if (name := subsystem_of(each)) is not None)
    if not counts:
        return NotSeen("the capture tells no subsystem ids")
    here = counts[asked.said]
    if here:
        return Measured(asked.said, f"{here} functions that have it")
    most = ", ".join(f"{name} ({count})" for name, count in counts.most_common(3))
    return Measured(None, f"{sum(counts.values())} functions, none of which has it, most of them {most}")


def _threads(_asked: Asked, machine: Machine) -> Finding:
    madt = machine.acpi.madt
    if madt is None or not madt.cpus:
        return NotSeen("the capture holds no MADT")
    return Measured(madt.cpus, "the processors that the MADT has enabled")


def _function_count(_asked: Asked, machine: Machine) -> Finding:
    return Measured(len(machine.functions), "the functions that the probes found")


def _expected(asked: Asked, machine: Machine) -> Finding:
    ids, wanted = asked.said["id"], asked.said["count"]
    there = sum(ids_of(each) == ids for each in machine.functions)
    evidence = f"{there} functions {ids}, of at least {wanted}"
    return Measured(asked.said if there >= wanted else None, evidence, there >= wanted)


def _gsi_bases(_asked: Asked, machine: Machine) -> Finding:
    madt = machine.acpi.madt
    if madt is None or not madt.ioapics:
        return NotSeen("the capture holds no MADT")
    return Measured(
        [each.gsi_base for each in madt.ioapics], f"the MADT with {counted(len(madt.ioapics), 'IOAPIC')}"
    )


def _ioapic(asked: Asked, machine: Machine) -> Finding:
    if not machine.measured:
        return NotSeen("the firmware probe saw no interrupt arrive")
    seen = sorted({each.ioapic for each in machine.measured})
    evidence = f"{len(machine.measured)} interrupts that the firmware probe saw arrive"
    return Measured(seen[0], evidence) if len(seen) == 1 else Measured(None, f"{evidence}, at IOAPICs {seen}")


def _root_port_rule(asked: Asked, machine: Machine) -> Finding:
    # The rule alone: no port's own pin, none measured.
    bare = asked.profile.model_copy(update={"nics": ()})
    rule = {
        bdf: (best.ioapic, best.pin)
        for bdf, beliefs in pin_candidates(_unmeasured(machine), bare).items()
        for best in [each for each in beliefs if each.grade == "inferred"][:1]
    }
    both = [
        (each.bdf, rule[each.bdf], (each.ioapic, each.pin)) for each in machine.measured if each.bdf in rule
    ]
    if not both:
        return NotSeen("the firmware probe saw no interrupt of a function behind a root port")
    wrong = [f"{bdf.short} at {at[1]} where it says {said[1]}" for bdf, said, at in both if said != at]
    if not wrong:
        return Measured(asked.said, f"{len(both)} of {len(both)} measured pins, which it predicts")
    told = "; ".join(wrong[:_SHOWN])
    return Measured(None, f"{len(both)} measured pins, {len(wrong)} of which it gets wrong: {told}", False)


def _unmeasured(machine: Machine) -> Machine:
    return replace(machine, measured=())


def _cipher_order(asked: Asked, bmc: BmcSeen) -> Finding:
    if bmc.suites is None:
        return NotSeen(bmc.why.get("suites", "the BMC does not tell its cipher suites"))
    listed = ", ".join(map(str, bmc.suites)) or "none"
    value = [suite for suite in (17, 3) if suite in bmc.suites]
    return Measured(value or None, f"the BMC's own list: {listed}")


def _sol_baud(_asked: Asked, bmc: BmcSeen) -> Finding:
    return _told(bmc, "sol_baud", "the BMC's SOL bit rate")


def _boot_override(_asked: Asked, seen: Seen) -> Finding:
    for boot in seen.boots:
        if boot.verified and "dhcp" in boot.stages:
            return Measured("verified", f"run {boot.run}: set, read back the same, and taken")
    bmc = seen.bmc
    if bmc is None or bmc.override is None:
        why = seen.why.get("bmc") if bmc is None else bmc.why.get("override")
        return NotSeen(why or "the BMC does not tell its boot override")
    return NotSeen(f"the BMC tells it ({bmc.override}), and no probe was booted by one that was read back")


def _told(bmc: BmcSeen, name: str, by: str) -> Finding:
    value = getattr(bmc, name)
    return NotSeen(bmc.why.get(name, "the BMC does not tell")) if value is None else Measured(value, by)


def _boot_flags(asked: Asked, seen: Seen) -> Finding:
    firmware, _, when = asked.key.partition("_network_")
    if when != "once":
        return NotSeen("it would stay set, or ends in the firmware's setup; no probe boots by it")
    for boot in seen.boots:
        if boot.override and boot.firmware == firmware and "dhcp" in boot.stages:
            how = "read back, and " if boot.verified else ""
            return Measured(asked.said, f"run {boot.run}: set, {how}the board then asked for DHCP")
    return NotSeen(f"no probe was booted under {firmware} by it")


def _stage(asked: Asked, seen: Seen) -> Finding:
    if seen.virtual:
        return NotSeen("times of a virtual machine say nothing of the board")
    for boot in seen.boots:
        if asked.key in boot.stages:
            names = list(boot.stages)
            before = names.index(asked.key) - 1
            spent = boot.stages[asked.key] - (boot.stages[names[before]] if before >= 0 else 0.0)
            value = round(max(spent, 0.1), 1)
            limit = asked.said["timeout_s"] if asked.said else None
            return Measured(value, f"run {boot.run}: {spent:.1f} s", limit is None or spent < limit)
    return NotSeen("no probe gets as far" if seen.boots else seen.why.get("boots", "nothing was booted"))


def _firmware_routes(asked: Asked, seen: Seen) -> Finding:
    seen_here = sorted({boot.firmware for boot in seen.boots if "dhcp" in boot.stages})
    if set(seen_here) == set(asked.said):
        return Measured(asked.said, f"boots of the probes under {' and '.join(seen_here)}")
    shown = f"booted under {', '.join(seen_here)} only" if seen_here else "nothing was booted"
    return NotSeen(f"{shown}; the other: bringup probe-pci BOARD --firmware NAME")


def _acpi_tables(_asked: Asked, machine: Machine) -> Finding:
    acpi = machine.acpi
    names = [name for name in ("madt", "dmar", "mcfg") if getattr(acpi, name) is not None]
    found = [*(name.upper() for name in names), *(table.name for table in acpi.code or ())]
    return Measured(found, "the probes, which kept them") if found else NotSeen("the capture holds none")


def _iommu_groups(_asked: Asked, machine: Machine) -> Finding:
    groups = {each.iommu_group for each in machine.functions if each.iommu_group is not None}
    if not groups:
        return NotSeen("Linux put no function into an IOMMU group")
    nics = [f"{each.bdf.short} {each.iommu_group}" for each in machine.functions if each.is_ethernet]
    return Measured(nics or len(groups), f"Linux, which has {len(groups)} groups")


def _topology(_asked: Asked, machine: Machine) -> Finding:
    bridges = [each for each in machine.functions if each.is_bridge and each.bridge is not None]
    links = [f"{each.bdf.short} to bus {each.bridge.secondary:02x}" for each in bridges if each.bridge]
    return Measured(links, f"{len(links)} bridges of the capture") if links else NotSeen("no bridge was seen")


def _pins(_asked: Asked, machine: Machine) -> Finding:
    pins = [f"{each.bdf.short} at {each.ioapic}/{each.pin}" for each in machine.measured]
    return (
        Measured(pins, "the firmware probe")
        if pins
        else NotSeen("the firmware probe saw no interrupt arrive")
    )


def _post(_asked: Asked, seen: Seen) -> Finding:
    if seen.virtual:
        return NotSeen("times of a virtual machine say nothing of the board")
    for boot in seen.boots:
        if "dhcp" in boot.stages:
            return Measured(
                round(boot.stages["dhcp"], 1), f"run {boot.run}: seconds to its first DHCP packet"
            )
    return NotSeen(seen.why.get("boots", "no probe asked for DHCP"))


PROBES: Mapping[str, FactProbe] = {
    "fact-smbios": _of_machine(_smbios),
    "fact-subsystem": _of_machine(_subsystem),
    "fact-threads": _of_machine(_threads),
    "fact-functions": _of_machine(_function_count),
    "fact-expected": _of_machine(_expected),
    "fact-gsi-bases": _of_machine(_gsi_bases),
    "fact-ioapic": _of_machine(_ioapic),
    "fact-pin-rule": _of_machine(_root_port_rule),
    "fact-port": _of_machine(port),
    "fact-ciphers": _of_bmc(_cipher_order),
    "fact-sol-baud": _of_bmc(_sol_baud),
    "fact-override": _boot_override,
    "fact-boot-flags": _boot_flags,
    "fact-stage": _stage,
    "fact-firmware": _firmware_routes,
    "unit-bmc-firmware": _of_bmc(lambda _asked, bmc: _told(bmc, "firmware", "Get Device ID")),
    "unit-bmc-suites": _of_bmc(lambda _asked, bmc: _told(bmc, "suites", "Get Channel Cipher Suites")),
    "unit-lan-mode": _of_bmc(lambda _asked, bmc: _told(bmc, "lan_mode", "raw 0x30 0x70 0x0c 0")),
    "unit-lan-source": _of_bmc(lambda _asked, bmc: _told(bmc, "address_source", "LAN parameter 4")),
    "unit-sol": _of_bmc(lambda _asked, bmc: _told(bmc, "sol_enabled", "SOL parameter 1")),
    "unit-acpi": _of_machine(_acpi_tables),
    "unit-iommu": _of_machine(_iommu_groups),
    "unit-topology": _of_machine(_topology),
    "unit-pins": _of_machine(_pins),
    "unit-post": _post,
}
"""Every probe of facts by the name that plans use."""


def measure(probe: str, asked: Asked, seen: Seen) -> Finding:
    """Return what a unit shows of a fact."""
    return PROBES[probe](asked, seen)
