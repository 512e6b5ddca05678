#include "io.h"

#include "machine.h"
#include "traps.h"

uint8_t io_in8(uint16_t port)
{
    return inb(port);
}

void io_out8(uint16_t port, uint8_t value)
{
    outb(port, value);
}

uint16_t io_in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void io_out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

uint32_t io_in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void io_out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

/* In assembly, because the BIOS data area lies in what a compiler takes for the null page. */
uint8_t mem_read8(uint32_t address)
{
    uint8_t value;
    __asm__ volatile("movb (%1), %0" : "=q"(value) : "r"(address) : "memory");
    return value;
}

uint32_t mem_read32(uint32_t address)
{
    uint32_t value;
    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

void mem_write32(uint32_t address, uint32_t value)
{
    __asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

struct cpuid cpu_id(uint32_t leaf)
{
    struct cpuid id = {.a = leaf, .c = 0};
    __asm__ volatile("cpuid" : "+a"(id.a), "=b"(id.b), "+c"(id.c), "=d"(id.d));
    return id;
}

bool msr_read(uint32_t msr, uint64_t *value)
{
    uint32_t refused, low = 0, high = 0;
    __asm__ volatile("movl $1, %[refused]\n\t"
                     "movl $1f, trap_resume\n\t"
                     "rdmsr\n\t"
                     "movl $0, %[refused]\n"
                     "1:\tmovl $0, trap_resume"
                     : [refused] "=&r"(refused), "+a"(low), "+d"(high)
                     : "c"(msr)
                     : "memory");
    *value = (uint64_t)high << 32 | low;
    return !refused;
}

void msr_write(uint32_t msr, uint64_t value)
{
    __asm__ volatile("movl $1f, trap_resume\n\t"
                     "wrmsr\n"
                     "1:\tmovl $0, trap_resume"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

void cpu_take_interrupts(void)
{
    __asm__ volatile("sti" ::: "memory");
    for (int i = 0; i < 16; i++) {
        relax();
    }
    __asm__ volatile("cli" ::: "memory");
}
