"""The firmware probe in QEMU: against QEMU's own word on BARs, and Linux's on config spaces and pins."""

from __future__ import annotations

import os
import random
import re
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bringup.pci.model import Bdf, Machine
from bringup.pci.sources.firmware import report as firmware
from bringup.pci.sources.firmware.frames import BANNER, FrameReader
from bringup.pci.sources.firmware.records import FUNCTION, IOAPIC, decode_function, decode_ioapic
from bringup.probe.ramdisk import unpacked_module
from tests.twin.helpers import PATIENCE_S
from tests.twin.test_standin import OVMF, grub_disk

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "probes" / "firmware"
LIMIT_S = PATIENCE_S

BOARD_TEXT = """
-M q35,kernel-irqchip=split -device intel-iommu,intremap=on,device-iotlb=on
-device pxb-pcie,id=stk64,bus=pcie.0,bus_nr=0x64
-device pcie-root-port,id=rp64d,bus=stk64,chassis=4,slot=4,addr=03.0
-device e1000e,bus=rp64d,addr=00.0,multifunction=on,netdev=n0 -netdev user,id=n0
-device e1000e,bus=rp64d,addr=00.1,netdev=n1 -netdev user,id=n1
-device pxb-pcie,id=stkb2,bus=pcie.0,bus_nr=0xb2
-device pcie-root-port,id=rpb2a,bus=stkb2,chassis=9,slot=9,addr=00.0
-device x3130-upstream,id=up,bus=rpb2a
-device xio3130-downstream,id=dn3,bus=up,chassis=10,slot=3,addr=03.0
-device e1000e,bus=dn3,addr=00.0,multifunction=on,netdev=n2 -netdev user,id=n2
-device e1000e,bus=dn3,addr=00.1,netdev=n3 -netdev user,id=n3
"""
SLOTS_TEXT = """
-M q35 -netdev user,id=n0 -device e1000,bus=pcie.0,addr=4,netdev=n0
-netdev user,id=n1 -device e1000e,bus=pcie.0,addr=5,netdev=n1
-netdev user,id=n2 -device e1000,bus=pcie.0,addr=6,netdev=n2
-netdev user,id=n3 -device e1000e,bus=pcie.0,addr=7,netdev=n3
-netdev user,id=n4 -device e1000e,bus=pcie.0,addr=8,netdev=n4
-netdev user,id=n5 -device e1000,bus=pcie.0,addr=0c,netdev=n5
-device VGA,bus=pcie.0,addr=10 -device qemu-xhci,bus=pcie.0,addr=11
-device pci-serial,bus=pcie.0,addr=12
"""
BOARD = BOARD_TEXT.split()
"""The tree of an E300-9D as far as QEMU 7.2 can make it: host bridges, root ports, a switch."""
SLOTS = SLOTS_TEXT.split()
"""Ethernet in slots whose INTx arrive at different inputs, and two at one."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    out = tmp_path_factory.mktemp("probe") / "firmware-probe"
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


class Probe:
    """A machine that runs the probe: its console, its monitor, and the other side of its protocol."""

    def __init__(
        self, console: socket.socket, monitor: socket.socket, process: subprocess.Popen[bytes]
    ) -> None:
        self.process = process
        self.log = b""
        self.reader = FrameReader()
        self._console, self._monitor = console, monitor

    def listen(
        self, until: Callable[[], bool], damage: Callable[[bytes], bytes] = bytes, silence_s: float = LIMIT_S
    ) -> None:
        """Read on, until something is so or nothing came for a while."""
        deadline = time.monotonic() + LIMIT_S
        while not until():
            assert time.monotonic() < deadline, self.log[-2000:]
            if not select.select([self._console], [], [], min(silence_s, 1))[0]:
                if silence_s < LIMIT_S:
                    return
                continue
            try:
                data = self._console.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                assert until(), self.log[-2000:]
                return
            data = damage(data)
            self.log += data
            self.reader.feed(data)

    def converse(self, damage: Callable[[bytes], bytes] = bytes) -> Machine:
        """Take the report, ask for what was lost, say done."""
        said = 0
        self.listen(lambda: self.reader.prompts > said, damage)
        while not self.reader.complete:
            said = self.reader.prompts
            self._console.sendall(self.reader.request())
            # A prompt may be lost as well: after a while of silence the probe waits.
            self.listen(lambda said=said: self.reader.prompts > said, damage, silence_s=0.2)
        return firmware.parse(self.log, "probe")

    def say(self, data: bytes) -> None:
        self._console.sendall(data)

    def ask_monitor(self, command: str) -> str:
        self._monitor.sendall(command.encode() + b"\n")
        text = b""
        while not text.endswith(b"(qemu) ") or command.encode() not in text:
            assert select.select([self._monitor], [], [], LIMIT_S)[0], text
            text += self._monitor.recv(65536)
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text.decode("utf-8", "replace"))


@contextmanager
def machine(*arguments: str, serials_before: Sequence[str] = ()) -> Iterator[Probe]:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    ours, theirs = zip(socket.socketpair(), socket.socketpair(), strict=True)
    command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-m", "256"]
    command += ["-display", "none", "-nodefaults", "-no-reboot"]
    for number, end in enumerate(theirs):
        command += ["-chardev", f"socket,id=c{number},fd={end.fileno()}"]
    for serial in (*serials_before, "chardev:c0"):
        command += ["-serial", serial]
    process = subprocess.Popen(
        [*command, "-mon", "chardev=c1", *arguments],
        pass_fds=[end.fileno() for end in theirs],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for end in theirs:
        end.close()
    try:
        yield Probe(*ours, process)
    finally:
        process.kill()
        process.wait(timeout=PATIENCE_S)
        for end in ours:
            end.close()


def spaces(probe: Probe) -> dict[str, bytes]:
    """Config spaces by address, as the probe read them."""
    found = [decode_function(r.body) for r in probe.reader.records() if r.type == FUNCTION]
    return {str(Bdf(0, f.bdf >> 8, f.bdf >> 3 & 31, f.bdf & 7)): f.config for f in found}


def bars_of_monitor(text: str) -> dict[tuple[Bdf, int], tuple[int, int]]:
    """(address, size) of every assigned BAR that `info pci` shows."""
    found: dict[tuple[Bdf, int], tuple[int, int]] = {}
    bdf = None
    for line in text.splitlines():
        head = re.match(r"\s*Bus\s+(\d+), device\s+(\d+), function (\d+):", line)
        bar = re.match(r"\s*BAR([0-5]): .* at 0x([0-9a-f]+) \[0x([0-9a-f]+)\]", line)
        if head:
            bdf = Bdf(0, *map(int, head.groups()))
        elif bar and bdf:
            base, last = int(bar[2], 16), int(bar[3], 16)
            found[bdf, int(bar[1])] = (base, last - base + 1)
    return found


def test_size_of_the_binary(kernel: Path) -> None:
    assert kernel.stat().st_size < 64 << 10
    if shutil.which("grub-file"):
        for protocol in ("--is-x86-multiboot", "--is-x86-multiboot2"):
            checked = subprocess.run(["grub-file", protocol, str(kernel)], timeout=PATIENCE_S, check=False)
            assert checked.returncode == 0


def test_the_board_on_its_second_uart_and_off_at_the_end(kernel: Path) -> None:
    arguments = ["-kernel", str(kernel), "-append", "port=0x2f8 after=off", *BOARD]
    with machine(*arguments, serials_before=["null"]) as probe:
        found = probe.converse()
        text = probe.ask_monitor("info pci")
        probe.say(probe.reader.request())
        assert probe.process.wait(timeout=PATIENCE_S) == 0  # it turned itself off
    assert BANNER in probe.log.splitlines()[1]
    assert [f.bdf.short for f in found.functions if f.is_ethernet] == [
        "65:00.0",
        "65:00.1",
        "b5:00.0",
        "b5:00.1",
    ]
    probed = {
        (f.bdf, bar.index): (bar.base, bar.size)
        for f in found.functions
        if f.header_type == 0
        for bar in f.firmware_bars or ()
    }
    shown = {key: value for key, value in bars_of_monitor(text).items() if key in probed}
    assert len(shown) >= 18
    assert probed == shown
    assert found.platform.firmware == "bios"
    assert found.platform.vtx is False
    assert found.platform.x2apic is False
    assert found.acpi.dmar is not None
    assert 250 << 20 < (found.platform.memory_bytes or 0) <= 256 << 20


def assert_all_is_as_it_was(probe: Probe, found: Machine) -> None:
    """QEMU's monitor reads afterwards what the probe read before it sized and fired."""
    before = spaces(probe)
    (ioapic,) = [decode_ioapic(r.body) for r in probe.reader.records() if r.type == IOAPIC]
    shown = probe.ask_monitor("info pic")
    for function in found.functions:
        bdf = function.bdf
        address = 1 << 31 | bdf.bus << 16 | bdf.device << 11 | bdf.function << 8
        for at in range(0, 256, 4):
            probe.ask_monitor(f"o/w 0xcf8 {address | at:#x}")
            now = re.findall(r"= (0x[0-9a-f]+)", probe.ask_monitor("i/w 0xcfc"))
            (then,) = struct.unpack_from("<I", before[str(bdf)], at)
            assert int(now[-1], 16) == then, (bdf.short, hex(at))
    entries = re.findall(r"pin (\d+)\s+0x([0-9a-f]{16})", shown)
    assert {int(pin): int(entry, 16) for pin, entry in entries} == dict(enumerate(ioapic.entries))
    assert re.search(r"^\s*IRR\s*\(none\)", shown, re.M), shown  # no input is asserted


