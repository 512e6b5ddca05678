/* Everything that touches the machine. On a board io.c does it; tests put a simulated machine in its place,
   so nothing else in this folder holds an instruction or a pointer made from an address. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

uint8_t io_in8(uint16_t port);
uint16_t io_in16(uint16_t port);
uint32_t io_in32(uint16_t port);
void io_out8(uint16_t port, uint8_t value);
void io_out16(uint16_t port, uint16_t value);
void io_out32(uint16_t port, uint32_t value);

/* Physical memory below 4 GiB: there is no paging. */
uint8_t mem_read8(uint32_t address);
uint32_t mem_read32(uint32_t address);
void mem_write32(uint32_t address, uint32_t value);

struct cpuid {
    uint32_t a, b, c, d;
};

struct cpuid cpu_id(uint32_t leaf);

/* False when the processor refuses (general protection fault). */
bool msr_read(uint32_t msr, uint64_t *value);
void msr_write(uint32_t msr, uint64_t value);

/* Let the processor take every interrupt that is pending; each is acknowledged and nothing more. */
void cpu_take_interrupts(void);
