#include "payload.h"

#include <stdint.h>

#include "crc32.h"
#include "print.h"

/* The header in front of the payload, little-endian; its twin is in bringup/image/standin.py. */
struct header {
    char magic[8]; /* "BRINGUP1" */
    uint64_t total_size; /* header and payload, bytes */
    uint32_t crc32; /* of the payload */
    uint32_t version;
    uint64_t reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct header) == 32, "the file format says 32 bytes");

static bool has_header(const struct module *module)
{
    static const char magic[8] = {'B', 'R', 'I', 'N', 'G', 'U', 'P', '1'};
    const struct header *header = (const struct header *)module->start;
    if (module->end - module->start < sizeof(*header)) {
        return false;
    }
    for (int i = 0; i < 8; i++) {
        if (header->magic[i] != magic[i]) {
            return false;
        }
    }
    return true;
}

/* Sizes are printed as hexadecimal only beyond 4 GiB, which no header of a real module says. */
static void print_size_fault(uint32_t number, const char *what, uint32_t has, uint64_t says)
{
    print("stand-in: module #%u is %s: has %u bytes, header says ", number, what, has);
    if (says <= UINT32_MAX) {
        print("%u\n", (uint32_t)says);
    } else {
        print("0x%llx\n", says);
    }
}

static void print_intact(uint32_t number, uint32_t size, uint32_t crc)
{
    const uint32_t mib = 1 << 20;
    bool whole = size >= mib && size % mib == 0;
    print("stand-in: module #%u %u %s crc32 0x%08x ok\n", number, whole ? size / mib : size,
          whole ? "MiB" : "bytes", crc);
}

bool payload_check(uint32_t number, const struct module *module)
{
    const struct header *header = (const struct header *)module->start;
    uint32_t size = module->end - module->start;
    if (!has_header(module)) {
        print("stand-in: module #%u has no BRINGUP1 header, not checked\n", number);
        return true;
    }
    if (size < header->total_size) {
        print_size_fault(number, "truncated", size, header->total_size);
        return false;
    }
    if (size > header->total_size) {
        print_size_fault(number, "damaged", size, header->total_size);
        return false;
    }
    uint32_t crc = crc32(header + 1, size - sizeof(*header));
    if (crc != header->crc32) {
        print("stand-in: module #%u is damaged: crc32 0x%08x expected 0x%08x, offset unknown\n", number, crc,
              header->crc32);
        return false;
    }
    print_intact(number, size, crc);
    return true;
}
