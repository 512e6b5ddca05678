"""Power by command lines of the lab file: for PDUs, relays, smart plugs, labgrid, snmpset and what else.

    [boards.e300-1.power]
    on = "pdu on 3"
    off = "pdu off 3"
    status = ["pdu", "status", "3"]

A board is acted on only in a state that was read, so there is no driver without `status`: what was last asked
for is no knowledge of what is.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bringup.base.errors import BmcTimeoutError, LabError, MissingProgramError, UnclearStateError
from bringup.base.events import Emit
from bringup.base.paths import at_home
from bringup.power.base import Drivers, Person, Power, PowerState
from bringup.power.settings import power_settings
from bringup.profile.kinds import Seconds, Text

if TYPE_CHECKING:
    from bringup.lab.inventory import Board

_SHOWN_CHARACTERS = 200
_DEATH_S = 1.0
# A switch may need a moment until it knows its state; one whose words were never understood has had it.
_SAME_RUBBISH = 5


def open_drivers(board: Board, _emit: Emit, _person: Person | None) -> Drivers:
    """Return power by the board's command lines; a switch knows nothing of boot overrides.

    Raises ProfileError for what is wrong in lab.toml, MissingProgramError for a program that is not here.
    """
    commands = power_settings(board, Commands)
    folder = Path.cwd() if board.document is None else board.document.path.absolute().parent
    for words in (commands.on, commands.off, commands.status, commands.reset, commands.soft):
        if words is not None and shutil.which(_program(words, folder)) is None:
            raise MissingProgramError(
                f"{board.power_place}: the program {words[0]}, which switches {board.name}, is not here",
                hint="install it, or give its path: a relative one counts from the lab file's folder",
            )
    return Drivers(CommandPower(commands, folder))


def _command_line(value: Any) -> Any:
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"this is no command line: {str(error).lower()}") from None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError('expected a command line, such as "pdu on 3" or ["pdu", "on", "3"]')
    if not words[0] or any("\0" in word for word in words):
        raise ValueError("this command line names no program, or has a NUL in it")
    return words


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    return text


CommandLine = Annotated[tuple[str, ...], BeforeValidator(_command_line), Field(strict=False)]
Pattern = Annotated[Text, AfterValidator(_pattern)]


class Commands(BaseModel):
    """`[boards.NAME.power]` of this driver.

    Each command line is a list of words, or one text that is split into words as a shell does; no shell runs
    it. `on_if` and `off_if` are searched in what `status` prints. A command ends within `timeout_s` seconds.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    on: CommandLine
    off: CommandLine
    status: CommandLine
    reset: CommandLine | None = None
    soft: CommandLine | None = None
    on_if: Pattern = r"(?i)\bon\b"
    off_if: Pattern = r"(?i)\boff\b"
    timeout_s: Seconds = 20.0

    @model_validator(mode="after")
    def _both_or_neither(self) -> Commands:
        if len(self.model_fields_set & {"on_if", "off_if"}) == 1:
            raise ValueError("`on_if` and `off_if` go together: what is not on is not known to be off")
        return self


def state_in(output: str, commands: Commands) -> PowerState:
    """Return what the words of `status` say; UNKNOWN where they say neither, or both."""
    says_on, says_off = re.search(commands.on_if, output), re.search(commands.off_if, output)
    if bool(says_on) == bool(says_off):
        return PowerState.UNKNOWN
    return PowerState.ON if says_on else PowerState.OFF


class CommandPower(Power):
    """One board's power by command lines, which run in `folder`."""

    def __init__(self, commands: Commands, folder: Path) -> None:
        self._commands = commands
        self._folder = folder
        self._said, self._same, self._understood = "", 0, False

    def describe(self) -> str:
        """Return who switches."""
        return f"the command {self._commands.on[0]}"

    def state(self) -> PowerState:
        """Run `status` and read its words; raises UnclearStateError when they say neither or both.

        Raises LabError when it never said anything else: then waiting does not help.
        """
        output = self._run("status", self._commands.status)
        state = state_in(output, self._commands)
        self._note(output, state)
        if state is PowerState.UNKNOWN:
            raise (LabError if self._same >= _SAME_RUBBISH else UnclearStateError)(
                f"the status of {self.describe()} says neither on nor off, or both: {_last_line(output)}",
                hint="say in lab.toml what it prints: `on_if` and `off_if` are regular expressions",
            )
        return state

    def _note(self, output: str, state: PowerState) -> None:
        """Count how often a status that was never understood says the same."""
        self._understood = self._understood or state is not PowerState.UNKNOWN
        self._same = 0 if self._understood else self._same + 1 if output == self._said else 1
        self._said = output

    def on(self) -> None:
        """Run `on`."""
        self._run("on", self._commands.on)

    def off(self) -> None:
        """Run `off`."""
        self._run("off", self._commands.off)

    def reset(self) -> None:
        """Run `reset`; raises NotOfferedError where the lab file gives none."""
        if self._commands.reset is None:
            return super().reset()
        self._run("reset", self._commands.reset)
        return None

    def soft(self) -> None:
        """Run `soft`; raises NotOfferedError where the lab file gives none."""
        if self._commands.soft is None:
            return super().soft()
        self._run("soft", self._commands.soft)
        return None

    def _run(self, name: str, words: Sequence[str]) -> str:
        """Return what a command printed; raises LabError when it cannot be run, fails or does not end."""
        what = f"the command {words[0]} (power {name})"
        program = _program(words, self._folder)
        try:
            # The kernel ends it should we be killed; its group is ours to end when it takes too long.
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", program, *words[1:]],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(f"{what} could not be started: {error.strerror}") from None
        output, errors = self._finished(process, what)
        if process.returncode != 0:
            said = _last_line(errors.decode(errors="replace") or output.decode(errors="replace"))
            raise LabError(
                f"{what} ended with status {process.returncode}: {said}", hint="run it by hand once"
            )
        return output.decode(errors="replace")

    def _finished(self, process: subprocess.Popen[bytes], what: str) -> tuple[bytes, bytes]:
        try:
            return process.communicate(timeout=self._commands.timeout_s)
        except BaseException as reason:
            # Nothing of it may switch anything after it was given up.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_DEATH_S)
            if not isinstance(reason, subprocess.TimeoutExpired):
                raise
            raise BmcTimeoutError(
                f"{what} did not end within {self._commands.timeout_s:g} s",
                hint="run it by hand once; `timeout_s` in lab.toml gives it more time",
            ) from None


def _program(words: Sequence[str], folder: Path) -> str:
    """Return the program as it is looked for: by name on PATH, by path from the lab file's folder."""
    return str(folder / at_home(words[0])) if "/" in words[0] else words[0]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return repr(lines[-1].strip()[:_SHOWN_CHARACTERS]) if lines else "nothing"
