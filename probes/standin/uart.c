#include "uart.h"

#include <stdbool.h>

#include "clock.h"
#include "machine.h"

/* Register offsets and bits: PC16550D datasheet, 8.0. */
enum {
    DATA = 0,
    DIVISOR_LOW = 0,
    INTERRUPT_ENABLE = 1,
    DIVISOR_HIGH = 1,
    FIFO_CONTROL = 2,
    LINE_CONTROL = 3,
    MODEM_CONTROL = 4,
    LINE_STATUS = 5,

    FIFO_ENABLE = 0x01,
    LINE_8N1 = 0x03,
    LINE_DIVISOR_ACCESS = 0x80,
    MODEM_DTR_RTS_OUT2 = 0x0b,
    STATUS_HOLDING_EMPTY = 0x20,
    STATUS_TRANSMITTER_EMPTY = 0x40,
};

static uint16_t base;
static bool present;

/* What the loader wrote last may still be on its way, and enabling a FIFO throws its content away. */
static void drain(void)
{
    uint64_t deadline = clock_now() + 100ull * clock_ticks_per_ms();
    while (!(inb(base + LINE_STATUS) & STATUS_TRANSMITTER_EMPTY) && clock_now() < deadline) {
        relax();
    }
}

void uart_start(uint16_t port)
{
    base = port;
    drain();
    outb(base + INTERRUPT_ENABLE, 0);
    outb(base + LINE_CONTROL, LINE_DIVISOR_ACCESS);
    outb(base + DIVISOR_LOW, 1);
    outb(base + DIVISOR_HIGH, 0);
    outb(base + LINE_CONTROL, LINE_8N1);
    outb(base + FIFO_CONTROL, FIFO_ENABLE);
    outb(base + MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
    present = inb(base + LINE_CONTROL) == LINE_8N1; /* an empty port reads as all ones */
}

void uart_put(uint8_t byte)
{
    if (!present) {
        return;
    }
    /* As long as it takes: a full pipe behind the UART may hold us up, and nothing is to be lost. */
    while (!(inb(base + LINE_STATUS) & STATUS_HOLDING_EMPTY)) {
        relax();
    }
    outb(base + DATA, byte);
}
