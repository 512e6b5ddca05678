"""Fixtures every test may use: a home of its own for whatever the tool writes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# An example that takes seconds is a mistake; one that takes 200 ms, hypothesis' own limit, is a busy machine.
settings.register_profile("bringup", deadline=5000)
settings.load_profile("bringup")


# A shell ignores SIGINT for what it starts with `&`, nohup SIGHUP; processes started here would inherit that.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All state, cache and runtime files below a folder of this test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BRINGUP_HOME", str(folder))
    monkeypatch.delenv("BRINGUP_LAB", raising=False)
    return folder


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, so that no lab file above the checkout is found."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hardware", action="store_true", help="run tests that talk to a real board")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--hardware"):
        return
    reason = pytest.mark.skip(reason="talks to a real board: only with --hardware")
    for item in items:
        if item.get_closest_marker("hardware") is not None:
            item.add_marker(reason)
