"""Which loader starts an image, and that nothing in a name or command line becomes part of its script."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import BringupError, ImageError, UsageError
from bringup.base.firmware import Firmware
from bringup.netboot.loaders import BootSet, choose_route, grub_words, render_script, unsafe_args, url_name
from bringup.netboot.spec import LoaderName, ServedFile
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
        (UEFI, SEL4, "auto", "grub", "multiboot2"),
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
        (UEFI, LINUX, "auto", "grub", "linux"),
        (UEFI, LINUX, "ipxe", "ipxe", "linux"),
    ],
)
def test_route(firmware: Firmware, boot: BootSet, forced: str, loader: str, protocol: str) -> None:
    route = choose_route(firmware, boot, forced)
    assert (route.firmware, route.loader, route.protocol) == (firmware, loader, protocol)
    assert route.transport == {"ipxe": "http", "grub": "tftp"}[loader]


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
    ],
)
def test_golden_scripts(golden: str, firmware: Firmware, boot: BootSet, forced: str) -> None:
    route = choose_route(firmware, boot, forced)
    assert render_script(boot, route, "http://10.55.0.1:8080") == (GOLDEN / golden).read_text()


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
def test_command_lines_stay_command_lines(args: str, loader: LoaderName) -> None:
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
