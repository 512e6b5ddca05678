#include "functions.h"

#include "bytes.h"
#include "clock.h"
#include "nic.h"
#include "pins.h"
#include "print.h"
#include "report.h"
#include "size.h"

/* A root port that retries requests to a dead link may take 100 ms for each; nobody waits for 8192 of those. */
enum { SCAN_LIMIT_MS = 60000, CLASS_ETHERNET = 0x0200 };

static const struct options *asked;
static const struct ecam *ranges;
static unsigned range_count, found;
static struct config config;
static struct sizes sizes;
static uint16_t ethernet[FIRED_MAX];
static unsigned ethernets;

static void record(uint16_t bdf, uint32_t size)
{
    record_begin(RECORD_FUNCTION);
    record_u16(bdf);
    record_u8(config.ecam);
    record_u8(config.differing);
    record_u8(config.difference);
    record_u8(sizes.state);
    for (unsigned i = 0; i < BARS; i++) {
        record_u32(sizes.bar[i]);
    }
    record_u32(sizes.rom);
    record_bytes(config.bytes, size);
}

static void print_size(uint64_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    for (; size >= 1024 && size % 1024 == 0; size /= 1024) {
        unit++;
    }
    print(" %u %s", (unsigned)size, units[unit]);
}

static void print_bars(void)
{
    bool has_bars = (config.bytes[PCI_HEADER_TYPE] & 0x7f) == 0 && sizes.state != SIZING_NO_BARS;
    unsigned bars = has_bars ? BARS : 0;
    for (unsigned i = 0; i < bars; i += bar_is_wide(config.bytes, i) ? 2 : 1) {
        uint64_t size = bar_size(config.bytes, &sizes, i);
        if (!size && !bar_base(config.bytes, i)) {
            continue;
        }
        print("  %u: %s 0x%llx", i, bar_is_io(config.bytes, i) ? "io" : "mem",
              (unsigned long long)bar_base(config.bytes, i));
        if (size) {
            print_size(size);
        }
    }
    if (sizes.state == SIZING_UNRESTORED) {
        print("  NOT RESTORED");
    }
}

static void print_line(uint16_t bdf)
{
    const uint8_t *bytes = config.bytes;
    uint8_t pin = bytes[PCI_INTERRUPT_PIN];
    print("%02x:%02x.%u %04x:%04x class %04x INT%c", BUS(bdf), DEVICE(bdf), FUNCTION(bdf), get16(bytes),
          get16(bytes + 2), get16(bytes + PCI_CLASS), pin >= 1 && pin <= 4 ? 'A' + pin - 1 : '-');
    if ((bytes[PCI_HEADER_TYPE] & 0x7f) == 1) {
        print("  bridge to %02x-%02x", bytes[0x19], bytes[0x1a]);
    }
    print_bars();
    print("\n");
}

static bool visit(uint16_t bdf)
{
    const uint16_t consoles[CONSOLES_MAX] = {asked->port, asked->also};
    pci_read_config(bdf, ranges, range_count, &config);
    sizes = (struct sizes){.state = SIZING_NOT_ASKED};
    if (asked->size) {
        size_bars(bdf, config.bytes, consoles, &sizes);
    }
    /* Where memory runs out, the part that seL4 can see goes first. */
    record(bdf, config.size);
    if (!record_end()) {
        record(bdf, CONFIG_BYTES);
        if (!record_end()) {
            report_dropped();
        }
    }
    print_line(bdf);
    uint16_t vendor = get16(config.bytes), device = get16(config.bytes + 2);
    if (get16(config.bytes + PCI_CLASS) == CLASS_ETHERNET && nic_family(vendor, device) != NIC_UNKNOWN &&
        ethernets < FIRED_MAX) {
        ethernet[ethernets++] = bdf;
    }
    found++;
    return true;
}

void functions_read(const struct options *options, const struct ecam *ecam, unsigned ecams)
{
    asked = options;
    ranges = ecam;
    range_count = ecams;
    found = ethernets = 0;
    if (!pci_present()) {
        report_note("no PCI: ports 0xcf8 and 0xcfc do not answer");
        return;
    }
    unsigned buses = pci_scan(clock_now() + (uint64_t)SCAN_LIMIT_MS * clock_ticks_per_ms(), visit);
    if (buses < 256) {
        report_note("the scan took too long and was cut: functions on the last buses are missing");
    }
    print("%u PCI functions on %u buses\n", found, buses);
}

unsigned functions_to_fire(const struct options *options, const uint16_t **list)
{
    *list = options->fire_nics ? ethernet : options->fire;
    return options->fire_nics ? ethernets : options->fire_count;
}
