"""Models III and IV by the command line: a network boot, then three played VMs over real Serial-over-LAN."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.twin.helpers import PATIENCE_S, Cli

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.slow
def test_a_wrong_pin_is_named_over_the_boards_own_console(cli: Cli, tmp_path: Path) -> None:
    words = ("--engine", "scripted", "--append", "play=vms:wrong-pin", "--only", "vm0.irq")
    left, report = tmp_path / "left", tmp_path / "report"
    left.mkdir()
    words += ("--json", "--report", str(report))
    done = cli("verify", "e300", "--plan", "model-3", *words, TMPDIR=str(left))
    body = done.json
    ended = {check["id"]: check for check in body["checks"]}
    assert done.code == 12, body
    assert {name for name, check in ended.items() if check["status"] == "fail"} == {"vm0.irq"}
    assert {name for name, check in ended.items() if check["status"] == "pass"} == set(ended) - {"vm0.irq"}
    assert "the pin in use, 0/16" in ended["vm0.irq"]["evidence"]
    assert ended["vm0.irq"]["values"]["candidates"] == ["0/18", "0/19"]
    assert not list(left.iterdir()), "what was made for the guests is gone"
    assert body["unproven"], "played VMs prove nothing of an image"
    assert b"\x1b[0m\x1b[32;47m" in (Path(body["folder"]) / "console-vms.log").read_bytes()
    suite = Xml.parse(report / "junit.xml").getroot()[0]  # noqa: S314
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    assert "vm_irqs" in (report / "report.html").read_text()


@pytest.mark.parametrize("plan", ["model-3", "model-4"])
def test_a_twin_without_vms_skips_every_check_and_starts_nothing(cli: Cli, plan: str) -> None:
    done = cli("verify", "e300", "--plan", plan, "--json")
    assert done.code == 3
    assert {check["status"] for check in done.json["checks"]} == {"skip"}
    assert done.json["checks"][0]["evidence"].startswith("not testable here: the stand-in image has no VMs")
    assert done.json["pass"] == 0


def test_a_plan_of_vms_is_not_for_the_virtual_lab(cli: Cli) -> None:
    done = cli("verify", "vlab", "--plan", "model-3")
    assert done.code == 2
    assert "is for a board of the lab" in done.err


def test_an_image_is_for_plans_of_vms_alone(cli: Cli) -> None:
    done = cli("verify", "vlab", "--plan", "model-1", "--image", "build")
    assert done.code == 2
    assert "--plan model-3" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["● override", "● boots"])
def test_an_interrupt_ends_it_while_it_boots_and_while_vms_are_asked(cli: Cli, moment: str) -> None:
    process = cli.popen("verify", "e300", "--plan", "model-3", "--engine", "scripted")
    assert process.stderr is not None
    assert any(moment in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130, ""), err
    verify, _boot = sorted((cli.home / "state/runs").glob("*/verdict.json"))
    assert json.loads(verify.read_text())["verdict"] == "interrupted"
    assert "checks failed" not in err
