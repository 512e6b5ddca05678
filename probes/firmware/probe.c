#include "probe.h"

#include "clock.h"
#include "cpu.h"
#include "functions.h"
#include "io.h"
#include "ioapic.h"
#include "pins.h"
#include "print.h"
#include "report.h"
#include "tables.h"

static struct madt madt;
static struct ioapic ioapics[IOAPICS_MAX];
static struct cpu cpu;

static void report_boot(const struct boot_info *boot, const struct acpi *acpi)
{
    static const char *const firmwares[] = {"not known", "BIOS", "UEFI"};
    unsigned firmware = boot->uefi ? 2 : acpi->of_bios ? 1 : 0;
    print("loaded by multiboot %u; firmware: %s; command line: %s\n", boot->protocol, firmwares[firmware],
          boot->cmdline);
    record_begin(RECORD_BOOT);
    record_u8(boot->protocol);
    record_u8(firmware);
    record_u32(acpi->rsdp);
    record_u8(acpi->found);
    record_u32(clock_ticks_per_ms());
    for (const char *c = boot->cmdline; *c; c++) {
        record_u8((uint8_t)*c);
    }
    if (!record_end()) {
        report_dropped();
    }
}

/* Firmware that already remaps decides itself what an IOAPIC entry may deliver, and to whom. */
static void report_remapping(const struct acpi *acpi)
{
    enum { GLOBAL_STATUS = 0x1c };
    static const uint32_t remaps_interrupts = 1u << 25, remaps_dma = 1u << 31; /* VT-d 3.3, 10.4.5 */
    uint32_t units[UNITS_MAX];
    const struct acpi_table *table = acpi_table(acpi, "DMAR");
    unsigned count = table ? acpi_read_dmar(table, units) : 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t status = mem_read32(units[i] + GLOBAL_STATUS);
        if (status == 0xffffffff) {
            report_note("a VT-d unit that the DMAR names reads as ones");
        } else if (status & remaps_interrupts) {
            report_note("firmware left interrupt remapping on: IOAPIC entries as written here may not deliver");
        } else if (status & remaps_dma) {
            report_note("firmware left DMA remapping on");
        }
    }
}

static void print_pin(const struct pin_result *result)
{
    static const char *const phases[] = {"as under seL4", "all IOAPICs open"};
    uint16_t bdf = result->bdf;
    print("pin of %02x:%02x.%u: %s", BUS(bdf), DEVICE(bdf), FUNCTION(bdf), pins_outcome_text(result->outcome));
    for (unsigned phase = 0; phase < PHASES; phase++) {
        if (!result->phase[phase].tries) {
            continue;
        }
        print("; %s:", phases[phase]);
        for (unsigned i = 0; i < result->phase[phase].count; i++) {
            print(" ioapic %u pin %u (%u of %u)", result->phase[phase].seen[i].ioapic,
                  result->phase[phase].seen[i].pin, result->phase[phase].seen[i].times,
                  result->phase[phase].tries);
        }
        print(result->phase[phase].count ? "" : " none");
    }
    print("\n");
}

static void measure_pins(const struct boot_info *boot, const struct options *options, unsigned ioapic_count)
{
    const uint16_t *list;
    unsigned count = functions_to_fire(options, &list);
    if (!count) {
        return;
    }
    pins_start(ioapics, ioapic_count, &madt, boot);
    for (unsigned i = 0; i < count; i++) {
        struct pin_result result;
        pins_measure(list[i], &result);
        print_pin(&result);
        pins_report(&result);
    }
    pins_stop();
}

void probe(const struct boot_info *boot, const struct options *options, struct acpi *acpi)
{
    acpi_find(boot->rsdp, acpi);
    report_boot(boot, acpi);
    if (options->misspelt) {
        report_note("the command line has a value that this probe does not understand");
    }
    cpu_read(&cpu);
    cpu_report(&cpu);
    memory_report(boot);
    tables_report(acpi, options->all_tables);
    report_remapping(acpi);
    unsigned ioapic_count = ioapics_read(acpi, &madt, ioapics);

    struct ecam ecam[ECAM_MAX];
    const struct acpi_table *mcfg = acpi_table(acpi, "MCFG");
    unsigned ecams = mcfg ? acpi_read_mcfg(mcfg, ecam) : 0;
    if (!ecams) {
        report_note("no MCFG below 4 GiB: extended config space is not read");
    }
    functions_read(options, ecam, ecams);
    measure_pins(boot, options, ioapic_count);
}
