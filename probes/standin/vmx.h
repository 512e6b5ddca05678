/* VT-x, used: not what a processor says it has, but a guest that runs. */
#pragma once

/* Enter VMX operation, run a guest until its CPUID and then its VMCALL end it, and leave. Returns NULL when that
   worked, else what did not, in words; a lack of VT-x in seL4's own (src/arch/x86/object/vcpu.c). */
const char *vmx_run(void);
