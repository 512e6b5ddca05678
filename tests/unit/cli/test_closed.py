"""A file that the user may not reach is told in a sentence, wherever that is found out."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import bringup.report.output  # noqa: F401  # another user may not be able to read modules any more
from bringup.base.errors import UsageError
from bringup.cli import main, root

pytestmark = pytest.mark.usefixtures("home", "in_folder")


def test_a_path_through_a_closed_folder_costs_a_sentence_and_exit_2(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    words = ["probe-pci", "--from", "x", "--svg", str(closed / "picture.svg"), "--split", "--tree"]
    with pytest.raises(UsageError, match="--split"):
        root.main(words, standalone_mode=False)
    words = words[:-2]
    closed.chmod(0)
    code, told = as_somebody_else(words)
    closed.chmod(0o700)
    assert code == 2, told
    assert f"usage: {closed}" in told and "permission denied" in told


def test_what_is_refused_of_no_file_is_a_bug() -> None:
    def refuse() -> str:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with pytest.raises(UsageError):  # loads what the other user cannot
        root.main(["boards", "show", "nobody"], standalone_mode=False)
    code, told = as_somebody_else(["boards"], refuse)
    assert code == 1, told
    assert "bringup itself failed: PermissionError" in told


def as_somebody_else(words: list[str], getcwd: Callable[[], str] = os.getcwd) -> tuple[int, str]:
    """Return the exit code of a command and what it told, of a user who is not root."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 2)
        os.getcwd = getcwd
        sys.argv, sys.stderr = ["bringup", *words], os.fdopen(2, "w")
        try:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            main()
        except SystemExit as end:
            os._exit(int(str(end.code)))
        finally:
            os._exit(99)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), click.unstyle(told)
