#include "multiboot.h"

#include <stddef.h>

/* Multiboot 0.6.96, 3.3 (boot information format). */
struct mb1_info {
    uint32_t flags;
    uint32_t mem_lower, mem_upper; /* KiB */
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr;
};

enum {
    MB1_MAGIC = 0x2badb002,
    MB1_HAS_MEMORY = 1 << 0,
    MB1_HAS_CMDLINE = 1 << 2,
    MB1_HAS_MODULES = 1 << 3,
    MB1_HAS_MMAP = 1 << 6,
};

struct mb1_module {
    uint32_t start, end, name, reserved;
};

struct mb1_region {
    uint32_t size; /* of what follows */
    uint64_t start, length;
    uint32_t type;
} __attribute__((packed));

/* Multiboot2 2.0, 3.6 (boot information format): tags, each at a multiple of 8. */
struct mb2_info {
    uint32_t total_size, reserved;
};

struct mb2_tag {
    uint32_t type, size;
};

enum {
    MB2_MAGIC = 0x36d76289,
    MB2_END = 0,
    MB2_CMDLINE = 1,
    MB2_MODULE = 3,
    MB2_MMAP = 6,
    MB2_EFI_32 = 11,
    MB2_EFI_64 = 12,
    MB2_ACPI_1 = 14,
    MB2_ACPI_2 = 15,
    MB2_EFI_MMAP = 17,
};

struct mb2_module {
    struct mb2_tag tag;
    uint32_t start, end;
    char name[];
};

struct mb2_mmap {
    struct mb2_tag tag;
    uint32_t entry_size, entry_version;
};

struct mb2_region {
    uint64_t start, length;
    uint32_t type, reserved;
};

static void add_module(struct boot_info *boot, uint32_t start, uint32_t end, const char *name)
{
    if (boot->modules_seen < MODULES_MAX) {
        boot->modules[boot->modules_seen] = (struct module){start, end, name};
    }
    boot->modules_seen++;
}

static void add_region(struct boot_info *boot, uint64_t start, uint64_t size, uint32_t type)
{
    if (boot->regions_seen < REGIONS_MAX) {
        boot->regions[boot->regions_seen] = (struct region){start, size, type};
    }
    boot->regions_seen++;
}

/* Signature and checksum of the ACPI 1.0 part: ACPI 6.4, 5.2.5.3. */
static bool is_rsdp(const uint8_t *candidate)
{
    static const char signature[] = "RSD PTR ";
    uint8_t sum = 0;
    for (int i = 0; i < 8; i++) {
        if (candidate[i] != (uint8_t)signature[i]) {
            return false;
        }
    }
    for (int i = 0; i < 20; i++) {
        sum += candidate[i];
    }
    return sum == 0;
}

/* ACPI 6.4, 5.2.5.1, without the extended BIOS data area: seL4 does not search there either. */
static uint32_t find_rsdp_of_bios(void)
{
    for (uint32_t address = 0xe0000; address < 0x100000; address += 16) {
        if (is_rsdp((const uint8_t *)address)) {
            return address;
        }
    }
    return 0;
}

static void read_mb1(const struct mb1_info *info, struct boot_info *boot)
{
    if (info->flags & MB1_HAS_CMDLINE) {
        boot->cmdline = (const char *)info->cmdline;
    }
    if (info->flags & MB1_HAS_MODULES) {
        const struct mb1_module *module = (const struct mb1_module *)info->mods_addr;
        for (uint32_t i = 0; i < info->mods_count; i++, module++) {
            add_module(boot, module->start, module->end, (const char *)module->name);
        }
    }
    if (info->flags & MB1_HAS_MMAP) {
        uint32_t end = info->mmap_addr + info->mmap_length;
        for (uint32_t at = info->mmap_addr; at < end;) {
            const struct mb1_region *region = (const struct mb1_region *)at;
            if (region->size < sizeof(*region) - sizeof(region->size) || region->size > end - at) {
                break;
            }
            add_region(boot, region->start, region->length, region->type);
            at += region->size + sizeof(region->size);
        }
    } else if (info->flags & MB1_HAS_MEMORY) {
        add_region(boot, 0x100000, (uint64_t)info->mem_upper << 10, 1);
    }
}

static void read_mb2_mmap(const struct mb2_mmap *map, struct boot_info *boot)
{
    const uint8_t *end = (const uint8_t *)map + map->tag.size;
    const uint8_t *at = (const uint8_t *)(map + 1);
    for (; map->entry_size && at < end && map->entry_size <= (uint32_t)(end - at); at += map->entry_size) {
        const struct mb2_region *region = (const struct mb2_region *)at;
        add_region(boot, region->start, region->length, region->type);
    }
}

static void read_mb2_tag(const struct mb2_tag *tag, struct boot_info *boot)
{
    const struct mb2_module *module = (const struct mb2_module *)tag;
    switch (tag->type) {
    case MB2_CMDLINE: boot->cmdline = (const char *)(tag + 1); break;
    case MB2_MODULE: add_module(boot, module->start, module->end, module->name); break;
    case MB2_EFI_32:
    case MB2_EFI_64:
    case MB2_EFI_MMAP: boot->uefi = true; break;
    case MB2_MMAP: read_mb2_mmap((const struct mb2_mmap *)tag, boot); break;
    case MB2_ACPI_1:
        boot->rsdp = boot->rsdp ? boot->rsdp : (uint32_t)(tag + 1);
        break;
    case MB2_ACPI_2: boot->rsdp = (uint32_t)(tag + 1); break; /* the newer pointer wins */
    }
}

static void read_mb2(const struct mb2_info *info, struct boot_info *boot)
{
    const uint8_t *end = (const uint8_t *)info + info->total_size;
    const uint8_t *at = (const uint8_t *)(info + 1);
    while (at + sizeof(struct mb2_tag) <= end) {
        const struct mb2_tag *tag = (const struct mb2_tag *)at;
        if (tag->type == MB2_END || tag->size < sizeof(*tag) || tag->size > (uint32_t)(end - at)) {
            break;
        }
        read_mb2_tag(tag, boot);
        at += (tag->size + 7) & ~7u;
    }
}

bool multiboot_read(uint32_t magic, const void *information, struct boot_info *boot)
{
    boot->cmdline = "";
    if (magic == MB1_MAGIC) {
        boot->protocol = 1;
        read_mb1(information, boot);
    } else if (magic == MB2_MAGIC) {
        boot->protocol = 2;
        read_mb2(information, boot);
    } else {
        return false;
    }
    boot->rsdp = boot->rsdp ? boot->rsdp : find_rsdp_of_bios();
    return true;
}
