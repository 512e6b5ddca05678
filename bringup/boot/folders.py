"""The folders that boots leave behind: made at the start, appended to while it runs, read back later.

    plan.json  profile.json  image.json     what was going to happen, written before anything is touched
    events.ndjson  console.log  console.idx  what was seen, one whole append per record
    verdict.json                             how it ended; a run without one goes on, or was killed
    reimage.json  slots.json                 what became of a disk, or was found on it

A record is one `write` to a file opened for appending, so a kill at any moment loses at most the record that
was being written, and readers skip a torn last line. As long as a run goes on, its process holds a lock on
`events.ndjson`: that tells it from one that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bringup.base.errors import LabError, OutputError, UsageError
from bringup.base.events import Event, is_time
from bringup.base.paths import state_dir
from bringup.base.regular_file import read_whole
from bringup.base.whole_file import whole_file

if TYPE_CHECKING:
    from bringup.lab.inventory import Lab

EVENTS = "events.ndjson"
VERDICT = "verdict.json"
BATCH = "batch.json"
REIMAGE = "reimage.json"
SLOTS = "slots.json"
_MAX_RUNS_A_DAY = 9999
_LOOKED_AT = 50
_RUN_ID = re.compile(".{4}-..-..-.{4}", re.DOTALL)
FILE_MAX_BYTES = 256 << 20
_TEXTS = ("board", "verdict", "cause", "run", "until", "firmware", "stage", "missing", "seen", "aim")
_CHECKED = ("plan.json", VERDICT)
_LISTS = ("stages", "steps", "causes", "limits")


def runs_folder(lab: Lab) -> Path:
    """Return where the runs of a lab are kept: where its file says, else in the state folder."""
    return lab.runs_folder or state_dir() / "runs"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder; `run_id` is its name, such as `2026-11-23-0007`."""

    path: Path

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.path.name

    @classmethod
    def create(cls, parent: Path) -> RunFolder:
        """Make the next free folder of today (UTC); raises LabError when the disk does not let us."""
        day = time.strftime("%Y-%m-%d", time.gmtime())
        try:
            parent.mkdir(parents=True, exist_ok=True)
            taken = [int(path.name[-4:]) for path in parent.glob(f"{day}-[0-9][0-9][0-9][0-9]")]
            for number in range(max(taken, default=0) + 1, _MAX_RUNS_A_DAY + 1):
                path = parent / f"{day}-{number:04d}"
                try:
                    path.mkdir(mode=0o700)
                except FileExistsError:
                    continue  # another run started in this moment
                return cls(path)
        except OSError as error:
            raise LabError(f"cannot make a run folder in {parent}: {error.strerror}") from error
        raise LabError(f"more than {_MAX_RUNS_A_DAY} runs today in {parent}", hint="remove old runs")

    def write_json(self, name: str, body: Mapping[str, Any]) -> None:
        """Write `name` whole or not at all."""
        try:
            with whole_file(self.path / name) as file:
                file.write(json.dumps(body, indent=2, default=str).encode() + b"\n")
        except OSError:
            raise disk_error(self.path) from None

    def is_damaged(self, name: str) -> bool:
        """Whether a JSON file of the run is there and cannot be read as one of ours."""
        return os.path.lexists(self.path / name) and self.read_json(name) is None

    def without_verdict(self) -> Literal["damaged", "goes on", "killed"]:
        """Say of a run why no verdict can be read: its file is damaged, it goes on, or it was killed."""
        if self.is_damaged(VERDICT):
            return "damaged"
        return "goes on" if self.goes_on else "killed"

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return a JSON file of the run, None if the run did not come that far or the file is damaged."""
        try:
            body = json.loads(read_whole(self.path / name, FILE_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(body, dict) or (name in _CHECKED and not _is_ours(body)):
            return None
        return body

    @property
    def is_batch(self) -> bool:
        """Whether it is the record of a batch, whose boards have runs of their own."""
        return (self.path / BATCH).exists()

    @property
    def goes_on(self) -> bool:
        """Whether a process works on this run now."""
        try:
            descriptor = os.open(self.path / EVENTS, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks: nobody can tell
            return False
        finally:
            os.close(descriptor)
        return False

    def events(self) -> Iterator[Event]:
        """Yield the recorded events, their times counted from the start of the run."""
        try:
            lines = read_whole(self.path / EVENTS, FILE_MAX_BYTES).splitlines()
        except (OSError, ValueError):
            return
        for line in lines:
            try:
                yield Event.from_json(line)
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # torn by a kill


class EventLog:
    """Appends events to `events.ndjson`, one `write` each.

    Called from many threads that have other things to do: a disk that takes no more is told once to
    `on_error`, and nothing further is written.
    """

    def __init__(
        self, folder: RunFolder, origin_s: float, on_error: Callable[[LabError], None] | None = None
    ) -> None:
        self._origin_s = origin_s
        self._folder = folder
        self._on_error = on_error
        self._full = False
        self._descriptor = os.open(
            folder.path / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __call__(self, event: Event) -> None:
        """Append one event."""
        if self._full:
            return
        record = event.to_json(origin_s=self._origin_s).encode() + b"\n"
        try:
            whole = os.write(self._descriptor, record) == len(record)
        except OSError:
            whole = False
        if not whole:
            self._full = True
            if self._on_error is not None:
                self._on_error(disk_error(self._folder.path))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Whether the words that every reader of runs relies on are of their kinds, where they stand."""
    texts = [body.get(key) for key in _TEXTS]
    lists = [body.get(key) or [] for key in _LISTS]
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and (body.get("at_s") is None or is_time(body["at_s"]))
        and all(isinstance(items, list) and all(isinstance(item, dict) for item in items) for items in lists)
    )


