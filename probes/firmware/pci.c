#include "pci.h"

#include "bytes.h"
#include "clock.h"
#include "io.h"

enum {
    ADDRESS = 0xcf8,
    DATA = 0xcfc,
    CAPABILITIES_MAX = 48, /* 192 bytes hold no more */
    CLASS_HOST_BRIDGE = 0x0600,
};

static const uint32_t ENABLE = 1u << 31;

static void select_register(uint16_t bdf, uint32_t offset)
{
    io_out32(ADDRESS, ENABLE | (uint32_t)bdf << 8 | (offset & 0xfc));
}

uint32_t pci_read32(uint16_t bdf, uint32_t offset)
{
    select_register(bdf, offset);
    return io_in32(DATA);
}

uint16_t pci_read16(uint16_t bdf, uint32_t offset)
{
    return (uint16_t)(pci_read32(bdf, offset) >> 8 * (offset & 2));
}

void pci_write32(uint16_t bdf, uint32_t offset, uint32_t value)
{
    select_register(bdf, offset);
    io_out32(DATA, value);
}

/* 16 bits and no more: writing the status beside the command would clear its bits. */
void pci_write16(uint16_t bdf, uint32_t offset, uint16_t value)
{
    select_register(bdf, offset);
    io_out16((uint16_t)(DATA + (offset & 2)), value);
}

bool pci_present(void)
{
    uint32_t before = io_in32(ADDRESS);
    io_out32(ADDRESS, ENABLE);
    bool answers = io_in32(ADDRESS) == ENABLE;
    io_out32(ADDRESS, before);
    return answers;
}

static bool is_there(uint16_t bdf)
{
    uint16_t vendor = pci_read16(bdf, 0);
    return vendor != 0xffff && vendor != 0x0000;
}

static bool visit_device(uint16_t bdf, bool (*visit)(uint16_t bdf))
{
    if (!is_there(bdf)) {
        return true;
    }
    unsigned functions = pci_read16(bdf, PCI_HEADER_TYPE) & 0x80 ? 8 : 1;
    for (unsigned function = 0; function < functions; function++) {
        uint16_t each = (uint16_t)(bdf + function);
        if ((function == 0 || is_there(each)) && !visit(each)) {
            return false;
        }
    }
    return true;
}

unsigned pci_scan(uint64_t deadline, bool (*visit)(uint16_t bdf))
{
    for (unsigned bus = 0; bus < 256; bus++) {
        for (unsigned device = 0; device < 32; device++) {
            if (clock_now() >= deadline || !visit_device((uint16_t)(bus << 8 | device << 3), visit)) {
                return bus;
            }
        }
    }
    return 256;
}

static uint32_t ecam_base(uint16_t bdf, const struct ecam *ecam, unsigned ecams)
{
    for (unsigned i = 0; i < ecams; i++) {
        if (BUS(bdf) >= ecam[i].first_bus && BUS(bdf) <= ecam[i].last_bus) {
            return ecam[i].base + ((uint32_t)bdf << 12);
        }
    }
    return 0;
}

static void compare(uint16_t bdf, uint32_t base, struct config *config)
{
    config->ecam = ECAM_EQUAL;
    for (uint32_t at = 0; at < CONFIG_BYTES; at += 4) {
        uint32_t by_memory = mem_read32(base + at);
        if (by_memory == get32(config->bytes + at) || by_memory == pci_read32(bdf, at)) {
            continue;
        }
        if (at == 0) {
            config->ecam = ECAM_STRANGER;
            return;
        }
        config->difference = config->differing ? config->difference : (uint8_t)(at / 4);
        config->differing++;
        config->ecam = ECAM_DIFFERS;
    }
}

/* A bridge that does not decode the upper address bits shows the first 256 bytes again and again. */
static bool is_aliased(uint32_t base, uint32_t id)
{
    for (uint32_t at = CONFIG_BYTES; at < CONFIG_EXTENDED_BYTES; at += CONFIG_BYTES) {
        if (mem_read32(base + at) != id) {
            return false;
        }
    }
    return true;
}

void pci_read_config(uint16_t bdf, const struct ecam *ecam, unsigned ecams, struct config *config)
{
    *config = (struct config){.size = CONFIG_BYTES};
    for (uint32_t at = 0; at < CONFIG_BYTES; at += 4) {
        put32(config->bytes + at, pci_read32(bdf, at));
    }
    uint32_t base = ecam_base(bdf, ecam, ecams);
    if (!base) {
        return;
    }
    compare(bdf, base, config);
    bool may_extend = get16(config->bytes + PCI_CLASS) == CLASS_HOST_BRIDGE ||
                      pci_capability(config->bytes, CAPABILITY_PCIE);
    if (config->ecam == ECAM_STRANGER || !may_extend || mem_read32(base + CONFIG_BYTES) == 0xffffffff ||
        is_aliased(base, get32(config->bytes))) {
        return;
    }
    for (uint32_t at = CONFIG_BYTES; at < CONFIG_EXTENDED_BYTES; at += 4) {
        put32(config->bytes + at, mem_read32(base + at));
    }
    config->size = CONFIG_EXTENDED_BYTES;
}

uint32_t pci_capability(const uint8_t *config, uint8_t id)
{
    if (!(get16(config + PCI_STATUS) & STATUS_CAPABILITIES)) {
        return 0;
    }
    uint32_t at = config[PCI_CAPABILITIES] & 0xfc;
    for (int count = 0; at >= 0x40 && config[at] != 0xff && count < CAPABILITIES_MAX; count++) {
        if (config[at] == id) {
            return at;
        }
        at = config[at + 1] & 0xfc;
    }
    return 0;
}
