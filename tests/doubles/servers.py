"""BMCs to test clients against, each a process of its own on a free loopback port.

`virtual_bmc` is this project's BMC with a make-believe board; `ipmi_sim` is OpenIPMI's, an independent
implementation. Both echo on their serial port. Both unpack as `address, port, user, password`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.relay import Relay

CHECKOUT = Path(__file__).parents[2]
ADDRESS = "127.0.0.1"
USER, PASSWORD = "admin", "s3cret-Pw_12"
START_TIMEOUT_S = 120.0
# Get Channel Authentication Capabilities outside a session (IPMI 2.0 22.13): anything alive answers it.
PROBE = bytes.fromhex("0600ff07 00 00000000 00000000 09 2018c8 81 00 38 8e 04 b5")


@dataclass
class Server:
    """Where a BMC listens and how to log in."""

    address: str
    port: int
    user: str
    password: str = field(repr=False)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.address, self.port, self.user, self.password))


@dataclass
class FakeBmc(Server):
    """A running `fake_bmc`: `tell` it things, read what was done to its board."""

    process: subprocess.Popen[str] = field(repr=False)
    done: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Send `freeze`, `thaw`, `burst N` or `say TEXT`."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def have(self, line: str) -> None:
        """Tell it something and return once it is so."""
        before = self._obeyed(line)
        self.tell(line)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._obeyed(line) == before:
            assert time.monotonic() < deadline, f"the fake board did not {line}"
            time.sleep(0.002)

    def _obeyed(self, line: str) -> int:
        return sum(entry.get("obeyed") == line for entry in list(self.done))

    def actions(self) -> list[str]:
        """What was done to the chassis so far, in order."""
        return [entry["chassis"] for entry in list(self.done) if "chassis" in entry]

    def wait_for(self, key: str, value: Any = None, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Return the first report with `key` (and value), waiting for it; fails the test when none comes."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for entry in list(self.done):
                if key in entry and value in (None, entry[key]):
                    return entry
            time.sleep(0.02)
        raise AssertionError(f"the fake board never reported {key} {value}: {self.done}")

    def kill(self) -> None:
        """End the process at once, as a BMC that loses its power."""
        self.process.kill()
        self.process.wait(timeout=30)


@contextlib.contextmanager
def virtual_bmc(
    *,
    user: str = USER,
    password: str = PASSWORD,
    privilege: str = "administrator",
    suites: tuple[int, ...] = (3, 17),
    port: int = 0,
    on: bool = False,
    ignore_power: bool = False,
    frozen_after_s: float | None = None,
    busy: int = 0,
    answers: str = "",
    state_file: Path | None = None,
    sol_bit_rate: int = 10,
) -> Iterator[FakeBmc]:
    """Run this project's BMC with a fake board; `busy` -1 answers node busy for ever.

    `answers` are completion codes for commands: "NETFN.COMMAND.CODE.TIMES" in hex, separated by commas.
    """
    command = [sys.executable, "-m", "tests.doubles.fake_bmc", "--user", user, "--privilege", privilege]
    command += ["--suites", ",".join(map(str, suites)), "--port", str(port), f"--busy={busy}"]
    command += ["--answers", answers, "--sol-bit-rate", str(sol_bit_rate)]
    command += ["--on"] * on + ["--ignore-power"] * ignore_power
    command += [] if frozen_after_s is None else ["--frozen-after", str(frozen_after_s)]
    command += [] if state_file is None else ["--state-file", str(state_file)]
    environment = {**os.environ, "FAKE_BMC_PASSWORD": password, "PYTHONPATH": str(CHECKOUT)}
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        lines = _lines_of(process)
        server = FakeBmc(
            ADDRESS, json.loads(lines.get(timeout=START_TIMEOUT_S))["port"], user, password, process
        )
        threading.Thread(target=_collect, args=(lines, server.done), daemon=True).start()
        yield server
    finally:
        _end(process)


def _lines_of(process: subprocess.Popen[str]) -> queue.Queue[str]:
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None

    def read(stream: Any) -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    return lines


def _collect(lines: queue.Queue[str], into: list[dict[str, Any]]) -> None:
    while line := lines.get():
        into.append(json.loads(line))


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        assert process.stdin is not None
        process.stdin.close()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=30)


@dataclass
class IpmiSim(Server):
    """A running OpenIPMI simulator; `uart` is the board's end of its serial port."""

    folder: Path
    uart: Uart = field(repr=False)
    process: subprocess.Popen[bytes] = field(repr=False)

    def calls(self) -> list[str]:
        """Every call of the chassis script so far, such as `set power 1` or `set boot pxe`."""
        log = self.folder / "calls"
        return log.read_text(encoding="ascii").splitlines() if log.exists() else []


