#include "size.h"

#include "bytes.h"
#include "pci.h"

enum {
    BASE_CLASS_DISPLAY = 0x03,
    BASE_CLASS_BRIDGE = 0x06,
    IO_BAR_MAX = 256, /* PCI 3.0, 6.2.5.1: an I/O BAR takes at most 256 ports */
};

static const uint32_t ROM_ADDRESS = 0xfffff800;

/* Intel functions with registers of another kind at 0x10 to 0x33: C620 MROM (E300-9D: 00:11.0 and .1), Haswell
   and Broadwell uncore. Linux does not touch them either (arch/x86/pci/fixup.c, pci_invalid_bar). */
static const uint16_t without_bars[] = {0x2fc0, 0x6f60, 0x6fa0, 0x6fc0, 0xa1ec, 0xa1ed, 0xa26c, 0xa26d};

/* The function that is being sized. */
static struct {
    bool under_way;
    uint16_t bdf;
    const uint8_t *config;
} current;

static uint32_t bar(const uint8_t *config, unsigned index)
{
    return get32(config + PCI_BAR0 + 4 * index);
}

bool bar_is_io(const uint8_t *config, unsigned index)
{
    return bar(config, index) & 1;
}

bool bar_is_wide(const uint8_t *config, unsigned index)
{
    return (bar(config, index) & 7) == 4 && index + 1 < BARS;
}

uint64_t bar_base(const uint8_t *config, unsigned index)
{
    if (bar_is_io(config, index)) {
        return bar(config, index) & 0xfffc;
    }
    uint64_t high = bar_is_wide(config, index) ? bar(config, index + 1) : 0;
    return high << 32 | (bar(config, index) & ~0xfu);
}

uint64_t bar_size(const uint8_t *config, const struct sizes *sizes, unsigned index)
{
    uint32_t low = sizes->bar[index];
    if (!low) {
        return 0;
    }
    if (bar_is_io(config, index)) {
        uint32_t mask = low & 0xfffc; /* x86 has 16 bits of ports, and devices need not keep the upper ones */
        return mask ? (~mask & 0xffff) + 1 : 0;
    }
    uint64_t high = bar_is_wide(config, index) ? sizes->bar[index + 1] : 0xffffffff;
    uint64_t mask = high << 32 | (low & ~0xfu);
    return ~mask + 1;
}

static bool holds_console(const uint8_t *config, const uint16_t consoles[CONSOLES_MAX])
{
    for (unsigned index = 0; index < BARS; index += bar_is_wide(config, index) ? 2 : 1) {
        for (unsigned i = 0; i < CONSOLES_MAX; i++) {
            uint32_t base = (uint32_t)bar_base(config, index);
            if (bar_is_io(config, index) && base && consoles[i] >= base && consoles[i] - base < IO_BAR_MAX) {
                return true;
            }
        }
    }
    return false;
}

static bool has_no_bars(const uint8_t *config)
{
    for (unsigned i = 0; i < sizeof(without_bars) / sizeof(*without_bars); i++) {
        if (get16(config) == 0x8086 && get16(config + 2) == without_bars[i]) {
            return true;
        }
    }
    return false;
}

static enum sizing may_size(const uint8_t *config, const uint16_t consoles[CONSOLES_MAX])
{
    uint8_t base_class = config[PCI_CLASS + 1];
    if ((config[PCI_HEADER_TYPE] & 0x7f) || base_class == BASE_CLASS_BRIDGE) {
        return SIZING_BRIDGE;
    }
    if (base_class == BASE_CLASS_DISPLAY) {
        return SIZING_DISPLAY;
    }
    if (has_no_bars(config)) {
        return SIZING_NO_BARS;
    }
    return holds_console(config, consoles) ? SIZING_CONSOLE : SIZED;
}

/* Both halves of a 64-bit BAR are written before either is read. */
static bool size_one(uint16_t bdf, const uint8_t *config, unsigned index, uint32_t *read)
{
    unsigned halves = bar_is_wide(config, index) ? 2 : 1;
    uint32_t offset = PCI_BAR0 + 4 * index;
    bool restored = true;
    for (unsigned half = 0; half < halves; half++) {
        pci_write32(bdf, offset + 4 * half, 0xffffffff);
    }
    for (unsigned half = 0; half < halves; half++) {
        read[half] = pci_read32(bdf, offset + 4 * half);
    }
    for (unsigned half = 0; half < halves; half++) {
        pci_write32(bdf, offset + 4 * half, bar(config, index + half));
        restored &= pci_read32(bdf, offset + 4 * half) == bar(config, index + half);
    }
    return restored;
}

static bool size_rom(uint16_t bdf, const uint8_t *config, uint32_t *read)
{
    uint32_t before = get32(config + PCI_ROM);
    pci_write32(bdf, PCI_ROM, ROM_ADDRESS); /* bit 0, its enable, stays off */
    *read = pci_read32(bdf, PCI_ROM) & ROM_ADDRESS;
    pci_write32(bdf, PCI_ROM, before);
    return pci_read32(bdf, PCI_ROM) == before;
}

void size_bars(uint16_t bdf, const uint8_t *config, const uint16_t consoles[CONSOLES_MAX], struct sizes *sizes)
{
    *sizes = (struct sizes){.state = may_size(config, consoles)};
    if (sizes->state != SIZED) {
        return;
    }
    uint16_t command = get16(config + PCI_COMMAND);
    bool restored = true;
    current.bdf = bdf;
    current.config = config;
    current.under_way = true;
    pci_write16(bdf, PCI_COMMAND, (uint16_t)(command & ~(COMMAND_IO | COMMAND_MEMORY)));
    for (unsigned index = 0; index < BARS; index += bar_is_wide(config, index) ? 2 : 1) {
        restored &= size_one(bdf, config, index, sizes->bar + index);
    }
    restored &= size_rom(bdf, config, &sizes->rom);
    pci_write16(bdf, PCI_COMMAND, command);
    current.under_way = false;
    restored &= pci_read16(bdf, PCI_COMMAND) == command;
    sizes->state = restored ? SIZED : SIZING_UNRESTORED;
}

void size_abandon(void)
{
    if (!current.under_way) {
        return;
    }
    current.under_way = false;
    for (unsigned index = 0; index < BARS; index++) {
        pci_write32(current.bdf, PCI_BAR0 + 4 * index, bar(current.config, index));
    }
    pci_write32(current.bdf, PCI_ROM, get32(current.config + PCI_ROM));
    pci_write16(current.bdf, PCI_COMMAND, get16(current.config + PCI_COMMAND));
}
