/* What the loader tells us, in one form for both protocols. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { MODULES_MAX = 16, REGIONS_MAX = 256 };

struct module {
    uint32_t start; /* physical address of the first byte */
    uint32_t end;   /* of the byte after the last */
    const char *name;
};

struct region {
    uint64_t start;
    uint64_t size;
    uint32_t type; /* ACPI 6.4, 15: 1 is memory, the rest is taken */
};

struct boot_info {
    const char *cmdline;
    uint32_t protocol; /* 1 or 2, 0 when the loader speaks neither */
    bool uefi;         /* multiboot 2 brought a pointer that only UEFI firmware has */
    uint32_t modules_seen; /* by the loader; the first MODULES_MAX are below */
    struct module modules[MODULES_MAX];
    uint32_t regions_seen;
    struct region regions[REGIONS_MAX];
    uint32_t rsdp; /* physical address of ACPI's root pointer, 0 when nobody told and none was found */
};

/* Read the information the loader left; false when `magic` belongs to neither protocol. */
bool multiboot_read(uint32_t magic, const void *information, struct boot_info *boot);
