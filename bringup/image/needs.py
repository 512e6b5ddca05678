"""What an seL4 kernel demands of the processor, read from the kernel's own bytes. Pure.

A kernel that was built to use a feature carries the text with which it refuses a processor without it: the
text is the demand. Texts of the start-up code (`early`) are in every 64-bit kernel that demands the feature;
all others are printed by C, and a RELEASE kernel, which prints nothing, has none of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Bits = Literal[32, 64]

START_64_TEXT = b"SYSCALL/SYSRET instruction not supported by the processor"
"""In the start-up code of every 64-bit kernel, RELEASE or not."""

_START = "seL4 src/arch/x86/64/head.S"
_FPU = "seL4 src/arch/x86/machine/fpu.c"
_IBRS = "seL4 src/arch/x86/machine/cpu_identification.c, init_ibrs"


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that a kernel may demand: what people call it, and `flag`, its name in Linux' /proc/cpuinfo.

    `text` is (a part of) the kernel's refusal. A build demands it where the CMake variable `option` has one
    of the values `when`; with the value `otherwise` it does not.
    """

    title: str
    flag: str
    text: bytes
    option: str
    when: tuple[str, ...]
    otherwise: str
    source: str
    early: bool = False

    @property
    def way_out(self) -> str:
        """Return how to build a kernel that does without."""
        return f"-D{self.option}={self.otherwise}"


FEATURES: tuple[Feature, ...] = (
    Feature(
        "PCID", "pcid", b"PCIDs not supported by", "KernelSupportPCID", ("ON",), "OFF", _START, early=True
    ),
    Feature(
        "INVPCID", "invpcid", b"INVPCID instruction not supported by", "KernelSupportPCID", ("ON",), "OFF",
        _START, early=True,
    ),
    Feature(
        "FSGSBASE", "fsgsbase", b"fsgsbase instructions not supported by", "KernelFSGSBase", ("inst",), "msr",
        _START, early=True,
    ),
    Feature(
        "1 GiB pages", "pdpe1gb", b"uge page not supported by the processor", "KernelHugePage", ("ON",),
        "OFF", _START, early=True,
    ),
    # The check that ends in this text asks CPUID for long mode, and every 64-bit kernel has it.
    Feature("64-bit mode", "lm", START_64_TEXT, "KernelSel4Arch", ("x86_64",), "ia32", _START, early=True),
    Feature("XSAVE", "xsave", b"XSAVE not supported", "KernelFPU", ("XSAVE",), "FXSAVE", _FPU),
    Feature("XSAVEOPT", "xsaveopt", b"XSAVEOPT requested, but", "KernelXSave", ("XSAVEOPT",), "XSAVE", _FPU),
    Feature("XSAVEC", "xsavec", b"XSAVEC requested, but", "KernelXSave", ("XSAVEC",), "XSAVE", _FPU),
    Feature("XSAVES", "xsaves", b"XSAVES requested, but", "KernelXSave", ("XSAVES",), "XSAVE", _FPU),
    Feature(
        "IBRS", "spec_ctrl", b"IBRS not supported by CPU", "KernelX86IBRSMode",
        ("ibrs_basic", "ibrs_stibp", "ibrs_all"), "ibrs_none", _IBRS,
    ),
    Feature(
        "IBPB", "spec_ctrl", b"IBPB not supported by CPU", "KernelX86IBPBOnContextSwitch", ("ON",), "OFF",
        _IBRS,
    ),
    Feature(
        "x2APIC", "x2apic", b"x2APIC is not supported on this machine", "KernelLAPICMode", ("X2APIC",),
        "XAPIC", "seL4 src/arch/x86/kernel/x2apic.c",
    ),
    Feature(
        "VT-x", "vmx", b"vt-x: not supported", "KernelVTX", ("ON",), "OFF",
        "seL4 src/arch/x86/object/vcpu.c",
    ),
)  # fmt: skip
VTX = next(feature for feature in FEATURES if feature.flag == "vmx")

# Printed by every kernel that prints: at the end of its start, and when nothing was loaded with it.
_PRINTED = (b"dropped to user space", b"Expect at least one boot module")

# Until 2020, the check for PCID was in every 64-bit kernel and called by those only that use it, which set
# CR4.PCIDE: `cpuid; and $bit, %ecx` (the first form asks for the wrong bit), and `or $0x20000, %eax;
# mov %eax, %cr4`.
_PCID_CHECK = re.compile(rb"\x0f\xa2\x81\xe1\x00\x00[\x80\x02]\x00", re.DOTALL)
_SETS_PCIDE = bytes.fromhex("0d000002000f22e0")


@dataclass(frozen=True, slots=True)
class KernelNeeds:
    """What a kernel's bytes tell of its demands: each feature True, False, or None where they do not tell.

    `bits` is None where not even that is told. A kernel that `prints` is a debug build, any other RELEASE.
    """

    bits: Bits | None
    prints: bool
    demands: Mapping[Feature, bool | None]

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features that the kernel certainly demands."""
        return tuple(feature for feature, demanded in self.demands.items() if demanded)

    def to_dict(self) -> dict[str, Any]:
        """Return the needs as plain JSON data; `unknown` are those that only the build's options tell."""
        return {
            "bits": self.bits,
            "release": not self.prints,
            "features": [feature.title for feature in self.features],
            "unknown": [feature.title for feature, demanded in self.demands.items() if demanded is None],
        }


def kernel_needs(data: bytes, told_bits: Bits | None = None) -> KernelNeeds:
    """Return what the seL4 kernel in `data` demands.

    `told_bits` is what else tells of its width, such as its name: the file of a 64-bit kernel is ELF32
    (objcopy -O elf32-i386).
    """
    prints = any(text in data for text in _PRINTED)
    bits: Bits | None = 64 if START_64_TEXT in data else told_bits
    demands: dict[Feature, bool | None] = {}
    for feature in FEATURES:
        tells = bits is not None if feature.early else prints
        demands[feature] = _demands(data, feature) or (False if tells else None)
    return KernelNeeds(bits, prints, demands)


def _demands(data: bytes, feature: Feature) -> bool:
    if feature.text not in data:
        return False
    called = _SETS_PCIDE in data or _PCID_CHECK.search(data) is None
    return called or feature.option != "KernelSupportPCID"
