/* The whole probe on a machine described by a file; its console goes to standard output.

   usage: sim_board FILE COMMAND_LINE ECAM_BASE
   FILE holds items: 'F' bdf u16, config space of 4096 bytes, 7 × u32 bits that BARs and ROM take;
   'M' address u32, size u32, bytes. A block that starts with "RSD PTR " is the root pointer. */
#include <string.h>

#include "acpi.h"
#include "multiboot.h"
#include "probe.h"
#include "report.h"
#include "serve.h"
#include "sim.h"

static uint8_t bytes[4 << 20];

static void read_all(FILE *file, void *to, size_t size)
{
    CHECK(size <= sizeof(bytes) && fread(to, 1, size, file) == size);
}

static void read_function(FILE *file)
{
    uint16_t bdf;
    uint32_t masks[7];
    read_all(file, &bdf, sizeof(bdf));
    struct sim_function *function = sim_add(bdf, 0, 0, 0);
    read_all(file, function->config, sizeof(function->config));
    read_all(file, masks, sizeof(masks));
    memcpy(function->writable + 0x10, masks, 24);
    memcpy(function->writable + 0x30, masks + 6, 4);
}

static uint32_t read_block(FILE *file)
{
    uint32_t where[2];
    read_all(file, where, sizeof(where));
    read_all(file, bytes, where[1]);
    sim_memory(where[0], bytes, where[1]);
    return where[1] >= 8 && !memcmp(bytes, "RSD PTR ", 8) ? where[0] : 0;
}

int main(int count, char **words)
{
    static struct acpi acpi;
    static struct boot_info boot;
    struct options options;
    CHECK(count == 4);
    sim_reset();
    sim_ecam = (uint32_t)strtoul(words[3], NULL, 0);
    boot = (struct boot_info){.cmdline = words[2], .protocol = 2};
    FILE *file = fopen(words[1], "rb");
    CHECK(file != NULL);
    for (int tag; (tag = fgetc(file)) != EOF;) {
        CHECK(tag == 'F' || tag == 'M');
        if (tag == 'F') {
            read_function(file);
        } else {
            uint32_t rsdp = read_block(file);
            boot.rsdp = rsdp ? rsdp : boot.rsdp;
        }
    }
    fclose(file);
    options_read(boot.cmdline, &options);
    report_start(77);
    probe(&boot, &options, &acpi);
    report_finish();
    serve(0);
    for (unsigned i = 0; i < sim_count; i++) {
        CHECK(!sim_functions[i].touched_decoding);
    }
    fwrite(sim_console, 1, sim_console_size, stdout);
    return 0;
}
