#include "ioapic.h"

#include "io.h"

enum { SELECT = 0x00, WINDOW = 0x10, ID = 0, VERSION = 1, ENTRIES = 0x10 };

static uint32_t read_register(uint32_t address, uint32_t number)
{
    mem_write32(address + SELECT, number);
    return mem_read32(address + WINDOW);
}

static void write_register(uint32_t address, uint32_t number, uint32_t value)
{
    mem_write32(address + SELECT, number);
    mem_write32(address + WINDOW, value);
}

uint64_t ioapic_entry(const struct ioapic *ioapic, unsigned pin)
{
    uint32_t low = read_register(ioapic->address, ENTRIES + 2 * pin);
    return (uint64_t)read_register(ioapic->address, ENTRIES + 2 * pin + 1) << 32 | low;
}

void ioapic_write_entry(const struct ioapic *ioapic, unsigned pin, uint64_t entry)
{
    uint32_t low = (uint32_t)entry;
    write_register(ioapic->address, ENTRIES + 2 * pin, low | ENTRY_MASKED);
    write_register(ioapic->address, ENTRIES + 2 * pin + 1, (uint32_t)(entry >> 32));
    write_register(ioapic->address, ENTRIES + 2 * pin, low);
}

void ioapic_mask(const struct ioapic *ioapic, unsigned pin, bool masked)
{
    uint32_t low = read_register(ioapic->address, ENTRIES + 2 * pin);
    low = masked ? low | ENTRY_MASKED : low & ~(uint32_t)ENTRY_MASKED;
    write_register(ioapic->address, ENTRIES + 2 * pin, low);
}

void ioapic_read(const struct madt_ioapic *where, struct ioapic *ioapic)
{
    *ioapic = (struct ioapic){.address = where->address, .gsi_base = where->gsi_base};
    if (!where->address || where->address & 0xf) {
        return;
    }
    ioapic->id = read_register(where->address, ID);
    ioapic->version = read_register(where->address, VERSION);
    if (ioapic->version == 0xffffffff || !(ioapic->version & 0xff)) {
        return;
    }
    unsigned pins = (ioapic->version >> 16 & 0xff) + 1;
    ioapic->pins = pins < IOAPIC_PINS_MAX ? pins : IOAPIC_PINS_MAX;
    for (unsigned pin = 0; pin < ioapic->pins; pin++) {
        ioapic->found[pin] = ioapic_entry(ioapic, pin);
    }
}
