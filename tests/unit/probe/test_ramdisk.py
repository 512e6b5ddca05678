"""The ramdisk: the kernel and modules it takes, the same bytes each time, clear words for what is missing."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bringup.base.assets import asset
from bringup.base.errors import ImageError, LabError, MissingProgramError
from bringup.probe.agent import ORDER_S
from bringup.probe.ramdisk import (
    BUSYBOX,
    DRIVERS,
    MAINTENANCE,
    ProbeKernel,
    find_kernel,
    is_static_program,
    own_aliases,
    parse_modules_dep,
    ramdisk,
    unpacked_module,
    wanted_modules,
)

DEP = """kernel/net/igb.ko.xz: kernel/dca/dca.ko.xz kernel/i2c/i2c-algo-bit.ko.xz
kernel/dca/dca.ko.xz:
kernel/i2c/i2c-algo-bit.ko.xz:
kernel/fs/ext4.ko.xz: kernel/lib/crc16.ko.xz
kernel/lib/crc16.ko.xz:
not a line
"""
ALIASES = """# aliases
alias pci:v00008086d00001521sv* igb
alias pci:v00001234d00001521sv* ext4
alias fs-ext4 ext4
alias i2c-algo i2c-algo-bit
broken
"""


@pytest.fixture
def kernel(tmp_path: Path) -> ProbeKernel:
    folder = tmp_path / "modules" / "6.9.1"
    for path in parse_modules_dep(DEP).values():
        (folder / path[0]).parent.mkdir(parents=True, exist_ok=True)
        (folder / path[0]).write_bytes(lzma.compress(path[0].encode()))
    (folder / "modules.dep").write_text(DEP)
    (folder / "modules.alias").write_text(ALIASES)
    boot = tmp_path / "boot"
    boot.mkdir()
    (boot / "vmlinuz-6.9.1").write_bytes(b"kernel")
    return ProbeKernel(boot / "vmlinuz-6.9.1", "6.9.1", folder)


def needs_programs() -> None:
    if shutil.which("cpio") is None or not is_static_program(BUSYBOX):
        pytest.skip("cpio or busybox-static is not installed: `make system-test`")


def contents(archive: Path) -> dict[str, bytes]:
    """The files of a cpio archive (newc), as cpio itself unpacks them."""
    folder = archive.parent / "unpacked"
    folder.mkdir()
    command = ["cpio", "-i", "-d", "--quiet", "-D", str(folder)]
    subprocess.run(command, input=gzip.decompress(archive.read_bytes()), check=True)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_newest_kernel_with_modules_is_taken(tmp_path: Path, kernel: ProbeKernel) -> None:
    boot, modules = kernel.path.parent, kernel.modules.parent
    (boot / "vmlinuz-6.10.2-no-modules").write_bytes(b"")
    (boot / "vmlinuz-6.10.0").write_bytes(b"")
    (modules / "6.10.0").mkdir()
    (modules / "6.10.0" / "modules.dep").write_text("")
    assert find_kernel(boot, modules).release == "6.10.0"


@pytest.mark.parametrize("names", [[], ["vmlinuz-6.1.0"], ["initrd.img-6.9.1"]])
def test_no_kernel_names_the_package(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(MissingProgramError, match="there is none with modules") as error:
        find_kernel(tmp_path, tmp_path / "modules")
    assert "apt install linux-image" in str(error.value.hint)


def test_a_kernel_for_root_only_is_told_so(kernel: ProbeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(MissingProgramError, match="only root may read") as error:
        find_kernel(kernel.path.parent, kernel.modules.parent)
    assert "chmod a+r" in str(error.value.hint)


def test_drivers_come_with_what_they_need_and_no_file_system(kernel: ProbeKernel) -> None:
    assert [module.name for module in wanted_modules(kernel)] == ["dca", "i2c_algo_bit", "igb"]
    igb = wanted_modules(kernel)[-1]
    assert igb.needs == ("dca", "i2c_algo_bit")


def test_a_kernel_without_ethernet_is_refused(kernel: ProbeKernel) -> None:
    (kernel.modules / "modules.dep").write_text("kernel/fs/ext4.ko:\n")
    with pytest.raises(MissingProgramError, match="no Ethernet drivers"):
        wanted_modules(kernel)
    (kernel.modules / "modules.dep").unlink()
    with pytest.raises(LabError, match="cannot be read"):
        wanted_modules(kernel)


def test_aliases_lead_to_its_own_modules_only(kernel: ProbeKernel) -> None:
    assert own_aliases(ALIASES, wanted_modules(kernel)) == [
        "alias pci:v00008086d00001521sv* igb\n",
        "alias i2c-algo i2c-algo-bit\n",
    ]


def test_it_is_made_once_and_the_same_each_time(kernel: ProbeKernel, home: Path) -> None:
    needs_programs()
    path = ramdisk(kernel)
    first = path.read_bytes()
    file = path.stat().st_ino
    assert ramdisk(kernel) == path
    assert path.stat().st_ino == file, "it was made again"
    path.unlink()
    assert ramdisk(kernel).read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_is_in_it(kernel: ProbeKernel, home: Path) -> None:
    needs_programs()
    files = contents(ramdisk(kernel))
    modules = {name for name in files if name.startswith("lib/")}
    assert modules == {
        f"lib/modules/6.9.1/{name}"
        for name in ("modules.dep", "modules.alias", "igb.ko", "dca.ko", "i2c_algo_bit.ko")
    }
    assert files["lib/modules/6.9.1/igb.ko"] == b"kernel/net/igb.ko.xz"  # unpacked
    assert b"igb.ko: dca.ko i2c_algo_bit.ko\n" in files["lib/modules/6.9.1/modules.dep"]
    assert set(files) - modules == {"init", "common.sh", "lease.sh", "collect.sh", "bin/busybox"}
    assert files["init"] == asset("probes/linux/init").read_bytes()


def test_a_change_of_a_module_makes_another(kernel: ProbeKernel, home: Path) -> None:
    needs_programs()
    before = ramdisk(kernel)
    (kernel.modules / "kernel/net/igb.ko.xz").write_bytes(lzma.compress(b"another build"))
    assert ramdisk(kernel) != before


@pytest.mark.parametrize(
    ("suffix", "packed"),
    [(".ko", b"ELF"), (".ko.xz", lzma.compress(b"ELF")), (".ko.gz", gzip.compress(b"ELF", mtime=0))],
)
def test_packed_modules(tmp_path: Path, suffix: str, packed: bytes) -> None:
    path = tmp_path / f"igb{suffix}"
    path.write_bytes(packed)
    assert unpacked_module(path) == b"ELF"
    if suffix != ".ko":
        path.write_bytes(packed[:-3])
        with pytest.raises(ImageError, match="damaged"):
            unpacked_module(path)


def test_zstd_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "igb.ko.zst"
    path.write_bytes(b"no zstd")
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", "-f", "-", "-o", str(path)], input=b"ELF", check=True)
        assert unpacked_module(path) == b"ELF"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError) as error:
        unpacked_module(path)
    assert error.value.hint == "apt install zstd"


def test_a_busybox_with_libraries_is_not_taken(tmp_path: Path, kernel: ProbeKernel, home: Path) -> None:
    assert not is_static_program(Path(shutil.which("sh") or "/bin/sh"))
    for data in (b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(100)):
        (tmp_path / "busybox").write_bytes(data)
        assert not is_static_program(tmp_path / "busybox")
    with pytest.raises(MissingProgramError) as error:
        ramdisk(kernel, tmp_path / "busybox")
    assert error.value.hint == "apt install busybox-static"


@pytest.mark.parametrize("script", ["init", "common.sh", "lease.sh", "maintenance"])
def test_shellcheck_finds_nothing(script: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: apt install shellcheck")
    done = subprocess.run(
        ["shellcheck", "-s", "sh", str(asset(f"probes/linux/{script}"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""


def test_nothing_on_a_disk_is_named_in_the_ramdisks_scripts() -> None:
    names = ("init", "common.sh", "lease.sh", "maintenance")
    text = "".join(asset(f"probes/linux/{name}").read_text() for name in names)
    mounted = [line.split()[2] for line in text.splitlines() if line.split()[:1] == ["mount"]]
    assert mounted == ["devtmpfs", "proc", "sysfs", "tmpfs"]
    assert "/dev/sd" not in text
    assert "/dev/nvme" not in text
    assert not {"sd_mod", "ext4", "xfs", "btrfs", "vfat"} & set(DRIVERS)


def test_the_maintenance_ramdisk_writes_disks_and_mounts_none() -> None:
    assert {"sd_mod", "nvme", "usb_storage", "ahci"} <= set(MAINTENANCE.drivers)
    assert not {"ext4", "xfs", "btrfs", "vfat", "md_mod", "dm_mod", "raid1"} & set(MAINTENANCE.drivers)


@pytest.mark.parametrize("order", ["read {} 0 512", "write {} 0 512 chunk/x", "hash {} 0 512", "flush {}"])
def test_a_disk_that_was_pulled_is_not_made_anew_in_memory(order: str) -> None:
    """`dd of=/dev/sda` makes a file where there is no such node."""
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed: apt install busybox-static")
    functions = asset("probes/linux/maintenance").read_text().partition("\nstart_up\n")[0]
    functions = functions.replace("\n. /common.sh\n", "\n")
    script = f"{functions}\nurl=http://127.0.0.1:9\nobey {order.format('nosuchdisk')}\necho $answer\n"
    done = subprocess.run(["busybox", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "failed:gone\n"
    assert not Path("/dev/nosuchdisk").exists()


def test_the_ramdisk_gives_up_on_a_disk_before_the_host_gives_up_on_the_ramdisk() -> None:
    """Else nobody hears which disk it was."""
    script = asset("probes/linux/maintenance").read_text()
    limits = {name: float(value) for name, value in re.findall(r"^(\w+_S)=(\d+)$", script, re.M)}
    assert limits["FETCH_S"] < limits["IO_S"] < ORDER_S - limits["ORDER_S"]


@pytest.mark.parametrize("act", ["hash_ranges nosuchdisk 0 512 512 512", "flush_disk nosuchdisk"])
def test_a_disk_that_hangs_is_told_as_that(act: str) -> None:
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed: apt install busybox-static")
    functions = asset("probes/linux/maintenance").read_text().partition("\nstart_up\n")[0]
    functions = functions.replace("\n. /common.sh\n", "\n")
    # Stands for `timeout` around what hangs.
    hangs = 'timeout() { sleep "$1"; return 143; }'
    script = f"{functions}\n{hangs}\nlook_at_clock\nends_s=$((now_s + 1))\n{act} 2>/dev/null\necho $answer\n"
    done = subprocess.run(["busybox", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "failed:late\n", done.stderr


def test_the_maintenance_ramdisk_has_an_init_of_its_own(kernel: ProbeKernel, home: Path) -> None:
    needs_programs()
    probe, maintenance = ramdisk(kernel), ramdisk(kernel, recipe=MAINTENANCE)
    assert probe.name.startswith("ramdisk-")
    assert maintenance.name.startswith("maintenance-")
    files = contents(maintenance)
    assert files["init"] == asset("probes/linux/maintenance").read_bytes()
    assert "collect.sh" not in files


def test_names_use_the_underscore() -> None:
    assert parse_modules_dep(DEP)["i2c_algo_bit"] == ("kernel/i2c/i2c-algo-bit.ko.xz", ())
