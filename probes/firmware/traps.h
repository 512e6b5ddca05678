/* Exceptions and interrupts, in descriptor tables of our own. */
#pragma once

#include <stdint.h>

/* An instruction that may be refused sets this to where to go on; 0 when none is under way. */
extern volatile uint32_t trap_resume;

void traps_start(void);

/* What to do about an exception that nobody foresaw: main.c. */
_Noreturn void trap_fatal(uint32_t vector, uint32_t address);
