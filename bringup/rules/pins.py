"""IOAPIC pins, of the machine and as written: C2 to C4, F1. Guest interrupts: `interrupts.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.base.size import counted
from bringup.camkes.vms.vmm import COM_IRQS, STOCK_CONSOLE
from bringup.pci.assessment import PinCandidate
from bringup.pci.pins.beliefs import has_no_intx
from bringup.rules.inputs import Inputs, named
from bringup.rules.interrupts import irqs_of
from bringup.rules.options import BUILD, CAPTURE

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Device, Irq, Vm
    from bringup.pci.model import Bdf, Function

C2 = Rule(
    "C2",
    "the IOAPIC is one that the kernel records",
    "seL4 KernelMaxNumIOAPIC (default 1), ioapic.c: Not recording this IOAPIC; nobody was seen to use more",
)
C3 = Rule("C3", "the IOAPIC has that pin", "seL4 src/plat/pc99/machine/ioapic.c; seL4#896, #1263")
C4 = Rule(
    "C4",
    "one pin has one owner in the whole assembly",
    "seL4#1748, microkit#598, camkes-vm-examples#84: the kernel overwrites the pin's entry silently",
)
F1 = Rule(
    "F1",
    "source is the IOAPIC pin that the function raises",
    "camkes-vm-examples#90: numbers of /sys and lspci are PIC numbers and do not work; "
    "Linux Documentation/PCI/boot-interrupts.rst: INTx arrives elsewhere while IOAPICs are masked",
)

_STOCK_IOAPICS = 1
_REDIRECTION_ENTRIES = 240  # IOAPIC datasheet: the entry count is 8 bits, and the last index 239
_DEFAULT_PINS = 24
# PIRQA to PIRQH of an Intel PCH arrive here (7 Series to C620 datasheets, "IOAPIC interrupts").
_PCI_PINS = range(16, 24)
# config 0x3c: 0xff is "unknown or no connection" on x86, 0 is what nobody wrote (PCI 3.0 6.2.4).
_NO_LINE = (0, 0xFF)
_NOTED_MAX = 8
_LOST = re.compile(r"\.(_[A-Z]{3}) depends on registers")
_CERTAIN = ("measured", "stated", "known")
_WANTS_PROBE = "have it measured: bringup probe-pci BOARD --firmware-probe"


# C2, C3


def ioapic_recorded(inputs: Inputs) -> Found:
    """C2: `ioapic` is the place in the MADT; what is written counts, else what is believed."""
    if inputs.application is None:
        yield from _arrivals(inputs)
    limit = inputs.build.number("KernelMaxNumIOAPIC") if inputs.build else None
    madt = inputs.machine.acpi.madt if inputs.machine else None
    for vm, irq in irqs_of(inputs):
        if irq.ioapic is None or irq.ioapic == 0:
            continue
        name = f'the interrupt "{irq.name}" of {vm.name} is at IOAPIC {irq.ioapic}'
        if irq.ioapic < 0:
            yield C2.error("ioapic-negative", (vm.name, irq.place), name, 'write "ioapic":0')
        elif madt is not None and irq.ioapic >= len(madt.ioapics):
            yield C2.error(
                "ioapic-absent",
                (vm.name, irq.place),
                f"{name}, and this machine has {len(madt.ioapics)}",
                'write "ioapic":0',
                f"MADT: {counted(len(madt.ioapics), 'IOAPIC')}",
            )
        elif irq.ioapic >= (limit or _STOCK_IOAPICS):
            if limit is None:
                yield C2.gap(f"{vm.name}: IOAPIC {irq.ioapic} against KernelMaxNumIOAPIC (default 1)", BUILD)
            yield C2.error(
                "ioapic-not-recorded",
                (vm.name, irq.place),
                f"{name}, and {'this' if limit else 'a stock'} kernel records {limit or _STOCK_IOAPICS}",
                f'write "ioapic":0, or build with -DKernelMaxNumIOAPIC={irq.ioapic + 1}',
                f"KernelMaxNumIOAPIC={limit or '1 (default)'}",
            )
        else:
            yield C2.warning(
                "ioapic-unproven",
                (vm.name, irq.place),
                f"{name}: nobody has been seen to get an interrupt from any but the first",
                "PCI interrupts reach IOAPIC 0 (on Intel's chipsets pins 16 to 23), too, while the others "
                "are masked",
            )


def _arrivals(inputs: Inputs) -> Iterator[Finding]:
    for function, best in _best(inputs):
        if best.ioapic < _STOCK_IOAPICS:
            continue
        # Tables tell where INTx arrives with every IOAPIC in use; seL4 leaves this one masked.
        told_only = best.grade == "firmware"
        tell = C2.warning if told_only else C2.error
        yield tell(
            "ioapic-not-recorded",
            function.bdf,
            f"arrives at IOAPIC {best.ioapic}, and a stock kernel records only the first",
            _WANTS_PROBE if told_only else f"build with -DKernelMaxNumIOAPIC={best.ioapic + 1}",
            _belief(best),
            unknown=f"at which pin it arrives while IOAPIC {best.ioapic} is masked is not known",
            change="" if told_only else f"the kernel must record IOAPIC {best.ioapic} (KernelMaxNumIOAPIC)",
        )


def pin_exists(inputs: Inputs) -> Found:
    """C3: the count of pins is the MADT's where the capture tells it."""
    for vm, irq in irqs_of(inputs):
        if irq.source is None or irq.ioapic is None:
            continue
        pins = _pins(inputs, irq.ioapic)
        limit = _REDIRECTION_ENTRIES if pins is None else pins
        if not 0 <= irq.source < limit:
            yield C3.error(
                "pin-absent",
                (vm.name, irq.place),
                f'the interrupt "{irq.name}" of {vm.name} is at pin {irq.source}, and IOAPIC {irq.ioapic} '
                f"has {'at most ' if pins is None else ''}{limit} pins",
                "take the pin from a capture: bringup probe-pci",
            )
        elif pins is None and (irq.source >= _DEFAULT_PINS or irq.ioapic > 0):
            yield C3.gap(
                f"{vm.name}: pin {irq.source} of IOAPIC {irq.ioapic}", inputs.capture_with("its pin count")
            )


