/* Endings and detours of a boot that a board can show and a working image does not. */
#pragma once

#include <stdint.h>

#include "options.h"

/* What boot_sys() prints when it gives up (seL4 src/arch/x86/kernel/boot_sys.c). */
_Noreturn void play_boot_failure(void);

_Noreturn void play_assert(void);
_Noreturn void play_vtx_locked(void);
_Noreturn void play_garbage(uint32_t seed);
_Noreturn void play_cap_fault(void);

/* Print `lines` numbered lines at 200 a second, then return. */
void play_flood(uint32_t lines);
