/* What the probe reads, in order, into the report (report.h) and onto the screen. */
#pragma once

#include "acpi.h"
#include "multiboot.h"
#include "options.h"

/* `acpi` is filled; turning the machine off needs it later. The report must have been started. */
void probe(const struct boot_info *boot, const struct options *options, struct acpi *acpi);
