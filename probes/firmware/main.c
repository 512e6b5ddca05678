/* The firmware probe: started as a kernel is, it reports the machine as the firmware left it, over a UART, and
   hands over to nobody. It writes to no disk and enables no device. */

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "functions.h"
#include "io.h"
#include "machine.h"
#include "multiboot.h"
#include "options.h"
#include "pins.h"
#include "print.h"
#include "report.h"
#include "serve.h"
#include "tables.h"
#include "traps.h"
#include "uart.h"

enum { UART_PATIENCE_MS = 2000 };

static struct boot_info boot;
static struct options options;
static struct acpi acpi;
static struct madt madt;
static struct ioapic ioapics[IOAPICS_MAX];
static struct cpu cpu;

static void turn_off(void)
{
    enum { TYPE_SHIFT = 10, TYPE = 7 << TYPE_SHIFT, ENABLE = 1 << 13 };
    struct acpi_sleep sleep;
    if (!acpi_read_sleep(&acpi, &sleep)) {
        print("bringup firmware probe: this machine does not say how to turn it off\n");
        return;
    }
    uint16_t ports[2] = {sleep.control_a, sleep.control_b};
    uint8_t types[2] = {sleep.type_a, sleep.type_b};
    for (int i = 0; i < 2 && ports[i]; i++) {
        uint16_t kept = (uint16_t)(io_in16(ports[i]) & ~(TYPE | ENABLE));
        io_out16(ports[i], (uint16_t)(kept | types[i] << TYPE_SHIFT | ENABLE));
    }
    wait_ms(2000);
    print("bringup firmware probe: it did not turn off\n");
}

static _Noreturn void finish(void)
{
    static const char *const words[] = {"halts", "turns the machine off", "restarts the machine"};
    print("bringup firmware probe: %s\n", words[options.after]);
    uart_drain();
    if (options.after == AFTER_REBOOT) {
        reset_machine();
    }
    if (options.after == AFTER_OFF) {
        turn_off();
    }
    halt();
}

_Noreturn void trap_fatal(uint32_t vector, uint32_t address)
{
    print("\nbringup firmware probe: exception %u at 0x%x\n", vector, address);
    finish();
}

static void report_boot(void)
{
    static const char *const firmwares[] = {"not known", "BIOS", "UEFI"};
    /* A root pointer in BIOS memory is what BIOS firmware leaves, and UEFI does not. */
    unsigned firmware = boot.uefi ? 2 : acpi.found == RSDP_BIOS || acpi.found == RSDP_EBDA ? 1 : 0;
    print("loaded by multiboot %u; firmware: %s; command line: %s\n", boot.protocol, firmwares[firmware],
          boot.cmdline);
    record_begin(RECORD_BOOT);
    record_u8(boot.protocol);
    record_u8(firmware);
    record_u32(acpi.rsdp);
    record_u8(acpi.found);
    record_u32(clock_ticks_per_ms());
    for (const char *c = boot.cmdline; *c; c++) {
        record_u8((uint8_t)*c);
    }
    if (!record_end()) {
        report_dropped();
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

static void measure_pins(unsigned ioapic_count)
{
    const uint16_t *list;
    unsigned count = functions_to_fire(&options, &list);
    if (!count) {
        return;
    }
    pins_start(ioapics, ioapic_count, &madt);
    for (unsigned i = 0; i < count; i++) {
        struct pin_result result;
        pins_measure(list[i], &result);
        print_pin(&result);
        pins_report(&result);
    }
    pins_stop();
}

static void probe(void)
{
    acpi_find(boot.rsdp, &acpi);
    report_boot();
    if (options.misspelt) {
        report_note("the command line has a value that this probe does not understand");
    }
    cpu_read(&cpu);
    cpu_report(&cpu);
    memory_report(&boot);
    tables_report(&acpi, options.all_tables);
    unsigned ioapic_count = ioapics_read(&acpi, &madt, ioapics);

    struct ecam ecam[ECAM_MAX];
    const struct acpi_table *mcfg = acpi_table(&acpi, "MCFG");
    unsigned ecams = mcfg ? acpi_read_mcfg(mcfg, ecam) : 0;
    if (!ecams) {
        report_note("no MCFG below 4 GiB: extended config space is not read");
    }
    functions_read(&options, ecam, ecams);
    measure_pins(ioapic_count);
}

_Noreturn void image_main(uint32_t magic, const void *information)
{
    bool multiboot = multiboot_read(magic, information, &boot);
    options_read(boot.cmdline, &options);
    traps_start();
    clock_start();
    uart_give_up_after(UART_PATIENCE_MS);
    uart_start(options.port);
    if (options.also) {
        uart_start(options.also);
    }
    print("\nbringup firmware probe, not seL4\n");
    if (!multiboot) {
        print("bringup firmware probe: loaded by something that speaks neither multiboot 1 nor 2\n");
        finish();
    }
    report_start((uint8_t)read_tsc());
    probe();
    report_finish();
    bool done = serve(options.wait_s);
    print("bringup firmware probe: %s\n", done ? "the other side has everything" : "nobody asks any more");
    finish();
}
