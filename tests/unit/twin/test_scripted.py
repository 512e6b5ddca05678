"""The scripted board: follows our loader scripts, and says on its console what a board would."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.netboot.loaders import BootSet, choose_route, render_fetch_script, render_script
from bringup.transcript.stages import StageReader
from bringup.twin.scripted import texts
from bringup.twin.scripted.board import Nature, ScriptedBoard
from bringup.twin.scripted.boot_image import BootImage, read_boot_image
from bringup.twin.scripted.ipxe import Loaded, follow, is_kernel
from bringup.twin.scripted.network import Fetched, Lease, NetworkError, Nic

SCRIPT = """#!ipxe
set attempt:int32 0

:again
inc attempt
imgfree
echo bringup: loading kernel kernel
kernel http://10.55.0.1/kernel console_port=0x2f8 play=reboot || goto kernel_failed
echo bringup: loading module 1 of 1 module
module http://10.55.0.1/module words || goto module_1_failed
echo bringup: starting kernel
boot || goto start_failed

:kernel_failed
echo bringup: loading kernel failed
goto retry

:module_1_failed
echo bringup: loading module 1 of 1 failed
goto retry

:start_failed
echo bringup: starting kernel failed

:retry
iseq ${attempt} 2 && goto stopped ||
sleep 0
goto again

:stopped
echo bringup: stopped after 2 attempts, reset the board to try again
:stay
sleep 0 ||
goto stay
"""
KERNEL = Fetched(b"\x7fELF" + bytes(60), 64)
MODULE = Fetched(b"module", 6)


@dataclass
class Files:
    """What is served: an answer for each time a URL is asked for, the last one for all later times."""

    answers: dict[str, list[Fetched | str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, url: str) -> Fetched:
        self.asked.append(url)
        answers = self.answers[url.rpartition("/")[2]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, str):
            raise NetworkError(answer)
        return answer


def run(script: str, **answers: list[Fetched | str]) -> tuple[Loaded | None, str, Files]:
    said: list[str] = []
    files = Files(answers)
    loaded = asyncio.run(follow(script, files, said.append))
    return loaded, "".join(said), files


def test_a_script_boots_with_the_arguments_it_gives() -> None:
    loaded, said, _ = run(SCRIPT, kernel=[KERNEL], module=[MODULE])
    assert loaded is not None
    assert loaded.arguments == "http://10.55.0.1/kernel console_port=0x2f8 play=reboot"
    assert loaded.modules == 1
    assert said.endswith("bringup: starting kernel\r\n")


def test_what_broke_once_is_fetched_again_from_the_start() -> None:
    loaded, said, files = run(SCRIPT, kernel=[KERNEL], module=["http-reset", MODULE])
    assert loaded is not None and loaded.modules == 1
    assert "Connection reset (http://ipxe.org/0f0a6039)" in said
    assert [url.rpartition("/")[2] for url in files.asked] == ["kernel", "module"] * 2


def test_after_its_attempts_it_stays_where_it_is() -> None:
    loaded, said, files = run(SCRIPT, kernel=[Fetched(b"<html>", 6)], module=[MODULE])
    assert loaded is None
    assert said.count("Exec format error (http://ipxe.org/2e008081)") == 2
    assert "bringup: stopped after 2 attempts" in said
    assert len(files.asked) == 2


@pytest.mark.parametrize("script", ["", "#!ipxe\ngoto nowhere", "#!ipxe\nboot || goto nowhere", ":a\ngoto a"])
def test_a_script_that_leads_nowhere_ends(script: str) -> None:
    assert run(script)[0] is None


def test_kernels_are_told_by_their_first_bytes() -> None:
    assert is_kernel(KERNEL.start)
    assert is_kernel(bytes(0x202) + b"HdrS")
    assert not is_kernel(b"<html>")


class Port(Nic):
    """A boot port on a network where everything, or nothing, works."""

    def __init__(self, *, fails: str = "", file: str = "undionly.kpxe", arguments: str = "") -> None:
        super().__init__("none", "52:54:00:0e:30:10")
        object.__setattr__(self, "told", (fails, file, arguments))

    async def ask(self, arch: int, *, ipxe: bool = False) -> Lease:
        fails, file, _ = self.told  # type: ignore[attr-defined]
        if fails in ("no-offer", "no-ack"):
            raise NetworkError(fails)
        return Lease("10.55.0.30", "10.55.0.1", "http://10.55.0.1/boot.ipxe" if ipxe else file)

    async def fetch_tftp(self, server: str, name: str) -> Fetched:
        fails, _, _ = self.told  # type: ignore[attr-defined]
        if fails.startswith("tftp"):
            raise NetworkError(fails)
        return MODULE

    async def fetch_http(self, url: str) -> Fetched:
        _, _, arguments = self.told  # type: ignore[attr-defined]
        if url.endswith(".ipxe"):
            script = SCRIPT.replace("play=reboot", arguments)
            return Fetched(script.encode(), len(script))
        return KERNEL


def life(nature: Nature, *, network: bool = True, uefi: bool = False) -> tuple[str, int]:
    """Return what a board says from power-on until it has nothing more to do, and how often it reset."""
    said: list[str] = []
    resets: list[int] = []

    async def live() -> None:
        board = ScriptedBoard(nature, said.append, lambda: resets.append(1))
        board.on(network=network, uefi=uefi)
        assert board._life is not None
        await board._life

    asyncio.run(live())
    return "".join(said), len(resets)


def seen(text: str) -> tuple[Stage | None, set[str]]:
    """Return the furthest stage and the failures that the tool's own reader finds in a console."""
    reader = StageReader()
    sightings = [*reader.feed(text.encode(), 1.0), *reader.feed(b"", 5.0)]
    stages = [sighting.stage for sighting in sightings if sighting.stage is not None]
    failures = {sighting.failure.code for sighting in sightings if sighting.failure is not None}
    return max(stages, key=lambda stage: stage.order, default=None), failures


