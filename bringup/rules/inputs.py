"""What the rules are judged on: a machine, a configuration, its build, a profile; each may be missing.

A rule is a function from `Inputs` to findings, and to gaps where the part it needs is missing. Of a
machine's functions it speaks of `subjects` only: those that the configuration passes through; without one,
those that somebody could give to a VM. A server has a hundred functions of its chipset beside them, and
findings about those help nobody. Where no build is known, the libraries are taken to be stock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from bringup.camkes.vms.owned import Native
from bringup.camkes.vms.vmm import BAR_LIMIT, PCI_MAX_DEVICES
from bringup.pci.bars import bars_under_sel4
from bringup.pci.match.ports import match_nics, seen_at
from bringup.pci.pins.beliefs import Line, pin_candidates, sharing
from bringup.pci.topology.above import Topology
from bringup.profile.advice import BoardWords
from bringup.rules.options import CAPTURE

if TYPE_CHECKING:
    from bringup.base.finding import Gap, Rule
    from bringup.camkes.app.build import Build
    from bringup.camkes.claims.facts import Claims
    from bringup.camkes.model import Application, Place
    from bringup.camkes.vms.model import Device, Pool, Vm
    from bringup.pci.assessment import PinCandidate
    from bringup.pci.model import Bar, Bdf, Function, Machine
    from bringup.profile.model import ExpectedNic, Profile

# Base class, and subclasses where only some are devices that people pass (PCI Code and ID Assignment 1.11).
_PASSED: dict[int, frozenset[int] | None] = {
    0x01: None,
    0x02: None,
    0x03: None,
    0x04: None,
    0x07: frozenset(range(4)),
    0x0B: frozenset({0x40}),
    0x0C: frozenset({0x00, 0x03, 0x04, 0x06, 0x09}),
    0x0D: None,
    0x10: None,
    0x12: None,
}


@dataclass(frozen=True)
class Inputs:
    """The input of the rules; what was not given is None. `pools` are those of every instance.

    `pins` are the beliefs about the machine's pins, best first. `claims`: what a generated file was made for.
    `practice`: the profile is a twin's only because a capture came from it.
    """

    machine: Machine | None = None
    pins: Mapping[Bdf, tuple[PinCandidate, ...]] = field(default_factory=dict)
    profile: Profile | None = None
    application: Application | None = None
    vms: tuple[Vm, ...] = ()
    pools: tuple[Pool, ...] = ()
    build: Build | None = None
    claims: Claims | None = None
    practice: bool = False

    @classmethod
    def of_machine(
        cls,
        machine: Machine,
        profile: Profile | None,
        claims: Claims | None = None,
        stated: Mapping[Bdf, Line] | None = None,
    ) -> Inputs:
        """Return a machine with what is believed of its pins, and `stated` by a person."""
        return cls(machine, pin_candidates(machine, profile, stated), profile, claims=claims)

    # The configuration.

    @property
    def configured(self) -> bool:
        """Whether it is known who is given what: by an application, or by what a file was made for."""
        return self.application is not None or self.claims is not None

    @property
    def written(self) -> Application:
        """The application, one without settings where none is given."""
        from bringup.camkes.model import Application

        return self.application or Application("", (), ())

    @property
    def complete(self) -> bool:
        """Whether the whole application was read: no include is missing, and every macro is written out."""
        return not (self.written.missing_includes or self.written.macros)

    def is_declared(self, vm: Vm) -> bool:
        """Whether a VM's instance is declared, or may be where it was not read."""
        names = {each.name for each in (*self.written.instances, *self.written.stock)}
        return vm.name in names or not (names and self.complete)

    def devices(self) -> Iterator[tuple[Vm, Device]]:
        """Yield every passed-through device with its VM."""
        return ((vm, device) for vm in self.vms for device in vm.devices)

    @property
    def passes_devices(self) -> bool:
        """Whether any VM is given a PCI device."""
        return any(vm.devices for vm in self.vms)

    @cached_property
    def holders(self) -> Mapping[Bdf, tuple[str, Place | None]]:
        """Which VM is given which function, and where that is written; the first where several are."""
        found: dict[Bdf, tuple[str, Place | None]] = {}
        if self.application is None:
            for claim in self.claims.devices if self.claims else ():
                found.setdefault(claim.bdf, (claim.vm, claim.place))
        for vm, device in self.devices():
            if device.bdf is not None:
                found.setdefault(device.bdf, (vm.name, device.place))
        return found

    @cached_property
    def native(self) -> Native:
        """What the components own that are no VMs."""
        if self.application is None:
            return Native()
        from bringup.camkes.vms.native import native_hardware

        return native_hardware(self.application)

    @property
    def console(self) -> str | None:
        """The serial port that the build prints to ("com2"), None where no build is known."""
        return None if self.build is None else self.build.text("LibPlatSupportX86ConsoleDevice")

    # The machine.

    @cached_property
    def functions(self) -> Mapping[Bdf, Function]:
        """Every function of the machine."""
        return {} if self.machine is None else {function.bdf: function for function in self.machine.functions}

    @cached_property
    def subjects(self) -> tuple[Function, ...]:
        """The functions that are judged: those passed through, else Ethernet functions first, then by BDF."""
        if self.configured:
            return tuple(self.functions[bdf] for bdf in self.holders if bdf in self.functions)
        found = [f for f in self.functions.values() if is_subject(f) or f.bdf in self.nics]
        return tuple(sorted(found, key=lambda f: (not self.is_port(f), f.bdf)))

    @cached_property
    def subject_bdfs(self) -> frozenset[Bdf]:
        """The addresses of the subjects."""
        return frozenset(function.bdf for function in self.subjects)

    @property
    def idle(self) -> bool:
        """Whether a configuration passes nothing through, so that nothing of the machine concerns it."""
        return self.configured and not self.holders

    @cached_property
    def nics(self) -> Mapping[Bdf, ExpectedNic]:
        """Which port of the profile a function is."""
        return {} if self.profile is None else match_nics(self.functions.values(), self.profile)

    def is_port(self, function: Function) -> bool:
        """Whether a function is a network port, by its class or by the profile."""
        return function.is_ethernet or function.bdf in self.nics

    @cached_property
    def ethernet(self) -> tuple[Function, ...]:
        """The subjects that are network ports."""
        return tuple(f for f in self.subjects if self.is_port(f))

    @cached_property
    def sharing(self) -> Mapping[Bdf, tuple[Bdf, ...]]:
        """For each function, the others whose best belief is the same pin."""
        return sharing(self.pins)

    @cached_property
    def topology(self) -> Topology:
        """Who is behind whom."""
        return Topology.of(self.functions.values())

    def function(self, device: Device) -> Function | None:
        """Return what the capture knows of a device, None without a capture or where it has none such."""
        return None if device.bdf is None else self.functions.get(device.bdf)

    def captured(self) -> Iterator[tuple[Vm, Device, Function]]:
        """Yield the devices that are in the capture; C14 tells of the others."""
        for vm, device in self.devices():
            function = self.function(device)
            if function is not None:
                yield vm, device, function

    def nic_at(self, bdf: Bdf | None) -> ExpectedNic | None:
        """Return the port that the profile has seen at this address, to go by without a capture."""
        if self.profile is None or bdf is None:
            return None
        return next((nic for nic in self.profile.nics if bdf in seen_at(nic)), None)

    @property
    def words(self) -> BoardWords:
        """The words for the board's firmware settings, neutral ones where no profile has them."""
        return BoardWords() if self.profile is None else self.profile.words()

    # What is missing.

    def without_capture(self, rule: Rule, what: str) -> Iterator[Gap]:
        """Yield that `what` was not checked, where devices are passed through and no capture is given."""
        if self.machine is None and self.passes_devices:
            yield rule.gap(what, CAPTURE)

    def capture_with(self, what: str) -> str:
        """Return what is needed where a capture has to tell `what`: one at all, or one that does."""
        return CAPTURE if self.machine is None else f"a capture with {what}"

    # Limits of the software: the build's, else the profile's, else stock.

    @property
    def table_size(self) -> int:
        """How many functions the VMM's PCI table holds (C14)."""
        if self.build is not None and self.build.pci_max_devices is not None:
            return self.build.pci_max_devices
        return PCI_MAX_DEVICES if self.profile is None else self.profile.hypervisor.pci_max_devices.value

    @property
    def bar_limit(self) -> int:
        """The first address (bytes) at which a BAR must not lie any more (C21)."""
        return BAR_LIMIT if self.profile is None else self.profile.hypervisor.bar_limit_bytes.value

    @property
    def iommu_off(self) -> bool:
        """Whether the build does without the IOMMU, so that C32 to C36 ask for nothing."""
        build = self.build
        return build is not None and (
            build.flag("CAmkESVMGuestDMAIommu") is False or build.flag("KernelIOMMU") is False
        )


