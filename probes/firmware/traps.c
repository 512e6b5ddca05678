#include "traps.h"

#include "lapic.h"

enum {
    VECTORS = 256,
    EXCEPTIONS = 32,
    NON_MASKABLE = 2,
    GENERAL_PROTECTION = 13,
    SPURIOUS = 0xff, /* as lapic.c sets it; it is not acknowledged (Intel SDM 3A, 10.9) */
    STUB_BYTES = 16,
    CODE = 0x08,
    GATE_32_BIT_INTERRUPT = 0x8e00,
};

struct gate {
    uint16_t offset_low, selector, type, offset_high;
};

struct pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

/* What traps.S pushes, and the processor before it. */
struct trap {
    uint32_t general[8]; /* pusha */
    uint32_t vector, error, address, segment, flags;
};

volatile uint32_t trap_resume;

extern const char trap_stubs[];
void trap_load(const struct pointer *segments, const struct pointer *gates);
void trap_handle(struct trap *trap);

static struct gate gates[VECTORS];

/* Null, code and data: flat, 32 bits (Intel SDM 3A, 3.4.5). */
static const uint64_t segments[] = {0, 0x00cf9a000000ffff, 0x00cf92000000ffff};

void traps_start(void)
{
    for (uint32_t vector = 0; vector < VECTORS; vector++) {
        uint32_t stub = (uint32_t)trap_stubs + STUB_BYTES * vector;
        gates[vector] = (struct gate){(uint16_t)stub, CODE, GATE_32_BIT_INTERRUPT, (uint16_t)(stub >> 16)};
    }
    const struct pointer of_segments = {sizeof(segments) - 1, (uint32_t)segments};
    const struct pointer of_gates = {sizeof(gates) - 1, (uint32_t)gates};
    trap_load(&of_segments, &of_gates);
}

void trap_handle(struct trap *trap)
{
    if (trap->vector >= EXCEPTIONS) {
        if (trap->vector != SPURIOUS) {
            lapic_acknowledge();
        }
    } else if (trap_resume && trap->vector == GENERAL_PROTECTION) {
        trap->address = trap_resume;
    } else if (trap->vector != NON_MASKABLE) {
        trap_fatal(trap->vector, trap->address);
    }
}