@pytest.mark.parametrize(
    ("port", "stage", "failures", "resets"),
    [
        (Port(), Stage.USER_SPACE, set(), 0),
        (Port(arguments="play=hang:kernel"), Stage.KERNEL, set(), 0),
        (Port(arguments="play=reboot"), Stage.KERNEL, set(), 1),
        (Port(arguments="play=vtx-locked"), Stage.KERNEL, {"vtx-locked"}, 0),
        (Port(fails="no-offer"), Stage.FIRMWARE, {"pxe-no-answer", "nothing-to-boot"}, 0),
        (Port(fails="tftp-timeout"), Stage.FIRMWARE, {"nothing-to-boot"}, 0),
        (Port(file=""), Stage.FIRMWARE, {"pxe-no-file", "nothing-to-boot"}, 0),
    ],
)
def test_what_a_board_says_is_read_as_what_it_does(
    port: Port, stage: Stage, failures: set[str], resets: int
) -> None:
    text, reset = life(Nature(port, post_s=0.0))
    found, codes = seen(text)
    assert (found, reset) == (stage, resets)
    assert failures <= codes


def test_a_port_without_a_link_says_so_and_asks_nobody() -> None:
    text, _ = life(Nature(Port(fails="no-offer"), no_link=True, post_s=0.0))
    assert "pxe-no-link" in seen(text)[1]
    assert "PXE-E51" not in text


def test_without_an_override_its_disk_boots() -> None:
    text, _ = life(Nature(Port(), post_s=0.0), network=False)
    assert texts.DISK in text
    assert "Boot Agent" not in text


def efi_image(boot: BootSet) -> Fetched:
    """A boot image as a scripted board sees it: a program, and a script near its end."""
    script = render_script(boot, choose_route(Firmware.UEFI, boot, "efi"), "http://10.55.0.1").encode()
    return Fetched(b"MZ" + bytes(62), 64 + len(script), bytes(9000) + script + bytes(9000))


@dataclass(frozen=True)
class EfiPort(Nic):
    """A boot port under UEFI, whose firmware (`file`) or iPXE is given this file."""

    image: Fetched = KERNEL
    file: str = "snponly.efi"

    async def ask(self, arch: int, *, ipxe: bool = False) -> Lease:
        assert arch == 7  # x86-64 UEFI, RFC 4578 with its erratum
        return Lease("10.55.0.30", "10.55.0.1", "http://10.55.0.1/boot.ipxe" if ipxe else self.file)

    async def fetch_tftp(self, server: str, name: str) -> Fetched:
        return self.image

    async def fetch_http(self, url: str) -> Fetched:
        script = render_fetch_script(SEL4, "http://10.55.0.1").encode()
        return Fetched(script, len(script)) if url.endswith(".ipxe") else self.image


SEL4 = BootSet(("/kernel", "console_port=0x2f8 play=x"), (("/a", ""), ("/b", "")), "multiboot", True, True)
LINUX = BootSet(("/vmlinuz", "console=ttyS1 bringup.role=x"), (("/a", ""), ("/b", "")), "linux")


@pytest.mark.parametrize(
    ("boot", "kernel", "arguments"),
    [(SEL4, "kernel", "console_port=0x2f8 play=x"), (LINUX, "vmlinuz", "console=ttyS1 bringup.role=x")],
)
def test_a_boot_image_is_known_by_its_script(boot: BootSet, kernel: str, arguments: str) -> None:
    file = efi_image(boot)
    assert read_boot_image(file.start, file.end) == BootImage(kernel, arguments, ("a", "b"))
    assert read_boot_image(b"\x7fELF", file.end) is None
    assert read_boot_image(file.start, bytes(9000)) is None


@pytest.mark.parametrize("file", ["snponly.efi", "boot.efi"])
def test_under_uefi_a_boot_image_starts_whoever_fetched_it(file: str) -> None:
    text, _ = life(
        Nature(EfiPort("none", "52:54:00:0e:30:10", image=efi_image(SEL4), file=file), post_s=0.0), uefi=True
    )
    assert "bringup: GRUB started" in text and "bringup: loading module 2 of 2 b" in text
    assert ("iPXE 1.0" in text) is (file == "snponly.efi")
    assert "console_port=0x2f8 play=x" in text and "Detected 2 boot module(s)" in text
    assert seen(text)[0] is Stage.USER_SPACE


def test_a_loader_that_is_not_played_is_said_to_be_none() -> None:
    port = EfiPort("none", "52:54:00:0e:30:10", image=Fetched(b"MZ", 2), file="core.efi")
    text, _ = life(Nature(port, post_s=0.0), uefi=True)
    assert "core.efi is a loader that it does not play: --loader auto" in text
    assert seen(text)[0] is Stage.FIRMWARE
