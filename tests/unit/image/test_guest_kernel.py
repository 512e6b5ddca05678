"""A guest's kernel and root file system: what they say of themselves, and that silence is no answer."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path

import pytest

from bringup.base.errors import ImageError
from bringup.image.archive import make_cpio
from bringup.image.guest_kernel import embedded_config, parse_config, read_kernel, read_rootfs
from bringup.probe.ramdisk import find_kernel

CONFIG = 'CONFIG_PCI=y\n# CONFIG_PCI_MSI is not set\nCONFIG_WIREGUARD=m\nCONFIG_CMDLINE="a=b"\n'
EMBEDDED = b"junk IKCFG_ST" + gzip.compress(CONFIG.encode()) + b"IKCFG_ED more"


def elf(bits: int) -> bytes:
    kind, machine = {32: (1, 3), 64: (2, 62)}[bits]
    return b"\x7fELF" + bytes([kind]) + bytes(13) + struct.pack("<H", machine) + bytes(40)


def bzimage(payload: bytes, release: bytes = b"4.9.337 (x@y) #1") -> bytes:
    """Return a bzImage of protocol 2.15 with one setup sector after the boot sector."""
    setup = bytearray(2 * 512)
    setup[0x1F1] = 1
    setup[0x1FE:0x200] = b"\x55\xaa"
    setup[0x202:0x206] = b"HdrS"
    setup[0x206:0x208] = b"\x0f\x02"
    struct.pack_into("<H", setup, 0x20E, 0x300 - 0x200)
    setup[0x300 : 0x300 + len(release) + 1] = release + b"\0"
    struct.pack_into("<II", setup, 0x248, 16, len(payload))
    return bytes(setup) + bytes(16) + payload + bytes(64)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_release_width_and_configuration_come_from_the_image(bits: int, pack: object) -> None:
    kernel = read_kernel(bzimage(pack(elf(bits) + EMBEDDED)), "bzImage")  # type: ignore[operator]
    assert (kernel.release, kernel.bits, kernel.unread) == ("4.9.337", bits, "")
    assert kernel.config is not None
    assert kernel.config.source == "bzImage, IKCONFIG"
    assert [kernel.config.get(name) for name in ("PCI", "PCI_MSI", "WIREGUARD", "CMDLINE", "NONE")] == [
        "y",
        "n",
        "m",
        "a=b",
        "n",
    ]


def test_a_kernel_without_a_configuration_has_none_rather_than_an_empty_one() -> None:
    assert read_kernel(bzimage(gzip.compress(elf(32))), "bzImage").config is None
    assert embedded_config(b"IKCFG_ST no gzip", "x") is None


def test_a_kernel_that_cannot_be_unpacked_still_says_its_release() -> None:
    kernel = read_kernel(bzimage(gzip.compress(elf(64))[:10] + b"\xff" * 20), "bzImage")
    assert (kernel.release, kernel.bits, kernel.config) == ("4.9.337", None, None)
    assert "gzip stream is damaged" in kernel.unread


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(ImageError, match=r"notes\.txt is no Linux kernel"):
        read_kernel(b"hello", "notes.txt")


def test_the_kernel_of_this_host_is_read() -> None:
    found = find_kernel()
    kernel = read_kernel(found.path.read_bytes(), found.path.name)
    assert (kernel.release, kernel.bits, kernel.unread) == (found.release, 64, "")


def test_a_root_file_system_tells_its_modules_by_release_and_the_module_configs() -> None:
    rootfs = read_rootfs(
        make_cpio(
            {
                "lib/modules/4.9.337/extra/wireguard.ko": b"",
                "lib/modules/4.9.337/kernel/virtio-net.ko.xz": b"",
                "lib/modules/4.9.337/kernel/kernel/configs.ko.gz": gzip.compress(EMBEDDED),
                "lib/modules/4.9.337/modules.builtin": b"kernel/drivers/net/e1000.ko\n",
                "lib/modules/4.7.2/kernel/a.ko": b"",
                "etc/os-release": b'NAME=x\nPRETTY_NAME="Buildroot 2025.08"\n',
                "usr/bin/wg": b"",
            }
        ),
        "rootfs.cpio",
    )
    assert rootfs.modules["4.9.337"] == {"wireguard", "virtio_net", "configs"}
    assert set(rootfs.modules) == {"4.9.337", "4.7.2"}
    assert rootfs.built_in["4.9.337"] == {"e1000"}
    assert (rootfs.title, rootfs.programs) == ("Buildroot 2025.08", {"wg"})
    assert rootfs.config is not None and rootfs.config.get("WIREGUARD") == "m"


def test_a_root_file_system_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read as a root file system: it is no cpio archive"):
        read_rootfs(b"ext2 or so", "rootfs.ext2")


def test_a_file_of_settings_is_read_line_by_line() -> None:
    config = parse_config(CONFIG + "CONFIG_BROKEN\nnothing\n", ".config")
    assert set(config.values) == {"PCI", "PCI_MSI", "WIREGUARD", "CMDLINE"}
