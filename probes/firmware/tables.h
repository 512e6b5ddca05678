/* ACPI tables, IOAPICs and memory into the report and onto the screen. */
#pragma once

#include "acpi.h"
#include "ioapic.h"
#include "multiboot.h"

void tables_report(const struct acpi *acpi, bool all);
void memory_report(const struct boot_info *boot);

/* Whether any of these bytes is memory by the loader's map. */
bool memory_is_ram(const struct boot_info *boot, uint64_t start, uint64_t size);

/* Read the IOAPICs of the MADT, or the one of a PC without a MADT; returns how many. */
unsigned ioapics_read(const struct acpi *acpi, struct madt *madt, struct ioapic ioapics[IOAPICS_MAX]);
