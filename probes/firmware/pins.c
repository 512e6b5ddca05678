#include "pins.h"

#include "bytes.h"
#include "clock.h"
#include "inputs.h"
#include "pci.h"
#include "report.h"
#include "size.h"
#include "tables.h"

enum {
    /* e1000e's slowest interrupt throttling is 2 ms; an emulator on a busy host takes its time for that. The
       wait ends with the first arrival. */
    ARRIVAL_MS = 200,
    OTHERS_MS = 2,   /* for a second input that delivers the same interrupt */
    QUIET_MS = 2,
    RELEASE_MS = 10,
    POWER_STATE = 4, /* offset of PMCSR in the PM capability; bits 1:0 are the state */
};

static const struct boot_info *memory_map;

/* The function that is being measured, as it was found. */
static struct {
    bool under_way;
    uint16_t bdf;
    enum nic_family family;
    uint32_t registers; /* address of BAR 0 */
    struct config config;
} device;

static uint64_t deadline_in(uint32_t ms)
{
    return clock_now() + (uint64_t)ms * clock_ticks_per_ms();
}

bool pins_start(const struct ioapic *ioapics, unsigned count, const struct madt *madt,
                const struct boot_info *boot)
{
    memory_map = boot;
    return inputs_start(ioapics, count, madt);
}

void pins_stop(void)
{
    inputs_stop();
}

static bool asserts(uint16_t bdf)
{
    return pci_read16(bdf, PCI_STATUS) & STATUS_INTX;
}

static void wait_for_arrival(void)
{
    uint64_t deadline = deadline_in(ARRIVAL_MS);
    while (!inputs_pending() && clock_now() < deadline) {
    }
    wait_ms(OTHERS_MS);
}

/* Where the status bit says nothing this is true at once; keeps_on() is what tells then. */
static bool released(uint16_t bdf)
{
    uint64_t deadline = deadline_in(RELEASE_MS);
    while (asserts(bdf)) {
        if (clock_now() >= deadline) {
            return false;
        }
    }
    return true;
}

/* Listen without firing; whether anything delivers all the same. */
static bool anything_idle(unsigned phase, uint8_t idle[INPUTS_MAX])
{
    inputs_listen(phase, true);
    wait_ms(QUIET_MS);
    inputs_listen(phase, false);
    bool any = inputs_pending();
    inputs_note(phase, idle);
    inputs_settle();
    return any;
}

/* Once more without firing: what delivers now did not need us. True when it is the silenced function itself
   that goes on: nothing delivers with its INTx off, and something with its INTx on again. */
static bool keeps_on(uint16_t bdf, unsigned phase, uint8_t idle[INPUTS_MAX])
{
    if (!anything_idle(phase, idle)) {
        return false;
    }
    uint16_t command = pci_read16(bdf, PCI_COMMAND);
    pci_write16(bdf, PCI_COMMAND, command | COMMAND_INTX_OFF);
    bool of_others = anything_idle(phase, idle);
    pci_write16(bdf, PCI_COMMAND, command);
    return !of_others && anything_idle(phase, idle);
}

/* One phase; false when the function could not be silenced. */
static bool try_phase(struct pin_result *result, uint32_t registers, unsigned phase)
{
    uint8_t times[INPUTS_MAX] = {0}, idle[INPUTS_MAX] = {0};
    bool silent = true;
    unsigned tries = 0;
    for (; tries < TRIES && silent; tries++) {
        inputs_listen(phase, true);
        nic_fire(result->family, registers);
        wait_for_arrival();
        result->status_seen += asserts(result->bdf);
        nic_silence(result->family, registers);
        inputs_listen(phase, false);
        inputs_note(phase, times);
        inputs_settle();
        silent = released(result->bdf) && !keeps_on(result->bdf, phase, idle);
    }
    result->phase[phase].tries = tries;
    unsigned count = 0;
    for (unsigned i = 0; i < inputs_count() && count < SEEN_MAX; i++) {
        if (times[i] && !idle[i]) {
            result->phase[phase].seen[count].ioapic = inputs_place(i).ioapic;
            result->phase[phase].seen[count].pin = inputs_place(i).pin;
            result->phase[phase].seen[count++].times = times[i];
        }
    }
    result->phase[phase].count = count;
    return silent;
}

static bool every_time(const struct pin_result *result, unsigned phase)
{
    for (unsigned i = 0; i < result->phase[phase].count; i++) {
        if (result->phase[phase].seen[i].times == TRIES) {
            return true;
        }
    }
    return false;
}

/* Why not to fire this function, PIN_MEASURED when nothing speaks against it. */
static enum pin_outcome objection(uint16_t bdf, const struct config *config, enum nic_family family)
{
    const uint8_t *bytes = config->bytes;
    if (get16(bytes) == 0xffff) {
        return PIN_ABSENT;
    }
    if (family == NIC_UNKNOWN) {
        return PIN_NO_FAMILY;
    }
    if (!bytes[PCI_INTERRUPT_PIN]) {
        return PIN_NO_INTX;
    }
    uint32_t power = pci_capability(bytes, CAPABILITY_POWER);
    if (power && pci_read16(bdf, power + POWER_STATE) & 3) {
        return PIN_POWERED_DOWN;
    }
    uint64_t base = bar_base(bytes, 0);
    if (bar_is_io(bytes, 0) || !base) {
        return PIN_NO_REGISTERS;
    }
    if (base + nic_reach(family) > 1ull << 32) {
        return PIN_REGISTERS_HIGH;
    }
    /* An address that nobody assigned, where decoding would lie over memory, ours perhaps. */
    if (memory_is_ram(memory_map, base, nic_reach(family))) {
        return PIN_IN_MEMORY;
    }
    return inputs_ready() ? PIN_MEASURED : PIN_NO_CONTROLLER;
}

