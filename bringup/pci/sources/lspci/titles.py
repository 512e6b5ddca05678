"""The titles lspci prints for capabilities, and the ids they stand for (pciutils ls-caps.c, ls-ecaps.c)."""

from __future__ import annotations

import re

_ORDINARY = (
    ("Power Management", 0x01),
    ("AGP3", 0x0E),
    ("AGP", 0x02),
    ("Vital Product Data", 0x03),
    ("Slot ID", 0x04),
    ("MSI-X:", 0x11),
    ("MSI:", 0x05),
    ("Message Signalled Interrupts", 0x05),
    ("CompactPCI hot-swap", 0x06),
    ("PCI-X", 0x07),
    ("HyperTransport", 0x08),
    ("Vendor Specific Information", 0x09),
    ("VirtIO", 0x09),
    ("Debug port", 0x0A),
    ("CompactPCI central resource control", 0x0B),
    ("Hot-plug capable", 0x0C),
    ("Subsystem:", 0x0D),
    ("Secure device", 0x0F),
    ("Express", 0x10),
    ("SATA HBA", 0x12),
    ("PCI Advanced Features", 0x13),
    ("Enhanced Allocation", 0x14),
    ("Null", 0x00),
)
_EXTENDED = (
    ("Advanced Error Reporting", 0x01),
    ("Virtual Channel", 0x02),
    ("Device Serial Number", 0x03),
    ("Power Budgeting", 0x04),
    ("Root Complex Link", 0x05),
    ("Root Complex Internal Link", 0x06),
    ("Root Complex Event Collector", 0x07),
    ("Multi-Function Virtual Channel", 0x08),
    ("Root Complex Register Block", 0x0A),
    ("Root Bridge Control Block", 0x0A),
    ("Vendor Specific Information", 0x0B),
    ("Access Control Services", 0x0D),
    ("Alternative Routing-ID Interpretation", 0x0E),
    ("Address Translation Service", 0x0F),
    ("Single Root I/O Virtualization", 0x10),
    ("Multi-Root I/O Virtualization", 0x11),
    ("Multicast", 0x12),
    ("Page Request Interface", 0x13),
    ("Physical Resizable BAR", 0x15),
    ("Resizable BAR", 0x15),
    ("Dynamic Power Allocation", 0x16),
    ("Transaction Processing Hints", 0x17),
    ("Latency Tolerance Reporting", 0x18),
    ("Secondary PCI Express", 0x19),
    ("Protocol Multiplexing", 0x1A),
    ("Process Address Space ID", 0x1B),
    ("LN Requester", 0x1C),
    ("Downstream Port Containment", 0x1D),
    ("L1 PM Substates", 0x1E),
    ("Precision Time Measurement", 0x1F),
    ("PCI Express over M_PHY", 0x20),
    ("FRS Queueing", 0x21),
    ("Readiness Time Reporting", 0x22),
    ("Designated Vendor-Specific", 0x23),
    ("Virtual Resizable BAR", 0x24),
    ("Data Link Feature", 0x25),
    ("Physical Layer 16.0 GT/s", 0x26),
    ("Lane Margining at the Receiver", 0x27),
    ("Hierarchy ID", 0x28),
    ("Native PCIe Enclosure Management", 0x29),
    ("Physical Layer 32.0 GT/s", 0x2A),
    ("Alternate Protocol", 0x2B),
    ("System Firmware Intermediary", 0x2C),
    ("Data Object Exchange", 0x2E),
    ("Integrity & Data Encryption", 0x30),
    ("Null", 0x00),
)
# What lspci writes for an id it has no name for: "#19", "Capability ID 0x2c [0000]".
_BARE = re.compile(r"(?:(?:Extended )?Capability ID 0x|#)([0-9a-f]{1,4})\b")


def capability_id(title: str, extended: bool) -> int | None:
    """Return the id behind a title; None: no title of lspci's."""
    for start, found in _EXTENDED if extended else _ORDINARY:
        if title.startswith(start):
            return found
    bare = _BARE.match(title)
    return None if bare is None else int(bare[1], 16)
