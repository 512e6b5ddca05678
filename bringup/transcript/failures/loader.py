"""Failures that loaders tell of: iPXE, GRUB, and the scripts of this tool that they run. Data only.

Rows as in `kernel.py`. The scripts try again, so what a loader says ends nothing: "stopped after 3 attempts"
does, and then the loader's last error is the cause. A boot image without memory is not tried again.
"""

from __future__ import annotations

from collections.abc import Mapping

from bringup.transcript.markers import Failure, Fault

_IPXE = "iPXE src/core/errno.c, src/include/errno.h; printed by src/usr with a link to ipxe.org"
_GRUB = "GRUB grub-core, grub_error"
_OURS = "pxe/ of this tool"
_LINK = "look at the cable and the port's error counters"
_LINES = "look at the loader's lines before this one"
_FAULTS: Mapping[str, Fault] = {"loader-memory": "image", "loader-refuses": "image"}


def _ipxe(text: str, cause: str, why: str, fix: str, *, code: str = "loader-network") -> Failure:
    """Return the row of an error of iPXE, which ends with a link to the page about it."""
    return Failure(
        code, _FAULTS.get(code, "lab"), f"{text} (http://ipxe.org/%x)", cause, why, fix, _IPXE, fatal=False
    )


def _grub(text: str, cause: str, why: str, fix: str, *, code: str = "loader-network") -> Failure:
    return Failure(
        code, _FAULTS.get(code, "lab"), f"error: {text}", cause, why, fix, _GRUB, fatal=False, line_start=True
    )


_MEMORY = ("the image is larger than the memory below 4 GiB", "make the image smaller")

