"""What guests say of the network controllers passed through to them, and what that adds up to. Pure.

A guest that logs in with a dead controller has booted, and is of no use: the word on each controller belongs
to the answer. Texts: Linux drivers/net/ethernet, drivers/pci, net/sched/sch_generic.c, kernel/irq.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from bringup.transcript.clean import plain_text

_LINE_MAX = 320
_FACTS_MAX = 256
_WORDS = (b"0000:", b"nobody cared", b"NETDEV", b" eth", b" en")
_DRIVERS = (
    "igb|igbvf|igc|e1000e?|ixgbe|ixgbevf|i40e|iavf|ice|tg3|bnxt_en|r8169|atlantic|mlx[45]_core|sfc|cxgb4"
)
_BDF = r"(?P<bdf>0000:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])"
_NAME = r"(?P<name>(?:eth\d+|en[opsx]\w{1,12}))"
_OF = rf"(?P<driver>{_DRIVERS}) {_BDF}(?: {_NAME})?"
_RULES = (
    ("no-driver", rf"(?P<driver>{_DRIVERS}): probe of {_BDF} failed"),
    ("no-driver", rf"(?P<driver>{_DRIVERS}) {_BDF}: probe with driver \S+ failed"),
    ("bar-conflict", rf"pci {_BDF}: .*can't claim.*address conflict with (?!PCI Bus)"),
    ("bar-unmapped", rf"(?P<driver>{_DRIVERS}) {_BDF}.*?: .*(?:can't ioremap|cannot map|ioremap failed)"),
    ("gone", rf"{_OF}.*: .*(?:PCIe link lost|device now detached|[Aa]dapter removed)"),
    ("no-interrupts", rf"{_OF}.*: .*(?:Hung TX queue|(?:Tx|Hardware) Unit Hang|Interrupt Reg: 0x0\b)"),
    (
        "no-interrupts",
        rf"{_OF}.*: .*(?:[Uu]nable to allocate interrupt|request_irq|Error \S+ getting interrupt)",
    ),
    ("no-interrupts", rf"{_OF}.*: .*(?:derive routing for PCI INT|PCI INT [A-D]: (?:no GSI|not connected))"),
    ("no-interrupts", rf"{_OF}: NETDEV WATCHDOG: .*timed out"),
    ("no-interrupts", rf"NETDEV WATCHDOG: {_NAME} \((?P<driver>[\w-]+)\)"),
    ("irq-dead", r"irq (?P<irq>\d{1,3}): nobody cared"),
    ("link-up", rf"{_OF}: .*Link is [Uu]p,? ?(?P<more>.*)"),
    ("link-up", rf"(?P<driver>{_DRIVERS}): {_NAME} NIC Link is [Uu]p ?(?P<more>.*)"),
    ("link-down", rf"{_OF}: .*Link is [Dd]own"),
    ("bound", rf"{_OF}: (?!.*(?:fail|error|can't)).*"),
    ("counting", rf"^\s*(?P<irq>\d{{1,3}}):\s+(?P<count>\d+)\s.*\b{_NAME}[\w-]*\s*$"),
    ("link-up", rf"ADDRCONF\(NETDEV_CHANGE\): {_NAME}: link becomes ready"),
)
# Every rule asks for one of these; most lines that speak of a PCI device have none.
_ASKED_FOR = rf"(?:{_DRIVERS})(?:: probe of)? 0000:|can't claim|nobody cared|NETDEV|(?:eth\d|en[opsx])"


@cache
def _asked_for() -> re.Pattern[str]:
    return re.compile(_ASKED_FOR)


@cache
def _rules() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return the rules compiled: most consoles have no guest that speaks of a controller."""
    return tuple((what, re.compile(rule)) for what, rule in _RULES)


@dataclass(frozen=True, slots=True)
class NicFact:
    """One thing a guest said; `address` is the BDF that the guest sees."""

    what: str
    address: str | None
    name: str | None
    driver: str | None
    irq: int | None
    more: str
    line: str


class NicReader:
    """Reads one guest's lines."""

    def __init__(self) -> None:
        self._carry = b""
        self._told = 0

    def start_boot(self) -> None:
        """Forget what another boot said."""
        self._told = 0

    def feed(self, text: bytes) -> Iterator[tuple[NicFact, int]]:
        """Yield what complete lines say, each with the offset behind the line."""
        before = len(self._carry)
        text = self._carry + text
        end = text.rfind(b"\n") + 1
        self._carry = text[end:][-_LINE_MAX:]
        for begin, behind in _lines_worth_reading(text, end):
            if self._told < _FACTS_MAX:
                fact = read_line(plain_text(text[begin:behind][-_LINE_MAX:]))
                if fact is not None:
                    self._told += 1
                    yield fact, behind - before


def _lines_worth_reading(text: bytes, end: int) -> list[tuple[int, int]]:
    """Return where the whole lines are that have a word of ours in them, in order."""
    lines = {}
    for word in _WORDS:
        place = text.find(word, 0, end)
        while place >= 0:
            behind = text.find(b"\n", place, end) + 1
            lines[text.rfind(b"\n", 0, place) + 1] = behind
            place = text.find(word, behind, end)
    return sorted(lines.items())


