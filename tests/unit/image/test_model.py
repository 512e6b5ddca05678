"""What an image says about itself, and the words its kernel needs for a console on the board's UART."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.image.model import BootFile, Family, Image, Kind, serial_args
from bringup.image.multiboot import Multiboot2Header, MultibootHeader
from bringup.report.run import image_line


def boot_file(name: str, digest: str = "0" * 64, size: int = 1024) -> BootFile:
    return BootFile(Path("/srv") / name, name, size, digest)


def image(kind: Kind = "multiboot", family: Family = "sel4", args: str = "") -> Image:
    return Image(kind, family, boot_file("kernel"), (boot_file("root", "1" * 64),), args)


@pytest.mark.parametrize(
    ("kind", "is_sel4", "port", "existing", "words"),
    [
        ("multiboot", True, 0x2F8, "", ["console_port=0x2f8", "debug_port=0x2f8"]),
        ("multiboot", True, 0x2F8, "debug_port=0x3f8", ["console_port=0x2f8"]),
        ("multiboot", True, 0x3F8, "console_port=1 debug_port=2", []),
        ("multiboot", True, 0x2F8, "disable_iommu", ["console_port=0x2f8", "debug_port=0x2f8"]),
        ("linux", False, 0x2F8, "", ["console=ttyS1,115200n8"]),
        ("linux", False, 0x3F8, "quiet", ["console=ttyS0,115200n8"]),
        ("linux", False, 0x2F8, "console=tty0", []),
        ("linux", False, 0x2F8, "noconsole netconsole=x", ["console=ttyS1,115200n8"]),
        ("linux", False, 0x6000, "", ["console=uart8250,io,0x6000,115200n8"]),
        ("multiboot", False, 0x2F8, "", ["com2=115200,8n1", "console=com2"]),
        ("multiboot", False, 0x3F8, "loglvl=all", ["com1=115200,8n1", "console=com1"]),
        ("multiboot", False, 0x2F8, "console=vga", ["com2=115200,8n1"]),
        ("multiboot", False, 0x3E8, "", ["com1=115200,8n1,0x3e8", "console=com1"]),
    ],
)
def test_serial_words(kind: Kind, is_sel4: bool, port: int, existing: str, words: list[str]) -> None:
    assert serial_args(kind, is_sel4, port, existing) == words


def test_the_baud_rate_is_the_boards() -> None:
    assert serial_args("linux", False, 0x2F8, "", baud=57600) == ["console=ttyS1,57600n8"]


@given(st.text(max_size=60), st.sampled_from(["multiboot", "linux"]), st.booleans())
def test_words_once_added_are_not_added_again(existing: str, kind: Kind, is_sel4: bool) -> None:
    added = serial_args(kind, is_sel4, 0x2F8, existing)
    assert serial_args(kind, is_sel4, 0x2F8, " ".join([*added, existing])) == []


def test_words_of_the_caller_come_last() -> None:
    assert image(args="disable_iommu").with_serial(0x2F8).kernel_args == (
        "console_port=0x2f8 debug_port=0x2f8 disable_iommu"
    )
    assert image(family="stand-in").with_serial(0x2F8).kernel_args.startswith("console_port=0x2f8")
    assert image(family="xen").with_serial(0x2F8).kernel_args == "com2=115200,8n1 console=com2"
    assert image(kind="linux", family="linux").with_serial(0x2F8).kernel_args == "console=ttyS1,115200n8"


def test_the_key_is_that_of_the_bytes_their_order_and_the_words() -> None:
    one, other = boot_file("a", "1" * 64), boot_file("b", "2" * 64)
    first = Image("multiboot", "sel4", one, (other,), "disable_iommu")
    assert first.key == Image("multiboot", "other", boot_file("z", "1" * 64), (other,), "disable_iommu").key
    others = (
        Image("multiboot", "sel4", one, (other,)),
        Image("multiboot", "sel4", other, (one,), "disable_iommu"),
        Image("multiboot", "sel4", one, (), "disable_iommu"),
        Image("multiboot", "sel4", one, (boot_file("b", "3" * 64),), "disable_iommu"),
    )
    assert len({each.key for each in (first, *others)}) == 5
    # The line for people shows the same: images that differ in a module only are told apart.
    assert len({image_line(each.to_dict()).rpartition("sha256 ")[2] for each in (first, *others)}) == 5


def test_words_that_are_no_text_have_a_key_too() -> None:
    assert image(args="play=\udcff").key != image(args="play=").key


def test_it_can_be_written_and_shown() -> None:
    whole = Image(
        "multiboot",
        "sel4",
        boot_file("kernel-x86_64-pc99", "ab" * 32),
        (boot_file("capdl-loader-image-x86_64-pc99", size=15 << 20),),
        multiboot1=MultibootHeader(4096, 3),
        multiboot2=Multiboot2Header(4128, ()),
        vms=3,
    )
    body = json.loads(json.dumps(whole.to_dict()))
    assert body["vms"] == 3
    assert body["standin"] is False
    assert image_line(body) == (
        "seL4 with 3 VMs  kernel 1.0 KiB multiboot 1+2, 1 module 15 MiB     sha256 " + whole.key[:8] + "…"
    )


def test_unknown_is_none() -> None:
    assert image().vms is None
    assert image().entry is None
    assert image().headers == ""
