"""What a console loses: numbered lines through SOL under drops, losses and stalls, and how much is unmarked.

`run` lets a BMC's board print numbered lines, spoils the way to it as a schedule says, and counts what a
client showed: lines that are missing, and of those the ones without a mark where they are missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.doubles.fake_bmc import BURST_LINE
from tests.doubles.relay import Relay
from tests.doubles.servers import CHECKOUT, FakeBmc, virtual_bmc

LINE_BYTES = 72
_LINE = re.compile(rb"(\d{8})" + re.escape(BURST_LINE) + rb"|\0GAP ([0-9.]+)\0")
_AFTER_S = 12.0


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong `at_s` seconds after the board began to print, for `seconds`."""

    at_s: float
    kind: Literal["drop", "loss", "stall"]
    seconds: float = 0.0


def schedule(seed: int, span_s: float, *, drops: int, losses: int, stalls: int) -> list[Fault]:
    """Return that many faults at random moments, none before the one before has ended."""
    choose = random.Random(seed)
    kinds = [*["drop"] * drops, *["loss"] * losses, *["stall"] * stalls]
    choose.shuffle(kinds)
    slot_s = span_s / len(kinds)
    faults = []
    for number, kind in enumerate(kinds):
        seconds = choose.uniform(1.0, 10.0) if kind != "drop" else 0.0
        begin_s = number * slot_s + choose.uniform(0.0, max(0.0, slot_s - seconds - 2.0))
        faults.append(Fault(begin_s, kind, seconds))  # type: ignore[arg-type]
    return faults


@dataclass(frozen=True)
class Lost:
    """What a client lost, in bytes; `short` counts holes whose marks say less time than they took."""

    sent: int
    lost: int
    unmarked: int
    doubled: int
    holes: int
    marks: int
    short: int

    def __str__(self) -> str:
        return (
            f"{self.sent} bytes sent, {self.lost} lost in {self.holes} holes, {self.unmarked} of them "
            f"unmarked, {self.marks} marks, {self.short} too short, {self.doubled} bytes twice"
        )


def count(shown: bytes, lines: int, rate: int) -> Lost:
    """Compare what was shown, marks as NUL GAP seconds NUL in it, with `lines` lines sent at `rate`."""
    expected, missing, unmarked, doubled, holes, marks, short = 0, 0, 0, 0, 0, 0, 0
    marked_s: list[float] = []
    for match in [*_LINE.finditer(shown), None]:
        if match is not None and match.group(2):
            marks += 1
            marked_s.append(float(match.group(2)))
            continue
        number = lines if match is None else int(match.group(1))
        gone = number - expected
        if gone > 0:
            holes += 1
            missing += gone
            unmarked += 0 if marked_s else gone
            # Half a line may be on either side of a mark.
            short += bool(marked_s) and (gone - 2) * LINE_BYTES / rate > sum(marked_s)
        doubled += gone < 0
        expected = max(expected, number + 1)
        marked_s = []
    size = LINE_BYTES
    return Lost(lines * size, missing * size, unmarked * size, doubled * size, holes, marks, short)


class Client:
    """A program that shows a console on a terminal or a pipe of ours; started again when it ends."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._command, self._environment, self._folder = command, environment, folder
        self.shown = bytearray()
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_running, daemon=True)
        self._thread.start()

    def _keep_running(self) -> None:
        while not self._stop.is_set():
            ours, theirs = os.openpty()
            self.starts += 1
            self.process = subprocess.Popen(
                self._command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=self._folder,
                env={**os.environ, **self._environment},
            )  # fmt: skip
            os.close(theirs)
            with contextlib.suppress(OSError):
                while data := os.read(ours, 65536):
                    self.shown += data
            os.close(ours)
            self.process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self.signal(signal.SIGTERM)
        self._thread.join(5.0)
        self.signal(signal.SIGKILL)

    def text(self) -> bytes:
        """Return what was shown; a peer marks nothing."""
        return bytes(self.shown)


class Ours(Client):
    """`bringup console --listen --json`, whose marks come in order with the text."""

    def text(self) -> bytes:
        """Return what was shown, with its marks."""
        parts = []
        for line in self.shown.splitlines():
            with contextlib.suppress(ValueError):
                body = json.loads(line)
                if body.get("kind") == "console.data":
                    parts.append(body["text"].encode())
                elif body.get("kind") == "console.gap":
                    parts.append(b"\0GAP %.1f\0" % body["seconds"])
        return b"".join(parts)


LAB = """
[boards.rack1]
profile = "twin-e300-9d"
macs = ["52:54:00:00:00:01"]
bmc = {{ address = "{address}", port = {port}, user = "{user}", password = {{ env = "RACK1_PASSWORD" }} }}
"""


def ours(bmc: FakeBmc, relay: Relay, folder: Path) -> Client:
    """Return this checkout's console."""
    (folder / "lab.toml").write_text(LAB.format(address=relay.address, port=relay.port, user=bmc.user))
    command = [sys.executable, "-m", "bringup", "console", "rack1", "--listen", "--json"]
    paths = os.pathsep.join([str(CHECKOUT), *filter(None, sys.path)])
    environment = {"RACK1_PASSWORD": bmc.password, "BRINGUP_HOME": str(folder / "home"), "PYTHONPATH": paths}
    return Ours(command, environment, folder)


