"""What a board profile holds, as pydantic models; boards/*.toml is the same shape in TOML.

Every fact carries a grade and a source. HIGH: read in a machine's own output, a shipped configuration or
source code for exactly this item. MED: read for a sibling, or in one secondary source. INF: inferred, to be
verified on the board. measured: on this very unit, from its unit file. A fact that nobody has
observed is absent (None), never zero. Units are part of names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bringup.base.stage import Stage
from bringup.profile.advice import NEUTRAL, BoardWords, Topic
from bringup.profile.kinds import (
    Baud,
    Bdf,
    Byte,
    FirmwareName,
    IoPort,
    Many,
    PciId,
    ProcessorFeature,
    Seconds,
    Text,
)
from bringup.profile.toml_lines import KeyPath, dotted

Grade = Literal["HIGH", "MED", "INF", "measured"]
T = TypeVar("T")


class _Model(BaseModel):
    # Built once, with the whole profile: the parts are never read alone. What is absent is made unchecked,
    # as a check would build them.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Sourced(_Model):
    """Anything that says how well it is known; `source` begins with a key of the profile's `[sources]`."""

    grade: Grade
    source: Text

    @property
    def source_key(self) -> str:
        """The key in `[sources]`: what stands before the first colon."""
        return self.source.partition(":")[0].strip()


class Fact(Sourced, Generic[T]):
    """One value with its grade and source."""

    value: T


class BoardIdentity(_Model):
    """How a unit of this model names itself (SMBIOS types 1 and 2) and its devices (PCI subsystem)."""

    manufacturer: Fact[Text] | None = None
    system_product: Fact[Text] | None = None
    baseboard_product: Fact[Text] | None = None
    subsystem: Fact[PciId] | None = None


class Processor(_Model):
    """What the processor has: hardware threads, and which of the features that a kernel may demand.

    A feature that `features` does not list is one that the processor lacks; without the fact, nobody looked.
    """

    threads: Fact[Annotated[int, Field(ge=1, le=4096)]] | None = None
    features: Fact[Many[ProcessorFeature]] | None = None


class Serial(_Model):
    """The serial port that Serial-over-LAN reaches; IPMI leaves it to the board, so lab.toml may say it."""

    sol_port: Fact[IoPort] | None = None
    baud: Fact[Baud] | None = None


class BootFlagBytes(_Model):
    """The five data bytes of boot option parameter 5, where this BMC was seen to take them.

    What is absent is built as IPMI 2.0 28.13, table 28-14, has it.
    """

    bios_network_once: Fact[Many[Byte]] | None = None
    bios_network_persistent: Fact[Many[Byte]] | None = None
    uefi_network_once: Fact[Many[Byte]] | None = None
    uefi_network_persistent: Fact[Many[Byte]] | None = None
    uefi_setup_once: Fact[Many[Byte]] | None = None

    @model_validator(mode="after")
    def _five_bytes(self) -> BootFlagBytes:
        for name in type(self).model_fields:
            fact = getattr(self, name)
            if fact is not None and len(fact.value) != 5:
                raise ValueError(f"`{name}` has {len(fact.value)} bytes, expected 5")
        return self


class BmcFacts(_Model):
    """How the baseboard management controller wants to be treated; what is absent is as IPMI 2.0 has it.

    `boot_override` "unverified" is for one that takes a boot override and does not tell what it holds, "none"
    for one whose override does nothing. `media_boot_target` is Redfish's boot target for a virtual disc.
    """

    cipher_order: Fact[Annotated[Many[Literal[3, 17]], Field(min_length=1)]] | None = None
    min_command_spacing_s: Fact[Annotated[float, Field(ge=0, le=60)]] | None = None
    stop_boot_flag_expiry: Fact[Annotated[Many[Byte], Field(min_length=4, max_length=4)]] | None = None
    uefi_disk_selector: Fact[Byte] | None = None
    boot_override: Fact[Literal["verified", "unverified", "none"]] | None = None
    media_boot_target: Fact[Literal["Cd", "UsbCd"]] | None = None
    boot_flags: BootFlagBytes = BootFlagBytes.model_construct()

    @property
    def spacing_s(self) -> float:
        """The least time between two commands to a BMC that labours, in seconds; IPMI asks for none."""
        return 0.0 if self.min_command_spacing_s is None else self.min_command_spacing_s.value


class Storage(_Model):
    """The disk that an image is written to; what is absent is left to the person.

    `path` and `model` are patterns (`*`) of where it is plugged in and what it calls itself. `slot_mib` is
    the size of a slot in MiB. `active_mbr` is for a BIOS that wants the active flag on a disk with a GPT.
    """

    path: Fact[Text] | None = None
    model: Fact[Text] | None = None
    slot_mib: Fact[Annotated[int, Field(ge=1, le=1 << 20)]] | None = None
    active_mbr: Fact[bool] | None = None


