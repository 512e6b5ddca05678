#include "acpi.h"

#include <stddef.h>

#include "io.h"

enum {
    HEADER_BYTES = 36,
    EBDA_POINTER = 0x40e, /* segment of the extended BIOS data area, in the BIOS data area */
    EBDA_BYTES = 1024,
    BIOS_START = 0xe0000,
    BIOS_END = 0x100000,
};

/* Tables lie at any byte; memory is read in bytes so that no reading leaves one. */
static uint32_t read16(uint32_t address)
{
    return mem_read8(address) | (uint32_t)mem_read8(address + 1) << 8;
}

static uint32_t read32(uint32_t address)
{
    return read16(address) | read16(address + 2) << 16;
}

static bool is_text(uint32_t address, const char *text)
{
    for (; *text; text++, address++) {
        if (mem_read8(address) != (uint8_t)*text) {
            return false;
        }
    }
    return true;
}

static bool sums_to_zero(uint32_t address, uint32_t length)
{
    uint8_t sum = 0;
    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + mem_read8(address + i));
    }
    return sum == 0;
}

/* The 20 bytes of ACPI 1.0: ACPI 6.4, 5.2.5.3. */
static bool is_rsdp(uint32_t address)
{
    return is_text(address, "RSD PTR ") && sums_to_zero(address, 20);
}

static uint32_t find_between(uint32_t start, uint32_t end)
{
    for (uint32_t at = start; at < end; at += 16) {
        if (is_rsdp(at)) {
            return at;
        }
    }
    return 0;
}

/* The loader's word, then BIOS memory (ACPI 6.4, 5.2.5.1), where the EBDA comes last: seL4 does not look there. */
static void find_root(uint32_t told, struct acpi *acpi)
{
    uint32_t ebda = read16(EBDA_POINTER) << 4;
    uint32_t in_bios = find_between(BIOS_START, BIOS_END);
    uint32_t in_ebda = ebda ? find_between(ebda, ebda + EBDA_BYTES) : 0;
    acpi->of_bios = in_bios || in_ebda;
    if (told && is_rsdp(told)) {
        acpi->rsdp = told;
        acpi->found = told >= BIOS_START && told < BIOS_END ? RSDP_BIOS : RSDP_LOADER;
    } else {
        acpi->rsdp = in_bios ? in_bios : in_ebda;
        acpi->found = in_bios ? RSDP_BIOS : in_ebda ? RSDP_EBDA : RSDP_NOWHERE;
    }
}

static bool fits(uint32_t address, uint32_t length)
{
    return address && length >= HEADER_BYTES && length <= TABLE_BYTES_MAX && address <= UINT32_MAX - length;
}

