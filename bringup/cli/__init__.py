"""The command line: one module per command, loaded only when that command runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from bringup import BringupError, InterruptedRunError, UsageError, __version__
from bringup.boot.signals import Signals
from bringup.cli.file_path import FilePath
from bringup.cli.lazy import LazyGroup

# name -> (module, one line for the overview).
_COMMANDS = {
    "boot": ("boot", "Boot a board from power-off to a verdict."),
    "reimage": ("reimage", "Write an image to a board's disk, boot it from there, keep it."),
    "slots": ("slots", "Show what is in the slots of a board's disk, and which one starts."),
    "rollback": ("rollback", "Let a board's disk start the image before the last change."),
    "probe-pci": ("probe_pci", "Say which PCI functions a VM can be given, and why."),
    "camkes": ("camkes.group", "Feed PCI truth back into a CAmkES configuration, and check one."),
    "pci": ("pci", "Compare two captures of PCI functions."),
    "boards": ("boards", "List boards and profiles, or explain one."),
    "power": ("power", "Ask for or change a board's power, confirmed."),
    "lease": ("lease", "Take a board for a time, and see who has which."),
    "media": ("media.group", "Make and write sticks and discs; a board's virtual media."),
    "console": ("console", "Attach to a board's console."),
    "explain": ("explain", "Say what a recorded console proves."),
    "doctor": ("doctor", "Check this host, the network and a board's BMC, and say how to mend them."),
    "report": ("report", "Write a run as one HTML page."),
    "runs": ("runs", "List what was booted, or show one run."),
    "verify": ("verify", "Make a plan's checks on a target, with evidence."),
    "vlab": ("vlab", "Two sites over WireGuard in namespaces: make, enter, end them."),
    "serve-rights": ("serve_rights", "Let a person serve boards without being root."),
    "twin": ("twin", "Start, end or enter the virtual board."),
}

# What reads this machine needs root's rights to read with, and gives them up afterwards.
_LOCAL = "--local"

_EPILOG = """\b
Example, without any hardware (the board is then the twin, a virtual SYS-E300-9D):
  bringup boot e300
Shell completion:
  eval "$(_BRINGUP_COMPLETE=bash_source bringup)"
"""


@click.group(
    cls=LazyGroup, table=_COMMANDS, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, "--version", message="bringup %(version)s")
@click.option(
    "--lab",
    "lab_file",
    type=FilePath(dir_okay=False),
    envvar="BRINGUP_LAB",
    help="The lab file (default: lab.toml here or above; without one, the board e300 is the twin).",
)
def root(lab_file: Path | None) -> None:  # `lab_of` reads it
    """Bring a board from "power cable plugged" to a running seL4 image, and say how far it came."""


def main() -> None:
    """Run the command line; every failure becomes one sentence and the exit code of whose fault it is."""
    Signals.process_ends = True
    signals = Signals()
    signals.heed()
    if os.geteuid() == 0 and "SUDO_UID" in os.environ and _LOCAL not in sys.argv[1:]:
        from bringup.base.privilege import become_person

        become_person()
    # No plugin of it is meant for this, and to look for one is to read about every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.umask(0o077)  # runs hold what a board printed, and twins a password: nobody else's business
    if "_BRINGUP_COMPLETE" in os.environ:
        from bringup.cli.complete import complete_for_bash

        complete_for_bash()
    try:
        result = root.main(standalone_mode=False, prog_name="bringup")
        code = result if isinstance(result, int) else 0
    except click.ClickException as mistake:
        code = _tell_mistake(mistake)
    except BringupError as error:
        _tell(error)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = _tell_interrupt()
    except Exception as error:  # noqa: BLE001  # a person gets a sentence; the rest goes to a file
        # What was being imported may have made something else of an interrupt.
        if signals.heard:
            code = _tell_interrupt()
        elif isinstance(error, PermissionError) and error.filename is not None:
            code = _tell_closed(error)
        else:
            code = _tell_bug(error)
    sys.exit(code)


def _tell(error: BringupError) -> None:
    from bringup.report.output import show_error

    show_error(error, as_json="--json" in sys.argv[1:])


def _tell_interrupt() -> int:
    _tell(InterruptedRunError("interrupted"))
    return InterruptedRunError.exit_code


def _tell_mistake(mistake: click.ClickException) -> int:
    if "--json" in sys.argv[1:]:
        _tell(UsageError(mistake.format_message()))
    else:
        mistake.show()
    return mistake.exit_code


def _tell_closed(error: PermissionError) -> int:
    """Tell of a file that this user may not reach, wherever that was found out."""
    from bringup.base.errors import reason_of

    told = UsageError(
        f"{error.filename} may not be reached: {reason_of(error)}",
        hint="`namei -l` of it shows whose the folders on the way are",
    )
    _tell(told)
    return told.exit_code


def _tell_bug(error: Exception) -> int:
    import time
    import traceback

    from bringup.base.paths import state_dir

    text = "".join(traceback.format_exception(error))
    try:
        report = state_dir() / f"bug-{time.strftime('%Y%m%d-%H%M%S')}.txt"
        report.write_text(text, encoding="utf-8")
        hint = f"report it with {report}"
    except (BringupError, OSError):
        hint = f"report it: {text.strip().splitlines()[-1]}"
    told = BringupError(f"bringup itself failed: {type(error).__name__}", hint=hint)
    _tell(told)
    return told.exit_code