def disk_error(folder: Path) -> LabError:
    """Return what is told where nothing can be written into a run's folder."""
    return OutputError(f"cannot write into the run folder {folder}", hint="is its disk full? `df -h` tells")


def list_runs(parent: Path, *, last: int | None = None) -> list[RunFolder]:
    """Return all runs, oldest first; or only the `last` so many."""
    try:
        with os.scandir(parent) as entries:
            names = [entry.name for entry in entries if _RUN_ID.fullmatch(entry.name) and _is_folder(entry)]
    except OSError:
        return []
    return [RunFolder(parent / name) for name in sorted(names)[-last if last else 0 :]]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads to itself


def find_run(parent: Path, run_id: str | None) -> RunFolder:
    """Return the run named, or the latest; raises UsageError when there is none."""
    runs = list_runs(parent)
    if not runs:
        raise UsageError(f"no runs in {parent} yet", hint="bringup boot e300")
    if run_id is None:
        return runs[-1]
    for run in runs:
        if run.run_id == run_id:
            return run
    raise UsageError(f"no run {run_id} in {parent}", hint="bringup runs lists them")


def find_boot(parent: Path, run_id: str | None) -> RunFolder:
    """Return the run named, or the latest, that is one board's; raises UsageError for a batch of several."""
    if run_id is None:
        one_board = (run for run in reversed(list_runs(parent)) if not run.is_batch)
        return next(one_board, None) or find_run(parent, None)
    run = find_run(parent, run_id)
    if run.is_batch:
        raise UsageError(
            f"run {run_id} is a batch: each of its boards has a run of its own",
            hint=f"bringup runs show {run_id}",
        )
    return run


def last_test_of(parent: Path, image_key: str) -> int | None:
    """Return the number of the last test in the last run of this image in which its suite came to an end."""
    for run in reversed(list_runs(parent, last=_LOOKED_AT)):
        verdict = run.read_json("verdict.json")
        suite = verdict and verdict.get("image_key") == image_key and verdict.get("suite")
        if isinstance(suite, dict) and suite.get("passed") and isinstance(suite.get("test"), int):
            return int(suite["test"])
    return None


def disks_seen(parent: Path, board: str) -> list[str]:
    """Return what a board's disks are called, as a ramdisk last saw them: serial, else WWN, else path."""
    for run in reversed(list_runs(parent, last=_LOOKED_AT)):
        if (run.read_json("plan.json") or {}).get("board") != board:
            continue
        disks = [event.data for event in run.events() if event.kind == "disk.found"]
        names = [next(filter(None, map(disk.get, ("serial", "wwn", "path"))), None) for disk in disks]
        if found := [name for name in names if isinstance(name, str)]:
            return found
    return []


def usual_duration_s(
    parent: Path, board: str, stage: str, image_key: str, firmware: str, aim: str
) -> float | None:
    """Return the median time to `stage` of this board's last good runs of this image, None without any.

    Where the `aim` is more than a stage, only runs with the same count, by when all of it had come.
    """
    times: list[float] = []
    for run in reversed(list_runs(parent, last=_LOOKED_AT)):
        verdict = run.read_json("verdict.json")
        if not verdict or verdict.get("verdict") != "ok" or verdict.get("board") != board:
            continue
        if (verdict.get("image_key"), verdict.get("firmware")) != (image_key, firmware):
            continue
        if aim == stage:
            at = next((s.get("at_s") for s in verdict.get("stages") or [] if s.get("name") == stage), None)
        else:
            at = verdict.get("at_s") if verdict.get("aim") == aim else None
        if is_time(at):
            times.append(float(at))
    return sorted(times)[len(times) // 2] if times else None
