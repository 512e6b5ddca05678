/* The command line of the probe.

   port=0x2f8           UART to speak through, 0x3f8 if not said; debug_port= as seL4 calls it means the same
   also=0x3f8           a second one that says the same
   fire=nics            the pin experiment: every Ethernet function that we know how to fire (the default),
   fire=17:00.0,b5:00.1   these functions only,
   fire=none              or none
   size=off             no BAR is written to; sizes stay unknown
   acpi=all             send every table, AML included, where otherwise APIC, DMAR, MCFG, FACP, HPET and SPCR go
   wait=20              seconds to wait for the next request of the other side, 0 to 600
   after=halt           what to do at the end: halt (the default), off, reboot */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FIRE_MAX = 32 };

enum after { AFTER_HALT, AFTER_OFF, AFTER_REBOOT };

struct options {
    uint16_t port, also; /* 0: none */
    bool fire_nics;
    unsigned fire_count;
    uint16_t fire[FIRE_MAX]; /* where fire_nics is false */
    bool size;
    bool all_tables;
    uint32_t wait_s;
    enum after after;
    bool misspelt; /* a word with one of the keys above has a value that is not understood */
};

void options_read(const char *cmdline, struct options *options);

/* `17:00.0` or `0000:17:00.0`; false for anything else. `*end` is the first character after it. */
bool bdf_read(const char *text, uint16_t *bdf, const char **end);
