"""Leases: one holder, named to the next, gone with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bringup.base.errors import BmcBusyError
from bringup.lab.lease import Lease

_HOLD = (
    "import sys, time\n"
    "from bringup.lab.lease import Lease\n"
    "with Lease('e300', 'boot'):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


def test_the_second_holder_learns_who_the_first_is(home: Path) -> None:
    with Lease("e300", "boot"), pytest.raises(BmcBusyError, match=f"process {os.getpid()}, boot"):
        Lease("e300", "power").__enter__()
    with Lease("e300", "power"):
        pass


def test_another_board_is_free(home: Path) -> None:
    with Lease("e300", "boot"), Lease("e301", "boot"):
        pass


def test_a_killed_holder_frees_the_board(home: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _HOLD], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(BmcBusyError):
        Lease("e300", "boot").__enter__()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    with Lease("e300", "boot"):
        pass