class FirmwareRoutes(_Model):
    """Which ways of starting the board has, and which one is taken when nobody says."""

    supported: Fact[Many[FirmwareName]]
    default: Fact[FirmwareName]

    @model_validator(mode="after")
    def _default_is_supported(self) -> FirmwareRoutes:
        if self.default.value not in self.supported.value:
            raise ValueError(f'`default` is "{self.default.value}", which `supported` does not list')
        return self


class NetbootPort(Sourced):
    """A port that was seen to offer network boot, and under which firmware."""

    port: Text
    firmware: Many[FirmwareName]


class Netboot(_Model):
    """Network boot; an empty `ports` means not observed, not impossible."""

    ports: Many[NetbootPort] = ()


class ExpectedBar(_Model):
    """One base address register: its slot (0 to 5), kind and size."""

    index: Annotated[int, Field(ge=0, le=5)]
    kind: Literal["memory", "memory64", "io"]
    size_bytes: Annotated[int, Field(ge=4)]

    @model_validator(mode="after")
    def _size_is_power_of_two(self) -> ExpectedBar:
        if self.size_bytes & (self.size_bytes - 1):
            raise ValueError(f"`size_bytes` is {self.size_bytes}, expected a power of two (PCI 3.0 6.2.5.1)")
        return self


class ExpectedNic(_Model):
    """One Ethernet function. Match it by `id` and `subsystem`; `seen_at` moves with cards and settings.

    `ioapic_pin` is where its INTx arrives under seL4, `acpi_gsi` which interrupt an ACPI operating system
    uses for it, through IOAPICs that seL4 may leave masked. `ioapic_pin_else` is where it may arrive if
    the board's rule does not hold for this port.
    """

    name: Text
    model: Text
    optional: bool = False
    id: Fact[PciId]
    subsystem: Fact[PciId] | None = None
    smbios_name: Fact[Text] | None = None
    seen_at: Fact[Many[Bdf]] | None = None
    bars: Fact[Many[ExpectedBar]] | None = None
    intx_pin: Fact[Literal["A", "B", "C", "D"]] | None = None
    ioapic_pin: Fact[Annotated[int, Field(ge=0, le=239)]] | None = None
    acpi_gsi: Fact[Annotated[int, Field(ge=0, le=0xFFFF)]] | None = None
    ioapic_pin_else: Fact[Annotated[int, Field(ge=0, le=239)]] | None = None


class Interrupts(_Model):
    """How a passed-through function's INTx is written in the VM's configuration.

    `root_port_rule` is the IOAPIC pin at which INTA arrives as a root port sees it; INTB to INTD follow.
    Below the root port each bridge turns the pin by the number of the device behind it (PCI-to-PCI Bridge
    1.2, 9.1). `ioapic_gsi_bases` is the first GSI of each IOAPIC, in the order of the MADT.
    """

    ioapic: Fact[Annotated[int, Field(ge=0, le=15)]]
    level_trig: Fact[Annotated[int, Field(ge=0, le=1)]]
    active_low: Fact[Annotated[int, Field(ge=0, le=1)]]
    root_port_rule: Fact[Annotated[int, Field(ge=0, le=236)]] | None = None
    ioapic_gsi_bases: Fact[Many[Annotated[int, Field(ge=0, le=0xFFFF)]]] | None = None

    def input_of(self, gsi: int) -> tuple[int, int] | None:
        """Return (IOAPIC, input) of a GSI; None where the IOAPICs are not known."""
        bases = () if self.ioapic_gsi_bases is None else self.ioapic_gsi_bases.value
        below = [(base, number) for number, base in enumerate(bases) if base <= gsi]
        return (max(below)[1], gsi - max(below)[0]) if below else None


class ExpectedFunctions(Sourced):
    """Functions that every unit of this model shows; anything else is another board or a broken capture."""

    id: PciId
    what: Text
    count: Annotated[int, Field(ge=1, le=256)]


class Pci(_Model):
    """What a complete capture of this model holds."""

    functions_seen: Fact[Annotated[int, Field(ge=1, le=65536)]] | None = None
    expected: Many[ExpectedFunctions] = ()


class Hypervisor(_Model):
    """Limits of the seL4 VMM that this board comes near to."""

    pci_max_devices: Fact[Annotated[int, Field(ge=1)]]
    bar_limit_bytes: Fact[Annotated[int, Field(ge=1)]]


class StageTime(Sourced):
    """Time from the stage before to this one: usual, and when it counts as stalled (both in seconds)."""

    expected_s: Seconds
    timeout_s: Seconds

    @model_validator(mode="after")
    def _timeout_is_longer(self) -> StageTime:
        if self.timeout_s <= self.expected_s:
            raise ValueError(
                f"`timeout_s` ({self.timeout_s:g}) must be greater than `expected_s` ({self.expected_s:g})"
            )
        return self


