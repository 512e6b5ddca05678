"""Which constraints had something to judge, and how it is told that none had."""

from __future__ import annotations

from pathlib import Path

from bringup.camkes.app.load import load_application
from bringup.report.findings import count_line
from bringup.rules.check import RULES, check
from bringup.rules.subjects import SUBJECTS
from tests.unit.rules.world import world


def test_every_constraint_has_its_subject() -> None:
    assert set(SUBJECTS) == {rule.id for rule in RULES if rule.id.startswith("C")}


def test_all_have_something_to_judge_where_a_device_is_passed() -> None:
    assert set(world().report().judged or ()) == set(SUBJECTS)


def test_what_is_not_there_is_not_judged() -> None:
    w = world()
    for name in ("pci_devices", "vm_irqs", "vm_ioports"):
        w.vm0.pop(name)
    judged = set(w.report().judged or ())
    assert {"C25", "C37", "C38", "C42"} <= judged
    assert not judged & {"C1", "C17", "C24", "C28", "C29"}


def test_an_application_without_vms_is_nothing_to_check(tmp_path: Path) -> None:
    path = tmp_path / "app.camkes"
    path.write_text("component A { control; } assembly { composition { component A a; } configuration {} }")
    report = check(load_application(path))
    assert count_line(report) == "nothing to check: no VM in this application, 0 errors, 0 warnings"
    assert count_line(world().report()) == "checks clean: 48 constraints, 0 errors, 0 warnings"
    path.write_text("")
    assert count_line(check(load_application(path))).startswith("nothing to check: ")