LOADER = (
    Failure("loader-refuses", "image", "Exec format error",
            "the loader does not know the format of the image",
            "other bytes arrived than were served, or it is multiboot through iPXE under UEFI",
            "look for a proxy or another server on the way; under UEFI --loader grub",
            "iPXE ipxe.org/2e0080, ipxe#577", recovers=True, grace_s=20.0),
    Failure("loader-refuses", "image", "bytes [PXE-NBP] [SELECTED]",
            "iPXE takes what it was given as kernel for a boot program",
            "other bytes arrived than were served",
            "look for a proxy or another server on the way",
            "iPXE imgstat, src/arch/x86/image/pxe_image.c"),
    Failure("pxe-no-file", "lab", "Nothing to boot: No such file or directory",
            "the DHCP answer named no boot file",
            "another DHCP server answered first",
            "use an own segment, or proxy mode next to that server",
            "iPXE ipxe.org/2d03e13b", fatal=False),
    Failure("pxe-no-answer", "lab", "No configuration methods succeeded",
            "iPXE got no network configuration",
            "no DHCP server answers on this port, or the switch port learns for 30 s",
            "portfast on this switch port; check the cable and the interface bringup serves on",
            "iPXE src/net/netdev_settings, ipxe.org/err/040ee1", fatal=False),
    _ipxe("... Down", "iPXE found no link",
          "cable in another port", "plug it into the port that `bringup boards show` names",
          code="pxe-no-link"),
    _ipxe("Connection timed out", "iPXE got no answer from the server",
          "a firewall on this host", "open TCP of the HTTP port and UDP 69 on the lab interface"),
    _ipxe("Connection reset", "the connection to iPXE was cut", "a firewall or a bad link", _LINK),
    _ipxe("Connection refused", "nobody listens where iPXE asked",
          "another server's answer sent it there", "use an own segment"),
    _ipxe("Network unreachable", "iPXE has no way to the server",
          "another DHCP server gave it an address of another network", "use an own segment"),
    _ipxe("Host is unreachable", "iPXE got no ARP answer from the server",
          "the server's address is on another segment", "look at the address of this host in lab.toml"),
    _ipxe("No such file or directory", "iPXE asked for a file that the server does not have",
          "another server's script sent it there", "use an own segment", code="loader-file"),
    _ipxe("Permission denied", "the server refused iPXE a file",
          "it asked another server, or another board's server", "use an own segment", code="loader-file"),
    _ipxe("Input/output error", "a transfer to iPXE broke", "a bad link", _LINK),
    _ipxe("Error 0x%x", "iPXE met an error that it does not name", "a bad link", _LINES),
    _ipxe("No space left on device", "iPXE ran out of memory", *_MEMORY, code="loader-memory"),
    _ipxe("Not enough space", "iPXE ran out of memory", *_MEMORY, code="loader-memory"),
    _ipxe("Requested memory not available", "iPXE cannot place the image in memory", *_MEMORY,
          code="loader-memory"),
    _grub("out of memory", "GRUB ran out of memory", *_MEMORY, code="loader-memory"),
    _grub("timeout reading", "GRUB got no answer from the server", "a bad link, or a firewall", _LINK),
    _grub("time out opening", "GRUB got no answer from the server", "a bad link, or a firewall", _LINK),
    _grub("couldn't send network packet", "GRUB could not send on the network", "no link", _LINK),
    _grub("no server is specified", "GRUB does not know its server",
          "the DHCP answer did not name one", "use an own segment"),
    _grub("no multiboot header found", "GRUB found no multiboot header in the kernel",
          "it is no multiboot kernel", "`bringup boot BOARD IMAGE --dry-run` tells what it is",
          code="loader-refuses"),
    _grub("unsupported tag: 0x", "GRUB does not know what the kernel's multiboot header demands",
          "an old GRUB, or a kernel for another loader", "--loader ipxe", code="loader-refuses"),
    _grub("address is out of range", "the kernel wants to lie where there is no memory",
          "its load address", "build it for this platform", code="loader-refuses"),
    _grub("invalid arch-dependent ELF magic", "the kernel is for another processor",
          "built for another architecture", "build it for x86", code="loader-refuses"),
    _grub("invalid arch-independent ELF magic", "GRUB was given something that is no ELF file",
          "the file is damaged, or the wrong one", "look at it with `file`", code="loader-refuses"),
    Failure("grub-rescue", "lab", "Entering rescue mode...",
            "a GRUB on the board's disk started and found no system",
            "the disk was booted and not the network",
            "bringup runs show --events: was the override read back?",
            "GRUB grub-core/kern/rescue_reader.c", gives_up=True),
    Failure("grub-prompt", "lab", "Minimal BASH-like line editing is supported",
            "GRUB stands at its prompt",
            "it found no configuration",
            "is it the disk's GRUB? then the network was not booted",
            "GRUB grub-core/normal/main.c", recovers=True, grace_s=10.0),
    Failure("loader-kernel", "lab", "bringup: loading kernel failed",
            "the loader could not load the kernel",
            "the transfer broke, or the loader refuses the file",
            _LINES,
            _OURS, fatal=False, generic=True),
    Failure("loader-module", "lab", "bringup: loading module %d of %d failed",
            "the loader could not load a module",
            "the transfer broke, or too little memory below 4 GiB",
            _LINES,
            _OURS, fatal=False, generic=True),
    Failure("loader-memory", "image", "bringup: no memory for the boot image",
            "the loader had too little memory for the boot image",
            "kernel and modules lie in memory several times while they are loaded this way",
            "--loader grub, or make the image smaller",
            _OURS),
    Failure("loader-start", "image", "bringup: starting kernel failed",
            "the loader could not start the kernel",
            "the loader refuses the image",
            _LINES,
            _OURS, fatal=False, generic=True),
    Failure("loader-failed", "lab", "bringup: stopped after %d attempts",
            "the loader gave up loading the image",
            "the transfer broke each time",
            "bringup runs show: were the files fetched?",
            _OURS, generic=True),
    Failure("disk-slots", "lab", "bringup: no slot starts",
            "GRUB on the disk found no image that is whole",
            "the disk loses data, or nothing was written to its end",
            "bringup slots BOARD tells what is there, bringup reimage BOARD IMAGE writes it",
            "pxe/disk.cfg of this tool"),
    Failure("loader-failed", "lab", "you need to load the kernel first",
            "the loader was told to boot without a kernel",
            "the kernel before it failed to load",
            _LINES,
            "GRUB grub-core/loader", fatal=False, generic=True),
)  # fmt: skip

GARBAGE = Failure(
    "garbage",
    "profile",
    "",
    "the console shows bytes that are not text",
    "the line speed differs from the board's",
    "set the SOL and serial speed to the profile's baud in BMC, firmware setup and image",
    "share of non-text bytes",
    recovers=True,
    grace_s=3.0,
)
"""Not a text: the reader reports it when most of what arrives is not text."""
