/* PCI configuration space by ports 0xcf8 and 0xcfc, as seL4 reads it, and by memory (ECAM) where ACPI says so. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    CONFIG_BYTES = 256,
    CONFIG_EXTENDED_BYTES = 4096,

    /* PCI 3.0, 6.1 and 6.2 */
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_CLASS = 0x0a, /* subclass, then base class: read as 16 bits 0x0200 is Ethernet */
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_ROM = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_PIN = 0x3d,
    COMMAND_IO = 1 << 0,
    COMMAND_MEMORY = 1 << 1,
    COMMAND_MASTER = 1 << 2,
    COMMAND_INTX_OFF = 1 << 10,
    STATUS_INTX = 1 << 3,
    STATUS_CAPABILITIES = 1 << 4,

    CAPABILITY_POWER = 0x01,
    CAPABILITY_MSI = 0x05,
    CAPABILITY_PCIE = 0x10,
    CAPABILITY_MSIX = 0x11,

    ECAM_MAX = 8,
};

/* Bus, device and function in 16 bits, as on the wire. */
#define BUS(bdf) ((unsigned)(bdf) >> 8)
#define DEVICE(bdf) ((unsigned)(bdf) >> 3 & 31)
#define FUNCTION(bdf) ((unsigned)(bdf) & 7)

/* Where config space of segment 0 lies in memory: MCFG of the PCI Firmware Specification 3.2, 4.1.2. */
struct ecam {
    uint32_t base; /* of bus 0 */
    uint8_t first_bus, last_bus;
};

enum ecam_state {
    ECAM_ABSENT = 0,  /* no range covers this bus */
    ECAM_EQUAL = 1,   /* the first 256 bytes are those of the ports */
    ECAM_DIFFERS = 2, /* some registers differ: they change by themselves, or the two ways differ */
    ECAM_STRANGER = 3 /* another device answers there: not used */
};

struct config {
    uint8_t bytes[CONFIG_EXTENDED_BYTES];
    uint32_t size; /* 256 or 4096 */
    enum ecam_state ecam;
    uint8_t differing;  /* dwords */
    uint8_t difference; /* offset of the first, in dwords */
};

uint32_t pci_read32(uint16_t bdf, uint32_t offset);
uint16_t pci_read16(uint16_t bdf, uint32_t offset);
void pci_write32(uint16_t bdf, uint32_t offset, uint32_t value);
void pci_write16(uint16_t bdf, uint32_t offset, uint16_t value);

/* Whether configuration mechanism 1 answers (PCI 3.0, 3.2.2.3.2). */
bool pci_present(void);

/* Call `visit` for every function, in ascending order, until it returns false or `deadline` (clock.h) passes.
   All 256 buses are tried, as seL4's libpci does, so nothing depends on what bridges say. Returns the number
   of buses that were looked at. */
unsigned pci_scan(uint64_t deadline, bool (*visit)(uint16_t bdf));

/* Read a function's space; extended space where Linux sees it too (drivers/pci/probe.c, pci_cfg_space_size). */
void pci_read_config(uint16_t bdf, const struct ecam *ecam, unsigned ecams, struct config *config);

/* Offset of the first capability with this id in 256 bytes of config space, 0 when there is none; ends on
   loops. */
uint32_t pci_capability(const uint8_t *config, uint8_t id);
