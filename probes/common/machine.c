#include "machine.h"

#include "clock.h"

_Noreturn void reset_machine(void)
{
    /* Reset control register of PC chipsets (Intel PCH datasheet, RST_CNT): system reset, then go. */
    outb(0xcf9, 0x02);
    outb(0xcf9, 0x06);
    wait_ms(50);

    /* Keyboard controller, command "pulse the reset line". */
    outb(0x64, 0xfe);
    wait_ms(50);

    /* An interrupt without any handler: triple fault, shutdown, reset (Intel SDM 3A 6.15, vector 8). */
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) empty_idt = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(empty_idt));
    halt();
}
