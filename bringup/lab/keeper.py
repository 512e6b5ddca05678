"""Keeps a lease while its time runs: `python -m bringup.lab.keeper DESCRIPTOR MARK EVERY`.

It does nothing to the board. It ends when the time has run out, when the lease was released or is another's,
and whenever it is killed; the lease ends with it.
"""

from __future__ import annotations

import os
import sys
import time

from bringup.base.errors import BmcBusyError
from bringup.lab.reservation import ReservationFile

_LOOK_S = 0.5


def keep(file: ReservationFile, mark: int, every_s: float) -> None:
    """Show signs of life every `every_s` seconds until the lease of `mark` ends."""
    beaten_s = time.monotonic()
    while True:
        time.sleep(min(_LOOK_S, every_s))
        current = file.current_mark()
        if current != mark:
            return
        if time.monotonic() - beaten_s < every_s:
            continue
        beaten_s = time.monotonic()
        try:
            with file.guarded():
                if not file.beat(mark):
                    return
        except BmcBusyError:
            continue  # somebody looks at it; the next beat tells


def main() -> None:
    """Keep the lease that the starter took."""
    descriptor, mark, every = sys.argv[1:]
    os.write(1, b".")  # the starter waits for this sign
    os.close(1)
    keep(ReservationFile(int(descriptor)), int(mark), float(every))


if __name__ == "__main__":
    main()
