"""The stand-in kernel in QEMU: by every way it can be loaded, and everything it can play."""

from __future__ import annotations

import importlib.util
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from bringup.image.standin import write_module
from tests.twin.helpers import PATIENCE_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "probes" / "standin"
OVMF = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
DEADLINE_S = PATIENCE_S

BANNER = b"bringup stand-in image, not seL4"
USER_SPACE = b"Booting all finished, dropped to user space\r\n"
HALTED = b"Kernel entry via Interrupt, irq 0\r\n"
LOGIN = b"buildroot login: "


class Console:
    """What a machine prints, read with deadlines."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.process = process
        self.text = b""
        self._pipe = process.stdout.fileno()

    def read_for(self, seconds: float) -> bytes:
        """Return what comes within `seconds`, or until the machine ends."""
        before, deadline = len(self.text), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self._read(left):
            pass
        return self.text[before:]

    def read_until(self, *texts: bytes, times: int = 1) -> bytes:
        """Return everything up to now, once each of `texts` was printed `times` times."""
        self.read_till(lambda: all(self.text.count(text) >= times for text in texts))
        return self.text

    def read_till(self, true: Callable[[], bool]) -> None:
        """Read until something is so."""
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            left = deadline - time.monotonic()
            assert left > 0, self.text
            assert self._read(left) or self.process.poll() is None, f"machine ended: {self.text!r}"

    def time_of(self, text: bytes) -> tuple[float, float]:
        """Read on until a text comes; return when it had surely not been printed, and when it surely had."""
        before = time.monotonic()
        deadline = before + DEADLINE_S
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} not seen in {self.text!r}"
            now = time.monotonic()
            before = before if select.select([self._pipe], [], [], 0.01)[0] else now
            assert self._read(0) or self.process.poll() is None, f"machine ended: {self.text!r}"
        return before, time.monotonic()

    def _read(self, seconds: float) -> bool:
        if not select.select([self._pipe], [], [], seconds)[0]:
            return True
        piece = os.read(self._pipe, 65536)
        self.text += piece
        return bool(piece)


@contextmanager
def machine(*arguments: str, serial: Sequence[str] = ("stdio",)) -> Iterator[Console]:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-M", "q35"]
    command += ["-m", "256", "-display", "none", "-nodefaults"]
    for backend in serial:
        command += ["-serial", backend]
    process = subprocess.Popen(
        [*command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield Console(process)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    out = tmp_path_factory.mktemp("standin") / "standin-kernel"
    made = subprocess.run(
        ["make", "-C", str(SOURCE), f"OUT={out}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert "warning" not in made.stderr
    return out


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("module") / "module"
    write_module(path, 3 << 20)
    return path


def direct(kernel: Path, module: Path | None, append: str = "") -> list[str]:
    """QEMU's own multiboot 1 loader."""
    initrd = [] if module is None else ["-initrd", str(module)]
    return ["-kernel", str(kernel), *initrd, "-append", append]


# Ways to be loaded.


def test_both_headers_are_where_loaders_look(kernel: Path) -> None:
    if shutil.which("grub-file") is None:
        pytest.skip("grub-file is not installed")
    for protocol in ("--is-x86-multiboot", "--is-x86-multiboot2"):
        assert (
            subprocess.run(["grub-file", protocol, str(kernel)], timeout=PATIENCE_S, check=False).returncode
            == 0
        )
    data = kernel.read_bytes()
    assert 0 < data.index(bytes.fromhex("02b0ad1b")) < 8192  # Multiboot 0.6.96, 3.1
    assert 0 < data.index(bytes.fromhex("d65052e8")) < 8192