def test_nothing_is_left_changed(kernel: Path) -> None:
    with machine("-kernel", str(kernel), "-append", "wait=20", *SLOTS) as probe:
        found = probe.converse()
        assert_all_is_as_it_was(probe, found)
    assert len(found.measured) == 6


def test_an_exception_while_a_controller_is_armed(tmp_path: Path) -> None:
    """It is disarmed, all is put back, and what was found until then is served."""
    broken = tmp_path / "firmware-probe"
    compiler = f"CC=gcc -Wl,--wrap=nic_fire {ROOT / 'tests' / 'firmware' / 'broken_fire.c'}"
    made = subprocess.run(
        ["make", "-C", str(SOURCE), f"OUT={broken}", compiler],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    with machine("-kernel", str(broken), "-append", "wait=20 after=off", *SLOTS) as probe:
        found = probe.converse()
        assert_all_is_as_it_was(probe, found)
        probe.say(probe.reader.request())
        assert probe.process.wait(timeout=PATIENCE_S) == 0
    assert probe.log.count(b"exception 6 at") == 1
    assert len([f for f in found.functions if f.is_ethernet]) == 6
    assert found.acpi.madt is not None
    assert found.measured == ()
    assert any("an exception ended the probe" in missing.why for missing in found.missing)


LINUX_INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
for module in /modules/*.ko; do /bin/busybox insmod $module; done
for port in /sys/class/net/eth*; do
    name=${port##*/}
    /bin/busybox ip link set $name up
    echo "PORT $name $(/bin/busybox readlink $port/device)"
