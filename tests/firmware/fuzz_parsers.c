/* libFuzzer over everything that reads bytes of others: ACPI tables, config space, command lines, requests.
   The first byte chooses; the sanitizers and the fuzzer's own time limit judge. */
#include <string.h>

#include "acpi.h"
#include "options.h"
#include "pack.h"
#include "pci.h"
#include "serve.h"
#include "sim.h"
#include "size.h"

enum { PLACE = 0xe0000, TEXT_MAX = 4096 };

static void fuzz_tables(const uint8_t *data, uint32_t size)
{
    static struct acpi acpi;
    static struct madt madt;
    struct ecam ecam[ECAM_MAX];
    struct acpi_sleep sleep;
    sim_memory(PLACE, data, size);
    acpi_find(PLACE, &acpi);
    acpi_read_sleep(&acpi, &sleep);
    /* Past the checksum, which a fuzzer seldom gets right. */
    struct acpi_table table = {.address = PLACE, .length = size, .checksum_right = true};
    acpi_read_madt(&table, &madt);
    CHECK(madt.ioapics <= IOAPICS_MAX);
    CHECK(acpi_read_mcfg(&table, ecam) <= ECAM_MAX);
    uint32_t units[UNITS_MAX];
    CHECK(acpi_read_dmar(&table, units) <= UNITS_MAX);
    acpi = (struct acpi){.count = 2, .tables = {table, table}};
    memcpy(acpi.tables[0].signature, "FACP", 4);
    memcpy(acpi.tables[1].signature, "DSDT", 4);
    acpi_read_sleep(&acpi, &sleep);
}

static void fuzz_config(const uint8_t *data, uint32_t size)
{
    static const uint16_t consoles[CONSOLES_MAX] = {0x2f8, 0x3f8};
    static struct config config;
    const struct ecam ecam = {0xb0000000, 0, 255};
    struct sizes sizes;
    sim_ecam = 0xb0000000;
    struct sim_function *function = sim_add(0x1700, 0x8086, 0x1521, 0x0200);
    memcpy(function->config, data, size < 4096 ? size : 4096);
    memset(function->writable + 0x10, 0xf0, 0x24);
    pci_read_config(0x1700, &ecam, 1, &config);
    pci_capability(config.bytes, 0x11);
    size_bars(0x1700, config.bytes, consoles, &sizes);
    for (unsigned i = 0; i < BARS; i++) {
        bar_size(config.bytes, &sizes, i);
        bar_base(config.bytes, i);
    }
}

static void fuzz_texts(const uint8_t *data, uint32_t size)
{
    static char text[TEXT_MAX + 1];
    static struct request request;
    struct options options;
    size = size < TEXT_MAX ? size : TEXT_MAX;
    memcpy(text, data, size);
    text[size] = '\0';
    options_read(text, &options);
    request_read(text, &request);
    CHECK(request.count <= RANGES_MAX && options.fire_count <= FIRE_MAX);
}

static void fuzz_packing(const uint8_t *data, uint32_t size)
{
    static uint8_t out[2 * TEXT_MAX];
    struct packer packer;
    pack_start(&packer, out, size < sizeof(out) ? size : (uint32_t)sizeof(out));
    for (uint32_t i = 0; i < size; i++) {
        pack_byte(&packer, data[i]);
    }
    pack_finish(&packer);
    CHECK(packer.overflow || packer.size <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(const uint8_t *, uint32_t) = {fuzz_tables, fuzz_config, fuzz_texts,
                                                                 fuzz_packing};
    if (size == 0) {
        return 0;
    }
    sim_reset();
    targets[data[0] % 4](data + 1, (uint32_t)size - 1);
    return 0;
}
