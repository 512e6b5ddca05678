"""A child does what it was asked to, says so, and ends with whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bringup.base.child import Child
from bringup.base.errors import BringupError, LabError, MissingProgramError, PortBusyError
from bringup.base.events import Event

TIMEOUT_S = 120.0

Make = Callable[..., Child]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make children that run a function `serve(request, emit)` with this body."""
    modules = tmp_path / "modules"
    modules.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(modules))
    children: list[Child] = []

    def make(body: str, **options: object) -> Child:
        text = (
            "import os, signal, sys, threading, time\n"
            "from pathlib import Path\n"
            "from bringup.base.child import READY, answer_starter, when_starter_ends\n"
            "from bringup.base.errors import PortBusyError\n"
            "from bringup.base.events import Event\n"
            "def serve(request, emit):\n" + textwrap.indent(body, "    ") + "\n"
            "raise SystemExit(answer_starter(serve))\n"
        )
        (modules / "one_child.py").write_text(text)
        children.append(Child("one_child", "the child", **options))  # type: ignore[arg-type]
        return children[-1]

    yield make
    for child in children:
        child.close(TIMEOUT_S)


READY = 'emit(Event("run", READY))\n'
UNTIL_THE_END = "end = threading.Event(); when_starter_ends(end.set); end.wait()\n"


def until(true: Callable[[], object]) -> bool:
    deadline = time.monotonic() + TIMEOUT_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())


def gone(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_its_request_arrives_and_its_events_come_back(make: Make) -> None:
    heard: list[Event] = []
    say = 'emit(Event("run", "run.said", request["text"], {"n": 1}))\n'
    child = make(READY + say + UNTIL_THE_END, emit=heard.append)
    child.start({"text": "ä\nβ" * 50_000}, TIMEOUT_S)
    assert until(lambda: len(heard) == 2)
    assert (heard[1].kind, heard[1].text, heard[1].data) == ("run.said", "ä\nβ" * 50_000, {"n": 1})
    pid = child.pid
    child.close(TIMEOUT_S)
    assert child.pid is None and gone(pid)


def test_its_error_arrives_whole_and_nothing_runs(make: Make) -> None:
    child = make('raise PortBusyError("UDP port 67 is taken", hint="ss -lnpu")')
    with pytest.raises(PortBusyError, match="UDP port 67 is taken") as caught:
        child.start({}, TIMEOUT_S)
    assert caught.value.hint == "ss -lnpu"
    assert child.pid is None


def test_the_last_words_of_one_that_breaks_are_told(make: Make) -> None:
    with pytest.raises(BringupError, match="the child ended before it was ready: ValueError: odd"):
        make('raise ValueError("odd")').start({}, TIMEOUT_S)
    with pytest.raises(BringupError, match="ended before it was ready: no reason given"):
        make("os._exit(0)").start({}, TIMEOUT_S)


def test_what_is_no_event_is_told(make: Make) -> None:
    for said in ("x", "[]", "1", "{}", '{"error": 1}', '{"v": 1}', "\xff"):
        with pytest.raises(BringupError, match="said something that is not an event"):
            make(f"print({said!r}, flush=True); time.sleep(60)").start({}, TIMEOUT_S)


def test_one_that_is_never_ready_is_not_waited_for(make: Make) -> None:
    child = make('emit(Event("run", "run.said")); time.sleep(60)')
    with pytest.raises(LabError, match="the child was not ready within 1 s"):
        child.start({}, 1.0)
    assert child.pid is None


def test_one_that_ends_by_itself_is_lost_and_one_that_is_closed_is_not(make: Make) -> None:
    lost: list[str] = []
    options = {"emit": lambda _: None, "on_lost": lost.append}
    make(READY + "raise PortBusyError('it is taken')", **options).start({}, TIMEOUT_S)
    assert until(lambda: lost == ["it is taken"])
    child = make(READY + UNTIL_THE_END, **options)
    child.start({}, TIMEOUT_S)
    child.close(TIMEOUT_S)
    assert len(lost) == 1


def test_one_that_does_not_want_to_end_is_ended(make: Make) -> None:
    child = make(f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{READY}time.sleep(60)")
    child.start({}, TIMEOUT_S)
    pid = child.pid
    child.close(0.3)
    assert gone(pid)


def test_one_that_was_let_go_goes_on(make: Make) -> None:
    child = make(READY + "time.sleep(60)")
    child.start({}, TIMEOUT_S)
    pid = child.pid
    child.release()
    child.close(TIMEOUT_S)
    assert pid is not None and not gone(pid)
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def test_a_program_to_enter_by_that_is_missing(make: Make) -> None:
    with pytest.raises(MissingProgramError, match="the program no-such-program is not installed"):
        make(READY, enter=["no-such-program"]).start({}, TIMEOUT_S)


def test_what_lies_in_the_current_folder_is_not_run(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bringup").mkdir()
    for name in ("bringup/__init__.py", "json.py", "asyncio.py"):
        (tmp_path / name).write_text("raise SystemExit('somebody else put this here')\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").write_text("")
    child = make("import json\n" + READY + f"Path({str(tmp_path / 'own')!r}).write_text(json.__file__)\n")
    child.start({}, TIMEOUT_S)
    assert until((tmp_path / "own").read_text)
    assert not (tmp_path / "own").read_text().startswith(str(tmp_path))


def test_a_request_that_is_none(make: Make) -> None:
    make(READY)
    for said in (b"", b"[]\n", b"\xff\n"):
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "one_child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            told, _ = process.communicate(said, timeout=TIMEOUT_S)
        assert b"not a request" in told and process.returncode == 1
