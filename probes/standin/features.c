#include "features.h"

#include <stddef.h>
#include <stdint.h>

#include "words.h"

struct registers {
    uint32_t a, b, c, d;
};

static struct registers cpuid(uint32_t leaf)
{
    struct registers r = {leaf, 0, 0, 0};
    __asm__ volatile("cpuid" : "+a"(r.a), "=b"(r.b), "+c"(r.c), "=d"(r.d));
    return r;
}

/* Intel SDM 2A, CPUID: leaf 1 ECX bit 17, leaf 7 EBX bit 0, leaf 80000001H EDX bit 26. */
static bool has_pcid(void)
{
    return cpuid(1).c >> 17 & 1;
}

static bool has_fsgsbase(void)
{
    return cpuid(0).a >= 7 && (cpuid(7).b & 1);
}

static bool has_huge_pages(void)
{
    return cpuid(0x80000000).a >= 0x80000001 && (cpuid(0x80000001).d >> 26 & 1);
}

/* seL4 src/arch/x86/64/head.S */
static const struct feature features[] = {
    {"pcid", has_pcid, "PCIDs not supported by the processor"},
    {"fsgsbase", has_fsgsbase, "fsgsbase instructions not supported by the processor"},
    {"huge-pages", has_huge_pages, "PDPE1GB: huge page not supported by the processor"},
};

const struct feature *feature_find(const char *name)
{
    for (unsigned i = 0; i < sizeof(features) / sizeof(*features); i++) {
        if (is_word(name, features[i].name)) {
            return &features[i];
        }
    }
    return NULL;
}
