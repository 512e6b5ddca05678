/* Polled 16550s at 115200 baud, 8 bits, no parity, 1 stop bit; never looks at modem lines. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { UARTS_MAX = 2 };

/* Take over the UART at `port`; a second call adds a second one, which then says the same. Where none
   answers, output is dropped at no cost. */
void uart_start(uint16_t port);

/* Say everything from now on at `port` alone. */
void uart_only(uint16_t port);

/* A UART that takes no byte for `ms` milliseconds is given up. Without this call it is waited for without end:
   a full pipe behind it may hold us up, and nothing is to be lost. */
void uart_give_up_after(uint32_t ms);

void uart_put(uint8_t byte);

/* A byte that came in on any of them; false when there is none. */
bool uart_get(uint8_t *byte);

/* Wait until everything is on the wire, 100 ms at most. */
void uart_drain(void);
