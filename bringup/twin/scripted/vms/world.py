"""What played guests see: files of /sys and /proc and a few tools, made for one case of right and wrong.

Three VMs of a site: vm0 (red) and vm2 (black) have a passed I350, vm1 (crypto) has none; all are on one
vswitch, as in seL4/camkes-vm-examples#90, whose addresses, ids and sizes these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bringup.twin.scripted.vms.guest import Life

VMS = 3
CARDS: Mapping[int, int] = MappingProxyType({0: 10, 2: 11})
"""The guest's interrupt of the passed card, by VM."""
_I350, _VIRTIO, _BRIDGE = ("8086", "1521"), ("1af4", "1000"), ("8086", "1237")
_ROWS = {
    "mem0": (0x10100000, 0x100000, 0x200),
    "io": (0x7060, 0x20, 0x101),
    "mem3": (0x10204000, 0x4000, 0x200),
}
_LEFT_BEHIND = 1577836800  # 2020-01-01


@dataclass(frozen=True, slots=True)
class Case:
    """What is wrong. `counts` is the interrupt that counts in vm0 in place of the card's, None for none.

    `loses` is the share of the characters that the line loses; `life` is of vm1.
    """

    about: str
    counts: int | None = CARDS[0]
    without_bar: str = ""
    msi: bool = False
    life: Life = "lives"
    speed: int = 1000
    loses: float = 0.0
    tunnel: bool = True
    leaks: bool = False
    in_clear: bool = False
    copies: bool = False
    takes_all: bool = False
    old_clock: bool = False
    stray_card: bool = False
    vswitch_mbit: int = 150


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "right": Case("everything as it shall be"),
        "wrong-pin": Case("vm0's card interrupts at a pin that nobody listens at", counts=None),
        "other-line": Case("vm0's card interrupts at another of the pins that were listed", counts=5),
        "missing-bar": Case("the I/O BAR of vm0's card is not there", without_bar="io"),
        "msi": Case("vm0's guest tries MSI", msi=True),
        "dead": Case("vm1 is dead", life="dead"),
        "hangs": Case("vm1 echoes and runs nothing", life="hangs"),
        "slow-link": Case("vm0's link came up at 100 Mbit/s", speed=100),
        "lossy": Case("the line loses a character in 1000", loses=0.001),
        "unreadable": Case("the line loses every fifth character", loses=0.2),
        "stray-card": Case("vm1 has a card, too", stray_card=True),
        "slow-vswitch": Case("24 Mbit/s between VMs", vswitch_mbit=24),
        "no-tunnel": Case("the crypto VMs come to no session", tunnel=False),
        "leaks": Case("with wg0 down, clear text leaves by black", leaks=True),
        "in-clear": Case("the other LAN is reached beside the tunnel", in_clear=True),
        "copies": Case("what goes through the tunnel leaves in clear as well", copies=True),
        "takes-all": Case("the tunnel takes what is for the Internet, too", takes_all=True),
        "old-clock": Case("crypto's clock stands in 2020", old_clock=True),
    }
)

_TOOLS = Path(__file__).with_name("tools")
_OLD_DATE = f"#!/bin/sh\necho {_LEFT_BEHIND}\n"


def make_world(folder: Path, case: Case) -> tuple[Path, ...]:
    """Write what the VMs see below `folder` and return the folder of each."""
    (folder / "mbit").write_text(f"{case.vswitch_mbit}\n", encoding="ascii")
    (folder / "routes").write_text("10.0.2.0/24 scope link\n", encoding="ascii")
    there = {
        "session": case.tunnel,
        "leaks": case.leaks,
        "in-clear": case.in_clear,
        "copies": case.copies,
        "takes-all": case.takes_all,
    }
    for name in (name for name, is_there in there.items() if is_there):
        (folder / name).touch()
    folders = tuple(folder / f"vm{number}" for number in range(VMS))
    for number, own in enumerate(folders):
        _make_vm(own, number, case)
    return folders


