/* A simulated machine behind probes/firmware/io.h: config spaces, memory, IOAPICs, a local APIC, Ethernet. */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

enum { SIM_FUNCTIONS_MAX = 512, SIM_IOAPICS = 2, SIM_PINS = 24 };

struct sim_function {
    uint16_t bdf;
    uint8_t config[4096];
    uint8_t writable[4096]; /* mask of the bits that writes change */
    bool touched_decoding;  /* a BAR was written while the function decoded */
    bool touched;           /* anything but the command was written */
    int sticky_bar;         /* this BAR keeps what it was sized with: a broken device; -1 for none */

    /* An Ethernet controller, when `family` is not 0 (nic.h). */
    int family;
    bool stuck; /* cannot be silenced */
    bool mute;  /* says that it asserts, and nothing arrives */
    uint32_t cause, mask;
    uint8_t pin; /* of IOAPIC 0, and 16 less of IOAPIC 1 when that listens: as a Xeon's IIO does */
    bool to_iio;
};

extern struct sim_function sim_functions[SIM_FUNCTIONS_MAX];
extern unsigned sim_count;
extern uint32_t sim_ecam; /* 0: none */
extern bool sim_ecam_aliased;
extern uint64_t sim_entries[SIM_IOAPICS][SIM_PINS];
extern bool sim_noisy_pin[SIM_PINS]; /* of IOAPIC 0: delivers whenever it may */
extern bool sim_asserted_pin[SIM_PINS]; /* of IOAPIC 0: a level that nobody here can end */
extern bool sim_has_apic;
extern char sim_console[16 << 20];
extern unsigned sim_console_size;

extern jmp_buf sim_trap;            /* where the simulated exception goes */
extern unsigned sim_trap_at_write; /* instead of this write to config space, from 1; 0: never */
extern unsigned sim_trap_at_shot;  /* after this shot of a controller, from 1; 0: never */

void sim_reset(void);

/* A function with ids and class; returns it to be filled further. */
struct sim_function *sim_add(uint16_t bdf, uint16_t vendor, uint16_t device, uint16_t class_code);
void sim_set16(struct sim_function *function, unsigned at, uint16_t value);
void sim_set32(struct sim_function *function, unsigned at, uint32_t value);

/* Give it a BAR: what it reads and which bits take ones. */
void sim_bar(struct sim_function *function, unsigned index, uint32_t value, uint32_t writable);

/* Put bytes at a physical address; what is nowhere reads as ones. */
void sim_memory(uint32_t address, const void *data, uint32_t size);
