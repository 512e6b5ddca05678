"""Boots from power-on to a kernel over every route: real firmware, real loaders, our servers.

The kernel prints what it was given, so a boot counts only when every byte of the module and every word of the
command lines arrived. `bench/` measures times; here they only have to be finite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bringup.base.firmware import Firmware
from bringup.netboot.boot_image import UNSIGNED
from bringup.netboot.prepare import BootImage, prepare
from bringup.netboot.spec import Transport
from tests.twin.helpers import long
from tests.twin.netboot_lab import MAC, Board, Heard, Lab, boot_image, lab, segment, served

pytestmark = pytest.mark.slow

MODULE_BYTES = 3 * (1 << 20) + 5
# What a shell, iPXE or GRUB would take as its own, as far as it can be handed over at all.
ARGS = "console_port=0x2f8 a=$(reboot) b;c d&e |f| <g> {h} *"
BIOS, UEFI = Firmware.BIOS, Firmware.UEFI


@pytest.fixture
def made(home: Path) -> Iterator[Lab]:
    with lab() as network:
        yield network


def kernel_report(board: Board) -> tuple[str, str, int, int, int, str]:
    """Return (multiboot, arguments, module's bytes, first, last, its arguments) as the kernel saw them."""
    board.wait_for("netboot-kernel: end")
    text = board.console[board.console.index("netboot-kernel: started") :]
    match = re.fullmatch(
        r"netboot-kernel: started by multiboot (\d)\r\n"
        r"netboot-kernel: args=\[(.*)\]\r\n"
        r"netboot-kernel: module 1 bytes=(\d+) first=(\d+) last=(\d+) args=\[(.*)\]\r\n"
        r"netboot-kernel: end.*",
        text,
        re.DOTALL,
    )
    assert match, text
    kind, args, size, first, last, module_args = match.groups()
    return kind, args, int(size), int(first), int(last), module_args


@pytest.mark.parametrize(
    ("firmware", "loader", "transport", "kind"),
    [
        (BIOS, "ipxe", "http", "1"),
        long(BIOS, "ipxe", "tftp", "1"),
        (BIOS, "grub", "tftp", "2"),
        long(BIOS, "grub", "http", "2"),
        (UEFI, "grub", "tftp", "2"),
        long(UEFI, "grub", "http", "2"),
        (UEFI, "efi", "http", "2"),
        (UEFI, "efi-tftp", "tftp", "2"),
    ],
)
def test_route_to_a_kernel(
    made: Lab, tmp_path: Path, firmware: Firmware, loader: str, transport: Transport, kind: str
) -> None:
    image = boot_image(tmp_path, MODULE_BYTES, ARGS, "first second")
    spec = prepare(image, segment(), tmp_path, firmware=firmware, loader=loader, transport=transport)
    heard = Heard()
    with served(spec, heard, made.enter):
        board = Board(made, firmware, tmp_path)
        report = kernel_report(board)
        board.off()
        heard.wait("dhcp.ack")
        # The board starts what it has before a busy server has read the acknowledgement of the last block.
        last = "boot-image" if spec.route.loader.startswith("efi") else "module"
        heard.wait(f"{transport}.done", role=last)
    url = {"http": "http://10.55.0.1", "tftp": "tftp://10.55.0.1"}[transport]
    # iPXE puts the file's URL before the arguments, GRUB does not.
    before, module_before = (f"{url}/kernel ", f"{url}/module ") if loader == "ipxe" else ("", "")
    assert report == (kind, before + ARGS, MODULE_BYTES, 17, 23, module_before + "first second")
    told = board.console
    steps = ("loading kernel kernel", "loading module 1 of 1 module", "starting kernel")
    assert [told.index(f"bringup: {step}") for step in steps] == sorted(
        told.index(f"bringup: {step}") for step in steps
    )
    # GRUB says that one under UEFI on a board without a screen, and it is harmless.
    assert "failed" not in told and "error:" not in told.replace("error: no suitable video mode found", "")
    _check_events(heard, image, firmware, transport)


def _check_events(heard: Heard, image: BootImage, firmware: Firmware, transport: str) -> None:
    discover = heard.of("dhcp.discover")[0]
    assert discover.data["mac"] == MAC
    assert discover.data["arch"] == {BIOS: 0, UEFI: 7}[firmware]
    done = {event.data["role"]: event for event in heard.events if event.kind.endswith(".done")}
    if "boot-image" in done:
        # GRUB, kernel and module in one; where iPXE fetches it, that had come with its script.
        assert set(done) == {"boot-image", *(("loader", "loader-script") if transport == "http" else ())}
        assert done["boot-image"].data["bytes"] > image.kernel.size + MODULE_BYTES
    else:
        assert done["kernel"].data["bytes"] == image.kernel.size
        assert done["module"].data["bytes"] == MODULE_BYTES
        assert "loader-script" in done
    parts = ("loader-script", "kernel", "module", "boot-image")
    assert {done[role].source for role in parts[1:] if role in done} == {transport}
    # What the verdict reads as the course of the boot, in its order.
    times = [discover.at_s, heard.of("dhcp.ack")[0].at_s]
    times += [done[role].at_s for role in parts if role in done]
    assert times == sorted(times)
    assert heard.of("tftp.error") == [] and heard.of("http.error") == []


@pytest.mark.parametrize(("firmware", "loader"), [(BIOS, "grub"), long(UEFI, "grub"), (UEFI, "auto")])
def test_behind_another_dhcp_server(made: Lab, tmp_path: Path, firmware: Firmware, loader: str) -> None:
    """The image must come from this host although the address came from another one."""
    made.dhcp_server("dhcp0", "10.55.0.2/24")
    image = boot_image(tmp_path, 100_000)
    spec = prepare(image, segment("proxy"), tmp_path, firmware=firmware, loader=loader)
    heard = Heard()
    with served(spec, heard, made.enter):
        board = Board(made, firmware, tmp_path)
        assert kernel_report(board)[2] == 100_000
        board.off()
        heard.wait("dhcp.reply", file=spec.route.first_file.lstrip("/"))
    assert spec.route.loader == ("efi-tftp" if loader == "auto" else "grub")
    assert heard.of("dhcp.ack") == []


@pytest.mark.parametrize("loader", ["efi", long("efi-tftp"), long("grub")])
def test_secure_boot_refuses_with_the_words_that_the_plan_says(
    made: Lab, tmp_path: Path, loader: str
) -> None:
    image = boot_image(tmp_path, 1000)
    spec = prepare(image, segment(), tmp_path, firmware=UEFI, loader=loader)
    with served(spec, Heard(), made.enter):
        board = Board(made, UEFI, tmp_path, secure=True)
        board.wait_for(": Access Denied")
        board.off()
    assert '"Access Denied"' in UNSIGNED
    assert "Welcome to GRUB" not in board.console and "iPXE" not in board.console


@pytest.mark.parametrize(
    ("victim", "loader"),
    [("kernel", "ipxe"), long("kernel", "grub"), long("module", "ipxe"), ("module", "grub")],
)
def test_a_failing_load_is_said_and_ends(made: Lab, tmp_path: Path, victim: str, loader: str) -> None:
    image = boot_image(tmp_path, 100_000)
    spec = prepare(image, segment(), tmp_path, firmware=BIOS, loader=loader)
    (tmp_path / victim).unlink()
    heard = Heard()
    with served(spec, heard, made.enter):
        board = Board(made, BIOS, tmp_path)
        board.wait_for("bringup: stopped after 3 attempts")
        board.off()
        heard.wait("tftp.error" if spec.route.transport == "tftp" else "http.error", path=f"/{victim}")
    what = {"kernel": "loading kernel failed", "module": "loading module 1 of 1 failed"}[victim]
    assert board.console.count(f"bringup: {what}") == 3
    assert "netboot-kernel" not in board.console
    failed = [event for event in heard.events if event.kind in ("tftp.error", "http.error")]
    assert {event.data["path"] for event in failed} == {f"/{victim}"}
