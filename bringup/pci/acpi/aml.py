"""ACPICA's `acpiexec` as the interpreter of captured AML: commands in, one text per command out, bounded.

It runs firmware code of a machine nobody vouches for, so it gets a private folder, no input but ours, limits
on memory, output and time, and its whole process group is ended with it. Operation regions do not exist
here: acpiexec simulates them, filled with one byte (`-fv`), so an answer that changes with `fill` rests on
registers that were not captured.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

PROGRAM = "acpiexec"
HOW_TO_INSTALL = "acpiexec is not installed: apt install acpica-tools"

# What it printed before it was ended tells at which command it was.
_BY_LINES = ("stdbuf", "-oL")
_MEMORY_BYTES = 1 << 30
_OUTPUT_BYTES = 16 << 20
_LOOP_SECONDS = "2"
_ANSWER = re.compile(r"^- ", re.MULTILINE)
_LOADED = re.compile(r"^ACPI:\s{1,2}(\d{1,4})\s{1,2}ACPI AML tables\s{1,2}successfully", re.MULTILINE)
# Some 10 ms after its start a thread of acpiexec prints a line end, wherever the text just is. Commands take
# 10 ms each; after these few that has happened, and no line of an answer is cut in two.
_WARM_UP = ("find _PIC",) * 4
_ERROR = re.compile(r"^(?:ACPI Error|ACPI Exception|Could not|Table)[^\n]*", re.MULTILINE)


class AcpiexecError(Exception):
    """acpiexec did not answer; the text says why, for a `Missing`."""


class LoadError(AcpiexecError):
    """A table was refused, so that names of it are missing."""


class LateError(AcpiexecError):
    """acpiexec was ended because it took too long; `answers` are those to the commands that were done."""

    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__("acpiexec did not answer in time")
        self.answers = tuple(answers)

    @property
    def answered(self) -> int:
        """How many commands were done."""
        return len(self.answers)


def write_tables(folder: Path, tables: Sequence[bytes]) -> list[str]:
    """Put the tables into `folder`, DSDT first, and return their file names."""
    names = []
    for index, table in enumerate(tables):
        names.append(f"table{index}.aml")
        (folder / names[-1]).write_bytes(table)
    return names


def answers(
    folder: Path, names: Sequence[str], commands: Sequence[str], fill: int, deadline: float
) -> list[str]:
    """Return what acpiexec prints for each command; raises AcpiexecError.

    `deadline` is on time.monotonic(). A table that is not loaded is a LoadError, and what is not done by
    then a LateError.
    """
    text, in_time = _run(folder, names, [*_WARM_UP, *commands, "quit"], fill, deadline)
    start, *rest = _ANSWER.split(text)
    if not in_time:
        # The last one is what it was at.
        raise LateError(rest[len(_WARM_UP) : -1])
    loaded = _LOADED.search(start)
    if loaded is None or int(loaded[1]) != len(names):
        error = _ERROR.search(start)
        raise LoadError(f"acpiexec could not load the tables{': ' + error[0][:200] if error else ''}")
    told = rest[len(_WARM_UP) :]
    if len(told) < len(commands):
        raise AcpiexecError("acpiexec ended before it had answered")
    return told[: len(commands)]


def _run(
    folder: Path, names: Sequence[str], commands: Sequence[str], fill: int, deadline: float
) -> tuple[str, bool]:
    """Return what it printed, and whether it had come to its end."""
    # Runs with another fill may go on beside this one.
    asked, output = folder / f"commands-{fill:02x}", folder / f"output-{fill:02x}"
    if shutil.which(PROGRAM) is None:
        raise AcpiexecError(HOW_TO_INSTALL)
    asked.write_text("".join(f"{command}\n" for command in commands), encoding="ascii")
    with asked.open("rb") as source, output.open("wb") as sink:
        try:
            process = subprocess.Popen(
                [*_BY_LINES, PROGRAM, "-to", _LOOP_SECONDS, "-fv", f"{fill:#x}", *names],
                cwd=folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                stdin=source,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise AcpiexecError(f"acpiexec does not start: {error.strerror}") from None
    try:
        # A process that is gone already (it could not load anything) needs no limits.
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (_OUTPUT_BYTES, _OUTPUT_BYTES))
        in_time = _ended(process, deadline)
    finally:
        # What it may have started is in its group, and its number is not given anew before wait().
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if output.stat().st_size >= _OUTPUT_BYTES:
        raise AcpiexecError(f"acpiexec wrote more than {_OUTPUT_BYTES >> 20} MiB")
    return output.read_bytes().decode("ascii", "replace"), in_time


def _ended(process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Wait for the process to end, without reaping it; False when it has not by the deadline.

    `Popen.wait` looks every 50 ms, which is as long as a whole run takes.
    """
    handle = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
    finally:
        os.close(handle)
