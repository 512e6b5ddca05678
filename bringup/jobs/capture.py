"""`bringup probe-pci BOARD`: the captures that are made on the board itself."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bringup.base.errors import FAULTS, BringupError, InterruptedRunError, LabError
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.lab import captures
from bringup.lab.inventory import Lab
from bringup.probe import firmware_report, on_board

if TYPE_CHECKING:
    from bringup.boot.engine import Run
    from bringup.boot.plan import BootRequest
    from bringup.boot.preflight import Prepared

Probe = Literal["firmware", "linux"]
BOTH: tuple[Probe, ...] = ("firmware", "linux")
TITLES: Mapping[Probe, str] = {"firmware": "the firmware probe", "linux": "the Linux probe"}

_CONSOLE_LOG = "console.log"


@dataclass(frozen=True, slots=True)
class OnBoard:
    """What probing a board brought: its capture, and why a probe brought nothing or not all, if so."""

    path: Path
    failed: Mapping[Probe, BringupError]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One probe's boot and how it ended; `folder` is its run's."""

    probe: Probe
    folder: Path
    run: Run
    verdict: Mapping[str, Any]

    @property
    def error(self) -> BringupError | None:
        """Why it did not come through, with the first thing to do."""
        verdict = self.verdict
        if verdict["verdict"] == "ok":
            return None
        kind = FAULTS.get(verdict["verdict"], BringupError)
        fixes = [item["fix"] for item in verdict["causes"]][:1]
        if self.has_part:
            fixes.append(f"what came: bringup probe-pci --from {self.folder / _CONSOLE_LOG}")
        return kind(verdict["cause"], hint="; ".join([*fixes, f"bringup runs show {verdict['run']}"]))

    @property
    def has_part(self) -> bool:
        """Whether it failed and some of its report came."""
        return str(self.verdict["code"]) == "report-incomplete"


def capture_on_board(
    lab: Lab,
    board_name: str,
    *,
    as_json: bool,
    probes: Sequence[Probe] = BOTH,
    keep_twin: bool = False,
    firmware: Firmware | None = None,
    restart: bool = False,
    steal: bool = False,
) -> OnBoard:
    """Boot the probes on a board, one after the other, and keep what they saw as one of its captures.

    The board is left as it was found: power state, boot override, disks. One that is on is restarted, and a
    real one only with `restart`. Shows its progress on stderr unless `as_json`. Raises BringupError when no
    probe came through, and when the board could not be left as it was.
    """
    from bringup.boot.plan import BootRequest
    from bringup.lab.lease import Lease

    lab.board(board_name)  # a name that is wrong says so before a ramdisk is made for it
    request = BootRequest(
        firmware=firmware, until=Stage.CAPTURE, steal=steal, keep_twin=keep_twin, restart=restart
    )
    failed: dict[Probe, BringupError] = {}
    ready = _prepare(lab, board_name, probes, request, failed)
    if not ready:
        raise next(iter(failed.values()))
    board = next(iter(ready.values())).board
    bmc = None if board.bmc is None else f"{board.bmc.address}:{board.bmc.port}"
    with Lease(board.name, "probe", bmc=bmc):
        attempts = _boot_all(lab, ready, quiet=as_json)
    failed |= {attempt.probe: error for attempt in attempts if (error := attempt.error) is not None}
    path = _keep(board.name, attempts, failed)
    if attempts[-1].run.not_restored is not None:
        raise LabError(
            f"the capture is kept, but {board.name} could not be left as it was: "
            f"{attempts[-1].run.not_restored}",
            hint=f"bringup power {board.name} status; the capture: {path}",
        )
    return OnBoard(path, failed)


def _prepare(
    lab: Lab,
    board_name: str,
    probes: Iterable[Probe],
    request: BootRequest,
    failed: dict[Probe, BringupError],
) -> dict[Probe, Prepared]:
    """Return the boots that may begin; why others may not goes into `failed`."""
    from bringup.boot.preflight import prepare

    ready: dict[Probe, Prepared] = {}
    for probe in probes:
        try:
            paths, words = _image(probe)
            ready[probe] = prepare(lab, board_name, paths, request, append=words)
        except BringupError as error:
            failed[probe] = error
    return ready


def _image(probe: Probe) -> tuple[list[Path], str]:
    """Return the files to boot and the words for their command line."""
    if probe == "firmware":
        from bringup.image.firmware_probe import firmware_probe

        return [firmware_probe()], firmware_report.WORDS
    from bringup.probe.ramdisk import find_kernel, ramdisk

    kernel = find_kernel()
    return [kernel.path, ramdisk(kernel)], on_board.KERNEL_WORDS


def _boot_all(lab: Lab, ready: Mapping[Probe, Prepared], *, quiet: bool) -> list[_Attempt]:
    """Boot one after the other, as long as the one before was at least loaded over the network."""
    attempts: list[_Attempt] = []
    left = len(ready)
    for probe, prepared in ready.items():
        left -= 1
        found_running = attempts[-1].run.found_running if attempts else None
        request = replace(prepared.request, another_follows=left > 0, found_running=found_running)
        attempts.append(_boot(lab, probe, replace(prepared, request=request), quiet=quiet))
        if not attempts[-1].run.hands_on:
            break
    return attempts


def _boot(lab: Lab, probe: Probe, prepared: Prepared, *, quiet: bool) -> _Attempt:
    from bringup.boot.engine import Run
    from bringup.boot.folders import RunFolder, default_runs_folder, usual_duration_s
    from bringup.cli.boot import interrupt
    from bringup.report.boot_view import BootView

    plan = prepared.plan
    parent = lab.runs_folder or default_runs_folder()
    usual_s = usual_duration_s(parent, plan.board, str(plan.until), plan.image["key"], plan.firmware)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    with BootView(plan, quiet=quiet, usual_s=usual_s) as view:
        folder = RunFolder.create(parent)
        run = Run(prepared, folder, [view])
        return _Attempt(probe, folder.path, run, run.verdict_dict(run.execute()))


def _keep(board: str, attempts: Sequence[_Attempt], failed: Mapping[Probe, BringupError]) -> Path:
    """Add what came to the board's captures; raises the failure when nothing came whole."""
    last = attempts[-1].error
    if isinstance(last, InterruptedRunError) or not any(attempt.error is None for attempt in attempts):
        raise _all_failed(list(failed.values()))
    views: dict[str, Path] = {}
    for attempt in attempts:
        if attempt.probe == "firmware" and (attempt.error is None or attempt.has_part):
            views[firmware_report.NAME] = attempt.folder / _CONSOLE_LOG
        elif attempt.probe == "linux" and attempt.error is None:
            views["linux.tar.gz"] = attempt.folder / on_board.CAPTURE_NAME
    if list(views) == ["linux.tar.gz"]:
        return captures.add(board, views["linux.tar.gz"])
    return captures.add_together(board, views)


def _all_failed(errors: Sequence[BringupError]) -> BringupError:
    """Return the last failure, which says too what was before it."""
    *before, last = errors
    if not before or isinstance(last, InterruptedRunError):
        return last
    told = "; ".join(error.message for error in before)
    return type(last)(f"{last.message}; and before that: {told}", hint=last.hint)
