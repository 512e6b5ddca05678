"""Plays every fault of the twin in a whole boot and writes verdict and seconds into docs/faults.md.

python bench/faults.py qemu|scripted [FAULT...]        all of an engine: 10 to 20 minutes
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bringup.twin.faults.catalog import FAULTS
from tests.doubles.fault_table import PAGE, measure, read_table, with_table


def main() -> None:
    """Print one line for each fault; a verdict other than the expected one is marked."""
    engine, *names = sys.argv[1:]
    for name in names or FAULTS:
        ran = measure(name, engine)
        expected = FAULTS[name].verdict_on(engine)
        mark = "" if ran.code == expected else f"   expected {expected}: {ran.body['cause']}"
        print(f"{name:24} {ran.code:20} {ran.seconds:6.1f} s{mark}", flush=True)
        page = PAGE.read_text(encoding="utf-8")
        rows = read_table(page)
        rows.setdefault(name, {})[engine] = (ran.code, f"{ran.seconds:.0f}")
        PAGE.write_text(with_table(page, rows), encoding="utf-8")


if __name__ == "__main__":
    main()
