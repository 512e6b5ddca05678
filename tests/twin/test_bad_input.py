"""Bad input and bad surroundings, each through the whole command: one sentence, whose fault, nothing left."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from tests.doubles.servers import NoCipher, virtual_bmc
from tests.twin.helpers import Cli, Outcome, assert_nothing_left, processes_of

pytestmark = pytest.mark.slow

LAB = """
[boards.rack1]
profile = "supermicro-e300-9d"
macs = ["52:54:00:00:00:01"]
bmc = {{ address = "127.0.0.1", port = {port}, user = "admin", password = {{ env = "RACK1_PASSWORD" }} }}

[boards.rack1.network]
interface = "br77"
mode = "own-segment"
address = "192.168.77.1/24"
board_address = "192.168.77.30"
"""


@pytest.fixture
def image(tmp_path: Path) -> tuple[str, str]:
    """A kernel that passes every check (the stand-in) and a module."""
    from bringup.image.standin import standin_kernel, write_module

    module = tmp_path / "module"
    write_module(module, 4096)
    return str(standin_kernel()), str(module)


def lab(cli: Cli, port: int) -> None:
    (cli.folder / "lab.toml").write_text(LAB.format(port=port))


def sentence(outcome: Outcome, cli: Cli, code: int) -> str:
    """One cause in the JSON object, the exit code of whose fault it is, nothing left running."""
    assert outcome.code == code, outcome.out + outcome.err
    assert_nothing_left(cli.home)
    cause = outcome.json["cause"]
    assert isinstance(cause, str)
    assert "\n" not in cause
    return cause


def test_wrong_password(cli: Cli, image: tuple[str, str]) -> None:
    with virtual_bmc() as bmc:
        lab(cli, bmc.port)
        outcome = cli("boot", "rack1", *image, "--json", RACK1_PASSWORD="not-this-one")
        assert "refused the password of user admin" in sentence(outcome, cli, 10)
        assert bmc.actions() == []
        runs = cli.home / "state" / "runs"
        assert not any(b"not-this-one" in path.read_bytes() for path in runs.rglob("*") if path.is_file())


def test_a_password_that_is_not_there(cli: Cli, image: tuple[str, str]) -> None:
    lab(cli, 9)
    assert "RACK1_PASSWORD" in sentence(cli("boot", "rack1", *image, "--json"), cli, 10)


def test_no_common_cipher(cli: Cli, image: tuple[str, str]) -> None:
    bmc = NoCipher()
    try:
        lab(cli, bmc.port)
        outcome = cli("boot", "rack1", *image, "--json", RACK1_PASSWORD="secret")
    finally:
        bmc.close()
    assert "neither cipher suite 17 nor 3" in sentence(outcome, cli, 10)


def test_unreachable_bmc(cli: Cli, image: tuple[str, str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))  # listens, and never answers
        lab(cli, taken.getsockname()[1])
        outcome = cli("boot", "rack1", *image, "--json", RACK1_PASSWORD="secret")
        assert "no answer from the BMC at 127.0.0.1" in sentence(outcome, cli, 10)


def test_a_network_interface_that_is_not_there(cli: Cli, image: tuple[str, str]) -> None:
    with virtual_bmc() as bmc:
        lab(cli, bmc.port)
        outcome = cli("boot", "rack1", *image, "--json", RACK1_PASSWORD=bmc.password)
        assert "no address 192.168.77.1" in sentence(outcome, cli, 10)
        assert bmc.actions() == []  # refused before power


def test_a_real_board_needs_an_image(cli: Cli) -> None:
    lab(cli, 9)
    assert "no image named for rack1" in sentence(cli("boot", "rack1", "--json"), cli, 2)


def test_busy_port_of_the_twins_bmc(cli: Cli) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = cli("twin", "up", "--port", str(taken.getsockname()[1]), "--json")
        assert "cannot listen on 127.0.0.1 port" in sentence(outcome, cli, 10)


def test_multiboot_1_alone_does_not_go_to_uefi(cli: Cli, tmp_path: Path) -> None:
    # An ELF32 file of one segment with a multiboot 1 header (Multiboot 0.6.96, 3.1) and no other.
    header = struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF)
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    elf = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x100060, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, 0x100000, 0x100000, 4096, 4096, 5, 4096)
    kernel, module = tmp_path / "kernel", tmp_path / "module"
    kernel.write_bytes((elf + segment + header).ljust(4096, b"\x90"))
    module.write_bytes(os.urandom(100))
    outcome = cli("boot", "e300", str(kernel), str(module), "--firmware", "uefi", "--json")
    assert "multiboot 1" in sentence(outcome, cli, 11)
    assert cli("boot", "e300", str(kernel), str(module), "--dry-run", "--json").code == 0
    assert not processes_of(cli.home)
