"""Why a kernel stopped, by the lines before: oopses of many kernels, and the kernel's own words."""

from __future__ import annotations

import pytest

from bringup.transcript.markers import Failure
from bringup.transcript.reasons import Crash, what_crashed
from bringup.transcript.stages import StageReader

GUEST = "Boot config: disable_iommu = false\nBooting all finished, dropped to user space\n"
LINUX = "[    0.000000] Linux version 6.1.152 (a@b) #1\n"
TRACE = "".join(f"[    1.0001{n:02}]  some_function_{n}+0x12/0x40\n" for n in range(99))

# What stands before the registers, the line that names the place, and what is told.
OOPSES = [
    (
        "BUG: kernel NULL pointer dereference, address: 00000014\n#PF: supervisor read access\n"
        "#PF: error_code(0x0000) - not-present page\n*pde = 00000000\nOops: 0000 [#1] PREEMPT\n",
        "EIP: virtio_dev_probe+0x12/0x40",
        "kernel NULL pointer dereference, address: 00000014 in virtio_dev_probe",
    ),
    (
        "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP\n",
        "RIP: 0010:igb_probe+0x12/0x40",
        "general protection fault, probably for non-canonical address 0xdead000000000100 in igb_probe",
    ),
    ("invalid opcode: 0000 [#1] SMP NOPTI\n", "RIP: 0010:cpu_up+0x1/0x2", "invalid opcode in cpu_up"),
    ("Oops: invalid opcode: 0000 [#1] SMP\n", "RIP: 0010:foo_init+0x1/0x2", "invalid opcode in foo_init"),
    ("divide error: 0000 [#1]\n", "EIP is at tsc_init+0x1/0x2", "divide error in tsc_init"),
    (
        "kernel BUG at mm/slub.c:379!\ninvalid opcode: 0000 [#1]\n",
        "RIP: 0010:kfree+0x12/0x40",
        "kernel BUG at mm/slub.c:379 in kfree",
    ),
    (
        "BUG: unable to handle kernel paging request at c1000000\nIP: [<c10aa0f5>] old_probe+0x1f/0x7b\n"
        "*pde = 00000000\nOops: 0002 [#1] SMP\n",
        "EIP: 0060:[<c10aa0f5>] EFLAGS: 00010246 CPU: 0",
        "unable to handle kernel paging request at c1000000 in old_probe",
    ),
]


def failures(text: str) -> list[Failure]:
    reader = StageReader()
    sightings = [*reader.feed(text.encode(), 0.0), *reader.finish(9.0)]
    return [s.failure for s in sightings if s.failure is not None]


def stamped(text: str) -> str:
    return "".join(f"[    1.000000] {line}\n" for line in text.splitlines())


def panic(reason: str) -> str:
    return f"[    2.000000] Kernel panic - not syncing: {reason}\n"


@pytest.mark.parametrize(("head", "place", "told"), OOPSES)
def test_the_crash_before_a_panic_is_told_over_its_registers_and_trace(
    head: str, place: str, told: str
) -> None:
    text = GUEST + LINUX + stamped(head) + stamped(place) + TRACE + panic("Fatal exception")
    (failure,) = failures(text)
    assert failure.cause == f"the guest's Linux kernel panicked: {told}"
    assert "look at the guest's lines" in failure.fix


def test_a_program_killed_by_a_crash_is_no_program_that_ended() -> None:
    head, place, told = OOPSES[0]
    crash = stamped(head) + stamped(place) + TRACE
    (failure,) = failures(GUEST + LINUX + crash + panic("Attempted to kill init! exitcode=0x00000009"))
    assert told in failure.cause and "first program" not in failure.why
    (failure,) = failures(GUEST + LINUX + panic("Attempted to kill init! exitcode=0x00000100"))
    assert "first program" in failure.why


def test_a_panic_that_says_why_is_no_matter_of_a_warning_before() -> None:
    for harmless in ("BUG: sleeping function called from invalid context at mm/slab.h:1\n", OOPSES[2][0]):
        text = GUEST + LINUX + stamped(harmless) + panic("VFS: Unable to mount root fs on unknown-block(0,0)")
        (failure,) = failures(text)
        assert "no root file system" in failure.why


def test_the_crash_of_another_boot_is_forgotten() -> None:
    head, place, _ = OOPSES[3]
    one = GUEST + LINUX + stamped(head) + stamped(place) + panic("Fatal exception")
    first, second = failures(one + GUEST + LINUX + panic("Fatal exception in interrupt"))
    assert "foo_init" in first.cause
    assert "foo_init" not in second.cause


def test_the_first_crash_is_the_cause() -> None:
    lines = [
        "Oops: 0000 [#1] SMP",
        "RIP: 0010:first+0x1/0x2",
        "Oops: 0000 [#2] SMP",
        "RIP: 0010:second+0x1/0x2",
    ]
    assert what_crashed(lines) == Crash("Oops in first", tuple(lines[:2]))
    assert what_crashed(lines[1:2]) is None


def test_a_guest_without_memory_is_told_so() -> None:
    (failure,) = failures(GUEST + LINUX + panic("System is deadlocked on memory"))
    assert "too little memory" in failure.why


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ERROR: memory region 2 empty", "memory map"),
        ("ERROR: memory region 14 has start > end", "memory map"),
        ("ERROR: no memory regions available", "memory map"),
        ("ERROR: reserved region 2 in wrong order", "reserved region 2"),
        ("ERROR: can't add reserved region", "can't add reserved region"),
    ],
)
def test_the_reason_of_a_kernel_that_could_not_set_up_its_memory(line: str, told: str) -> None:
    regions = "available phys memory regions: 1\n  [100000..10000000)\n"
    stop = f"{line}\nERROR: free memory management initialization failed\n"
    first = failures(f"Boot config: disable_iommu = false\nMapping kernel window is done\n{regions}{stop}")[0]
    assert told in first.cause


def test_a_kernel_of_many_cpus_still_says_that_its_iommu_is_on() -> None:
    cpus = "".join(f"ACPI: MADT_APIC apic_id=0x{n:x}\n" for n in range(64))
    need = "ERROR: no free memory region is big enough for root server objects, need size/al"
    need += "\r\nignment of 2^22\n"
    (failure,) = failures(f"Boot config: disable_iommu = false\nACPI: 4 IOMMUs detected\n{cpus}{need}halting")
    assert "2^22" in failure.cause and "KernelIOMMU=OFF" in failure.fix


@pytest.mark.parametrize("null", ["0", "(nil)"])
def test_a_fault_is_told_whatever_a_kernel_prints_for_null(null: str) -> None:
    head = f"Caught cap fault in send phase at address {null}\nwhile trying to handle:\n"
    fault = f"vm fault on data at address {null} with status 0x4\n"
    named = 'in thread 0xffffff807ffc9400 "rootserver" at address 0x40530e\n'
    (failure,) = failures(GUEST + head + fault + named)
    assert failure.cause.startswith('thread "rootserver" touched unmapped memory')
    assert "null pointer" in failure.why
    (failure,) = failures(
        GUEST + head + fault.rstrip() + "at address 0x40530e\nWith stack:\n" + "0x6: 0x0\n" * 99
    )
    assert failure.cause.startswith("a thread touched unmapped memory")
