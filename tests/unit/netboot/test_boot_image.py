"""One EFI program with kernel, modules and script inside: what it holds, when it is made, how it is kept."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.bounded_cache import BoundedCache
from bringup.base.errors import ImageError, MissingProgramError
from bringup.base.firmware import Firmware
from bringup.base.grub import GRUB_DIR
from bringup.netboot.boot_image import Content, boot_image, boot_image_in_use, embedded_script
from bringup.netboot.loaders import SerialLine
from bringup.netboot.prepare import BootImage, LoadedFile, LoaderFolders, prepare
from bringup.netboot.spec import Segment, ServedFile, ServeSpec

needs_grub = pytest.mark.skipif(
    shutil.which("grub-mkimage") is None or not (GRUB_DIR / "x86_64-efi").is_dir(),
    reason="GRUB's modules for UEFI are not installed",
)
SEGMENT = Segment("br0", "own-segment", "10.55.0.1/24", "10.55.0.30", ("52:54:00:0e:30:10",))
MODULE = bytes(range(256)) * 300


@pytest.fixture
def image(tmp_path: Path) -> BootImage:
    kernel, module = tmp_path / "kernel", tmp_path / "module"
    kernel.write_bytes(b"k" * 700)
    module.write_bytes(MODULE)
    return BootImage(
        LoadedFile(kernel, 700, "console_port=0x2f8"),
        (LoadedFile(module, len(MODULE), "words"),),
        "multiboot",
        multiboot1=True,
        multiboot2=True,
    )


def loaders(tmp_path: Path) -> LoaderFolders:
    """GRUB as installed, and an iPXE of our own: its content is none of this test's business."""
    (tmp_path / "ipxe").mkdir(exist_ok=True)
    (tmp_path / "ipxe" / "snponly.efi").write_bytes(b"ipxe")
    return LoaderFolders(ipxe=tmp_path / "ipxe")


def spec_of(image: BootImage, tmp_path: Path, loader: str = "efi", segment: Segment = SEGMENT) -> ServeSpec:
    return prepare(image, segment, tmp_path, firmware=Firmware.UEFI, loader=loader, loaders=loaders(tmp_path))


def made(spec: ServeSpec) -> Path:
    return next(file.path for file in spec.files if file.role == "boot-image")


def memdisk(path: Path) -> dict[str, bytes]:
    """Return the files of the tar archive in a boot image."""
    data = path.read_bytes()
    begin = data.index(b"kernel\0".ljust(100, b"\0"))
    with tarfile.open(fileobj=io.BytesIO(data[begin:])) as archive:
        return {
            entry.name: found.read() for entry in archive if (found := archive.extractfile(entry)) is not None
        }


@needs_grub
def test_it_carries_everything(image: BootImage, tmp_path: Path, home: Path) -> None:
    path = made(spec_of(image, tmp_path))
    assert path.read_bytes().startswith(b"MZ")
    files = memdisk(path)
    assert files["kernel"] == b"k" * 700 and files["module"] == MODULE
    script = files["grub.cfg"].decode()
    assert "multiboot2 (memdisk)/kernel 'console_port=0x2f8'; then" in script
    assert "module2 (memdisk)/module 'words'; then" in script


@needs_grub
@pytest.mark.parametrize(
    ("loader", "served"),
    [
        ("efi", {"/snponly.efi": "loader", "/boot.ipxe": "loader-script", "/boot.efi": "boot-image"}),
        ("efi-tftp", {"/boot.efi": "boot-image"}),
    ],
)
def test_only_what_the_route_needs_is_served(
    image: BootImage, tmp_path: Path, home: Path, loader: str, served: dict[str, str]
) -> None:
    spec = spec_of(image, tmp_path, loader)
    assert {file.url_path: file.role for file in spec.files} == served
    assert ServeSpec.from_json(spec.to_json()) == spec
    if loader == "efi":
        assert "kernel http://10.55.0.1/boot.efi || goto" in (tmp_path / "boot.ipxe").read_text()


