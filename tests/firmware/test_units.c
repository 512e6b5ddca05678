/* Parts of the probe against the simulated machine. */
#include <string.h>

#include "acpi.h"
#include "frame.h"
#include "nic.h"
#include "options.h"
#include "pack.h"
#include "pci.h"
#include "pins.h"
#include "report.h"
#include "serve.h"
#include "sim.h"
#include "size.h"

static void test_packing(void)
{
    uint8_t out[64];
    struct packer packer;
    pack_start(&packer, out, sizeof(out));
    for (int i = 0; i < 4096; i++) {
        pack_byte(&packer, i == 0 ? 0x86 : 0);
    }
    pack_finish(&packer);
    CHECK(!packer.overflow && packer.size == 4); /* a literal of one, then one long run of zeros */
    CHECK(out[0] == 0 && out[1] == 0x86 && out[2] == 0xc0 + ((4095 - 66) >> 8) && out[3] == ((4095 - 66) & 0xff));
    pack_start(&packer, out, 3);
    for (int i = 1; i < 10; i++) {
        pack_byte(&packer, (uint8_t)i);
    }
    pack_finish(&packer);
    CHECK(packer.overflow && packer.size == 3);
}

static void test_crc(void)
{
    CHECK(crc16((const uint8_t *)"123456789", 9) == 0x29b1); /* CRC-16/CCITT-FALSE, the catalogue's check */
}

/* The probe sizes from a copy of config space, not from the device. */
static void size_it(const struct sim_function *function, const uint16_t consoles[CONSOLES_MAX], struct sizes *sizes)
{
    static struct config config;
    pci_read_config(function->bdf, NULL, 0, &config);
    size_bars(function->bdf, config.bytes, consoles, sizes);
}

static void test_sizing(void)
{
    static const uint16_t consoles[CONSOLES_MAX] = {0x2f8, 0};
    struct sizes sizes;
    sim_reset();
    struct sim_function *nic = sim_add(0xb500, 0x8086, 0x37d2, 0x0200);
    sim_bar(nic, 0, 0xfa00000c, 0xff000000); /* 16 MiB, 64 bits, prefetchable */
    sim_bar(nic, 1, 0x00000000, 0xffffffff);
    sim_bar(nic, 2, 0x00007061, 0x0000ffe0); /* 32 ports; the upper bits are not kept */
    sim_bar(nic, 3, 0xfb008000, 0xffff8000); /* 32 KiB */
    sim_bar(nic, 5, 0x00000004, 0xfffff000); /* claims 64 bits in the last register */
    sim_set32(nic, 0x30, 0xfbd80001);
    memset(nic->writable + 0x32, 0xff, 2);
    nic->writable[0x31] = 0xf8;
    nic->writable[0x30] = 0x01;
    struct sim_function before = *nic;

    size_it(nic, consoles, &sizes);
    CHECK(sizes.state == SIZED);
    CHECK(!memcmp(before.config, nic->config, sizeof(before.config)));
    CHECK(!nic->touched_decoding);
    CHECK(bar_size(nic->config, &sizes, 0) == 16 << 20);
    CHECK(bar_size(nic->config, &sizes, 2) == 32);
    CHECK(bar_size(nic->config, &sizes, 3) == 32 << 10);
    CHECK(bar_size(nic->config, &sizes, 4) == 0);
    CHECK(sizes.rom == 0xfffff800);

    /* 8 GiB in the upper half alone */
    sim_bar(nic, 0, 0x0000000c, 0x00000000);
    sim_bar(nic, 1, 0x00000038, 0xfffffffe);
    size_it(nic, consoles, &sizes);
    CHECK(bar_size(nic->config, &sizes, 0) == 8ull << 30);
    CHECK(bar_base(nic->config, 0) == 0x3800000000ull);

    nic->sticky_bar = 3;
    size_it(nic, consoles, &sizes);
    CHECK(sizes.state == SIZING_UNRESTORED);
}

