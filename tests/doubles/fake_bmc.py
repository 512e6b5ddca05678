"""A BMC with a make-believe board, as a process of its own: `python -m tests.doubles.fake_bmc`.

Prints `{"port": N}` when it listens, then one JSON line for each thing done to the board: `{"chassis":
"power_on"}`, `{"post": {"device": "network", ...}}`. Ends when stdin closes. Lines on stdin: `freeze`,
`thaw`, `burst N` (the board sends N bytes on its serial port), `stream N RATE` (as many, RATE a second, then
`{"streamed": N}`), `say TEXT`, `drop` (the BMC ends the console).

The board's UART is a loop-back plug: it echoes whatever the power; a line `burst N` sends N bytes back.
The password is taken from FAKE_BMC_PASSWORD.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bringup.twin.bmc.commands import COMMANDS
from bringup.twin.bmc.request import Code, Request
from bringup.twin.bmc.server import VirtualBmc

CYCLE_PAUSE_S = 0.3
STREAM_PIECE = 72
BURST_LINE = b"0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXY"


def burst(size: int) -> bytes:
    """Return `size` bytes of numbered lines of 72 bytes, so that a lost piece is easy to see."""
    lines = (b"%08d%s\r\n" % (number, BURST_LINE) for number in range(size // 72 + 1))
    return b"".join(lines)[:size]


class FakeChassis:
    """Power as a flag, a UART that echoes."""

    def __init__(self, *, on: bool, ignore_power: bool) -> None:
        self.bmc: VirtualBmc | None = None
        self._on = on
        self._ignore_power = ignore_power
        self._line = bytearray()

    def is_on(self) -> bool:
        return self._on

    def power_on(self) -> None:
        report({"chassis": "power_on"})
        if not self._ignore_power and not self._on:
            self._switch(True)

    def power_off(self) -> None:
        report({"chassis": "power_off"})
        if not self._ignore_power and self._on:
            self._switch(False)

    def power_cycle(self) -> None:
        report({"chassis": "power_cycle"})
        if not self._ignore_power:
            self._switch(False)
            threading.Timer(CYCLE_PAUSE_S, self._switch, [True]).start()

    def reset(self) -> None:
        report({"chassis": "reset"})
        if not self._ignore_power:
            self._post()

    def soft_off(self) -> None:
        report({"chassis": "soft_off"})
        if not self._ignore_power and self._on:
            self._switch(False)

    def pulse_diag(self) -> None:
        report({"chassis": "pulse_diag"})

    def send_break(self) -> None:
        report({"chassis": "send_break"})

    def write_serial(self, data: bytes) -> None:
        self.say(data)
        self._line += data
        while b"\r" in self._line:
            line, _, rest = self._line.partition(b"\r")
            self._line = bytearray(rest)
            if line.startswith(b"burst "):
                self.say(burst(int(line[6:])))

    def say(self, data: bytes) -> None:
        assert self.bmc is not None
        for start in range(0, len(data), 4096):
            self.bmc.serial_output(data[start : start + 4096])

    def stream(self, size: int, rate: int) -> None:
        """Send numbered lines at the pace of a UART; what it could not send in time it sends at once."""
        data, began_s = burst(size), time.monotonic()
        for start in range(0, size, STREAM_PIECE):
            time.sleep(max(0.0, began_s + start / rate - time.monotonic()))
            self.say(data[start : start + STREAM_PIECE])
        report({"streamed": size})

    def _switch(self, on: bool) -> None:
        assert self.bmc is not None
        self._on = on
        self.bmc.log_power(on)
        if on:
            self._post()

    def _post(self) -> None:
        assert self.bmc is not None
        flags = self.bmc.take_boot_flags()
        report({"post": {"device": flags.device, "uefi": flags.uefi, "raw": flags.raw.hex()}})


def report(body: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(body) + "\n")
    sys.stdout.flush()


class Busy:
    """Answers "node busy" to the first commands of sessions, or to all of them when `times` is negative.

    Logging in and out still works, and what tools ask to get to know a BMC does not count.
    """

    _FREE = ((0x06, 0x01), (0x06, 0x3B), (0x06, 0x3C))

    def __init__(self, times: int) -> None:
        self._left = times

    def __call__(self, request: Request) -> int | None:
        command = (request.netfn, request.command)
        if request.session is None or command in self._FREE or command not in COMMANDS or not self._left:
            return None
        self._left -= 1
        return Code.NODE_BUSY


class Answers:
    """Answers some commands by completion codes: "NETFN.COMMAND.CODE.TIMES" in hex, by commas."""

    def __init__(self, text: str) -> None:
        self._rules = [[int(number, 16) for number in rule.split(".")] for rule in text.split(",") if rule]

    def __call__(self, request: Request) -> int | None:
        for rule in self._rules:
            netfn, command, code, times = rule
            if (netfn, command) == (request.netfn, request.command) and times:
                rule[3] -= 1
                return code
        return None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", default="admin")
    parser.add_argument("--privilege", default="administrator")
    parser.add_argument("--suites", default="3,17")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state-file", type=Path)
    parser.add_argument("--on", action="store_true", help="start with the board powered")
    parser.add_argument("--ignore-power", action="store_true", help="accept power commands, change nothing")
    parser.add_argument("--frozen-after", type=float, help="stop answering after so many seconds")
    parser.add_argument("--busy", type=int, default=0, help="answer node busy so many times (-1: for ever)")
    parser.add_argument("--sol-bit-rate", type=int, default=10, help="as IPMI 2.0 table 26-5 numbers it")
    parser.add_argument("--answers", default="", help="NETFN.COMMAND.CODE.TIMES in hex, by commas")
    return parser.parse_args()


def obey(bmc: VirtualBmc, chassis: FakeChassis, stop: threading.Event) -> None:
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word in ("freeze", "thaw"):
            bmc.frozen = word == "freeze"
        elif word == "burst":
            chassis.say(burst(int(rest)))
        elif word == "stream":
            size, rate = map(int, rest.split())
            threading.Thread(target=chassis.stream, args=(size, rate), daemon=True).start()
        elif word == "drop":
            bmc._sol.deactivate()
        elif word == "say":
            chassis.say(rest.encode() + b"\r\n")
        report({"obeyed": line.strip()})
    stop.set()


def main() -> None:
    options = arguments()
    chassis = FakeChassis(on=options.on, ignore_power=options.ignore_power)
    bmc = VirtualBmc(
        chassis,
        users={options.user: (os.environ["FAKE_BMC_PASSWORD"], options.privilege)},
        state_file=options.state_file,
        port=options.port,
        suites=tuple(int(suite) for suite in options.suites.split(",")),
        intercept=Busy(options.busy) if options.busy else Answers(options.answers),
    )
    chassis.bmc = bmc
    bmc._state.sol_bit_rates = dict.fromkeys((5, 6), options.sol_bit_rate)
    stop = threading.Event()
    threading.Thread(target=obey, args=(bmc, chassis, stop), daemon=True).start()
    if options.frozen_after is not None:
        timer = threading.Timer(options.frozen_after, lambda: setattr(bmc, "frozen", True))
        timer.daemon = True
        timer.start()
    report({"port": bmc.port})
    bmc.serve_forever(stop)
    os._exit(0)  # a UART write that blocks must not keep the process


if __name__ == "__main__":
    main()