def test_direct_boot_says_the_markers_in_order(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "console_port=0x2f8 debug_port=0x3f8")) as console:
        text = console.read_until(USER_SPACE)
    size = module.stat().st_size
    lines = [
        rb"bringup stand-in image, not seL4",
        rb"Boot config: parsing cmdline '\S+ console_port=0x2f8 debug_port=0x3f8'",
        rb"Boot config: console_port = 0x2f8",
        rb"Boot config: debug_port = 0x3f8",
        rb"Boot config: disable_iommu = false",
        rb"Detected 1 boot module\(s\):",
        rb"  module #0: start=0x[0-9a-f]+ end=0x[0-9a-f]+ size=0x%x name='\S+'" % size,
        rb"Parsing GRUB physical memory map",
        rb"\tPhysical Memory Region from 100000 size [0-9a-f]+ type 1",
        rb"Adding physical memory region 0x100000-0x[0-9a-f]+",
        rb"ACPI: RSDP paddr=0x[0-9a-f]+",
        rb"Kernel loaded to: start=0x100000 end=0x[0-9a-f]+ size=0x[0-9a-f]+ entry=0x[0-9a-f]+",
        rb"ELF-loading userland images from boot modules:",
        rb"stand-in: module #0 3 MiB crc32 0x[0-9a-f]{8} ok",
        rb"Moving loaded userland images to final location: from=0x[0-9a-f]+ to=0x[0-9a-f]+ size=0x%x" % size,
        rb"Starting node #0 with APIC ID 0",
        rb"Mapping kernel window is done",
        rb"Booting all finished, dropped to user space",
    ]
    position = 0
    for line in lines:
        match = re.compile(rb"^%s\r$" % line, re.MULTILINE).search(text, position)
        assert match is not None, (line, text)
        position = match.end()


def test_the_memory_map_is_the_machines(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module), "-m", "300") as console:
        text = console.read_until(USER_SPACE)
    tops = [int(top, 16) for top in re.findall(rb"Adding physical memory region 0x100000-0x(\w+)", text)]
    assert len(tops) == 1
    assert 299 << 20 <= tops[0] <= 300 << 20


def test_another_port_carries_everything(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "debug_port=0x2f8"), serial=("null", "stdio")) as console:
        assert console.read_until(USER_SPACE).startswith(BANNER)


def test_an_absent_uart_does_not_hold_the_boot_up(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "debug_port=0x3e8 play=reboot"), "-no-reboot") as console:
        assert console.read_for(DEADLINE_S) == b""
        assert console.process.wait(timeout=PATIENCE_S) == 0  # it came as far as its reset


GRUB_MODULES = "serial terminal echo normal search search_fs_file part_msdos fat multiboot multiboot2 boot"
GRUB_CONFIG = """
serial --unit=0 --speed=115200
terminal_output serial
search --file --set=root /kernel
echo "grub starts {command}"
{command} /kernel vms=1
{module} /module name of module
boot
"""


def grub_disk(target: str, modules: str, command: str, folder: Path, files: tuple[Path, Path]) -> Path:
    """Make a folder that QEMU shows as a FAT disk, with kernel and module; return GRUB itself."""
    if not Path("/usr/lib/grub", target).is_dir():
        pytest.skip(f"GRUB for {target} is not installed")
    disk = folder / "disk"
    disk.mkdir()
    shutil.copy(files[0], disk / "kernel")
    shutil.copy(files[1], disk / "module")
    config = folder / "grub.cfg"
    module_command = {"multiboot": "module", "multiboot2": "module2"}[command]
    config.write_text(GRUB_CONFIG.format(command=command, module=module_command))
    image = folder / "grub.image"
    subprocess.run(
        ["grub-mkstandalone", "-O", target, "-o", str(image), "--modules", modules,
         "--install-modules", modules, "--fonts=", "--locales=", "--themes=",
         f"boot/grub/grub.cfg={config}"],
        check=True, timeout=PATIENCE_S, capture_output=True,
    )  # fmt: skip
    return image


def check_grub_boot(console: Console, command: str) -> None:
    text = console.read_until(LOGIN)
    # Nothing of the loader's last words is lost, and our banner follows them.
    assert b"grub starts " + command.encode() in text.split(BANNER)[0]
    assert re.search(rb"parsing cmdline '(/kernel )?vms=1'", text)
    assert b"stand-in: module #0 3 MiB crc32" in text
    assert re.search(rb"name='(/module )?name of module'", text)


@pytest.mark.parametrize("command", ["multiboot", "multiboot2"])
def test_grub_on_bios(kernel: Path, module: Path, tmp_path: Path, command: str) -> None:
    core = grub_disk("i386-pc", f"{GRUB_MODULES} biosdisk", command, tmp_path, (kernel, module))
    # GRUB's own stub makes its core image look like a Linux kernel, which QEMU can start.
    bootable = tmp_path / "grub.lnx"
    bootable.write_bytes(Path("/usr/lib/grub/i386-pc/lnxboot.img").read_bytes() + core.read_bytes())
    disk = f"file=fat:{tmp_path / 'disk'},format=raw,snapshot=on"
    with machine("-kernel", str(bootable), "-drive", disk) as console:
        check_grub_boot(console, command)
        assert b"ACPI: RSDP paddr=0x" in console.text


