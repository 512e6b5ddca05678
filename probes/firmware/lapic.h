/* The local APIC of the processor we run on: Intel SDM 3A, chapter 10. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Make it accept interrupts, with its own sources and the 8259 silenced; everything is kept for lapic_stop().
   False when the processor has none or firmware turned it off. */
bool lapic_start(void);
void lapic_stop(void);

uint32_t lapic_id(void);

/* Whether an interrupt with this vector waits to be taken. */
bool lapic_pending(uint8_t vector);

/* Acknowledge the interrupt being served. */
void lapic_acknowledge(void);

/* Have everything that waits taken and acknowledged. */
void lapic_drain(void);