done
/bin/busybox sleep 1
/bin/busybox cat /proc/interrupts
for device in /sys/bus/pci/devices/*; do
    echo "CONFIG ${device##*/} $(/bin/busybox od -An -v -tx1 $device/config | /bin/busybox tr -d ' \\n')"
done
echo ALL SAID
/bin/busybox poweroff -f
"""


def linux_ramdisk(folder: Path) -> tuple[Path, Path]:
    """Return kernel and initramfs of the smallest Linux that shows pins and config spaces."""
    image = folder / "initrd"
    kernels = sorted(Path("/boot").glob("vmlinuz-*"))
    busybox = Path("/bin/busybox")
    if (
        not kernels
        or not busybox.is_file()
        or shutil.which("cpio") is None
        or not os.access(kernels[-1], os.R_OK)
    ):
        pytest.skip("needs a readable /boot/vmlinuz-*, busybox-static and cpio")
    tree = Path(
        "/lib/modules", kernels[-1].name.removeprefix("vmlinuz-"), "kernel/drivers/net/ethernet/intel"
    )
    if image.exists():
        return kernels[-1], image
    root = folder / "root"
    for place in ("bin", "modules"):
        (root / place).mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for driver in ("e1000", "e1000e"):
        (source,) = (tree / driver).glob(f"{driver}.ko*")
        (root / "modules" / f"{driver}.ko").write_bytes(unpacked_module(source))
    (root / "init").write_text(LINUX_INIT)
    (root / "init").chmod(0o755)
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    with image.open("wb") as out:
        subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"],
            cwd=root,
            input=names.encode(),
            stdout=out,
            check=True,
            timeout=PATIENCE_S,
        )
    return kernels[-1], image


def boot_linux(folder: Path, *arguments: str, append: str = "") -> str:
    kernel, image = linux_ramdisk(folder)
    words = f"console=ttyS0 pci=nomsi quiet panic=1 net.ifnames=0 {append}"
    with machine("-kernel", str(kernel), "-initrd", str(image), "-append", words, *arguments) as linux:
        linux.listen(lambda: b"ALL SAID" in linux.log)
    return linux.log.decode("utf-8", "replace")


def linux_pins(text: str) -> dict[str, tuple[int, int]]:
    """(input, interrupts counted) by address, from /proc/interrupts.

    With one IOAPIC the GSI is its input; without any, the number is the 8259's.
    """
    ports = dict(re.findall(r"PORT (eth\d+) \S*?([0-9a-f:.]{12})\r?$", text, re.M))
    found = {}
    for irq, count, chip, rest in re.findall(r"^ *(\d+): +(\d+) +(\S+) +([^\r\n]*eth[^\r\n]*)", text, re.M):
        line = int(rest.partition("-")[0]) if chip.endswith("IO-APIC") else int(irq)
        for name in re.findall(r"eth\d+", rest):
            found[ports[name]] = (line, int(count))
    return found


# All that Linux may have written since, or that changes by itself. Every other byte has to be the same.
EXEMPT = {4: 2, 6: 2}
"""Offset and number of bytes: command; status, whose bit 3 is whether INTx is asserted."""
EXEMPT_BY_CAPABILITY = {
    0x01: ((4, 2),),  # power management: state
    0x05: ((2, 2),),  # MSI: control
    0x10: (
        (8, 4),
        (0x10, 4),
        (0x18, 4),
        (0x1C, 2),
        (0x20, 4),
    ),  # control and status of device, link, slot, root
    0x11: ((2, 2),),  # MSI-X: control
}
EXEMPT_BY_EXTENDED_CAPABILITY = {
    0x0001: ((0x2C, 8),),  # errors: command and status of a root port; not the status of what is logged
    0x000D: ((6, 2),),  # access control: control
}
EXEMPT_OF_FUNCTION = {"0000:00:1f.0": ((0x60, 4), (0x68, 4))}
"""The PIRQ router, which ACPI's link devices write."""


