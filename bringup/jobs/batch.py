"""Many boards at once: one job each, in threads of one process; the failure of one stops nobody.

A board waits for its turn: at most so many work at a time, and between the starts of two lies a pause, so
that not all power supplies draw their inrush current together. A batch is kept as a run is, with `batch.json`
in its folder from the start, so that one that is killed can be repeated, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from bringup.base.errors import BringupError, InterruptedRunError, LabError, UsageError
from bringup.base.events import Emit, Event
from bringup.boot.folders import BATCH, RunFolder, list_runs, runs_folder
from bringup.boot.stop import Stop
from bringup.jobs.batch_machines import Machines, processors
from bringup.lab.inventory import Board, Lab

USUAL_AT_ONCE = 8
USUAL_PAUSE_S = 1.0
ASKS_ABOVE = 5
"""A batch of more boards than this is only begun when somebody says yes to the list."""

# The exit codes from the worst on: what ends a batch is told by the worst of its boards.
_WORST = (130, 1, 2, 10, 12, 11, 3, 0)
_UNDECIDED = 3
_UNFINISHED = "its job has not ended, or the batch was killed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one board's job ended: `verdict` is ok or whose fault, `run` the name of its own run, if any."""

    board: str
    verdict: str
    exit_code: int
    reached: str | None = None
    cause: str | None = None
    hint: str | None = None
    run: str | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it is what was wanted."""
        return self.exit_code == 0

    @property
    def interrupted(self) -> bool:
        """Whether a person ended it: then nothing is known to be wrong."""
        return self.exit_code == InterruptedRunError.exit_code


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that ended: `command` says what was done with each board, `run` is its record.

    `unrecorded` is why its record does not have all of it, None where it does.
    """

    run: str
    command: str
    seconds: float
    outcomes: tuple[Outcome, ...]
    unrecorded: str | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the worst."""
        return worst(outcome.exit_code for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[str, ...]:
        """The boards where it failed; one whose job was interrupted did not."""
        return tuple(each.board for each in self.outcomes if not each.ok and not each.interrupted)

    @property
    def counts(self) -> dict[str, int]:
        """How many ended in which way."""
        interrupted = sum(outcome.interrupted for outcome in self.outcomes)
        bad = len(self.failed)
        return {"ok": len(self.outcomes) - bad - interrupted, "failed": bad, "interrupted": interrupted}

    def counted(self) -> str:
        """Return the counts for people: those who were interrupted where there are any."""
        return ", ".join(
            f"{count} {name}" for name, count in self.counts.items() if count or name != "interrupted"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "run": self.run,
            "command": self.command,
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 1),
            **self.counts,
            "unrecorded": self.unrecorded,
            "boards": [asdict(outcome) for outcome in self.outcomes],
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Batch:
        """Return what `to_dict` gave; raises LookupError, TypeError or ValueError for anything else."""
        outcomes = tuple(Outcome(**row) for row in body["boards"])
        return cls(str(body["run"]), str(body["command"]), float(body["seconds"]), outcomes)


class BoardWork(Protocol):
    """What is done with each board; its events go to `hear`, and `stop` ends it."""

    def __call__(self, board: Board, hear: Emit, stop: Stop) -> Outcome:
        """Do it; raises BringupError."""
        ...


class Watcher(Protocol):
    """Hears what becomes of the boards, from many threads."""

    def began(self, board: str) -> None:
        """A board's turn has come."""

    def heard(self, board: str, event: Event) -> None:
        """Something happened."""

    def ended(self, outcome: Outcome) -> None:
        """A board's job ended."""


