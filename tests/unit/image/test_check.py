"""Refusals: every way in which an image cannot boot is told by name and with a way out."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import ImageError
from bringup.base.firmware import Firmware
from bringup.image.check import Refusal, cautions, check, loaders_for, refuse
from bringup.image.elf import LoadSegment
from bringup.image.folder import find_image
from bringup.image.model import Image
from tests.unit.image.test_elf import build_elf, root_task
from tests.unit.image.test_linux import INITRDS, KERNELS, bzimage
from tests.unit.image.test_multiboot import XEN, multiboot1, multiboot2, tag

BIOS, UEFI = Firmware.BIOS, Firmware.UEFI
BOTH = multiboot1() + bytes(4) + multiboot2()
KERNEL = "kernel-x86_64-pc99"
LOADER = "capdl-loader-image-x86_64-pc99"
ROOT = root_task(1)


Make = Callable[..., Image]


@pytest.fixture
def make(tmp_path: Path, home: Path) -> Make:
    """Make an image of (name, bytes) pairs, kernel first."""

    def image(*files: tuple[str, bytes], append: str = "") -> Image:
        paths = []
        for number, (name, data) in enumerate(files):
            path = tmp_path / str(number) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            paths.append(path)
        return find_image(paths, append=append)

    return image


def codes(refusals: Sequence[Refusal]) -> list[str]:
    return [refusal.code for refusal in refusals]


def sel4(header: bytes = BOTH, **elf: Any) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    return (KERNEL, build_elf(header, **elf)), (LOADER, ROOT)


def test_a_good_image_boots_everywhere_but_by_ipxe_under_uefi(make: Make) -> None:
    image = make(*sel4())
    assert loaders_for(image, BIOS) == ("ipxe", "grub")
    assert loaders_for(image, UEFI) == ("grub",)
    assert codes(check(image, UEFI, "ipxe")) == ["ipxe-on-uefi"]
    for firmware in Firmware:
        assert check(image, firmware, "auto") == ()
        refuse(image, firmware, "auto")
    assert cautions(image) == ()


@pytest.mark.parametrize("firmware", list(Firmware))
@pytest.mark.parametrize("loader", ["auto", "ipxe", "grub"])
@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        (b"nothing", "no-header", "has no multiboot header in its first 8192 bytes"),
        (multiboot1(wrong=1), "multiboot1-checksum", "at byte 96 with a wrong checksum"),
        (multiboot2(wrong=1), "multiboot2-checksum", "at byte 96 with a wrong checksum"),
        (b"xx" + multiboot1(), "multiboot1-misaligned", "at byte 98"),
        (
            bytes(8192) + multiboot1(),
            "multiboot1-beyond",
            "at byte 8288, and loaders look only at the first 8192",
        ),
        (
            bytes(32768) + multiboot2(),
            "multiboot2-beyond",
            "at byte 32864, and loaders look only at the first 32768",
        ),
        (multiboot2(architecture=4), "multiboot2-architecture", "another architecture"),
    ],
)
def test_a_kernel_without_a_header_that_loaders_see(
    make: Make, firmware: Firmware, loader: str, header: bytes, code: str, words: str
) -> None:
    (refusal,) = check(make(*sel4(header)), firmware, loader)
    assert refusal.code == code
    assert words in refusal.message
    assert refusal.fix


def test_multiboot_1_alone_is_for_bios(make: Make) -> None:
    image = make(*sel4(multiboot1()))
    assert loaders_for(image, BIOS) == ("ipxe", "grub")
    assert loaders_for(image, UEFI) == ()
    (refusal,) = check(image, UEFI, "auto")
    assert refusal.code == "multiboot1-on-uefi"
    assert "finds no ACPI tables" in refusal.message
    assert "KernelMultiboot2Header" in refusal.fix
    assert "BIOS" in refusal.fix


def test_a_missed_second_header_is_part_of_the_answer(make: Make) -> None:
    image = make(*sel4(multiboot1() + bytes(4) + multiboot2(wrong=1)))
    (refusal,) = check(image, UEFI, "grub")
    assert refusal.code == "multiboot1-on-uefi"
    assert "multiboot 2 header at byte 112 with a wrong checksum" in refusal.message


def test_multiboot_2_alone_is_for_grub(make: Make) -> None:
    image = make(*sel4(multiboot2()))
    assert loaders_for(image, BIOS) == ("grub",)
    assert loaders_for(image, UEFI) == ("grub",)
    assert codes(check(image, BIOS, "ipxe")) == ["no-multiboot1"]


def test_header_features_no_loader_has(make: Make) -> None:
    image = make(*sel4(multiboot1(0x0B)))
    assert codes(check(image, BIOS, "ipxe")) == codes(check(image, BIOS, "grub")) == ["multiboot1-flags"]
    # GRUB takes the other header then, and never looks at this one.
    assert loaders_for(make(*sel4(multiboot1(0x0B) + bytes(4) + multiboot2())), BIOS) == ("grub",)


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        (tag(6, size=0) + tag(0), "multiboot2-tags"),
        (b"", "multiboot2-tags"),
        (tag(11) + tag(0), "multiboot2-unknown"),
        (tag(1, 13) + tag(0), "multiboot2-unknown"),
    ],
)
def test_multiboot_2_tags_grub_cannot_take(make: Make, tags: bytes, code: str) -> None:
    image = make(*sel4(multiboot1() + bytes(4) + multiboot2(tags)))
    assert codes(check(image, UEFI, "auto")) == [code]
    assert loaders_for(image, BIOS) == ("ipxe",)


def test_swapped_files_are_one_refusal(make: Make) -> None:
    kernel, root = sel4()
    for first, second in ((root, kernel), (("root", ROOT), ("kernel", kernel[1]))):
        for firmware in Firmware:
            (refusal,) = check(make(first, second), firmware, "auto")
            assert refusal.code == "swapped"
            assert f"{first[0]} is a 64-bit ELF file, {second[0]} a multiboot kernel" in refusal.message
            assert refusal.fix.endswith(f"{second[0]} {first[0]}")


def test_swapped_names_count_even_if_the_contents_say_nothing(make: Make) -> None:
    assert codes(check(make((LOADER, b"a"), (KERNEL, b"b")), BIOS, "auto")) == ["swapped"]


def test_a_linux_before_its_hypervisor(make: Make) -> None:
    hypervisor = gzip.compress(build_elf(BOTH))
    assert codes(check(make(("vmlinuz", bzimage()), ("xen.gz", hypervisor)), BIOS, "auto")) == ["swapped"]
    assert check(make(("xen.gz", hypervisor), ("vmlinuz", bzimage())), BIOS, "auto") == ()


def test_the_kernel_as_its_own_module(make: Make) -> None:
    kernel, _ = sel4()
    assert codes(check(make(kernel, kernel), BIOS, "auto")) == ["kernel-twice"]


@pytest.mark.parametrize("loader", ["auto", "ipxe", "grub"])
def test_sel4_needs_a_root_task(make: Make, loader: str) -> None:
    kernel, _ = sel4()
    by_text = ("mykernel", build_elf(BOTH + b"Expect at least one boot module"))
    standin = ("standin", build_elf(BOTH + b"bringup stand-in image"))
    for file in (kernel, by_text, standin):
        (refusal,) = check(make(file), BIOS, loader)
        assert refusal.code == "no-module"
        assert refusal.message.startswith(file[0])
    other = make(("kernel.elf", build_elf(BOTH)))
    assert check(other, BIOS, loader) == ()
    assert [caution.code for caution in cautions(other)] == ["no-module"]


def test_the_root_task_has_to_be_elf_of_the_kernels_kind(make: Make) -> None:
    kernel, root = sel4()
    packed = make(kernel, (LOADER, gzip.compress(ROOT)))
    assert codes(check(packed, BIOS, "auto")) == ["root-task-not-elf"]
    narrow = make(kernel, (LOADER, root_task(0, bits=32)))
    assert codes(check(narrow, BIOS, "auto")) == ["root-task-class"]
    assert check(make(("kernel-ia32-pc99", kernel[1]), (LOADER, root_task(0, bits=32))), BIOS, "auto") == ()
    # The stand-in's module is no ELF file.
    standin = make(("standin", build_elf(BOTH + b"bringup stand-in image")), ("module", b"BRINGUP1"))
    assert check(standin, BIOS, "auto") == ()
    extra = make(kernel, root, ("third", b"x"))
    assert check(extra, BIOS, "auto") == ()
    assert [caution.code for caution in cautions(extra)] == ["extra-modules"]


def test_empty_files_are_named(make: Make) -> None:
    kernel, root = sel4()
    for files, name in (((KERNEL, b""), root), KERNEL), ((kernel, (LOADER, b"")), LOADER):
        (refusal,) = check(make(*files), BIOS, "auto")
        assert (refusal.code, refusal.message) == ("empty-file", f"{name} is empty")


def test_a_file_no_loader_can_place(make: Make) -> None:
    image = make(*sel4())
    image = replace(image, modules=(replace(image.modules[0], size=5 << 30),))
    (refusal,) = check(image, BIOS, "auto")
    assert (refusal.code, "5.0 GiB" in refusal.message) == ("file-too-large", True)


def test_elf64_is_not_for_ipxe(make: Make) -> None:
    image = make(*sel4(bits=64))
    assert loaders_for(image, BIOS) == ("grub",)
    (refusal,) = check(image, BIOS, "ipxe")
    assert refusal.code == "elf64-by-ipxe"
    assert "objcopy -O elf32-i386" in refusal.fix
    # With load addresses in the header iPXE takes it as a raw image.
    raw = make(*sel4(multiboot1(0x10003) + bytes(20), bits=64))
    assert check(raw, BIOS, "ipxe") == ()


def test_elf_that_cannot_be_loaded(make: Make) -> None:
    _, root = sel4()
    whole = build_elf(BOTH + bytes(500))
    cut = make((KERNEL, whole[:-100]), root)
    assert codes(check(cut, BIOS, "auto")) == ["elf-damaged"]
    assert "segment 0 ends at byte" in check(cut, BIOS, "auto")[0].message
    assert codes(check(make(*sel4(machine=40)), BIOS, "grub")) == ["elf-unloadable"]
    assert codes(check(make(*sel4(entry=5)), BIOS, "auto")) == ["elf-unloadable"]
    flat = make((KERNEL, BOTH + bytes(100)), root)
    assert codes(check(flat, UEFI, "auto")) == ["not-elf"]
    assert check(make((KERNEL, multiboot1(0x10003) + bytes(100)), root), BIOS, "auto") == ()


def test_program_headers_where_grub_does_not_read(make: Make) -> None:
    payload = bytearray(build_elf(b"", table=9000, at=9100))
    payload[64 : 64 + len(multiboot1())] = multiboot1()
    image = make((KERNEL, bytes(payload) + bytes(16)), (LOADER, ROOT))
    assert codes(check(image, BIOS, "grub")) == ["elf-unloadable"]
    assert "behind the first 8192 bytes" in check(image, BIOS, "grub")[0].message


def test_load_addresses_worth_a_word(make: Make) -> None:
    low = make(*sel4(load=0x8000))
    assert check(low, BIOS, "auto") == ()
    assert [caution.code for caution in cautions(low)] == ["below-1-mib"]
    assert "0x8000" in cautions(low)[0].message
    assert low.elf is not None
    twice = (*low.elf.segments, LoadSegment(96, 4, 0x200000, 0x8004, 4))
    beside = replace(twice[-1], physical=low.elf.segments[0].physical_end)
    apart = replace(low, elf=replace(low.elf, segments=(*low.elf.segments, beside)))
    assert [caution.code for caution in cautions(apart)] == ["below-1-mib"]
    overlapping = replace(low, elf=replace(low.elf, segments=twice))
    assert [caution.code for caution in cautions(overlapping)] == ["segments-overlap", "below-1-mib"]


def test_other_files_are_told_what_they_are(make: Make) -> None:
    (refusal,) = check(make(("notes.txt", b"hello, this is a text and not a kernel")), BIOS, "auto")
    assert refusal.code == "no-header"
    assert "notes.txt is no kernel that a loader knows, but a file of unknown kind" in refusal.message
    (vmlinux,) = check(make(("vmlinux", build_elf(bits=64))), BIOS, "auto")
    assert "bzImage" in vmlinux.fix


@pytest.mark.parametrize(
    ("kernel", "firmware", "loader", "code"),
    [
        (bzimage(), BIOS, "auto", None),
        (bzimage(), UEFI, "ipxe", None),
        (bzimage(efi=False), UEFI, "ipxe", "linux-no-efi-stub"),
        (bzimage(efi=False), UEFI, "auto", None),
        (bzimage(efi=False), BIOS, "ipxe", None),
        (bzimage()[:-7], BIOS, "auto", None),
        (bzimage()[:-16], BIOS, "auto", "linux-cut-off"),
        (bzimage(protocol=0x202), BIOS, "auto", "linux-too-old"),
        (bzimage(flags=0), BIOS, "auto", "linux-too-old"),
    ],
)
def test_linux(make: Make, kernel: bytes, firmware: Firmware, loader: str, code: str | None) -> None:
    image = make(("bzImage", kernel), ("initrd", b"070701"))
    assert codes(check(image, firmware, loader)) == ([code] if code else [])
    assert cautions(image) == ()


def test_a_linux_command_line_has_its_limit(make: Make) -> None:
    assert check(make(("bzImage", bzimage()), append="x" * 255), BIOS, "auto") == ()
    (refusal,) = check(make(("bzImage", bzimage()), append="x" * 256), BIOS, "auto")
    assert (refusal.code, "256 characters" in refusal.message) == ("linux-args-too-long", True)


def test_linux_files_worth_a_word(make: Make) -> None:
    kernel = ("bzImage", bzimage())
    assert [caution.code for caution in cautions(make(kernel))] == ["no-initrd"]
    assert [caution.code for caution in cautions(make(kernel, ("disk", b"ext2")))] == ["initrd-unknown"]
    assert codes(check(make(("initrd", b"070701"), kernel), BIOS, "auto")) == ["swapped"]


@pytest.mark.skipif(not (KERNELS and INITRDS and XEN), reason="no Xen, Linux and initrd in /boot")
def test_the_real_files_of_this_machine(home: Path) -> None:
    for paths in ([KERNELS[-1], INITRDS[-1]], [XEN[0], KERNELS[-1], INITRDS[-1]]):
        image = find_image(paths)
        for firmware in Firmware:
            assert check(image, firmware, "grub") == ()
        assert check(image, BIOS, "ipxe") == ()
    assert codes(check(find_image([KERNELS[-1], XEN[0]]), BIOS, "auto")) == ["swapped"]


def test_refuse_tells_the_first_and_hints_at_the_rest(make: Make) -> None:
    image = make((KERNEL, build_elf(multiboot1(), entry=5)))
    with pytest.raises(ImageError) as raised:
        refuse(image, UEFI, "grub")
    assert raised.value.message == check(image, UEFI, "grub")[0].message
    assert len(check(image, UEFI, "grub")) == 3
    for other in check(image, UEFI, "grub")[1:]:
        assert other.message in str(raised.value.hint)
    assert raised.value.exit_code == 11


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 250), noise=st.binary(min_size=1, max_size=40), firmware=st.sampled_from(Firmware))
def test_spoiled_kernels_are_judged_without_fault(
    make: Make, at: int, noise: bytes, firmware: Firmware
) -> None:
    (name, data), root = sel4()
    spoiled = data[:at] + noise + data[at + len(noise) :]
    try:
        image = make((name, spoiled), root)
    except ImageError:
        return
    for loader in ("auto", "ipxe", "grub"):
        for refusal in check(image, firmware, loader):
            assert refusal.message
            assert refusal.fix
    assert all(caution.fix for caution in cautions(image))


def test_a_console_that_nobody_reads_is_told(make: Make) -> None:
    image = make(*sel4())

    def told(words: str) -> list[str]:
        found = cautions(replace(image, kernel_args=words).with_serial(0x2F8), 0x2F8)
        return [caution.message.split(",")[0] for caution in found]

    assert told("") == told("console_port=760 debug_port=0x2f8") == []
    assert told("console_port=0x3f8") == ["the kernel is told console_port=0x3f8"]
    assert told("debug_port=com2") == ["the kernel is told debug_port=com2"]
