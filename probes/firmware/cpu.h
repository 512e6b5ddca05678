/* What the processor says of itself that decides about VMs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "io.h"

struct cpu {
    struct cpuid features; /* leaf 1 */
    char brand[49];
    bool control_valid, base_valid;
    uint64_t control; /* IA32_FEATURE_CONTROL, where the processor has VMX: bit 0 locked, bit 2 VMX on */
    uint64_t base;    /* IA32_APIC_BASE: bit 10 x2APIC on, bit 11 on */
};

void cpu_read(struct cpu *cpu);
bool cpu_has_vmx(const struct cpu *cpu);
void cpu_report(const struct cpu *cpu);
