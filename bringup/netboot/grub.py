"""Makes images of GRUB with every module inside, so that a board fetches two files, not forty.

The one made here is GRUB's first file of a boot by network (`boot_image.py` makes the other kind). It carries
a short script of its own: it opens the serial line and reads `/grub.cfg` from the server of this boot. Such
images differ only by platform, serial line and server, so they are made once and cached.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bringup.base.firmware import Firmware
from bringup.base.grub import GRUB_DIR, GrubModules
from bringup.base.paths import cache_dir
from bringup.base.whole_file import whole_file
from bringup.netboot.loaders import ATTEMPTS, RETRY_PAUSE_S, SerialLine

# No gzio: a compressed module reaches the kernel as it is, the same bytes that iPXE would hand over.
_MODULES = (
    *("multiboot", "multiboot2", "linux"),
    *("serial", "terminal", "echo", "normal", "configfile", "boot", "sleep", "test", "true", "reboot"),
)


# (image format, module of the network) by firmware.
_NETWORK = {Firmware.BIOS: ("i386-pc-pxe", "pxe"), Firmware.UEFI: ("x86_64-efi", "efinet")}


def opening_lines(serial: SerialLine) -> list[str]:
    """Return the first lines of every script inside an image (pure): what GRUB says goes to `serial`."""
    return [
        f"serial --unit={serial.unit} --speed={serial.baud}",
        "terminal_output serial",
        # All modules are in the image: without a prefix GRUB asks for no module lists.
        "unset prefix",
    ]


def stop_lines(said: str) -> list[str]:
    """Return the last lines (pure): better a reset a day later than a prompt that nobody reads."""
    return [f'echo "{said}, reset the board"', "sleep 86400", "reboot"]


def embedded_script(serial: SerialLine, server_ip: str) -> str:
    """Return the script inside the image (pure). GRUB runs it before it knows `if` and loops."""
    lines = [
        *opening_lines(serial),
        # Not $net_default_server: with a proxy that is the other DHCP server. And under BIOS, multiboot looks
        # for the boot disk behind `root`, and fails if that device does not exist.
        f"set root=tftp,{server_ip}",
        'echo "bringup: GRUB started"',
    ]
    for _ in range(ATTEMPTS):
        lines += [
            "configfile /grub.cfg",
            'echo "bringup: loading script failed"',
            f"sleep {RETRY_PAUSE_S}",
        ]
    lines += stop_lines(f"bringup: stopped after {ATTEMPTS} attempts")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Grub:
    """GRUB for one firmware as it is installed; `stamp` changes with it and with what its images hold."""

    image_format: str
    network: str
    modules: GrubModules
    stamp: str

    @classmethod
    def of(cls, firmware: Firmware, grub_dir: Path = GRUB_DIR) -> Grub:
        """Return GRUB for a firmware; raises MissingProgramError when its modules are not installed."""
        image_format, network = _NETWORK[firmware]
        modules = GrubModules.of(firmware, grub_dir)
        stamp = repr((image_format, network, modules.package, _MODULES, modules.changed_ns))
        return cls(image_format, network, modules, stamp)

    def make_image(
        self, script: str, target: Path, modules: tuple[str, ...], memdisk: Path | None = None
    ) -> None:
        """Write an image with `script`, `modules` beside those of every image, and a disk in memory.

        Raises MissingProgramError or LabError.
        """
        self.modules.make_image(self.image_format, script, target, (*modules, *_MODULES), memdisk)


def core_image(firmware: Firmware, serial: SerialLine, server_ip: str, grub_dir: Path = GRUB_DIR) -> Path:
    """Return the cached image for this firmware, serial line and server, making it if need be (0.1 s).

    GRUB's modules are those of `grub_dir`, as the distribution installs them.

    Raises MissingProgramError when GRUB's tools or modules are not installed, LabError when they fail.
    """
    grub = Grub.of(firmware, grub_dir)
    script = embedded_script(serial, server_ip)
    key = hashlib.sha256(repr((grub.stamp, script)).encode()).hexdigest()[:16]
    folder = cache_dir() / "grub"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{grub.image_format}-{key}"
    if not target.is_file():
        with whole_file(target, first_stays=True) as made:
            grub.make_image(script, Path(made.name), (grub.network, "tftp", "http"))
    return target
