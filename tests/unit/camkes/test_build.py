"""A build's CMakeCache.txt, as CMake writes it and as nobody should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.camkes.app.build import find_build, parse_cache, read_build

CACHE = """\
# This is the CMakeCache file.
# For build in directory: /home/user/build

########################
# EXTERNAL cache entries
########################

//x86 IOMMU support
KernelIOMMU:BOOL=ON
KernelMaxNumIOAPIC:STRING=1
//Performance optimized build
RELEASE:BOOL=OFF
LibPlatSupportX86ConsoleDevice:STRING=com2
"CAmkESVMGuestDMAIommu":BOOL=1
KernelLAPICMode:STRING=XAPIC
KernelLAPICModeXPAIC:INTERNAL=ON
KernelSel4Arch:STRING=x86_64
LibSel4VMUseTranslationVspace:BOOL=OFF
KernelPlatform-ADVANCED:INTERNAL=1
//broken lines
KernelVTX
=ON
KernelArch:STRING
"""


def folder(tmp_path: Path, text: str = CACHE) -> Path:
    (tmp_path / "CMakeCache.txt").write_text(text)
    return tmp_path


def test_options_are_read_as_cmake_means_them(tmp_path: Path) -> None:
    build = read_build(folder(tmp_path))
    assert build.flag("KernelIOMMU") is True
    assert build.flag("RELEASE") is False
    assert build.flag("CAmkESVMGuestDMAIommu") is True
    assert build.number("KernelMaxNumIOAPIC") == 1
    assert build.text("LibPlatSupportX86ConsoleDevice") == "com2"
    assert build.translation_vspace is False
    assert build.folder == tmp_path


def test_what_the_cache_has_not_is_unknown(tmp_path: Path) -> None:
    build = read_build(folder(tmp_path, "KernelSel4Arch:STRING=x86_64\n"))
    assert build.flag("RELEASE") is None
    assert build.number("KernelSel4Arch") is None
    assert build.flag("KernelSel4Arch") is None
    assert build.translation_vspace is None
    assert build.images is None
    assert build.pci_max_devices is None


@pytest.mark.parametrize("name", ["LibSel4VMUseTranslationVspace", "LibSel4VMMUseTranslationVspace"])
def test_both_spellings_of_the_translation_vspace_count(tmp_path: Path, name: str) -> None:
    assert read_build(folder(tmp_path, f"{name}:BOOL=ON\n")).translation_vspace is True


def test_the_cache_itself_may_be_named(tmp_path: Path) -> None:
    assert read_build(folder(tmp_path) / "CMakeCache.txt").flag("KernelIOMMU") is True


def test_images_and_the_table_of_the_scan_are_looked_up(tmp_path: Path) -> None:
    header = tmp_path / "libpci" / "include" / "pci" / "pci.h"
    header.parent.mkdir(parents=True)
    header.write_text("#pragma once\n\n#  define PCI_MAX_DEVICES 256\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "kernel-x86_64-pc99").write_bytes(b"k" * 10)
    build = read_build(folder(tmp_path, f"libpci_SOURCE_DIR:STATIC={tmp_path}/libpci\n"))
    assert build.pci_max_devices == 256
    assert build.images == {"kernel-x86_64-pc99": 10}


def test_a_folder_without_a_cache_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no build folder"):
        read_build(tmp_path)
    with pytest.raises(UsageError, match="is no build folder"):
        read_build(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no build folder"):
        read_build(tmp_path / "file")


def test_a_huge_cache_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "CMakeCache.txt").open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(UsageError, match="16 MiB"):
        read_build(tmp_path)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    options, _ = parse_cache(text)
    assert isinstance(options, dict)


def test_a_cache_that_cmake_wrote(tmp_path: Path) -> None:
    """The real writer, where it is installed."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.8.2)\nproject(libpci NONE)\n"
        'set(KernelIOMMU ON CACHE BOOL "IOMMU")\nset(KernelMaxNumIOAPIC 5 CACHE INTERNAL "")\n'
    )
    try:
        subprocess.run(
            ["cmake", "-S", tmp_path / "src", "-B", tmp_path / "out", "-DRELEASE=ON"],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("cmake is not installed")
    build = read_build(tmp_path / "out")
    assert (build.flag("KernelIOMMU"), build.flag("RELEASE")) == (True, True)
    assert build.number("KernelMaxNumIOAPIC") == 5


def test_the_built_kernel_tells_of_its_demands_where_there_is_one(tmp_path: Path) -> None:
    assert read_build(folder(tmp_path)).kernel is None
    images = tmp_path / "images"
    images.mkdir()
    (images / "kernel-x86_64-pc99").write_bytes(b"PCIDs not supported by the processor\r\n")
    kernel = read_build(tmp_path).kernel
    assert kernel is not None
    assert (kernel.bits, kernel.prints) == (64, False)
    assert [feature.title for feature in kernel.features] == ["PCID"]
    (images / "kernel-ia32-pc99").write_bytes(b"")
    assert read_build(tmp_path).kernel is None


def test_a_slot_of_the_root_task_has_the_size_of_its_kind(tmp_path: Path) -> None:
    for arch, size in (("x86_64", 32), ("ia32", 16)):
        text = f"KernelSel4Arch:STRING={arch}\nKernelRootCNodeSizeBits:STRING=20\n"
        assert read_build(folder(tmp_path, text)).root_cnode_bytes == size << 20
    assert read_build(folder(tmp_path, "RELEASE:BOOL=ON\n")).root_cnode_bytes == 0
    huge = "KernelRootCNodeSizeBits:STRING=999999999\n"
    assert read_build(folder(tmp_path, huge)).root_cnode_bytes < 1 << 60


def test_the_first_folder_with_a_cache_is_the_build(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    assert find_build([images, tmp_path]) is None
    folder(tmp_path)
    found = find_build([images, tmp_path])
    assert found is not None
    assert found.folder == tmp_path