def is_subject(function: Function) -> bool:
    """Whether somebody could want to give this function to a VM: an endpoint that is no part of the chipset.

    Virtual functions are none: they have no INTx (PCIe 4.0 9.3.4.1.22), and the VMM has no other interrupts.
    """
    if function.class_code is None or function.is_bridge or function.physical_function is not None:
        return False
    base, sub = function.class_code >> 8, function.class_code & 0xFF
    subclasses = _PASSED.get(base, frozenset())
    return subclasses is None or sub in subclasses


def memory_bars(function: Function) -> list[Bar]:
    """Return the memory BARs as seL4 will find them; none where they were not observed."""
    return [bar for bar in bars_under_sel4(function) or () if bar.kind == "mem"]


def io_bars(function: Function) -> list[Bar]:
    """Return the I/O BARs as seL4 will find them; none where they were not observed."""
    return [bar for bar in bars_under_sel4(function) or () if bar.kind == "io"]


def named(bdfs: tuple[Bdf, ...], most: int = 6) -> str:
    """Return `b5:00.0, b5:00.1`, and how many more."""
    text = ", ".join(bdf.short for bdf in bdfs[:most])
    return text if len(bdfs) <= most else f"{text} and {len(bdfs) - most} more"


def place(bar: Bar) -> str:
    """Return `BAR 0 at 0xc5b00000, 1048576 bytes`."""
    base = "without an address" if bar.base is None else f"at {bar.base:#x}"
    if not bar.numbered:
        return bar.name + ("" if bar.size is None else f", {bar.size} bytes")
    return f"{bar.name} {base}" + ("" if bar.size is None else f", {bar.size} bytes")
