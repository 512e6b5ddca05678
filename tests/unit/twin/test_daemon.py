"""The twin's own process: what it loads before it is up counts in every boot that starts a twin."""

from __future__ import annotations

import subprocess
import sys


def test_a_twin_that_plays_nothing_loads_nothing_that_plays() -> None:
    heavy = ("asyncio", "bringup.transcript.stages", "bringup.twin.scripted.boards")
    code = f"import sys, bringup.twin.daemon; print([name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
