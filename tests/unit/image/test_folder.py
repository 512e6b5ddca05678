"""Finding an image: folders as builds leave them, named files, and everything that is neither."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import ImageError, UsageError
from bringup.image.folder import classify, find_image
from bringup.image.model import Content
from tests.unit.image.test_elf import build_elf, root_task
from tests.unit.image.test_linux import bzimage
from tests.unit.image.test_multiboot import XEN, multiboot1, multiboot2

KERNEL = "kernel-x86_64-pc99"
LOADER = "capdl-loader-image-x86_64-pc99"
KERNEL_BYTES = build_elf(multiboot1() + bytes(4) + multiboot2() + b"Expect at least one boot module")


def put(place: Path, **files: bytes) -> Path:
    """A folder with these files."""
    place.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (place / name).write_bytes(data)
    return place


def build(place: Path, vms: int = 2) -> Path:
    """A folder with what a CAmkES VM build leaves in images/."""
    return put(place, **{KERNEL: KERNEL_BYTES, LOADER: root_task(vms)})


def test_a_builds_images_folder(tmp_path: Path) -> None:
    build(tmp_path / "images")
    for named in (tmp_path, tmp_path / "images"):
        image = find_image([named])
        assert (image.kernel.name, [module.name for module in image.modules]) == (KERNEL, [LOADER])
        assert image.kind == "multiboot"
        assert image.is_sel4
        assert image.vms == 2
        assert image.headers == "multiboot 1+2"
        assert image.elf is not None and image.elf.bits == 32


def test_ia32_and_other_root_tasks(tmp_path: Path) -> None:
    put(tmp_path, **{"kernel-ia32-pc99": KERNEL_BYTES, "sel4test-driver-image-ia32-pc99": build_elf(bits=32)})
    image = find_image([tmp_path])
    assert [file.name for file in (image.kernel, *image.modules)] == [
        "kernel-ia32-pc99",
        "sel4test-driver-image-ia32-pc99",
    ]
    assert image.vms is None


def test_sel4_goes_before_the_guests_linux(tmp_path: Path) -> None:
    build(tmp_path / "images")
    put(tmp_path, bzImage=bzimage(), **{"rootfs.cpio": b"070701"})
    assert find_image([tmp_path]).is_sel4


def test_linux_folder_with_its_links(tmp_path: Path) -> None:
    put(tmp_path, **{"vmlinuz-6.1": bzimage(), "initrd.img-6.1": b"070701" * 9, "config-6.1": b"x"})
    (tmp_path / "vmlinuz").symlink_to("vmlinuz-6.1")
    (tmp_path / "initrd.img").symlink_to("initrd.img-6.1")
    image = find_image([tmp_path])
    assert image.kind == "linux"
    assert image.title == "Linux 6.1.0-test"
    assert len(image.modules) == 1


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "it has no files"),
        (["notes.txt"], "found notes.txt"),
        ([KERNEL], f"found {KERNEL}"),
        ([KERNEL, "capdl-loader-image-ia32-pc99"], "capdl-loader-image-ia32-pc99"),
        ([KERNEL, LOADER, "sel4test-driver-image-x86_64-pc99"], "holds 2 images"),
        (["bzImage", "vmlinuz", "initrd"], "holds 2 images"),
        (["bzImage", "initrd.gz", "initramfs.cpio"], "holds 2 images"),
        (["vmlinuz"], "found vmlinuz"),
        ([f"file{number:02}" for number in range(30)], "and 22 more"),
    ],
)
def test_no_image_or_several_are_told_with_what_is_there(
    tmp_path: Path, names: list[str], words: str
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"content of " + name.encode())
    with pytest.raises(ImageError) as raised:
        find_image([tmp_path])
    assert words in raised.value.message
    assert raised.value.hint


def test_an_image_here_and_another_in_images_is_ambiguous(tmp_path: Path) -> None:
    build(tmp_path)
    build(tmp_path / "images")
    with pytest.raises(ImageError, match=f"holds 2 images: {KERNEL} .*; images/{KERNEL} "):
        find_image([tmp_path])


def test_named_files_keep_their_order_and_words(tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "extra").write_bytes(b"more")
    image = find_image(
        [tmp_path / KERNEL, tmp_path / LOADER, tmp_path / "extra"], append="b c", extra_args=["a=1"]
    )
    assert [module.name for module in image.modules] == [LOADER, "extra"]
    assert image.kernel_args == "a=1 b c"
    for file in (image.kernel, *image.modules):
        data = (tmp_path / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert file.path == tmp_path / file.name


def test_a_relative_name_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert find_image([Path(KERNEL), Path(LOADER)]).kernel.path == tmp_path / KERNEL


def test_a_module_larger_than_one_read_is_hashed_whole(tmp_path: Path) -> None:
    build(tmp_path)
    data = os.urandom((2 << 20) + 17)
    (tmp_path / "big").write_bytes(data)
    big = find_image([tmp_path / KERNEL, tmp_path / "big"]).modules[0]
    assert (big.size, big.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_stand_in_is_known_by_its_text(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(build_elf(multiboot1() + b"bringup stand-in image\0"))
    image = find_image([tmp_path / "k"])
    assert image.is_standin
    assert not image.is_sel4
    assert image.title == "stand-in (not seL4)"


def test_nothing_named_and_no_such_file_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image is named"):
        find_image([])
    for paths in (
        [tmp_path / "none"],
        [tmp_path / "none" / "deeper"],
        [build(tmp_path) / KERNEL, Path("no")],
    ):
        with pytest.raises(UsageError, match="does not exist"):
            find_image(paths)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    kernel = build(tmp_path) / KERNEL
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    cases = {
        "is a folder where a file is needed": [kernel, tmp_path],
        "pipe is not a regular file": [tmp_path / "pipe"],
        "loop cannot be read": [tmp_path / "loop"],
        "null is not a regular file": [Path("/dev/null")],
        "cannot be read: File name too long": [tmp_path / ("x" * 5000)],
        "cannot be read: a name has no NUL in it": [Path("a\0b")],
    }
    for words, paths in cases.items():
        with pytest.raises(ImageError) as raised:
            find_image(paths)
        assert words in raised.value.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_one_may_not_read(tmp_path: Path) -> None:
    kernel = build(tmp_path) / KERNEL
    kernel.chmod(0)
    with pytest.raises(ImageError, match="Permission denied"):
        find_image([kernel])


def test_a_hostile_name_is_told_harmlessly(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2Jb").write_bytes(b"x")
    with pytest.raises(ImageError) as raised:
        find_image([tmp_path])
    assert "\x1b" not in raised.value.message
    assert "\x1b" not in find_image([tmp_path / "a\x1b[2Jb"]).kernel.name


def test_a_compressed_kernel_is_served_unpacked(tmp_path: Path, home: Path) -> None:
    (tmp_path / "kernel.gz").write_bytes(gzip.compress(KERNEL_BYTES, mtime=0))
    first, again = (find_image([tmp_path / "kernel.gz"]).kernel for _ in range(2))
    assert first == again
    assert first.name == "kernel"
    assert first.path.is_relative_to(home)
    assert first.path.read_bytes() == KERNEL_BYTES
    assert first.sha256 == hashlib.sha256(KERNEL_BYTES).hexdigest()
    assert [path.name for path in first.path.parent.iterdir()] == ["kernel"]


def test_a_spoiled_copy_in_the_cache_is_replaced(tmp_path: Path, home: Path) -> None:
    (tmp_path / "kernel.gz").write_bytes(gzip.compress(KERNEL_BYTES, mtime=0))
    path = find_image([tmp_path / "kernel.gz"]).kernel.path
    path.write_bytes(bytes(len(KERNEL_BYTES)))
    assert find_image([tmp_path / "kernel.gz"]).kernel.path.read_bytes() == KERNEL_BYTES


def test_a_damaged_or_boundless_compressed_kernel(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "kernel.gz"
    packed = gzip.compress(KERNEL_BYTES + os.urandom(40000))
    path.write_bytes(packed[:-9])
    with pytest.raises(ImageError, match="damaged gzip"):
        find_image([path])
    path.write_bytes(gzip.compress(KERNEL_BYTES + bytes(2 << 20)))
    with pytest.raises(ImageError, match="unpacks to more than 1 MiB"):
        find_image([path], kernel_max=1 << 20)
    path.write_bytes(os.urandom(2 << 20))
    with pytest.raises(ImageError, match="more than 1 MiB, and no kernel"):
        find_image([path], kernel_max=1 << 20)


@pytest.mark.skipif(not XEN, reason="no Xen in /boot")
def test_debians_xen(home: Path) -> None:
    image = find_image([XEN[0]])
    assert image.title == "Xen"
    assert image.kernel.name == XEN[0].name.removesuffix(".gz")
    assert image.headers == "multiboot 1+2"
    assert image.elf is not None and image.elf.bits == 32


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.binary(max_size=300),
    begin=st.sampled_from([b"", b"\x7fELF", b"\x1f\x8b\x08\x00", KERNEL_BYTES[:100], bzimage()]),
)
def test_noise_is_an_image_or_refused(tmp_path: Path, home: Path, begin: bytes, noise: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(begin + noise)
    try:
        image = find_image([path, path])
    except ImageError:
        return
    assert image.to_dict()["kernel"]["size"] == image.kernel.size


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (b"", Content.EMPTY),
        (b"text", Content.OTHER),
        (build_elf(bits=32), Content.ELF32),
        (build_elf(bits=64), Content.ELF64),
        (b"\x7fELF", Content.ELF32),
        (KERNEL_BYTES, Content.MULTIBOOT),
        (gzip.compress(KERNEL_BYTES, mtime=0), Content.MULTIBOOT),
        (gzip.compress(b"text", mtime=0), Content.ARCHIVE),
        (bzimage(), Content.LINUX),
        (b"070701", Content.ARCHIVE),
    ],
)
def test_files_by_their_first_bytes(head: bytes, content: Content) -> None:
    assert classify(head) is content
