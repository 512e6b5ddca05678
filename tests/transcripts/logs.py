"""Small console logs of our own making, one of each kind, with the verdict that is right."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.base.stage import Stage

KERNEL = (
    "Boot config: parsing cmdline 'console_port=0x2f8 debug_port=0x2f8'\n"
    "Boot config: console_port = 0x2f8\nBoot config: disable_iommu = false\n"
    "Detected 1 boot module(s):\n  module #0: start=0xa13000 end=0xda9a90 size=0x396a90 name='{module}'\n"
    "Parsing GRUB physical memory map\n\tPhysical Memory Region from 0 size 9fc00 type 1\n"
    "Adding physical memory region 0x100000-0x7ffdf000\nACPI: 1 CPU(s) detected\n"
    "ELF-loading userland images from boot modules:\nStarting node #0 with APIC ID 0\n"
    "Mapping kernel window is done\n"
)
USER_SPACE = KERNEL + "Booting all finished, dropped to user space\n"
SUITE = USER_SPACE.format(module="images/sel4test-driver-image-x86_64-pc99")
CAPDL = USER_SPACE.format(module="images/capdl-loader-image-x86_64-pc99")
UNKNOWN = USER_SPACE.format(module="")
STOP = (
    "boot_sys failed for some reason :(\n"
    'seL4 called fail at boot_sys.c:722 in function boot_sys, saying "boot_sys failed for some reason :(\n"\n'
    "halting...\nKernel entry via Unknown (0)\n"
)
VMM, GUEST = ("\x1b[0m\x1b[{}m".format, "\x1b[0m\x1b[{};47m".format)
VMM_TEXT = (
    "Guest address space root allocated at 0x10000000. Creating 1-1 entries\n"
    "Initializing guest to start running at 0x10400000\n"
)
LINUX = "[    0.000000] Linux version 6.1.148 (a@b) #9 SMP\n"
LOGIN = "\nWelcome to Buildroot\nbuildroot login: "


@dataclass(frozen=True, slots=True)
class Log:
    """A log, and the verdict, code and stage that are right; `cause` is in the sentence."""

    text: str
    kind: str
    code: str
    stage: Stage
    cause: str = ""


def _fault(inner: str, name: str = "sel4test-driver") -> str:
    head = "Caught cap fault in send phase at address 0"
    thread = f'in thread 0xffffff807ffc9400 "{name}" at address 0x40530e'
    return f"{head}\nwhile trying to handle:\n{inner}\n{thread}\nWith stack:\n0x6c: 0x0\n"


def _vms(*colours: tuple[int, int], logins: int) -> str:
    text = UNKNOWN
    for vmm, _ in colours:
        text += VMM(vmm) + VMM_TEXT
    for number, (_, guest) in enumerate(colours):
        text += GUEST(guest) + LINUX + (LOGIN if number < logins else "[    1.0] random: fast init done\n")
    return text


def _guest(*lines: str) -> str:
    return UNKNOWN + VMM_TEXT + LINUX + "".join(f"{line}\n" for line in lines)


MCS = (
    "Found thread has no fault handler while trying to handle:\n"
    'vm fault on code at address 0x1234 with status 0x14\nin thread 0xff "worker" at address 0x1234\n'
)
LOGS: dict[str, Log] = {
    "suite passes": Log(
        SUITE + "Starting test suite sel4test\nStarting test 0: Test that there are tests\n"
        "Starting test 1: SYSCALL0000\nStarting test 3: Test all tests ran\n"
        "Test suite passed. 3 tests passed. 1 tests disabled.\nAll is well in the universe\n\n",
        "ok", "ok", Stage.USER_SPACE, "3 tests passed"),
    "suite fails late": Log(
        SUITE + "Starting test suite sel4test\nStarting test 1: SCHED0000\nRunning test SCHED0000 (x)\n"
        "\tFailure: a == b\nTest SCHED0000 failed\nStarting test 2: Test all tests ran\n"
        "Test suite failed. 2/3 tests passed. 1 tests disabled.\n*** FAILURES DETECTED ***\nhalting...\n",
        "image", "tests-failed", Stage.USER_SPACE, "SCHED0000"),
    "suite cut": Log(
        SUITE + "Starting test suite sel4test\nStarting test 1: SCHED0000\n", "undecided", "text-ends",
        Stage.USER_SPACE),
    "plain CAmkES": Log(CAPDL + "client: 2 + 3 = 5\n", "undecided", "no-known-end", Stage.USER_SPACE),
    "unknown image": Log(UNKNOWN + "hello\n", "undecided", "no-known-end", Stage.USER_SPACE),
    "null pointer": Log(
        SUITE + _fault("vm fault on data at address 0x8 with status 0x6"), "image", "thread-fault",
        Stage.USER_SPACE, 'thread "sel4test-driver" touched unmapped memory: data at 0x8'),
    "user exception": Log(
        SUITE + _fault("user exception 0x6 code 0", "rootserver"), "image", "thread-fault", Stage.USER_SPACE,
        'thread "rootserver" took user exception 0x6 (invalid instruction)'),
    "unknown system call": Log(
        SUITE + _fault("unknown syscall 0x70"), "image", "thread-fault", Stage.USER_SPACE,
        "system call 0x70"),
    "cap fault": Log(
        SUITE + _fault("cap fault in receive phase at address 0x42"), "image", "thread-fault",
        Stage.USER_SPACE, "capability it has not: 0x42"),
    "MCS": Log(SUITE + MCS, "image", "thread-fault", Stage.USER_SPACE, 'thread "worker" jumped to unmapped'),
    "component": Log(
        CAPDL + "FAULT HANDLER: data fault from hello.hello_0_control (ID 0x1) on address 0x8, "
        "pc = 0x402b7f, fsr = 0x6\nFAULT HANDLER: Register dump:\nFAULT HANDLER: rip\t:0x402b7f\n",
        "image", "component-fault", Stage.USER_SPACE, "component hello (thread hello_0_control) touched"),
    "component exception": Log(
        CAPDL + "FAULT HANDLER: user exception (number 6, code 0) from a.b (ID 0x1), pc = 0x1, sp = 0x2, "
        "flags = 0x3\n", "image", "component-fault", Stage.USER_SPACE, "user exception (number 6, code 0)"),
    "check": Log(
        UNKNOWN + "vka_cspace_alloc@vka.h:149 Unimplemented\ninit@entry.c:306 [Cond failed: res != 0]\n"
        "\tFailed to allocate notification object\n", "image", "check-failed", Stage.USER_SPACE,
        "Failed to allocate notification object"),
    "known reason": Log(
        KERNEL.format(module="") + "No CPUs detected\n" + STOP, "profile", "no-cpu", Stage.KERNEL),
    "reason nobody knows": Log(
        KERNEL.format(module="") + "The flux capacitor has no power\n" + STOP, "image", "kernel-stopped",
        Stage.KERNEL, "the kernel stopped: The flux capacitor has no power"),
    "assertion": Log(
        KERNEL.format(module="") + "seL4 failed assertion 'a == b' at /x/boot_sys.c:504 in function f\n"
        "halting...\n", "image", "kernel-assertion", Stage.KERNEL, "a == b (boot_sys.c:504, f)"),
    "three VMs": Log(_vms((36, 32), (35, 34), (34, 35), logins=3), "ok", "ok", Stage.LOGIN),
    "one VM of three missing": Log(
        _vms((36, 32), (35, 34), (34, 35), logins=2), "undecided", "text-ends", Stage.GUEST),
    "panic without root": Log(
        _guest('[ 1.3] VFS: Cannot open root device "mem"',
               "[ 1.4] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
               "[ 1.4] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs"),
        "image", "guest-panic", Stage.GUEST, "VFS: Unable to mount root fs on unknown-block(0,0)"),
    "panic after a crash": Log(
        _guest("[ 0.05] BUG: unable to handle kernel NULL pointer dereference at 00000014",
               "[ 0.05] IP: [<d0c2d0f5>] some_driver_init+0x1f5/0x7b0", "[ 0.05] Oops: 0000 [#1] SMP",
               "[ 0.06] Kernel panic - not syncing: Fatal exception in interrupt"),
        "image", "guest-panic", Stage.GUEST, "NULL pointer dereference at 00000014 in some_driver_init"),
    "VM exit": Log(
        _guest("vm_cpuid_virt@cpuid.c:185 CPUID unimplemented function 0x40000100",
               "VM_FATAL_ERROR ::: vmexit handler return error"),
        "image", "guest-exit", Stage.GUEST, "CPUID unimplemented function 0x40000100"),
    "dead controller": Log(
        _guest("[ 5.1] igb 0000:00:01.0: can't ioremap BAR 0: [??? 0x00000000 flags 0x0]",
               "[ 5.2] igb: probe of 0000:00:01.0 failed with error -5") + LOGIN,
        "ok", "ok", Stage.LOGIN),
}  # fmt: skip
