"""The network boot: DHCP, TFTP and HTTP for this one board, from before its power-on to the verdict."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.base.firmware import Firmware
from bringup.boot.folders import disk_error
from bringup.boot.plan import PlannedStep
from bringup.boot.step import Step
from bringup.netboot.boot_image import UNSIGNED, boot_image_in_use
from bringup.netboot.spec import Route, Segment, ServeSpec

if TYPE_CHECKING:
    from bringup.boot.engine import Run
    from bringup.boot.place import ServingAhead

MakeFiles = Callable[[Path, Segment], ServeSpec]
"""Writes what is served beside the image into a folder that exists, and returns all that is served there."""


class ServeImage(Step):
    """Serves an image to a board."""

    leaving = PlannedStep("stop-serving", "stop serving", 0.2, 15.0)

    def __init__(self, route: Route, segment: Segment, make_files: MakeFiles) -> None:
        who = ", ".join(segment.macs)
        title = f"serve DHCP ({segment.mode}), TFTP and HTTP on {segment.interface} to {who} only"
        detail = {
            "loader": route.loader,
            "why": route.why,
            "protocol": route.protocol,
            "transport": route.transport,
            "first_file": route.first_file,
            "server": segment.address,
        }
        if route.firmware is Firmware.UEFI:
            detail["secure_boot"] = UNSIGNED
        if segment.board_address is not None:
            detail["board_address"] = segment.board_address
        self.planned = PlannedStep("serve", title, 0.7, 20.0, detail)
        self._make_files = make_files
        self._segment = segment
        self._serving = ExitStack()
        self._ahead: ServingAhead | None = None

    def ahead(self, run: Run) -> None:
        """Start what serves while the console is attached; a twin's network is there once the twin is up."""
        if not run.plan.twin:
            self._ahead = run.place.serve_ahead(self._segment)
            run.opened.callback(self._ahead.close)

    def enter(self, run: Run) -> None:
        """Start the servers; returns when all of them answer."""
        folder = run.folder.path / "served"

        def make(segment: Segment) -> ServeSpec:
            try:
                folder.mkdir(exist_ok=True)
                spec = self._make_files(folder, segment)
            except OSError:
                raise disk_error(run.folder.path) from None
            self._serving.enter_context(boot_image_in_use(spec))
            return spec

        if self._ahead is not None:
            self._ahead.wait()
        self._serving.enter_context(run.place.serve(self._segment, make, run.take))
        if self._ahead is not None:
            self._ahead.close()  # or the process would not end with the last boot

    def leave(self, run: Run) -> None:
        """Stop them."""
        self._serving.close()
