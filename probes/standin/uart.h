/* A polled 16550 at 115200 baud, 8 bits, no parity, 1 stop bit; never looks at modem lines. */
#pragma once

#include <stdint.h>

/* Take over the UART at `port`. Where none answers, output is dropped at no cost. */
void uart_start(uint16_t port);

void uart_put(uint8_t byte);