def read_line(line: str) -> NicFact | None:
    """Return what one line of a guest says of a controller, None for nothing."""
    if not _asked_for().search(line):
        return None
    for what, rule in _rules():
        found = rule.search(line)
        if found is None:
            continue
        of = found.groupdict()
        if what == "counting" and int(of["count"]) == 0:
            what = "no-interrupts"
        irq = int(of["irq"]) if of.get("irq") else None
        more = (of.get("more") or "").strip()
        return NicFact(what, of.get("bdf"), of.get("name"), of.get("driver"), irq, more, line.strip())
    return None


_DEAD = {
    "no-driver": "its driver gave up",
    "bar-conflict": "its memory lies where the guest has RAM",
    "bar-unmapped": "its memory could not be mapped",
    "gone": "it no longer answers",
    "no-interrupts": "it gets no interrupts",
    "irq-dead": "its interrupt came without an owner and is off",
}
# What is at the bottom of it comes first: without its memory a driver gives up.
_BOTTOM = ("bar-conflict", "bar-unmapped", "gone", "irq-dead", "no-interrupts", "no-driver")
_ADVICE = {
    "bar-conflict": (
        "guest memory and BARs share one window",
        "lower vmN.guest_ram_mb until the BARs lie outside the guest's RAM",
    ),
    "bar-unmapped": (
        "the VMM gave the guest no address for this BAR",
        "list every 4 KiB page of it in pci_devices, and every I/O BAR in vm_ioports (end is exclusive)",
    ),
    "gone": (
        "its registers read as all ones: another address is mapped, or the device sleeps",
        "compare its BARs in the image with a capture of this unit, and cycle the power",
    ),
    "irq-dead": (
        "level_trig = 1 with an emulated 8259 (camkes-vm#116), or two devices on one pin",
        "give each (ioapic, source) pin to one VM, and set level_trig = 0 with active_low = 1",
    ),
    "no-interrupts": ("a wrong IOAPIC pin", "take the pin from the board's profile"),
    "no-driver": ("the driver met an error", "look at its lines before this one"),
}  # fmt: skip


@dataclass(slots=True)
class Nic:
    """What is known of one controller of one VM: its troubles by kind, each with the line that told it."""

    vm: str
    address: str | None = None
    name: str | None = None
    driver: str | None = None
    bound: bool = False
    link: str | None = None
    counting: bool = False
    troubles: dict[str, str] = field(default_factory=dict)

    @property
    def trouble(self) -> str | None:
        """The trouble at the bottom of all, None where none was told."""
        return next((what for what in _BOTTOM if what in self.troubles), None)

    @property
    def label(self) -> str:
        """Return its VM, its name, driver and address in the guest, as far as they are known."""
        parts = (self.name, self.driver, self.address)
        return " ".join(part for part in (self.vm, *parts) if part)

    def words(self) -> str:
        """Return the state in one line."""
        if self.trouble is not None:
            told = _DEAD[self.trouble]
            return f"{told}; link {self.link}" if self.link else told
        interrupts = "interrupts counting" if self.counting else "interrupts not seen counting"
        link = f"link {self.link}" if self.link else "no link seen"
        return f"driver bound, {interrupts}, {link}" if self.bound else f"no driver seen, {link}"

    def advice(self) -> tuple[str, str] | None:
        """Return (usual cause, what to do) of its trouble."""
        return None if self.trouble is None else _ADVICE[self.trouble]

    def to_dict(self) -> dict[str, object]:
        """Return the controller as JSON data."""
        return {
            "vm": self.vm,
            "address": self.address,
            "name": self.name,
            "driver": self.driver,
            "bound": self.bound,
            "link": self.link,
            "counting": self.counting,
            "trouble": self.trouble,
            "words": self.words(),
            "lines": list(self.troubles.values()),
        }


class Nics:
    """The controllers of all VMs of one boot."""

    def __init__(self) -> None:
        self._nics: list[Nic] = []

    def __iter__(self) -> Iterator[Nic]:
        return iter(self._nics)

    @property
    def dead(self) -> list[Nic]:
        """Those with trouble."""
        return [nic for nic in self._nics if nic.trouble is not None]

    def take(self, vm: str, fact: NicFact) -> None:
        """Add what was said."""
        for nic in self._meant(vm, fact):
            nic.name = nic.name or fact.name
            nic.driver = nic.driver or fact.driver
            if fact.what == "bound":
                nic.bound = True
            elif fact.what == "counting":
                nic.counting = nic.bound = True
            elif fact.what == "link-up":
                nic.link, nic.bound = f"up {fact.more}".strip(), True
            elif fact.what == "link-down":
                nic.link, nic.bound = "down", True
            else:
                nic.troubles.setdefault(fact.what, fact.line)

    def _meant(self, vm: str, fact: NicFact) -> list[Nic]:
        """Return the controllers a fact is about; what names none is about all of the VM's."""
        of_vm = [nic for nic in self._nics if nic.vm == vm]
        if fact.address is not None:
            known = [nic for nic in of_vm if nic.address == fact.address]
            known = known or [
                nic for nic in of_vm if nic.address is None and nic.name == fact.name and fact.name
            ]
            for nic in known:
                nic.address = fact.address
        elif fact.name is not None:
            known = [nic for nic in of_vm if nic.name == fact.name]
            if not known and fact.driver is None:
                return []  # a virtio port, or one that was never told of as a PCI device
        else:
            return of_vm or [self._new(vm, fact)]
        return known or [self._new(vm, fact)]

    def _new(self, vm: str, fact: NicFact) -> Nic:
        nic = Nic(vm, fact.address, fact.name, fact.driver)
        self._nics.append(nic)
        return nic
