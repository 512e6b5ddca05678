"""Runs a program of the distribution that turns one thing into another, or says what to install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence

from bringup.base.errors import LabError, MissingProgramError, reason_of

_WORD = re.compile(r"\w")
_XORRISO_FAILURE = " : FAILURE : "
_FULL = re.compile(r"no space left|exceeds free space", re.IGNORECASE)


def search_path() -> str:
    """Return where programs are looked for: `ip` and dnsmasq lie in /sbin, which not all users search."""
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def find_program(program: str) -> str | None:
    """Return where a program lies, None where it is not installed."""
    return shutil.which(program, path=search_path())


def run_program(
    command: Sequence[str], package: str, *, timeout_s: float, data: bytes = b"", scratch: str | None = None
) -> bytes:
    """Run a program with `data` on its stdin and return its stdout.

    `scratch` is a folder for its temporary files, which a program that is killed leaves behind.
    Raises MissingProgramError, which names the package, and LabError with its last words when it fails or
    takes longer than `timeout_s`.
    """
    environment = {**os.environ, "LC_ALL": "C", **({} if scratch is None else {"TMPDIR": scratch})}
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=timeout_s, env=environment, check=False
        )
    except FileNotFoundError:
        raise MissingProgramError(
            f"the program {command[0]} is not installed", hint=f"apt install {package}"
        ) from None
    except OSError as error:  # no permission, or no program of this machine
        reason = reason_of(error)
        raise LabError(
            f"{command[0]} cannot be started: {reason}", hint=f"apt install --reinstall {package}"
        ) from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{command[0]} did not finish within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        reason = _reason(done.stderr.decode(errors="replace"))
        full = _FULL.search(reason) is not None
        hint = "free some space there, or write elsewhere" if full else f"apt install --reinstall {package}"
        raise LabError(f"{command[0]} failed: {reason}", hint=hint)
    return done.stdout


def _reason(words: str) -> str:
    """Return the line that says why: the last one with words, or the one that xorriso marks so before it."""
    lines = [line.strip() for line in words.splitlines() if _WORD.search(line)]
    marked = [line for line in lines if _XORRISO_FAILURE in line]
    return (marked or lines or ["no reason given"])[-1]
