"""The virtual SYS-E300-9D as QEMU arguments: pure data in, argument list out.

The topology is the board's own as far as QEMU 7.2 can show it: the SLOT7 card at 17:00.0-3 below root port
16:00.0, LAN1/LAN2 at b5:00.0-1 below b2:00.0 and a two-level switch (FreeBSD `pciconf` of SYS-E300-9D,
bsdhw/PCIconf). What differs, because QEMU has no such device: the NICs are 82574L (8086:10d3) instead of I350
and X722, the switch is TI/X3130, the root ports are QEMU's own.

The variant `8c` is the 8-core sibling: its switch has two more ports, b4:00.0 and b4:02.0, with a QAT engine
behind each (here a virtio crypto device), so that LAN1/LAN2 move to b7:00.0-1 (lspci of X11SDV-8C-TP8F).

The variant `igb` has the nearest relative of SLOT7's I350 that QEMU 8 and later have, the 82576 (8086:10c9),
at 17:00.1 and .2. The boot port stays what it is, because QEMU brings no option ROM for igb, and so does
17:00.3: QEMU makes each port's virtual functions at once, every second one from 17:10 on, with no room for
those of a third port.

Two more variants are no board that is sold, but what a probe must live with: `no-acpi` gives the firmware no
tables (SeaBIOS then makes its own, OVMF does not), and `crowded` has more than 300 functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bringup.base.firmware import Firmware
from bringup.twin.disks import TwinDisk, disk_arguments
from bringup.twin.engines import QEMU, Engine
from bringup.twin.faults.choice import ChosenFault

SOL_IO_PORT = 0x2F8
KCS_IO_PORT = 0xCA2
BOOT_NIC, OTHER_NIC = "slot7f0", "lan1"
BOOT_MAC = "52:54:00:0e:30:10"

Variant = Literal["standard", "8c", "igb", "no-acpi", "crowded"]
IGB = "igb"
"""QEMU's device and the variant that has it."""
VARIANTS: tuple[Variant, ...] = get_args(Variant)
_OVMF = (
    # Debian 12 and Ubuntu 24.04 ship the 4 MiB build under the same name.
    (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),
    (Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/OVMF/OVMF_VARS.fd")),
)


@dataclass(frozen=True, slots=True)
class TwinNic:
    """One Ethernet function: QEMU id, its port, function number, MAC, and whether it has a cable."""

    name: str
    bus: str
    function: int
    mac: str
    cabled: bool


_SLOT7 = "rp16a"
_IGB_PORTS = ("slot7f1", "slot7f2")
NICS = (
    TwinNic("slot7f0", _SLOT7, 0, BOOT_MAC, cabled=True),
    TwinNic("slot7f1", _SLOT7, 1, "52:54:00:0e:30:11", cabled=False),
    TwinNic("slot7f2", _SLOT7, 2, "52:54:00:0e:30:12", cabled=False),
    TwinNic("slot7f3", _SLOT7, 3, "52:54:00:0e:30:13", cabled=False),
    TwinNic("lan1", "swdn3", 0, "52:54:00:0e:30:01", cabled=True),
    TwinNic("lan2", "swdn3", 1, "52:54:00:0e:30:02", cabled=False),
)


@dataclass(frozen=True, slots=True)
class Wiring:
    """File descriptors that QEMU inherits, and the tap interface of each cabled NIC.

    `com1_fd`, `sol_fd` and `qmp_fd` are connected sockets; `kcs_fd` listens, with our end already in its
    queue.
    """

    com1_fd: int
    sol_fd: int
    qmp_fd: int
    kcs_fd: int
    taps: dict[str, str]


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with a machine on purpose: its boot NIC, whether that has a link, whether VT-x is off.

    `post_s` are the seconds that its self-test takes before anything else happens.
    """

    boot_nic: str = BOOT_NIC
    no_link: bool = False
    post_s: float = 0.0
    no_vtx: bool = False


SOUND = Flaws()
"""A machine with which nothing is wrong."""

# A BMC that cannot be told otherwise drops the override after 60 s (IPMI 2.0 28.13).
_LONG_POST_S = 62.0


def flaws_of(chosen: Iterable[ChosenFault]) -> Flaws:
    """Return what the faults change about the machine itself."""
    names = {one.name for one in chosen}
    return Flaws(
        boot_nic=OTHER_NIC if "other-nic" in names else BOOT_NIC,
        no_link="no-link" in names,
        post_s=_LONG_POST_S if "override-expired" in names else 0.0,
        no_vtx="no-vtx" in names,
    )


@dataclass(frozen=True, slots=True)
class BootOrder:
    """What the firmware tries first: the boot NIC (`nic`, by its name) or the disks."""

    network: bool
    nic: str = BOOT_NIC

    @property
    def nic_bootindex(self) -> int:
        """Return QEMU's bootindex of the boot NIC; -1 takes it out of the order (disks have 2 and on)."""
        return 1 if self.network else -1


def ovmf_files() -> tuple[Path, Path] | None:
    """Return OVMF's code and variable template as the distribution installs them, None if absent."""
    return next((pair for pair in _OVMF if pair[0].is_file() and pair[1].is_file()), None)


def qemu_arguments(
    firmware: Firmware,
    order: BootOrder,
    wiring: Wiring,
    *,
    memory_mib: int,
    folder: Path,
    variant: Variant = "standard",
    ovmf: Path | None = None,
    disks: Sequence[TwinDisk] = (),
    engine: Engine = QEMU,
) -> list[str]:
    """Return the whole QEMU command for one power-on.

    `folder` holds the files the firmware needs: `sercon-port` (BIOS) and `uefi-vars.fd` (UEFI). UEFI needs
    `ovmf`, its code, too; raises FileNotFoundError without. Without `disks` there is one that is empty and
    keeps nothing.
    """
    arguments = ["qemu-system-x86_64", *_chipset(engine, memory_mib, variant), *_identity()]
    arguments += _firmware(firmware, folder, ovmf)
    arguments += (
        _topology(variant) + _nics(firmware, order, wiring, variant) + disk_arguments(disks) + _lines(wiring)
    )
    return arguments


def _chipset(engine: Engine, memory_mib: int, variant: Variant) -> list[str]:
    acpi = ",acpi=off" if variant == "no-acpi" else ""
    return [
        *("-machine", f"q35,kernel-irqchip=split,sata=on,vmport=off{acpi}"),
        *("-accel", engine.accelerator),
        *("-cpu", engine.processor),
        *("-m", f"{memory_mib}M"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"),
        *("-boot", "strict=on"),
        # The chassis decides what a guest's reset boots next, so the guest stops here instead of restarting.
        *("-action", "reboot=shutdown,shutdown=pause"),
        *("-device", "intel-iommu,intremap=on,device-iotlb=on"),
    ]


def _identity() -> list[str]:
    # The board names its LAN ports in SMBIOS type 41 too; QEMU takes that only for devices on the root bus.
    return [
        *("-smbios", "type=0,vendor=bringup,version=twin"),
        *("-smbios", "type=1,manufacturer=Supermicro,product=SYS-E300-9D,version=0123456789,serial=TWIN"),
        *("-smbios", "type=2,manufacturer=Supermicro,product=X11SDV-4C-TLN2F,version=1.02,serial=TWIN"),
    ]


def _firmware(firmware: Firmware, folder: Path, ovmf: Path | None) -> list[str]:
    if firmware is Firmware.BIOS:
        # SeaBIOS mirrors its console, option ROMs included, on this port: console redirection to SOL.
        return ["-fw_cfg", f"name=etc/sercon-port,file={_escape(folder / 'sercon-port')}"]
    if ovmf is None:
        raise FileNotFoundError("OVMF_CODE_4M.fd")
    return [
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_escape(ovmf)}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={_escape(folder / 'uefi-vars.fd')}"),
    ]


def _topology(variant: Variant) -> list[str]:
    engines = _engines() if variant == "8c" else []
    # The slot of a pxb decides which of the chipset's wires the INTx behind it drive (QEMU 7.2 pxb_map_irq_fn
    # and ich9_lpc_map_irq): from 5 and 3 they lead to pins 22 and 23, so SLOT7 and LAN share none, as on the
    # board.
    return engines + _devices(
        "pxb-pcie,id=stack16,bus=pcie.0,bus_nr=0x16,addr=05.0",
        "pcie-root-port,id=rp16a,bus=stack16,chassis=2,slot=7,addr=00.0",
        "pxb-pcie,id=stackb2,bus=pcie.0,bus_nr=0xb2,addr=03.0",
        "pcie-root-port,id=rpb2a,bus=stackb2,chassis=9,slot=9,addr=00.0",
        "x3130-upstream,id=swup,bus=rpb2a",
        "xio3130-downstream,id=swdn3,bus=swup,chassis=10,slot=3,addr=03.0",
        *(_ENGINE_PORTS if variant == "8c" else ()),
        *(_crowd() if variant == "crowded" else ()),
    )


_ENGINE_PORTS = (
    "xio3130-downstream,id=swdn0,bus=swup,chassis=11,slot=0,addr=00.0",
    "virtio-crypto-pci,id=qat0,bus=swdn0,cryptodev=engine0",
    "xio3130-downstream,id=swdn2,bus=swup,chassis=12,slot=2,addr=02.0",
    "virtio-crypto-pci,id=qat2,bus=swdn2,cryptodev=engine2",
)


def _crowd() -> list[str]:
    """Two bridges with 18 devices of 8 functions each."""
    devices: list[str] = []
    for number in range(2):
        devices.append(f"pcie-pci-bridge,id=crowd{number},bus=pcie.0,addr={8 + number:x}.0")
        devices += [
            f"sdhci-pci,bus=crowd{number},addr={slot:x}.{function},multifunction=on"
            for slot in range(1, 19)
            for function in range(8)
        ]
    return devices


def _engines() -> list[str]:
    names = ("engine0", "engine2")
    return [part for name in names for part in ("-object", f"cryptodev-backend-builtin,id={name}")]


def _nics(firmware: Firmware, order: BootOrder, wiring: Wiring, variant: Variant) -> list[str]:
    arguments: list[str] = []
    for nic in NICS:
        parts = [
            _nic_model(nic, firmware, order.nic, variant),
            f"id={nic.name}",
            f"bus={nic.bus}",
            f"addr=00.{nic.function}",
        ]
        parts.append(f"mac={nic.mac}")
        if nic.function == 0:
            parts.append("multifunction=on")
        if nic.name == order.nic:
            parts.append(f"bootindex={order.nic_bootindex}")
        if nic.cabled:
            tap = wiring.taps[nic.name]
            arguments += ["-netdev", f"tap,id=net-{nic.name},ifname={tap},script=no,downscript=no"]
        else:
            # A hub port with nobody else on it: a socket without a cable.
            arguments += ["-netdev", f"hubport,id=net-{nic.name},hubid={len(arguments) + 1}"]
        parts.append(f"netdev=net-{nic.name}")
        arguments += _devices(",".join(parts))
    return arguments


def _nic_model(nic: TwinNic, firmware: Firmware, boot_nic: str, variant: Variant) -> str:
    if nic.name != boot_nic:
        return "igb,romfile=" if variant == IGB and nic.name in _IGB_PORTS else "e1000e,romfile="
    if firmware is Firmware.BIOS:
        return "e1000e"
    # OVMF gives an option ROM behind pxb-pcie no address, and its e1000e driver lives in that ROM; it has a
    # virtio-net driver of its own (measured on OVMF 2022.11).
    return "virtio-net-pci,romfile="


def _lines(wiring: Wiring) -> list[str]:
    return [
        *("-chardev", f"socket,id=com1,fd={wiring.com1_fd}", "-serial", "chardev:com1"),
        *("-chardev", f"socket,id=com2,fd={wiring.sol_fd}", "-serial", "chardev:com2"),
        *("-chardev", f"socket,id=qmp,fd={wiring.qmp_fd}", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"socket,id=kcs,fd={wiring.kcs_fd},server=on,wait=off"),
        *_devices(
            "ipmi-bmc-extern,id=bmc0,chardev=kcs", f"isa-ipmi-kcs,bmc=bmc0,ioport={KCS_IO_PORT:#x},irq=0"
        ),
    ]


def _devices(*devices: str) -> list[str]:
    return [part for device in devices for part in ("-device", device)]


def _escape(path: Path) -> str:
    # QEMU's option syntax doubles a comma inside a value.
    return str(path).replace(",", ",,")
