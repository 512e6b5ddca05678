/* I/O APICs: Intel 82093AA datasheet, 3.0; the EOI register of later ones: Intel ICH9 datasheet, 13.5. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "acpi.h"

enum {
    IOAPIC_PINS_MAX = 240,
    ENTRY_ACTIVE_LOW = 1 << 13,
    ENTRY_LEVEL = 1 << 15,
    ENTRY_MASKED = 1 << 16,
};

struct ioapic {
    uint32_t address;
    uint32_t gsi_base;
    uint32_t id;      /* register 0 */
    uint32_t version; /* register 1 */
    unsigned pins;    /* 0: nothing answers there */
    uint64_t found[IOAPIC_PINS_MAX]; /* entries as the firmware left them */
};

/* Read what `where` says is there, entries too. */
void ioapic_read(const struct madt_ioapic *where, struct ioapic *ioapic);

uint64_t ioapic_entry(const struct ioapic *ioapic, unsigned pin);

/* Write an entry; it is masked while it changes. */
void ioapic_write_entry(const struct ioapic *ioapic, unsigned pin, uint64_t entry);
void ioapic_mask(const struct ioapic *ioapic, unsigned pin, bool masked);
