#include "uart.h"

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
    STATUS_DATA_READY = 0x01,
    STATUS_HOLDING_EMPTY = 0x20,
    STATUS_TRANSMITTER_EMPTY = 0x40,
};

static struct {
    uint16_t base;
    bool present;
} uarts[UARTS_MAX];
static unsigned started;
static uint32_t patience_ms; /* 0: without end */

static bool wait_for(uint16_t base, uint8_t status, uint32_t ms)
{
    uint64_t deadline = clock_now() + (uint64_t)ms * clock_ticks_per_ms();
    while (!(inb(base + LINE_STATUS) & status)) {
        if (ms && clock_now() >= deadline) {
            return false;
        }
        relax();
    }
    return true;
}

void uart_start(uint16_t port)
{
    if (started == UARTS_MAX) {
        return;
    }
    /* What the loader wrote last may still be on its way, and enabling a FIFO throws its content away. */
    wait_for(port, STATUS_TRANSMITTER_EMPTY, 100);
    outb(port + INTERRUPT_ENABLE, 0);
    outb(port + LINE_CONTROL, LINE_DIVISOR_ACCESS);
    outb(port + DIVISOR_LOW, 1);
    outb(port + DIVISOR_HIGH, 0);
    outb(port + LINE_CONTROL, LINE_8N1);
    outb(port + FIFO_CONTROL, FIFO_ENABLE);
    outb(port + MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
    uarts[started].base = port;
    uarts[started++].present = inb(port + LINE_CONTROL) == LINE_8N1; /* an empty port reads as all ones */
}

void uart_only(uint16_t port)
{
    started = 0;
    uart_start(port);
}

void uart_give_up_after(uint32_t ms)
{
    patience_ms = ms;
}

void uart_put(uint8_t byte)
{
    for (unsigned i = 0; i < started; i++) {
        if (!uarts[i].present) {
            continue;
        }
        uarts[i].present = wait_for(uarts[i].base, STATUS_HOLDING_EMPTY, patience_ms);
        if (uarts[i].present) {
            outb(uarts[i].base + DATA, byte);
        }
    }
}

bool uart_get(uint8_t *byte)
{
    for (unsigned i = 0; i < started; i++) {
        if (uarts[i].present && inb(uarts[i].base + LINE_STATUS) & STATUS_DATA_READY) {
            *byte = inb(uarts[i].base + DATA);
            return true;
        }
    }
    return false;
}

void uart_drain(void)
{
    for (unsigned i = 0; i < started; i++) {
        if (uarts[i].present) {
            wait_for(uarts[i].base, STATUS_TRANSMITTER_EMPTY, 100);
        }
    }
}
