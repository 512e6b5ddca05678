"""Every failure that the console can tell of, and how to find one again from an event.

A line of the kernel about a refused system call is not a failure by itself: the CAmkES root server runs into
`Untyped Retype: Insufficient memory` in every good boot.
"""

from __future__ import annotations

from bringup.transcript.failures.firmware import FIRMWARE
from bringup.transcript.failures.image import LINUX, ROOT_TASK, VMM
from bringup.transcript.failures.kernel import KERNEL
from bringup.transcript.failures.loader import GARBAGE, LOADER
from bringup.transcript.failures.probe import PROBE
from bringup.transcript.failures.pxe import PXE
from bringup.transcript.failures.refusals import REFUSALS, REPORTS
from bringup.transcript.markers import Failure

FAILURES: tuple[Failure, ...] = (
    *FIRMWARE,
    *PXE,
    *LOADER,
    *REFUSALS,
    *KERNEL,
    *ROOT_TASK,
    *REPORTS,
    *VMM,
    *LINUX,
    *PROBE,
)


def find(code: str, text: str) -> Failure | None:
    """Return the failure with this code and marker text; any of that code when the text is unknown."""
    rows = [row for row in (*FAILURES, GARBAGE) if row.code == code]
    return next((row for row in rows if row.text == text), rows[0] if rows else None)
