#include "cpu.h"

#include "print.h"
#include "report.h"

/* Intel SDM 2A (CPUID) and 4 (MSRs). */
enum {
    MSR_APIC_BASE = 0x1b,
    MSR_FEATURE_CONTROL = 0x3a,
    FEATURE_C_VMX = 1 << 5,
    FEATURE_C_X2APIC = 1 << 21,
    FEATURE_D_MSR = 1 << 5,
    FEATURE_D_APIC = 1 << 9,
    CONTROL_LOCKED = 1 << 0,
    CONTROL_VMX = 1 << 2,
    BASE_X2APIC = 1 << 10,
};

static const uint32_t EXTENDED = 0x80000000;

bool cpu_has_vmx(const struct cpu *cpu)
{
    return cpu->features.c & FEATURE_C_VMX;
}

static void read_brand(char brand[49])
{
    bool told = cpu_id(EXTENDED).a >= EXTENDED + 4;
    for (uint32_t leaf = 0; told && leaf < 3; leaf++) {
        struct cpuid id = cpu_id(EXTENDED + 2 + leaf);
        uint32_t words[4] = {id.a, id.b, id.c, id.d};
        for (int i = 0; i < 16; i++) {
            char c = (char)(words[i / 4] >> 8 * (i % 4));
            brand[16 * leaf + (uint32_t)i] = c >= ' ' && c <= '~' ? c : '\0';
        }
    }
}

void cpu_read(struct cpu *cpu)
{
    *cpu = (struct cpu){.features = cpu_id(1)};
    read_brand(cpu->brand);
    if (!(cpu->features.d & FEATURE_D_MSR)) {
        return;
    }
    /* Without VMX the register need not exist. */
    cpu->control_valid = cpu_has_vmx(cpu) && msr_read(MSR_FEATURE_CONTROL, &cpu->control);
    cpu->base_valid = cpu->features.d & FEATURE_D_APIC && msr_read(MSR_APIC_BASE, &cpu->base);
}

static const char *vtx_text(const struct cpu *cpu)
{
    if (!cpu_has_vmx(cpu)) {
        return "none";
    }
    if (!cpu->control_valid) {
        return "there, its lock cannot be read";
    }
    if (!(cpu->control & CONTROL_LOCKED)) {
        return "there, not locked";
    }
    return cpu->control & CONTROL_VMX ? "on" : "locked off by the firmware";
}

static const char *x2apic_text(const struct cpu *cpu)
{
    if (!cpu->base_valid) {
        return "not known";
    }
    if (cpu->base & BASE_X2APIC) {
        return "on (seL4's default wants it off)";
    }
    return cpu->features.c & FEATURE_C_X2APIC ? "there, off" : "none";
}

void cpu_report(const struct cpu *cpu)
{
    print("processor: %s; VT-x: %s; x2APIC: %s\n", cpu->brand, vtx_text(cpu), x2apic_text(cpu));
    record_begin(RECORD_CPU);
    record_u32(cpu->features.a);
    record_u32(cpu->features.b);
    record_u32(cpu->features.c);
    record_u32(cpu->features.d);
    record_u8((cpu->control_valid ? 1u : 0) | (cpu->base_valid ? 2u : 0));
    record_u64(cpu->control);
    record_u64(cpu->base);
    for (const char *c = cpu->brand; *c; c++) {
        record_u8((uint8_t)*c);
    }
    if (!record_end()) {
        report_dropped();
    }
}
