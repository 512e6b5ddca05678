"""A board's disk over the network on the twin: installed, booted without a cable, updated, kept, gone back.

Updates are cut short in test_reimage_cuts.py.
"""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from bringup.base.events import Emit
from bringup.boot.place import BoardPlace
from bringup.boot.session import Session
from bringup.console.base import Console
from bringup.disk.layout import MIB
from bringup.jobs.boot import run_job
from bringup.jobs.reimage.job import plan_reimage
from bringup.jobs.reimage.request import ReimageRequest
from bringup.lab.find import load_lab
from tests.twin.helpers import Cli

# Four network boots of a Linux in one test, on a machine that may be loaded.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LIMIT_S = 400.0
BOOT_S = 180.0


def up(cli: Cli, *words: str) -> None:
    done = cli("twin", "up", "--memory", "1024", *words)
    assert done.code == 0, done.err


def cable(cli: Cli, state: str) -> None:
    assert cli("twin", "monitor", "set_link", "slot7f0", state).code == 0


def started_slot(cli: Cli) -> str:
    """Start the board by its own boot order, without a cable, and return the slot whose image came up."""
    cable(cli, "off")
    log = cli.folder / f"console-{time.monotonic_ns()}"
    console = cli.popen("console", "e300", "--listen", "--for", str(BOOT_S), "--log", str(log))
    try:
        assert cli("power", "e300", "cycle").code == 0
        text, deadline_s = "", time.monotonic() + BOOT_S
        while "dropped to user space" not in text and time.monotonic() < deadline_s:
            time.sleep(0.2)
            text = log.read_text(errors="replace") if log.exists() else ""
    finally:
        console.kill()
        console.communicate()
        cable(cli, "on")
    assert "dropped to user space" in text, text
    started = [line for line in text.splitlines() if "bringup: slot" in line and "is whole" in line]
    return started[-1].split("slot ")[1][0]


def reimage(cli: Cli, *words: str, code: int = 0) -> dict[str, object]:
    done = cli("reimage", "e300", "--yes", "--json", *words, timeout_s=LIMIT_S)
    assert done.code == code, (done.out, done.err)
    return done.json


@pytest.mark.long
def test_a_disk_is_installed_updated_and_rolled_back(cli: Cli) -> None:
    up(cli, "--disk", "ahci,size=3G,serial=S1,model=TEST DISK")
    first = reimage(cli)
    assert (first["action"], first["slot"], first["kept"]) == ("install", "A", True)
    assert started_slot(cli) == "A"
    second = reimage(cli, "--module-size", "2")
    assert (second["action"], second["slot"], second["kept"]) == ("update", "B", True)
    assert second["before_id"] == first["image_id"]
    back = cli("rollback", "e300", "--json", timeout_s=LIMIT_S)
    assert back.code == 0, back.err
    assert back.json["chosen"] == "A"
    assert [slot["role"] for slot in back.json["slots"].values()] == ["good", "old"]
    assert started_slot(cli) == "A"


class DeafConsole:
    """A board's console on whose way keys get lost."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.lost: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._console, name)

    def write(self, data: bytes) -> None:
        self.lost.append(data)


class DeafPlace(BoardPlace):
    def console(self, emit: Emit, *, steal: bool) -> Console:
        console = DeafConsole(super().console(emit, steal=steal))
        keys_lost.append(console.lost)
        return console


keys_lost: list[list[bytes]] = []


class DeafSession(Session):
    def reach(self, emit: Emit) -> BoardPlace:
        place = super().reach(emit)
        return DeafPlace(**{each.name: getattr(place, each.name) for each in fields(place)})


@pytest.mark.long
def test_a_key_that_gets_lost_is_made_up_for_by_the_ramdisk(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(cli, "--disk", "ahci,size=3G,serial=S1")
    first = reimage(cli)
    monkeypatch.setenv("BRINGUP_HOME", str(cli.home))
    lab = load_lab(cli.folder)
    planned = plan_reimage(lab, "e300", (), ReimageRequest(yes=True), module_mib=2)
    with DeafSession(planned.board, "reimage", keep_twin=True) as session:
        done = planned.run_in(lambda job: run_job(lab, session, job, None))
    assert done.ok, done.last.verdict
    assert b"y" in [key for keys in keys_lost for key in keys]
    assert [run.ok for run in done.runs] == [True, True, False, True, True]
    assert "started slot A, not B" in done.runs[2].verdict["cause"]
    assert (done.outcome.slot, done.outcome.kept, done.outcome.before_id) == ("B", True, first["image_id"])
    assert started_slot(cli) == "B"


@pytest.mark.long
def test_an_image_that_stayed_on_trial_is_kept_later_without_being_written_again(cli: Cli) -> None:
    up(cli, "--disk", "ahci,size=3G,serial=S1")
    reimage(cli)
    tried = reimage(cli, "--module-size", "2", "--confirm", "never")
    assert (tried["slot"], tried["kept"]) == ("B", False)
    kept = cli("slots", "e300", "--confirm", str(tried["image_id"]), "--json", timeout_s=LIMIT_S)
    assert (kept.code, kept.json["chosen"]) == (0, "B"), kept.err
    assert started_slot(cli) == "B"


@pytest.mark.long
def test_a_trial_that_fails_is_followed_by_the_image_before(cli: Cli) -> None:
    up(cli, "--disk", "ahci,size=3G,serial=S1")
    reimage(cli)
    failed = reimage(cli, "--append", "play=assert", code=11)
    assert (failed["slot"], failed["kept"], failed["written"]) == ("B", False, True)
    assert started_slot(cli) == "A"


def test_a_disk_with_large_sectors_under_uefi(cli: Cli) -> None:
    up(cli, "--disk", "nvme4k,size=3G,serial=N1", "--firmware", "uefi")
    done = reimage(cli, "--firmware", "uefi")
    assert (done["action"], done["slot"], done["kept"]) == ("install", "A", True)
    assert started_slot(cli) == "A"


@pytest.mark.long
@pytest.mark.parametrize(
    ("refused", "cause"),
    [("write", "refused to write"), ("read", "could not be read")],
    ids=["write", "read"],
)
def test_a_disk_that_fails_leaves_the_image_before(
    cli: Cli, tmp_path: Path, refused: str, cause: str
) -> None:
    """EIO in the idle slot: nothing can be written there, or what was written does not come back."""
    up(cli, "--disk", "usb,size=3G,serial=U1")
    reimage(cli, "--disk", "U1")
    assert cli("twin", "down").code == 0
    rules = tmp_path / "rules"
    slot_b = (68 * MIB + (1 << 30)) // 512
    fault = {"event": "none", "iotype": refused, "errno": "5", "sector": str(slot_b + 8), "once": "off"}
    rules.write_text("[inject-error]\n" + "".join(f'{key} = "{value}"\n' for key, value in fault.items()))
    up(cli, "--disk", f"usb,size=3G,serial=U1,fault={rules}")
    failed = reimage(cli, "--disk", "U1", "--module-size", "2", code=10)
    assert cause in str(failed["cause"])
    assert not failed["written"]
    assert started_slot(cli) == "A"
