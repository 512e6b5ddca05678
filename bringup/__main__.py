"""Where the command begins, also as `python -m bringup`.

A signal that comes while it is still loading ends it at once: nothing is begun that would have to be put
back, and an exception in the middle of an import ends in whatever that import makes of it.
"""

import gc
import os
import signal
import sys

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Load the command line and run it."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _end)
    from bringup.cli import main as command_line

    try:
        command_line()
    finally:
        # The interpreter looks through all that was loaded for what refers to itself, and then ends anyway.
        gc.freeze()


def _end(_number: int, _frame: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # Python puts the current folder before its own: a tftpy.py in a build folder would be taken for ours.
        del sys.path[0]
    main()
