"""The maintenance ramdisk itself on real disk drivers: what it tells of disks, and whom it obeys.

No board and no loader: QEMU starts its kernel with a disk on USB, which can be pulled, and an NVMe drive that
could have a second path.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bringup.base.errors import DiskError
from bringup.disk.choose import Disk
from bringup.jobs.reimage.job import maintenance_image
from bringup.jobs.reimage.survey import survey
from bringup.probe.agent import Agent
from bringup.probe.disk_text import read_disks
from bringup.probe.ramdisk import ramdisk_words
from bringup.twin.qmp import Qmp
from tests.doubles.front_door import FrontDoor
from tests.twin.helpers import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.usefixtures("home"),
    pytest.mark.timeout(900),
]

MAC = "52:54:00:0d:15:c5"
SIZE = 16 << 20
BOOT_S = 300.0
PORT = {"driver": "usb-storage", "bus": "usb.0", "port": "1"}
FIRST = {**PORT, "id": "stick", "drive": "d0", "serial": "FIRST"}


def empty_file(path: Path) -> Path:
    path.touch()
    os.truncate(path, SIZE)
    return path


class Machine:
    """A machine that runs the ramdisk; `agent` gives it orders."""

    def __init__(self, folder: Path) -> None:
        self.files = [empty_file(folder / f"disk{number}") for number in range(3)]
        self.agent = Agent(order_s=BOOT_S)
        self._door = FrontDoor(self.agent.visits)
        monitor, far = socket.socketpair()
        self._process = subprocess.Popen(self._command(far.fileno()), pass_fds=[far.fileno()])
        far.close()
        self.qmp = Qmp(monitor, lambda _kind, _data: None)

    def _command(self, monitor: int) -> list[str]:
        image = maintenance_image()
        port = self._door.base_url.rpartition(":")[2]
        words = ramdisk_words([MAC], self.agent.url(f"http://10.0.2.2:{port}"), "console=ttyS0", twin=True)
        drives = [
            word
            for number, file in enumerate(self.files)
            for word in ("-blockdev", f"driver=raw,node-name=d{number},file.driver=file,file.filename={file}")
        ]
        return [
            *("qemu-system-x86_64", "-machine", "q35", "-m", "512", "-display", "none", "-nodefaults"),
            *("-no-user-config", "-no-reboot", "-serial", "null"),
            *("-chardev", f"socket,id=mon,fd={monitor}", "-mon", "chardev=mon,mode=control"),
            *("-kernel", str(image.kernel.path), "-initrd", str(image.modules[0].path), "-append", words),
            *("-netdev", "user,id=net", "-device", f"e1000e,netdev=net,mac={MAC}"),
            *drives,
            *("-device", "qemu-xhci,id=usb", "-device", ",".join(f"{k}={v}" for k, v in FIRST.items())),
            *("-device", "nvme-subsys,id=paths", "-device", "nvme,id=nvme,serial=NVME,subsys=paths"),
            *("-device", "nvme-ns,drive=d2,bus=nvme"),
        ]

    def disks(self) -> dict[str, Disk]:
        """Return the disks by their serials."""
        return {disk.serial: disk for disk in read_disks(self.agent.disks())}

    def exchange(self) -> None:
        """Pull the disk on USB and plug another one into its port."""
        self.qmp.execute("device_del", id="stick")
        assert wait_for(lambda: "FIRST" not in self.disks(), BOOT_S)
        self.qmp.execute("device_add", **PORT, id="other", drive="d1", serial="SECOND")
        assert wait_for(lambda: "SECOND" in self.disks(), BOOT_S)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.agent.close()
        self._door.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.close()


def test_no_order_for_a_disk_reaches_the_one_that_is_plugged_in_after_it(machine: Machine) -> None:
    agent = machine.agent
    # A drive of several paths is one disk, without the paths.
    assert {disk.serial: disk.contents.is_empty for disk in survey(agent)} == {"FIRST": True, "NVME": True}
    assert re.fullmatch(r"pci-0000:00:\d\d\.0-nvme-1", machine.disks()["NVME"].path)
    shared = machine.disks()["NVME"]
    agent.write(shared.handle, 0, 8192, lambda: [b"n" * 8192])
    assert agent.hashes(shared.handle, [(0, 8192)]) == (hashlib.sha256(b"n" * 8192).hexdigest(),)
    first = machine.disks()["FIRST"]
    data = os.urandom(8192)
    agent.write(first.handle, 4096, len(data), lambda: [data])
    agent.flush(first.handle)
    assert agent.read(first.handle, 4096, len(data)) == data
    before = agent.hashes(first.handle, [(0, SIZE)])

    machine.exchange()
    second = machine.disks()["SECOND"]
    assert second.name == first.name, "or this shows nothing"
    for act in (
        lambda: agent.write(first.handle, 0, len(data), lambda: [data]),
        lambda: agent.hashes(first.handle, [(0, SIZE)]),
        lambda: agent.flush(first.handle),
    ):
        with pytest.raises(DiskError) as failure:
            act()
        assert failure.value.why == "gone"
    assert machine.files[1].read_bytes() == bytes(SIZE)
    assert agent.hashes(second.handle, [(0, SIZE)]) != before
