"""What the stand-in plays, and the verdict that is right."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Play:
    """The verdict on a play: kind, code, and words of its cause. `whose` words it tells the failure in."""

    whose: str
    kind: str
    code: str
    words: str


def _thread(words: str) -> Play:
    return Play("a thread", "image", "thread-fault", f'thread "rootserver" {words}')


def _component(words: str) -> Play:
    return Play("a component", "image", "component-fault", words)


_HELLO = "component hello (thread hello_0_control)"
PLAYS = {
    "play=report:data": _thread("touched unmapped memory: data at 0x8"),
    "play=report:code": _thread("jumped to unmapped memory at 0x1234"),
    "play=report:exception": _thread("took user exception 0x6"),
    "play=report:syscall": _thread("made unknown system call 0x70"),
    "play=report:cap": _thread("used a capability it has not: 0x42"),
    "play=report:mcs": _thread("touched unmapped memory: data at 0x8"),
    "play=cap-fault": _thread("touched unmapped memory: data at 0x0"),
    "play=report:component": _component(f"{_HELLO} touched unmapped memory: data at 0x8"),
    "play=report:component-code": _component(f"{_HELLO} jumped to unmapped memory at 0x1234"),
    "play=report:component-exception": _component(
        f"{_HELLO} took a fault: user exception (number 6, code 0)"
    ),
    "play=report:component-cap": _component(f"{_HELLO} took a fault: cap (invalid root)"),
    "play=report:component-syscall": _component(
        "component hello_0_control took a fault: unknown syscall (112)"
    ),
    "play=report:abort": Play("a root task", "image", "root-abort", "the second serial port is missing"),
    "play=report:check": Play("a check", "image", "check-failed", "Failed to allocate notification object"),
    "play=report:untyped": Play("the loader", "image", "no-untyped", "more memory than the board has"),
    "play=report:frame": Play("the loader", "profile", "no-frame", "a device's memory is not where"),
    "play=report:ports": Play("the loader", "image", "no-ioport", "I/O port range is taken or wrong"),
    "play=report:irq": Play("the loader", "image", "no-irq", "an interrupt of the image cannot be set up"),
    "play=report:reason": Play("the kernel", "profile", "no-cpu", "processor"),
    "play=report:unknown-reason": Play(
        "the kernel, unheard of", "image", "kernel-stopped", "the flux capacitor has no power"
    ),
    "play=report:memory": Play("the kernel", "image", "no-memory", "no memory region holds the root task's"),
    "play=report:kernel-exception": Play(
        "the kernel, last", "image", "kernel-exception", "the kernel took an exception in itself"
    ),
    "play=report:vm-exit": Play("a VMM", "image", "guest-exit", "CPUID unimplemented function 0x40000100"),
    "play=report:vm-exit-reason": Play("a VMM", "image", "guest-exit", "handler is NULL for reason 0x21"),
    "play=report:guest-fault": Play("a VMM", "image", "guest-fault", "touched memory it does not have"),
    "play=report:device": Play("a VMM", "profile", "pci-missing", "a device the image passes through"),
    "play=report:bar": Play("a VMM", "profile", "pci-bar", "a device's memory is not wholly given"),
    "play=report:panic": Play("a guest", "image", "guest-panic", "VFS: Unable to mount root fs"),
    "play=report:crash": Play(
        "a guest", "image", "guest-panic", "NULL pointer dereference at 00000014 in standin_init"
    ),
    "play=suite": Play("a suite", "ok", "ok", "21 tests passed"),
    "play=suite-fails:60": Play("a suite, late", "image", "tests-failed", "STANDIN0059"),
    "play=late-fault:4": Play("a component, late", "image", "component-fault", _HELLO),
    "vms=3": Play("VMs", "ok", "ok", "reached login in guest 0, guest 1, guest 2"),
}
