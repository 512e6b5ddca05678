"""One way to a board: whoever works on it is named to all others, and nobody acts behind their back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.errors import BmcBusyError, LabError
from bringup.boot.place import BoardPlace
from bringup.boot.session import Session, known_as
from bringup.boot.signals import Signals
from bringup.lab.find import load_lab
from bringup.lab.inventory import twin_board
from bringup.lab.lease import Lease
from bringup.power.base import PowerState
from tests.unit.power.drivers.test_manual import Helper
from tests.unit.power.test_actions import Clock

pytestmark = pytest.mark.usefixtures("home")

BOARD = twin_board("e300")

_WORK = """
import sys
from bringup.base.errors import BmcBusyError
from bringup.boot.session import Session
from bringup.lab.inventory import twin_board

print("ready", flush=True)
sys.stdin.readline()
try:
    with Session(twin_board("e300"), "boot"):
        print("held", flush=True)
        sys.stdin.read()
except BmcBusyError as error:
    print(error.message, flush=True)
"""


def test_of_several_processes_that_race_one_works_and_the_others_learn_who(home: Path) -> None:
    pipe = subprocess.PIPE
    racers = [
        subprocess.Popen([sys.executable, "-c", _WORK], stdin=pipe, stdout=pipe, text=True) for _ in range(6)
    ]
    try:
        said: dict[int, str] = {}
        for racer in racers:
            assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            assert racer.stdout is not None
            said[racer.pid] = racer.stdout.readline().strip()
    finally:
        for racer in racers:
            racer.communicate(timeout=60)
    winners = [pid for pid, text in said.items() if text == "held"]
    assert len(winners) == 1, said
    refused = [text for text in said.values() if text != "held"]
    assert len(refused) == 5
    for text in refused:
        assert text.startswith("the board e300 is held by ")
        assert re.search(rf"\(process {winners[0]}, boot, for \d\d? s\)", text)


@pytest.mark.parametrize(
    "words",
    [
        ["boot", "e300"],
        ["probe-pci", "e300"],
        ["power", "e300", "on"],
        ["power", "e300", "off"],
        ["power", "e300", "cycle"],
        ["power", "e300", "reset"],
        ["power", "e300", "soft"],
        ["console", "e300"],
        ["twin", "down"],
    ],
)
def test_every_command_that_acts_on_a_held_board_is_refused_with_the_holders_name(
    home: Path, in_folder: Path, words: list[str]
) -> None:
    with Session(BOARD, "boot"):
        done = subprocess.run(
            [sys.executable, "-m", "bringup", *words],
            cwd=in_folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 10, done.stderr
    assert "is held by" in done.stderr
    assert f"(process {os.getpid()}, boot" in done.stderr


@pytest.mark.parametrize("words", [["power", "e300", "status"], ["console", "e300", "--listen"]])
def test_what_disturbs_nobody_needs_no_lease(home: Path, in_folder: Path, words: list[str]) -> None:
    with Session(BOARD, "boot"):
        done = subprocess.run(
            [sys.executable, "-m", "bringup", *words],
            cwd=in_folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "the twin e300 is not up" in done.stderr  # it came as far as the board itself


def test_who_forces_is_told_to_the_holder(home: Path) -> None:
    with Session(BOARD, "boot") as holder:
        assert list(holder.notices()) == []
        with Session(BOARD, "power off", force=True) as forced:
            assert forced.passed_over is not None
            assert (forced.passed_over.pid, forced.passed_over.purpose) == (os.getpid(), "boot")
        (notice,) = holder.notices()
        assert (notice.pid, notice.purpose) == (os.getpid(), "power off")
        assert list(holder.notices()) == []
        # Whoever forced holds nothing: the next one is refused in the first one's name.
        with pytest.raises(BmcBusyError, match=", boot,"):
            Session(BOARD, "probe").__enter__()


def test_force_on_a_free_board_is_an_ordinary_lease(home: Path) -> None:
    with Session(BOARD, "power off", force=True) as session:
        assert session.passed_over is None
        with pytest.raises(BmcBusyError, match=", power off,"):
            Session(BOARD, "boot").__enter__()


def test_boards_of_one_bmc_are_one_board_for_everybody(tmp_path: Path, home: Path) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    with (
        Lease("one", "boot", known_as="10.0.0.17:623", host_locks=locks),
        pytest.raises(BmcBusyError),
    ):
        Lease("other", "boot", known_as="10.0.0.17:623", host_locks=locks).__enter__()


def test_a_board_is_known_to_everybody_by_its_bmc_or_its_serial_line(tmp_path: Path) -> None:
    real = twin_board("e300")
    device, link = tmp_path / "ttyUSB0", tmp_path / "by-id"
    device.touch()
    link.symlink_to(device)
    lines = [replace(real, twin=False, power="manual", serial=str(path)) for path in (device, link)]
    assert [known_as(board) for board in lines] == [str(device)] * 2
    far = replace(real, twin=False, power="manual", serial="rfc2217://host:2217")
    assert known_as(far) == "rfc2217://host:2217"
    assert known_as(real) is None


def test_a_person_at_the_board_is_asked_once_for_all_runs_of_a_session() -> None:
    board = replace(twin_board("e300"), twin=False, power="manual", serial="/dev/ttyUSB0")
    helper = Helper("off", Clock())
    place, heard = BoardPlace(board, person=helper), list[str]()
    for run in ("first", "second"):
        drivers = place.drivers(lambda event, run=run: heard.append(f"{run}: {event.kind}"))  # type: ignore[misc]
        assert drivers.power.state() is PowerState.OFF
        drivers.close()
    assert len(helper.asked) == 1
    drivers.power.on()
    assert heard == ["first: power.ask", "second: power.ask"]


def test_a_torn_notice_waits_for_its_rest(home: Path) -> None:
    with Session(BOARD, "boot") as holder:
        (path,) = home.rglob("lease-e300.json")
        with path.open("ab") as file:
            file.write(b'{"who": "maria", "pid": 1, "purpose"')
            file.flush()
            assert list(holder.notices()) == []
            file.write(b': "power off", "since": 0}\nrubbish\n')
        (notice,) = holder.notices()
        assert notice.who == "maria"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_ending_signal_interrupts_and_is_restored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Signals() as signals:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            time.sleep(5)
        signals.ignore()
        os.kill(os.getpid(), number)
        signals.heed()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            time.sleep(5)
    assert signal.getsignal(number) == before


def test_a_signal_while_things_are_put_back_ends_what_would_follow() -> None:
    with Signals() as signals:
        signals.ignore()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # it interrupts nothing here
        with pytest.raises(KeyboardInterrupt):
            signals.heed()
        assert signals.heard
        signals.ignore()
        signals.heed()  # told once


def test_a_closed_terminal_ends_no_work_on_a_board(home: Path) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with Session(BOARD, "boot") as session:
        os.kill(os.getpid(), signal.SIGHUP)
        session.signals.heed()
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
    assert signal.getsignal(signal.SIGHUP) == before


def test_a_storm_of_signals_is_heard_once_and_nohup_is_kept() -> None:
    program = (
        "import os, signal, time\n"
        "from bringup.boot.signals import Signals\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with Signals():\n"
        "    os.kill(os.getpid(), signal.SIGHUP); time.sleep(0.1)\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "    except KeyboardInterrupt:\n"
        "        for _ in range(20):\n"
        "            os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGTERM)\n"
        "        print('once', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout.strip()) == (0, "once"), done.stderr


@pytest.mark.parametrize("ends", [False, True])
def test_a_process_that_ends_stays_deaf_once_it_was_interrupted(ends: bool) -> None:
    program = (
        "import os, signal, time\n"
        "from bringup.boot.signals import Signals\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whatever this shell does with it
        f"Signals.process_ends = {ends}\n"
        "try:\n"
        "    with Signals() as signals:\n"
        "        try:\n"
        "            os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "        except KeyboardInterrupt:\n"
        "            signals.ignore()\n"
        "    os.kill(os.getpid(), signal.SIGINT); time.sleep(0.1)\n"
        "    print('told', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('heard again', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == ("told" if ends else "heard again"), done.stderr


def test_in_another_thread_signals_are_left_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    faults: list[Exception] = []

    def work() -> None:
        try:
            with Signals() as signals:
                signals.ignore()
        except Exception as fault:  # noqa: BLE001
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not faults
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_session_that_could_not_begin_leaves_nothing(home: Path, in_folder: Path) -> None:
    with Session(BOARD, "boot"), pytest.raises(LabError):
        Session(BOARD, "probe").__enter__()
    with Session(BOARD, "probe") as session:
        assert session.run_folder(load_lab(in_folder)).path.is_dir()