def _make_vm(own: Path, number: int, case: Case) -> None:
    files: dict[str, str] = {
        f"bin/{tool.name}": tool.read_text(encoding="ascii") for tool in _TOOLS.iterdir()
    }
    irq = CARDS.get(number, 5 if case.stray_card and number == 1 else None)
    counts = case.counts if number == 0 else irq
    files["irq"], files["counts"] = f"{irq or ''}\n", f"{counts or ''}\n"
    msi = case.msi and number == 0
    nomsi = "" if msi else " pci=nomsi"
    files["proc/cmdline"] = f"earlyprintk=ttyS0,115200 console=ttyS0,115200{nomsi} root=/dev/mem\n"
    files["proc/interrupts"] = _interrupts(irq, counts)
    files["proc/uptime"] = "61.25 40.10\n"
    files["dmesg"] = _dmesg(irq, counts, msi=msi)
    if number == 1 and case.old_clock:
        files["bin/date"] = _OLD_DATE
    files |= _functions(irq, case if number == 0 else CASES["right"])
    for name, text in files.items():
        path = own / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
        if name.startswith("bin/"):
            path.chmod(0o755)
    for device, driver in (("0000:00:01.0", "igb"), ("0000:00:02.0", "virtio-pci")):
        if (own / f"sys/bus/pci/devices/{device}").is_dir():
            (own / f"sys/bus/pci/drivers/{driver}").mkdir(parents=True)
            (own / f"sys/bus/pci/devices/{device}/driver").symlink_to(f"../../drivers/{driver}")


def _functions(irq: int | None, case: Case) -> dict[str, str]:
    """Return the guest's PCI functions as the VMM orders them: its bridge, passed cards, its own devices."""
    bus = "sys/bus/pci/devices"
    files = _function(f"{bus}/0000:00:00.0", _BRIDGE, 0, ())
    virtio = _function(f"{bus}/0000:00:02.0", _VIRTIO, 6, ((0x9000, 0x20, 0x101),))
    files |= {
        **virtio,
        "sys/class/net/eth0/statistics/rx_bytes": "1200\n",
        "sys/class/net/eth0/carrier": "1\n",
    }
    if irq is None:
        return files
    rows = tuple(row for name, row in _ROWS.items() if name != case.without_bar)
    files |= _function(f"{bus}/0000:00:01.0", _I350, irq, rows)
    files[f"{bus}/0000:00:01.0/net/eth1/operstate"] = "up\n"
    if case.msi:
        files[f"{bus}/0000:00:01.0/msi_irqs/24"] = "msix\n"
    net = "sys/class/net/eth1"
    files |= {f"{net}/carrier": "1\n", f"{net}/operstate": "up\n", f"{net}/speed": f"{case.speed}\n"}
    return {**files, f"{net}/statistics/rx_bytes": "8400\n"}


def _function(
    folder: str, ids: tuple[str, str], irq: int, rows: tuple[tuple[int, int, int], ...]
) -> dict[str, str]:
    empty = "0x0000000000000000 0x0000000000000000 0x0000000000000000"
    lines = [f"0x{base:016x} 0x{base + size - 1:016x} 0x{flags:016x}" for base, size, flags in rows]
    lines += [empty] * (13 - len(lines))
    return {
        f"{folder}/vendor": f"0x{ids[0]}\n",
        f"{folder}/device": f"0x{ids[1]}\n",
        f"{folder}/irq": f"{irq}\n",
        f"{folder}/resource": "\n".join(lines) + "\n",
    }


def _interrupts(irq: int | None, counts: int | None) -> str:
    rows = {0: (48211, "timer"), 2: (0, "cascade"), 4: (812, "ttyS0"), 6: (930, "virtio0")}
    if irq is not None:
        rows[irq] = (0 if counts != irq else 143, "eth1")
    if counts is not None and counts != irq:
        rows[counts] = (143, "spare")
    lines = [
        f"{number:3}: {count:10}    XT-PIC      {name}" for number, (count, name) in sorted(rows.items())
    ]
    return "\n".join(["           CPU0", *lines, "ERR:          0"]) + "\n"


def _dmesg(irq: int | None, counts: int | None, *, msi: bool) -> str:
    if irq is None:
        return "[    1.802112] virtio_net virtio0 eth0: registered\n"
    lines = ["[    1.911220] igb: Intel(R) Gigabit Ethernet Network Driver"]
    if msi:
        lines.append(
            "[    1.933511] igb 0000:00:01.0: Failed to initialize MSI-X interrupts. Falling back to MSI."
        )
    if counts != irq:
        lines.append("[    9.201145] NETDEV WATCHDOG: eth1 (igb): transmit queue 0 timed out")
    return "\n".join(lines) + "\n"
