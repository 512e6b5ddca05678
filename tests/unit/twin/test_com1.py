"""The twin's COM1: whoever listens gets all from then on, nobody holds the board up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bringup.base.errors import ConsoleLostError, LabError
from bringup.twin.com1 import Com1Console, Com1Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Com1Server]:
    made = Com1Server(tmp_path)
    yield made
    made.close()


@pytest.fixture
def reader(server: Com1Server, tmp_path: Path) -> Iterator[Com1Console]:
    made = Com1Console(tmp_path)
    made.open(5.0)
    yield made
    made.close()


def read(reader: Com1Console, count: int) -> bytes:
    got = b""
    while len(got) < count and (data := reader.read(5.0)):
        got += data
    return got


def test_every_byte_since_it_was_opened_comes(
    server: Com1Server, reader: Com1Console, tmp_path: Path
) -> None:
    second = Com1Console(tmp_path)
    server.feed(b"one ")
    second.open(5.0)
    server.feed(bytes(range(256)))
    assert read(reader, 260) == b"one " + bytes(range(256))
    assert read(second, 256) == bytes(range(256))
    second.close()


def test_silence_is_no_loss_and_an_ended_twin_is_one(server: Com1Server, reader: Com1Console) -> None:
    assert reader.read(0.01) == b""
    server.close()
    with pytest.raises(ConsoleLostError, match="the twin was ended"):
        reader.read(5.0)


def test_a_reader_that_left_does_not_hold_up_the_others(
    server: Com1Server, reader: Com1Console, tmp_path: Path
) -> None:
    gone = Com1Console(tmp_path)
    gone.open(5.0)
    gone.close()
    for _ in range(3):
        server.feed(b"x")
    assert read(reader, 3) == b"xxx"


def test_a_reader_that_takes_nothing_does_not_stop_the_board(tmp_path: Path) -> None:
    server, stuck = Com1Server(tmp_path, send_timeout_s=0.05), Com1Console(tmp_path)
    stuck.open(5.0)
    for _ in range(64):
        server.feed(bytes(64 << 10))
    with pytest.raises(ConsoleLostError):
        for _ in range(4096):
            stuck.read(1.0)
    stuck.close()
    server.close()


def test_a_twin_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not give its COM1"):
        Com1Console(tmp_path).open(1.0)
    with pytest.raises(ConsoleLostError):
        Com1Console(tmp_path).read(0.1)


def test_nobody_types_there(reader: Com1Console) -> None:
    with pytest.raises(LabError, match="only recorded"):
        reader.write(b"x")
    with pytest.raises(LabError, match="only recorded"):
        reader.send_break()


def test_a_path_longer_than_a_socket_may_have(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    server, reader = Com1Server(folder), Com1Console(folder)
    reader.open(5.0)
    server.feed(b"heard")
    assert read(reader, 5) == b"heard"
    reader.close()
    server.close()
