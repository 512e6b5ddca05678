"""Names by id, as pci.ids has them (pci-ids.ucw.cz)."""

from __future__ import annotations

INTEL, ASPEED, SAMSUNG, CRUCIAL, MICRON, REALTEK = 0x8086, 0x1A03, 0x144D, 0xC0A9, 0x1344, 0x10EC
VENDORS = {
    INTEL: "Intel Corporation",
    ASPEED: "ASPEED Technology, Inc.",
    SAMSUNG: "Samsung Electronics Co Ltd",
    CRUCIAL: "Micron/Crucial Technology",
    MICRON: "Micron Technology Inc",
    REALTEK: "Realtek Semiconductor Co., Ltd.",
    0x1028: "Dell",
    0x15D9: "Super Micro Computer Inc",
    0x1734: "Fujitsu Technology Solutions",
}
CLASSES = {
    0x0106: "SATA controller",
    0x0108: "Non-Volatile memory controller",
    0x0200: "Ethernet controller",
    0x0300: "VGA compatible controller",
    0x0580: "Memory controller",
    0x0600: "Host bridge",
    0x0601: "ISA bridge",
    0x0604: "PCI bridge",
    0x0780: "Communication controller",
    0x0800: "PIC",
    0x0880: "System peripheral",
    0x0B40: "Co-processor",
    0x0C03: "USB controller",
    0x0C05: "SMBus",
    0x0C80: "Serial bus controller",
    0x1101: "Performance counters",
    0x1180: "Signal processing controller",
    0xFF00: "Unassigned class",
}
