/* The firmware probe: started as a kernel is, it reports the machine as the firmware left it, over a UART, and
   hands over to nobody. It writes to no disk and enables no device. */

#include "acpi.h"
#include "clock.h"
#include "io.h"
#include "machine.h"
#include "multiboot.h"
#include "options.h"
#include "pins.h"
#include "print.h"
#include "probe.h"
#include "report.h"
#include "serve.h"
#include "size.h"
#include "traps.h"
#include "uart.h"

enum { UART_PATIENCE_MS = 2000 };

static struct boot_info boot;
static struct options options;
static struct acpi acpi;

static void turn_off(void)
{
    enum { TYPE_SHIFT = 10, TYPE = 7 << TYPE_SHIFT, ENABLE = 1 << 13 };
    struct acpi_sleep sleep;
    if (!acpi_read_sleep(&acpi, &sleep)) {
        print("bringup firmware probe: this machine does not say how to turn it off\n");
        return;
    }
    uint16_t ports[2] = {sleep.control_a, sleep.control_b};
    uint8_t types[2] = {sleep.type_a, sleep.type_b};
    for (int i = 0; i < 2 && ports[i]; i++) {
        uint16_t kept = (uint16_t)(io_in16(ports[i]) & ~(TYPE | ENABLE));
        io_out16(ports[i], (uint16_t)(kept | types[i] << TYPE_SHIFT | ENABLE));
    }
    wait_ms(2000);
    print("bringup firmware probe: it did not turn off\n");
}

static _Noreturn void finish(void)
{
    static const char *const words[] = {"halts", "turns the machine off", "restarts the machine"};
    print("bringup firmware probe: %s\n", words[options.after]);
    uart_drain();
    if (options.after == AFTER_REBOOT) {
        reset_machine();
    }
    if (options.after == AFTER_OFF) {
        turn_off();
    }
    halt();
}

/* How far an exception has brought us: one in the course of a step goes on with the next step. */
static enum { PROBING, UNDOING, SERVING, FINISHING } step;

static _Noreturn void serve_and_finish(void)
{
    step = SERVING;
    report_finish();
    bool done = serve(options.wait_s);
    print("bringup firmware probe: %s\n", done ? "the other side has everything" : "nobody asks any more");
    step = FINISHING;
    finish();
}

/* What was being done is put back, and what was found so far is served. */
_Noreturn void trap_fatal(uint32_t vector, uint32_t address)
{
    print("\nbringup firmware probe: exception %u at 0x%x\n", vector, address);
    if (step == PROBING) {
        step = UNDOING;
        size_abandon();
        pins_abandon();
        report_note("an exception ended the probe: what is not in this report was not looked at");
        serve_and_finish();
    }
    if (step == UNDOING) {
        report_note("exceptions ended the probe, and not everything may have been put back");
        serve_and_finish();
    }
    if (step == SERVING) {
        step = FINISHING;
        finish();
    }
    halt();
}

_Noreturn void image_main(uint32_t magic, const void *information);

_Noreturn void image_main(uint32_t magic, const void *information)
{
    bool multiboot = multiboot_read(magic, information, &boot);
    options_read(boot.cmdline, &options);
    traps_start();
    clock_start();
    uart_give_up_after(UART_PATIENCE_MS);
    uart_start(options.port);
    if (options.also) {
        uart_start(options.also);
    }
    print("\nbringup firmware probe, not seL4\n");
    if (!multiboot) {
        print("bringup firmware probe: loaded by something that speaks neither multiboot 1 nor 2\n");
        finish();
    }
    report_start((uint8_t)read_tsc());
    probe(&boot, &options, &acpi);
    serve_and_finish();
}
