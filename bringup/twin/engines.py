"""What can run the twin, and what its processor has: data that an image's needs are compared with.

The board's processor is a Xeon D-2123IT (Skylake-SP: family 6, model 85, stepping 4). Features have the names
of Linux' /proc/cpuinfo (arch/x86/include/asm/cpufeatures.h).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from bringup.base.errors import UsageError

EngineName = Literal["qemu", "bochs", "kvm"]
ENGINE_CHOICES: tuple[str, ...] = ("auto", *get_args(EngineName))
DEFAULT_MEMORY_MIB = 4096
MEMORY_LIMITS_MIB = (256, 65536)


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs the twin: its processor's features, what of the board's is missing, and where this is from.

    `processor` is QEMU's -cpu.
    """

    name: EngineName
    title: str
    processor: str
    features: frozenset[str]
    missing: frozenset[str]
    source: str


@dataclass(frozen=True, slots=True)
class TwinSetup:
    """What a person asks of a twin that has to be started; `memory_mib` None leaves it to the tool.

    `disk`: it is given one where it never had any.
    """

    engine: str = "auto"
    memory_mib: int | None = None
    disk: bool = False

    @property
    def asks(self) -> bool:
        """Whether anything was asked for."""
        return self != USUAL


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
ENGINES = MappingProxyType({engine.name: engine for engine in (QEMU,)})

_LATER = {
    "bochs": "it needs a machine of its own beside QEMU's",
    "kvm": "it needs a host whose processor offers nested VT-x",
}


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """An engine, and why this one."""

    engine: Engine
    why: str


def choose_engine(asked: str) -> ChosenEngine:
    """Return the engine for `auto` or a name; raises UsageError for one that the twin does not run on."""
    if asked == "auto":
        return ChosenEngine(QEMU, "the twin's only engine; VMs need VT-x, which it does not emulate")
    if asked == QEMU.name:
        return ChosenEngine(QEMU, "as asked")
    if asked in _LATER:
        raise UsageError(
            f"the twin does not run on {asked} yet: {_LATER[asked]}",
            hint="--engine qemu, with an image that does without "
            "PCID (-DKernelSupportPCID=OFF) and VMs; or boot it on a real board",
        )
    raise UsageError(f"no such engine: {asked}", hint=", ".join(ENGINE_CHOICES))
