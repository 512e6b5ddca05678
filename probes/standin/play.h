/* Endings and detours of a boot that a board can show and a working image does not. */
#pragma once

#include <stdint.h>

#include "multiboot.h"
#include "options.h"

/* What boot_sys() prints when it gives up (seL4 src/arch/x86/kernel/boot_sys.c). */
_Noreturn void play_boot_failure(void);

_Noreturn void play_assert(void);
_Noreturn void play_vtx_locked(void);
_Noreturn void play_garbage(uint32_t seed);
_Noreturn void play_cap_fault(void);

/* An early check of a kernel in assembly: it says on COM1 what is missing, whatever the command line says. */
_Noreturn void play_refusal(const struct feature *feature);

/* An application that says a few lines on the UART at `port`, which the kernel left alone. */
void play_application(uint16_t port);

/* A console that somebody recorded, from the module that holds it. */
_Noreturn void play_module(const struct module *module);

/* Use VT-x before user space; a processor without it ends the boot, in seL4's words. */
void play_vmx(void);

/* Print `lines` numbered lines at 200 a second, then return. */
void play_flood(uint32_t lines);
