"""What a scripted board says: firmware, option ROM, iPXE and an image that is not run (data only)."""

from __future__ import annotations

from collections.abc import Mapping

POST = (
    "\r\nVersion 2.20.1276. Copyright (C) 2019 American Megatrends, Inc.\r\n"
    "American Megatrends, Inc. Copyright (C) 2019\r\n"
    "scripted board: nothing that it boots is run\r\n"
    "Press <DEL> to run Setup\r\n"
)
ROM = "\r\nIntel(R) Boot Agent XE v2.3.46\r\nCLIENT MAC ADDR: {mac}\r\n"
EFI_ROM = "\r\n>>Start PXE over IPv4.\r\n"
IPXE = "\r\niPXE 1.0.0+ -- Open Source Network Boot Firmware -- http://ipxe.org\r\n"
EFI_GIVES_UP = "  PXE-E16: No valid offer received.\r\n"
NO_LINK = "PXE-E61: Media test failure, check cable\r\nPXE-M0F: Exiting Intel Boot Agent.\r\n"
NOT_PLAYED = (
    "\r\nscripted board: {file} is a loader that it does not play: --loader auto, or --engine qemu\r\n"
)
NO_FILE = "PXE-E53: No boot filename received\r\nPXE-M0F: Exiting Intel Boot Agent.\r\n"
NOTHING = "\r\nReboot and Select proper Boot device\r\nor Insert Boot Media in selected Boot device\r\n"
DISK = (
    "\r\nGRUB loading.\r\nWelcome to GRUB!\r\n\r\n"
    "[    0.000000] Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)\r\n"
    "\r\nDebian GNU/Linux 12 scripted ttyS1\r\n\r\nscripted login: "
)

GIVES_UP: Mapping[str, str] = {
    "no-offer": "PXE-E51: No DHCP or proxyDHCP offers were received.\r\n"
    "PXE-M0F: Exiting Intel Boot Agent.\r\n",
    "no-ack": "PXE-E52: proxyDHCP offers were received. No DHCP offers were received.\r\n"
    "PXE-M0F: Exiting Intel Boot Agent.\r\n",
    "tftp-timeout": "PXE-E32: TFTP open timeout\r\nPXE-M0F: Exiting Intel Boot Agent.\r\n",
    "tftp-error": "PXE-T01: File not found\r\nPXE-E3B: TFTP Error - File Not found\r\n"
    "PXE-M0F: Exiting Intel Boot Agent.\r\n",
}
"""What the option ROM says when it gives up, by the kind of NetworkError."""

IPXE_SAYS: Mapping[str, str] = {
    "no-offer": "No configuration methods succeeded (http://ipxe.org/040ee119)",
    "no-ack": "No configuration methods succeeded (http://ipxe.org/040ee119)",
    "tftp-timeout": "Connection timed out (http://ipxe.org/4c126035)",
    "tftp-error": "No such file or directory (http://ipxe.org/2d0c618e)",
    "http-timeout": "Connection timed out (http://ipxe.org/4c0a6035)",
    "http-reset": "Connection reset (http://ipxe.org/0f0a6039)",
    "http-missing": "No such file or directory (http://ipxe.org/2d0c618e)",
    "format": "Exec format error (http://ipxe.org/2e008081)",
}
"""What iPXE says of a file that it could not have."""

KERNEL = (
    "\r\nbringup stand-in image, not seL4: said by a scripted board\r\n"
    "\r\nBoot config: parsing cmdline '{arguments}'\r\n"
    "Boot config: console_port = 0x2f8\r\n"
    "Boot config: debug_port = 0x2f8\r\n"
    "Boot config: disable_iommu = false\r\n"
)
LOADED = (
    "Detected {modules} boot module(s):\r\n"
    "ELF-loading userland images from boot modules:\r\n"
    "Starting node #0 with APIC ID 0\r\n"
)
USER_SPACE = "Mapping kernel window is done\r\nBooting all finished, dropped to user space\r\n"
VTX_LOCKED = (
    "vt-x: feature locked\r\n"
    "seL4 called fail at src/arch/x86/kernel/boot_sys.c:722 in function boot_sys, saying "
    '"boot_sys failed for some reason :(\r\n"\r\nhalting...\r\nKernel entry via Interrupt, irq 0\r\n'
)
RAMDISK = (
    "\r\nbringup maintenance: started\r\nbringup maintenance: drivers loaded\r\n"
    "bringup maintenance: ready\r\n"
)