static void test_what_is_never_sized(void)
{
    static const uint16_t consoles[CONSOLES_MAX] = {0x3f8, 0xe018};
    struct sizes sizes;
    sim_reset();
    struct sim_function *bridge = sim_add(0x0010, 0x8086, 0x2030, 0x0604);
    bridge->config[0x0e] = 1;
    struct sim_function *lpc = sim_add(0x00f8, 0x8086, 0xa1c8, 0x0601);
    struct sim_function *vga = sim_add(0x0300, 0x1a03, 0x2000, 0x0300);
    struct sim_function *serial = sim_add(0x0400, 0x1d6a, 0x1234, 0x0700);
    sim_bar(serial, 0, 0xe001, 0xffe0);
    struct sim_function *mrom = sim_add(0x0088, 0x8086, 0xa1ec, 0xff00);
    sim_bar(mrom, 0, 0x12345670, 0xffffffff); /* no BAR, whatever it looks like */
    const enum sizing expected[] = {SIZING_BRIDGE, SIZING_BRIDGE, SIZING_DISPLAY, SIZING_CONSOLE, SIZING_NO_BARS};
    for (unsigned i = 0; i < sim_count; i++) {
        size_it(&sim_functions[i], consoles, &sizes);
        CHECK(sizes.state == expected[i]);
        CHECK(!sim_functions[i].touched);
    }
    (void)lpc, (void)vga;
}

/* What an exception cuts short is put back: here the write that would have restored BAR 0 did not happen. */
static void test_sizing_that_is_cut_short(void)
{
    static const uint16_t consoles[CONSOLES_MAX] = {0x3f8, 0};
    static struct config config;
    struct sizes sizes;
    sim_reset();
    struct sim_function *nic = sim_add(0xb500, 0x8086, 0x37d2, 0x0200);
    sim_bar(nic, 0, 0xfa00000c, 0xff000000);
    sim_bar(nic, 1, 0x00000038, 0xffffffff);
    struct sim_function before = *nic;
    pci_read_config(nic->bdf, NULL, 0, &config);
    sim_trap_at_write = 4; /* decode off, then both halves of BAR 0; the next write is the first that restores */
    if (!setjmp(sim_trap)) {
        size_bars(nic->bdf, config.bytes, consoles, &sizes);
        CHECK(!"it was not cut short");
    }
    CHECK(memcmp(before.config, nic->config, sizeof(before.config)));
    size_abandon();
    CHECK(!memcmp(before.config, nic->config, sizeof(before.config)));
    CHECK(!nic->touched_decoding);
    size_abandon(); /* and nothing a second time */
    CHECK(!memcmp(before.config, nic->config, sizeof(before.config)));
}

static uint16_t visited[SIM_FUNCTIONS_MAX + 1];
static unsigned visits;

static bool visit(uint16_t bdf)
{
    CHECK(visits < SIM_FUNCTIONS_MAX);
    visited[visits++] = bdf;
    return true;
}

static void test_scan(void)
{
    sim_reset();
    sim_add(0x0000, 0x8086, 0x2020, 0x0600);
    struct sim_function *many = sim_add(0x1700, 0x8086, 0x1521, 0x0200);
    many->config[0x0e] = 0x80;
    sim_add(0x1703, 0x8086, 0x1521, 0x0200);
    sim_add(0x1801, 0x8086, 0x1521, 0x0200); /* no function 0: not there, for Linux and for seL4 */
    sim_add(0x1a00, 0xffff, 0xffff, 0xffff); /* all ones */
    sim_add(0xfff8, 0x8086, 0x1234, 0x0880);
    visits = 0;
    CHECK(pci_present());
    CHECK(pci_scan(~0ull, visit) == 256);
    CHECK(visits == 4);
    CHECK(visited[0] == 0 && visited[1] == 0x1700 && visited[2] == 0x1703 && visited[3] == 0xfff8);
    visits = 0;
    CHECK(pci_scan(0, visit) == 0 && visits == 0);
}