def _pins(inputs: Inputs, ioapic: int) -> int | None:
    madt = inputs.machine.acpi.madt if inputs.machine else None
    return None if madt is None else madt.pins_of(ioapic)


# C4


def owned_once(inputs: Inputs) -> Found:
    """C4 as written; native components have pins, too."""
    owners: dict[tuple[int, int], str] = {(0, 2): "the native PIT"}
    console = STOCK_CONSOLE if inputs.build is None else inputs.console
    if console in COM_IRQS:
        told = "" if inputs.build else " of a stock build"
        owners[(0, COM_IRQS[console])] = f"the native serial port {console}{told} (an ISA interrupt)"
    for native, owner in inputs.native.pins:
        owners.setdefault(native, str(owner))
    for vm, irq in irqs_of(inputs):
        if irq.source is None:
            continue
        pin = (irq.ioapic or 0, irq.source)  # C1 tells of a missing IOAPIC; 0 is what is meant
        if pin in owners:
            yield C4.error(
                "pin-twice",
                (vm.name, irq.place),
                f'"{irq.name}" of {vm.name} is at pin {irq.source} of IOAPIC {pin[0]}, '
                f"and so is {owners[pin]}",
                "give both devices to one VM under one entry, or take a device on another pin",
                f"ioapic {pin[0]}, source {irq.source}",
            )
        owners.setdefault(pin, f'"{irq.name}" of {vm.name}')


def raised_by_one(inputs: Inputs) -> Found:
    """C4 on the machine: functions that raise one pin, whatever is written; two VMs must not have them."""
    if not inputs.configured:
        yield from _shared(inputs)
        return
    if inputs.machine is None:
        if sum(bool(vm.devices) for vm in inputs.vms) > 1:
            yield C4.gap("whether functions of different VMs raise the same pin", CAPTURE)
        return
    raised: dict[tuple[int, int], tuple[str, str]] = {}
    for function in inputs.subjects:
        candidates = inputs.pins.get(function.bdf, ())
        vm, _ = inputs.holders[function.bdf]
        at = function.bdf.short
        if not candidates:
            yield C4.gap(f"{vm}: which pin {at} raises is not known", inputs.capture_with("its interrupts"))
            continue
        best = candidates[0]
        first_vm, first = raised.setdefault((best.ioapic, best.pin), (vm, at))
        if first_vm != vm:
            tell = C4.error if best.grade in _CERTAIN else C4.warning
            yield tell(
                "pin-shared",
                function.bdf,
                f"{at} of {vm} and {first} of {first_vm} raise one pin, "
                f"{best.pin} of IOAPIC {best.ioapic}: one of the VMs never gets its interrupts",
                "give both to one VM, or use one of them",
                f"{best.words}: {best.source}",
            )