def exempt(bdf: str, space: bytes) -> set[int]:
    """Offsets by the lists above."""
    pieces = [*EXEMPT.items(), *EXEMPT_OF_FUNCTION.get(bdf, ())]
    at, seen = space[0x34] & 0xFC, set()
    while at >= 0x40 and at not in seen:
        seen.add(at)
        pieces += [(at + start, size) for start, size in EXEMPT_BY_CAPABILITY.get(space[at], ())]
        at = space[at + 1] & 0xFC
    at = 0x100
    while 0x100 <= at < len(space) and at not in seen:
        seen.add(at)
        (head,) = struct.unpack_from("<I", space, at)
        pieces += [(at + start, size) for start, size in EXEMPT_BY_EXTENDED_CAPABILITY.get(head & 0xFFFF, ())]
        at = head >> 20 & 0xFFC
    return {offset for start, size in pieces for offset in range(start, start + size)}


def probed(kernel: Path, board: list[str]) -> tuple[Machine, dict[str, bytes]]:
    with machine("-kernel", str(kernel), "-append", "wait=20", *board) as probe:
        return probe.converse(), spaces(probe)


def compare_spaces(ours: dict[str, bytes], text: str) -> None:
    """Every byte of 256 or 4096 is what Linux shows, but for those that are exempt."""
    theirs = {bdf: bytes.fromhex(hexed) for bdf, hexed in re.findall(r"CONFIG (\S+) ([0-9a-f]+)", text)}
    assert set(ours) == set(theirs)
    assert any(len(space) == 4096 for space in ours.values())
    for bdf, space in ours.items():
        assert len(space) == len(theirs[bdf]), bdf
        differing = {at for at in range(len(space)) if space[at] != theirs[bdf][at]}
        wrong = differing - exempt(bdf, space)
        assert not wrong, (bdf, [(hex(at), space[at], theirs[bdf][at]) for at in sorted(wrong)])


