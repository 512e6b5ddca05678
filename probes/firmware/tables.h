/* ACPI tables, IOAPICs and memory into the report and onto the screen. */
#pragma once

#include "acpi.h"
#include "ioapic.h"
#include "multiboot.h"

void tables_report(const struct acpi *acpi, bool all);
void memory_report(const struct boot_info *boot);

/* Read the IOAPICs of the MADT, or the one of a PC without a MADT; returns how many. */
unsigned ioapics_read(const struct acpi *acpi, struct madt *madt, struct ioapic ioapics[IOAPICS_MAX]);