class Turns:
    """Lets the boards begin one after the other, `pause_s` apart."""

    def __init__(
        self,
        pause_s: float,
        stop: Stop,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pause_s = pause_s
        self._stop = stop
        self._now, self._sleep = now, sleep
        self._lock = threading.Lock()
        self._next_s = now()

    def wait(self) -> None:
        """Wait for the next turn; raises InterruptedRunError when all were told to stop meanwhile."""
        with self._lock:
            turn_s = max(self._now(), self._next_s)
            self._next_s = turn_s + self._pause_s
        while not self._stop.told and (left_s := turn_s - self._now()) > 0:
            self._sleep(min(left_s, 0.2))
        if self._stop.told:
            raise InterruptedRunError("interrupted before its turn; it was not touched")


def run_batch(
    lab: Lab,
    command: str,
    boards: Sequence[Board],
    work: BoardWork,
    watcher: Watcher,
    *,
    at_once: int = USUAL_AT_ONCE,
    pause_s: float = USUAL_PAUSE_S,
    machines: Collection[str] = (),
) -> Batch:
    """Do `work` with every board, keep the record, and return how it ended.

    `machines` are the boards that this host emulates whole: of them at most one per processor at a time.
    Ctrl-C is told to every job: each puts its board into a safe state and says which; the batch ends with the
    last.
    """
    record = _Record(RunFolder.create(runs_folder(lab)), command, [board.name for board in boards])
    began_s = time.monotonic()
    stop = Stop()
    turns, waiting = Turns(pause_s, stop), Machines(machines, processors(), stop)

    def one(board: Board) -> Outcome:
        try:
            with waiting.turn(board.name):
                turns.wait()
                watcher.began(board.name)
                outcome = _timed(board, work, lambda event: watcher.heard(board.name, event), stop)
        except BringupError as error:
            outcome = failed(board.name, error)
        record.ended(outcome)
        watcher.ended(outcome)
        return outcome

    outcomes: list[Outcome] = []
    done = threading.Event()

    def everything() -> None:
        try:
            with ThreadPoolExecutor(max_workers=max(1, at_once), thread_name_prefix="board") as pool:
                outcomes.extend(pool.map(one, boards))
        finally:
            done.set()

    threading.Thread(target=everything, name="batch").start()
    _wait(done, stop)
    batch = Batch(record.folder.run_id, command, time.monotonic() - began_s, tuple(outcomes))
    try:
        record.close(batch)
    except LabError as error:
        # A full disk keeps it from the folder, not from the person.
        return replace(batch, unrecorded=error.message)
    return batch


def _wait(done: threading.Event, stop: Stop) -> None:
    """Wait until all is done; a signal that comes to this thread meanwhile is passed on.

    An event, because a `Thread.join` that was interrupted takes the thread for ended (CPython 3.11).
    """
    while not done.is_set():
        try:
            done.wait()
        except KeyboardInterrupt:
            stop.tell()


def _timed(board: Board, work: BoardWork, hear: Emit, stop: Stop) -> Outcome:
    began_s = time.monotonic()
    try:
        outcome = work(board, hear, stop)
    except BringupError as error:
        outcome = failed(board.name, error)
    except KeyboardInterrupt:
        outcome = failed(board.name, InterruptedRunError("interrupted"))
    except Exception as bug:  # noqa: BLE001  # the others go on, and this one says what it met
        outcome = failed(board.name, BringupError(f"bringup itself failed: {type(bug).__name__}: {bug}"))
    return Outcome(**{**asdict(outcome), "seconds": round(time.monotonic() - began_s, 1)})


def failed(board: str, error: BringupError) -> Outcome:
    """Return the outcome of a job that an error ended."""
    return Outcome(board, error.fault, error.exit_code, cause=error.message, hint=error.hint)


def of_verdict(verdict: Mapping[str, Any]) -> Outcome:
    """Return the outcome that a run's verdict tells."""
    causes = verdict.get("causes") or [{}]
    return Outcome(
        board=str(verdict["board"]),
        verdict=str(verdict["verdict"]),
        exit_code=int(verdict["exit_code"]),
        reached=verdict.get("stage"),
        cause=verdict.get("cause"),
        hint=causes[0].get("fix"),
        run=verdict.get("run"),
    )


def worst(codes: Iterable[int]) -> int:
    """Return the worst of several exit codes, 0 for none."""
    found = set(codes)
    return next((code for code in _WORST if code in found), max(found, default=0))


class _Record:
    """Keeps what is known of a batch in its folder; a board whose job did not end is `unfinished` there."""

    def __init__(self, folder: RunFolder, command: str, names: Sequence[str]) -> None:
        self.folder = folder
        self._command = command
        self._began_s = time.monotonic()
        self._lock = threading.Lock()
        self._outcomes = {name: Outcome(name, "unfinished", _UNDECIDED, cause=_UNFINISHED) for name in names}
        self._count = f"{len(names)} board{'' if len(names) == 1 else 's'}"
        folder.write_json("plan.json", {"board": self._count, "command": command, "boards": ", ".join(names)})
        self._write()

    def ended(self, outcome: Outcome) -> None:
        """Keep how one board's job ended; a disk that takes no more is told by `close`."""
        with self._lock, suppress(LabError):
            self._outcomes[outcome.board] = outcome
            self._write()

    def _write(self) -> None:
        seconds, outcomes = time.monotonic() - self._began_s, tuple(self._outcomes.values())
        self.folder.write_json(BATCH, Batch(self.folder.run_id, self._command, seconds, outcomes).to_dict())

    def close(self, batch: Batch) -> None:
        """Keep the whole; raises LabError where it cannot be written."""
        self.folder.write_json(BATCH, batch.to_dict())
        ended = "failed" if batch.failed else "interrupted" if batch.counts["interrupted"] else "ok"
        self.folder.write_json(
            "verdict.json",
            {
                "run": self.folder.run_id,
                "board": self._count,
                "verdict": ended,
                "exit_code": batch.exit_code,
                "cause": f"{batch.command}: {batch.counted()}",
                "at_s": round(batch.seconds, 1),
            },
        )


def last_failed(lab: Lab, command: str) -> tuple[str, ...]:
    """Return the boards that failed in the last batch of this command; raises UsageError without one."""
    for run in reversed(list_runs(runs_folder(lab))):
        record = run.read_json(BATCH)
        if record is None or record.get("command") != command:
            continue
        boards = record.get("boards")
        rows = boards if isinstance(boards, list) else []
        return tuple(
            str(row.get("board")) for row in rows if isinstance(row, dict) and row.get("exit_code") != 0
        )
    raise UsageError(f"there is no batch of {command} yet", hint="bringup runs lists them")
