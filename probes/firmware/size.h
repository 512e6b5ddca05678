/* BAR sizes, by writing ones with decode off (PCI 3.0, 6.2.5.1, implementation note). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { BARS = 6, CONSOLES_MAX = 2 };

enum sizing {
    SIZED = 0,
    SIZING_BRIDGE = 1,     /* bridges are in use, and behind the one to ISA may be the console */
    SIZING_DISPLAY = 2,    /* somebody may look at it */
    SIZING_CONSOLE = 3,    /* we speak through it */
    SIZING_NOT_ASKED = 4,  /* size=off */
    SIZING_UNRESTORED = 5, /* sized, but a register does not read as it did before */
    SIZING_NO_BARS = 6,    /* something else lies where BARs should: what ones would do there, nobody says */
};

struct sizes {
    enum sizing state;
    uint32_t bar[BARS]; /* as read after ones were written; the upper half of a 64-bit BAR in its own place */
    uint32_t rom;
};

/* Size one function from its config space; everything written is put back. `consoles` are the I/O ports we
   speak through, 0 for none. */
void size_bars(uint16_t bdf, const uint8_t *config, const uint16_t consoles[CONSOLES_MAX], struct sizes *sizes);

/* Put back what a function had that was being sized when it was cut short. */
void size_abandon(void);

/* Bytes that BAR `index` takes, 0 when it is not there (or its size was not asked). */
uint64_t bar_size(const uint8_t *config, const struct sizes *sizes, unsigned index);

bool bar_is_io(const uint8_t *config, unsigned index);
bool bar_is_wide(const uint8_t *config, unsigned index);

/* Its address, 0 when none is assigned. */
uint64_t bar_base(const uint8_t *config, unsigned index);
