"""`bringup probe-pci BOARD`: the capture that is made on the board itself."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bringup import captures
from bringup.errors import BringupError, ImageError, InterruptedRunError, LabError, ProfileError, UsageError
from bringup.firmware import Firmware
from bringup.lab import Lab
from bringup.probe.on_board import CAPTURE_NAME, KERNEL_WORDS
from bringup.stage import Stage

_BY_FAULT: dict[str, type[BringupError]] = {
    kind.fault: kind for kind in (UsageError, LabError, ImageError, ProfileError, InterruptedRunError)
}


def capture_on_board(
    lab: Lab,
    board_name: str,
    *,
    as_json: bool,
    keep_twin: bool = False,
    firmware: Firmware | None = None,
    restart: bool = False,
    steal: bool = False,
) -> Path:
    """Boot the probe ramdisk on a board and return its capture, kept among the board's captures.

    The board is left as it was found: power state, boot override, disks. One that is on is restarted, and a
    real one only with `restart`. Shows its progress on stderr unless `as_json`. Raises BringupError.
    """
    from bringup.cli.boot import interrupt
    from bringup.cli.boot_view import BootView
    from bringup.lease import Lease
    from bringup.plan import BootRequest
    from bringup.preflight import prepare
    from bringup.probe.ramdisk import find_kernel, ramdisk
    from bringup.run import Run
    from bringup.runs import RunFolder, default_runs_folder, usual_duration_s

    lab.board(board_name)  # a name that is wrong says so before a ramdisk is made for it
    kernel = find_kernel()
    request = BootRequest(
        firmware=firmware, until=Stage.CAPTURE, steal=steal, keep_twin=keep_twin, restart=restart
    )
    prepared = prepare(lab, board_name, [kernel.path, ramdisk(kernel)], request, append=KERNEL_WORDS)
    plan, board = prepared.plan, prepared.board
    parent = lab.runs_folder or default_runs_folder()
    usual_s = usual_duration_s(parent, plan.board, str(plan.until), plan.image["key"], plan.firmware)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    bmc = None if board.bmc is None else f"{board.bmc.address}:{board.bmc.port}"
    with Lease(plan.board, "probe", bmc=bmc), BootView(plan, quiet=as_json, usual_s=usual_s) as view:
        folder = RunFolder.create(parent)
        run = Run(prepared, folder, [view])
        verdict = run.verdict_dict(run.execute())
    if verdict["verdict"] != "ok":
        raise _failure(verdict)
    path = captures.add(plan.board, folder.path / CAPTURE_NAME)
    if run.not_restored is not None:
        raise LabError(
            f"the capture is kept, but {plan.board} could not be left as it was: {run.not_restored}",
            hint=f"bringup power {plan.board} status; the capture: {path}",
        )
    return path


def _failure(verdict: Mapping[str, Any]) -> BringupError:
    """Return the verdict of a run that brought no capture as an error, with the first thing to do."""
    kind = _BY_FAULT.get(verdict["verdict"], BringupError)
    fixes = [item["fix"] for item in verdict["causes"]]
    hint = "; ".join([*fixes[:1], f"bringup runs show {verdict['run']}"])
    return kind(verdict["cause"], hint=hint)
