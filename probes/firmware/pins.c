#include "pins.h"

#include "bytes.h"
#include "clock.h"
#include "lapic.h"
#include "pci.h"
#include "report.h"
#include "size.h"

enum {
    FIRST_VECTOR = 0x30,
    LAST_VECTOR = 0xef,
    INPUTS_MAX = LAST_VECTOR - FIRST_VECTOR + 1,
    BASELINE_MS = 60, /* longer than a period of the BIOS timer */
    ARRIVAL_MS = 20,  /* e1000e's slowest interrupt throttling is 2 ms */
    OTHERS_MS = 2,    /* for a second input that delivers the same interrupt */
    QUIET_MS = 2,
    RELEASE_MS = 10,

    FLAG_POLARITY = 3,
    FLAG_POLARITY_LOW = 3,
    FLAG_TRIGGER = 3 << 2,
    FLAG_TRIGGER_LEVEL = 3 << 2,
    POWER_STATE = 4, /* offset of PMCSR in the PM capability; bits 1:0 are the state */
};

struct input {
    const struct ioapic *ioapic;
    uint8_t index, pin;
    bool noisy[PHASES];
};

static struct input inputs[INPUTS_MAX];
static unsigned input_count, not_watched;
static bool ready;

static uint8_t vector_of(unsigned input)
{
    return (uint8_t)(FIRST_VECTOR + input);
}

/* PCI interrupts are level and active low; ISA's are edge and active high, unless the MADT overrides it. */
static uint64_t entry_for(unsigned input, const struct madt *madt)
{
    uint32_t gsi = inputs[input].ioapic->gsi_base + inputs[input].pin;
    uint32_t mode = gsi < ISA_IRQS ? 0 : ENTRY_LEVEL | ENTRY_ACTIVE_LOW;
    for (unsigned irq = 0; irq < ISA_IRQS; irq++) {
        if (madt->override[irq].present && madt->override[irq].gsi == gsi) {
            uint16_t flags = madt->override[irq].flags;
            mode = (flags & FLAG_TRIGGER) == FLAG_TRIGGER_LEVEL ? ENTRY_LEVEL : 0;
            mode |= (flags & FLAG_POLARITY) == FLAG_POLARITY_LOW ? ENTRY_ACTIVE_LOW : 0;
        }
    }
    return (uint64_t)lapic_id() << 56 | ENTRY_MASKED | mode | vector_of(input);
}

/* Entries that are not of the phase stay masked: with all of an IIO IOAPIC masked, a Xeon sends its INTx to
   the chipset's (Linux Documentation/PCI/boot-interrupts.rst). */
static void listen(unsigned phase, bool on)
{
    for (unsigned i = 0; i < input_count; i++) {
        bool wanted = on && !inputs[i].noisy[phase] && (phase == PHASE_ALL || inputs[i].index == 0);
        ioapic_mask(inputs[i].ioapic, inputs[i].pin, !wanted);
    }
}

static bool any_pending(void)
{
    for (unsigned i = 0; i < input_count; i++) {
        if (lapic_pending(vector_of(i))) {
            return true;
        }
    }
    return false;
}

static uint64_t deadline_in(uint32_t ms)
{
    return clock_now() + (uint64_t)ms * clock_ticks_per_ms();
}

static void find_noise(unsigned phase)
{
    listen(phase, true);
    wait_ms(BASELINE_MS);
    listen(phase, false);
    for (unsigned i = 0; i < input_count; i++) {
        inputs[i].noisy[phase] = lapic_pending(vector_of(i));
    }
    lapic_drain();
}

bool pins_start(const struct ioapic *ioapics, unsigned count, const struct madt *madt)
{
    input_count = not_watched = 0;
    ready = false;
    for (unsigned k = 0; k < count; k++) {
        for (unsigned pin = 0; pin < ioapics[k].pins; pin++) {
            if (input_count == INPUTS_MAX) {
                not_watched++;
                continue;
            }
            inputs[input_count++] = (struct input){&ioapics[k], (uint8_t)k, (uint8_t)pin, {false, false}};
        }
    }
    if (!input_count || !lapic_start()) {
        return false;
    }
    if (lapic_id() > 0xff) { /* an entry has 8 bits for it */
        lapic_stop();
        return false;
    }
    ready = true;
    for (unsigned i = 0; i < input_count; i++) {
        /* Edge first: that drops a remote IRR which firmware left set, and with which nothing would come. */
        uint64_t entry = entry_for(i, madt);
        ioapic_write_entry(inputs[i].ioapic, inputs[i].pin, entry & ~(uint64_t)ENTRY_LEVEL);
        ioapic_write_entry(inputs[i].ioapic, inputs[i].pin, entry);
    }
    for (unsigned phase = 0; phase < PHASES; phase++) {
        find_noise(phase);
    }
    return true;
}

