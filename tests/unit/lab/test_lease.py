"""Leases: one holder, named to the next, gone with its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bringup.base.errors import BmcBusyError, LabError
from bringup.lab.holder import RECORD_MAX, Holder, holder_in
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
    with Lease("e300", "boot"):
        with Lease("e301", "boot"), pytest.raises(BmcBusyError, match="e301"):
            Lease("e301", "power").__enter__()
        with pytest.raises(BmcBusyError, match="e300"):
            Lease("e300", "power").__enter__()


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


HOSTILE = [
    "[" * 5000,
    "[" * 1020,
    '{"who": "x", "pid": 1, "purpose": "y", "since": "x"}',
    '{"who": "x", "pid": 1, "purpose": "y", "since": -1e999}',
    '{"who": ["a", {}], "pid": 1, "purpose": "y", "since": 0}',
    "null",
    "\x00\xff",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_others_write_into_the_file_ends_nothing(home: Path, text: str) -> None:
    with Lease("e300", "boot") as lease:
        (path,) = home.rglob("lease-e300.json")
        with path.open("ab") as file:
            file.write(text.encode("latin-1") + b"\n")
        assert list(lease.notices()) == []
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(BmcBusyError, match="is held by another process"):
            Lease("e300", "power").__enter__()


def test_a_forged_name_is_short_and_steers_no_terminal(home: Path) -> None:
    with Lease("e300", "boot"):
        (path,) = home.rglob("lease-e300.json")
        forged = {"who": "\x1b]0;x\x07" + "m" * 800, "pid": 1, "purpose": "a\nok  e300 reached", "since": 0}
        path.write_text(json.dumps(forged) + "\n")
        with pytest.raises(BmcBusyError) as refused:
            Lease("e300", "power").__enter__()
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 200


def test_only_a_file_of_its_own_is_a_lease(home: Path, tmp_path: Path) -> None:
    with Lease("e300", "boot"):
        (path,) = home.rglob("lease-e300.json")
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    for put in (lambda: os.mkfifo(path), lambda: os.link(treasure, path), path.mkdir):
        path.rmdir() if path.is_dir() else path.unlink()
        put()
        with pytest.raises(LabError, match="cannot open the lease"):
            Lease("e300", "boot").__enter__()
    assert treasure.read_text() == "mine"


def test_a_refusal_names_the_way_past_where_there_is_one(home: Path) -> None:
    with Lease("e300", "boot"):
        for force, told in ((None, False), (False, True)):
            with pytest.raises(BmcBusyError) as refused:
                Lease("e300", "power off", force=force).__enter__()
            assert ("--force" in str(refused.value.hint)) is told


def test_a_full_disk_is_told_and_holds_nothing(tmp_path: Path) -> None:
    taker = (
        "import resource\n"
        "from bringup.base.errors import LabError\n"
        "from bringup.lab.lease import Lease\n"
        "hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))\n"
        "try:\n"
        "    Lease('e300', 'boot').__enter__()\n"
        "except LabError as error:\n"
        "    print(error.message, error.hint)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))\n"
        "with Lease('e300', 'boot'):\n"
        "    print('held')\n"
    )
    environment = {**os.environ, "BRINGUP_HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", taker], env=environment, capture_output=True, text=True, timeout=60
    ).stdout
    assert "cannot write the lease of e300" in told and "full" in told
    assert told.endswith("held\n")


def test_any_name_and_purpose_are_read_as_they_were_written() -> None:
    holder = Holder("\U0001f600" * 40, 4_194_304, "\U0001f600" * 80, 1.8e9)
    assert len(holder.to_line()) <= RECORD_MAX
    assert holder_in(holder.to_line()) == holder


def test_a_board_that_is_held_for_days_is_told_in_days() -> None:
    assert "for 2 d 1 h)" in str(Holder("jo", 7, "boot", time.time() - 49 * 3600 - 60))
