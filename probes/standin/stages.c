/* A boot in the words of an seL4 debug build on a PC (seL4 src/arch/x86/kernel/boot_sys.c, cmdline.c and
   src/plat/pc99/machine/acpi.c), after a first line that says what this is. Addresses and sizes are real. */

#include <stddef.h>

#include "clock.h"
#include "guests.h"
#include "machine.h"
#include "multiboot.h"
#include "options.h"
#include "payload.h"
#include "play.h"
#include "print.h"
#include "reports.h"
#include "suite.h"
#include "uart.h"

extern const char image_start[], image_end[], _start[];

static struct boot_info boot;
static struct options options;

static void hang_after(enum stage stage)
{
    if (options.hang_after == stage) {
        halt();
    }
}

static void say_configuration(void)
{
    print("\nBoot config: parsing cmdline '%s'\n", boot.cmdline);
    print("Boot config: console_port = 0x%x\n", options.console_port);
    print("Boot config: debug_port = 0x%x\n", options.debug_port);
    print("Boot config: disable_iommu = %s\n", options.disable_iommu ? "true" : "false");
    if (options.misspelt) {
        print("stand-in: the command line asks for a play= that this image does not know\n");
    }
}

static uint32_t module_count(void)
{
    uint32_t known = boot.modules_seen < MODULES_MAX ? boot.modules_seen : MODULES_MAX;
    return options.play == PLAY_NO_MODULE ? 0 : known;
}

static void say_modules(void)
{
    print("Detected %u boot module(s):\n", module_count());
    if (module_count() == 0) {
        print("Expect at least one boot module (containing a userland image)\n");
        play_boot_failure();
    }
    for (uint32_t i = 0; i < module_count(); i++) {
        const struct module *module = &boot.modules[i];
        print("  module #%u: start=0x%x end=0x%x size=0x%x name='%s'\n", i, module->start, module->end,
              module->end - module->start, module->name);
        if (module->end <= module->start) {
            print("Invalid boot module size! Possible cause: boot module file not found by QEMU\n");
            play_boot_failure();
        }
    }
}

static void say_memory(void)
{
    const uint64_t high_memory = 0x100000;
    print("Parsing GRUB physical memory map\n");
    for (uint32_t i = 0; i < boot.regions_seen && i < REGIONS_MAX; i++) {
        const struct region *region = &boot.regions[i];
        print("\tPhysical Memory Region from %llx size %llx type %d\n", region->start, region->size,
              (int)region->type);
        if (region->type == 1 && region->start >= high_memory) {
            print("Adding physical memory region 0x%llx-0x%llx\n", region->start,
                  region->start + region->size);
        }
    }
}

static void say_machine(void)
{
    if (boot.rsdp) {
        print("ACPI: RSDP paddr=0x%x\n", boot.rsdp);
    }
    print("Kernel loaded to: start=0x%x end=0x%x size=0x%x entry=0x%x\n", (uint32_t)image_start,
          (uint32_t)image_end, (uint32_t)(image_end - image_start), (uint32_t)_start);
}

/* Nothing is moved, because nothing of the module is run: a stand-in only proves that it arrived. */
static void load_modules(void)
{
    print("ELF-loading userland images from boot modules:\n");
    for (uint32_t i = 0; i < module_count(); i++) {
        if (!payload_check(i, &boot.modules[i])) {
            play_boot_failure();
        }
    }
    const struct module *first = &boot.modules[0];
    print("Moving loaded userland images to final location: from=0x%x to=0x%x size=0x%x\n", first->start,
          first->start, first->end - first->start);
}

static void boot_kernel(void)
{
    say_configuration();
    hang_after(STAGE_KERNEL);
    say_modules();
    say_memory();
    say_machine();
    if (options.play == PLAY_ASSERT) {
        play_assert();
    }
    load_modules();
    print("Starting node #0 with APIC ID %u\n", apic_id());
    if (options.play == PLAY_VTX_LOCKED) {
        play_vtx_locked();
    }
    if (options.play == PLAY_VMX) {
        play_vmx();
    }
    if (options.report && options.report->when <= KERNELS_LAST) {
        report_say(options.report);
        if (options.report->when == IN_KERNEL) {
            play_boot_failure();
        }
        halt();
    }
    if (options.play == PLAY_REBOOT) {
        reset_machine();
    }
    print("Mapping kernel window is done\n");
    if (options.play == PLAY_FLOOD) {
        play_flood(options.number);
    }
    if (options.play == PLAY_QUIET) {
        wait_ms(options.number * 1000);
    }
    print("Booting all finished, dropped to user space\n");
}

static void run_user_space(void)
{
    hang_after(STAGE_USER_SPACE);
    switch (options.play) {
    case PLAY_CAP_FAULT: play_cap_fault();
    case PLAY_LATE_FAULT: wait_ms(options.number * 1000); report_say(report_find("component")); return;
    case PLAY_SUITE:
    case PLAY_SUITE_FAILS: suite_run(options.number, options.play == PLAY_SUITE_FAILS); return;
    case PLAY_RELEASE:
        if (options.number) {
            play_application((uint16_t)options.number);
            return;
        }
        break;
    case PLAY_REPORT:
        if (options.report->when == IN_USER_SPACE) {
            report_say(options.report);
            return;
        }
        options.hang_after = STAGE_GUEST;
        break;
    default: break;
    }
    guests_run(&options);
    if (options.report && options.report->when >= IN_VMM) {
        report_say(options.report);
    }
}

_Noreturn void image_main(uint32_t magic, const void *information)
{
    bool multiboot = multiboot_read(magic, information, &boot);
    options_read(boot.cmdline, &options);
    clock_start();
    if (options.feature && !options.feature->present()) {
        play_refusal(options.feature);
    }
    uart_start(options.debug_port);
    print_mute(options.play == PLAY_RELEASE);
    if (options.play == PLAY_MODULE && multiboot && module_count() > 0) {
        play_module(&boot.modules[0]);
    }

    print("bringup stand-in image, not seL4\n");
    if (!multiboot) {
        print("Boot loader is not multiboot 1 or 2 compliant\n");
        play_boot_failure();
    }
    if (options.play == PLAY_GARBAGE) {
        play_garbage(options.seed);
    }
    boot_kernel();
    run_user_space();
    halt();
}