void pins_stop(void)
{
    if (!ready) {
        return;
    }
    for (unsigned i = 0; i < input_count; i++) {
        uint64_t found = inputs[i].ioapic->found[inputs[i].pin];
        ioapic_write_entry(inputs[i].ioapic, inputs[i].pin, found);
    }
    lapic_stop();
    ready = false;
}

static bool asserts(uint16_t bdf)
{
    return pci_read16(bdf, PCI_STATUS) & STATUS_INTX;
}

static void wait_for_arrival(void)
{
    uint64_t deadline = deadline_in(ARRIVAL_MS);
    while (!any_pending() && clock_now() < deadline) {
    }
    wait_ms(OTHERS_MS);
}

static void note_arrivals(unsigned phase, uint8_t times[INPUTS_MAX])
{
    for (unsigned i = 0; i < input_count; i++) {
        times[i] = (uint8_t)(times[i] + (lapic_pending(vector_of(i)) && !inputs[i].noisy[phase]));
    }
}

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

/* Once more without firing: what delivers now did not need us. */
static void discount_idle(unsigned phase, uint8_t idle[INPUTS_MAX])
{
    listen(phase, true);
    wait_ms(QUIET_MS);
    listen(phase, false);
    note_arrivals(phase, idle);
    lapic_drain();
}

/* One phase; false when the function could not be silenced. */
static bool try_phase(struct pin_result *result, uint32_t registers, unsigned phase)
{
    uint8_t times[INPUTS_MAX] = {0}, idle[INPUTS_MAX] = {0};
    bool silent = true;
    unsigned tries = 0;
    for (; tries < TRIES && silent; tries++) {
        listen(phase, true);
        nic_fire(result->family, registers);
        wait_for_arrival();
        result->status_seen += asserts(result->bdf);
        nic_silence(result->family, registers);
        listen(phase, false);
        note_arrivals(phase, times);
        lapic_drain();
        silent = released(result->bdf);
        if (silent) {
            discount_idle(phase, idle);
        }
    }
    result->phase[phase].tries = tries;
    unsigned count = 0;
    for (unsigned i = 0; i < input_count && count < SEEN_MAX; i++) {
        if (times[i] && !idle[i]) {
            result->phase[phase].seen[count].ioapic = inputs[i].index;
            result->phase[phase].seen[count].pin = inputs[i].pin;
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
    return ready ? PIN_MEASURED : PIN_NO_CONTROLLER;
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

void pins_measure(uint16_t bdf, struct pin_result *result)
{
    static struct config config;
    pci_read_config(bdf, 0, 0, &config);
    *result = (struct pin_result){.bdf = bdf};
    result->family = nic_family(get16(config.bytes), get16(config.bytes + 2));
    result->outcome = objection(bdf, &config, result->family);
    if (result->outcome != PIN_MEASURED) {
        return;
    }
    uint16_t command = get16(config.bytes + PCI_COMMAND);
    uint32_t registers = (uint32_t)bar_base(config.bytes, 0);
    set_messages(bdf, config.bytes, false);
    pci_write16(bdf, PCI_COMMAND,
                (uint16_t)((command & ~(COMMAND_MASTER | COMMAND_INTX_OFF)) | COMMAND_MEMORY));
    if (!nic_answers(result->family, registers)) {
        result->outcome = PIN_READS_ONES;
    } else {
        nic_silence(result->family, registers);
        bool silent = released(bdf);
        for (unsigned phase = 0; phase < PHASES && silent; phase++) {
            silent = try_phase(result, registers, phase);
        }
        bool seen = every_time(result, PHASE_SEL4) || every_time(result, PHASE_ALL);
        result->outcome = !silent ? PIN_STUCK : seen ? PIN_MEASURED : PIN_NOT_SEEN;
        nic_silence(result->family, registers);
    }
    set_messages(bdf, config.bytes, true);
    /* What cannot be silenced must not stay connected. */
    uint16_t disconnect = result->outcome == PIN_STUCK ? COMMAND_INTX_OFF : 0;
    pci_write16(bdf, PCI_COMMAND, (uint16_t)(command | disconnect));
}

void pins_report(const struct pin_result *result)
{
    record_begin(RECORD_PIN);
    record_u16(result->bdf);
    record_u8(result->family);
    record_u8(result->outcome);
    record_u8(result->status_seen);
    record_u16(not_watched);
    for (unsigned phase = 0; phase < PHASES; phase++) {
        unsigned noisy = 0;
        for (unsigned i = 0; i < input_count; i++) {
            noisy += inputs[i].noisy[phase];
        }
        record_u8(result->phase[phase].tries);
        record_u8(noisy);
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
    };
    return texts[outcome];
}
