#include "tables.h"

#include "io.h"
#include "print.h"
#include "report.h"

static bool is_wanted(const struct acpi_table *table, bool all)
{
    static const char wanted[][5] = {"APIC", "DMAR", "MCFG", "FACP", "HPET", "SPCR"};
    if (all || table->length < 36 || table->length > TABLE_BYTES_MAX) {
        return all && table->length >= 36 && table->length <= TABLE_BYTES_MAX;
    }
    for (unsigned i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        bool same = true;
        for (int c = 0; c < 4; c++) {
            same &= wanted[i][c] == table->signature[c];
        }
        if (same) {
            return true;
        }
    }
    return false;
}

static bool send_table(const struct acpi_table *table)
{
    record_begin(RECORD_TABLE);
    record_u32(table->address);
    for (uint32_t i = 0; i < table->length; i++) {
        record_u8(mem_read8(table->address + i));
    }
    return record_end();
}

void tables_report(const struct acpi *acpi, bool all)
{
    static const char *const places[] = {"nowhere", "from the loader", "in the EBDA", "in BIOS memory"};
    static bool sent[TABLES_MAX];
    print("ACPI: root pointer 0x%x %s; %u tables:", acpi->rsdp, places[acpi->found], acpi->count);
    for (unsigned i = 0; i < acpi->count; i++) {
        const char *name = acpi->tables[i].signature;
        sent[i] = is_wanted(&acpi->tables[i], all) && send_table(&acpi->tables[i]);
        print(" %c%c%c%c%s", name[0], name[1], name[2], name[3], acpi->tables[i].checksum_right ? "" : "(damaged)");
    }
    print("\n");
    if (acpi->cut) {
        report_note("some ACPI tables lie above 4 GiB or are too many: not read");
    }
    record_begin(RECORD_TABLES);
    for (unsigned i = 0; i < acpi->count; i++) {
        const struct acpi_table *table = &acpi->tables[i];
        record_bytes(table->signature, 4);
        record_u32(table->address);
        record_u32(table->length);
        record_u8((table->checksum_right ? 1u : 0) | (sent[i] ? 2u : 0));
    }
    if (!record_end()) {
        report_dropped();
    }
}

static unsigned known_regions(const struct boot_info *boot)
{
    return boot->regions_seen < REGIONS_MAX ? boot->regions_seen : REGIONS_MAX;
}

bool memory_is_ram(const struct boot_info *boot, uint64_t start, uint64_t size)
{
    unsigned known = known_regions(boot);
    for (unsigned i = 0; i < known; i++) {
        const struct region *region = &boot->regions[i];
        bool apart = start + size <= region->start || start >= region->start + region->size;
        if (region->type == 1 && !apart) {
            return true;
        }
    }
    return false;
}

void memory_report(const struct boot_info *boot)
{
    uint64_t usable = 0;
    unsigned known = known_regions(boot);
    record_begin(RECORD_MEMORY);
    for (unsigned i = 0; i < known; i++) {
        const struct region *region = &boot->regions[i];
        usable += region->type == 1 ? region->size : 0;
        record_u64(region->start);
        record_u64(region->size);
        record_u32(region->type);
    }
    if (!record_end()) {
        report_dropped();
    }
    print("memory: %u MiB usable in %u ranges\n", (unsigned)(usable >> 20), known);
    if (boot->regions_seen > known) {
        report_note("the loader's memory map has more ranges than there is room for here");
    }
}

static void report_ioapic(unsigned index, const struct ioapic *ioapic)
{
    unsigned open = 0;
    record_begin(RECORD_IOAPIC);
    record_u8(index);
    record_u32(ioapic->address);
    record_u32(ioapic->id);
    record_u32(ioapic->version);
    record_u32(ioapic->gsi_base);
    for (unsigned pin = 0; pin < ioapic->pins; pin++) {
        record_u64(ioapic->found[pin]);
        open += !(ioapic->found[pin] & ENTRY_MASKED);
    }
    if (!record_end()) {
        report_dropped();
    }
    print("ioapic %u: 0x%x, GSI %u on, %u pins, %u of them open\n", index, ioapic->address, ioapic->gsi_base,
          ioapic->pins, open);
}

unsigned ioapics_read(const struct acpi *acpi, struct madt *madt, struct ioapic ioapics[IOAPICS_MAX])
{
    const struct acpi_table *table = acpi_table(acpi, "APIC");
    *madt = (struct madt){0};
    if (table) {
        acpi_read_madt(table, madt);
    } else {
        report_note("no MADT: IOAPICs and their numbers are not known; one is looked for at 0xfec00000");
        madt->ioapics = 1;
        madt->ioapic[0].address = 0xfec00000; /* MultiProcessor Specification 1.4, 3.5.5 */
    }
    for (unsigned i = 0; i < madt->ioapics; i++) {
        ioapic_read(&madt->ioapic[i], &ioapics[i]);
        report_ioapic(i, &ioapics[i]);
    }
    return madt->ioapics;
}
