/* The few instructions that C has no words for. */
#pragma once

#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void relax(void)
{
    __asm__ volatile("pause");
}

static inline uint64_t read_tsc(void)
{
    uint64_t value;
    __asm__ volatile("rdtsc" : "=A"(value));
    return value;
}

/* The local APIC ID this processor started with (Intel SDM 2A, CPUID leaf 1). */
static inline uint32_t apic_id(void)
{
    uint32_t a = 1, b, c, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    return b >> 24;
}

/* Sleep for ever: a halted processor costs the host of a virtual machine nothing. */
static inline _Noreturn void halt(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

/* Restart the machine by the first of three ways that works. */
_Noreturn void reset_machine(void);
