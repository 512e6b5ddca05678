"""What probes of VMs work with: a board that has booted, its VMs over one console, what each shall have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bringup.verify.vms.expected import Candidate, Card, ExpectedVm
from bringup.verify.vms.inside import FUNCTIONS, GuestFunction, read_functions
from bringup.verify.vms.protocol import Answer
from bringup.verify.vms.talk import Vms

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build

# The VMM's own: its bridge comes first (libsel4vmmplatsupport), its devices are virtio's.
_BRIDGE, _VIRTIO = ":00:00.0", "1af4:"


@dataclass(frozen=True, slots=True)
class Booted:
    """How the boot ended: whether the VMs' system runs, in words; `no_cards` is why it can show no card."""

    runs: bool
    told: str
    no_cards: str = ""


@dataclass
class VmScene:
    """The VMs of a board. `believed` are the pins that each function (as `17:00.0`) may interrupt at.

    `build` is what the image was configured with, where its folder is known.
    """

    vms: Vms
    expected: Sequence[ExpectedVm]
    booted: Booted
    believed: Mapping[str, Sequence[Candidate]] = field(default_factory=dict)
    build: Build | None = None
    _functions: dict[int, tuple[GuestFunction, ...]] = field(default_factory=dict)

    def vm(self, number: int) -> ExpectedVm:
        """Return what a VM shall have."""
        return next((vm for vm in self.expected if vm.number == number), ExpectedVm(number=number))

    def run(self, number: int, command: str, timeout_s: float = 0.0) -> Answer:
        """Run a command in a VM; raises VmDeadError, NotObservedError."""
        return self.vms.run(number, command, timeout_s)

    def functions(self, number: int) -> tuple[GuestFunction, ...]:
        """Return the PCI functions that a guest sees, asked once."""
        if number not in self._functions:
            self._functions[number] = read_functions(self.run(number, FUNCTIONS).lines)
        return self._functions[number]

    def passed(self, number: int) -> tuple[GuestFunction, ...]:
        """Return the functions of a guest that are neither the VMM's bridge nor one of its virtio devices."""
        theirs = (f for f in self.functions(number) if not f.address.endswith(_BRIDGE))
        return tuple(f for f in theirs if not f.id.startswith(_VIRTIO))

    def card(self, number: int) -> tuple[Card, GuestFunction] | None:
        """Return a VM's first passed card as it shall be and as the guest sees it; None without one."""
        wanted = self.vm(number).cards
        there = self.passed(number)
        if not wanted or not there:
            return None
        fits = (f for f in there if not wanted[0].id or f.id == wanted[0].id)
        found = next(fits, None)
        return None if found is None else (wanted[0], found)
