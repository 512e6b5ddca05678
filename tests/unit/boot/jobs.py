"""Boots of a small kernel on the bench, for tests of the engine and of the jobs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bringup.base.events import Event
from bringup.boot.folders import RunFolder
from bringup.boot.job import Job
from bringup.boot.request import BootRequest
from bringup.jobs.boot import PlannedBoot, plan_boot
from bringup.lab.find import load_lab
from tests.doubles.equipment import Bench, Said, Script, Seen
from tests.unit.image.test_elf import build_elf
from tests.unit.image.test_multiboot import multiboot1, multiboot2

MAC = "52:54:00:0e:30:10"

LOADED: Script = (
    Said(0.5, "SeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n"),
    Seen(1.0, "dhcp.discover", {"mac": MAC, "arch": 0}),
    Seen(1.1, "dhcp.offer", {"mac": MAC}),
    Seen(1.2, "dhcp.ack", {"mac": MAC, "file": "/undionly.kpxe"}),
    Seen(1.4, "tftp.done", {"path": "/undionly.kpxe", "role": "loader", "bytes": 9, "seconds": 0.1}),
    Seen(1.6, "http.done", {"path": "/kernel", "role": "kernel", "bytes": 9, "seconds": 0.1}),
    Seen(1.8, "http.done", {"path": "/module", "role": "module", "bytes": 9, "seconds": 0.1}),
    Said(2.0, "Boot config: console_port = 0x2f8\r\n"),
)
WHOLE: Script = (*LOADED, Said(2.2, "Booting all finished, dropped to user space\r\n"))


@dataclass
class Told:
    """What a run told: its events and its verdict."""

    verdict: dict[str, Any]
    events: list[Event]
    folder: Path
    steps: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = [(e.text, str(e.data["state"])) for e in self.events if e.kind == "run.step"]

    @property
    def begun(self) -> list[str]:
        """The titles of the steps, in the order they began."""
        return [title for title, state in self.steps if state == "begin"]

    def kinds(self, source: str) -> list[str]:
        return [event.kind for event in self.events if event.source == source]


def image(folder: Path) -> list[Path]:
    """A kernel that loaders take, and a module."""
    kernel, module = folder / "kernel", folder / "module"
    kernel.write_bytes(build_elf(multiboot1() + bytes(4) + multiboot2()))
    module.write_bytes(b"a module")
    return [kernel, module]


def planned(folder: Path, request: BootRequest | None = None) -> PlannedBoot:
    return plan_boot(load_lab(folder), "e300", image(folder), request)


def execute(job: Job, bench: Bench, runs: Path) -> Told:
    """Run a job on the bench to its verdict."""
    events: list[Event] = []
    folder = RunFolder.create(runs)
    run = job.start(bench, folder, [events.append])
    with bench.signals:
        run.execute()
    verdict = json.loads((folder.path / "verdict.json").read_text())
    return Told(verdict, events, folder.path)
