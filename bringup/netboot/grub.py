"""Makes GRUB's first file: one image with every module inside, so that a board fetches two files, not forty.

The image carries a short script of its own: it opens the serial line and reads `/grub.cfg` from the server
of this boot. Images differ only by platform, serial line and server, so they are made once and cached.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import MissingProgramError
from bringup.base.firmware import Firmware
from bringup.base.paths import cache_dir
from bringup.base.program import run_program
from bringup.base.whole_file import whole_file
from bringup.netboot.loaders import ATTEMPTS, RETRY_PAUSE_S, SerialLine

GRUB_DIR = Path("/usr/lib/grub")
_MAKE_TIMEOUT_S = 60.0
# No gzio: a compressed module reaches the kernel as it is, the same bytes that iPXE would hand over.
_MODULES = (
    *("tftp", "http", "multiboot", "multiboot2", "linux"),
    *("serial", "terminal", "echo", "normal", "configfile", "boot", "sleep", "test", "true", "reboot"),
)


@dataclass(frozen=True, slots=True)
class _Platform:
    directory: str
    image_format: str
    network: str
    package: str


_PLATFORMS = {
    Firmware.BIOS: _Platform("i386-pc", "i386-pc-pxe", "pxe", "grub-pc-bin"),
    Firmware.UEFI: _Platform("x86_64-efi", "x86_64-efi", "efinet", "grub-efi-amd64-bin"),
}


def embedded_script(serial: SerialLine, server_ip: str) -> str:
    """Return the script inside the image (pure). GRUB runs it before it knows `if` and loops."""
    lines = [
        f"serial --unit={serial.unit} --speed={serial.baud}",
        "terminal_output serial",
        # All modules are in the image: without a prefix GRUB asks for no module lists.
        "unset prefix",
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
    # Better a reset a day later than a prompt that nobody reads.
    lines += [f'echo "bringup: stopped after {ATTEMPTS} attempts, reset the board"', "sleep 86400", "reboot"]
    return "\n".join(lines) + "\n"


def core_image(firmware: Firmware, serial: SerialLine, server_ip: str, grub_dir: Path = GRUB_DIR) -> Path:
    """Return the cached image for this firmware, serial line and server, making it if need be (0.1 s).

    GRUB's modules are those of `grub_dir`, as the distribution installs them.

    Raises MissingProgramError when GRUB's tools or modules are not installed, LabError when they fail.
    """
    platform = _PLATFORMS[firmware]
    modules = grub_dir / platform.directory
    try:
        stamp = (modules / "moddep.lst").stat().st_mtime_ns
    except FileNotFoundError:
        raise MissingProgramError(
            f"GRUB's modules for {firmware} are not installed", hint=f"apt install {platform.package}"
        ) from None
    script = embedded_script(serial, server_ip)
    key = hashlib.sha256(repr((platform, _MODULES, stamp, script)).encode()).hexdigest()[:16]
    folder = cache_dir() / "grub"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{platform.image_format}-{key}"
    if not target.is_file():
        _make(platform, modules, script, target)
    return target


def _make(platform: _Platform, modules: Path, script: str, target: Path) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as config, whole_file(target) as made:
        config.write(script)
        config.flush()
        command = [
            *("grub-mkimage", "--directory", str(modules)),
            *("--format", platform.image_format, "--prefix", "(memdisk)"),
            *("--config", config.name, "--output", made.name),
            *(platform.network, *_MODULES),
        ]
        run_program(command, platform.package, timeout_s=_MAKE_TIMEOUT_S)
