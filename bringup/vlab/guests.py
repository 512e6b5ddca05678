"""Nodes of a lab that are virtual machines: QEMU guests with the VMM's cards, on the lab's segments by taps.

seL4's VMM offers legacy virtio with VIRTIO_NET_F_MAC and nothing else (camkes-vm, virtio_net_emul.c), hides
MSI and emulates one 8250: QEMU is told to offer the same. Inside runs the agent that runs in a namespace, on
a virtio port of its own, so that checks see no difference.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bringup.base.errors import LabError
from bringup.base.local_socket import connect, listen
from bringup.vlab.description import Node
from bringup.vlab.host import Namespaces
from bringup.vlab.nodes import Actor
from bringup.vlab.programs import search_path
from bringup.vlab.wiring import port

_OFF = (
    *("csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo"),
    *("host_tso4", "host_tso6", "host_ecn", "host_ufo", "mrg_rxbuf", "status"),
    *("ctrl_vq", "ctrl_rx", "ctrl_vlan", "ctrl_rx_extra", "ctrl_mac_addr", "ctrl_guest_offloads"),
    *("event_idx", "indirect_desc", "any_layout", "notify_on_empty", "guest_announce", "mq"),
)
VIRTIO_NET = ",".join(["virtio-net-pci,disable-modern=on,vectors=0", *(f"{name}=off" for name in _OFF)])
"""QEMU's device with the features of the VMM's: the MAC address, and nothing else."""
COMMAND_LINE = "console=ttyS0,115200 pci=nomsi root=/dev/mem panic=-1"
ROLES = ("vm0", "vm1", "vm2")
"""What a guest is in a lab: the VMs of the encryptor. PCs, the Internet and strangers are none."""
READY_S = 300.0
_MEMORY_MIB = 128
_PATIENCE = 8.0


@dataclass(frozen=True, slots=True)
class GuestImage:
    """What the guests boot: a kernel, and a root file system whose init starts the agent (`AGENT_PORT`)."""

    kernel: Path
    rootfs: Path
    memory_mib: int = _MEMORY_MIB


AGENT_PORT = "/dev/vport0p1"
"""Where the agent listens and answers, in a guest."""


def console_name(node: str) -> str:
    """Return the name of the socket at which a guest's console is served, as long as it runs."""
    return f"{node}.console"


def guest_command(image: GuestImage, node: Node, agent_fd: int, console_fd: int, log: Path) -> list[str]:
    """Return QEMU's command; the descriptors are sockets that listen."""
    words = [
        *("qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none", "-name", node.name),
        *("-machine", "pc,accel=tcg", "-cpu", "max", "-smp", "1", "-m", str(image.memory_mib)),
        *("-kernel", str(image.kernel), "-initrd", str(image.rootfs)),
        *("-append", f"{COMMAND_LINE} quiet mitigations=off bringup.node={node.name}"),
        *("-chardev", f"socket,id=console,fd={console_fd},server=on,wait=off,logfile={log}"),
        *("-serial", "chardev:console"),
        *("-chardev", f"socket,id=agent,fd={agent_fd},server=on,wait=off"),
        *("-device", "virtio-serial-pci,disable-modern=on,vectors=0,addr=0x3"),
        *("-device", "virtserialport,chardev=agent,name=agent"),
    ]
    for number, link in enumerate(node.links):
        words += ["-netdev", f"tap,id=n{number},ifname={port(node.name, link.name)},script=no,downscript=no"]
        words += ["-device", f"{VIRTIO_NET},netdev=n{number},mac={mac(node, number)},addr={4 + number:#x}"]
    return words


def mac(node: Node, card: int) -> str:
    """Return the address of a guest's card: local ones, apart for each site, VM and card."""
    return f"02:00:00:00:{'aa' if node.site == 'a' else 'bb'}:{node.role[-1]}{card}"


class GuestLine(Actor):
    """The line to the agent of a guest that runs; whoever was on it before has hung up."""

    patience = _PATIENCE

    def __init__(self, folder: Path, node: str) -> None:
        super().__init__(node)
        try:
            # What is said before the agent is there waits for it.
            self._line = connect(folder, f"{node}.agent", READY_S)
        except OSError:
            raise LabError(f"the guest {node} does not run any more", hint="bringup vlab down") from None

    def answer(self, timeout_s: float = READY_S) -> dict[str, Any]:
        """Return the next answer; that the agent is there is none."""
        while "ready" in (body := super().answer(timeout_s)):
            continue
        return body

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Return when the agent has said that it is there; raises LabError."""
        super().answer(timeout_s)

    def _say(self, data: bytes) -> None:
        self._line.sendall(data)

    def _hears(self) -> int:
        return self._line.fileno()

    def close(self) -> None:
        """Hang up."""
        self._line.close()


class GuestAgent(GuestLine):
    """A node that is a guest: started at once, and ready when it has said so. It ends with its lab."""

    def __init__(
        self, namespaces: Namespaces, node: Node, image: GuestImage, folder: Path, logs: Path
    ) -> None:
        listeners = [listen(folder, name) for name in (f"{node.name}.agent", console_name(node.name))]
        agent_fd, console_fd = descriptors = [listener.fileno() for listener in listeners]
        command = guest_command(image, node, agent_fd, console_fd, logs / f"guest-{node.name}.log")
        super().__init__(folder, node.name)
        self._process = subprocess.Popen(
            [*namespaces.enter(), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            env={**os.environ, "PATH": search_path(), "LC_ALL": "C"},
            start_new_session=True,
        )
        for listener in listeners:
            listener.close()

    def close(self) -> None:
        """Hang up; nothing waits for the guest here any more."""
        super().close()
        if self._process.poll() is None:
            self._process.returncode = 0


def are_guests(nodes: Sequence[Node], image: GuestImage | None) -> list[Node]:
    """Return which of the nodes are guests."""
    return [node for node in nodes if image is not None and node.role in ROLES]
