"""What is known of one boot: the facts that a verdict rests on. Data; `witness` makes it of events."""

from __future__ import annotations

from dataclasses import dataclass, field

from bringup.base.events import Event
from bringup.base.stage import Stage
from bringup.transcript.markers import (
    Failure,
)
from bringup.transcript.nics import Nics
from bringup.transcript.runs import BootCounter
from bringup.transcript.suite import DRIVER, test_words


@dataclass(frozen=True, slots=True)
class StageReached:
    """A stage the boot came to; `at_s` is None where a later stage is the only evidence."""

    stage: Stage
    at_s: float | None
    evidence: str


@dataclass(frozen=True, slots=True)
class SeenFailure:
    """A failure that the console told of, and how far the boot was then.

    `lines` are what it rests on; `whole` is False where its report was cut off; `vm` is whose text it was.
    """

    failure: Failure
    at_s: float
    seen: str
    furthest: Stage | None
    lines: tuple[str, ...] = ()
    whole: bool = True
    vm: str | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What a job wanted beyond the boot will not come: when that is certain, the row that says so, its
    words.
    """

    at_s: float
    code: str
    lost: str = ""


@dataclass(slots=True)
class VmSeen:
    """What one VM, by the name it is told under, has shown."""

    name: str
    vmm: bool = False
    guest: bool = False
    login_s: float | None = None
    trouble: str | None = None


@dataclass(slots=True)
class Suite:
    """How far a test suite came: `number` and `name` of the test that began last, `of` the last there is."""

    number: int | None = None
    of: int | None = None
    name: str | None = None
    failed: list[str] = field(default_factory=list)
    passed: tuple[float, str] | None = None
    result: str | None = None

    @property
    def words(self) -> str:
        """Return where it is, for people."""
        if self.number is None:
            return "before its first test"
        return f"in test {test_words(self.number, self.of, self.name or '')}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Time in which text of the console is or may be missing."""

    since_s: float
    until_s: float


@dataclass(slots=True)
class BootEvidence:
    """What is known of the boot that is going on; times are those of the events, None means not boot.

    `tail` is the last line on the console, known or not, `last_line` the last known one. `asked` are files
    that the board asked for and that this host has, `foreign_names` those that nobody here told it of.
    `not_served` is the line of a loader that came from elsewhere: the board's disk. `held_up` are times, and
    how many seconds before each this host had no processor for the machine that it emulates.
    """

    reached: dict[Stage, StageReached] = field(default_factory=dict)
    advanced_s: float | None = None
    transfer_s: float | None = None
    transferring: set[Stage] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    kernel_served: bool = False
    boot_image_served: bool = False
    loader_said_s: float | None = None
    handed_over_s: float | None = None
    vms: dict[str, VmSeen] = field(default_factory=dict)
    suite: Suite | None = None
    texts: dict[str, tuple[float, str]] = field(default_factory=dict)
    unwanted: tuple[float, str, str] | None = None
    nics: Nics = field(default_factory=Nics)
    module_name: str | None = None
    text_s: float | None = None
    other_port: tuple[float, str, str] | None = None
    failures: list[SeenFailure] = field(default_factory=list)
    boots: BootCounter = field(default_factory=BootCounter)
    dhcp: set[str] = field(default_factory=set)
    arch: str | None = None
    arch_s: float | None = None
    guest_asked: bool = False
    strangers: list[str] = field(default_factory=list)
    heard_s: float | None = None
    console_stage_s: float | None = None
    console_kernel_s: float | None = None
    given_up: GivenUp | None = None
    last_line: str | None = None
    tail: str | None = None
    asked_by: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    foreign_names: list[str] = field(default_factory=list)
    not_served: str | None = None
    not_served_s: float | None = None
    restarted: tuple[float, str] | None = None
    gaps: list[Gap] = field(default_factory=list)
    held_up: list[tuple[float, float]] = field(default_factory=list)

    @property
    def logins(self) -> list[str]:
        """The VMs that have logged in."""
        return [vm.name for vm in self.vms.values() if vm.login_s is not None]

    @property
    def vms_seen(self) -> int:
        """How many VMs there are at least: guests and VMMs may be told under different names."""
        seen = self.vms.values()
        return max(sum(vm.vmm for vm in seen), sum(vm.guest or vm.login_s is not None for vm in seen))

    @property
    def is_suite(self) -> bool:
        """Whether the image is a test suite, by its text or by its module's name."""
        return self.suite is not None or DRIVER in (self.module_name or "")

    @property
    def furthest(self) -> Stage | None:
        """The last stage with evidence."""
        return max(self.reached, key=lambda stage: stage.order, default=None)

    def ask_as(self, arch: str, at_s: float) -> None:
        """Note the architecture that the board asks as, and since when it does."""
        if arch != self.arch:
            self.arch, self.arch_s = arch, at_s

    def reach(self, stage: Stage, event: Event, evidence: str) -> None:
        """Note the first evidence of `stage`."""
        if stage in self.reached:
            return
        furthest = self.furthest
        self.reached[stage] = StageReached(stage, event.at_s, evidence)
        if furthest is None or furthest < stage:
            self.advanced_s = event.at_s

    def restart(self, event: Event, evidence: str) -> None:
        """Note that the board started over though nobody told it to."""
        if self.restarted is None:
            self.restarted = (event.at_s, evidence)
