/* All inputs of all IOAPICs, each with a vector of its own aimed at this processor: what delivers shows in its
   local APIC as requested, and nothing is served while a line is asserted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "acpi.h"
#include "ioapic.h"

enum {
    PHASE_SEL4 = 0, /* only IOAPIC 0 listens */
    PHASE_ALL = 1,
    PHASES = 2,

    FIRST_VECTOR = 0x30,
    LAST_VECTOR = 0xef,
    INPUTS_MAX = LAST_VECTOR - FIRST_VECTOR + 1,
};

struct place {
    uint8_t ioapic; /* index in the MADT */
    uint8_t pin;
};

/* Program every input, masked, and find those that deliver by themselves; false when there is nothing to listen
   with. Everything is then as it was. */
bool inputs_start(const struct ioapic *ioapics, unsigned count, const struct madt *madt);

/* Put every entry and the local APIC back as they were found. */
void inputs_stop(void);
bool inputs_ready(void);

/* Unmask the inputs of a phase that do not deliver by themselves, or mask all. */
void inputs_listen(unsigned phase, bool on);

/* Whether any input has delivered since the last inputs_settle(). */
bool inputs_pending(void);

/* Count up those that have, by input. */
void inputs_note(unsigned phase, uint8_t times[INPUTS_MAX]);

/* Take and forget what was delivered; nothing may be listening. */
void inputs_settle(void);

unsigned inputs_count(void);
struct place inputs_place(unsigned input);
unsigned inputs_not_watched(void); /* for want of vectors */
unsigned inputs_noisy(unsigned phase);
