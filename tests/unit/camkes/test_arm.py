"""Applications for ARM are named as such, and nothing of x86 is judged or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import ProfileError
from bringup.camkes.app.build import Build
from bringup.camkes.app.load import load_application
from bringup.camkes.vms.arm import arm_sign
from bringup.jobs.configure.assigned import assign_devices
from bringup.jobs.configure.request import AssignRequest
from bringup.report.findings import count_line
from bringup.rules.check import check

ARM = """
import <VM_Arm/vm.camkes>;
#include <configurations/vm.h>
component VM { VM_INIT_DEF() }
assembly {
    composition { VM_GENERAL_COMPOSITION_DEF() VM_COMPOSITION_DEF(0) }
    configuration {
        vm0.num_vcpus = 1;
        vm0.dtb = dtb([{"path": "/timer"},]);
        vm0.untyped_mmios = ["0x8040000:12"];
        vm0.strange = 1;
    }
}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "app.camkes"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        ARM,
        ARM.replace("import <VM_Arm/vm.camkes>;", "").replace("vm0.num_vcpus = 1;", ""),
        ARM.replace("import <VM_Arm/vm.camkes>;", "").replace("vm0.dtb = dtb", "vm0.other = dtb"),
    ],
)
def test_nothing_of_x86_is_judged(tmp_path: Path, text: str) -> None:
    report = check(load_application(write(tmp_path, text), allow_missing=True))
    assert report.findings == () and report.gaps == ()
    assert count_line(report).startswith("nothing to check: an application for ARM (")


def test_what_camkes_refuses_is_told_all_the_same(tmp_path: Path) -> None:
    text = ARM.replace("vm0.strange = 1;", "vm0.strange = 1; vm0.strange = 2;")
    report = check(load_application(write(tmp_path, text), allow_missing=True))
    assert [finding.rule for finding in report.findings] == ["C43"]
    assert count_line(report).startswith("checks failed: an application for ARM (")


def test_the_build_has_the_last_word(tmp_path: Path) -> None:
    application = load_application(write(tmp_path, ARM), allow_missing=True)
    assert arm_sign(application, Build(tmp_path, {"KernelArch": "x86"})) is None
    assert arm_sign(application, Build(tmp_path, {"KernelArch": "arm"})) == "KernelArch=arm"


def test_nothing_of_x86_is_written(tmp_path: Path) -> None:
    request = AssignRequest(assignments=["vm0=17:00.0"], allow_missing=True)
    with pytest.raises(ProfileError, match="is an application for ARM"):
        assign_devices(None, write(tmp_path, ARM), request)


def test_an_x86_application_is_none(tmp_path: Path) -> None:
    text = "component Init0 { control; } assembly { composition { component Init0 vm0; } configuration {} }"
    assert arm_sign(load_application(write(tmp_path, text))) is None