static void test_capability_walks_end(void)
{
    sim_reset();
    struct sim_function *function = sim_add(0x0100, 0x8086, 0x10d3, 0x0200);
    sim_set16(function, 0x06, 0x0010);
    function->config[0x34] = 0x43; /* the low bits do not count */
    function->config[0x40] = 0x05;
    function->config[0x41] = 0x50;
    function->config[0x50] = 0x11;
    function->config[0x51] = 0x40; /* back to the first */
    CHECK(pci_capability(function->config, 0x11) == 0x50);
    CHECK(pci_capability(function->config, 0x10) == 0);
    function->config[0x51] = 0xfc;
    function->config[0xfc] = 0x01;
    function->config[0xfd] = 0xff;
    CHECK(pci_capability(function->config, 0x10) == 0);
    sim_set16(function, 0x06, 0);
    CHECK(pci_capability(function->config, 0x11) == 0);
}

static void test_extended_space(void)
{
    static struct config config;
    const struct ecam ecam = {0xb0000000, 0, 0x7f};
    sim_reset();
    sim_ecam = 0xb0000000;
    struct sim_function *function = sim_add(0x1700, 0x8086, 0x1521, 0x0200);
    sim_set16(function, 0x06, 0x0010);
    function->config[0x34] = 0x40;
    function->config[0x40] = 0x10;
    sim_set32(function, 0x100, 0x15010001);
    function->config[0xfff] = 0xaa;
    pci_read_config(0x1700, &ecam, 1, &config);
    CHECK(config.size == 4096 && config.ecam == ECAM_EQUAL && !memcmp(config.bytes, function->config, 4096));

    sim_ecam_aliased = true;
    pci_read_config(0x1700, &ecam, 1, &config);
    CHECK(config.size == 256 && config.ecam == ECAM_EQUAL);
    sim_ecam_aliased = false;
    sim_set32(function, 0x100, 0xffffffff);
    pci_read_config(0x1700, &ecam, 1, &config);
    CHECK(config.size == 256);
    function->config[0x40] = 0x05; /* no PCI Express capability: 256 bytes, as in Linux */
    sim_set32(function, 0x100, 0x15010001);
    pci_read_config(0x1700, &ecam, 1, &config);
    CHECK(config.size == 256);
    function->bdf = 0x8000; /* beyond the range */
    pci_read_config(0x8000, &ecam, 1, &config);
    CHECK(config.size == 256 && config.ecam == ECAM_ABSENT);
    sim_ecam = 0xa0000000; /* MCFG is wrong: nobody answers there */
    function->bdf = 0x1700;
    pci_read_config(0x1700, &ecam, 1, &config);
    CHECK(config.ecam == ECAM_STRANGER && config.size == 256);
}

static void put_sum(uint8_t *table, unsigned size, unsigned at)
{
    uint8_t sum = 0;
    table[at] = 0;
    for (unsigned i = 0; i < size; i++) {
        sum = (uint8_t)(sum + table[i]);
    }
    table[at] = (uint8_t)-sum;
}

static void make_table(uint8_t *table, const char *signature, uint32_t size)
{
    memcpy(table, signature, 4);
    memcpy(table + 4, &size, 4);
    put_sum(table, size, 9);
}

