"""Errors by whose fault they are, each with one sentence and one next step.

The exit codes are fixed in docs/design.md ("Verdicts and exit codes"): 0 ok, 1 a bug in this tool, 2 wrong
usage, 3 undecided, 10 the lab, 11 the image, 12 the profile or configuration, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class BringupError(Exception):
    """Something a person has to know: `message` says what is wrong and where, `hint` what to do next.

    Subclasses set `exit_code` (what the process returns) and `fault` (the word used in verdicts).
    """

    exit_code: ClassVar[int] = 1
    fault: ClassVar[str] = "tool"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        """The public word for this kind of error: a row of `CODES`, its own or its nearest base's."""
        return next(_CODE_OF[kind] for kind in type(self).__mro__ if kind in _CODE_OF)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON data, whole, for another process."""
        return {"code": self.code, "message": self.message, "hint": self.hint}

    @staticmethod
    def from_dict(body: Mapping[str, Any]) -> BringupError:
        """Return the error that `to_dict` wrote, of the same kind; raises ValueError for anything else."""
        try:
            kind, message, hint = CODES[body["code"]], body["message"], body["hint"]
        except (KeyError, TypeError):
            raise ValueError("not an error of this tool") from None
        if not isinstance(message, str) or not isinstance(hint, str | None):
            raise ValueError("not an error of this tool")
        return kind(message, hint=hint)


class UsageError(BringupError):
    """The command line or a file named on it is wrong (exit 2)."""

    exit_code = 2
    fault = "usage"


class LabError(BringupError):
    """The BMC, the LAN, the cabling, credentials or this host stands in the way (exit 10)."""

    exit_code = 10
    fault = "lab"


class ImageError(BringupError):
    """The image cannot boot, or failed after hand-over (exit 11)."""

    exit_code = 11
    fault = "image"


class ProfileError(BringupError):
    """A profile, lab file or setting does not fit this unit (exit 12)."""

    exit_code = 12
    fault = "profile"


class InterruptedRunError(BringupError):
    """A person or a signal ended the command (exit 130); the message states how the board was left."""

    exit_code = 130
    fault = "interrupted"


class AuthenticationError(LabError):
    """The BMC answered and refused the user or the password."""


class CipherError(LabError):
    """The BMC answered and offers no cipher suite that this tool accepts (3 or 17)."""


class BmcTimeoutError(LabError):
    """The BMC did not answer in time, or nothing listens there."""


class LoginUnfinishedError(BmcTimeoutError):
    """The BMC answered, and fell silent in the middle of the login."""


class NoSessionError(LabError):
    """The BMC answered and gives this tool no session, for a reason that is not its user or password."""


class BmcBusyError(LabError):
    """The BMC answered that it is busy, or somebody else holds the console."""


class ConsoleHeldError(BmcBusyError):
    """Somebody else, who is known to be somebody else, has the console."""


class ConsoleLostError(LabError):
    """A console that was operational stopped being so."""


class ConsoleTakenError(ConsoleLostError):
    """A console that was ours is somebody else's now."""


class VmDeadError(LabError):
    """A VM gives no sign of life on the console, or cannot be logged in to."""


class NotObservedError(LabError):
    """What a console was asked for did not come, or never came whole."""


class PowerStuckError(LabError):
    """The BMC took a power command, and the board's power stayed as it was."""


class NotOfferedError(LabError):
    """This way of switching the board has no such command."""


class UnclearStateError(LabError):
    """The switch or BMC answered, and what it said settles nothing; the next answer may."""


class WrongBoardError(LabError):
    """What answers as a board's BMC is not the one that did before."""


class OverrideError(LabError):
    """The BMC refused a boot override, holds another one, or does not tell which it holds."""


class OverrideRefusedError(OverrideError):
    """The BMC did not take a boot override: what it held before still holds."""


class DiskError(LabError):
    """A disk, or the way to it, does not do what it is told; `why` says in a word what kind of trouble."""

    def __init__(self, message: str, why: str = "", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.why = why


class PortBusyError(LabError):
    """A port this tool has to listen on is taken."""


class NamespaceError(LabError):
    """This host does not let us make the private network of the twin."""


class MissingProgramError(LabError):
    """A program from the distribution is not installed; the hint names the package."""


class OutputError(LabError):
    """What was asked for cannot be written: standard output is closed, or its disk is full."""


CODES: Mapping[str, type[BringupError]] = {
    "bringup": BringupError,
    "usage": UsageError,
    "lab": LabError,
    "image": ImageError,
    "profile": ProfileError,
    "interrupted-run": InterruptedRunError,
    "authentication": AuthenticationError,
    "cipher": CipherError,
    "bmc-timeout": BmcTimeoutError,
    "bmc-busy": BmcBusyError,
    "console-held": ConsoleHeldError,
    "console-lost": ConsoleLostError,
    "console-taken": ConsoleTakenError,
    "power-stuck": PowerStuckError,
    "vm-dead": VmDeadError,
    "not-observed": NotObservedError,
    "not-offered": NotOfferedError,
    "login-unfinished": LoginUnfinishedError,
    "no-session": NoSessionError,
    "unclear-state": UnclearStateError,
    "override": OverrideError,
    "override-refused": OverrideRefusedError,
    "wrong-board": WrongBoardError,
    "disk": DiskError,
    "port-busy": PortBusyError,
    "namespace": NamespaceError,
    "missing-program": MissingProgramError,
    "output": OutputError,
}
"""The kinds of errors by their public words, which verdicts and other processes know them by."""

_CODE_OF = {kind: code for code, kind in CODES.items()}

FAULTS: Mapping[str, type[BringupError]] = {
    kind.fault: kind
    for kind in (BringupError, UsageError, LabError, ImageError, ProfileError, InterruptedRunError)
}
"""Whose fault it is -> the kind of error that says so and nothing more."""

EXIT_CODES: Mapping[str, int] = {
    "ok": 0,
    "undecided": 3,
    **{fault: kind.exit_code for fault, kind in FAULTS.items()},
}
"""Verdict -> what the process returns."""


def reason_of(error: OSError) -> str:
    """Return why the system refused something, as the end of a sentence: `permission denied`."""
    return (error.strerror or str(error)).lower()
