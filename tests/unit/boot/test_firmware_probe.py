"""The firmware probe as an image: how it is booted, and what is not waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import ImageError
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.job import Job
from bringup.boot.preflight import Prepared, prepare
from bringup.boot.request import BootRequest
from bringup.image.firmware_probe import firmware_probe
from bringup.image.folder import find_image
from bringup.jobs.boot import boot_steps
from bringup.jobs.capture.errand import FIRMWARE_REPORT
from bringup.lab.find import load_lab
from bringup.pci.sources.firmware.frames import BANNER
from bringup.probe import firmware_report
from bringup.transcript.stages import StageReader

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def built() -> Path:
    try:
        return firmware_probe()
    except ImageError as error:
        pytest.skip(f"{error.message}: {error.hint}")


def ready(
    in_folder: Path, built: Path, firmware: Firmware, until: Stage | None = Stage.CAPTURE
) -> tuple[Prepared, Job]:
    request = BootRequest(firmware=firmware, until=until)
    image = find_image([built], append=firmware_report.WORDS)
    prepared = prepare(load_lab(in_folder).board("e300"), image, request, FIRMWARE_REPORT)
    return prepared, Job.of(prepared, boot_steps(prepared, prepared.spec, overridden=True))


@pytest.mark.parametrize(("firmware", "loader"), [(Firmware.BIOS, "ipxe"), (Firmware.UEFI, "efi")])
def test_it_goes_the_way_of_a_kernel_and_speaks_on_sol(
    in_folder: Path, built: Path, firmware: Firmware, loader: str
) -> None:
    boot, job = ready(in_folder, built, firmware)
    assert job.plan.loader == loader
    assert boot.image.title == "firmware probe (not seL4)"
    assert boot.image.kernel_args == "console_port=0x2f8 debug_port=0x2f8 wait=60 after=halt"
    assert job.plan.cautions == ()
    assert boot.watch.reports


def test_no_user_space_is_expected_of_it(in_folder: Path, built: Path) -> None:
    _, job = ready(in_folder, built, Firmware.BIOS)
    stages = [limit.stage for limit in job.plan.limits]
    assert stages[-2:] == ["kernel", "capture"]
    assert job.plan.limits[-1].timeout_s == firmware_report.TIMEOUT_S
    assert not [text for text in job.plan.unconfirmed if "user-space" in text]
    assert ready(in_folder, built, Firmware.BIOS, until=None)[1].plan.until == "kernel"


def test_its_first_words_start_the_kernel_stage_and_an_exception_ends_it() -> None:
    reader = StageReader()
    sightings = reader.feed(b"\r\n" + BANNER + b"\r\n", 1.0)
    assert [(s.kind, s.stage) for s in sightings] == [("stage", Stage.KERNEL)]
    told = reader.feed(b"bringup firmware probe: exception 13 at 0x101234\r\n", 2.0)
    assert [s.failure.code for s in told if s.failure] == ["firmware-probe-exception"]
