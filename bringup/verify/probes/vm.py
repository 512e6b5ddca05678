"""VMs of a board, asked over its console: do they live, and is what was passed to them there?"""

from __future__ import annotations

from bringup.base.errors import VmDeadError
from bringup.verify.plan import Check
from bringup.verify.result import Result, judged, skipped
from bringup.verify.vms.expected import Card, ExpectedVm
from bringup.verify.vms.inside import Bars, GuestFunction, read_bars, resource_command
from bringup.verify.vms.scene import VmScene

_DRIVER_WORDS = "igb|i40e|e1000|probe|msi"


def vm_boots(scene: VmScene, check: Check) -> Result:
    """The image came as far as its VMs."""
    return judged(scene.booted.runs, scene.booted.told)


def vm_alive(scene: VmScene, check: Check) -> Result:
    """A VM takes commands: what it prints between markers is whole, by its checksum."""
    vm = vm_of(scene, check)
    try:
        asked = scene.vms.log_in(vm.number, vm.user)
        told = scene.run(vm.number, "uname -r")
    except VmDeadError as error:
        return judged(False, error.message, vm=vm.name)
    role = f" ({vm.role})" if vm.role else ""
    where = f"logged in at {asked!r}" if asked else "somebody was logged in"
    return judged(True, f"{vm.name}{role}: {where}; Linux {told.lines[0] if told.lines else 'unknown'}")


def vm_of(scene: VmScene, check: Check) -> ExpectedVm:
    """Return the VM that a check is about."""
    return scene.vm(int(check.params["vm"]))


def nothing_to_show(scene: VmScene, vm: ExpectedVm) -> Result | None:
    """Return why a VM's card cannot be looked at, None where it can."""
    if scene.booted.no_cards:
        return skipped(f"not testable here: {scene.booted.no_cards}")
    if not vm.cards:
        return skipped(f"nothing is passed to {vm.name}")
    return None


def vm_card(scene: VmScene, check: Check) -> Result:
    """The passed function is there with its ids and its interrupt; a VM that shall have none has none."""
    vm = vm_of(scene, check)
    if scene.booted.no_cards:
        return skipped(f"not testable here: {scene.booted.no_cards}")
    everything, passed = scene.functions(vm.number), scene.passed(vm.number)
    lines = [f"{f.address} {f.id} irq {f.irq} {f.driver or 'no driver'}" for f in everything]
    if not vm.cards:
        shown = ", ".join(f"{f.id} at {f.address}" for f in passed)
        told = f"{vm.name} has {shown}, and nothing is passed to it" if passed else f"{vm.name} has no card"
        return judged(not passed and bool(everything), f"{told}; {len(everything)} functions", excerpt=lines)
    found = scene.card(vm.number)
    if found is None:
        others = ", ".join(f.id for f in passed) or "only the VMM's own functions"
        wanted = vm.cards[0]
        told = f"{wanted.id or 'the card'} of {wanted.bdf} is not there, but {others}"
        hint = (
            "`Failed to find device` on the console means that PCI_MAX_DEVICES ends the VMM's scan before it"
        )
        return judged(False, f"{told}: {hint} (C14)", excerpt=lines)
    if len(passed) != len(vm.cards):
        shown = ", ".join(f"{f.id} at {f.address}" for f in passed)
        return judged(False, f"{vm.name} has {shown}, and {len(vm.cards)} are passed to it", excerpt=lines)
    card, function = found
    return _as_configured(card, function, lines)


def _as_configured(card: Card, function: GuestFunction, lines: list[str]) -> Result:
    wanted = card.lines[0].irq if card.lines else None
    told = f"{function.id} of {card.bdf} is {function.address}, interrupt {function.irq}"
    if wanted is not None and function.irq != wanted:
        return judged(False, f"{told}, and the configuration's `dest` is {wanted}", excerpt=lines)
    return judged(True, told, excerpt=lines, irq=function.irq)


def vm_bars(scene: VmScene, check: Check) -> Result:
    """The function's BARs have the expected sizes; the VMM closes gaps, so that indices are compacted."""
    vm = vm_of(scene, check)
    found = scene.card(vm.number)
    why_not = nothing_to_show(scene, vm)
    if why_not is not None or found is None:
        return why_not or judged(False, "the card is not there")
    card, function = found
    wanted = Bars.of(card.memory, card.io)
    answer = scene.run(vm.number, resource_command(function.address))
    seen = read_bars(answer.lines)
    missing, more = wanted.without(seen), seen.without(wanted)
    if not missing.memory and not missing.io and not more.memory and not more.io:
        return judged(True, f"{function.address} has {seen}", excerpt=answer.lines)
    told = f"{function.address} has {seen}, expected {wanted}"
    reasons = []
    if missing.io:
        reasons.append(
            "an I/O BAR goes missing where vm_ioports does not cover it to its end, exclusive (C28)"
        )
    if missing.memory:
        reasons.append("a memory BAR goes missing where `memory` does not list every page of it (C17)")
    return judged(
        False,
        "; ".join([f"{told}: missing {missing}, unexpected {more}", *reasons]),
        excerpt=answer.lines,
        missing=str(missing),
    )


def vm_driver(scene: VmScene, check: Check) -> Result:
    """A driver is bound to the function, and it has a network card of it."""
    vm = vm_of(scene, check)
    found = scene.card(vm.number)
    why_not = nothing_to_show(scene, vm)
    if why_not is not None or found is None:
        return why_not or judged(False, "the card is not there")
    function = found[1]
    if function.driver and function.net:
        return judged(True, f"{function.driver} drives {function.address} as {', '.join(function.net)}")
    said = scene.run(vm.number, f"dmesg|grep -iE '{_DRIVER_WORDS}'|tail -n 8")
    failed = next((line for line in said.lines if "failed with error" in line), "")
    why = failed.strip() or ("its driver made no network card" if function.driver else "no driver is bound")
    return judged(False, f"{function.address} {function.id}: {why}", excerpt=said.lines)


def vm_msi(scene: VmScene, check: Check) -> Result:
    """The guest does not try MSI, which the VMM hides: pci=nomsi, or a kernel without it."""
    vm = vm_of(scene, check)
    why_not = nothing_to_show(scene, vm)
    if why_not is not None:
        return why_not
    told = scene.run(vm.number, "cd /proc;cat cmdline;dmesg|grep -i 'msi[ -x]'|tail -n 4")
    nomsi = "pci=nomsi" in (told.lines[0].split() if told.lines else ())
    using = [f.address for f in scene.functions(vm.number) if f.msi]
    said = [line for line in told.lines[1:] if "fail" in line.lower() or "msi-x" in line.lower()]
    if nomsi and not using:
        return judged(True, f"{vm.name} boots with pci=nomsi")
    if using or said:
        words = f"used by {', '.join(using)}" if using else said[0].strip()
        way = f"pci=nomsi is missing in {vm.name}.kernel_cmdline (C44)"
        return judged(False, f"MSI was tried: {words}; {way}", excerpt=told.lines)
    return judged(True, f"{vm.name} tries no MSI, though pci=nomsi is not on its command line")