def _shared(inputs: Inputs) -> Iterator[Finding]:
    for function, best in _best(inputs):
        others = tuple(bdf for bdf in inputs.sharing.get(function.bdf, ()) if bdf in inputs.subject_bdfs)
        if not others:
            continue
        together = sorted((function.bdf, *others))
        yield C4.warning(
            "shared-pin",
            function.bdf,
            # The same sentence for all of them, so that it is shown once.
            f"pin {best.pin} of IOAPIC {best.ioapic} is shared by {named(tuple(together), 8)}",
            "give them all to one VM, or only one of them to any",
            *(f"{bdf.short}: {_belief(inputs.pins[bdf][0])}" for bdf in together[:_NOTED_MAX]),
            limit=f"not with {named(others)} in another VM (pin {best.pin})",
        )


# F1: what a configuration says of the pin.


def source_is_the_pin(inputs: Inputs) -> Found:
    """F1: by the capture's candidates; else by the profile; else by what PCI pins look like."""
    for vm, device in inputs.devices():
        irq = next((irq for irq in vm.irqs if irq.name == device.irq), None)
        if irq is None or irq.source is None:
            continue  # C9 and F2 tell
        candidates = _candidates(inputs, device)
        if candidates:
            yield from _against(inputs, vm, device, irq, candidates)
        else:
            if not _low_pins(inputs):
                yield from _by_looks(vm, device, irq, inputs.function(device))
            yield F1.gap(
                f"{vm.name}: whether {device.at} raises pin {irq.source}",
                CAPTURE if inputs.machine is None else "a board profile or /proc/interrupts",
            )


def _low_pins(inputs: Inputs) -> bool:
    """Whether interrupts of PCI functions were seen at pins below 16, as on QEMU's i440FX (10 and 11)."""
    best = (beliefs[0] for beliefs in inputs.pins.values() if beliefs)
    return any(
        each.grade in ("measured", "known") and not each.ioapic and each.pin < _PCI_PINS.start
        for each in best
    )


def _candidates(inputs: Inputs, device: Device) -> tuple[PinCandidate, ...]:
    bdf = device.bdf
    if inputs.machine is not None:
        return inputs.pins.get(bdf, ()) if bdf else ()
    nic = inputs.nic_at(bdf)
    if nic is None or nic.ioapic_pin is None or inputs.profile is None:
        return ()
    # By its address alone, it may be another card: as good as an inference.
    ioapic = inputs.profile.interrupts.ioapic.value
    source = f"profile {inputs.profile.name}, {nic.name}: {nic.ioapic_pin.source}"
    return (PinCandidate(ioapic, nic.ioapic_pin.value, "inferred", source),)


def _against(
    inputs: Inputs, vm: Vm, device: Device, irq: Irq, candidates: tuple[PinCandidate, ...]
) -> Iterator[Finding]:
    best, function = candidates[0], inputs.function(device)
    if _pin(irq) == (best.ioapic, best.pin):
        return
    other = next((c for c in candidates if (c.ioapic, c.pin) == _pin(irq)), None)
    copied = other is None and _copied_from(function, irq.source)
    looks = other is None and _pin(irq)[0] == 0 and not _low_pins(inputs)
    legacy = looks and irq.source is not None and irq.source < _PCI_PINS.start
    certain = best.grade in _CERTAIN and (other is None or other.grade != "known")
    # On QEMU, which has no profile, the PIC's numbers reach the IOAPIC, too (camkes-vm-examples#90).
    wrong = copied or certain or (legacy and inputs.profile is not None)
    tell = F1.error if wrong else F1.warning
    what = f"source {irq.source} of IOAPIC {_pin(irq)[0]}"
    gsi = _gsi_of_acpi(inputs, device, irq)
    if copied:
        reason = f"{what} is {copied}, not a pin; the pin is {best.pin}"
    elif legacy:
        reason = f"{what} looks like a PIC number, as in /sys; the pin is {best.pin}"
    elif other is not None:
        better = "stated by hand" if best.grade == "stated" else "better founded"
        reason = f"{what} is what {other.source} says; {better} is {best.pin} of IOAPIC {best.ioapic}"
    elif gsi is not None:
        reason = (
            f"{what} is GSI {gsi}, where an ACPI system takes it; seL4 leaves that IOAPIC masked "
            f"(KernelMaxNumIOAPIC 1), and the pin is {best.pin} of IOAPIC {best.ioapic}"
        )
    else:
        reason = f"the pin is {best.pin} of IOAPIC {best.ioapic}, not {what}"
    yield tell(
        "source-copied" if copied or legacy else "source-differs",
        (vm.name, irq.place),
        f"{device.at}: {reason}",
        f'write "ioapic":{best.ioapic}, "source":{best.pin}',
        f"{best.words}: {best.source}",
    )


