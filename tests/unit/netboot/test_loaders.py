"""Which loader starts an image, and that nothing in a name or command line becomes part of its script."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import BringupError, ImageError, UsageError
from bringup.base.firmware import Firmware
from bringup.netboot.loaders import (
    BootSet,
    Target,
    choose_route,
    grub_words,
    render_fetch_script,
    render_script,
    unsafe_args,
    url_name,
)
from bringup.netboot.spec import ServedFile, Starter, Transport
from tests import places

GOLDEN = places.GOLDEN / "netboot"
BIOS, UEFI = Firmware.BIOS, Firmware.UEFI

SEL4 = BootSet(
    ("/kernel-x86_64-pc99", "console_port=0x2f8 debug_port=0x2f8"),
    (("/capdl-loader-image-x86_64-pc99", ""),),
    "multiboot",
    multiboot1=True,
    multiboot2=True,
)
LINUX = BootSet(("/vmlinuz", "console=ttyS1,115200n8"), (("/initrd.img", ""), ("/extra.cpio", "")), "linux")


def multiboot(one: bool = True, two: bool = True, modules: int = 1, args: str = "") -> BootSet:
    files = tuple((f"/m{number}", args) for number in range(modules))
    return BootSet(("/kernel", args), files, "multiboot", one, two)


@pytest.mark.parametrize(
    ("firmware", "boot", "forced", "loader", "protocol"),
    [
        (BIOS, SEL4, "auto", "ipxe", "multiboot"),
        (BIOS, SEL4, "ipxe", "ipxe", "multiboot"),
        (BIOS, SEL4, "grub", "grub", "multiboot2"),
        (UEFI, SEL4, "auto", "efi", "multiboot2"),
        (UEFI, SEL4, "efi", "efi", "multiboot2"),
        (UEFI, SEL4, "efi-tftp", "efi-tftp", "multiboot2"),
        (UEFI, SEL4, "grub", "grub", "multiboot2"),
        (BIOS, multiboot(two=False), "auto", "ipxe", "multiboot"),
        (BIOS, multiboot(two=False), "grub", "grub", "multiboot"),
        (BIOS, multiboot(one=False), "auto", "grub", "multiboot2"),
        (BIOS, multiboot(modules=8), "auto", "ipxe", "multiboot"),
        (BIOS, multiboot(modules=9), "auto", "grub", "multiboot2"),
        (BIOS, multiboot(args="x" * 240), "auto", "grub", "multiboot2"),
        (BIOS, multiboot(args="${net0/mac}"), "auto", "grub", "multiboot2"),
        (BIOS, multiboot(args="it's"), "auto", "ipxe", "multiboot"),
        (BIOS, LINUX, "auto", "ipxe", "linux"),
        (UEFI, LINUX, "auto", "efi", "linux"),
        (UEFI, LINUX, "ipxe", "ipxe", "linux"),
    ],
)
def test_route(firmware: Firmware, boot: BootSet, forced: str, loader: str, protocol: str) -> None:
    route = choose_route(firmware, boot, forced)
    assert (route.firmware, route.loader, route.protocol) == (firmware, loader, protocol)
    assert route.transport == {"ipxe": "http", "grub": "tftp", "efi": "http", "efi-tftp": "tftp"}[loader]
    assert (route.why == "as asked") is (forced != "auto")


@pytest.mark.parametrize(
    ("mib", "memory_mib", "own_segment", "loader", "why"),
    [
        (64, 4096, True, "efi", "the fastest under UEFI"),
        (64, None, True, "efi", "the fastest under UEFI"),
        (64, None, False, "efi-tftp", "iPXE would wait 13 s for an IPv6 router"),
        (256, None, True, "efi", "the fastest under UEFI"),
        (257, None, True, "grub", "257 MiB, and a boot image may carry 256 MiB on a board with 2048 MiB"),
        (257, None, False, "grub", "which nobody told and is assumed"),
        (128, 1024, True, "efi", "the fastest under UEFI"),
        (129, 1024, True, "grub", "may carry 128 MiB on a board with 1024 MiB of memory"),
        (256, 65536, True, "efi", "the fastest under UEFI"),
        (257, 65536, True, "grub", "may carry 256 MiB on a board with 65536 MiB"),
    ],
)
def test_a_boot_image_goes_by_memory_and_segment(
    mib: int, memory_mib: int | None, own_segment: bool, loader: str, why: str
) -> None:
    boot = replace(SEL4, size=mib << 20)
    target = Target(None if memory_mib is None else memory_mib << 20, own_segment)
    route = choose_route(UEFI, boot, target=target)
    assert route.loader == loader and why in route.why
    assert ("assumed" in route.why) is (loader == "grub" and memory_mib is None)
    for asked in ("efi", "efi-tftp"):
        if loader != "grub":
            assert choose_route(UEFI, boot, asked, target=target).loader == asked
            continue
        with pytest.raises(
            UsageError, match=f"--loader {asked} cannot boot this: kernel and modules take"
        ) as caught:
            choose_route(UEFI, boot, asked, target=target)
        assert "--loader grub" in (caught.value.hint or "")


def test_why_not_ipxe_is_said() -> None:
    assert choose_route(BIOS, multiboot(modules=9)).why == "not iPXE: it has 9 modules, and iPXE takes 8"


@pytest.mark.parametrize(("loader", "transport"), [("efi", "tftp"), ("efi-tftp", "http")])
def test_a_boot_image_has_one_way(loader: str, transport: Transport) -> None:
    with pytest.raises(UsageError, match=f"the loader {loader} does not load by {transport}"):
        choose_route(UEFI, SEL4, loader, transport)


@pytest.mark.parametrize(
    ("firmware", "boot", "forced", "kind", "said"),
    [
        (UEFI, SEL4, "ipxe", UsageError, "BIOS only"),
        (BIOS, multiboot(one=False), "ipxe", UsageError, "no multiboot 1 header"),
        (BIOS, multiboot(modules=9), "ipxe", UsageError, "9 modules"),
        (BIOS, multiboot(args="x" * 240), "ipxe", UsageError, "room for 512"),
        (BIOS, multiboot(args="a && b"), "ipxe", UsageError, "take && in"),
        (UEFI, multiboot(two=False), "auto", ImageError, "no ACPI tables"),
        (UEFI, multiboot(two=False), "grub", ImageError, "no ACPI tables"),
        (BIOS, multiboot(one=False, two=False), "auto", ImageError, "neither"),
        (UEFI, multiboot(one=False, two=False), "auto", ImageError, "neither"),
        (BIOS, multiboot(args='a"b'), "grub", UsageError, "rewrites quotes"),
        (UEFI, multiboot(args="it's"), "auto", UsageError, "rewrites quotes"),
        (BIOS, multiboot(args="a\nboot"), "auto", UsageError, "printable ASCII"),
        (BIOS, SEL4, "lilo", UsageError, "no such loader"),
        (BIOS, SEL4, "efi", UsageError, "it makes an EFI program, and this boot is under BIOS"),
        (BIOS, SEL4, "efi-tftp", UsageError, "it makes an EFI program"),
        (UEFI, multiboot(args="it's"), "efi", UsageError, "rewrites quotes"),
        (UEFI, multiboot(two=False), "efi", ImageError, "no ACPI tables"),
    ],
)
def test_refusals_name_the_reason(
    firmware: Firmware, boot: BootSet, forced: str, kind: type[BringupError], said: str
) -> None:
    with pytest.raises(kind, match=re.escape(said)):
        choose_route(firmware, boot, forced)


@pytest.mark.parametrize(
    ("golden", "firmware", "boot", "forced"),
    [
        ("sel4-bios.ipxe", BIOS, SEL4, "ipxe"),
        ("sel4-bios.cfg", BIOS, SEL4, "grub"),
        ("sel4-uefi.cfg", UEFI, SEL4, "grub"),
        ("mb1-bios.cfg", BIOS, multiboot(two=False, modules=2, args="a  b"), "grub"),
        ("linux-bios.ipxe", BIOS, LINUX, "ipxe"),
        ("linux-uefi.ipxe", UEFI, LINUX, "ipxe"),
        ("linux-uefi.cfg", UEFI, LINUX, "grub"),
        ("sel4-uefi-boot-image.cfg", UEFI, SEL4, "efi"),
        ("sel4-uefi-boot-image.cfg", UEFI, SEL4, "efi-tftp"),
    ],
)
def test_golden_scripts(golden: str, firmware: Firmware, boot: BootSet, forced: str) -> None:
    route = choose_route(firmware, boot, forced)
    assert render_script(boot, route, "http://10.55.0.1:8080") == (GOLDEN / golden).read_text()


def test_golden_fetch_script() -> None:
    assert render_fetch_script(SEL4, "http://10.55.0.1:8080") == (GOLDEN / "boot-image.ipxe").read_text()


def test_tftp_urls_have_no_http_port() -> None:
    ipxe = render_script(SEL4, choose_route(BIOS, SEL4, "ipxe", "tftp"), "http://10.55.0.1:8080")
    assert "kernel tftp://10.55.0.1/kernel-x86_64-pc99 " in ipxe
    grub = render_script(SEL4, choose_route(BIOS, SEL4, "grub", "http"), "http://10.55.0.1:8080")
    assert "multiboot2 (http,10.55.0.1:8080)/kernel-x86_64-pc99 " in grub


def test_rendering_is_a_second_guard() -> None:
    route = choose_route(BIOS, SEL4, "ipxe")
    with pytest.raises(UsageError):
        render_script(multiboot(args="x || shell"), route, "http://10.55.0.1")


ARGS = st.text(st.characters(min_codepoint=0, max_codepoint=0x2FF), max_size=60) | st.text(
    st.sampled_from(list("ab =$;&|#{}'\"\\\n\t()")), max_size=20
)


def shell_words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";")
    lexer.whitespace_split = True
    return list(lexer)


@given(args=ARGS, loader=st.sampled_from(["ipxe", "grub"]))
def test_command_lines_stay_command_lines(args: str, loader: Starter) -> None:
    boot = multiboot(args=args)
    route = choose_route(BIOS, SEL4, loader)
    if unsafe_args(args, loader):
        with pytest.raises(UsageError):
            render_script(boot, route, "http://10.55.0.1")
        return
    plain = render_script(multiboot(args="ARGS"), route, "http://10.55.0.1").splitlines()
    lines = render_script(boot, route, "http://10.55.0.1").splitlines()
    assert len(lines) == len(plain)
    words = args.split()
    for line, model in zip(lines, plain, strict=True):
        if "ARGS" not in model:
            assert line == model
        elif loader == "grub":
            # GRUB's quoting rules inside single quotes are the shell's.
            before, after = (shell_words(part) for part in model.split("'ARGS'"))
            assert shell_words(line) == [*before, *words, *after]
        else:
            # iPXE splits at white space and knows no quotes.
            before, after = (part.split() for part in model.split("ARGS"))
            assert line.split() == [*before, *words, *after]


@given(st.lists(st.text(min_size=1, max_size=80), max_size=6))
def test_any_file_name_becomes_one_that_can_be_served(names: list[str]) -> None:
    taken: list[str] = []
    for name in names:
        path = url_name(name, taken)
        assert path not in taken
        ServedFile(path, Path("/srv/x"), "kernel", 1)  # raises if the name is none
        taken.append(path)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("kernel-x86_64-pc99", "/kernel-x86_64-pc99"),
        ("my kernel $(reboot).elf", "/my-kernel---reboot-.elf"),
        ("../../etc/passwd", "/etc-passwd"),
        ("...", "/file"),
        ("grüße", "/gr--e"),
    ],
)
def test_names(name: str, path: str) -> None:
    assert url_name(name) == path


def test_grub_words() -> None:
    assert grub_words("") == ""
    assert grub_words("a=$b c;d") == "'a=$b' 'c;d'"
