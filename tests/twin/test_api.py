"""The example of docs/api.md, run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import places
from tests.twin.helpers import assert_nothing_left

pytestmark = pytest.mark.slow


def test_the_example_runs_on_the_twin(tmp_path: Path) -> None:
    page = (places.CHECKOUT / "docs" / "api.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={**os.environ, "BRINGUP_HOME": str(home), "PYTHONPATH": str(places.CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ok user-space 2" in done.stdout
    assert "0000:17:00.0 " in done.stdout
    assert "findings, " in done.stdout
    assert "vm0 gets 0000:17:00.0 on pin (0, " in done.stdout
    assert "passthrough.camkes checks clean" in done.stdout
    assert '#include "app.camkes"' in (tmp_path / "passthrough.camkes").read_text()
    assert_nothing_left(home)
