"""Seconds from the command `bringup boot BOARD IMAGE` to the BMC's power-on, for a real board's BMC.

python bench/power_on.py [--answer MS] [--rounds N] [--on] [--timeline] [--json FILE]

The BMC is this project's with a make-believe board, in a network namespace of its own; every packet of it
comes `--answer` milliseconds late. `--on`: the board is found on, and is cycled. `--timeline` prints what
the command did when, in the slowest round.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bringup.image.standin import standin_kernel, standin_module
from tests.doubles.relay import Relay
from tests.doubles.servers import ADDRESS, virtual_bmc
from tests.places import CHECKOUT

_INSIDE = "--inside"
_NETWORK = (
    "ip link set lo up",
    "ip link add br0 type bridge",
    "ip link add port0 type veth peer name board0",
    "ip addr add 10.77.0.1/24 dev br0",
    "ip link set port0 master br0 up",
    "ip link set board0 up",
    "ip link set br0 up",
)
_LAB = """[boards.b1]
profile = "supermicro-e300-9d"
macs = ["ac:1f:6b:0e:30:17"]
bmc = {{ address = "{address}", port = {port}, user = "{user}", password = {{ env = "BMCPW" }} }}
[boards.b1.network]
interface = "br0"
mode = "own-segment"
address = "10.77.0.1/24"
board_address = "10.77.0.30"
"""
_LONGEST_S = 90.0


@dataclass(frozen=True)
class Round:
    """One boot up to power-on: the seconds, those of them from the first event on, and the events."""

    seconds: float
    started_s: float
    events: list[dict[str, Any]]


def main() -> None:
    """Measure in a namespace of our own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answer", type=float, default=50.0, metavar="MS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--on", action="store_true")
    parser.add_argument("--timeline", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        again = ["unshare", "--user", "--map-root-user", "--net", sys.executable, __file__]
        raise SystemExit(subprocess.run([*again, *sys.argv[1:], _INSIDE], check=False).returncode)
    for line in _NETWORK:
        subprocess.run(line.split(), check=True)
    rounds = [measure(options.answer / 1000, on=options.on) for _ in range(options.rounds)]
    if options.timeline:
        print("\n".join(timeline(max(rounds, key=lambda each: each.seconds))))
    seconds = [round(each.seconds, 2) for each in rounds]
    result = {
        "answer_ms": options.answer,
        "found_on": options.on,
        "median_s": round(statistics.median(seconds), 2),
        "seconds": seconds,
        "start_of_command_s": round(statistics.median(each.started_s for each in rounds), 2),
    }
    print(f"a BMC that answers in {options.answer:.0f} ms: power-on {result['median_s']} s after the command")
    print(f"  rounds {seconds}, of it the command's own start {result['start_of_command_s']} s")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(late_s: float, *, on: bool) -> Round:
    """Boot until the BMC has been told to switch on, then interrupt the boot."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, virtual_bmc(on=on) as bmc:
        folder, relay = Path(name), Relay((bmc.address, bmc.port), ADDRESS, late_s=late_s)
        lab = _LAB.format(address=ADDRESS, port=relay.port, user=bmc.user)
        (folder / "lab.toml").write_text(lab)
        (folder / "lab.toml").chmod(0o600)
        (folder / "module").write_bytes(standin_module(1 << 20).read_bytes())
        command = [sys.executable, "-m", "bringup", "boot", "b1", str(standin_kernel()), "module"]
        began_s = time.monotonic()
        process = subprocess.Popen(
            [*command, "--events", *(["--restart"] if on else [])],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(CHECKOUT),
                "BRINGUP_HOME": str(folder / "home"),
                "XDG_RUNTIME_DIR": str(folder),
                "BMCPW": bmc.password,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        events: list[dict[str, Any]] = []
        first: queue.SimpleQueue[float] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process, events, first), daemon=True)
        reader.start()
        try:
            bmc.wait_for("chassis", "power_on", _LONGEST_S)
            seconds = time.monotonic() - began_s
        finally:
            process.send_signal(signal.SIGINT)
            reader.join(30)
            process.wait(30)
            relay.close()
        return Round(seconds, first.get() - began_s, events)


def _read(
    process: subprocess.Popen[str], events: list[dict[str, Any]], first: queue.SimpleQueue[float]
) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if not events:
            first.put(time.monotonic())
        events.append(json.loads(line))


def timeline(slowest: Round) -> list[str]:
    """Return a line for each event up to power-on, on the clock of the command."""
    lines = []
    for event in slowest.events:
        at_s = slowest.started_s + float(event.get("t", 0.0))
        state = event.get("data", {}).get("state", "")
        lines.append(f"{at_s:7.2f}  {event.get('kind', ''):20} {state:7} {event.get('text', '')[:90]}")
        if event.get("kind") == "power.action" and event.get("data", {}).get("action") == "on":
            break
    return lines


if __name__ == "__main__":
    main()
