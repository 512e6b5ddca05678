#include "guests.h"

#include <stddef.h>

#include "random.h"
#include "uart.h"

/* camkes-vm components/Init and seL4_projects_libs libsel4vm: printed also at the default log level. */
static const char vmm_text[] =
    "Guest address space root allocated at 0x10000000. Creating 1-1 entries\n"
    "guest_elf_relocate@guest_image.c:149     50000 relocs done.\n"
    "Constructing guest cmdline at 0x500 of size 96\n"
    "Guest boot info allocated at 0x561. Populating...\n"
    "Final e820 map is:\n"
    "\t0x0 - 0x500: Type 2\n"
    "\t0x500 - 0x9fc00: Type 1\n"
    "\t0x9fc00 - 0x10003000: Type 2\n"
    "\t0x10003000 - 0x18003000: Type 1\n"
    "\t0x18003000 - 0x100000000: Type 2\n"
    "Initializing guest to start running at 0x10400000\n";

static const char banner_text[] =
    "[    0.000000] Linux version 6.1.0-standin (bringup@stand-in) (gcc 12.2.0) #1 PREEMPT_DYNAMIC\n";

static const char boot_text[] =
    "[    0.000000] BIOS-provided physical RAM map:\n"
    "[    0.000000] BIOS-e820: [mem 0x0000000000000500-0x000000000009fbff] usable\n"
    "[    0.000000] BIOS-e820: [mem 0x0000000010003000-0x0000000018002fff] usable\n"
    "[    0.000000] Kernel command line: console=ttyS0,115200 i8042.nokbd=y noisapnp pci=nomsi debug\n"
    "[    0.000000] NR_IRQS:16 nr_irqs:16 16\n"
    "[    0.000000] printk: console [ttyS0] enabled\n"
    "[    0.060000] Calibrating delay loop... 93.08 BogoMIPS (lpj=465408)\n"
    "[    0.320000] clocksource: jiffies: mask: 0xffffffff max_cycles: 0xffffffff\n"
    "[    0.400000] PCI: Using configuration type 1 for base access\n"
    "[    0.610000] pci 0000:00:01.0: [1af4:1000] type 00 class 0x020000\n"
    "[    1.113176] Serial: 8250/16550 driver, 4 ports, IRQ sharing enabled\n"
    "[    1.194347] serial8250: ttyS0 at I/O 0x3f8 (irq = 4, base_baud = 115200) is a 16550A\n"
    "[    1.513160] virtio_net virtio0 eth0: registered\n"
    "[    1.863409] NET: Registered PF_INET6 protocol family\n"
    "[    2.163169] Freeing unused kernel image (initmem) memory: 288K\n"
    "[    2.173159] Run /init as init process\n"
    "Starting logging: OK\n"
    "Initializing random number generator... done.\n"
    "Starting network: OK\n"
    "\n"
    "Welcome to Buildroot\n"
    "buildroot login: ";

/* Colours of the SerialServer by badge; guests have a white background. One entry is two sequences because a
   comma is missing there (global-components SerialServer src/serial.c). */
static const char *const colours[2][7] = {
    {"\033[31m", "\033[32m", "\033[34m", "\033[35m", "\033[33m", "\033[36m", "\033[31;1m\033[32;1m"},
    {"\033[31;47m", "\033[32;47m", "\033[34;47m", "\033[35;47m", "\033[33;47m", "\033[36;47m",
     "\033[31;47;1m\033[32;47;1m"},
};

/* VMM and guest of one VM call the server over connections of their own, so their badges differ. */
static const unsigned char badges[2][VMS_MAX] = {{5, 3, 2, 6, 1, 4}, {1, 2, 3, 4, 5, 6}};

enum part { PART_VMM, PART_BANNER, PART_BOOT, PARTS };

static const char *const parts[PARTS] = {vmm_text, banner_text, boot_text};

struct vm {
    enum part part;
    const char *next; /* what it says next, in its part */
};

static const char *colour_of(unsigned number, const struct vm *vm)
{
    unsigned guest = vm->part != PART_VMM;
    return colours[guest][badges[guest][number]];
}

static void put_text(const char *text)
{
    while (*text) {
        uart_put((uint8_t)*text++);
    }
}

/* The server sends a line end as CR LF CR; recorded from a CAmkES system. */
static void put_character(char c)
{
    if (c == '\n') {
        put_text("\r\n\r");
    } else {
        uart_put((uint8_t)c);
    }
}

/* Mostly whole lines; one time in four a piece of one, which may end inside a word. */
static void say_chunk(struct vm *vm, struct random *random)
{
    uint32_t length = random_below(random, 4) ? UINT32_MAX : 1 + random_below(random, 24);
    /* One chunk in sixteen has a NUL after a few characters, as the recorded guests have. */
    uint32_t nul_at = random_below(random, 16) ? UINT32_MAX : 2 + random_below(random, 6);
    for (uint32_t said = 0; said < length && *vm->next; said++) {
        if (said == nul_at) {
            uart_put('\0');
        }
        char c = *vm->next++;
        put_character(c);
        if (c == '\n') {
            break;
        }
    }
}

/* The parts that are said: all, or those up to the stage of play=hang. */
static enum part parts_said(enum stage hang_after)
{
    switch (hang_after) {
    case STAGE_VMM: return PART_VMM + 1;
    case STAGE_GUEST: return PART_BANNER + 1;
    default: return PARTS;
    }
}

void guests_run(const struct options *options)
{
    struct random random = {options->seed};
    struct vm vms[VMS_MAX];
    const char *last_colour = NULL;
    enum part end = parts_said(options->hang_after);
    unsigned speaking = options->vms;

    for (unsigned number = 0; number < options->vms; number++) {
        vms[number] = (struct vm){PART_VMM, parts[PART_VMM]};
    }
    while (speaking) {
        unsigned number = random_below(&random, options->vms);
        struct vm *vm = &vms[number];
        if (vm->part == end) {
            continue;
        }
        if (colour_of(number, vm) != last_colour) {
            last_colour = colour_of(number, vm);
            put_text("\033[0m");
            put_text(last_colour);
        }
        say_chunk(vm, &random);
        if (!*vm->next && ++vm->part < end) {
            vm->next = parts[vm->part];
        }
        speaking -= vm->part == end;
    }
}
