"""The twin's monitor socket: one question, one answer, whatever is sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bringup.base.errors import LabError
from bringup.twin.monitor import MonitorServer, ask_monitor


def answer(command: str) -> str:
    if command == "off":
        raise LabError("the twin's board is off")
    return f"{command}: " + "x" * 200_000 + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose socket's path is longer than a socket's path may be."""
    folder = tmp_path / ("deep" * 20) / ("er" * 20)
    folder.mkdir(parents=True)
    server = MonitorServer(folder, answer)
    yield folder
    server.close()


def test_an_answer_of_any_length(folder: Path) -> None:
    assert ask_monitor(folder, "info pci").startswith("info pci: xxx")
    assert len(ask_monitor(folder, "a\nb")) == len("a\nb: ") + 200_001


def test_a_refusal_is_the_sentence_of_the_other_side(folder: Path) -> None:
    with pytest.raises(LabError, match="board is off"):
        ask_monitor(folder, "off")


@pytest.mark.parametrize("sent", [b"", b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"command"', b"x" * 5000])
def test_nonsense_does_not_end_it(folder: Path, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("monitor")
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)
    assert ask_monitor(folder, "still there").startswith("still there")


def test_a_twin_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not answer on its monitor"):
        ask_monitor(tmp_path, "info pci")
    with pytest.raises(LabError):
        ask_monitor(tmp_path / "absent", "info pci")