def test_pins_and_config_spaces_are_those_that_linux_shows(kernel: Path, tmp_path: Path) -> None:
    found, ours = probed(kernel, SLOTS)
    text = boot_linux(tmp_path, *SLOTS)
    pins = linux_pins(text)
    assert {str(pin.bdf): (pin.ioapic, pin.pin) for pin in found.measured} == {
        bdf: (0, gsi) for bdf, (gsi, _) in pins.items()
    }
    assert all(count > 0 for _, count in pins.values())
    inputs = [gsi for gsi, _ in pins.values()]
    assert len(inputs) == 6
    assert len(set(inputs)) in (4, 5)  # some share, most do not
    compare_spaces(ours, text)


def test_behind_expander_bridges_acpi_misleads_linux_and_not_the_probe(kernel: Path, tmp_path: Path) -> None:
    """QEMU 7.2's `_PRT` of a pxb names link devices that its hardware does not follow.

    Linux listens where `_PRT` says and gets nothing. Told not to believe ACPI, it uses what the firmware
    wrote to the chipset's PIRQ router, and gets interrupts: where the probe saw them arrive too.
    """
    found, ours = probed(kernel, BOARD)
    measured = {str(pin.bdf): pin for pin in found.measured}
    assert len(measured) == 4
    by_acpi = boot_linux(tmp_path, *BOARD)
    assert set(linux_pins(by_acpi)) == set(measured)
    assert all(count == 0 for _, count in linux_pins(by_acpi).values())
    compare_spaces(ours, by_acpi)

    by_router = linux_pins(boot_linux(tmp_path, *BOARD, append="acpi=noirq noapic"))
    assert set(by_router) == set(measured)
    for bdf, (irq, count) in by_router.items():
        assert count > 0
        assert f"also at ioapic 0 pin {irq}" in measured[bdf].source


