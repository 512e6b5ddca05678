"""Bring-up and provisioning of seL4 boards: power, console, network boot, verdicts, and a virtual board.

This module is the public Python API, which the command line uses, too; docs/api.md shows it at work.
Everything is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bringup.base.errors import BringupError as BringupError
    from bringup.base.errors import ImageError as ImageError
    from bringup.base.errors import InterruptedRunError as InterruptedRunError
    from bringup.base.errors import LabError as LabError
    from bringup.base.errors import ProfileError as ProfileError
    from bringup.base.errors import UsageError as UsageError
    from bringup.base.events import Event as Event
    from bringup.base.firmware import Firmware as Firmware
    from bringup.base.stage import Stage as Stage
    from bringup.base.version import __version__ as __version__
    from bringup.boot.folders import RunFolder as RunFolder
    from bringup.boot.folders import find_run as find_run
    from bringup.boot.folders import list_runs as list_runs
    from bringup.boot.folders import runs_folder as runs_folder
    from bringup.boot.job import Finished as Finished
    from bringup.boot.plan import Plan as Plan
    from bringup.boot.request import BootRequest as BootRequest
    from bringup.boot.session import Session as Session
    from bringup.camkes.app.build import read_build as read_build
    from bringup.camkes.app.load import load_application as load_application
    from bringup.jobs.boot import PlannedBoot as PlannedBoot
    from bringup.jobs.boot import plan_boot as plan_boot
    from bringup.jobs.capture.job import CaptureRequest as CaptureRequest
    from bringup.jobs.capture.job import OnBoard as OnBoard
    from bringup.jobs.capture.job import PlannedCapture as PlannedCapture
    from bringup.jobs.capture.job import plan_capture as plan_capture
    from bringup.jobs.configure.check import Checked as Checked
    from bringup.jobs.configure.check import check_file as check_file
    from bringup.jobs.configure.facts import Facts as Facts
    from bringup.jobs.configure.facts import find_capture as find_capture
    from bringup.jobs.configure.facts import read_facts as read_facts
    from bringup.jobs.configure.migrate import PlannedMigration as PlannedMigration
    from bringup.jobs.configure.migrate import plan_migration as plan_migration
    from bringup.jobs.configure.overlay import PlannedOverlay as PlannedOverlay
    from bringup.jobs.configure.overlay import plan_overlay as plan_overlay
    from bringup.jobs.configure.request import AssignRequest as AssignRequest
    from bringup.jobs.configure.request import CheckRequest as CheckRequest
    from bringup.jobs.configure.update import PlannedUpdate as PlannedUpdate
    from bringup.jobs.configure.update import plan_update as plan_update
    from bringup.jobs.console import attached_console as attached_console
    from bringup.jobs.power import Switched as Switched
    from bringup.jobs.power import switch_power as switch_power
    from bringup.jobs.power_status import power_state as power_state
    from bringup.jobs.reimage.job import PlannedReimage as PlannedReimage
    from bringup.jobs.reimage.job import Reimaged as Reimaged
    from bringup.jobs.reimage.job import plan_reimage as plan_reimage
    from bringup.jobs.reimage.request import ReimageRequest as ReimageRequest
    from bringup.jobs.reimage.slots import PlannedSlots as PlannedSlots
    from bringup.jobs.reimage.slots import plan_slots as plan_slots
    from bringup.lab.captures import latest_capture as latest_capture
    from bringup.lab.find import load_lab as load_lab
    from bringup.lab.inventory import Board as Board
    from bringup.lab.inventory import Lab as Lab
    from bringup.pci.assessment import Assessment as Assessment
    from bringup.pci.capture.open import open_capture as open_capture
    from bringup.pci.capture.open import open_local as open_local
    from bringup.pci.model import Machine as Machine
    from bringup.profile.load import load_profile as load_profile
    from bringup.rules.assess import assess as assess
    from bringup.rules.check import check as check

# name -> the module where it lives
_PLACES: dict[str, str] = {
    "Assessment": "pci.assessment",
    "AssignRequest": "jobs.configure.request",
    "Board": "lab.inventory",
    "BootRequest": "boot.request",
    "BringupError": "base.errors",
    "CaptureRequest": "jobs.capture.job",
    "CheckRequest": "jobs.configure.request",
    "Checked": "jobs.configure.check",
    "Event": "base.events",
    "Facts": "jobs.configure.facts",
    "Finished": "boot.job",
    "Firmware": "base.firmware",
    "ImageError": "base.errors",
    "InterruptedRunError": "base.errors",
    "Lab": "lab.inventory",
    "LabError": "base.errors",
    "Machine": "pci.model",
    "OnBoard": "jobs.capture.job",
    "Plan": "boot.plan",
    "PlannedBoot": "jobs.boot",
    "PlannedCapture": "jobs.capture.job",
    "PlannedMigration": "jobs.configure.migrate",
    "PlannedOverlay": "jobs.configure.overlay",
    "PlannedReimage": "jobs.reimage.job",
    "PlannedSlots": "jobs.reimage.slots",
    "PlannedUpdate": "jobs.configure.update",
    "ProfileError": "base.errors",
    "ReimageRequest": "jobs.reimage.request",
    "Reimaged": "jobs.reimage.job",
    "RunFolder": "boot.folders",
    "Session": "boot.session",
    "Stage": "base.stage",
    "Switched": "jobs.power",
    "UsageError": "base.errors",
    "__version__": "base.version",
    "assess": "rules.assess",
    "attached_console": "jobs.console",
    "check": "rules.check",
    "check_file": "jobs.configure.check",
    "find_capture": "jobs.configure.facts",
    "find_run": "boot.folders",
    "latest_capture": "lab.captures",
    "list_runs": "boot.folders",
    "load_application": "camkes.app.load",
    "load_lab": "lab.find",
    "load_profile": "profile.load",
    "open_capture": "pci.capture.open",
    "open_local": "pci.capture.open",
    "plan_boot": "jobs.boot",
    "plan_capture": "jobs.capture.job",
    "plan_migration": "jobs.configure.migrate",
    "plan_overlay": "jobs.configure.overlay",
    "plan_reimage": "jobs.reimage.job",
    "plan_slots": "jobs.reimage.slots",
    "plan_update": "jobs.configure.update",
    "power_state": "jobs.power_status",
    "read_build": "camkes.app.build",
    "read_facts": "jobs.configure.facts",
    "runs_folder": "boot.folders",
    "switch_power": "jobs.power",
}

__all__ = [*_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
