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
   play=report:NAME   a failure as it is reported (reports.c): data, code, exception, syscall, cap, mcs,
                      component, component-code, component-exception, component-cap, component-syscall, abort,
                      check, untyped, frame, ports, irq, reason, unknown-reason, memory, kernel-exception,
                      vm-exit, vm-exit-reason, guest-fault, device, bar, panic, crash
   play=late-fault[:SECONDS]  a component's fault 4 seconds after user space, if not said otherwise
   play=suite[:TESTS] play=suite-fails[:TESTS]  a test suite of 20 tests, if not said otherwise
   play=module        the text of the first module, byte by byte, and nothing of our own
   play=needs:FEATURE a 64-bit kernel that refuses a processor without FEATURE (pcid, fsgsbase, huge-pages), and
                      says so on COM1 only
   play=release[:PORT]  a kernel built without printing: only VMMs and guests speak, not even a fatal end is said;
                      with PORT (0x3f8) an application without VMs says a few lines there, and only there
   play=vmx           enters VMX, runs a guest of a few instructions and leaves, and says so or why not
   play=quiet:SECONDS a pause before user space */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "features.h"
#include "reports.h"

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
    PLAY_REPORT,
    PLAY_LATE_FAULT,
    PLAY_SUITE,
    PLAY_SUITE_FAILS,
    PLAY_NEEDS,
    PLAY_MODULE,
    PLAY_VMX,
};

enum stage { STAGE_NONE, STAGE_KERNEL, STAGE_USER_SPACE, STAGE_VMM, STAGE_GUEST };

struct options {
    uint16_t console_port;
    uint16_t debug_port;
    bool disable_iommu;
    enum play play;
    enum stage hang_after; /* of PLAY_HANG, else STAGE_NONE */
    uint32_t number;       /* lines of PLAY_FLOOD, seconds of PLAY_QUIET and PLAY_LATE_FAULT, tests, a port */
    const struct report *report; /* of PLAY_REPORT */
    const struct feature *feature; /* of PLAY_NEEDS */
    uint32_t vms;
    uint32_t seed; /* never 0 */
    bool misspelt; /* play= names nothing that we know */
};

void options_read(const char *cmdline, struct options *options);
