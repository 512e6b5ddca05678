/* The kernel's command line: what seL4 understands, and what this stand-in can play.

   console_port=0x2f8 debug_port=0x2f8 disable_iommu    as seL4 (src/arch/x86/kernel/cmdline.c)
   vms=N              VMs that come up after user space, 0 to 6
   seed=N             another sequence of pseudo-random bits
   play=hang:STAGE    stop after STAGE (kernel, user-space, vmm, guest), without another character
   play=assert        a failed kernel assertion
   play=vtx-locked    firmware locked VT-x off
   play=no-module     as if the loader had passed no module
   play=reboot        reset the machine in the middle of the boot, every time
   play=garbage       bytes that are no text, as from a wrong baud rate
   play=flood[:LINES] 200 numbered lines a second, 2000 if not said
   play=cap-fault     a fault in user space
   play=release       a kernel built without printing: only VMMs and guests speak, not even a fatal end is said
   play=quiet:SECONDS a pause before user space */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { VMS_MAX = 6 };

enum play {
    PLAY_NOTHING,
    PLAY_HANG,
    PLAY_ASSERT,
    PLAY_VTX_LOCKED,
    PLAY_NO_MODULE,
    PLAY_REBOOT,
    PLAY_GARBAGE,
    PLAY_FLOOD,
    PLAY_CAP_FAULT,
    PLAY_RELEASE,
    PLAY_QUIET,
};

enum stage { STAGE_NONE, STAGE_KERNEL, STAGE_USER_SPACE, STAGE_VMM, STAGE_GUEST };

struct options {
    uint16_t console_port;
    uint16_t debug_port;
    bool disable_iommu;
    enum play play;
    enum stage hang_after; /* of PLAY_HANG, else STAGE_NONE */
    uint32_t number;       /* lines of PLAY_FLOOD, seconds of PLAY_QUIET */
    uint32_t vms;
    uint32_t seed; /* never 0 */
    bool misspelt; /* play= names nothing that we know */
};

void options_read(const char *cmdline, struct options *options);