@pytest.mark.parametrize("command", ["multiboot", "multiboot2"])
def test_grub_on_uefi(kernel: Path, module: Path, tmp_path: Path, command: str) -> None:
    if not OVMF.is_file():
        pytest.skip("OVMF is not installed")
    image = grub_disk("x86_64-efi", GRUB_MODULES, command, tmp_path, (kernel, module))
    loader = tmp_path / "disk" / "EFI" / "BOOT" / "BOOTX64.EFI"
    loader.parent.mkdir(parents=True)
    shutil.copy(image, loader)
    firmware = f"if=pflash,format=raw,readonly=on,file={OVMF}"
    disk = f"file=fat:{tmp_path / 'disk'},format=raw,snapshot=on"
    with machine("-drive", firmware, "-drive", disk) as console:
        check_grub_boot(console, command)
        # The firmware keeps nothing in BIOS memory: only multiboot 2 hands the pointer over.
        assert (b"ACPI: RSDP paddr=0x" in console.text) == (command == "multiboot2")


def test_ipxe_on_bios(kernel: Path, module: Path, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(kernel.read_bytes())
    (tmp_path / "module").write_bytes(module.read_bytes())
    (tmp_path / "boot.ipxe").write_text("#!ipxe\nkernel kernel vms=1\nmodule module\nboot\n")
    network = f"user,id=n,restrict=on,tftp={tmp_path},bootfile=boot.ipxe"
    with machine("-netdev", network, "-device", "virtio-net-pci,netdev=n,bootindex=1") as console:
        text = console.read_until(LOGIN)
    assert b"stand-in: module #0 3 MiB crc32" in text


# Modules.


def test_64_mib_are_checked(kernel: Path, tmp_path: Path) -> None:
    write_module(tmp_path / "module", 64 << 20)
    with machine(*direct(kernel, tmp_path / "module")) as console:
        console.read_until(b"ELF-loading userland images")
        assert b"stand-in: module #0 64 MiB crc32" in console.read_until(USER_SPACE)


def boot_with_module(kernel: Path, data: bytes, folder: Path, until: bytes) -> bytes:
    path = folder / "damaged"
    path.write_bytes(data)
    with machine(*direct(kernel, path, "vms=1")) as console:
        console.read_until(until)
        return console.text


def ends_as_sel4_does(text: bytes) -> bool:
    ending = b'saying "boot_sys failed for some reason :(\r\n"\r\nhalting...\r\n'
    return ending in text and USER_SPACE not in text


@pytest.mark.parametrize("offset", [32, 1_000_003, (3 << 20) - 1])
def test_one_flipped_bit_is_found(kernel: Path, module: Path, tmp_path: Path, offset: int) -> None:
    data = bytearray(module.read_bytes())
    data[offset] ^= 0x10
    text = boot_with_module(kernel, bytes(data), tmp_path, HALTED)
    found = re.search(rb"module #0 is damaged: crc32 (0x\w{8}) expected (0x\w{8}), offset unknown\r\n", text)
    assert found is not None
    assert found[1] != found[2]
    assert ends_as_sel4_does(text)


def test_a_short_module_is_truncated(kernel: Path, module: Path, tmp_path: Path) -> None:
    text = boot_with_module(kernel, module.read_bytes()[:1_000_000], tmp_path, HALTED)
    assert b"stand-in: module #0 is truncated: has 1000000 bytes, header says 3145728\r\n" in text
    assert ends_as_sel4_does(text)


def test_a_long_module_is_damaged(kernel: Path, module: Path, tmp_path: Path) -> None:
    text = boot_with_module(kernel, module.read_bytes() + b"x", tmp_path, HALTED)
    assert b"stand-in: module #0 is damaged: has 3145729 bytes, header says 3145728\r\n" in text
    assert ends_as_sel4_does(text)


@pytest.mark.parametrize("data", [b"x", b"BRINGUP1", os.urandom(5000)], ids=["byte", "magic", "noise"])
def test_a_module_of_somebody_else_is_not_checked(kernel: Path, tmp_path: Path, data: bytes) -> None:
    text = boot_with_module(kernel, data, tmp_path, USER_SPACE)
    assert b"stand-in: module #0 has no BRINGUP1 header, not checked\r\n" in text


@pytest.mark.parametrize("append", ["", "play=no-module"])
def test_no_module(kernel: Path, module: Path, append: str) -> None:
    with machine(*direct(kernel, module if append else None, append)) as console:
        text = console.read_until(HALTED)
    assert b"Detected 0 boot module(s):\r\nExpect at least one boot module" in text
    assert ends_as_sel4_does(text)


# What it can play.


@pytest.mark.parametrize(
    ("stage", "last"),
    [
        ("kernel", b"Boot config: disable_iommu = false\r\n"),
        ("user-space", USER_SPACE),
        ("vmm", b"Initializing guest to start running at 0x10400000\r\n\r"),
        ("guest", b"PREEMPT_DYNAMIC\r\n\r"),
    ],
)
def test_hang(kernel: Path, module: Path, stage: str, last: bytes) -> None:
    with machine(*direct(kernel, module, f"play=hang:{stage}")) as console:
        console.read_until(last)
        console.read_for(0.4)
        assert console.text.endswith(last)
        assert console.process.poll() is None


def test_assert(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "play=assert")) as console:
        text = console.read_until(b"halting...\r\n")
    assert re.search(rb"seL4 failed assertion '.+' at \S+:\d+ in function \w+\r\nhalting\.\.\.\r\n", text)


