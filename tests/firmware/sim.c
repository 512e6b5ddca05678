#include "sim.h"

#include <string.h>

#include "clock.h"
#include "io.h"
#include "nic.h"
#include "pci.h"
#include "uart.h"

enum {
    LAPIC = 0xfee00000u,
    IOAPIC = 0xfec00000u,
    IOAPIC_STRIDE = 0x1000,
    BLOCKS_MAX = 64,
};

struct sim_function sim_functions[SIM_FUNCTIONS_MAX];
unsigned sim_count;
uint32_t sim_ecam;
bool sim_ecam_aliased;
uint64_t sim_entries[SIM_IOAPICS][SIM_PINS];
bool sim_noisy_pin[SIM_PINS];
bool sim_asserted_pin[SIM_PINS];
bool sim_has_apic;
char sim_console[16 << 20];
unsigned sim_console_size;
jmp_buf sim_trap;
unsigned sim_trap_at_write, sim_trap_at_shot;

static struct {
    uint32_t address, size;
    uint8_t *bytes;
} blocks[BLOCKS_MAX];
static unsigned block_count;
static uint32_t address_port, selected[SIM_IOAPICS], lapic[256], requested[8];
static uint64_t ticks;

void sim_reset(void)
{
    for (unsigned i = 0; i < block_count; i++) {
        free(blocks[i].bytes);
    }
    block_count = sim_count = sim_console_size = 0;
    memset(sim_functions, 0, sizeof(sim_functions));
    memset(sim_noisy_pin, 0, sizeof(sim_noisy_pin));
    memset(sim_asserted_pin, 0, sizeof(sim_asserted_pin));
    memset(requested, 0, sizeof(requested));
    memset(lapic, 0, sizeof(lapic));
    address_port = 0;
    sim_ecam = 0;
    sim_ecam_aliased = false;
    sim_has_apic = true;
    sim_trap_at_write = sim_trap_at_shot = 0;
    for (int i = 0; i < SIM_IOAPICS * SIM_PINS; i++) {
        sim_entries[i / SIM_PINS][i % SIM_PINS] = 0x10000 + (uint64_t)i; /* masked, each its own */
    }
}

void sim_set16(struct sim_function *function, unsigned at, uint16_t value)
{
    memcpy(function->config + at, &value, 2);
}

void sim_set32(struct sim_function *function, unsigned at, uint32_t value)
{
    memcpy(function->config + at, &value, 4);
}

