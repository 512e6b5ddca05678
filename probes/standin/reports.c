#include "reports.h"

#include <stddef.h>

#include "print.h"
#include "words.h"

#define CAUGHT "Caught cap fault in send phase at address 0\nwhile trying to handle:\n"
#define IN_THREAD(name) "in thread 0xffffff807ffc9400 \"" name "\" at address 0x40530e\nWith stack:\n0x6cb7a0: 0x6cb840\n"
#define LINUX_STAMP "[    1.391125] "

/* Sources: seL4 src/api/faults.c, src/kernel/faulthandler.c (with MCS: "Found thread ..."), boot_sys.c, boot.c,
   src/arch/x86/c_traps.c; camkes-tool libsel4camkes src/fault.c; libsel4muslcsys src/sys_exit.c;
   util_libs zf_log_if.h; capdl-loader-app src/main.c; camkes-vm components/Init; seL4_projects_libs libsel4vm
   src/arch/x86, libsel4vmmplatsupport; Linux kernel/panic.c, init/do_mounts.c. */
static const struct report reports[] = {
    {"data", IN_USER_SPACE, CAUGHT "vm fault on data at address 0x8 with status 0x6\n" IN_THREAD("rootserver")},
    {"code", IN_USER_SPACE, CAUGHT "vm fault on code at address 0x1234 with status 0x14\n" IN_THREAD("rootserver")},
    {"exception", IN_USER_SPACE, CAUGHT "user exception 0x6 code 0\n" IN_THREAD("rootserver")},
    {"syscall", IN_USER_SPACE, CAUGHT "unknown syscall 0x70\n" IN_THREAD("rootserver")},
    {"cap", IN_USER_SPACE, CAUGHT "cap fault in receive phase at address 0x42\n" IN_THREAD("rootserver")},
    {"mcs", IN_USER_SPACE,
     "Found thread has no fault handler while trying to handle:\n"
     "vm fault on data at address 0x8 with status 0x6\n" IN_THREAD("rootserver")},
    {"component", IN_USER_SPACE,
     "FAULT HANDLER: data fault from hello.hello_0_control (ID 0x1) on address 0x8, pc = 0x402b7f, fsr = 0x6\n"
     "FAULT HANDLER: Register dump:\nFAULT HANDLER: rip\t:0x402b7f\n"},
    {"component-exception", IN_USER_SPACE,
     "FAULT HANDLER: user exception (number 6, code 0) from hello.hello_0_control (ID 0x1), pc = 0x402b7f, "
     "sp = 0x41d000, flags = 0x10246\n"},
    {"component-code", IN_USER_SPACE,
     "FAULT HANDLER: instruction fault from hello.hello_0_control (ID 0x1) on address 0x1234, pc = 0x1234, "
     "fsr = 0x14\n"},
    {"component-cap", IN_USER_SPACE,
     "FAULT HANDLER: cap fault (invalid root) in send phase from hello.hello_0_control (ID 0x1), pc = 0x402b7f, "
     "slot = 0x42\n"},
    {"component-syscall", IN_USER_SPACE,
     "FAULT HANDLER: unknown syscall (112) from hello_0_control (ID 0x1), pc = 0x402b7f\n"},
    {"abort", IN_USER_SPACE,
     "main@main.c:303 Stand-in: the second serial port is missing\nseL4 root server abort()ed\n"
     "Debug halt syscall from user thread 0xffffff801fe08400 \"rootserver\"\nhalting...\n"},
    {"check", IN_USER_SPACE,
     "vka_cspace_alloc@vka.h:149 Unimplemented\ninit@entry.c:306 [Cond failed: res != 0]\n"
     "\tFailed to allocate notification object\n"},
    {"untyped", IN_USER_SPACE,
     "create_objects@main.c:1104 [Cond failed: 1]\n\tRan out of untyped memory while creating objects.\n"},
    {"frame", IN_USER_SPACE,
     "init_frame@main.c:700 [Cond failed: error]\n"
     "\tFailed to find device frame/untyped at paddr = 0xfeb00000\n"},
    {"ports", IN_USER_SPACE,
     "create_object@main.c:600 [Cond failed: error]\n\tFailed to allocate IOPort for range [28768 - 28799]\n"},
    {"irq", IN_USER_SPACE, "create_irq_cap@main.c:900 [Cond failed: error]\n\tFailed to create irq cap\n"},
    {"kernel-exception", KERNELS_LAST,
     "\n========== KERNEL EXCEPTION ==========\nVector:  0xd\nErrCode: 0x0\nIP:      0xffffffff8010b3c1\n"
     "\nStack Dump:\n*0xffffffff8013d000 == 0x0\n\nHalting...\n"},
    {"memory", IN_KERNEL,
     "ERROR: no free memory region is big enough for root server objects, need size/alignment of 2^22\n"
     "ERROR: free memory management initialization failed\n"},
    {"reason", IN_KERNEL, "No CPUs detected\n"},
    {"unknown-reason", IN_KERNEL, "Stand-in: the flux capacitor has no power\n"},
    {"vm-exit", IN_VMM,
     "vm_cpuid_virt@cpuid.c:185 CPUID unimplemented function 0x40000100\n"
     "VM_FATAL_ERROR ::: vmexit handler return error\n"},
    {"vm-exit-reason", IN_VMM, "VM_FATAL_ERROR ::: vm exit handler is NULL for reason 0x21.\n"},
    {"guest-fault", IN_VMM,
     "!!!!!!!! ALERT :: GUEST OS PAGE FAULT !!!!!!!!\n    Guest OS VMExit due to EPT Violation:\n"
     "        Guest-Physical address 0xfee00000.\n"},
    {"device", IN_VMM, "vmm_pci_init@main.c:700 Failed to find device 17:00.0\n"},
    {"bar", IN_VMM, "main_continued@main.c:853 [Cond failed: error]\n\tFailed to map PCI bar\n"},
    {"panic", IN_GUEST,
     LINUX_STAMP "VFS: Cannot open root device \"mem\" or unknown-block(0,0): error -6\n"
     LINUX_STAMP "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"},
    {"crash", IN_GUEST,
     LINUX_STAMP "BUG: unable to handle kernel NULL pointer dereference at 00000014\n"
     LINUX_STAMP "IP: [<d0c2d0f5>] standin_init+0x1f5/0x7b0\n" LINUX_STAMP "Oops: 0000 [#1] SMP\n"
     LINUX_STAMP "Kernel panic - not syncing: Fatal exception in interrupt\n"},
};

const struct report *report_find(const char *name)
{
    for (unsigned i = 0; i < sizeof(reports) / sizeof(*reports); i++) {
        if (is_word(name, reports[i].name)) {
            return &reports[i];
        }
    }
    return NULL;
}

void report_say(const struct report *report)
{
    if (report->when == IN_GUEST) {
        print("\033[0m\033[32;47m");
    } else if (report->when == IN_VMM) {
        print("\033[0m\033[36m");
    }
    print("%s", report->text);
}
