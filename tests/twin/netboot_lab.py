"""A network of our own for tests of network boot: the server's namespace, clients and boards beside it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bringup.base.events import Emit, Event
from bringup.base.firmware import Firmware
from bringup.lab.network import Mode
from bringup.netboot.prepare import BootImage, LoadedFile
from bringup.netboot.server import NetbootServer
from bringup.netboot.spec import Segment, ServeSpec
from bringup.twin.machine import ovmf_files
from bringup.twin.network import DIE_WITH_PARENT, NETWORK, Keeper
from tests.twin.helpers import PATIENCE_S

MAC = "52:54:00:0e:30:10"
STRANGER = "52:54:00:00:00:99"
SERVER, SERVER_IP, BOARD_IP = "10.55.0.1/24", "10.55.0.1", "10.55.0.30"
TAP = "tap0"
_HERE = Path(__file__).parent
_OVMF = Path("/usr/share/OVMF")
_SECURE_OVMF = (_OVMF / "OVMF_CODE_4M.ms.fd", _OVMF / "OVMF_VARS_4M.ms.fd")


def need(*programs: str) -> None:
    """Skip the test when a program is missing."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for program in programs:
        if shutil.which(program, path=path) is None:
            pytest.skip(f"{program} is not installed: `make system-test`")


def segment(mode: Mode = "own-segment") -> Segment:
    """Return the segment of the lab's bridge."""
    board_address = BOARD_IP if mode == "own-segment" else None
    return Segment(NETWORK.interface, mode, SERVER, board_address, (MAC,))


def served(spec: ServeSpec, emit: Emit, enter: Sequence[str]) -> NetbootServer:
    """Return what serves a boot whose files are written already."""
    return NetbootServer(spec.segment, lambda network: replace(spec, segment=network), emit, enter)


@dataclass
class Lab:
    """The bridge's namespace and whatever was put beside it."""

    keeper: Keeper
    children: list[subprocess.Popen[Any]] = field(default_factory=list)

    @property
    def enter(self) -> tuple[str, ...]:
        return self.keeper.namespace.enter

    def dhcp_server(self, interface: str, address: str) -> subprocess.Popen[Any]:
        """Add a machine that gives away addresses; returns once it does."""
        enter = self.neighbour(interface, address)
        command = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", f"--interface={interface}"]
        command += ["--bind-interfaces", "--dhcp-range=10.55.0.40,10.55.0.50,255.255.255.0", "--no-ping"]
        command += ["--leasefile-ro", "--pid-file="]
        server = self.start([*enter, *command], stderr=subprocess.PIPE)
        assert server.stderr is not None
        said = b""
        while b"DHCP, IP range" not in said:  # told once it listens
            said = server.stderr.readline()
            assert said, "dnsmasq did not start"
        return server

    def neighbour(self, interface: str, address: str, mac: str | None = None) -> tuple[str, ...]:
        """Add a machine on the bridge; returns the command prefix that runs a program on it."""
        keeper = subprocess.Popen(
            [*self.enter, "unshare", "--net", *DIE_WITH_PARENT, "sh", "-c", "echo up; exec sleep infinity"],
            stdout=subprocess.PIPE,
        )
        self.children.append(keeper)
        assert keeper.stdout is not None and keeper.stdout.readline() == b"up\n"
        near = f"peer-{interface}"
        self._shell(
            self.enter,
            f"ip link add {near} type veth peer name {interface} netns {keeper.pid}",
            f"ip link set {near} master {NETWORK.interface} up",
            f"ethtool -K {near} tx off >/dev/null 2>&1",
        )
        target = str(keeper.pid)
        inside = ("nsenter", "--target", target, "--user", "--net", "--preserve-credentials", "--")
        self._shell(
            inside,
            "ip link set lo up",
            *([f"ip link set {interface} address {mac}"] if mac else []),
            f"ip address add {address} dev {interface}",
            f"ip link set {interface} up",
            f"ethtool -K {interface} tx off >/dev/null 2>&1",
        )
        return (*inside, *DIE_WITH_PARENT)

    def _shell(self, enter: Sequence[str], *lines: str) -> None:
        environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        subprocess.run(
            [*enter, "sh", "-ec", "\n".join(lines)], check=True, timeout=PATIENCE_S, env=environment
        )

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        process = subprocess.Popen(command, **options)
        self.children.append(process)
        return process

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
        self.keeper.close()


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """A lab that is gone afterwards."""
    need("unshare", "nsenter", "setpriv", "ip", "ethtool", "dnsmasq")
    made = Lab(Keeper([TAP]))
    try:
        yield made
    finally:
        made.close()


