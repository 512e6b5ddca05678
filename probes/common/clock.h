/* Time by the processor's time stamp counter, measured once against the 8254 timer. */
#pragma once

#include <stdint.h>

void clock_start(void);

/* Time stamp counter now, and ticks of it in a millisecond. */
uint64_t clock_now(void);
uint32_t clock_ticks_per_ms(void);

/* Spin until the counter reaches `deadline`. Not hlt: that needs a timer interrupt, and under UEFI
   nobody promises that the 8259 is still wired to the processor. */
void wait_until(uint64_t deadline);
void wait_ms(uint32_t ms);
