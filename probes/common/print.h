/* Formatted text on the UART. */
#pragma once

#include <stdbool.h>

/* Print with %s %c %u %d %x %llx %%, and a width with or without leading zero (%06u). A line feed goes
   out as carriage return and line feed. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);

/* A muted kernel is one built without printing (seL4's KernelPrinting off). */
void print_mute(bool muted);