class DhcpClient:
    """A synthetic PXE client on a neighbour called `client0`."""

    def __init__(self, made: Lab) -> None:
        enter = made.neighbour("client0", "10.55.0.77/24")
        self._process = made.start(
            [*enter, sys.executable, str(_HERE / "dhcp_client.py"), SERVER_IP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *requests: dict[str, Any]) -> list[dict[str, Any] | None]:
        """Send requests; returns what each was answered, None for silence.

        Those that are due no answer say `silent`; for every other one's answer this waits.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([{"mac": MAC, "type": 1, **one} for one in requests]) + "\n")
        self._process.stdin.flush()
        replies: list[dict[str, Any] | None] = json.loads(self._process.stdout.readline())
        return replies


def test_kernel(folder: Path) -> Path:
    """Compile the kernel that says on COM2 what it was given."""
    need("gcc")
    target = folder / "kernel"
    options = ["-m32", "-Os", "-ffreestanding", "-fno-pic", "-no-pie", "-fno-stack-protector"]
    options += ["-fcf-protection=none", "-nostdlib", "-static", "-Wl,-n,--build-id=none"]
    script = f"-Wl,-T,{_HERE / 'netboot_kernel.lds'}"
    command = ["gcc", *options, script, "-o", str(target), str(_HERE / "netboot_kernel.c")]
    subprocess.run(command, check=True, timeout=PATIENCE_S, capture_output=True)
    return target


def boot_image(folder: Path, module_bytes: int, args: str = "", module_args: str = "") -> BootImage:
    """Return the test kernel and one module whose first byte is 17 and whose last is 23."""
    kernel, module = test_kernel(folder), folder / "module"
    with module.open("wb") as file:
        file.write(b"\x11")
        file.truncate(module_bytes)
        file.seek(module_bytes - 1)
        file.write(b"\x17")
    files = [LoadedFile(path, path.stat().st_size) for path in (kernel, module)]
    return BootImage(
        LoadedFile(kernel, files[0].size, args),
        (LoadedFile(module, module_bytes, module_args),),
        "multiboot",
        multiboot1=True,
        multiboot2=True,
    )


class Board:
    """A QEMU machine that boots from its one NIC; `console` is what came out of COM2 so far.

    With `secure` its UEFI has Secure Boot on, with the keys that a machine is sold with.
    """

    def __init__(self, made: Lab, firmware: Firmware, folder: Path, *, secure: bool = False) -> None:
        need("qemu-system-x86_64")
        self._near, far = socket.socketpair()
        self._near.settimeout(0.05)
        self.console = ""
        self._process = made.start(
            [*made.enter, *_qemu(firmware, folder, far.fileno(), secure)],
            pass_fds=(far.fileno(),),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        far.close()

    def wait_for(self, text: str) -> None:
        """Read until `text` was printed."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.console:
            assert time.monotonic() < deadline, (
                f"no {text!r} within {PATIENCE_S:.0f} s:\n{self.console[-3000:]}"
            )
            assert self._process.poll() is None, f"QEMU ended:\n{self.console[-3000:]}"
            with contextlib.suppress(TimeoutError):
                self.console += self._near.recv(4096).decode("latin-1")

    def off(self) -> None:
        self._process.kill()
        self._process.wait()
        self._near.close()


def _qemu(firmware: Firmware, folder: Path, com2: int, secure: bool) -> list[str]:
    command = [
        *(
            "qemu-system-x86_64",
            "-machine",
            "q35,smm=on" if secure else "q35",
            "-accel",
            "tcg",
            "-m",
            "512",
            "-nodefaults",
            "-no-reboot",
        ),
        *("-display", "none", "-device", "pcie-root-port,id=port1,chassis=1,slot=1"),
        *("-netdev", f"tap,id=net,ifname={TAP},script=no,downscript=no"),
        *("-chardev", "null,id=com1", "-serial", "chardev:com1"),
        *("-chardev", f"socket,id=com2,fd={com2}", "-serial", "chardev:com2"),
    ]
    nic = f"netdev=net,mac={MAC},bus=port1,bootindex=1"
    if firmware is Firmware.BIOS:
        # SeaBIOS shows its console, and with it iPXE's, on COM2.
        (folder / "sercon-port").write_bytes((0x2F8).to_bytes(2, "little"))
        command += ["-fw_cfg", f"name=etc/sercon-port,file={folder / 'sercon-port'}"]
        return [*command, "-device", f"e1000e,{nic}"]
    pair = _SECURE_OVMF if secure else ovmf_files()
    if pair is None or not pair[0].is_file():
        pytest.skip("OVMF is not installed: `make system`")
    if secure:
        command += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        command += ["-global", "ICH9-LPC.disable_s3=1"]
    variables = folder / "uefi-vars.fd"
    shutil.copyfile(pair[1], variables)
    command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={pair[0]}"]
    command += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    # OVMF drives virtio-net itself; its e1000e driver would have to come from the option ROM.
    return [*command, "-device", f"virtio-net-pci,romfile=,{nic}"]


@dataclass
class Heard:
    """Events in the order they came."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind for event in list(self.events)]

    def of(self, kind: str) -> list[Event]:
        return [event for event in list(self.events) if event.kind == kind]

    def wait(self, kind: str, timeout_s: float = PATIENCE_S, **data: object) -> Event:
        """The last event of this kind with these data, once there is one."""
        deadline = time.monotonic() + timeout_s
        while not (found := [event for event in self.of(kind) if data.items() <= event.data.items()]):
            assert time.monotonic() < deadline, f"no {kind} {data} in {self.kinds()}"
            time.sleep(0.02)
        return found[-1]
