#include "clock.h"

#include "machine.h"

/* Intel 8254: 1193182 Hz; channel 2 is gated by port 0x61 bit 0, its output is port 0x61 bit 5. */
enum {
    PIT_CHANNEL_2 = 0x42,
    PIT_MODE = 0x43,
    PIT_CONTROL = 0x61,
    PIT_CONTROL_GATE = 0x01,
    PIT_CONTROL_SPEAKER = 0x02,
    PIT_CONTROL_OUTPUT = 0x20,
    PIT_TICKS_10_MS = 11932,
};

/* For a machine whose 8254 does not run: wrong by a small factor, where waiting for it is for ever. */
static const uint32_t ASSUMED_TICKS_PER_MS = 2000000;
static const uint64_t GIVE_UP_TICKS = 1ull << 31;

static uint32_t ticks_per_ms;

void clock_start(void)
{
    uint8_t control = (uint8_t)(inb(PIT_CONTROL) & ~(PIT_CONTROL_GATE | PIT_CONTROL_SPEAKER));
    outb(PIT_CONTROL, control);
    outb(PIT_MODE, 0xb0); /* channel 2, low then high byte, mode 0: output rises at the end of the count */
    outb(PIT_CHANNEL_2, PIT_TICKS_10_MS & 0xff);
    outb(PIT_CHANNEL_2, PIT_TICKS_10_MS >> 8);
    outb(PIT_CONTROL, control | PIT_CONTROL_GATE);

    uint64_t start = read_tsc();
    uint64_t passed = 0;
    while (!(inb(PIT_CONTROL) & PIT_CONTROL_OUTPUT) && passed < GIVE_UP_TICKS) {
        passed = read_tsc() - start;
    }
    outb(PIT_CONTROL, control);
    /* Fewer ticks than 10 ms have on any processor: the output was high from the start. */
    uint32_t measured = (uint32_t)passed / 10;
    ticks_per_ms = passed >= GIVE_UP_TICKS || measured < 10000 ? ASSUMED_TICKS_PER_MS : measured;
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
