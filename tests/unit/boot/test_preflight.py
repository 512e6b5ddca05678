"""What the lab file and the profile say of the console, and what a boot makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import ProfileError
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.preflight import Prepared, prepare
from bringup.boot.request import BootRequest, with_defaults
from bringup.boot.steps.serve import ServeImage
from bringup.boot.watch_request import QUIET_S, WatchRequest
from bringup.image.folder import find_image
from bringup.image.profile import ImageProfile
from bringup.jobs.boot import plan_boot
from bringup.lab.find import load_lab
from bringup.netboot.loaders import SerialLine
from bringup.twin.engines import TwinSetup
from tests.unit.image.test_check import BOTH, sel4
from tests.unit.image.test_elf import build_elf
from tests.unit.image.test_linux import bzimage
from tests.unit.transcript.test_vms import cdl

pytestmark = pytest.mark.usefixtures("home")

LAB = """[boards.mine]
profile = "{profile}"
macs = ["ac:1f:6b:0e:30:16"]
bmc = {{ address = "10.0.0.17", user = "ADMIN", password = {{ env = "P" }} }}
network = {{ interface = "enp3s0", mode = "proxy", address = "192.168.77.1/24" }}
{more}
"""


def prepared(
    folder: Path,
    more: str,
    *,
    profile: str = "supermicro-e300-9d",
    append: str = "",
    request: BootRequest | None = None,
    text: bytes = b"",
) -> Prepared:
    (folder / "lab.toml").write_text(LAB.format(profile=profile, more=more))
    paths = []
    for name, content in sel4(BOTH + text):
        paths.append(folder / name)
        paths[-1].write_bytes(content)
    return prepare(load_lab(folder).board("mine"), find_image(paths, append=append), request or BootRequest())


def cautions(boot: Prepared) -> tuple[str, ...]:
    return boot.plan((), until="user-space").cautions


def test_a_serial_line_ends_at_the_port_that_the_lab_file_says(in_folder: Path) -> None:
    boot = prepared(in_folder, 'serial = "/dev/ttyUSB0"\nconsole_port = 0x3f8')
    assert "console_port=0x3f8 debug_port=0x3f8" in boot.image.kernel_args
    assert boot.serial == SerialLine(unit=0, baud=115200)
    assert boot.console_detail == {"via": "/dev/ttyUSB0", "baud": 115200, "io_port": "0x3f8"}
    assert boot.watch.words.fill("{console_port}") == "0x3f8"
    assert not [told for told in cautions(boot) if "port" in told]


def test_a_kernel_that_is_told_the_sol_port_is_silent_on_that_line(in_folder: Path) -> None:
    line = 'serial = "/dev/ttyUSB0"\nconsole_port = 0x3f8'
    boot = prepared(in_folder, line, append="console_port=0x2f8")
    told = "the kernel is told console_port=0x2f8, and /dev/ttyUSB0 reads 0x3f8"
    assert f"{told}: write console_port=0x3f8, or leave it out" in cautions(boot)


def test_where_a_serial_line_ends_is_assumed_aloud(in_folder: Path) -> None:
    boot = prepared(in_folder, 'serial = "/dev/ttyUSB0"')
    assert boot.serial.unit == 1
    assert (
        "/dev/ttyUSB0 is taken to end at the port that SOL reads, 0x2f8: `console_port` of [boards.mine] "
        "says where it does"
    ) in cautions(boot)
    assert not [told for told in cautions(prepared(in_folder, "")) if "console_port" in told]


@pytest.mark.parametrize(
    ("more", "missing"),
    [("baud = 115200", "console_port = 0x2f8"), ("console_port = 0x2f8", "baud = 115200")],
)
def test_a_board_of_no_vendor_needs_its_serial_port_said(in_folder: Path, more: str, missing: str) -> None:
    with pytest.raises(
        ProfileError, match="neither the lab file nor profile generic-ipmi-x86 says"
    ) as caught:
        prepared(in_folder, more, profile="generic-ipmi-x86")
    assert missing in (caught.value.hint or "")


def test_a_board_of_no_vendor_boots_with_what_the_lab_file_adds(in_folder: Path) -> None:
    boot = prepared(in_folder, "console_port = 0x2f8\nbaud = 57600", profile="generic-ipmi-x86")
    assert boot.serial == SerialLine(unit=1, baud=57600)
    assert boot.watch.words.advice("vt-x") == "firmware setup: switch on virtualization (VT-x)"
    plan = boot.plan((), until="user-space")
    assert "firmware.default = bios" in plan.unconfirmed


def test_a_port_that_no_loader_can_write_to_is_told(in_folder: Path) -> None:
    with pytest.raises(ProfileError, match="no loader can write to a serial port at 0x2a8") as caught:
        prepared(in_folder, "console_port = 0x2a8")
    assert caught.value.hint == "they know 0x3f8, 0x2f8, 0x3e8, 0x2e8"


@pytest.mark.parametrize(
    ("firmware", "loader", "why"),
    [
        (Firmware.BIOS, "ipxe", "the fastest under BIOS"),
        (Firmware.UEFI, "efi-tftp", "on a shared LAN iPXE would wait 13 s for an IPv6 router"),
    ],
)
def test_a_plan_says_which_loader_and_why(in_folder: Path, firmware: Firmware, loader: str, why: str) -> None:
    boot = prepared(in_folder, "", request=BootRequest(firmware=firmware))
    serve = ServeImage(boot.route, boot.segment, boot.spec).planned.detail
    assert (serve["loader"], serve["why"]) == (loader, why)
    assert ('would say "Access Denied"' in serve.get("secure_boot", "")) is (firmware is Firmware.UEFI)


@pytest.mark.parametrize(("memory_mib", "loader"), [(None, "efi"), (256, "grub")])
def test_what_is_too_large_for_one_file_goes_by_grub(
    in_folder: Path, memory_mib: int | None, loader: str
) -> None:
    paths = []
    for name, content in sel4(BOTH):
        paths.append(in_folder / name)
        paths[-1].write_bytes(content)
    with paths[-1].open("ab") as module:
        module.truncate(40 << 20)
    request = BootRequest(firmware=Firmware.UEFI, twin=TwinSetup(memory_mib=memory_mib))
    boot = prepare(load_lab(in_folder).board("e300"), find_image(paths), request)
    assert boot.route.loader == loader
    assert ("a boot image may carry 32 MiB on a board with 256 MiB" in boot.route.why) is (loader == "grub")


def test_an_image_says_where_the_person_said_nothing() -> None:
    said = ImageProfile.model_validate(
        {"until": ("guest", "42 passed"), "fail": ("ASSERT",), "vms": 2, "engine": "qemu", "for": 5}
    )
    filled = with_defaults(BootRequest(), said, twin=True)
    assert (filled.until, filled.until_texts) == (Stage.GUEST, ("42 passed",))
    assert (filled.fail_texts, filled.vms, filled.twin.engine) == (("ASSERT",), 2, "qemu")
    assert filled.for_s == 5
    assert with_defaults(BootRequest(for_s=0.0), said, twin=True).for_s == 0.0
    # One end that a person gives replaces both of the file's.
    for ends in (BootRequest(until=Stage.VMM), BootRequest(until_texts=("done",))):
        mine = with_defaults(ends, said, twin=True)
        assert (mine.until, mine.until_texts) == (ends.until, ends.until_texts)
    asked = BootRequest(fail_texts=("x",), vms=0, twin=TwinSetup("bochs", 512))
    mine = with_defaults(asked, said, twin=True)
    assert (mine.fail_texts, mine.vms, mine.twin) == (asked.fail_texts, 0, asked.twin)
    # A real board is what it is.
    assert with_defaults(BootRequest(), said, twin=False).twin == BootRequest().twin


def test_what_the_image_is_good_for_counts_where_nobody_says(in_folder: Path) -> None:
    watch = prepared(in_folder, "").watch
    assert (watch.by_itself, watch.quiet_s) == (True, QUIET_S)
    assert watch.texts_s == watch.limits[Stage.LOGIN]
    assert not prepared(in_folder, "", request=BootRequest(until=Stage.VMM)).watch.by_itself


def standin_watch(words: str, folder: Path) -> WatchRequest:
    for name, content in (("kernel", build_elf(BOTH + b"bringup stand-in image")), ("module", b"BRINGUP1")):
        (folder / name).write_bytes(content)
    image = find_image([folder / "kernel", folder / "module"], append=words)
    return prepare(load_lab(folder).board("e300"), image, BootRequest()).watch


def test_the_stand_in_is_watched_for_silence_only_where_it_goes_on(in_folder: Path) -> None:
    assert standin_watch("", in_folder).quiet_s == 0.0
    assert standin_watch("vms=0", in_folder).aim == "user-space"
    for words in ("play=late-fault", "vms=3", "play=suite:5"):
        watch = standin_watch(words, in_folder)
        assert (watch.by_itself, watch.quiet_s) == (True, QUIET_S)
        assert watch.aim == "user-space and 5 s of silence"
    assert not standin_watch("play=release:0x2f8", in_folder).prints


def test_a_linux_is_done_at_user_space(in_folder: Path) -> None:
    (in_folder / "bzImage").write_bytes(bzimage())
    image = find_image([in_folder / "bzImage"])
    watch = prepare(load_lab(in_folder).board("e300"), image, BootRequest()).watch
    assert (watch.by_itself, watch.until, watch.aim) == (False, Stage.USER_SPACE, "user-space")


def test_a_suite_is_known_by_the_name_of_its_module(in_folder: Path) -> None:
    files = [in_folder / "kernel-x86_64-pc99", in_folder / "sel4test-driver-image-x86_64-pc99"]
    for path, (_, content) in zip(files, sel4(), strict=True):
        path.write_bytes(content)
    watch = prepare(load_lab(in_folder).board("e300"), find_image(files), BootRequest()).watch
    assert (watch.is_suite, watch.aim) == (True, "its tests have passed")


def test_the_vms_of_the_build_are_awaited_by_their_names(in_folder: Path) -> None:
    (in_folder / "images").mkdir()
    for name, content in sel4():
        (in_folder / "images" / name).write_bytes(content)
    (in_folder / "app.cdl").write_text(cdl({"vm0": 5, "vm1": 3}, {"vm0": 1, "vm1": 2}))
    watch = plan_boot(load_lab(in_folder), "e300", [in_folder], BootRequest(ignore_needs=True)).job.watch
    assert watch.vm_names is not None and watch.vm_names.vms == ("vm0", "vm1")
    assert (watch.vms, watch.until, watch.aim) == (2, Stage.LOGIN, "login of each of its 2 VMs")
    said = BootRequest(vms=1, ignore_needs=True)
    assert plan_boot(load_lab(in_folder), "e300", [in_folder], said).job.watch.vms == 1


def test_texts_that_end_a_boot_and_what_the_kernel_prints_are_watched_for(in_folder: Path) -> None:
    request = BootRequest(until_texts=("done",), fail_texts=("ASSERT",))
    watch = prepared(in_folder, "", request=request).watch
    assert (watch.until_texts, watch.fail_texts) == (("done",), ("ASSERT",))
    assert not watch.prints  # this kernel has no text at all, as a RELEASE build
    assert prepared(in_folder, "", text=b"dropped to user space").watch.prints