class Uart:
    """A listening serial port that echoes, and answers a line `burst N` with N bytes."""

    def __init__(self) -> None:
        self.listener = socket.create_server((ADDRESS, 0))
        self.port = self.listener.getsockname()[1]
        self._connection: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def send(self, data: bytes) -> None:
        """Send as the board does; lost while nobody is connected."""
        if self._connection is not None:
            self._connection.sendall(data)

    def close(self) -> None:
        """Close both sockets."""
        for sock in (self.listener, self._connection):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()

    def _serve(self) -> None:
        from tests.doubles.fake_bmc import burst

        with contextlib.suppress(OSError):
            while True:
                self._connection, _ = self.listener.accept()
                line = b""
                while data := self._connection.recv(4096):
                    self._connection.sendall(data)
                    line = (line + data)[-200:]
                    while b"\r" in line:
                        asked, _, line = line.partition(b"\r")
                        if asked.startswith(b"burst "):
                            self._connection.sendall(burst(int(asked[6:])))


_CHASSIS_SCRIPT = """#!/bin/sh
# Called by ipmi_sim as: script get|set|check WHAT [VALUE]
cd "{folder}" || exit 1
echo "$*" >> calls
case "$1 $2" in
"get power") echo "power:$(cat power)" ;;
"get boot") echo "boot:$(cat boot)" ;;
"set power") echo "$3" > power ;;
"set boot") echo "$3" > boot ;;
"set shutdown") echo 0 > power ;;
"set reset" | "set identify") ;;
*) exit 1 ;;
esac
"""

_LAN_CONF = """name "{name}"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa1234567{port:08x}
  {bmc_key}
  endlan
  chassis_control "{folder}/chassis.sh"
  sol "tcp:127.0.0.1:{uart}" 115200
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
  user 3 true "operator" "{password}" operator 10 none md2 md5 straight
"""

_EMULATION = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""