def lossy(seed: int, loss: float) -> Callable[[bytes], bytes]:
    random_ = random.Random(seed)

    def damage(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if random_.random() >= loss:
                out.append(byte)
            if random_.random() < 0.001:
                out += b"\r\n[  1.5] another writer\r\n"
        return bytes(out)

    return damage


def test_one_byte_in_twenty_lost_and_a_second_writer(kernel: Path) -> None:
    with machine("-kernel", str(kernel), "-append", "wait=20", *BOARD) as probe:
        found = probe.converse(lossy(7, 0.05))
    assert len(found.functions) == 14
    assert len(found.measured) == 4
    assert not [m for m in found.missing if "frames" in m.what]


def test_a_silent_other_side_ends_it(kernel: Path) -> None:
    with machine("-kernel", str(kernel), "-append", "wait=1 fire=none after=reboot", *BOARD) as probe:
        probe.listen(lambda: probe.reader.ended)
        assert probe.process.wait(timeout=PATIENCE_S) == 0  # -no-reboot: a restart ends QEMU
    assert b"nobody asks any more" in probe.log
    assert probe.reader.complete
    assert b"pin of" not in probe.log


def test_requests_that_make_no_sense_are_said(kernel: Path) -> None:
    with machine("-kernel", str(kernel), "-append", "wait=20", "-M", "q35") as probe:
        probe.converse()
        for wrong in (b"resend everything\n", b"done *0000\n", b"x" * 3000 + b"\n"):
            told = probe.log.count(b"not understood")
            probe.say(wrong)
            probe.listen(lambda told=told: probe.log.count(b"not understood") > told)
        probe.say(b"done\r\n")
        probe.listen(lambda: b"the other side has everything" in probe.log)
        probe.listen(lambda: b"halts" in probe.log)


def test_no_acpi_at_all(kernel: Path) -> None:
    nic = ["-netdev", "user,id=n0", "-device", "e1000,addr=3,netdev=n0"]
    with machine("-kernel", str(kernel), "-append", "after=off", "-M", "pc,acpi=off", *nic) as probe:
        found = probe.converse()
        probe.say(b"done\n")
        probe.listen(lambda: b"does not say how to turn it off" in probe.log)
    assert found.acpi.madt is None
    assert len(found.functions) >= 4
    assert [str(pin.bdf) for pin in found.measured] == ["0000:00:03.0"]
    assert any("no MADT" in missing.why for missing in found.missing)


def test_300_functions(kernel: Path) -> None:
    many: list[str] = []
    for bridge in range(8):
        many += ["-device", f"pci-bridge,id=b{bridge},bus=pcie.0,addr={bridge + 2:x},chassis_nr={bridge + 1}"]
        for device in range(1, 6):
            for function in range(8):
                place = f"bus=b{bridge},addr={device:x}.{function},multifunction=on"
                many += ["-device", f"edu,{place}"]
    with machine("-kernel", str(kernel), "-append", "wait=20", "-M", "q35", *many) as probe:
        found = probe.converse()
    assert len(found.functions) >= 320 + 8
    edu = [f for f in found.functions if (f.vendor, f.device) == (0x1234, 0x11E8)]
    assert len(edu) == 320
    assert {(b.kind, b.size) for f in edu for b in f.firmware_bars or ()} == {("mem", 1 << 20)}


def test_a_function_that_the_console_is_on_is_left_alone(kernel: Path) -> None:
    board = ["-M", "q35", "-chardev", "null,id=null", "-device", "pci-serial,bus=pcie.0,addr=3,chardev=null"]
    with machine("-kernel", str(kernel), "-append", "wait=20", *board) as probe:
        found = probe.converse()
        serial = found.find(Bdf(0, 0, 3, 0))
    assert serial is not None
    (bar,) = serial.firmware_bars or ()
    assert (bar.kind, bar.size) == ("io", 8)
    append = f"wait=20 also={bar.base:#x}"
    with machine("-kernel", str(kernel), "-append", append, *board) as probe:
        again = probe.converse().find(Bdf(0, 0, 3, 0))
    assert again is not None
    assert [(b.base, b.size) for b in again.firmware_bars or ()] == [(bar.base, None)]


GRUB_MODULES = "serial terminal echo normal search search_fs_file part_msdos fat multiboot multiboot2 boot"


@pytest.mark.parametrize("firmware_kind", ["bios", "uefi"])
@pytest.mark.parametrize("command", ["multiboot", "multiboot2"])
def test_grub(kernel: Path, tmp_path: Path, firmware_kind: str, command: str) -> None:
    module = tmp_path / "module"
    module.write_bytes(b"x")
    if firmware_kind == "bios":
        core = grub_disk("i386-pc", f"{GRUB_MODULES} biosdisk", command, tmp_path, (kernel, module))
        bootable = tmp_path / "grub.lnx"
        bootable.write_bytes(Path("/usr/lib/grub/i386-pc/lnxboot.img").read_bytes() + core.read_bytes())
        boot = ["-kernel", str(bootable)]
    else:
        if not OVMF.is_file():
            pytest.skip("OVMF is not installed")
        image = grub_disk("x86_64-efi", GRUB_MODULES, command, tmp_path, (kernel, module))
        loader = tmp_path / "disk" / "EFI" / "BOOT" / "BOOTX64.EFI"
        loader.parent.mkdir(parents=True)
        shutil.copy(image, loader)
        boot = ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}"]
    disk = f"file=fat:{tmp_path / 'disk'},format=raw,snapshot=on"
    nic = ["-netdev", "user,id=n0", "-device", "e1000e,bus=pcie.0,addr=4,netdev=n0,romfile="]
    with machine(*boot, "-M", "q35", "-drive", disk, *nic) as probe:
        found = probe.converse()
    assert [(str(p.bdf), p.ioapic, p.pin) for p in found.measured] == [("0000:00:04.0", 0, 20)]
    if command == "multiboot2":
        assert found.platform.firmware == firmware_kind
    knows_acpi = firmware_kind == "bios" or command == "multiboot2"
    assert (found.acpi.madt is not None) == knows_acpi


def test_ipxe_on_bios_fires_the_controller_it_came_by(kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "probe").write_bytes(kernel.read_bytes())
    (tmp_path / "boot.ipxe").write_text("#!ipxe\nkernel probe wait=20\nboot\n")
    network = f"user,id=n,restrict=on,tftp={tmp_path},bootfile=boot.ipxe"
    nic = ["-netdev", network, "-device", "e1000e,bus=pcie.0,addr=5,netdev=n,bootindex=1"]
    with machine("-M", "q35", *nic) as probe:
        found = probe.converse()
    assert [(str(p.bdf), p.ioapic, p.pin) for p in found.measured] == [("0000:00:05.0", 0, 21)]
    assert found.platform.firmware == "bios"
