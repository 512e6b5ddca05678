/* Each PCI function into the report and onto the screen. */
#pragma once

#include "acpi.h"
#include "options.h"

/* Scan, size and report everything; `ecam` as acpi_read_mcfg() gave it. */
void functions_read(const struct options *options, const struct ecam *ecam, unsigned ecams);

/* Which functions to fire: those asked for, or every Ethernet function of a known family that was found. */
unsigned functions_to_fire(const struct options *options, const uint16_t **list);
