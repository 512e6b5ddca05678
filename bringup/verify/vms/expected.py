"""What each VM shall have, as a plan or the application's own configuration says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from bringup.camkes.model import Value
    from bringup.camkes.vms.model import Device, Vm

Sizes = Annotated[tuple[int, ...], BeforeValidator(tuple)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Line(_Model):
    """One entry of `vm_irqs`: IOAPIC and input as `0/16`, and the guest's interrupt (`dest`)."""

    pin: Annotated[str, Field(pattern=r"^\d{1,3}/\d{1,3}$")]
    irq: Annotated[int, Field(ge=0, le=15)]


class Card(_Model):
    """A passed function: its place on the board, its ids, the sizes of its BARs in bytes, its interrupt.

    The guest's driver listens at the first of `lines`; further ones are there to find the right pin. `mbit`
    is what its link shall reach, 0 where nobody says.
    """

    bdf: str
    id: str = ""
    memory: Sizes = ()
    io: Sizes = ()
    irq_name: str = "eth_irq"
    lines: Annotated[tuple[Line, ...], BeforeValidator(tuple)] = ()
    mbit: int = 0


class ExpectedVm(_Model):
    """A VM: its number at the SerialServer, what it is for, who logs in, its passed cards."""

    number: Annotated[int, Field(ge=0, le=11)]
    role: str = ""
    user: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$")] = "root"
    cards: Annotated[tuple[Card, ...], BeforeValidator(tuple)] = ()

    @property
    def name(self) -> str:
        """What it is called."""
        return f"vm{self.number}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pin that a function's interrupt may arrive at, and who says so."""

    pin: str
    source: str


def of_configuration(planned: Sequence[ExpectedVm], vms: Mapping[str, Vm]) -> tuple[ExpectedVm, ...]:
    """Return the planned VMs with the cards that a configuration gives them.

    What a configuration has no words for (ids, the link's speed) stays as planned for the same function.
    """
    known = {card.bdf: card for vm in planned for card in vm.cards}
    found = []
    for vm in planned:
        configured = vms.get(vm.name)
        cards = () if configured is None else tuple(_card(configured, d, known) for d in configured.devices)
        found.append(vm.model_copy(update={"cards": cards}))
    return tuple(found)


def _card(vm: Vm, device: Device, known: Mapping[str, Card]) -> Card:
    bdf = "" if device.bdf is None else device.bdf.short
    base = known.get(bdf) or Card(bdf=bdf)
    lines = tuple(
        Line(pin=f"{irq.ioapic or 0}/{irq.source}", irq=irq.dest)
        for irq in vm.irqs
        if irq.name == device.irq and irq.source is not None and irq.dest is not None
    )
    # Ports are the VM's and name no function: they are told to one only where it is alone.
    ports = tuple(p.end - p.start for p in vm.ports) if len(vm.devices) == 1 else base.io
    memory = tuple(part.size for part in device.memory)
    told = {"memory": memory, "io": ports, "lines": lines, "irq_name": device.irq or base.irq_name}
    return base.model_copy(update=told)


def next_pins(
    card: Card, vms: Sequence[ExpectedVm], believed: Mapping[str, Sequence[Candidate]]
) -> tuple[Candidate, ...]:
    """Return the pins to try next, best first: none that is in use, by this card or another VM's (C4)."""
    used = {line.pin for vm in vms for each in vm.cards for line in each.lines}
    first: dict[str, Candidate] = {}
    for candidate in believed.get(card.bdf, ()):
        if candidate.pin not in used:
            first.setdefault(candidate.pin, candidate)
    return tuple(first.values())


def several_at_once(
    vm: ExpectedVm, card: Card, vms: Sequence[ExpectedVm], pins: Sequence[Candidate]
) -> tuple[str, ...]:
    """Return a `vm_irqs` that lists several pins under one name, so that one boot tries them all.

    As step 3 of the README of seL4/camkes-vm-examples#90 does it; each has a guest interrupt of its own.
    """
    from bringup.camkes.vms.literals import value_text
    from bringup.camkes.vms.vmm import USABLE_IRQS

    taken = {line.irq for each in vms for other in each.cards for line in other.lines}
    free = [irq for irq in USABLE_IRQS if irq not in taken]
    tried = [*card.lines, *(Line(pin=c.pin, irq=irq) for c, irq in zip(pins, free, strict=False))]
    return (f"{vm.name}.vm_irqs = [", *(f"    {value_text(_entry(card, line))}," for line in tried), "];")


def _entry(card: Card, line: Line) -> dict[str | int, Value]:
    ioapic, _, source = line.pin.partition("/")
    return {
        "name": card.irq_name,
        "ioapic": int(ioapic),
        "source": int(source),
        "level_trig": 0,
        "active_low": 1,
        "dest": line.irq,
    }
