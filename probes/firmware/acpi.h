/* ACPI tables found and walked; what they say is taken only as far as it proves to be whole. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"

enum {
    TABLES_MAX = 96,
    TABLE_BYTES_MAX = 1 << 20,
    IOAPICS_MAX = 16,
    UNITS_MAX = 16,
    ISA_IRQS = 16,
};

enum rsdp_found {
    RSDP_NOWHERE = 0,
    RSDP_LOADER = 1, /* a multiboot 2 tag */
    RSDP_EBDA = 2,   /* where seL4 does not look (seL4#178) */
    RSDP_BIOS = 3,   /* 0xe0000 to 0xfffff */
};

struct acpi_table {
    uint32_t address;
    uint32_t length;
    char signature[4];
    bool checksum_right;
};

struct acpi {
    uint32_t rsdp;
    enum rsdp_found found;
    bool of_bios; /* a root pointer lies where only BIOS firmware puts one, wherever ours is from */
    unsigned count;
    bool cut; /* there were more, above 4 GiB or beyond TABLES_MAX */
    struct acpi_table tables[TABLES_MAX];
};

struct madt_ioapic {
    uint32_t address;
    uint32_t gsi_base;
    uint8_t id;
};

struct madt {
    unsigned ioapics;
    struct madt_ioapic ioapic[IOAPICS_MAX];
    struct {
        uint32_t gsi;
        uint16_t flags; /* ACPI 6.4, 5.2.12.5: polarity in bits 1:0, trigger in 3:2 */
        bool present;
    } override[ISA_IRQS];
};

/* Find the root pointer (`told`: where the loader or a search of BIOS memory says it is, 0 for unknown) and
   list the tables; `acpi->count` is 0 where there is no ACPI. */
void acpi_find(uint32_t told, struct acpi *acpi);

/* The first table with this signature and a right checksum, NULL when there is none. */
const struct acpi_table *acpi_table(const struct acpi *acpi, const char *signature);

void acpi_read_madt(const struct acpi_table *table, struct madt *madt);

/* Ranges of segment 0 below 4 GiB; returns how many were stored. */
unsigned acpi_read_mcfg(const struct acpi_table *table, struct ecam ecam[ECAM_MAX]);

/* Register bases of the VT-d units below 4 GiB (VT-d 3.3, 8.3); returns how many were stored. */
unsigned acpi_read_dmar(const struct acpi_table *table, uint32_t units[UNITS_MAX]);

/* The registers that turn the machine off (ACPI 6.4, 4.8.3.2 and 7.4.2); false when they cannot be found. */
struct acpi_sleep {
    uint16_t control_a, control_b; /* I/O ports, b 0 when absent */
    uint8_t type_a, type_b;
};
bool acpi_read_sleep(const struct acpi *acpi, struct acpi_sleep *sleep);
