#include "vmx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are of the Intel SDM, volume 3: appendix A (capability MSRs), appendix B (fields of the VMCS), appendix C
   (exit reasons), sections 24.7 (VMXON) and 27.3.1 (the guest's state). */
enum {
    FEATURE_CONTROL = 0x3a,
    LOCKED = 1,
    VMX_OUTSIDE_SMX = 4,
    VMX_BASIC = 0x480,
    CR0_FIXED = 0x486, /* and the next: bits that have to be 1, bits that may be */
    CR4_FIXED = 0x488,
    CR0_PROTECTED_PAGED = 0x80000001,
    CR4_BIG_PAGES = 0x10,
    CR4_VMX = 0x2000,
    EXIT_CPUID = 10,
    EXIT_VMCALL = 18,
};

enum field {
    LINK_POINTER = 0x2800,
    PIN_CONTROLS = 0x4000,
    PROCESSOR_CONTROLS = 0x4002,
    EXIT_CONTROLS = 0x400c,
    ENTRY_CONTROLS = 0x4012,
    EXIT_REASON = 0x4402,
    EXIT_INSTRUCTION_BYTES = 0x440c,
    GUEST_CR0 = 0x6800,
    GUEST_CR3 = 0x6802,
    GUEST_CR4 = 0x6804,
    GUEST_GDTR_BASE = 0x6816,
    GUEST_IDTR_BASE = 0x6818,
    GUEST_DR7 = 0x681a,
    GUEST_RIP = 0x681e,
    GUEST_RFLAGS = 0x6820,
    HOST_CR0 = 0x6c00,
    HOST_CR3 = 0x6c02,
    HOST_CR4 = 0x6c04,
    HOST_GDTR_BASE = 0x6c0c,
    HOST_IDTR_BASE = 0x6c0e,
};

struct descriptor_table {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

static uint32_t pages[1024] __attribute__((aligned(4096)));
static uint32_t vmxon_region[1024] __attribute__((aligned(4096)));
static uint32_t vmcs[1024] __attribute__((aligned(4096)));

/* The guest counts its own steps: an exit alone would not prove that it ran. */
volatile uint32_t vmx_guest_steps;
extern const char vmx_guest[];
uint32_t vmx_enter(uint32_t again);

/* vmx_enter: run the guest until it exits; 1 when it did, 0 when it could not be entered. An exit comes back with the
   stack pointer and the place in the VMCS (HOST_RSP 6c14, HOST_RIP 6c16), and with the guest's other registers. */
__asm__(".text\n"
        "vmx_enter:\n"
        "  pushl %ebp\n  pushl %ebx\n  pushl %esi\n  pushl %edi\n"
        "  movl $0x6c14, %eax\n  vmwrite %esp, %eax\n"
        "  movl $0x6c16, %eax\n  movl $2f, %edx\n  vmwrite %edx, %eax\n"
        "  cmpl $0, 20(%esp)\n  jne 1f\n"
        "  vmlaunch\n  jmp 3f\n"
        "1: vmresume\n  jmp 3f\n"
        "2: movl $1, %eax\n  jmp 4f\n"
        "3: xorl %eax, %eax\n"
        "4: popl %edi\n  popl %esi\n  popl %ebx\n  popl %ebp\n  ret\n"
        "vmx_guest:\n"
        "  incl vmx_guest_steps\n  xorl %eax, %eax\n  cpuid\n"
        "  incl vmx_guest_steps\n  vmcall\n"
        "5: jmp 5b\n");

static uint64_t read_msr(uint32_t number)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static void write_msr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void write_field(uint32_t field, uint32_t value)
{
    __asm__ volatile("vmwrite %1, %0" ::"r"(field), "r"(value) : "cc", "memory");
}

static uint32_t read_field(uint32_t field)
{
    uint32_t value;
    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
    return value;
}

/* VMXON, VMCLEAR and VMPTRLD take a physical address and fail by the carry or the zero flag. */
#define TAKES_REGION(name, instruction)                                                                                \
    static bool name(const void *region)                                                                               \
    {                                                                                                                  \
        uint64_t address = (uint32_t)region;                                                                           \
        bool failed;                                                                                                   \
        __asm__ volatile(instruction " %1" : "=@ccbe"(failed) : "m"(address) : "memory");                              \
        return !failed;                                                                                                \
    }
TAKES_REGION(enter_vmx, "vmxon")
TAKES_REGION(clear_vmcs, "vmclear")
TAKES_REGION(load_vmcs, "vmptrld")

static uint32_t read_cr0(void)
{
    uint32_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static uint32_t read_cr4(void)
{
    uint32_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static void write_cr0(uint32_t value)
{
    __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory");
}

static void write_cr4(uint32_t value)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

static const char *switch_on(void)
{
    uint32_t a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 5 & 1)) {
        return "vt-x: not supported";
    }
    uint64_t control = read_msr(FEATURE_CONTROL);
    if (!(control & LOCKED)) {
        control |= LOCKED | VMX_OUTSIDE_SMX;
        write_msr(FEATURE_CONTROL, control);
    }
    return control & VMX_OUTSIDE_SMX ? NULL : "vt-x: feature locked";
}

/* VMX wants paging: every address is itself, in pages of 4 MiB. */
static void map_all(void)
{
    for (uint32_t i = 0; i < 1024; i++) {
        pages[i] = i << 22 | 0x83; /* 4 MiB, writable, present */
    }
    write_cr4(((read_cr4() | CR4_BIG_PAGES | CR4_VMX | (uint32_t)read_msr(CR4_FIXED)) & (uint32_t)read_msr(CR4_FIXED + 1)));
    __asm__ volatile("mov %0, %%cr3" ::"r"(pages) : "memory");
    write_cr0((read_cr0() | CR0_PROTECTED_PAGED | (uint32_t)read_msr(CR0_FIXED)) & (uint32_t)read_msr(CR0_FIXED + 1));
}

/* A capability MSR has the bits that have to be 1 in its low half, those that may be in its high half. */
static void write_controls(enum field field, uint32_t capability)
{
    write_field(field, (uint32_t)read_msr(capability));
}

static void write_segments(void)
{
    enum { CODE = 0xc09b, DATA = 0xc093, BUSY_TSS = 0x8b, UNUSABLE = 0x10000 };
    static const struct {
        uint16_t selector;
        uint32_t rights;
    } segments[] = {{0x10, DATA}, {0x08, CODE}, {0x10, DATA},    {0x10, DATA},
                    {0x10, DATA}, {0x10, DATA}, {0, UNUSABLE},   {0x18, BUSY_TSS}}; /* ES CS SS DS FS GS LDTR TR */
    for (uint32_t i = 0; i < 8; i++) {
        write_field(0x0800 + 2 * i, segments[i].selector);
        write_field(0x4800 + 2 * i, segments[i].rights == BUSY_TSS ? 0x67 : 0xffffffff);
        write_field(0x4814 + 2 * i, segments[i].rights);
        write_field(0x6806 + 2 * i, 0);
        if (segments[i].rights != UNUSABLE) { /* the host has no LDTR, and its TR comes where LDTR would */
            write_field(0x0c00 + 2 * (i == 7 ? 6 : i), segments[i].selector);
        }
    }
}

static void write_state(void)
{
    struct descriptor_table gdt, idt;
    __asm__ volatile("sgdt %0\n sidt %1" : "=m"(gdt), "=m"(idt));
    write_controls(PIN_CONTROLS, 0x481);
    write_controls(PROCESSOR_CONTROLS, 0x482);
    write_controls(EXIT_CONTROLS, 0x483);
    write_controls(ENTRY_CONTROLS, 0x484);
    write_field(LINK_POINTER, 0xffffffff);
    write_field(LINK_POINTER + 1, 0xffffffff);
    write_segments();
    const struct {
        enum field guest, host;
        uint32_t value;
    } same[] = {{GUEST_CR0, HOST_CR0, read_cr0()},
                {GUEST_CR3, HOST_CR3, (uint32_t)pages},
                {GUEST_CR4, HOST_CR4, read_cr4()},
                {GUEST_GDTR_BASE, HOST_GDTR_BASE, gdt.base},
                {GUEST_IDTR_BASE, HOST_IDTR_BASE, idt.base}};
    for (uint32_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
        write_field(same[i].guest, same[i].value);
        write_field(same[i].host, same[i].value);
    }
    write_field(0x4810, 0xffff); /* limits of the guest's GDT and IDT */
    write_field(0x4812, 0xffff);
    write_field(GUEST_DR7, 0x400);
    write_field(GUEST_RFLAGS, 2);
    write_field(GUEST_RIP, (uint32_t)vmx_guest);
}

static const char *run_guest(void)
{
    vmx_guest_steps = 0;
    if (!vmx_enter(false)) {
        return "vt-x: the guest could not be entered";
    }
    if ((read_field(EXIT_REASON) & 0x8000ffff) != EXIT_CPUID || vmx_guest_steps != 1) {
        return "vt-x: the guest did not come to its CPUID";
    }
    write_field(GUEST_RIP, read_field(GUEST_RIP) + read_field(EXIT_INSTRUCTION_BYTES));
    if (!vmx_enter(true)) {
        return "vt-x: the guest could not be resumed";
    }
    bool called = (read_field(EXIT_REASON) & 0x8000ffff) == EXIT_VMCALL && vmx_guest_steps == 2;
    return called ? NULL : "vt-x: the guest did not come to its VMCALL";
}

const char *vmx_run(void)
{
    const char *refused = switch_on();
    if (refused) {
        return refused;
    }
    uint32_t cr0 = read_cr0(), cr4 = read_cr4();
    map_all();
    vmxon_region[0] = vmcs[0] = (uint32_t)read_msr(VMX_BASIC) & 0x7fffffff;
    const char *failed = "vt-x: VMX operation could not be entered";
    if (enter_vmx(vmxon_region)) {
        failed = "vt-x: the VMCS could not be loaded";
        if (clear_vmcs(vmcs) && load_vmcs(vmcs)) {
            write_state();
            failed = run_guest();
        }
        __asm__ volatile("vmxoff" ::: "cc", "memory");
    }
    write_cr0(cr0);
    write_cr4(cr4);
    return failed;
}
