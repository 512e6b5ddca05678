"""The kinds of values that board and lab files hold: texts, numbers with their ranges, addresses."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from bringup.base.firmware import Firmware

T = TypeVar("T")


def _matching(pattern: str, example: str) -> AfterValidator:
    regex = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not regex.fullmatch(text):
            raise ValueError(f'expected the form "{example}"')
        return text

    return AfterValidator(check)


# TOML knows lists, not tuples; what they hold stays strict.
Many = Annotated[tuple[T, ...], Field(strict=False)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Byte = Annotated[int, Field(ge=0, le=0xFF)]
IoPort = Annotated[int, Field(ge=0, le=0xFFFF)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Baud = Annotated[int, Field(ge=300, le=4_000_000)]
PciId = Annotated[str, _matching(r"[0-9a-f]{4}:[0-9a-f]{4}", "8086:37d2")]
Bdf = Annotated[str, _matching(r"[0-9a-f]{2}:[01][0-9a-f]\.[0-7]", "b5:00.0")]
FirmwareName = Annotated[Firmware, Field(strict=False)]
ProcessorFeature = Literal[
    "fsgsbase",
    "invpcid",
    "lm",
    "pcid",
    "pdpe1gb",
    "spec_ctrl",
    "vmx",
    "x2apic",
    "xsave",
    "xsavec",
    "xsaveopt",
    "xsaves",
]
"""What an seL4 kernel may demand, by the names of Linux' arch/x86/include/asm/cpufeatures.h."""
