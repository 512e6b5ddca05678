"""What can run the twin, and what its processor has: data that an image's needs are compared with.

The board's processor is a Xeon D-2123IT (Skylake-SP: family 6, model 85, stepping 4). Features have the names
of Linux' /proc/cpuinfo (arch/x86/include/asm/cpufeatures.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from bringup.base.engine_names import ENGINE_CHOICES, EngineName
from bringup.base.errors import UsageError
from bringup.base.firmware import Firmware
from bringup.lab.names import BUILTIN_PROFILE
from bringup.twin.host import HOST, INSTALL_BOCHS

DEFAULT_MEMORY_MIB = 4096
MEMORY_LIMITS_MIB = (256, 65536)


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs the twin: its processor's features, what of the board's is missing, and where this is from.

    `processor` is what the engine calls it, `accelerator` QEMU's -accel. `profile` is that of the machine it
    makes. `firmwares`, `memory_mib` and `most_memory_mib` are what it can do. `limits` is what it leaves
    unproven, for people.
    """

    name: EngineName
    title: str
    processor: str
    features: frozenset[str]
    missing: frozenset[str]
    source: str
    profile: str = BUILTIN_PROFILE
    accelerator: str = "tcg"
    firmwares: tuple[Firmware, ...] = (Firmware.BIOS, Firmware.UEFI)
    memory_mib: int = DEFAULT_MEMORY_MIB
    most_memory_mib: int = MEMORY_LIMITS_MIB[1]
    limits: str = ""


@dataclass(frozen=True, slots=True)
class TwinSetup:
    """What a person asks of a twin that has to be started; `memory_mib` None leaves it to the engine.

    `disk`: it is given one where it never had any. `why` says why it is this engine, where that was settled.
    `faults` are what it plays (`bringup.twin.faults.choice`); all their chances depend on `seed`.
    """

    engine: str = "auto"
    memory_mib: int | None = None
    disk: bool = False
    why: str = ""
    faults: tuple[str, ...] = ()
    seed: int = 0

    @property
    def asks(self) -> bool:
        """Whether anything was asked for."""
        return self.engine != "auto" or self.memory_mib is not None

    @property
    def chosen(self) -> ChosenEngine:
        """The engine, and why this one; raises UsageError for one that cannot be had here."""
        found = choose_engine(self.engine)
        return replace(found, why=self.why or found.why)

    @property
    def memory(self) -> int:
        """MiB of memory."""
        return self.memory_mib or self.chosen.engine.memory_mib


USUAL = TwinSetup()
"""A twin of which nothing is asked."""


# What a D-2123IT has and TCG of QEMU 7.2 has not (its own warnings for `-cpu Skylake-Server-v5`), by QEMU's
# names. Switched off by name, so that a later QEMU gives the same processor. VT-x (vmx) is missing,
# too: QEMU's Skylake-Server does not ask for it.
_SWITCHED_OFF = (
    *(
        "pcid",
        "invpcid",
        "x2apic",
        "tsc-deadline",
        "rdseed",
        "spec-ctrl",
        "3dnowprefetch",
        "xsavec",
        "xsaves",
    ),
    *("avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"),
)
# What a D-2123IT has, TCG has too, and QEMU's Skylake-Server leaves out.
_SWITCHED_ON = ("clflushopt", "mpx", "monitor", "acpi", "ss")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