def _pin(irq: Irq) -> tuple[int, int | None]:
    return irq.ioapic or 0, irq.source  # C1 tells that it is missing; 0 is what is meant


def _gsi_of_acpi(inputs: Inputs, device: Device, irq: Irq) -> int | None:
    """Return the GSI that an ACPI system uses for this port, where the entry names just that input."""
    nic = inputs.nic_at(device.bdf)
    if inputs.machine is not None and device.bdf is not None:
        nic = inputs.nics.get(device.bdf)
    if inputs.profile is None or nic is None or nic.acpi_gsi is None:
        return None
    gsi = nic.acpi_gsi.value
    return gsi if inputs.profile.interrupts.input_of(gsi) == _pin(irq) else None


def _copied_from(function: Function | None, source: int | None) -> str | None:
    if function is None or source is None or source in _PCI_PINS:
        return None
    if function.observed("irq") and function.irq == source:
        return f"the number in /sys/bus/pci/devices/{function.bdf}/irq"
    if function.observed("interrupt_line") and function.interrupt_line == source:
        return "the firmware's Interrupt Line (config 0x3c)"
    return None


def _by_looks(vm: Vm, device: Device, irq: Irq, function: Function | None) -> Iterator[Finding]:
    if _pin(irq)[0] != 0 or irq.source is None or irq.source >= _PCI_PINS.start:
        return
    copied = _copied_from(function, irq.source)
    tell = F1.error if copied else F1.warning
    yield tell(
        "source-copied",
        (vm.name, irq.place),
        f"{device.at}: source {irq.source} {f'is {copied}' if copied else 'looks like a PIC number'}; with "
        "ACPI, PCI interrupts commonly arrive at pins 16 to 23, on QEMU's older machine at 10 and 11",
        "take the pin from a capture: bringup probe-pci",
        f"source {irq.source}",
    )


# F1: what is to be known of the pins before anything is written.


def pin_known(inputs: Inputs) -> Found:
    """F1, while no configuration says which number was taken: doubts about the pins of the machine."""
    if inputs.configured:
        return
    for function, _ in _best(inputs):
        yield from _disagree(function, inputs.pins[function.bdf])
    yield from _graded_lower(inputs)
    yield from _legacy_numbers(inputs)
    yield from _not_observed(inputs)


def _disagree(function: Function, beliefs: tuple[PinCandidate, ...]) -> Iterator[Finding]:
    best, *rest = beliefs
    # What a profile says of systems with ACPI is known of the model, and says nothing of this unit.
    of_unit = [belief for belief in rest if belief.grade != "firmware" or belief.this_unit]
    other = [belief for belief in of_unit if (belief.ioapic, belief.pin) != (best.ioapic, best.pin)]
    if not other:
        return
    # Tables describe routing with every IOAPIC in use: no surprise beside better evidence.
    expected = all(belief.grade == "firmware" for belief in other) or best.this_unit
    tell = F1.note if expected else F1.warning
    yield tell(
        "pins-disagree",
        function.bdf,
        f"pin {best.ioapic}/{best.pin} is {best.words}, and other evidence says "
        + ", ".join(f"{belief.ioapic}/{belief.pin} ({belief.words})" for belief in other[:4]),
        "nothing: measured on this unit" if best.settled else _WANTS_PROBE,
        *map(_belief, beliefs[:_NOTED_MAX]),
    )


