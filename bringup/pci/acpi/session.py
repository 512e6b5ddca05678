"""The AML of one machine, asked by `acpiexec` as often as needed before one deadline.

What takes too long is given up by its name, and the rest goes on: a table that does not load, or a command
that does not answer. Pure decisions are the callers'.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bringup.pci.acpi import aml as acpiexec
from bringup.pci.acpi import output as acpiexec_text
from bringup.pci.acpi.aml import AcpiexecError, LateError, LoadError
from bringup.pci.model import CodeTable

_LOAD_SECONDS = 3.0
_LATE_MAX = 4
_LATE = "Evaluation of it failed with status AE_TIME"
_FILLS = (0x00, 0xA5)
_APIC_MODE = "evaluate \\_PIC 1"


def is_late(answer: str) -> bool:
    """Whether a command was given up because it took too long."""
    return answer == _LATE


@dataclass(frozen=True, slots=True)
class Session:
    """The tables that load, in files of `folder`; `problems` names those that do not."""

    folder: Path
    names: tuple[str, ...]
    deadline: float
    run_seconds: float
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path, code: Sequence[CodeTable], deadline: float, run_seconds: float) -> Session:
        """Write the tables, DSDT first; `run_seconds` is what one run may take."""
        names = acpiexec.write_tables(folder, [table.data for table in code])
        return cls(folder, tuple(names), deadline, run_seconds)

    def of_those_that_load(self, code: Sequence[CodeTable], error: AcpiexecError) -> Session:
        """Add the SSDTs one after another: one that needs the live machine must not hide the others.

        Raises `error` where all of them load, or there is but the DSDT.
        """
        kept, problems = self._with(self.names[:1]), []
        if len(self.names) == 1 or not kept._loads():
            raise error
        for table, name in zip(code[1:], self.names[1:], strict=True):
            more = self._with((*kept.names, name))
            if more._loads():
                kept = more
            else:
                problems.append(f"{table.name} was left out: acpiexec does not load it")
        if not problems:
            raise error
        return replace(kept, problems=tuple(problems))

    def _with(self, names: tuple[str, ...]) -> Session:
        return replace(self, names=names)

    def _loads(self) -> bool:
        try:
            self._ask([], _FILLS[0], min(_LOAD_SECONDS, self.run_seconds))
        except (LoadError, LateError):
            return False
        return True

    def ask_twice(self, commands: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the answers under either fill; to what was given up `is_late` is true."""
        # acpiexec sleeps 10 ms after every command: the two runs cost the time of one.
        with ThreadPoolExecutor(len(_FILLS)) as pool:
            first, second = pool.map(lambda fill: self._patiently(commands, fill), _FILLS)
        return first, second

    def _patiently(self, commands: Sequence[str], fill: int) -> dict[str, str]:
        """Return the answers; a command that holds up the others is given up, a few times at most."""
        answers: dict[str, str] = {}
        left, late = list(commands), 0
        while True:
            try:
                return answers | self._ask(left, fill, self.run_seconds)
            except LateError as error:
                done = error.answered - 1  # the first answer is that to _PIC
                late += 1
                if done < 0 or late > _LATE_MAX or not left or time.monotonic() >= self.deadline:
                    raise
                answers |= dict(zip(left, error.answers[1:], strict=False))
                answers[left[done]] = _LATE
                del left[: done + 1]

    def _ask(self, commands: Sequence[str], fill: int, seconds: float) -> dict[str, str]:
        asked = [_APIC_MODE, *commands]
        until = min(self.deadline, time.monotonic() + seconds)
        texts = acpiexec.answers(self.folder, self.names, asked, fill, until)
        status = acpiexec_text.failure(texts[0])
        # Without a _PIC the firmware has one table only.
        if status not in (None, "AE_NOT_FOUND"):
            raise AcpiexecError(f"\\_PIC(1) failed with {status}")
        return dict(zip(commands, texts[1:], strict=True))