static void make_rsdp(uint8_t rsdp[36], uint32_t rsdt, uint64_t xsdt)
{
    memset(rsdp, 0, 36);
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = xsdt ? 2 : 0;
    memcpy(rsdp + 16, &rsdt, 4);
    memcpy(rsdp + 24, &xsdt, 8);
    put_sum(rsdp, 20, 8);
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

static void test_acpi(void)
{
    static struct acpi acpi;
    static struct madt madt;
    uint8_t rsdp[36], xsdt[36 + 24] = {0}, apic[100] = {0}, mcfg[44 + 32] = {0}, fixed[244] = {0}, dsdt[80] = {0};
    sim_reset();
    acpi_find(0, &acpi);
    CHECK(acpi.found == RSDP_NOWHERE && acpi.count == 0);

    put32(xsdt + 36, 0x10000);
    put32(xsdt + 44, 0x20000);
    put32(xsdt + 52, 0x30000);
    make_table(xsdt, "XSDT", sizeof(xsdt));
    apic[44] = 1, apic[45] = 12, apic[46] = 8; /* IOAPIC 8 at fec00000 */
    put32(apic + 48, 0xfec00000);
    apic[56] = 1, apic[57] = 12, apic[58] = 9; /* and one at fec01000 from GSI 24 */
    put32(apic + 60, 0xfec01000);
    put32(apic + 64, 24);
    apic[68] = 2, apic[69] = 10, apic[71] = 9, apic[72] = 9, apic[76] = 0x0d;
    apic[78] = 0, apic[79] = 0; /* length 0: the walk ends */
    make_table(apic, "APIC", sizeof(apic));
    put32(mcfg + 44, 0x80000000);
    mcfg[55] = 0xff;
    put32(mcfg + 60, 0xf8000000); /* would end above 4 GiB */
    mcfg[71] = 0xff;
    make_table(mcfg, "MCFG", sizeof(mcfg));
    put32(fixed + 64, 0x504);
    put32(fixed + 40, 0x50000);
    make_table(fixed, "FACP", sizeof(fixed));
    memcpy(dsdt + 40, "\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05", 12);
    make_table(dsdt, "DSDT", sizeof(dsdt));
    make_rsdp(rsdp, 0, 0x40000);
    sim_memory(0x9fc00, rsdp, sizeof(rsdp));
    sim_memory(0x40e, "\xc0\x9f", 2);
    sim_memory(0x40000, xsdt, sizeof(xsdt));
    sim_memory(0x10000, apic, sizeof(apic));
    sim_memory(0x20000, mcfg, sizeof(mcfg));
    sim_memory(0x30000, fixed, sizeof(fixed));
    sim_memory(0x50000, dsdt, sizeof(dsdt));

    acpi_find(0, &acpi);
    CHECK(acpi.found == RSDP_EBDA && acpi.rsdp == 0x9fc00 && acpi.count == 4 && !acpi.cut);
    acpi_read_madt(acpi_table(&acpi, "APIC"), &madt);
    CHECK(madt.ioapics == 2 && madt.ioapic[1].address == 0xfec01000 && madt.ioapic[1].gsi_base == 24);
    CHECK(madt.override[9].present && madt.override[9].gsi == 9 && madt.override[9].flags == 0x0d);
    struct ecam ecam[ECAM_MAX];
    CHECK(acpi_read_mcfg(acpi_table(&acpi, "MCFG"), ecam) == 1 && ecam[0].base == 0x80000000);
    struct acpi_sleep sleep;
    CHECK(acpi_read_sleep(&acpi, &sleep) && sleep.control_a == 0x504 && sleep.type_a == 5);

    acpi_find(0x9fc00, &acpi);
    CHECK(acpi.found == RSDP_LOADER && acpi.of_bios);

    uint8_t dmar[48 + 16 + 24 + 16 + 4] = {0};
    uint32_t units[UNITS_MAX];
    dmar[50] = 16; /* a unit at d37fc000 */
    put32(dmar + 56, 0xd37fc000);
    dmar[64] = 1, dmar[66] = 24; /* an RMRR */
    dmar[90] = 16; /* a unit above 4 GiB */
    put32(dmar + 100, 1);
    dmar[106] = 200; /* longer than the table: the walk ends */
    const struct acpi_table table = {.address = 0x60000, .length = sizeof(dmar), .checksum_right = true};
    sim_memory(0x60000, dmar, sizeof(dmar));
    CHECK(acpi_read_dmar(&table, units) == 1 && units[0] == 0xd37fc000);

    apic[50] ^= 1; /* damaged: listed, and not believed */
    sim_reset();
    sim_memory(0xe0000, rsdp, sizeof(rsdp));
    sim_memory(0x40000, xsdt, sizeof(xsdt));
    sim_memory(0x10000, apic, sizeof(apic));
    acpi_find(0xe0000, &acpi);
    CHECK(acpi.found == RSDP_BIOS && acpi.count == 3);
    CHECK(!acpi.tables[0].checksum_right && !acpi_table(&acpi, "APIC"));
    CHECK(acpi.tables[1].length == 0xffffffff && !acpi.tables[1].checksum_right); /* nothing is there */
}

/* The sleep types lie anywhere in any table of names, to its last byte, and no byte behind it is read. */
static void test_sleep_types_lie_in_any_table_of_names(void)
{
    static const char S5[] = "\x08_S5_\x12\x06\x04\x0a\x05\x0a\x07";
    enum { BYTES = sizeof(S5) - 1 };
    uint8_t fixed[244] = {0}, dsdt[60] = {0}, ssdt[36 + BYTES] = {0};
    struct acpi acpi = {.count = 4};
    struct acpi_sleep sleep;
    sim_reset();
    put32(fixed + 64, 0x404);
    memcpy(ssdt + 36, S5, BYTES);
    acpi.tables[0] = (struct acpi_table){0x30000, sizeof(fixed), "FACP", true};
    acpi.tables[1] = (struct acpi_table){0x50000, sizeof(dsdt), "DSDT", true};
    acpi.tables[2] = (struct acpi_table){0x60000, 36, "SSDT", true};
    acpi.tables[3] = (struct acpi_table){0x70000, sizeof(ssdt), "SSDT", true};
    sim_memory(0x30000, fixed, sizeof(fixed));
    sim_memory(0x50000, dsdt, sizeof(dsdt));
    sim_memory(0x70000, ssdt, sizeof(ssdt));
    CHECK(acpi_read_sleep(&acpi, &sleep) && sleep.control_a == 0x404 && sleep.type_a == 5 && sleep.type_b == 7);
    for (uint32_t cut = 1; cut < BYTES; cut++) {
        acpi.tables[3].length = sizeof(ssdt) - cut;
        CHECK(!acpi_read_sleep(&acpi, &sleep));
    }
    acpi.tables[3].length = sizeof(ssdt);
    acpi.tables[3].checksum_right = false;
    CHECK(!acpi_read_sleep(&acpi, &sleep));
}

static struct ioapic ioapics[SIM_IOAPICS];
static const struct boot_info boot = {.regions_seen = 2, .regions = {{0, 0x9fc00, 1}, {0x100000, 0x7ff00000, 1}}};
static struct madt madt;

static struct sim_function *add_nic(uint16_t bdf, uint16_t device, int family, uint8_t pin)
{
    struct sim_function *nic = sim_add(bdf, 0x8086, device, 0x0200);
    nic->family = family;
    nic->pin = pin;
    nic->to_iio = true;
    nic->config[0x3d] = 1;
    sim_set16(nic, 0x04, 0x0406); /* INTx off, bus master on */
    sim_bar(nic, 0, 0xc0000000u + ((uint32_t)bdf << 18), 0xff000000);
    sim_set16(nic, 0x06, 0x0010);
    nic->config[0x34] = 0x50;
    nic->config[0x50] = 0x05;
    nic->config[0x51] = 0x70;
    sim_set16(nic, 0x52, 0x0181);
    nic->writable[0x52] = 1;
    nic->config[0x70] = 0x11;
    sim_set16(nic, 0x72, 0x8009);
    nic->writable[0x73] = 0xc0;
    return nic;
}

static void start_listening(void)
{
    for (unsigned i = 0; i < SIM_IOAPICS; i++) {
        const struct madt_ioapic where = {0xfec00000u + 0x1000 * i, 24 * i, (uint8_t)(8 + i)};
        ioapic_read(&where, &ioapics[i]);
        CHECK(ioapics[i].pins == SIM_PINS);
    }
    CHECK(pins_start(ioapics, SIM_IOAPICS, &madt, &boot));
}

/* With the IIO's entries masked, the chipset's pin delivers; with them open, the IIO's. All is put back. */
static void test_pins_of_every_family(void)
{
    static const struct {
        uint16_t device;
        int family;
    } kinds[] = {{0x10d3, NIC_E1000}, {0x1521, NIC_IGB}, {0x37d2, NIC_I40E}};
    for (unsigned i = 0; i < 3; i++) {
        sim_reset();
        sim_noisy_pin[2] = true;
        sim_asserted_pin[21] = true; /* and firmware left its entry open */
        sim_entries[0][21] = 0xa055;
        uint64_t entries[SIM_IOAPICS][SIM_PINS];
        memcpy(entries, sim_entries, sizeof(entries));
        struct sim_function *nic = add_nic((uint16_t)(0x100 * (i + 1)), kinds[i].device, kinds[i].family, 17);
        struct sim_function before = *nic;
        struct pin_result result;
        start_listening();
        pins_measure(nic->bdf, &result);
        pins_stop();
        CHECK(result.family == (enum nic_family)kinds[i].family && result.outcome == PIN_MEASURED);
        CHECK(result.status_seen == (nic_shows_intx(result.family) ? 6 : 0));
        CHECK(result.phase[PHASE_SEL4].count == 1 && result.phase[PHASE_SEL4].seen[0].ioapic == 0);
        CHECK(result.phase[PHASE_SEL4].seen[0].pin == 17 && result.phase[PHASE_SEL4].seen[0].times == 3);
        CHECK(result.phase[PHASE_ALL].count == 1 && result.phase[PHASE_ALL].seen[0].ioapic == 1);
        CHECK(result.phase[PHASE_ALL].seen[0].pin == 1);
        CHECK(!memcmp(entries, sim_entries, sizeof(entries)));
        CHECK(!memcmp(before.config, nic->config, sizeof(before.config)));
        CHECK(!nic->mask && !nic->cause);
    }
}

static void test_pins_that_cannot_be_measured(void)
{
    struct pin_result result;
    sim_reset();
    struct sim_function *stuck = add_nic(0x0100, 0x1521, NIC_IGB, 18);
    struct sim_function *mute = add_nic(0x0200, 0x1521, NIC_IGB, 18);
    struct sim_function *high = add_nic(0x0300, 0x37d2, NIC_I40E, 18);
    struct sim_function *other = add_nic(0x0400, 0x1234, 0, 18);
    struct sim_function *virtual = add_nic(0x0500, 0x1520, 0, 18);
    struct sim_function *asleep = add_nic(0x0600, 0x1521, NIC_IGB, 18);
    struct sim_function *pinless = add_nic(0x0700, 0x1521, NIC_IGB, 18);
    struct sim_function *closed = add_nic(0x0800, 0x1521, NIC_IGB, 18);
    struct sim_function *homeless = add_nic(0x0900, 0x1521, NIC_IGB, 18);
    stuck->stuck = true;
    mute->mute = true;
    sim_bar(high, 0, 0x0000000c, 0xff000000);
    sim_set32(high, 0x14, 0x38c0);
    asleep->config[0x50] = 0x01;
    asleep->config[0x54] = 3;
    pinless->config[0x3d] = 0;
    sim_bar(homeless, 0, 0, 0xfff00000);
    closed->family = 0; /* nobody answers at its BAR */
    struct sim_function *stray = add_nic(0x0a00, 0x1521, NIC_IGB, 18);
    sim_bar(stray, 0, 0x00100000, 0xfff00000);
    const enum pin_outcome expected[] = {
        PIN_STUCK,        PIN_NOT_SEEN, PIN_REGISTERS_HIGH, PIN_NO_FAMILY,   PIN_NO_FAMILY,
        PIN_POWERED_DOWN, PIN_NO_INTX,  PIN_READS_ONES,     PIN_NO_REGISTERS, PIN_IN_MEMORY,
    };
    start_listening();
    stuck->stuck = false; /* only once it has been fired */
    for (unsigned i = 1; i < sim_count; i++) {
        struct sim_function before = sim_functions[i];
        pins_measure(sim_functions[i].bdf, &result);
        CHECK(result.outcome == expected[i]);
        CHECK(!memcmp(before.config, sim_functions[i].config, sizeof(before.config)));
    }
    pins_measure(mute->bdf, &result);
    CHECK(result.status_seen == 6 && result.phase[PHASE_SEL4].count == 0 && result.phase[PHASE_ALL].tries == 3);
    stuck->stuck = true;
    pins_measure(stuck->bdf, &result);
    CHECK(result.outcome == PIN_STUCK);
    CHECK(stuck->config[5] & 4); /* its INTx stays off */
    pins_measure(0x4200, &result);
    CHECK(result.outcome == PIN_ABSENT);
    pins_stop();
    (void)other, (void)virtual;

    sim_has_apic = false;
    stuck->stuck = false;
    CHECK(!pins_start(ioapics, SIM_IOAPICS, &madt, &boot));
    pins_measure(stuck->bdf, &result);
    CHECK(result.outcome == PIN_NO_CONTROLLER);
    pins_stop();
    sim_has_apic = true;
    CHECK(!pins_start(ioapics, 0, &madt, &boot));
}

/* One without a working status bit is known to be stuck by what it goes on to deliver; another device that
   shares nothing with it and delivers too late to count as noise is not taken for it. */
static void test_a_controller_that_goes_on_without_saying_so(void)
{
    struct pin_result result;
    sim_reset();
    struct sim_function *stuck = add_nic(0xb500, 0x37d2, NIC_I40E, 19);
    struct sim_function *innocent = add_nic(0xb501, 0x37d2, NIC_I40E, 19);
    start_listening();
    sim_noisy_pin[20] = true;
    pins_measure(innocent->bdf, &result);
    CHECK(result.outcome == PIN_MEASURED && result.phase[PHASE_SEL4].seen[0].pin == 19);
    CHECK(result.phase[PHASE_SEL4].count == 1);
    sim_noisy_pin[20] = false;
    stuck->stuck = true;
    pins_measure(stuck->bdf, &result);
    CHECK(result.outcome == PIN_STUCK && stuck->config[5] & 4);
    pins_stop();
}

/* An exception while a device is armed: it is silenced, and everything is as it was. */
static void cut_short(uint16_t ids, int family)
{
    struct pin_result result;
    static uint64_t entries[SIM_IOAPICS][SIM_PINS];
    static struct sim_function *nic, before;
    sim_reset();
    memcpy(entries, sim_entries, sizeof(entries));
    nic = add_nic(0x0100, ids, family, 17);
    sim_set16(nic, 0x04, 0x0006);
    before = *nic;
    /* Where nothing says that it is silent, it stays disconnected. */
    before.config[5] |= nic_shows_intx((enum nic_family)family) ? 0 : 4;
    start_listening();
    sim_trap_at_shot = 2;
    if (!setjmp(sim_trap)) {
        pins_measure(nic->bdf, &result);
        CHECK(!"it was not cut short");
    }
    CHECK(nic->cause && nic->mask);
    for (int times = 0; times < 2; times++) { /* the second time there is nothing to do */
        pins_abandon();
        CHECK(!nic->cause && !nic->mask);
        CHECK(!memcmp(entries, sim_entries, sizeof(entries)));
        CHECK(!memcmp(before.config, nic->config, sizeof(before.config)));
    }
}

static void test_an_experiment_that_is_cut_short(void)
{
    cut_short(0x10d3, NIC_E1000);
    cut_short(0x1521, NIC_IGB);
    cut_short(0x37d2, NIC_I40E);
}

static void test_options(void)
{
    struct options options;
    options_read("/boot/firmware-probe", &options);
    CHECK(options.port == 0x3f8 && !options.also && options.fire_nics && options.size && options.wait_s == 20);
    CHECK(options.after == AFTER_HALT && !options.misspelt && !options.all_tables);
    options_read("x port=0x2f8 also=0x3f8 fire=17:00.0,0000:b5:00.1 after=off acpi=all size=off wait=0", &options);
    CHECK(options.port == 0x2f8 && options.also == 0x3f8 && !options.fire_nics && options.fire_count == 2);
    CHECK(options.fire[0] == 0x1700 && options.fire[1] == 0xb501 && options.after == AFTER_OFF);
    CHECK(options.all_tables && !options.size && options.wait_s == 0 && !options.misspelt);
    options_read("debug_port=0x2f8 also=0x2f8 fire=none", &options);
    CHECK(options.port == 0x2f8 && !options.also && !options.fire_nics && !options.fire_count);
    static const char *const wrong[] = {"after=dance",   "wait=soon",      "wait=601",       "port=0",
                                        "fire=17:00",    "fire=17:20.0",   "fire=17:00.8",   "fire=",
                                        "fire=17:00.0,", "fire=17:00.0,x", "fire=170:00.0,", "size=maybe"};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        options_read(wrong[i], &options);
        CHECK(options.misspelt);
        CHECK(options.port == 0x3f8 && options.after == AFTER_HALT && options.wait_s == 20);
    }
}

