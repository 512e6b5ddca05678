"""The table of docs/faults.md: what a boot of the real command says of each fault, and how long that took.

A row: fault, where it acts, what happens, and for each engine the verdict's code and seconds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bringup.twin.faults.catalog import FAULTS
from tests.places import CHECKOUT

PAGE = CHECKOUT / "docs" / "faults.md"
ENGINES = ("qemu", "scripted")
BEGIN, END = "<!-- table: python bench/faults.py -->", "<!-- end of table -->"
HEAD = "| fault | acts on | what happens | twin | s | scripted | s |\n|---|---|---|---|---|---|---|\n"
TIMEOUT_S = 280
# A twin's own limits are shorter than the 60 s after which an override expires; a real board's are not.
PATIENT = {"override-expired"}
_LAB = '[boards.e300]\nprofile = "patient"\ntwin = true\n'
_PROFILE = """\
extends = "twin-e300-9d"
title = "twin with a real board's patience"
summary = "longer limits"
[sources]
t = "as the E300-9D's"
[stages]
firmware = { expected_s = 40, timeout_s = 180, grade = "INF", source = "t" }
dhcp = { expected_s = 60, timeout_s = 180, grade = "INF", source = "t" }
"""


@dataclass(frozen=True)
class Ran:
    """How a boot with a fault ended: the verdict's code, seconds from the command to its end."""

    code: str
    seconds: float
    body: dict[str, object]


def boot_with(name: str, engine: str, folder: Path) -> Ran:
    """Boot the stand-in with one fault, in a home and a folder of its own."""
    words = ["boot", "e300", "--engine", engine, "--fault", name, "--json"]
    if name in PATIENT:
        (folder / "boards").mkdir()
        (folder / "boards" / "patient.toml").write_text(_PROFILE)
        (folder / "lab.toml").write_text(_LAB)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BRINGUP_")}
    environment |= {"BRINGUP_HOME": str(folder / "home"), "PYTHONPATH": str(CHECKOUT)}
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bringup", *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    body = json.loads(done.stdout)
    return Ran(str(body["code"]), time.monotonic() - began_s, body)


def measure(name: str, engine: str) -> Ran:
    """Boot with a fault somewhere that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        return boot_with(name, engine, Path(folder))


def read_table(page: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Return, by fault and engine, the verdict and the seconds as they stand in the page."""
    table = re.search(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", page, re.DOTALL)
    assert table is not None, "no table"
    rows: dict[str, dict[str, tuple[str, str]]] = {}
    for line in table[1].splitlines()[2:]:
        name, _acts, _what, *cells = (cell.strip().strip("`") for cell in line.strip("|").split("|"))
        rows[name] = {engine: (cells[2 * at], cells[2 * at + 1]) for at, engine in enumerate(ENGINES)}
    return rows


def with_table(page: str, rows: dict[str, dict[str, tuple[str, str]]]) -> str:
    """Return the page with these rows, a dash where nothing was measured."""
    lines = [HEAD]
    for name, fault in FAULTS.items():
        cells = [f"`{name}`", fault.acts, fault.what]
        for engine in ENGINES:
            code, seconds = rows.get(name, {}).get(engine, ("-", "-"))
            cells += [f"`{code}`" if code != "-" else "-", seconds]
        lines.append(f"| {' | '.join(cells)} |\n")
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + "".join(lines) + END + rest.partition(END)[2]
