#include "inputs.h"

#include "clock.h"
#include "lapic.h"

enum {
    BASELINE_MS = 60, /* longer than a period of the BIOS timer */

    FLAG_POLARITY = 3,
    FLAG_POLARITY_LOW = 3,
    FLAG_TRIGGER = 3 << 2,
    FLAG_TRIGGER_LEVEL = 3 << 2,
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
void inputs_listen(unsigned phase, bool on)
{
    for (unsigned i = 0; i < input_count; i++) {
        bool wanted = on && !inputs[i].noisy[phase] && (phase == PHASE_ALL || inputs[i].index == 0);
        ioapic_mask(inputs[i].ioapic, inputs[i].pin, !wanted);
    }
}

bool inputs_pending(void)
{
    for (unsigned i = 0; i < input_count; i++) {
        if (lapic_pending(vector_of(i))) {
            return true;
        }
    }
    return false;
}

static void find_noise(unsigned phase)
{
    inputs_listen(phase, true);
    wait_ms(BASELINE_MS);
    inputs_listen(phase, false);
    for (unsigned i = 0; i < input_count; i++) {
        inputs[i].noisy[phase] = lapic_pending(vector_of(i));
    }
    lapic_drain();
}

static void mask_all(void)
{
    for (unsigned i = 0; i < input_count; i++) {
        ioapic_mask(inputs[i].ioapic, inputs[i].pin, true);
    }
}

static void put_back_entries(void)
{
    for (unsigned i = 0; i < input_count; i++) {
        ioapic_write_entry(inputs[i].ioapic, inputs[i].pin, inputs[i].ioapic->found[inputs[i].pin]);
    }
}

bool inputs_start(const struct ioapic *ioapics, unsigned count, const struct madt *madt)
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
    /* Before any interrupt is taken: an entry that firmware left open may deliver an asserted line for ever. */
    mask_all();
    if (!input_count || !lapic_start()) {
        put_back_entries();
        return false;
    }
    if (lapic_id() > 0xff) { /* an entry has 8 bits for it */
        lapic_stop();
        put_back_entries();
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

void inputs_stop(void)
{
    if (!ready) {
        return;
    }
    mask_all();
    lapic_stop();
    put_back_entries();
    ready = false;
}

void inputs_note(unsigned phase, uint8_t times[INPUTS_MAX])
{
    for (unsigned i = 0; i < input_count; i++) {
        times[i] = (uint8_t)(times[i] + (lapic_pending(vector_of(i)) && !inputs[i].noisy[phase]));
    }
}

void inputs_settle(void)
{
    lapic_drain();
}

bool inputs_ready(void)
{
    return ready;
}

unsigned inputs_count(void)
{
    return input_count;
}

unsigned inputs_not_watched(void)
{
    return not_watched;
}

unsigned inputs_noisy(unsigned phase)
{
    unsigned noisy = 0;
    for (unsigned i = 0; i < input_count; i++) {
        noisy += inputs[i].noisy[phase];
    }
    return noisy;
}

struct place inputs_place(unsigned input)
{
    return (struct place){inputs[input].index, inputs[input].pin};
}
