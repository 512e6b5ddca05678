/* What kernels, components, VMMs and guests print when something fails, each in its own words. */
#pragma once

#include <stdbool.h>

struct report {
    const char *name;
    /* IN_KERNEL is a reason, behind which boot_sys() gives up; the kernel's last words are all there is. */
    enum { IN_KERNEL, KERNELS_LAST, IN_USER_SPACE, IN_VMM, IN_GUEST } when;
    const char *text;
};

/* The report of play=report:NAME, NULL for a name that there is not. */
const struct report *report_find(const char *name);

/* Print it; what a guest or its VMM says is in its colour, and comes after the VMM has started the guest. */
void report_say(const struct report *report);