static uint32_t get(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

struct sim_function *sim_add(uint16_t bdf, uint16_t vendor, uint16_t device, uint16_t class_code)
{
    CHECK(sim_count < SIM_FUNCTIONS_MAX);
    struct sim_function *function = &sim_functions[sim_count++];
    function->bdf = bdf;
    function->sticky_bar = -1;
    sim_set16(function, 0x00, vendor);
    sim_set16(function, 0x02, device);
    sim_set16(function, 0x04, 0x0003);
    sim_set16(function, 0x0a, class_code);
    sim_set16((struct sim_function *)function, 0x2c, 0);
    memset(function->writable + 0x04, 0xff, 2);
    return function;
}

void sim_bar(struct sim_function *function, unsigned index, uint32_t value, uint32_t writable)
{
    sim_set32(function, 0x10 + 4 * index, value);
    memcpy(function->writable + 0x10 + 4 * index, &writable, 4);
}

void sim_memory(uint32_t address, const void *data, uint32_t size)
{
    CHECK(block_count < BLOCKS_MAX);
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    blocks[block_count].address = address;
    blocks[block_count].size = size;
    blocks[block_count++].bytes = copy;
}

/* Interrupts. */

static void deliver(int ioapic, int pin)
{
    uint64_t entry = sim_entries[ioapic][pin];
    if (!(entry >> 16 & 1)) {
        requested[(entry & 0xff) / 32] |= 1u << (entry & 0xff) % 32;
    }
}

static uint16_t command_of(const struct sim_function *function)
{
    return (uint16_t)get(function->config + 4);
}

static void settle(struct sim_function *function)
{
    bool asserts = function->family && (function->stuck || function->cause & function->mask) &&
                   !(command_of(function) & COMMAND_INTX_OFF);
    bool shown = asserts && function->family != NIC_I40E; /* whose status bit does nothing */
    function->config[6] = (uint8_t)((function->config[6] & ~8) | (shown ? 8 : 0));
    if (!asserts || function->mute) {
        return;
    }
    /* While the IIO's own entry is masked, the message goes to the chipset instead. */
    bool iio_listens = function->to_iio && !(sim_entries[1][function->pin - 16] >> 16 & 1);
    if (iio_listens) {
        deliver(1, function->pin - 16);
    } else {
        deliver(0, function->pin);
    }
}

static void settle_all(void)
{
    for (unsigned i = 0; i < sim_count; i++) {
        settle(&sim_functions[i]);
    }
    for (int pin = 0; pin < SIM_PINS; pin++) {
        if (sim_noisy_pin[pin] || sim_asserted_pin[pin]) {
            deliver(0, pin);
        }
    }
}

void cpu_take_interrupts(void)
{
    for (int pin = 0; pin < SIM_PINS; pin++) {
        CHECK(!sim_asserted_pin[pin] || sim_entries[0][pin] >> 16 & 1); /* else it would be taken for ever */
    }
    memset(requested, 0, sizeof(requested));
    settle_all();
}

/* Ports. */

static struct sim_function *find(uint32_t bdf)
{
    for (unsigned i = 0; i < sim_count; i++) {
        if (sim_functions[i].bdf == bdf) {
            return &sim_functions[i];
        }
    }
    return NULL;
}

static void count_down(unsigned *to_go)
{
    if (*to_go && --*to_go == 0) {
        longjmp(sim_trap, 1);
    }
}

static void config_write(unsigned offset, unsigned size, uint32_t value)
{
    count_down(&sim_trap_at_write);
    struct sim_function *function = address_port >> 31 ? find(address_port >> 8 & 0xffff) : NULL;
    if (!function) {
        return;
    }
    bool is_bar = (offset >= 0x10 && offset < 0x28) || offset == 0x30;
    function->touched_decoding |= is_bar && (command_of(function) & 3);
    function->touched |= offset != 4;
    if (function->sticky_bar >= 0 && offset == 0x10u + 4u * (unsigned)function->sticky_bar && value != ~0u) {
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t mask = function->writable[offset + i];
        uint8_t byte = (uint8_t)(value >> 8 * i);
        function->config[offset + i] = (uint8_t)((function->config[offset + i] & ~mask) | (byte & mask));
    }
    settle(function);
}

uint32_t io_in32(uint16_t port)
{
    if (port == 0xcf8) {
        return address_port;
    }
    struct sim_function *function = port == 0xcfc && address_port >> 31 ? find(address_port >> 8 & 0xffff) : NULL;
    return function ? get(function->config + (address_port & 0xfc)) : 0xffffffff;
}

void io_out32(uint16_t port, uint32_t value)
{
    if (port == 0xcf8) {
        address_port = value;
    } else if (port == 0xcfc) {
        config_write(address_port & 0xfc, 4, value);
    }
}

void io_out16(uint16_t port, uint16_t value)
{
    if (port >= 0xcfc && port < 0xd00) {
        config_write((address_port & 0xfc) + port - 0xcfc, 2, value);
    }
}

uint16_t io_in16(uint16_t port)
{
    (void)port;
    return 0xffff;
}

uint8_t io_in8(uint16_t port)
{
    return port == 0x21 ? 0xb8 : 0x8f;
}

void io_out8(uint16_t port, uint8_t value)
{
    (void)port, (void)value;
}

/* Memory. */

struct registers {
    uint32_t cause, set, mask, clear;
};

static const struct registers layouts[] = {
    [NIC_E1000] = {0xc0, 0xc8, 0xd0, 0xd8},
    [NIC_IGB] = {0x0c0, 0x0c8, 0x0d0, 0x0d8},
};

static struct sim_function *nic_at(uint32_t address, uint32_t *offset)
{
    for (unsigned i = 0; i < sim_count; i++) {
        uint32_t base = get(sim_functions[i].config + 0x10) & ~0xfu;
        if (sim_functions[i].family && base && address >= base && address - base < 0x40000) {
            *offset = address - base;
            return command_of(&sim_functions[i]) & COMMAND_MEMORY ? &sim_functions[i] : NULL;
        }
    }
    return NULL;
}

static uint32_t nic_read(struct sim_function *nic, uint32_t offset)
{
    uint32_t cause = nic->cause;
    if (nic->family == NIC_I40E) {
        nic->cause = offset == 0x38780 ? 0 : cause;
        settle(nic);
        return offset == 0x38780 ? cause : offset == 0x38480 ? nic->mask : 0;
    }
    if (offset == layouts[nic->family].cause) {
        nic->cause = 0;
        settle(nic);
        return cause;
    }
    return offset == layouts[nic->family].mask ? nic->mask : 0;
}

static void nic_write(struct sim_function *nic, uint32_t offset, uint32_t value)
{
    CHECK(!(command_of(nic) & COMMAND_MASTER)); /* it must not be able to write memory while it is fired */
    uint32_t before = nic->cause;
    if (nic->family == NIC_I40E) {
        if (offset == 0x38480) {
            nic->mask = value & 1;
            nic->cause |= (value & 5) == 5;
        }
    } else {
        const struct registers *at = &layouts[nic->family];
        nic->cause |= offset == at->set ? value : 0;
        nic->cause &= offset == at->cause ? ~value : ~0u;
        nic->mask |= offset == at->mask ? value : 0;
        nic->mask &= offset == at->clear ? ~value : ~0u;
    }
    settle(nic);
    if (nic->cause & ~before) {
        count_down(&sim_trap_at_shot);
    }
}

uint8_t mem_read8(uint32_t address)
{
    for (unsigned i = 0; i < block_count; i++) {
        if (address >= blocks[i].address && address - blocks[i].address < blocks[i].size) {
            return blocks[i].bytes[address - blocks[i].address];
        }
    }
    return 0xff;
}

static uint32_t ecam_read(uint32_t offset)
{
    struct sim_function *function = find(offset >> 12);
    return function ? get(function->config + (offset & (sim_ecam_aliased ? 0xfc : 0xffc))) : 0xffffffff;
}

uint32_t mem_read32(uint32_t address)
{
    uint32_t offset;
    struct sim_function *nic;
    if (address >= LAPIC && address - LAPIC < 0x1000) {
        uint32_t at = address - LAPIC;
        return at >= 0x200 && at < 0x280 ? requested[(at - 0x200) / 16] : lapic[at / 16];
    }
    uint32_t number = (address - IOAPIC) / IOAPIC_STRIDE;
    if (address >= IOAPIC && number < SIM_IOAPICS) {
        if (selected[number] < 0x10) {
            return selected[number] ? (SIM_PINS - 1) << 16 | 0x20 : number << 24;
        }
        uint64_t entry = sim_entries[number][(selected[number] - 0x10) / 2 % SIM_PINS];
        return (uint32_t)(selected[number] % 2 ? entry >> 32 : entry);
    }
    if (sim_ecam && address >= sim_ecam && address - sim_ecam < 0x10000000) {
        return ecam_read(address - sim_ecam);
    }
    if ((nic = nic_at(address, &offset))) {
        return nic_read(nic, offset);
    }
    return mem_read8(address) | (uint32_t)mem_read8(address + 1) << 8 | (uint32_t)mem_read8(address + 2) << 16 |
           (uint32_t)mem_read8(address + 3) << 24;
}

void mem_write32(uint32_t address, uint32_t value)
{
    uint32_t offset;
    struct sim_function *nic;
    uint32_t number = (address - IOAPIC) / IOAPIC_STRIDE;
    if (address >= LAPIC && address - LAPIC < 0x1000) {
        lapic[(address - LAPIC) / 16] = value;
    } else if (address >= IOAPIC && number < SIM_IOAPICS) {
        if (address % IOAPIC_STRIDE == 0) {
            selected[number] = value & 0xff;
            return;
        }
        CHECK(selected[number] >= 0x10);
        uint64_t *entry = &sim_entries[number][(selected[number] - 0x10) / 2 % SIM_PINS];
        uint64_t word = value;
        *entry = selected[number] % 2 ? (*entry & 0xffffffff) | word << 32 : (*entry >> 32 << 32) | word;
        settle_all();
    } else if ((nic = nic_at(address, &offset))) {
        nic_write(nic, offset, value);
    } else {
        CHECK(!"a write to memory that is no device's");
    }
}

/* Processor, clock, console. */

struct cpuid cpu_id(uint32_t leaf)
{
    struct cpuid id = {0, 0, 0, 0};
    if (leaf == 1) {
        id = (struct cpuid){0x50654, 0, 1 << 5 | 1 << 21, sim_has_apic ? 1 << 9 | 1 << 5 : 1 << 5};
    }
    return id;
}

bool msr_read(uint32_t msr, uint64_t *value)
{
    *value = msr == 0x1b ? LAPIC | 0x900 : msr == 0x3a ? 5 : 0;
    return msr == 0x1b || msr == 0x3a;
}

void msr_write(uint32_t msr, uint64_t value)
{
    (void)msr, (void)value;
    CHECK(!"no MSR is to be written here");
}

uint64_t clock_now(void)
{
    return ticks++;
}

uint32_t clock_ticks_per_ms(void)
{
    return 50;
}

void wait_until(uint64_t deadline)
{
    ticks = deadline > ticks ? deadline : ticks;
}

void wait_ms(uint32_t ms)
{
    ticks += 50ull * ms;
}

void uart_put(uint8_t byte)
{
    CHECK(sim_console_size < sizeof(sim_console));
    sim_console[sim_console_size++] = (char)byte;
}

bool uart_get(uint8_t *byte)
{
    (void)byte;
    return false;
}
