"""What a kernel demands, read from kernels made here: C with seL4's words and options, and bytes by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.image.elf import memory_span
from bringup.image.folder import find_image, folders_of
from bringup.image.model import Image
from bringup.image.needs import FEATURES, START_64_TEXT, VTX, Bits, Feature, kernel_needs
from bringup.profile.kinds import ProcessorFeature
from bringup.transcript.failures.table import FAILURES as TABLE
from tests.unit.image.test_elf import build_elf, root_task
from tests.unit.image.test_multiboot import multiboot1, multiboot2

KERNEL = "kernel-x86_64-pc99"
LOADER = "capdl-loader-image-x86_64-pc99"

# As seL4 says it, whole: head.S writes "\r\n" behind its texts, C writes "\n".
WHOLE = {
    "PCID": "PCIDs not supported by the processor\\r\\n",
    "INVPCID": "INVPCID instruction not supported by the processor\\r\\n",
    "FSGSBASE": "fsgsbase instructions not supported by the processor\\r\\n",
    "1 GiB pages": "Huge page not supported by the processor\\r\\n",
    "64-bit mode": "SYSCALL/SYSRET instruction not supported by the processor\\r\\n",
    "XSAVE": "XSAVE not supported\\n",
    "XSAVEOPT": "XSAVEOPT requested, but not supported\\n",
    "XSAVEC": "XSAVEC requested, but not supported\\n",
    "XSAVES": "XSAVES requested, but not supported\\n",
    "IBRS": "IBRS not supported by CPU\\n",
    "IBPB": "IBPB not supported by CPU\\n",
    "x2APIC": "APIC: x2APIC is not supported on this machine\\n",
    "VT-x": "vt-x: not supported\\n",
}
EARLY = {feature.title for feature in FEATURES if feature.early}


def c_source() -> str:
    """A kernel's refusals as seL4 builds them: the option decides, and PRINTING for what C prints."""
    lines = ["int put(const char *); extern volatile int has;"]
    lines += ["#ifdef PRINTING", "#define printf(s) put(s)", "#else", "#define printf(s) 0", "#endif"]
    lines += ["int main(void) {"]
    for number, (title, text) in enumerate(WHOLE.items()):
        say = "put" if title in EARLY else "printf"
        lines += [f"#ifdef CONFIG_{number}", f'if (!(has & {1 << number})) return {say}("{text}");', "#endif"]
    lines += ['printf("Booting all finished, dropped to user space\\n");', "return 0; }"]
    return "\n".join(lines)


def compiled(folder: Path, *titles: str, printing: bool = True) -> bytes:
    """The object file of a kernel that was built to demand these features."""
    (folder / "kernel.c").write_text(c_source())
    options = [f"-DCONFIG_{list(WHOLE).index(title)}" for title in titles]
    options += ["-DPRINTING"] if printing else []
    command = ["cc", "-O2", "-ffreestanding", "-c", *options, "kernel.c", "-o", "kernel.o"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return (folder / "kernel.o").read_bytes()


def titles(data: bytes, bits: Bits | None = None) -> set[str]:
    return {feature.title for feature in kernel_needs(data, bits).features}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.title)
def test_a_kernel_built_to_use_a_feature_demands_it_and_no_other(feature: Feature, tmp_path: Path) -> None:
    needs = kernel_needs(compiled(tmp_path, feature.title), 64)
    assert needs.features == (feature,)
    assert needs.prints
    assert None not in needs.demands.values()


def test_a_release_kernel_tells_of_its_start_up_code_only(tmp_path: Path) -> None:
    needs = kernel_needs(compiled(tmp_path, *WHOLE, printing=False))
    assert not needs.prints
    assert needs.bits == 64
    assert {feature.title for feature in needs.features} == EARLY
    told = needs.to_dict()
    assert told["release"] is True
    assert set(told["unknown"]) == set(WHOLE) - EARLY


def test_a_kernel_of_unknown_width_tells_nothing_of_start_up_code(tmp_path: Path) -> None:
    needs = kernel_needs(compiled(tmp_path, "VT-x"))
    assert needs.bits is None
    assert needs.demands[VTX] is True
    assert {f.title for f, demanded in needs.demands.items() if demanded is None} == EARLY
    # A 32-bit kernel has no such code, so that nothing is open.
    assert None not in kernel_needs(compiled(tmp_path, "VT-x"), 32).demands.values()