@contextlib.contextmanager
def ipmi_sim(
    folder: Path,
    *,
    user: str = USER,
    password: str = PASSWORD,
    on: bool = False,
    uart: Uart | None = None,
    bmc_key: str | None = None,
) -> Iterator[IpmiSim]:
    """Run OpenIPMI's simulator with its files in `folder` (a test's tmp_path); skips when not installed.

    It speaks suites 0-3 and 6, loses the persistent and EFI bits of boot flags, and knows no `diag`. With
    `bmc_key` it wants that key (K_G) besides the password.
    """
    if shutil.which("ipmi_sim") is None:
        pytest.skip("ipmi_sim is not installed (package openipmi)")
    port, uart = _free_udp_port(), uart or Uart()
    values = {"name": f"sim{port}", "port": port, "uart": uart.port, "folder": folder}
    values["bmc_key"] = "" if bmc_key is None else f'bmc_key "{bmc_key}"'
    (folder / "lan.conf").write_text(_LAN_CONF.format(**values, user=user, password=password))
    (folder / "bmc.emu").write_text(_EMULATION)
    (folder / "power").write_text(f"{int(on)}\n")
    (folder / "boot").write_text("none\n")
    script = folder / "chassis.sh"
    script.write_text(_CHASSIS_SCRIPT.format(folder=folder))
    script.chmod(0o700)
    command = ["setpriv", "--pdeathsig", "KILL", "ipmi_sim", "-n", "-c", str(folder / "lan.conf")]
    command += ["-f", str(folder / "bmc.emu"), "-s", str(folder / "state")]
    with (folder / "ipmi_sim.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_until_it_answers(port, process, folder)
        yield IpmiSim(ADDRESS, port, user, password, folder, uart, process)
    finally:
        process.kill()
        process.wait(timeout=30)
        uart.close()


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        probe.connect((ADDRESS, port))
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                probe.send(PROBE)
                if probe.recv(200):
                    return
            time.sleep(0.05)
    raise AssertionError(f"ipmi_sim does not answer: {(folder / 'ipmi_sim.log').read_text()}")


class NoCipher:
    """A BMC that refuses every cipher suite (status 11h of IPMI 2.0 table 13-15)."""

    CAPABILITIES = bytes.fromhex(
        "0600ff07 00 00000000 00000000 10 81 1c 63 20 04 38 00 01 80 14 02 00000000 00"
    )

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                packet, client = self._socket.recvfrom(1000)
                if packet[4] == 0x06 and packet[5] == 0x10:
                    status = bytes([packet[16], 0x11, 0, 0]) + packet[20:24]
                    head = packet[:4] + bytes([0x06, 0x11]) + bytes(8) + len(status).to_bytes(2, "little")
                    self._socket.sendto(head + status, client)
                elif packet[4] == 0x00:
                    answer = bytearray(self.CAPABILITIES)
                    answer[18] = packet[18]  # the request's sequence number
                    self._socket.sendto(bytes(answer), client)

    def close(self) -> None:
        self._socket.close()


class DeafToSuite(Relay):
    """Drops what belongs to a login with cipher suite 17 (IPMI 2.0 table 13-9).

    `payload_type` is what it is deaf to: 0x10 the request to open a session, 0x12 RAKP message 1.
    `dropped` counts the packets; `server` is where to log in.
    """

    OPEN, RAKP1 = 0x10, 0x12

    def __init__(self, bmc: Server, payload_type: int) -> None:
        self.dropped = 0
        self._deaf_to = payload_type
        self._sha256 = False
        super().__init__((bmc.address, bmc.port), ADDRESS)
        self.server = Server(ADDRESS, self.port, bmc.user, bmc.password)

    def passes(self, packet: bytes, *, of_client: bool) -> bool:
        """Drop a client's packets of that type."""
        kind = packet[5] & 0x3F if of_client and packet[4] == 0x06 else None
        if kind == self.OPEN:
            self._sha256 = packet[28] == 3
        deaf = kind == self._deaf_to and self._sha256
        self.dropped += deaf
        return not deaf


class RefusesName(Relay):
    """Answers RAKP message 1 with `status` (IPMI 2.0 table 13-15) the first `times` times.

    `logins` counts those messages; `server` is where to log in.
    """

    RAKP1, RAKP2 = 0x12, 0x13

    def __init__(self, bmc: Server, status: int, times: int = 1_000_000, *, late_s: float = 0.0) -> None:
        self.logins = 0
        self._status = status
        self._times = times
        super().__init__((bmc.address, bmc.port), ADDRESS, late_s=late_s)
        self.server = Server(ADDRESS, self.port, bmc.user, bmc.password)

    def passes(self, packet: bytes, *, of_client: bool) -> bool:
        """Count the messages."""
        self.logins += of_client and packet[4] == 0x06 and packet[5] & 0x3F == self.RAKP1
        return True

    def altered(self, packet: bytes) -> bytes:
        """Make a refusal of an answer: the tag, the status, two reserved bytes and the client's session."""
        if packet[4] != 0x06 or packet[5] & 0x3F != self.RAKP2 or self.logins > self._times:
            return packet
        payload = bytes([packet[16], self._status, 0, 0]) + packet[20:24]
        return packet[:14] + len(payload).to_bytes(2, "little") + payload
