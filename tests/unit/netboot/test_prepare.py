"""From an image to a spec: names, roles, script and first file, with GRUB's own tools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bringup.base.errors import LabError, MissingProgramError, UsageError
from bringup.base.firmware import Firmware
from bringup.base.grub import GRUB_DIR
from bringup.netboot.grub import core_image, embedded_script
from bringup.netboot.loaders import SerialLine
from bringup.netboot.prepare import BootImage, LoadedFile, LoaderFolders, boot_set, prepare
from bringup.netboot.spec import Segment, ServeSpec

needs_grub = pytest.mark.skipif(
    shutil.which("grub-mkimage") is None or not (GRUB_DIR / "i386-pc").is_dir(),
    reason="GRUB's modules are not installed",
)
SEGMENT = Segment("br0", "own-segment", "10.55.0.1/24", "10.55.0.30", ("52:54:00:0e:30:10",))


@pytest.fixture
def image(tmp_path: Path) -> BootImage:
    files = []
    for name in ("my kernel;$(x)", "core.0", "core.0"):
        path = tmp_path / str(len(files)) / name
        path.parent.mkdir()
        path.write_bytes(b"x" * (len(files) + 1))
        files.append(LoadedFile(path, len(files) + 1, f"arg{len(files)}", "ab" * 32))
    return BootImage(files[0], tuple(files[1:]), "multiboot", True, True)


def by_url(spec: ServeSpec) -> dict[str, tuple[str, int]]:
    return {file.url_path: (file.role, file.size) for file in spec.files}


def test_names_are_unique_and_not_those_of_the_loaders(image: BootImage) -> None:
    names = boot_set(image)
    assert names.kernel == ("/my-kernel---x-", "arg0")
    assert names.modules == (("/2-core.0", "arg1"), ("/3-core.0", "arg2"))


@pytest.mark.skipif(not Path("/usr/lib/ipxe/undionly.kpxe").is_file(), reason="iPXE is not installed")
def test_ipxe(image: BootImage, tmp_path: Path, home: Path) -> None:
    spec = prepare(image, SEGMENT, tmp_path, firmware=Firmware.BIOS)
    files = by_url(spec)
    assert files["/my-kernel---x-"] == ("kernel", 1)
    assert files["/2-core.0"] == ("module", 2)
    assert files["/undionly.kpxe"][0] == "loader"
    assert files["/boot.ipxe"] == ("loader-script", (tmp_path / "boot.ipxe").stat().st_size)
    script = (tmp_path / "boot.ipxe").read_text()
    assert "module http://10.55.0.1/3-core.0 arg2 || goto module_2_failed" in script
    assert ServeSpec.from_json(spec.to_json()) == spec


@needs_grub
def test_grub_fits_and_is_made_once(image: BootImage, tmp_path: Path, home: Path) -> None:
    spec = prepare(image, SEGMENT, tmp_path, firmware=Firmware.BIOS, loader="grub")
    role, size = by_url(spec)["/core.0"]
    # What GRUB's BIOS image may have at most (0x78000).
    assert role == "loader" and 50_000 < size < 0x78000
    first = core_image(Firmware.BIOS, SerialLine(), "10.55.0.1")
    made_at = first.stat().st_mtime_ns
    assert core_image(Firmware.BIOS, SerialLine(), "10.55.0.1") == first
    assert first.stat().st_mtime_ns == made_at
    assert core_image(Firmware.BIOS, SerialLine(unit=0), "10.55.0.1") != first
    assert core_image(Firmware.BIOS, SerialLine(), "10.55.0.2") != first
    assert [path for path in first.parent.iterdir() if path.is_dir()] == []


@needs_grub
def test_failing_grub_mkimage_is_a_fault_of_the_lab(tmp_path: Path, home: Path) -> None:
    (tmp_path / "grub" / "i386-pc").mkdir(parents=True)
    (tmp_path / "grub" / "i386-pc" / "moddep.lst").write_text("")
    with pytest.raises(LabError, match="grub-mkimage failed: "):
        core_image(Firmware.BIOS, SerialLine(), "10.55.0.1", tmp_path / "grub")


def test_missing_programs_name_their_package(tmp_path: Path, home: Path, image: BootImage) -> None:
    nothing = LoaderFolders(tmp_path / "nothing", tmp_path / "nothing")
    with pytest.raises(MissingProgramError) as caught:
        prepare(image, SEGMENT, tmp_path, firmware=Firmware.UEFI, loaders=nothing)
    assert caught.value.hint == "apt install grub-efi-amd64-bin"
    with pytest.raises(MissingProgramError) as caught:
        prepare(image, SEGMENT, tmp_path, firmware=Firmware.BIOS, loaders=nothing)
    assert caught.value.hint == "apt install ipxe"


def test_impossible_loader_is_refused_before_anything_is_written(tmp_path: Path, image: BootImage) -> None:
    with pytest.raises(UsageError, match="BIOS only"):
        prepare(image, SEGMENT, tmp_path, firmware=Firmware.UEFI, loader="ipxe")
    assert not (tmp_path / "boot.ipxe").exists()


def test_embedded_script_opens_the_profiles_serial_line() -> None:
    script = embedded_script(SerialLine(unit=2, baud=57600), "192.168.7.1")
    assert script.startswith("serial --unit=2 --speed=57600\nterminal_output serial\n")
    assert "set root=tftp,192.168.7.1\n" in script
    # It may stop, it may reset, it must not end in GRUB's prompt.
    assert script.endswith("reboot\n")