# The check for PCID as kernels of before 2020 carry it, called or not: cpuid; and $bit, %ecx; jnz.
CHECK_2018 = bytes.fromhex("b80100000031c90fa281e1000080007501f4") + b"PCIDs not supported by the processor\0"
CHECK_2020 = (
    bytes.fromhex("b80100000031c90fa281e1000002007401c3") + b"PCIDs not supported by the processor\r\n"
)
SETS_PCIDE = bytes.fromhex("0f20e00d000002000f22e0")


def test_a_check_that_nobody_calls_is_no_demand() -> None:
    code = START_64_TEXT + b"\0"
    assert "PCID" not in titles(code + CHECK_2018)
    assert "PCID" in titles(code + CHECK_2018 + SETS_PCIDE)
    assert "PCID" in titles(code + CHECK_2020 + SETS_PCIDE)


def test_every_feature_is_one_that_profiles_know_and_a_refusal_that_logs_are_read_for() -> None:
    assert {feature.flag for feature in FEATURES} == set(get_args(ProcessorFeature))
    assert {feature.title for feature in FEATURES} == set(WHOLE)
    for text in WHOLE.values():
        said = text.replace("\\r", "").replace("\\n", "")
        known = next(failure.code for failure in TABLE if failure.text in said)
        assert known != "cpu-feature", said


@given(st.binary(max_size=400), st.sampled_from([None, 32, 64]))
def test_any_bytes_have_needs(data: bytes, bits: Bits | None) -> None:
    needs = kernel_needs(data, bits)
    assert set(needs.demands) == set(FEATURES)


def test_a_large_kernel_is_read_in_bounded_time() -> None:
    # The check's first bytes over and over, as no compiler would lay them out.
    data = bytes.fromhex("0fa281e10000") * (2 << 20) + CHECK_2018
    assert "PCID" not in titles(data)


# Images.


def image(folder: Path, kernel: bytes, root: bytes, *, names: tuple[str, str] = (KERNEL, LOADER)) -> Image:
    headers = multiboot1() + bytes(4) + multiboot2()
    paths = [folder / name for name in names]
    paths[0].write_bytes(build_elf(headers + kernel))
    paths[1].write_bytes(root)
    return find_image(paths)


def test_width_is_that_of_the_code_then_the_name_then_the_root_task(tmp_path: Path) -> None:
    texts = b"Expect at least one boot module"
    for names, bits, root_bits in (
        ((KERNEL, LOADER), 64, 64),
        (("kernel-ia32-pc99", "capdl-loader-image-ia32-pc99"), 32, 32),
        (("mine", "root"), 64, 64),
        (("mine", "root"), 32, 32),
    ):
        root = build_elf(b"x", bits=root_bits, load=0x400000)
        needs = image(tmp_path, texts, root, names=names).needs
        assert needs is not None
        assert needs.bits == bits


def test_a_release_kernel_of_any_name_is_known_for_sel4(tmp_path: Path) -> None:
    made = image(tmp_path, START_64_TEXT, root_task(2), names=("k", "r"))
    assert (made.family, made.vms) == ("sel4", 2)
    assert made.needs is not None
    assert not made.needs.prints
    assert made.to_dict()["needs"]["bits"] == 64


def test_other_kernels_have_no_needs(tmp_path: Path) -> None:
    made = image(tmp_path, b"bringup stand-in image, PCIDs not supported by the processor", b"module")
    assert made.family == "stand-in"
    assert made.needs is None


def test_memory_is_that_of_kernel_modules_and_the_root_task_beside_its_file(tmp_path: Path) -> None:
    root = build_elf(b"root", bits=64, load=0x400000)
    made = image(tmp_path, b"Expect at least one boot module", root)
    (module,) = made.modules
    assert module.span == len(b"root") + 4096
    assert made.elf is not None
    kernel = made.elf.segments[0].memory_size
    assert made.memory_bytes == kernel + len(root) + len(b"root") + 4096


@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_have_a_span_or_none(tail: bytes) -> None:
    for ident in (b"\x7fELF\x01\x01", b"\x7fELF\x02\x01", b""):
        span = memory_span(ident + tail)
        assert span is None or span >= 0


def test_folders_of_an_image_are_its_own_and_its_builds(tmp_path: Path) -> None:
    images = tmp_path / "build" / "images"
    images.mkdir(parents=True)
    (images / "k").write_bytes(b"")
    build = images.parent
    assert folders_of([]) == ()
    assert folders_of([build]) == (images, build)
    assert folders_of([images]) == (images, build)
    assert folders_of([images / "k", images / "r"]) == (images, build)
    assert folders_of([tmp_path / "k"]) == (tmp_path,)
