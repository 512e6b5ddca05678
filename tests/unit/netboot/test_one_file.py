"""One file for one client: what is answered, and to whom."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bringup.base.errors import LabError
from bringup.netboot.one_file import OneFile, address_towards


def ask(*words: str) -> tuple[str, bytes]:
    command = ["curl", "-sS", "--max-time", "10", "-w", "%{stderr}%{http_code}", *words]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stderr.decode(), done.stdout


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "rescue.iso"
    path.write_bytes(bytes(range(256)) * 16)
    return path


def test_head_ranges_and_the_whole(image: Path) -> None:
    told: list[str] = []
    with OneFile(image, "127.0.0.1", told.append) as file:
        assert file.url.endswith("/rescue.iso")
        assert ask(file.url) == ("200", image.read_bytes())
        assert ask("-r", "4-7", file.url) == ("206", bytes([4, 5, 6, 7]))
        code, head = ask("-I", file.url)
        assert code == "200"
        assert b"Content-Length: 4096" in head and b"Accept-Ranges: bytes" in head
    assert told == ["GET all of it", "GET bytes=4-7", "HEAD all of it"]
    with pytest.raises(subprocess.CalledProcessError):
        ask(file.url)


def test_nothing_else_is_answered(image: Path) -> None:
    with OneFile(image, "127.0.0.1", lambda _what: None) as file:
        folder = file.url.rpartition("/")[0]
        for url in (
            f"{folder}/",
            f"{folder}/../rescue.iso",
            file.url.replace("/rescue", "x/rescue"),
            f"{file.url}/",
        ):
            assert ask("--path-as-is", url)[0] == "404"
        assert ask("-X", "PUT", "-d", "x", file.url)[0] == "405"


def test_whoever_is_not_the_client_is_answered_nothing(image: Path) -> None:
    with OneFile(image, "127.0.0.2", lambda _what: None) as file:
        assert ask("--interface", "127.0.0.3", file.url)[0] == "404"
        assert ask("--interface", "127.0.0.2", file.url)[0] == "200"


def test_a_client_that_is_nowhere() -> None:
    with pytest.raises(LabError, match=r"no way to no-such-host\.invalid"):
        address_towards("no-such-host.invalid")
