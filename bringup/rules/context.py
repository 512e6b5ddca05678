"""What every check is given: the application, its VMs, and whatever else is known of machine and build."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bringup.camkes.app.build import Build
from bringup.camkes.app.model import Application
from bringup.camkes.vms.model import Device, Pool, Vm
from bringup.camkes.vms.vmm import GIB, MIB
from bringup.pci.assessment import Assessment
from bringup.pci.model import Bdf, Function

if TYPE_CHECKING:
    from bringup.profile.model import ExpectedNic, Profile

CAPTURE = "--capture"
BUILD = "--build-dir"
PROFILE = "--profile"


@dataclass(frozen=True, slots=True)
class Context:
    """The input of a check; what was not given is None. `pools` are those of every instance."""

    application: Application
    vms: tuple[Vm, ...]
    pools: tuple[Pool, ...] = ()
    assessment: Assessment | None = None
    build: Build | None = None
    profile: Profile | None = None

    def devices(self) -> Iterator[tuple[Vm, Device]]:
        """Yield every passed-through device with its VM."""
        for vm in self.vms:
            for device in vm.devices:
                yield vm, device

    @property
    def passes_devices(self) -> bool:
        """Whether any VM is given a PCI device."""
        return any(vm.devices for vm in self.vms)

    def function(self, device: Device) -> Function | None:
        """Return what the capture knows of a device, None without a capture or where it has none such."""
        bdf = device.bdf
        return None if self.assessment is None or bdf is None else self.assessment.machine.find(bdf)

    def captured(self) -> Iterator[tuple[Vm, Device, Function]]:
        """Yield the devices that are in the capture; C14 tells of the others."""
        for vm, device in self.devices():
            function = self.function(device)
            if function is not None:
                yield vm, device, function

    def nic(self, bdf: Bdf | None) -> ExpectedNic | None:
        """Return the port that the profile has seen at this address."""
        if self.profile is None or bdf is None:
            return None
        seen = (nic for nic in self.profile.nics if nic.seen_at and bdf.short in nic.seen_at.value)
        return next(seen, None)

    def capture_with(self, what: str) -> str:
        """Return what is needed where a capture has to tell `what`: one at all, or one that does."""
        return CAPTURE if self.assessment is None else f"a capture with {what}"

    @property
    def console(self) -> str | None:
        """The serial port that the build prints to ("com2"), None where no build is known."""
        return None if self.build is None else self.build.text("LibPlatSupportX86ConsoleDevice")


def size_text(count: int) -> str:
    """Return a number of bytes as people say it: 16 MiB, 20 KiB, 256 bytes."""
    for unit, scale in (("GiB", GIB), ("MiB", MIB), ("KiB", 1024)):
        if count >= scale and count % scale == 0:
            return f"{count // scale} {unit}"
    return f"{count} bytes" if count < MIB else f"{count / MIB:.1f} MiB"
