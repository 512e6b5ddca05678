"""The peer: the twin's own QEMU machine, booted by a minimal hand-made dnsmasq set-up with TFTP.

No HTTP, no router advertisement, nothing but `dhcp-range`, `dhcp-boot`, `enable-tftp`: what a lab writes on
its first day. The boot file is either an iPXE script or GRUB, both over TFTP.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bringup.base.firmware import Firmware
from bringup.twin.chassis import Chassis
from bringup.twin.machine import NICS, SOL_IO_PORT, BootOrder, Wiring, qemu_arguments
from bringup.twin.network import NETWORK, Keeper

DONE = b"dropped to user space"
TIMEOUT_S = 180.0
OPTIONS = f"console_port={SOL_IO_PORT:#x} debug_port={SOL_IO_PORT:#x}"


@dataclass(frozen=True)
class Flags:
    """Boot flags that always ask for the network."""

    device: str = "network"
    uefi: bool = False


class Listener:
    """Stands where the BMC stands: hears the serial port and the moment user space is reached."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self._tail = b""

    def take_boot_flags(self) -> Flags:
        return Flags()

    def serial_output(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-4096:]
        if DONE in self._tail:
            self.done.set()

    def attach_kcs(self, connection: socket.socket) -> None:
        del connection

    def log_power(self, on: bool) -> None:
        del on


def dnsmasq_boot(kernel: Path, module: Path, loader: str) -> float:
    """Return the seconds from power-on to user space with the hand-made set-up; loader is ipxe or grub."""
    taps = {nic.name: f"tap{index}" for index, nic in enumerate(NICS) if nic.cabled}
    keeper = Keeper(list(taps.values()))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        root = _tftp_root(folder, kernel, module, loader)
        server = subprocess.Popen(
            [
                *keeper.namespace.enter,
                *_dnsmasq(root, "boot.ipxe" if loader == "ipxe" else "boot/grub/i386-pc/core.0"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        chassis = Chassis(
            keeper.namespace,
            taps,
            folder,
            memory_mib=2048,
            default_firmware=Firmware.BIOS,
            report=lambda _: None,
            com1=lambda _: None,
        )
        listener = Listener()
        chassis.start(listener)
        try:
            time.sleep(1.0)
            begin = time.monotonic()
            chassis.power_on()
            if not listener.done.wait(TIMEOUT_S):
                raise SystemExit(f"the hand-made {loader} boot did not reach user space in {TIMEOUT_S:.0f} s")
            return time.monotonic() - begin
        finally:
            chassis.close()
            server.kill()
            server.wait()
            keeper.close()


def _tftp_root(folder: Path, kernel: Path, module: Path, loader: str) -> Path:
    root = folder / "tftp"
    root.mkdir()
    shutil.copyfile(kernel, root / "kernel")
    shutil.copyfile(module, root / "module")
    if loader == "ipxe":
        lines = [
            "#!ipxe",
            f"kernel tftp://10.55.0.1/kernel {OPTIONS}",
            "module tftp://10.55.0.1/module",
            "boot",
        ]
        (root / "boot.ipxe").write_text("\n".join(lines) + "\n")
        return root
    subprocess.run(["grub-mknetdir", f"--net-directory={root}"], check=True, capture_output=True)
    lines = [f"multiboot /kernel {OPTIONS}", "module /module", "boot"]
    (root / "boot" / "grub" / "grub.cfg").write_text("\n".join(lines) + "\n")
    return root


def _dnsmasq(root: Path, boot_file: str) -> list[str]:
    return [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group="),
        *("--port=0", f"--interface={NETWORK.interface}", "--bind-interfaces"),
        *("--leasefile-ro", "--pid-file="),
        *("--dhcp-range=10.55.0.30,10.55.0.40,255.255.255.0", f"--dhcp-boot={boot_file}"),
        *("--enable-tftp", f"--tftp-root={root}"),
    ]


def direct_boot(kernel: Path, module: Path) -> float:
    """Return the seconds from starting QEMU to user space with `-kernel` and `-initrd`: the floor."""
    taps = {nic.name: f"tap{index}" for index, nic in enumerate(NICS) if nic.cabled}
    keeper = Keeper(list(taps.values()))
    listener = Listener()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "sercon-port").write_bytes(SOL_IO_PORT.to_bytes(2, "little"))
        near, far = socket.socketpair()
        com1, com1_far = socket.socketpair()
        with (
            com1,
            com1_far,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as kcs,
            socket.socket(socket.AF_UNIX) as monitor,
        ):
            for line in (kcs, monitor):
                line.bind("")
                line.listen(1)
            wiring = Wiring(com1_far.fileno(), far.fileno(), monitor.fileno(), kcs.fileno(), taps)
            command = qemu_arguments(
                Firmware.BIOS, BootOrder(network=False), wiring, memory_mib=2048, folder=folder
            )
            command = [
                word.replace(f"fd={monitor.fileno()}", f"fd={monitor.fileno()},server=on,wait=off")
                for word in command
            ]
            command += ["-kernel", str(kernel), "-initrd", str(module), "-append", OPTIONS]
            begin = time.monotonic()
            machine = subprocess.Popen(
                [*keeper.namespace.enter, *command],
                pass_fds=(wiring.com1_fd, wiring.sol_fd, wiring.qmp_fd, wiring.kcs_fd),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            far.close()
            try:
                near.settimeout(TIMEOUT_S)
                while not listener.done.is_set():
                    data = near.recv(4096)
                    if not data:
                        raise SystemExit("QEMU ended before user space")
                    listener.serial_output(data)
                return time.monotonic() - begin
            finally:
                machine.kill()
                machine.wait()
                near.close()
                keeper.close()