QEMU = Engine(
    name="qemu",
    title="QEMU, processor emulated (TCG)",
    processor=",".join(
        (
            "Skylake-Server-v5",
            *(f"{feature}=off" for feature in _SWITCHED_OFF),
            *(f"{feature}=on" for feature in _SWITCHED_ON),
            "model-id=Intel(R) Xeon(R) D-2123IT CPU @ 2.20GHz",
        )
    ),
    features=_words(
        "abm acpi adx aes apic arat avx avx2 bmi1 bmi2 clflush clflushopt clwb cmov cx16 cx8 de erms f16c "
        "fma fpu fsgsbase fxsr hypervisor lahf_lm lm mca mce mmx monitor movbe mpx msr mtrr nx pae pat "
        "pclmulqdq pdpe1gb pge pku pni popcnt pse pse36 rdrand rdtscp sep smap smep ss sse sse2 sse4_1 "
        "sse4_2 ssse3 syscall tsc xgetbv1 xsave xsaveopt"
    ),
    missing=_words(
        "pcid invpcid x2apic tsc_deadline_timer rdseed spec_ctrl 3dnowprefetch xsavec xsaves vmx "
        "avx512f avx512dq avx512cd avx512bw avx512vl"
    ),
    source="CPUID of QEMU 7.2.22 (TCG), read from its monitor (feature-words of the processor)",
)
KVM = replace(
    QEMU,
    name="kvm",
    title="QEMU, the host's processor (KVM)",
    processor="host",
    accelerator="kvm",
    features=QEMU.features | QEMU.missing,
    missing=frozenset(),
    source="KVM nests VT-x here (KVM_GET_SUPPORTED_CPUID); its other features are assumed to be the board's",
    limits="passthrough and DMA are QEMU's, not the board's",
)
BOCHS = Engine(
    name="bochs",
    title="Bochs, processor emulated with VT-x",
    processor="corei7_skylake_x",
    features=_words(
        "abm acpi adx aes apic arat avx avx2 avx512bw avx512cd avx512dq avx512f avx512vl bmi1 bmi2 clflush "
        "clflushopt clwb cmov cx16 cx8 de erms f16c fma fpu fsgsbase fxsr invpcid lahf_lm lm mca mce mmx "
        "monitor movbe msr mtrr nx pae pat pcid pclmulqdq pdpe1gb pge pni popcnt pse pse36 rdrand rdseed "
        "rdtscp sep smap smep ss sse sse2 sse4_1 sse4_2 ssse3 syscall tsc tsc_deadline_timer vmx x2apic "
        "xgetbv1 xsave xsavec xsaveopt xsaves 3dnowprefetch"
    ),
    missing=_words("mpx pku spec_ctrl"),
    source="Bochs' model corei7_skylake_x (bochs cpu/cpudb/intel/corei7_skylake-x.cc)",
    profile="twin-bochs",
    firmwares=(Firmware.BIOS,),
    memory_mib=2047,
    most_memory_mib=2048,
    limits="it has no IOMMU, no PCI Express and no NIC of the board's: passthrough and DMA stay unproven",
)
SCRIPTED = Engine(
    name="scripted",
    title="scripted: texts of firmware, loader and stand-in image; nothing is run",
    processor="",
    features=frozenset(),
    missing=frozenset(),
    source="it has no processor",
    limits="nothing is run: the image is the stand-in's texts",
)
ENGINES: Mapping[str, Engine] = MappingProxyType(
    {engine.name: engine for engine in (QEMU, BOCHS, KVM, SCRIPTED)}
)


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """An engine, and why this one."""

    engine: Engine
    why: str


class EngineHost(Protocol):
    """The computer that the twin runs on."""

    def nests_vtx(self) -> bool:
        """Return whether its KVM gives VT-x to guests."""
        ...

    def has_bochs(self) -> bool:
        """Return whether Bochs is installed."""
        ...


def choose_engine(asked: str, *, vtx: bool = False, host: EngineHost = HOST) -> ChosenEngine:
    """Return the engine for `auto` or a name; `vtx` says that the image has VMs or demands VT-x.

    Raises UsageError for one that cannot be had here.
    """
    if asked == "auto":
        return _best(host) if vtx else ChosenEngine(QEMU, "the fastest; no VMs are known in this image")
    if asked not in ENGINES:
        raise UsageError(f"no such engine: {asked}", hint=", ".join(ENGINE_CHOICES))
    if asked == KVM.name and not host.nests_vtx():
        raise UsageError(
            "the twin cannot run on kvm here: this host's KVM gives its guests no VT-x",
            hint="--engine bochs for images with VMs, --engine qemu for others",
        )
    return ChosenEngine(ENGINES[asked], "as asked")


def _best(host: EngineHost) -> ChosenEngine:
    if host.nests_vtx():
        return ChosenEngine(KVM, "the image needs VT-x, and this host nests it")
    if host.has_bochs():
        return ChosenEngine(BOCHS, "the image needs VT-x, which QEMU does not emulate; a VM boots in minutes")
    return ChosenEngine(
        QEMU, f"the image needs VT-x, and neither nested KVM nor Bochs is here: {INSTALL_BOCHS}"
    )