def test_vtx_locked(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "play=vtx-locked")) as console:
        text = console.read_until(HALTED)
    assert b"\nvt-x: feature locked\r\nseL4 called fail at " in text
    assert ends_as_sel4_does(text)


def test_reboot_comes_again(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "play=reboot")) as console:
        text = console.read_until(BANNER, b"Starting node #0", times=3)
    assert USER_SPACE not in text


def test_garbage_has_no_text_and_never_ends(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "play=garbage seed=7")) as console:
        console.read_until(BANNER + b"\r\n")

        def noise() -> bytes:
            return console.text.split(BANNER + b"\r\n")[1]

        console.read_till(lambda: len(noise()) > 4096 + 20)
        console.read_for(0.5)
        assert console.process.poll() is None
    # After the first 4 KiB about fifty bytes a second; without a pace thousands.
    assert len(noise()) < 4096 + 2000
    assert re.search(rb"[\t\r\n -~]", noise()) is None


def test_flood_is_numbered_and_paced(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "play=flood:200")) as console:
        before, _ = console.time_of(b"flood 000001")
        _, after = console.time_of(USER_SPACE)
        text = console.text
    numbers = [int(number) for number in re.findall(rb"^flood (\d{6}) of 000200 .{34,40}\r$", text, re.M)]
    assert numbers == list(range(1, 201))
    assert after - before > 0.8


def test_cap_fault_comes_after_user_space(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "play=cap-fault vms=2")) as console:
        text = console.read_until(b"With stack:\r\n")
    fault = text.split(USER_SPACE)[1]
    assert fault.startswith(b"Caught cap fault in send phase at address 0x0\r\nwhile trying to handle:\r\n")
    assert b'in thread 0xffffff801fe08400 "rootserver" at address 0x' in fault


def test_release_leaves_only_user_space_speaking(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "play=release")) as console:
        text = console.read_until(LOGIN)
    assert text.startswith(b"\x1b[0m\x1b[36mGuest address space root")
    assert b"seL4" not in text
    assert b"Boot config" not in text


def test_quiet_is_a_pause(kernel: Path, module: Path) -> None:
    with machine(*direct(kernel, module, "play=quiet:1")) as console:
        before, first = console.time_of(b"Mapping kernel window is done\r\n")
        last, after = console.time_of(USER_SPACE)
    # On a busy host we hear of a line some time after it was printed: the pause was between these two.
    assert after - before > 0.8
    assert last - first < 30


@pytest.mark.parametrize("play", ["dance", "hang", "hang:firmware", "quiet", "quiet:soon", ""])
def test_a_play_it_does_not_know_is_said(kernel: Path, module: Path, play: str) -> None:
    with machine(*direct(kernel, module, f"play={play}")) as console:
        text = console.read_until(USER_SPACE)
    assert b"stand-in: the command line asks for a play= that this image does not know\r\n" in text


