#include "lapic.h"

#include "io.h"

enum {
    MSR_BASE = 0x1b,
    BASE_X2APIC = 1 << 10,
    BASE_ENABLED = 1 << 11,
    MSR_X2APIC = 0x800, /* and the offset divided by 16 */

    ID = 0x020,
    TASK_PRIORITY = 0x080,
    ACKNOWLEDGE = 0x0b0,
    SPURIOUS = 0x0f0,
    IN_SERVICE = 0x100,
    REQUESTED = 0x200,

    SPURIOUS_ENABLED = 1 << 8,
    SPURIOUS_NO_BROADCAST = 1 << 12,
    SPURIOUS_VECTOR = 0xff,
    LOCAL_MASKED = 1 << 16,

    PIC_MASTER_MASK = 0x21,
    PIC_SLAVE_MASK = 0xa1,
    CPUID_1_D_APIC = 1 << 9,
};

/* Timer, thermal, performance, LINT0 (the 8259 speaks there), LINT1 and errors, each with a mask bit. */
static const uint32_t local_sources[] = {0x320, 0x330, 0x340, 0x350, 0x360, 0x370};
enum { LOCAL_SOURCES = sizeof(local_sources) / sizeof(*local_sources) };

static uint32_t base; /* in memory; 0 in x2APIC mode */
static struct {
    uint32_t spurious, priority, local[LOCAL_SOURCES];
    uint8_t pic_master, pic_slave;
} kept;

static uint32_t read_register(uint32_t offset)
{
    uint64_t value = 0;
    if (base) {
        return mem_read32(base + offset);
    }
    msr_read(MSR_X2APIC + offset / 16, &value);
    return (uint32_t)value;
}

static void write_register(uint32_t offset, uint32_t value)
{
    if (base) {
        mem_write32(base + offset, value);
    } else {
        msr_write(MSR_X2APIC + offset / 16, value);
    }
}

static bool find(void)
{
    uint64_t value;
    if (!(cpu_id(1).d & CPUID_1_D_APIC) || !msr_read(MSR_BASE, &value) || !(value & BASE_ENABLED)) {
        return false;
    }
    base = value & BASE_X2APIC ? 0 : (uint32_t)value & 0xfffff000;
    return value >> 32 == 0 || !base;
}

bool lapic_start(void)
{
    if (!find()) {
        return false;
    }
    kept.pic_master = io_in8(PIC_MASTER_MASK);
    kept.pic_slave = io_in8(PIC_SLAVE_MASK);
    io_out8(PIC_MASTER_MASK, 0xff);
    io_out8(PIC_SLAVE_MASK, 0xff);
    for (unsigned i = 0; i < LOCAL_SOURCES; i++) {
        kept.local[i] = read_register(local_sources[i]);
        write_register(local_sources[i], kept.local[i] | LOCAL_MASKED);
    }
    kept.priority = read_register(TASK_PRIORITY);
    write_register(TASK_PRIORITY, 0);
    kept.spurious = read_register(SPURIOUS);
    write_register(SPURIOUS, SPURIOUS_ENABLED | SPURIOUS_VECTOR);
    lapic_drain();
    return true;
}

void lapic_stop(void)
{
    lapic_drain();
    write_register(SPURIOUS, kept.spurious);
    write_register(TASK_PRIORITY, kept.priority);
    for (unsigned i = 0; i < LOCAL_SOURCES; i++) {
        write_register(local_sources[i], kept.local[i]);
    }
    io_out8(PIC_MASTER_MASK, kept.pic_master);
    io_out8(PIC_SLAVE_MASK, kept.pic_slave);
}

uint32_t lapic_id(void)
{
    return base ? read_register(ID) >> 24 : read_register(ID);
}

static bool bit_of(uint32_t registers, uint8_t vector)
{
    return read_register(registers + 16 * (vector / 32u)) >> vector % 32 & 1;
}

bool lapic_pending(uint8_t vector)
{
    return bit_of(REQUESTED, vector);
}

void lapic_acknowledge(void)
{
    write_register(ACKNOWLEDGE, 0);
}

static bool in_service(void)
{
    uint32_t any = 0;
    for (uint32_t i = 0; i < 8; i++) {
        any |= read_register(IN_SERVICE + 16 * i);
    }
    return any;
}

/* What firmware was serving when it handed over was never acknowledged, and would block all below it. */
void lapic_drain(void)
{
    for (int i = 0; i < 256 && in_service(); i++) {
        lapic_acknowledge();
    }
    cpu_take_interrupts();
}
