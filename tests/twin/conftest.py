"""Fixtures of the end-to-end tests: the real command line in a home of its own, nothing left afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.twin.helpers import Cli, processes_of


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The command line; the twin it may have left up is ended and must be gone."""
    home, folder = tmp_path / "home", tmp_path / "here"
    folder.mkdir()
    run = Cli(home, folder)
    yield run
    run("twin", "down")
    assert not processes_of(home)


@pytest.fixture(autouse=True)
def _needs_qemu(request: pytest.FixtureRequest) -> None:
    if "cli" in request.fixturenames and shutil.which("qemu-system-x86_64") is None:
        pytest.skip("QEMU is not installed: `make system`")