class StageTimes(_Model):
    """One entry per stage, in the order of a boot."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    power: StageTime
    firmware: StageTime
    dhcp: StageTime
    loader: StageTime
    kernel_image: StageTime
    modules: StageTime
    kernel: StageTime
    user_space: StageTime
    vmm: StageTime
    guest: StageTime
    login: StageTime

    def of(self, stage: Stage) -> StageTime:
        """Return the times of one stage."""
        times = getattr(self, stage.value.replace("-", "_"))
        assert isinstance(times, StageTime)  # noqa: S101  # every Stage is a field
        return times


class BiosSetting(_Model):
    """One setting by its exact menu and name; `default` is None where it was not read.

    `advice` says by topic (`bringup.profile.advice`) what to set it to when a boot or a check asks for that.
    """

    menu: Text
    name: Text
    wanted: Text
    default: Text | None = None
    why: Text
    advice: dict[Topic, Text] = Field(default_factory=dict)


class Bios(_Model):
    """Settings to check; `read_on` says which board and BIOS version the names come from.

    `instead` says by topic what to do on a board that has no such setting.
    """

    read_on: Fact[Text] | None = None
    settings: Many[BiosSetting] = ()
    lan_settings: Many[BiosSetting] = ()
    instead: dict[Topic, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _topics_differ(self) -> Bios:
        told: dict[str, str] = {}
        for setting in (*self.settings, *self.lan_settings):
            for topic in setting.advice:
                if topic in told:
                    raise ValueError(f'"{told[topic]}" and "{setting.name}" both have advice on "{topic}"')
                told[topic] = setting.name
        return self

    def sentences(self) -> dict[Topic, str]:
        """Return the advice on every topic that a setting has words for."""
        return {
            topic: f"BIOS: {setting.menu} > {setting.name} = {value}"
            for setting in (*self.settings, *self.lan_settings)
            for topic, value in setting.advice.items()
        } | self.instead

    def advice(self, topic: Topic) -> str:
        """Return which setting to change for `topic`, in neutral words where none is known to have it."""
        return self.sentences().get(topic) or NEUTRAL[topic]


class Profile(_Model):
    """Facts about one model of board."""

    name: Text
    title: Text
    summary: Text
    virtual: bool = False
    notes: Many[Text] = ()
    sources: dict[str, Text]
    identity: BoardIdentity = BoardIdentity.model_construct()
    processor: Processor = Processor.model_construct()
    serial: Serial = Serial.model_construct()
    bmc: BmcFacts = BmcFacts.model_construct()
    firmware: FirmwareRoutes
    netboot: Netboot = Netboot.model_construct()
    disk: Storage = Storage.model_construct()
    nics: Many[ExpectedNic] = ()
    interrupts: Interrupts
    pci: Pci = Pci.model_construct()
    hypervisor: Hypervisor
    stages: StageTimes
    bios: Bios = Bios.model_construct()

    @model_validator(mode="after")
    def _nic_names_differ(self) -> Profile:
        names = [nic.name for nic in self.nics]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'two entries of `nics` have the name "{name}"')
        return self

    def facts(self) -> Iterator[tuple[KeyPath, Sourced]]:
        """Yield every fact with its path as it is written in TOML."""
        yield from _facts(self, ())

    def unconfirmed(self, *sections: str) -> tuple[str, ...]:
        """Name what in these sections (default: all) is only inferred, grade INF, as `path = value`.

        A section is a dotted path such as `bmc` or `stages.firmware`. Whoever acts on facts passes the
        sections used, so that no inference is acted on silently.
        """
        wanted = [tuple(section.split(".")) for section in sections]
        return tuple(
            f"{dotted(path)} = {_shown_value(fact)}"
            for path, fact in self.facts()
            if fact.grade == "INF" and (not wanted or any(path[: len(part)] == part for part in wanted))
        )

    def words(self, console_port: int | None = None) -> BoardWords:
        """Return what texts say of this board; `console_port` is the UART that its console reads."""
        return BoardWords(self.bios.sentences(), console_port)

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as plain JSON data, keys as in TOML."""
        return self.model_dump(mode="json", by_alias=True)


def _facts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Sourced]]:
    if isinstance(value, Sourced):
        yield path, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _facts(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, tuple):
        for position, element in enumerate(value):
            yield from _facts(element, (*path, position))


def _shown_value(fact: Sourced) -> str:
    if isinstance(fact, StageTime):
        return f"{fact.expected_s:g} s, at most {fact.timeout_s:g} s"
    if isinstance(fact, Fact):
        value = fact.value
        return str(list(value)) if isinstance(value, tuple) else str(value)
    return ", ".join(f"{key} {value}" for key, value in fact.model_dump(exclude={"grade", "source"}).items())