@needs_grub
def test_one_file_for_every_board_and_both_ways(image: BootImage, tmp_path: Path, home: Path) -> None:
    first = made(spec_of(image, tmp_path))
    other = Segment("eth7", "proxy", "192.168.7.9/24", None, ("52:54:00:0e:30:77",))
    for loader in ("efi", "efi-tftp"):
        assert made(spec_of(image, tmp_path, loader, other)) == first
    text = first.read_bytes()
    for word in (b"10.55.0", b"52:54:00", str(tmp_path).encode()):
        assert word not in text


@needs_grub
def test_whatever_it_holds_makes_another(image: BootImage, tmp_path: Path, home: Path) -> None:
    paths = {made(spec_of(image, tmp_path))}
    paths.add(made(spec_of(replace(image, kernel=replace(image.kernel, args="other")), tmp_path)))
    image.modules[0].path.write_bytes(MODULE[::-1])
    paths.add(made(spec_of(image, tmp_path)))
    assert len(paths) == 3


@needs_grub
def test_the_same_is_made_once(image: BootImage, tmp_path: Path, home: Path) -> None:
    first = made(spec_of(image, tmp_path))
    inode = first.stat().st_ino
    assert made(spec_of(image, tmp_path)).stat().st_ino == inode
    first.unlink()
    again = made(spec_of(image, tmp_path))
    assert again == first and again.is_file()


@needs_grub
def test_it_is_kept_while_it_is_served(image: BootImage, tmp_path: Path, home: Path) -> None:
    spec = spec_of(image, tmp_path)
    small = BoundedCache(made(spec).parent, 1)
    with boot_image_in_use(spec):
        small.get("other", lambda path: path.write_bytes(b"xx") and None)
        assert made(spec).is_file()
    small.get("another", lambda path: path.write_bytes(b"xx") and None)
    assert not made(spec).exists()


def test_a_route_without_boot_image_keeps_nothing(tmp_path: Path, image: BootImage, home: Path) -> None:
    (tmp_path / "undionly.kpxe").write_bytes(b"x")
    spec = prepare(image, SEGMENT, tmp_path, firmware=Firmware.BIOS, loaders=LoaderFolders(ipxe=tmp_path))
    with boot_image_in_use(spec):
        assert not (home / "cache" / "boot-images").exists()


@needs_grub
def test_a_file_that_changed_since_it_was_hashed_is_refused(tmp_path: Path, home: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"k")
    file = ServedFile("/kernel", kernel, "kernel", 1, "0" * 64, changed_ns=kernel.stat().st_ctime_ns - 1)
    with pytest.raises(ImageError, match="kernel changed since the boot was prepared") as caught:
        boot_image(Content([file], "", SerialLine()))
    assert caught.value.hint == "start the boot again"
    assert list((home / "cache" / "boot-images").iterdir()) == []


@needs_grub
def test_missing_programs_name_their_package(image: BootImage, tmp_path: Path, home: Path) -> None:
    nothing = tmp_path / "nothing"
    for folders, package in (
        (LoaderFolders(ipxe=nothing), "apt install ipxe, or --loader efi-tftp"),
        (LoaderFolders(grub=nothing), "apt install grub-efi-amd64-bin"),
    ):
        with pytest.raises(MissingProgramError, match="not installed") as caught:
            prepare(image, SEGMENT, tmp_path, firmware=Firmware.UEFI, loaders=folders)
        assert caught.value.hint == package


def test_grub_opens_the_profiles_line_and_never_waits_for_a_key() -> None:
    script = embedded_script(SerialLine(unit=2, baud=57600))
    assert script.startswith("serial --unit=2 --speed=57600\nterminal_output serial\n")
    assert "configfile (memdisk)/grub.cfg\n" in script
    assert script.endswith("reboot\n")