static void add_table(struct acpi *acpi, uint32_t address)
{
    if (!address || address > UINT32_MAX - HEADER_BYTES || acpi->count == TABLES_MAX) {
        acpi->cut |= acpi->count == TABLES_MAX;
        return;
    }
    struct acpi_table *table = &acpi->tables[acpi->count++];
    *table = (struct acpi_table){.address = address, .length = read32(address + 4)};
    for (int i = 0; i < 4; i++) {
        uint8_t c = mem_read8(address + (uint32_t)i);
        table->signature[i] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    table->checksum_right = fits(address, table->length) && sums_to_zero(address, table->length);
}

/* RSDT entries are 4 bytes wide, XSDT entries 8 (ACPI 6.4, 5.2.7 and 5.2.8). */
static void list_tables(struct acpi *acpi, uint32_t root, uint32_t width)
{
    uint32_t length = read32(root + 4);
    for (uint32_t at = HEADER_BYTES; at + width <= length; at += width) {
        if (width == 8 && read32(root + at + 4)) {
            acpi->cut = true;
            continue;
        }
        add_table(acpi, read32(root + at));
    }
}

static bool is_root(uint32_t address, const char *signature)
{
    return address && address <= UINT32_MAX - HEADER_BYTES && is_text(address, signature) &&
           fits(address, read32(address + 4)) && sums_to_zero(address, read32(address + 4));
}

/* The differentiated table is reached from the fixed one only (ACPI 6.4, 5.2.9). */
static void add_dsdt(struct acpi *acpi)
{
    const struct acpi_table *fixed = acpi_table(acpi, "FACP");
    if (!fixed || fixed->length < 44) {
        return;
    }
    bool wide = fixed->length >= 148 && read32(fixed->address + 140) && !read32(fixed->address + 144);
    add_table(acpi, read32(fixed->address + (wide ? 140 : 40)));
}

void acpi_find(uint32_t told, struct acpi *acpi)
{
    *acpi = (struct acpi){0};
    find_root(told, acpi);
    if (!acpi->rsdp) {
        return;
    }
    uint32_t rsdt = read32(acpi->rsdp + 16);
    bool second = mem_read8(acpi->rsdp + 15) >= 2 && !read32(acpi->rsdp + 28);
    uint32_t xsdt = second ? read32(acpi->rsdp + 24) : 0;
    if (is_root(xsdt, "XSDT")) {
        list_tables(acpi, xsdt, 8);
    } else if (is_root(rsdt, "RSDT")) {
        list_tables(acpi, rsdt, 4);
    }
    add_dsdt(acpi);
}

const struct acpi_table *acpi_table(const struct acpi *acpi, const char *signature)
{
    for (unsigned i = 0; i < acpi->count; i++) {
        const struct acpi_table *table = &acpi->tables[i];
        bool same = true;
        for (int c = 0; c < 4; c++) {
            same &= table->signature[c] == signature[c];
        }
        if (same && table->checksum_right) {
            return table;
        }
    }
    return NULL;
}

static void read_override(uint32_t entry, struct madt *madt)
{
    uint8_t source = mem_read8(entry + 3);
    if (source < ISA_IRQS) {
        madt->override[source].present = true;
        madt->override[source].gsi = read32(entry + 4);
        madt->override[source].flags = (uint16_t)read16(entry + 8);
    }
}

void acpi_read_madt(const struct acpi_table *table, struct madt *madt)
{
    *madt = (struct madt){0};
    uint32_t end = table->address + table->length;
    for (uint32_t at = table->address + 44; at + 2 <= end;) {
        uint8_t type = mem_read8(at);
        uint8_t length = mem_read8(at + 1);
        if (length < 2 || length > end - at) {
            return;
        }
        if (type == 1 && length >= 12 && madt->ioapics < IOAPICS_MAX) {
            madt->ioapic[madt->ioapics++] = (struct madt_ioapic){
                .id = mem_read8(at + 2), .address = read32(at + 4), .gsi_base = read32(at + 8)};
        }
        if (type == 2 && length >= 10) {
            read_override(at, madt);
        }
        at += length;
    }
}

unsigned acpi_read_mcfg(const struct acpi_table *table, struct ecam ecam[ECAM_MAX])
{
    enum { FIRST = 44, WIDTH = 16 };
    unsigned count = 0;
    for (uint32_t at = FIRST; at + WIDTH <= table->length && count < ECAM_MAX; at += WIDTH) {
        uint32_t entry = table->address + at;
        struct ecam range = {
            .base = read32(entry), .first_bus = mem_read8(entry + 10), .last_bus = mem_read8(entry + 11)};
        uint64_t end = (uint64_t)range.base + ((uint64_t)range.last_bus + 1) * 0x100000;
        bool usable = range.base && !read32(entry + 4) && range.first_bus <= range.last_bus && end <= 1ull << 32;
        if (usable && read16(entry + 8) == 0) {
            ecam[count++] = range;
        }
    }
    return count;
}

unsigned acpi_read_dmar(const struct acpi_table *table, uint32_t units[UNITS_MAX])
{
    unsigned count = 0;
    uint32_t end = table->address + table->length;
    for (uint32_t at = table->address + 48; at + 16 <= end && count < UNITS_MAX;) {
        uint32_t length = read16(at + 2);
        if (length < 4 || length > end - at) {
            break;
        }
        if (read16(at) == 0 && length >= 16 && read32(at + 8) && !read32(at + 12)) {
            units[count++] = read32(at + 8);
        }
        at += length;
    }
    return count;
}

/* A byte constant in AML is its value (0x0a and the byte) or one of the one-byte zero and one. Returns what follows
   it, 0 when it is neither or does not end before `end`. */
static uint32_t read_constant(uint32_t at, uint32_t end, uint8_t *value)
{
    uint32_t next = at < end && mem_read8(at) == 0x0a ? at + 2 : at + 1;
    if (!at || next > end) {
        return 0;
    }
    uint8_t operation = mem_read8(at);
    *value = (operation == 0x0a ? mem_read8(at + 1) : operation) & 7;
    return operation == 0x0a || operation <= 1 ? next : 0; /* ZeroOp 0x00, OneOp 0x01 */
}

/* Name(_S5, Package(){type a, type b, …}): 08 "_S5_" 12 length count …; the length takes 1 byte here, as the
   package is short. `name` is where the text begins, `end` where the table does. */
static bool read_sleep_types(uint32_t name, uint32_t end, struct acpi_sleep *sleep)
{
    if (name + 7 > end || mem_read8(name + 4) != 0x12 || mem_read8(name + 5) > 0x3f || mem_read8(name + 6) < 2) {
        return false;
    }
    return read_constant(read_constant(name + 7, end, &sleep->type_a), end, &sleep->type_b);
}

static bool find_sleep_types(const struct acpi_table *table, struct acpi_sleep *sleep)
{
    uint32_t end = table->address + table->length;
    for (uint32_t name = table->address + HEADER_BYTES + 1; name + 4 <= end; name++) {
        if (mem_read8(name - 1) == 0x08 && is_text(name, "_S5_") && read_sleep_types(name, end, sleep)) {
            return true;
        }
    }
    return false;
}

/* Names may be defined in the DSDT or in any SSDT: they load into one namespace (ACPI 6.4, 5.2.11.2). */
static bool defines_names(const struct acpi_table *table)
{
    const char *of = table->signature;
    return (of[0] == 'D' || of[0] == 'S') && of[1] == 'S' && of[2] == 'D' && of[3] == 'T' && table->checksum_right;
}

bool acpi_read_sleep(const struct acpi *acpi, struct acpi_sleep *sleep)
{
    const struct acpi_table *fixed = acpi_table(acpi, "FACP");
    if (!fixed || fixed->length < 72) {
        return false;
    }
    *sleep = (struct acpi_sleep){.control_a = (uint16_t)read32(fixed->address + 64),
                                 .control_b = (uint16_t)read32(fixed->address + 68)};
    for (unsigned i = 0; i < acpi->count; i++) {
        if (defines_names(&acpi->tables[i]) && find_sleep_types(&acpi->tables[i], sleep)) {
            return sleep->control_a != 0;
        }
    }
    return false;
}
