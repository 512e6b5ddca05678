#include "play.h"

#include "clock.h"
#include "machine.h"
#include "print.h"
#include "random.h"
#include "uart.h"
#include "vmx.h"

_Noreturn void play_boot_failure(void)
{
    print("seL4 called fail at src/arch/x86/kernel/boot_sys.c:722 in function boot_sys, "
          "saying \"boot_sys failed for some reason :(\n\"\n"
          "halting...\n"
          "Kernel entry via Interrupt, irq 0\n");
    halt();
}

/* seL4 src/assert.c, _assert_fail() */
_Noreturn void play_assert(void)
{
    print("seL4 failed assertion 'mods_end_paddr > boot_state.ki_p_reg.end' "
          "at src/arch/x86/kernel/boot_sys.c:512 in function try_boot_sys\n"
          "halting...\n");
    halt();
}

/* seL4 src/arch/x86/object/vcpu.c, vtx_init() */
_Noreturn void play_vtx_locked(void)
{
    print("vt-x: feature locked\n");
    play_boot_failure();
}

void play_vmx(void)
{
    const char *failed = vmx_run();
    if (failed) {
        print("%s\n", failed);
        play_boot_failure();
    }
    print("stand-in: VMX entered, a guest ran to its CPUID and its VMCALL, VMX left\n");
}

/* seL4 src/kernel/faulthandler.c, src/api/faults.c: a thread without a fault handler touches address 0. */
_Noreturn void play_cap_fault(void)
{
    print("Caught cap fault in send phase at address 0x0\n"
          "while trying to handle:\n"
          "vm fault on data at address 0x0 with status 0x4\n"
          "in thread 0xffffff801fe08400 \"rootserver\" at address 0x40e1b2\n"
          "With stack:\n");
    for (uint32_t slot = 0; slot < 16; slot++) {
        print("0x%x: 0x%x\n", 0x7d2f60 + 8 * slot, slot == 5 ? 0x40e08d : 0);
    }
    halt();
}

/* seL4 src/arch/x86/64/head.S */
_Noreturn void play_refusal(const struct feature *feature)
{
    const uint16_t com1 = 0x3f8;
    uart_start(com1);
    print("%s\n", feature->refusal);
    halt();
}

void play_application(uint16_t port)
{
    uart_only(port);
    print_mute(false);
    for (unsigned line = 1; line <= 5; line++) {
        print("stand-in application: line %u of 5\n", line);
        wait_ms(100);
    }
}

_Noreturn void play_module(const struct module *module)
{
    for (const uint8_t *byte = (const uint8_t *)module->start; byte < (const uint8_t *)module->end; byte++) {
        uart_put(*byte);
    }
    halt();
}

/* A byte that no text has: a control character other than tab and line ends, or beyond ASCII. */
static uint8_t unprintable(struct random *random)
{
    for (;;) {
        uint8_t byte = (uint8_t)(random_bits(random) >> 16);
        bool text = (byte >= ' ' && byte <= '~') || byte == '\t' || byte == '\n' || byte == '\r';
        if (!text) {
            return byte;
        }
    }
}

_Noreturn void play_garbage(uint32_t seed)
{
    struct random random = {seed};
    for (int i = 0; i < 4096; i++) {
        uart_put(unprintable(&random));
    }
    for (;;) {
        wait_ms(20);
        uart_put(unprintable(&random));
    }
}

/* 57 characters a line with its end: 200 lines a second just fit through 115200 baud. */
void play_flood(uint32_t lines)
{
    uint64_t due = clock_now();
    for (uint32_t line = 1; line <= lines; line++) {
        print("flood %06u of %06u 0123456789 abcdefghijklmnopqrstuvw\n", line, lines);
        due += 5ull * clock_ticks_per_ms();
        wait_until(due);
    }
}
