"""Explain takes what counts from the person, else from what lies beside the image and the log."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bringup.base.errors import ProfileError, UsageError
from bringup.base.stage import Stage
from bringup.boot.request import BootRequest
from bringup.jobs.explain import explain
from tests.unit.image.test_check import BOTH
from tests.unit.image.test_elf import build_elf
from tests.unit.transcript.test_vms import cdl

pytestmark = pytest.mark.usefixtures("in_folder")

PLAIN = "Boot config: disable_iommu = false\r\nBooting all finished, dropped to user space\r\nanswer 42\r\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "console.log"
    path.write_text(PLAIN)
    return path


@pytest.fixture
def build(tmp_path: Path) -> Path:
    folder = tmp_path / "build"
    (folder / "images").mkdir(parents=True)
    return folder


def code(log: Path, request: BootRequest | None = None, image: Path | None = None) -> str:
    return explain(log, request, image).verdict.code


def test_the_file_beside_the_image_says_what_counts(log: Path, build: Path) -> None:
    assert code(log, None, build) == "no-known-end"
    said = build / "bringup.toml"
    said.write_text('until = "answer [0-9]+"')
    assert code(log, None, build) == "ok"
    said.write_text('fail = "answer 4."')
    assert code(log, None, build) == "fail-text"
    said.write_text('until = "user-space"')
    assert code(log, None, build) == "ok"
    assert code(log, BootRequest(until=Stage.LOGIN), build) == "text-ends"
    said.write_text("vms = 2\n")
    assert code(log, None, build) == "text-ends"
    said.rename(build / "images" / "bringup.toml")
    assert code(log, None, build) == "text-ends"


def test_mistakes_in_that_file_are_told_with_their_line(log: Path, build: Path) -> None:
    (build / "bringup.toml").write_text("untill = 'x'")
    with pytest.raises(ProfileError, match=r"bringup\.toml:1"):
        explain(log, None, build)
    with pytest.raises(UsageError, match="is no folder"):
        explain(log, None, log)


def test_the_vms_of_the_build_are_awaited(log: Path, build: Path) -> None:
    (build / "app.cdl").write_text(cdl({"vm0": 5, "vm1": 3}, {"vm0": 1, "vm1": 2}))
    assert explain(log, None, build).verdict.missing is Stage.VMM
    assert code(log, BootRequest(until=Stage.USER_SPACE), build) == "ok"


def test_the_folder_of_a_run_tells_what_it_waited_for(log: Path) -> None:
    assert code(log.parent) == "no-known-end"
    plan = log.parent / "plan.json"
    plan.write_text(json.dumps({"until": "user-space"}))
    assert code(log.parent) == "ok"
    plan.write_text("[broken")
    assert code(log.parent) == "no-known-end"


RELEASE = "SeaBIOS (version 1.16.2)\r\nbringup: starting kernel x\r\nhello from an application\r\n"


def test_a_release_image_is_known_by_the_plan_of_its_run(log: Path) -> None:
    log.write_text(RELEASE)
    assert code(log.parent) == "text-ends"
    needs = {"bits": 64, "release": True, "features": [], "unknown": []}
    (log.parent / "plan.json").write_text(json.dumps({"until": "user-space", "image": {"needs": needs}}))
    verdict = explain(log.parent).verdict
    assert (verdict.kind, verdict.stage) == ("ok", Stage.USER_SPACE)
    assert "characters after the hand-over, which the kernel does not print" in verdict.cause
    standin = {"standin": True, "kernel_args": "play=release:0x2f8", "needs": None}
    (log.parent / "plan.json").write_text(json.dumps({"until": "user-space", "image": standin}))
    assert code(log.parent) == "ok"


def test_a_release_image_is_known_by_the_kernel_of_its_build(log: Path, build: Path) -> None:
    log.write_text(RELEASE)
    (build / "CMakeCache.txt").write_text("RELEASE:BOOL=ON\n")
    kernel = build / "images" / "kernel-x86_64-pc99"
    kernel.write_bytes(build_elf(BOTH))
    assert code(log, None, build) == "no-known-end"
    assert code(log, BootRequest(until=Stage.USER_SPACE), build) == "ok"
    kernel.write_bytes(build_elf(BOTH + b"dropped to user space"))
    assert code(log, BootRequest(until=Stage.USER_SPACE), build) == "text-ends"


@pytest.mark.parametrize("bad", ["a pipe", "deep"])
def test_a_plan_that_is_none_costs_nothing(log: Path, bad: str) -> None:
    plan = log.parent / "plan.json"
    if bad == "a pipe":
        os.mkfifo(plan)
    else:
        plan.write_text("[" * 100_000)
    assert code(log.parent) == code(log)


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, b"  \r\n\t \r\n" * 100, b"\x1b[2J\x1b[01;01H"])
def test_a_recording_without_text_is_told_as_that(log: Path, data: bytes) -> None:
    log.write_bytes(data)
    verdict = explain(log).verdict
    assert (verdict.code, verdict.kind, verdict.exit_code) == ("nothing-said", "undecided", 3)
    assert verdict.seen is None and verdict.causes


def test_zeros_behind_a_text_take_nothing_from_it(log: Path) -> None:
    log.write_bytes(PLAIN.encode() + b"\0" * 4096)
    assert code(log) == "no-known-end"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("PXE-E52: proxyDHCP offers were received. No DHCP offers were received.", "proxyDHCP offers"),
        ("Could not boot: Requested memory not available (http://ipxe.org/46038101)", "in memory"),
    ],
)
def test_what_alone_ends_no_boot_is_told_all_the_same(log: Path, text: str, cause: str) -> None:
    log.write_text(text + "\r\n")
    verdict = explain(log).verdict
    assert (verdict.code, verdict.exit_code) == ("ends-nothing", 3)
    assert cause in verdict.cause and "alone ends no boot" in verdict.cause
    assert verdict.seen is not None and text in verdict.seen
    log.write_text("what nobody knows\r\n")
    assert code(log) == "nothing-known"
