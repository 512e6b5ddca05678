/* The pin experiment: which IOAPIC input delivers the interrupt that a function raises.

   A function is fired three times with only IOAPIC 0 listening, as under seL4 (KernelMaxNumIOAPIC 1), then three
   times with all of them (inputs.h). An input counts when it delivered every time and never without firing.
   Inputs that deliver before anything was fired (a timer, another device) are left out and told.

   Record 9: bdf u16, family u8, outcome u8, status bit seen u8 (of 6), inputs not watched u16, then for each
   phase: tries u8, noisy inputs u8, inputs n u8, n × (IOAPIC u8, pin u8, times u8). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "acpi.h"
#include "inputs.h"
#include "ioapic.h"
#include "multiboot.h"
#include "nic.h"

enum {
    TRIES = 3,
    SEEN_MAX = 8,
    FIRED_MAX = 64,
};

enum pin_outcome {
    PIN_MEASURED = 0,
    PIN_NOT_SEEN = 1,       /* it was fired, and no input delivered each time */
    PIN_NO_FAMILY = 2,      /* we do not know how to fire it */
    PIN_NO_INTX = 3,        /* config 0x3d is 0 */
    PIN_NO_REGISTERS = 4,   /* BAR 0 is no memory BAR or has no address */
    PIN_REGISTERS_HIGH = 5, /* BAR 0 lies above 4 GiB */
    PIN_READS_ONES = 6,
    PIN_POWERED_DOWN = 7, /* in D1 to D3 */
    PIN_STUCK = 8,        /* still asserted after it was silenced: the experiment ended there */
    PIN_NO_CONTROLLER = 9, /* no local APIC or no IOAPIC */
    PIN_ABSENT = 10,       /* asked for, and not there */
    PIN_IN_MEMORY = 11,    /* BAR 0 holds an address that is memory's */
};

struct pin_result {
    uint16_t bdf;
    enum nic_family family;
    enum pin_outcome outcome;
    unsigned status_seen; /* times that config status said "interrupt asserted" after firing */
    struct {
        unsigned tries, count;
        struct {
            uint8_t ioapic, pin, times;
        } seen[SEEN_MAX];
    } phase[PHASES];
};

/* Program and silence all inputs; false when this machine has nothing to listen with. `boot` has the memory map,
   and stays in use. */
bool pins_start(const struct ioapic *ioapics, unsigned count, const struct madt *madt,
                const struct boot_info *boot);

/* Fire one function and find where it arrives; device and inputs are as before afterwards. */
void pins_measure(uint16_t bdf, struct pin_result *result);

/* Put every IOAPIC entry and the local APIC back as they were found. */
void pins_stop(void);

/* The same when an experiment was cut short: its function is disconnected first, then silenced and given back. */
void pins_abandon(void);

/* Put a result into the report. */
void pins_report(const struct pin_result *result);

const char *pins_outcome_text(enum pin_outcome outcome);
