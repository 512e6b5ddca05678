/* Linked in with --wrap=nic_fire: the second shot of a controller ends in an exception, while it is armed. */
#include "nic.h"

void __real_nic_fire(enum nic_family family, uint32_t registers);
void __wrap_nic_fire(enum nic_family family, uint32_t registers);

void __wrap_nic_fire(enum nic_family family, uint32_t registers)
{
    static int shots;
    __real_nic_fire(family, registers);
    if (++shots == 2) {
        __asm__ volatile("ud2");
    }
}
