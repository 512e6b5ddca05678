"""Power and boot override against sushy-tools' emulator, which is nobody's double of ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bringup.base.errors import OverrideError
from bringup.lab.inventory import Board
from bringup.power.actions import Pace, confirmed_state, cycle, ensure_off, ensure_on
from bringup.power.base import BootOverride, PowerState
from bringup.power.open import open_drivers
from tests.doubles.fake_redfish import make_certificate
from tests.twin.helpers import PATIENCE_S, Cli, wait_for

pytestmark = pytest.mark.slow

UUID = "27946b59-9e44-4fa7-8e91-f3527a1ef094"
PASSWORD = "secret-of-the-emulator"
PACE = Pace(poll_s=0.2, off_pause_s=0.1, change_timeout_s=PATIENCE_S)
LAB = """\
[boards.e300-1]
profile = "supermicro-e300-9d"
macs = ["ac:1f:6b:0e:30:17"]
serial = "socket://127.0.0.1:1"
console_port = 0x2f8
bmc = {{ address = "127.0.0.1", user = "ADMIN", password = {{ file = "password" }} }}
power = {{ driver = "redfish", port = {port}, certificate = "{certificate}" }}
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """Start it on a port of this host; give the port and the SHA-256 of its certificate."""
    bcrypt = pytest.importorskip("bcrypt", reason="sushy-tools is not installed")
    key, certificate, digest = make_certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    login = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "htpasswd").write_text(f"ADMIN:{login}\n")
    settings = {
        "SUSHY_EMULATOR_LISTEN_IP": "127.0.0.1",
        "SUSHY_EMULATOR_LISTEN_PORT": port,
        "SUSHY_EMULATOR_SSL_CERT": str(certificate),
        "SUSHY_EMULATOR_SSL_KEY": str(key),
        "SUSHY_EMULATOR_AUTH_FILE": str(tmp_path / "htpasswd"),
        "SUSHY_EMULATOR_STATE_DIR": str(tmp_path),
        "SUSHY_EMULATOR_FAKE_DRIVER": True,
    }
    (tmp_path / "emulator.conf").write_text(
        "".join(f"{key} = {value!r}\n" for key, value in settings.items())
    )
    command = [sys.executable, "-m", "sushy_tools.emulator.main", "--config", str(tmp_path / "emulator.conf")]
    with (tmp_path / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    try:
        assert wait_for(lambda: _listens(port)), (tmp_path / "emulator.log").read_text()
        yield port, digest
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def board(tmp_path: Path, emulator: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> Board:
    from bringup import load_lab

    monkeypatch.setenv("BRINGUP_HOME", str(tmp_path / "home"))
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    port, certificate = emulator
    (tmp_path / "lab.toml").write_text(LAB.format(port=port, certificate=certificate))
    return load_lab(tmp_path / "lab.toml").board("e300-1")


def ignore(_event: object) -> None:
    return


def test_power_follows_and_is_confirmed(board: Board) -> None:
    drivers = open_drivers(board)
    assert confirmed_state(drivers.power, PACE) is PowerState.OFF
    assert ensure_on(drivers.power, ignore, PACE).after is PowerState.ON
    assert cycle(drivers.power, ignore, PACE).after is PowerState.ON
    assert ensure_off(drivers.power, ignore, PACE).after is PowerState.OFF
    assert drivers.identified is not None
    assert drivers.identified.identity() == f"GUID {UUID}"


def test_an_override_is_read_back_and_one_that_is_kept_for_ever_is_not_once(board: Board) -> None:
    override = open_drivers(board).override
    assert override is not None
    for uefi in (False, True):
        always = BootOverride("network", persistent=True, uefi=uefi)
        assert override.set(always)
        assert override.read() == always
    # The emulator makes every override a lasting one; that is told, not taken for what was asked.
    with pytest.raises(OverrideError, match="asked for network once, UEFI on, it holds network always"):
        override.set(BootOverride("network", uefi=True))
    override.clear()
    assert override.read() == BootOverride("none")


def test_a_disc_is_fetched_shown_and_taken_out(board: Board, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "rescue.iso").write_bytes(b"CD001" * 1000)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/rescue.iso"
        words = ("--lab", str(tmp_path / "lab.toml"), "media", "e300-1")
        inserted = cli(*words, "insert", url, "--json")
        assert (inserted.code, inserted.json["drives"][0]["image"]) == (0, url), inserted.err
        assert url in cli(*words).out
        assert cli(*words, "eject").code == 0
        assert url not in cli(*words).out
    finally:
        server.shutdown()
        server.server_close()


def test_a_file_of_this_host_is_served_to_the_bmc_until_it_is_taken_out(
    board: Board, tmp_path: Path, cli: Cli
) -> None:
    (tmp_path / "rescue.iso").write_bytes(bytes(range(256)) * 100)
    words = ("--lab", str(tmp_path / "lab.toml"), "media", "e300-1")
    serving = cli.popen(*words, "insert", str(tmp_path / "rescue.iso"), "--json")
    try:

        def shown() -> str | None:
            drives = cli(*words, "--json").json["drives"]
            return next((drive["image"] for drive in drives if drive["image"]), None)

        url = wait_for(shown)
        part = subprocess.run(
            ["curl", "-sS", "--max-time", "60", "-r", "256-259", url], capture_output=True, check=True
        )
        assert part.stdout == bytes(range(4))
        other = url.rpartition("/")[0] + "/lab.toml"
        status = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "60", other]
        assert subprocess.run(status, capture_output=True, check=True).stdout == b"404"
        assert cli(*words, "eject").code == 0
        out, err = serving.communicate(timeout=PATIENCE_S)
        assert serving.returncode == 0, err
        assert json.loads(out)["drives"][0]["image"] == url
    finally:
        serving.kill()


def test_the_command_line_switches_it(board: Board, tmp_path: Path, cli: Cli) -> None:
    lab = str(tmp_path / "lab.toml")
    switched = cli("--lab", lab, "power", "e300-1", "on", "--json")
    assert (switched.code, switched.json["state"]) == (0, "on"), switched.err
    again = cli("--lab", lab, "power", "e300-1")
    assert f"e300-1 is on  (Redfish at 127.0.0.1 port {board.power_table['port']})" in again.out
    shown = cli("--lab", lab, "boards", "show", "e300-1", "--json").out
    assert PASSWORD not in shown and json.loads(shown)
