"""The boot log of FreeBSD on a made machine (sys/dev/pci/pci.c, pci_pci.c; sys/x86/x86/io_apic.c)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from tests.machines.model import Made, MadeMachine

Bus = tuple[int, int]


def log(machine: MadeMachine, *, verbose: bool = False) -> str:
    """Return the lines; `verbose` as of `boot -v`, with the numbers of the buses."""
    return "".join(f"{line}\n" for line in lines(machine, verbose=verbose))


def gsis(machine: MadeMachine) -> dict[str, int]:
    """Return where this FreeBSD takes each function's INTx: inputs in turn, all over the IOAPICs."""
    inputs = [
        base + pin for _, _, base, pins in machine.ioapics for pin in range(16 if base == 0 else 0, pins)
    ]
    with_pin = [made for made in machine.functions if made.pin]
    return {made.bdf.short: inputs[n % len(inputs)] for n, made in enumerate(with_pin)}


def lines(machine: MadeMachine, *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines, the tree from each root bus down."""
    yield "FreeBSD 14.1-RELEASE-p5 GENERIC amd64"
    yield f"CPU: {machine.cpu} (2200.00-MHz K8-class CPU)"
    yield "  VT-x: PAT,HLT,MTF" if machine.vtx else "  VT-x: (disabled in BIOS)PAT,HLT,MTF"
    yield f"real memory  = {1 << 34} (16384 MB)"
    for index, (_, _, base, pins) in enumerate(machine.ioapics):
        yield f"ioapic{index} <Version 2.0> irqs {base}-{base + pins - 1} on motherboard"
    reached = {(made.bdf.domain, made.secondary) for made in machine.functions if made.bridge}
    units, buses = count(), count()
    on = {(made.bdf.domain, made.bdf.bus) for made in machine.functions}
    routes = gsis(machine)
    for root in sorted(on - reached):
        bridge, bus = next(units), next(buses)
        ports = "port 0xcf8-0xcff " if root == (0, 0) else ""
        yield f"pcib{bridge}: <ACPI Host-PCI bridge> {ports}numa-domain 0 on acpi0"
        yield f"pci{bus}: <ACPI PCI bus> numa-domain 0 on pcib{bridge}"
        if verbose:
            yield f"pcib{bridge}:   domain            {root[0]}"
            yield f"pcib{bridge}:   secondary bus     {root[1]}"
        yield from _bus(machine, root, bus, (units, buses), routes, verbose)


def _bus(
    machine: MadeMachine,
    at: Bus,
    unit: int,
    counts: tuple[Iterator[int], Iterator[int]],
    routes: dict[str, int],
    verbose: bool,
) -> Iterator[str]:
    for made in machine.functions:
        if (made.bdf.domain, made.bdf.bus) != at or made.physical is not None:
            continue
        where = f"at device {made.bdf.device}.{made.bdf.function}"
        if made.bridge:
            bridge, bus = next(counts[0]), next(counts[1])
            yield _line(f"pcib{bridge}: <ACPI PCI-PCI bridge>", made, where, unit, routes)
            if verbose:
                yield f"pcib{bridge}:   domain            {made.bdf.domain}"
                yield f"pcib{bridge}:   secondary bus     {made.secondary}"
            yield f"pci{bus}: <ACPI PCI bus> numa-domain 0 on pcib{bridge}"
            yield from _bus(machine, (made.bdf.domain, made.secondary), bus, counts, routes, verbose)
        elif made.bsd_driver is not None:
            number = sum(m.bsd_driver == made.bsd_driver and m.bdf < made.bdf for m in machine.functions)
            yield _line(f"{made.bsd_driver}{number}: <A device>", made, where, unit, routes)
            yield f"{made.bsd_driver}{number}: Using MSI-X interrupts with 5 vectors"
        else:
            yield f"pci{unit}: <memory> {where} (no driver attached)"


def _line(name: str, made: Made, where: str, unit: int, routes: dict[str, int]) -> str:
    parts = [name]
    ports = [f"{bar.base:#x}-{bar.last:#x}" for bar in made.bars if bar.io and bar.base]
    memory = [f"{bar.base:#x}-{bar.last:#x}" for bar in made.bars if not bar.io and bar.base]
    parts += [f"port {','.join(ports)}"] * bool(ports) + [f"mem {','.join(memory)}"] * bool(memory)
    if made.bdf.short in routes:
        parts.append(f"irq {routes[made.bdf.short]}")
    return " ".join([*parts, where, f"numa-domain 0 on pci{unit}"])
