#include "clock.h"

#include <stdbool.h>

#include "machine.h"

/* Intel 8254: 1193182 Hz; channel 2 is gated by port 0x61 bit 0, its output is port 0x61 bit 5. */
enum {
    PIT_CHANNEL_2 = 0x42,
    PIT_MODE = 0x43,
    PIT_CONTROL = 0x61,
    PIT_CONTROL_GATE = 0x01,
    PIT_CONTROL_SPEAKER = 0x02,
    PIT_CONTROL_OUTPUT = 0x20,
    PIT_TICKS = 2386, /* 2 ms: short, so that one of several goes by without anything in between */
    PIT_MS = 2,
    MEASUREMENTS = 10,
};

/* For a machine whose 8254 does not run: wrong by a small factor, where waiting for it is for ever. */
static const uint32_t ASSUMED_TICKS_PER_MS = 2000000;
static const uint64_t GIVE_UP_TICKS = 1ull << 31;

static uint32_t ticks_per_ms;

/* Ticks that passed while the 8254 counted, GIVE_UP_TICKS when it does not. They are never too few, as the first
   is read before it has its count (QEMU's starts then, a real one with the gate); what interrupts us, the
   firmware's SMI handler or a host that has other things to do, makes them too many. */
static uint64_t measure_once(uint8_t control)
{
    outb(PIT_CONTROL, control);
    outb(PIT_MODE, 0xb0); /* channel 2, low then high byte, mode 0: output rises at the end of the count */
    uint64_t start = read_tsc();
    uint64_t passed = 0;
    outb(PIT_CHANNEL_2, PIT_TICKS & 0xff);
    outb(PIT_CHANNEL_2, PIT_TICKS >> 8);
    outb(PIT_CONTROL, control | PIT_CONTROL_GATE);
    bool counted = false;
    while (!counted && passed < GIVE_UP_TICKS) {
        counted = inb(PIT_CONTROL) & PIT_CONTROL_OUTPUT;
        passed = read_tsc() - start; /* after the look, or what held us up in between would be missing */
    }
    outb(PIT_CONTROL, control);
    return counted ? passed : GIVE_UP_TICKS;
}

void clock_start(void)
{
    uint8_t control = (uint8_t)(inb(PIT_CONTROL) & ~(PIT_CONTROL_GATE | PIT_CONTROL_SPEAKER));
    uint64_t least = GIVE_UP_TICKS;
    for (int times = 0; times < MEASUREMENTS; times++) {
        uint64_t passed = measure_once(control);
        least = passed < least ? passed : least;
        if (passed == GIVE_UP_TICKS) {
            break; /* it does not run */
        }
    }
    /* Fewer ticks than any processor has: the output was high from the start. */
    uint32_t measured = (uint32_t)least / PIT_MS;
    ticks_per_ms = least == GIVE_UP_TICKS || measured < 10000 ? ASSUMED_TICKS_PER_MS : measured;
}

uint64_t clock_now(void)
{
    return read_tsc();
}

uint32_t clock_ticks_per_ms(void)
{
    return ticks_per_ms;
}

void wait_until(uint64_t deadline)
{
    while (read_tsc() < deadline) {
        relax();
    }
}

void wait_ms(uint32_t ms)
{
    wait_until(read_tsc() + (uint64_t)ms * ticks_per_ms);
}