static void test_requests(void)
{
    struct request request;
    request_read("resend 12,15-18", &request);
    CHECK(request.kind == REQUEST_RESEND && request.count == 2 && request.range[1].last == 18);
    request_read("  done", &request);
    CHECK(request.kind == REQUEST_DONE);
    request_read("done *b49f", &request); /* as Python's binascii.crc_hqx(b"done", 0xffff) */
    CHECK(request.kind == REQUEST_DONE);
    static const char *const wrong[] = {
        "",           "resend",       "resend ",      "resend x",     "resend 5-3",   "resend 1,", "resend 70000",
        "done *b49e", "done *b49",    "done *b49f x", "done * b49f",  "done now",     "doe",       "resend 1-",
        "resend -1",  "resend 1--2",  "resend 99999999999999999999", "resend 1 2",    "resend 1,2*",
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        request_read(wrong[i], &request);
        CHECK(request.kind == REQUEST_BAD);
    }
    char many[LINE_MAX] = "resend 0";
    for (int i = 0; i < RANGES_MAX; i++) {
        strcat(many, ",7");
    }
    request_read(many, &request);
    CHECK(request.kind == REQUEST_BAD); /* one more than there is room for */
}

/* A report that does not fit is dropped whole, and told. */
static void test_the_report_has_a_bound(void)
{
    report_start(5);
    unsigned taken = 0;
    for (; taken < 100; taken++) {
        record_begin(RECORD_NOTE);
        for (unsigned i = 0; i < 100000; i++) {
            record_u8(i * 7 + 1);
        }
        if (!record_end()) {
            report_dropped();
            break;
        }
    }
    CHECK(taken == 12);
    record_begin(RECORD_NOTE);
    record_u8('x');
    CHECK(record_end());
    CHECK(report_finish() <= FRAMES_MAX);
}

int main(void)
{
    test_packing();
    test_crc();
    test_sizing();
    test_what_is_never_sized();
    test_sizing_that_is_cut_short();
    test_scan();
    test_capability_walks_end();
    test_extended_space();
    test_acpi();
    test_sleep_types_lie_in_any_table_of_names();
    test_pins_of_every_family();
    test_pins_that_cannot_be_measured();
    test_a_controller_that_goes_on_without_saying_so();
    test_an_experiment_that_is_cut_short();
    test_options();
    test_requests();
    test_the_report_has_a_bound();
    puts("all passed");
}