def ipmitool(bmc: FakeBmc, relay: Relay, folder: Path) -> Client:
    """Return `ipmitool sol activate`; what an ended one left active is deactivated first."""
    tool = f"ipmitool -I lanplus -C 3 -H {relay.address} -p {relay.port} -U {bmc.user} -E sol"
    return Client(
        ["sh", "-c", f"{tool} deactivate; exec {tool} activate"], {"IPMI_PASSWORD": bmc.password}, folder
    )


def ipmiconsole(bmc: FakeBmc, relay: Relay, folder: Path) -> Client:
    """Return FreeIPMI's console, which knows port 623 only."""
    settings = folder / "freeipmi.conf"
    settings.write_text(f"username {bmc.user}\npassword {bmc.password}\ncipher-suite-id 3\n")
    settings.chmod(0o600)
    return Client(["ipmiconsole", "-h", relay.address, f"--config-file={settings}"], {}, folder)


Peer = Callable[[FakeBmc, Relay, Path], Client]


@contextlib.contextmanager
def _attached(peer: Peer, folder: Path, host: str, port: int) -> Iterator[tuple[FakeBmc, Relay, Client]]:
    with virtual_bmc(port=port) as bmc:
        relay = Relay((bmc.address, bmc.port), host, bmc.port)
        client = peer(bmc, relay, folder)
        try:
            deadline_s = time.monotonic() + 20.0
            while b"are you there" not in client.shown and time.monotonic() < deadline_s:
                bmc.tell("say are you there")
                time.sleep(0.5)
            assert b"are you there" in client.shown, bytes(client.shown[-500:])
            yield bmc, relay, client
        finally:
            client.close()
            relay.close()


def run(
    peer: Peer,
    folder: Path,
    faults: list[Fault],
    *,
    size: int,
    rate: int,
    host: str = "127.0.0.2",
    port: int = 0,
) -> Lost:
    """Let `peer` show `size` bytes at `rate` bytes a second under `faults`; return what it lost.

    The way to its BMC leads over `host`, a loopback address that nobody else uses; `port` 0 takes a free one.
    """
    lines = size // LINE_BYTES
    with _attached(peer, folder, host, port) as (bmc, relay, client):
        bmc.tell(f"stream {lines * LINE_BYTES} {rate}")
        began_s = time.monotonic()
        for fault in faults:
            time.sleep(max(0.0, began_s + fault.at_s - time.monotonic()))
            _spoil(fault, bmc, relay, client)
        bmc.wait_for("streamed", timeout_s=size / rate + 120.0)
        time.sleep(_AFTER_S)
        client.signal(signal.SIGTERM)
        time.sleep(1.0)
        return count(client.text(), lines, rate)


def _spoil(fault: Fault, bmc: FakeBmc, relay: Relay, client: Client) -> None:
    if fault.kind == "drop":
        bmc.tell("drop")
    elif fault.kind == "loss":
        relay.cut = True
        time.sleep(fault.seconds)
        relay.cut = False
    else:
        client.signal(signal.SIGSTOP)
        time.sleep(fault.seconds)
        client.signal(signal.SIGCONT)
