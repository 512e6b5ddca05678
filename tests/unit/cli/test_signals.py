"""A signal while the command is still loading ends it in one line, whatever was being imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("home")

WHILE_IMPORTED = (
    "import os, signal, time\nos.kill(os.getpid(), signal.{name})\ntime.sleep(0.2)\nraise SystemExit(7)\n"
)
# Python 3.11 makes a RuntimeError of whatever is raised there.
IN_A_CLASS = """
import os, signal, time

class Descriptor:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.2)

class Owner:
    member = Descriptor()
"""


def run(folder: Path, module: str, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a module of ours in the place of a library's."""
    (folder / f"{module}.py").write_text(text)
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "bringup", *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("text", [WHILE_IMPORTED, IN_A_CLASS])
@pytest.mark.parametrize("module", ["click", "pydantic"])
def test_a_signal_while_loading_is_one_line_and_130(
    tmp_path: Path, module: str, text: str, name: str
) -> None:
    done = run(tmp_path, module, text.format(name=name), "boards", "show", "supermicro-e300-9d")
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_nohup_holds_from_the_beginning(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = run(tmp_path, "click", WHILE_IMPORTED.format(name="SIGHUP"), "boards")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.returncode == 7
