"""The tests of a suite, counted in programs that a compiler made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.image.folder import find_image
from bringup.image.suite import count_tests
from tests.unit.image.test_check import BOTH
from tests.unit.image.test_elf import build_elf

RECORDS = """
typedef unsigned long word;
struct test { char name[64 - 4 * sizeof(word)]; const char *text; void *call; word type, enabled; };
#define TEST(NAME, ENABLED) __attribute__((used, section("_test_case"), aligned(64))) \\
    struct test NAME = {#NAME, "what it does", 0, 1, ENABLED};
"""


def compiled(folder: Path, source: str, bits: int) -> bytes:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    command = ["gcc", f"-m{bits}", "-ffreestanding", "-c", "-x", "c", "-", "-o", str(folder / "out.o")]
    subprocess.run(command, input=(RECORDS + source).encode(), check=True, timeout=60)
    return (folder / "out.o").read_bytes()


@pytest.mark.parametrize("bits", [32, 64])
def test_tests_of_driver_and_program_are_counted_that_are_enabled(tmp_path: Path, bits: int) -> None:
    driver = compiled(tmp_path, "TEST(TIMER0001, 1)", bits)
    program = compiled(tmp_path, "TEST(SCHED0001, 1) TEST(SCHED0002, 0) TEST(VSPACE0001, 1)", bits)
    other = compiled(tmp_path, "int nothing;", bits)
    # Three are enabled; the suite's own first test is 0, and its last is numbered 5.
    assert count_tests(driver + b"archive" + other + program + bytes(99)) == 5
    assert count_tests(other) is None
    assert count_tests(b"") is None


def test_a_table_of_another_layout_tells_nothing(tmp_path: Path) -> None:
    odd = compiled(
        tmp_path, 'struct test odd __attribute__((section("_test_case"))) = {"", "", 0, 1, 7};', 64
    )
    assert count_tests(odd) is None


@given(st.binary(max_size=200), st.integers(0, 300))
def test_a_damaged_image_counts_nothing_and_ends(noise: bytes, cut: int) -> None:
    whole = b"\x7fELF\x02\x01" + noise
    assert count_tests(whole[:cut]) is None


def test_an_image_of_the_suite_says_how_many_there_are(tmp_path: Path) -> None:
    kernel, task = tmp_path / "kernel-x86_64-pc99", tmp_path / "sel4test-driver-image-x86_64-pc99"
    kernel.write_bytes(build_elf(BOTH))
    task.write_bytes(compiled(tmp_path, "TEST(SCHED0001, 1)", 64))
    image = find_image([kernel, task])
    assert (image.last_test, image.to_dict()["last_test"]) == (3, 3)
    other = tmp_path / "capdl-loader-image-x86_64-pc99"
    other.write_bytes(task.read_bytes())
    assert find_image([kernel, other]).last_test is None