/* Message signalled interrupts off or back to what they were: enable bits of MSI (control bit 0) and MSI-X
   (control bit 15), PCI 3.0 6.8.1.3 and 6.8.2.3. */
static void set_messages(uint16_t bdf, const uint8_t *config, bool restore)
{
    static const struct {
        uint8_t id;
        uint16_t enable;
    } kinds[] = {{CAPABILITY_MSI, 1 << 0}, {CAPABILITY_MSIX, 1 << 15}};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        uint32_t at = pci_capability(config, kinds[i].id);
        if (at) {
            uint16_t control = get16(config + at + 2);
            uint16_t off = (uint16_t)(control & ~kinds[i].enable);
            pci_write16(bdf, at + 2, restore ? control : off);
        }
    }
}

static void take_device(void)
{
    uint16_t command = get16(device.config.bytes + PCI_COMMAND);
    device.under_way = true;
    set_messages(device.bdf, device.config.bytes, false);
    pci_write16(device.bdf, PCI_COMMAND,
                (uint16_t)((command & ~(COMMAND_MASTER | COMMAND_INTX_OFF)) | COMMAND_MEMORY));
}

/* As it was found; but what cannot be silenced must not stay connected. */
static void give_back_device(bool disconnect)
{
    uint16_t command = get16(device.config.bytes + PCI_COMMAND);
    set_messages(device.bdf, device.config.bytes, true);
    pci_write16(device.bdf, PCI_COMMAND, (uint16_t)(command | (disconnect ? COMMAND_INTX_OFF : 0)));
    device.under_way = false;
}

static enum pin_outcome experiment(struct pin_result *result)
{
    if (!nic_answers(device.family, device.registers)) {
        return PIN_READS_ONES;
    }
    nic_silence(device.family, device.registers);
    bool silent = released(device.bdf);
    for (unsigned phase = 0; phase < PHASES && silent; phase++) {
        silent = try_phase(result, device.registers, phase);
    }
    nic_silence(device.family, device.registers);
    bool seen = every_time(result, PHASE_SEL4) || every_time(result, PHASE_ALL);
    return !silent ? PIN_STUCK : seen ? PIN_MEASURED : PIN_NOT_SEEN;
}

void pins_measure(uint16_t bdf, struct pin_result *result)
{
    const uint8_t *bytes = device.config.bytes;
    pci_read_config(bdf, 0, 0, &device.config);
    device.bdf = bdf;
    device.family = nic_family(get16(bytes), get16(bytes + 2));
    device.registers = (uint32_t)bar_base(bytes, 0);
    *result = (struct pin_result){.bdf = bdf, .family = device.family};
    result->outcome = objection(bdf, &device.config, device.family);
    if (result->outcome == PIN_MEASURED) {
        take_device();
        result->outcome = experiment(result);
        give_back_device(result->outcome == PIN_STUCK);
    }
}

void pins_abandon(void)
{
    bool fired = device.under_way;
    device.under_way = false;
    if (fired) { /* by config space first, which surely answers */
        pci_write16(device.bdf, PCI_COMMAND, COMMAND_MEMORY | COMMAND_INTX_OFF);
    }
    pins_stop();
    if (fired) {
        nic_silence(device.family, device.registers);
        give_back_device(!nic_shows_intx(device.family) || !released(device.bdf));
    }
}

void pins_report(const struct pin_result *result)
{
    record_begin(RECORD_PIN);
    record_u16(result->bdf);
    record_u8(result->family);
    record_u8(result->outcome);
    record_u8(result->status_seen);
    record_u16(inputs_not_watched());
    for (unsigned phase = 0; phase < PHASES; phase++) {
        record_u8(result->phase[phase].tries);
        record_u8(inputs_noisy(phase));
        record_u8(result->phase[phase].count);
        for (unsigned i = 0; i < result->phase[phase].count; i++) {
            record_u8(result->phase[phase].seen[i].ioapic);
            record_u8(result->phase[phase].seen[i].pin);
            record_u8(result->phase[phase].seen[i].times);
        }
    }
    if (!record_end()) {
        report_dropped();
    }
}

const char *pins_outcome_text(enum pin_outcome outcome)
{
    static const char *const texts[] = {
        [PIN_MEASURED] = "measured",
        [PIN_NOT_SEEN] = "fired, no interrupt seen",
        [PIN_NO_FAMILY] = "not fired: no way known for this device",
        [PIN_NO_INTX] = "not fired: it has no INTx pin",
        [PIN_NO_REGISTERS] = "not fired: BAR 0 has no address",
        [PIN_REGISTERS_HIGH] = "not fired: BAR 0 lies above 4 GiB",
        [PIN_READS_ONES] = "not fired: its registers read as ones",
        [PIN_POWERED_DOWN] = "not fired: it is powered down",
        [PIN_STUCK] = "fired, could not be silenced, INTx turned off",
        [PIN_NO_CONTROLLER] = "not fired: no local APIC or no IOAPIC",
        [PIN_ABSENT] = "not there",
        [PIN_IN_MEMORY] = "not fired: BAR 0 lies over memory",
    };
    return texts[outcome];
}