def _graded_lower(inputs: Inputs) -> Iterator[Finding]:
    """Say once which ports' pins nobody has measured; a wrong one shows late, as `Hung TX queue`."""
    best = {f.bdf: inputs.pins[f.bdf][0] for f in inputs.ethernet if f.bdf in inputs.pins}
    doubted = {bdf: belief for bdf, belief in best.items() if belief.grade != "measured"}
    if doubted:
        grades = ", ".join(dict.fromkeys(belief.words for belief in doubted.values()))
        yield F1.note(
            "pin-not-measured",
            None,
            f"pins of {named(tuple(doubted), 12)} are {grades}, not measured",
            _WANTS_PROBE,
            *(f"{bdf.short}: {_belief(belief)}" for bdf, belief in list(doubted.items())[:_NOTED_MAX]),
        )


def _legacy_numbers(inputs: Inputs) -> Iterator[Finding]:
    """Warn of the numbers that people copy from sysfs and lspci."""
    told: dict[Bdf, int] = {}
    for function in inputs.ethernet:
        number = function.irq if function.msi_active is not True else None
        number = function.interrupt_line if number is None else number
        best = inputs.pins.get(function.bdf, (None,))[0]
        if number is not None and number not in _NO_LINE and best is not None and number != best.pin:
            told[function.bdf] = number
    if told:
        numbers = " and ".join(str(number) for number in dict.fromkeys(told.values()))
        yield F1.note(
            "intx-line-is-no-pin",
            None,
            f"/sys irq and lspci say {numbers}: those are legacy numbers, not pins",
            "write the pin of this table into the VM's configuration",
            *(f"{bdf.short}: irq {number}" for bdf, number in list(told.items())[:_NOTED_MAX]),
        )


def _not_observed(inputs: Inputs) -> Iterator[Finding]:
    unknown = [f.bdf for f in inputs.subjects if f.bdf not in inputs.pins and not has_no_intx(f)]
    if not unknown or inputs.machine is None:
        return
    acpi = inputs.machine.acpi
    reasons = [
        f"{missing.what.rpartition('/')[2]}: {missing.why}"
        for missing in inputs.machine.missing
        if missing.what == "routing" or missing.what.endswith(("tables/DSDT", "tables/APIC"))
    ]
    if acpi.prt is None and not reasons:
        reasons.append("_PRT: no ACPI tables in this capture")
    if acpi.madt is None and not any("APIC" in reason for reason in reasons):
        reasons.append("MADT: not in this capture")
    blind = [bdf.short for bdf in unknown if not inputs.functions[bdf].observed("intx_pin")]
    if blind:
        reasons.append(f"INTx pin not read: {', '.join(blind[:_NOTED_MAX])}")
    yield F1.note(
        "routing-not-observed",
        None,
        f"IOAPIC pins not observed: {named(tuple(unknown))}",
        _way_to_routing(reasons),
        *reasons[:_NOTED_MAX],
    )


def _way_to_routing(reasons: list[str]) -> str:
    """Say what tells the pins: a boot log tells where root buses are, and not where the ports on them are."""
    lost = {match[1] for reason in reasons if (match := _LOST.search(reason))}
    if not lost:
        return "capture with `bringup probe-pci BOARD`, or as root: the ACPI tables tell it"
    if lost == {"_PRT"}:
        return "have them measured (bringup probe-pci BOARD --firmware-probe): the tables depend on registers"
    told = "Linux knows where the tables' objects are"
    if "_ADR" in lost:
        return f"capture on Linux with the script of `bringup probe-pci --collector`: {told}"
    return f"add Linux's boot log, or capture with the script of `bringup probe-pci --collector`: {told}"


def _best(inputs: Inputs) -> Iterator[tuple[Function, PinCandidate]]:
    """Yield the subjects of whose pin something is believed, with the best belief."""
    for function in inputs.subjects:
        beliefs = inputs.pins.get(function.bdf)
        if beliefs and not has_no_intx(function):
            yield function, beliefs[0]


def _belief(belief: PinCandidate) -> str:
    return f"{belief.ioapic}/{belief.pin} {belief.words}: {belief.source}"


CHECKS = (
    (C2, ioapic_recorded),
    (C3, pin_exists),
    (C4, owned_once),
    (C4, raised_by_one),
    (F1, source_is_the_pin),
    (F1, pin_known),
)