# Virtual machines.

SWITCH = re.compile(rb"\x1b\[0m((?:\x1b\[[0-9;]+m)+)")


def all_said(console: Console, vms: int) -> bytes:
    """Return what VMs said once each guest is at its login, and nothing came after that."""

    def said() -> bytes:
        return console.text.partition(USER_SPACE)[2]

    def at_login() -> int:
        # A login comes in pieces between those of other guests; before its end nothing is taken apart.
        whole = by_writer(said()) if said().endswith(LOGIN[-1:]) else {}
        return sum(each.endswith(LOGIN) for each in whole.values())

    console.read_till(lambda: at_login() == vms)
    console.read_for(0.3)
    return said()


def by_writer(text: bytes) -> dict[bytes, bytes]:
    """Take the text of guests apart by the colours that announce each change of writer."""
    pieces = SWITCH.split(text)
    assert pieces[0] == b""
    streams: dict[bytes, bytes] = {}
    for colour, said in zip(pieces[1::2], pieces[2::2], strict=True):
        streams[colour] = streams.get(colour, b"") + said.replace(b"\0", b"")
    return streams


@pytest.mark.parametrize("vms", [0, 1, 3, 6, 9])
def test_every_vm_says_everything_in_its_own_colour(kernel: Path, module: Path, vms: int) -> None:
    expected = min(vms, 6)
    with machine(*direct(kernel, module, f"vms={vms}")) as console:
        console.read_until(USER_SPACE)
        streams = by_writer(all_said(console, expected))
    vmm = {colour: said for colour, said in streams.items() if b";47" not in colour}
    guests = {colour: said for colour, said in streams.items() if b";47" in colour}
    assert (len(vmm), len(guests)) == (expected, expected)
    assert len(set(vmm.values())) == len(set(guests.values())) == min(expected, 1)  # not a character lost
    for said in guests.values():
        assert said.startswith(b"[    0.000000] Linux version ")
        assert said.endswith(b"\r\n\rWelcome to Buildroot\r\n\rbuildroot login: ")


def test_the_seed_changes_how_vms_interleave(kernel: Path, module: Path) -> None:
    texts = []
    for seed in ("1", "1", "2"):
        with machine(*direct(kernel, module, f"vms=3 seed={seed}")) as console:
            console.read_until(USER_SPACE)
            texts.append(all_said(console, 3))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert by_writer(texts[0]) == by_writer(texts[2])
    split_words = re.findall(rb"[a-z]\x1b\[0m\x1b\[[0-9;]+m", texts[0])
    assert split_words, "no word was ever split"
    assert b"\0" in texts[0] + texts[2]


# Building the package.


def build_hook() -> ModuleType:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    return hook


def test_building_without_a_compiler_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = build_hook()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"needs make: install gcc, binutils and make"):
        hook.build_kernel(SOURCE, tmp_path / "kernel")


@pytest.mark.parametrize("version", ["standard", "editable"])
def test_the_hook_builds_and_a_wheel_takes_the_kernel_along(tmp_path: Path, version: str) -> None:
    hook = build_hook()
    shutil.copytree(SOURCE.parent, tmp_path / "probes")
    build_data: dict[str, dict[str, str]] = {"force_include": {}}
    hook.StandinBuildHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel").initialize(
        version, build_data
    )
    in_wheel = {}
    for folder, name in hook.PROGRAMS:
        built = tmp_path / "build" / folder / name
        assert built.read_bytes()[:4] == b"\x7fELF"
        in_wheel[str(built)] = f"bringup/_assets/probes/{folder}/{name}"
    assert len(in_wheel) == len(hook.PROGRAMS) >= 1
    assert build_data["force_include"] == (in_wheel if version == "standard" else {})


def test_the_build_is_reproducible(kernel: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(SOURCE.parent, copy)
    command = ["make", "-C", str(copy / SOURCE.name), f"OUT={tmp_path / 'kernel'}"]
    subprocess.run(command, check=True, timeout=PATIENCE_S, capture_output=True)
    assert (tmp_path / "kernel").read_bytes() == kernel.read_bytes()
