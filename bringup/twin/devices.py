"""Which devices the installed QEMU has: it is asked, whatever its version says."""

from __future__ import annotations

import re
from functools import cache

from bringup.base.errors import LabError
from bringup.base.program import run_program

_PROGRAM = "qemu-system-x86_64"
_SECONDS = 20.0
_NAMED = re.compile(rb'^name "([^"]+)"', re.MULTILINE)


def require_device(name: str, what: str) -> None:
    """Raise LabError where QEMU has no device of this name, which `what` needs."""
    if name not in devices():
        raise LabError(
            f"{what} needs QEMU's device {name}, which the QEMU installed here has not",
            hint="QEMU 8 and later have it, as in Debian 13; or leave that out",
        )


@cache
def devices() -> frozenset[str]:
    """Return the names of all devices of QEMU's; raises MissingProgramError and LabError."""
    text = run_program([_PROGRAM, "-device", "help"], "qemu-system-x86", timeout_s=_SECONDS)
    return frozenset(name.decode("ascii", "replace") for name in _NAMED.findall(text))
