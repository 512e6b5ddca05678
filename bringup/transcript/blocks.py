"""Reads reports of several lines: the inner fault of a thread, the reason before a stop, a panic.

What a report says goes into the words of the verdict; which text begins one is in `failures/`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bringup.transcript.clean import plain_text
from bringup.transcript.markers import Failure, Marker
from bringup.transcript.reasons import of_crash, panic_advice, reason_lines, what_crashed

_SPACE = bytes(range(0x21)) + b"\x7f"
_LINE_MAX = 200
_NEAR = 640
# From the kernel's ACPI and memory lines to its refusal; a board of many CPUs has a line for each.
_START = 4096
# An oops of a 64-bit kernel, registers and call trace, is 4 to 6 KiB, and the panic comes after it.
_OOPS = 8192
LOOK_BACK_MAX = _OOPS
"""Bytes of lines before a report that any block asks for."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What a report says more than its first text: None keeps the words of the failure's row."""

    cause: str | None = None
    why: str | None = None
    fix: str | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultReport:
    """A report as it was printed: the lines before, the line with the known text, what came after."""

    before: tuple[str, ...]
    line: str
    after: bytes

    @property
    def squeezed(self) -> str:
        """The line's text and what follows, without white space."""
        return _squeeze(self.line.encode() + self.after)

    @property
    def following(self) -> tuple[str, ...]:
        """The lines after the first one."""
        return lines_of(self.after)


Read = Callable[[FaultReport], Detail | None]


@dataclass(frozen=True, slots=True)
class FaultBlock:
    """How a report is taken: how many bytes of lines before it, how many may follow, where it ends."""

    read: Read
    before: int = 0
    after: int = 0
    ends: Callable[[bytes], bool] | None = None

    def has_ended(self, after: bytes) -> bool:
        """Return whether `after` holds the end of the report."""
        return self.ends is not None and self.ends(after)


def detail_of(block: FaultBlock, before: bytes, line: str, after: bytes) -> Detail | None:
    """Return what a report says, None where it cannot be read."""
    detail = block.read(FaultReport(lines_of(before), line, after))
    if detail is None or detail.fix is None:
        return detail
    # What to do is filled with a board's words later; the console's own text must not be taken for a place.
    return replace(detail, fix=detail.fix.replace("{", "{{").replace("}", "}}"))


def block_of(row: Marker | Failure) -> FaultBlock | None:
    """Return how the report that begins with this row's text is taken, None where it is one line."""
    return _BLOCKS.get(row.code) if isinstance(row, Failure) else None


def _squeeze(text: bytes) -> str:
    return text.translate(None, _SPACE).decode("ascii", "replace")


def lines_of(text: bytes) -> tuple[str, ...]:
    """Return the lines of a piece of console that say anything, as plain text."""
    lines = (plain_text(line).rstrip()[:_LINE_MAX] for line in re.split(rb"[\r\n]+", text))
    return tuple(line for line in lines if line.strip())


# Faults of threads, as the kernel prints them (seL4 src/api/faults.c, src/kernel/faulthandler.c).

_PLACE = r"(?:0x[0-9a-f]+|[0-9]+)"
# Kernels that are no debug builds do not know the thread's name.
_THREAD = r'(?:inthread\w+?"(?P<thread>[^"]{0,64})")?'
_FAULT = re.compile(
    rf"(?:vmfaulton(?P<what>data|code)ataddress(?P<where>{_PLACE})withstatus(?P<status>0x[0-9a-f]+|0)"
    r"|userexception(?P<exception>\w+?)code(?P<code>0x[0-9a-f]+|[0-9]+)"
    r"|unknownsyscall(?P<syscall>0x[0-9a-f]+|[0-9]+)"
    rf"|capfaultin(?P<phase>send|receive)phaseataddress(?P<cap>{_PLACE})"
    r"|(?P<null>nullfault)|(?P<timeout>[Tt]imeoutfault\w{0,24}?))"
    rf"{_THREAD}ataddress(?P<at>{_PLACE})"
)
_FAULT_ENDS = re.compile(rf'inthread\w+?"[^"]{{0,64}}"ataddress{_PLACE}')


def _fault_text(text: bytes) -> str:
    """Return a report without white space; some kernels print a null pointer in words."""
    return _squeeze(text).replace("(nil)", "0")


def _has_thread(after: bytes) -> bool:
    return _FAULT_ENDS.search(_fault_text(after)) is not None


_NAMED = re.compile(r'in thread \S+ "([^"]{0,64})"')
# Intel SDM volume 3, table 6-1.
_EXCEPTIONS = {
    0x0: "division by zero",
    0x3: "breakpoint",
    0x6: "invalid instruction",
    0x7: "no FPU",
    0xC: "stack segment fault",
    0xD: "general protection",
    0x10: "x87 error",
    0x11: "misaligned access",
    0x13: "SIMD error",
}


def _hex(text: str) -> str:
    return text if text.startswith("0x") or not text.isdigit() else f"0x{int(text):x}"


def _thread_fault(report: FaultReport) -> Detail | None:
    fault = _FAULT.search(_fault_text(report.line.encode() + report.after))
    if fault is None:
        return None
    lines = (report.line, *report.following[:3])
    name = next((n.group(1) for n in map(_NAMED.search, lines) if n), fault["thread"])
    who = "a thread" if name is None else f'thread "{name}"'
    at = f"instruction at {_hex(fault['at'])}"
    if fault["what"] == "data":
        what = f"touched unmapped memory: data at {_hex(fault['where'])} (status {fault['status']}), {at}"
        why, fix = (
            "a bad pointer in it",
            f"look the instruction up: addr2line -e its ELF file {_hex(fault['at'])}",
        )
        if int(_number(fault["where"])) < 0x1000:
            why = "a null pointer in it"
    elif fault["what"] == "code":
        what = f"jumped to unmapped memory at {_hex(fault['where'])}"
        why, fix = "a bad function pointer or a smashed stack", "look at the stack in the lines after"
    elif fault["exception"]:
        number = int(_number(fault["exception"]))
        word = _EXCEPTIONS.get(number)
        what = (
            f"took user exception 0x{number:x}{f' ({word})' if word else ''} code {_hex(fault['code'])}, {at}"
        )
        why, fix = "a crash in it", f"look the instruction up: addr2line -e its ELF file {_hex(fault['at'])}"
        if number == 6:
            why = "an abort (ud2), or an instruction that this CPU lacks"
    elif fault["syscall"]:
        what = f"made unknown system call {_hex(fault['syscall'])}, {at}"
        why, fix = "kernel and user space were built with different settings", "build both anew, together"
    elif fault["phase"]:
        what = f"used a capability it has not: {_hex(fault['cap'])} in {fault['phase']} phase, {at}"
        why, fix = "a component was built for another layout", "build all of the image anew"
    else:
        what, why, fix = f"failed, {at}", "see the lines", "look at the lines after this one"
    return Detail(f"{who} {what}", why, fix, lines)


def _number(text: str) -> str:
    return str(int(text, 16) if text.startswith("0x") else int(text) if text.isdigit() else 1 << 32)


# Faults that a component's own handler reports (camkes-tool libsel4camkes src/fault.c).

_COMPONENT = re.compile(
    r"FAULT HANDLER:\s*(?P<what>[a-z ]+?)(?: fault)?(?: \((?P<more>[^)]*)\))?(?: in \w+ phase)?"
    r" from (?P<who>[\w.<>-]+)"
)
_ADDRESS = re.compile(r"on address (\w+)")
_PC = re.compile(r"pc = (\w+)")


def _component_fault(report: FaultReport) -> Detail | None:
    fault = _COMPONENT.search(report.line)
    if fault is None:
        return None
    instance, _, thread = fault["who"].partition(".")
    who = f"component {instance}" + (f" (thread {thread})" if thread else "")
    address, pc = _ADDRESS.search(report.line), _PC.search(report.line)
    at = f", instruction at {pc.group(1)}" if pc else ""
    more = f" ({fault['more']})" if fault["more"] else ""
    fix = f"look the instruction up: addr2line -e {instance}'s ELF file {pc.group(1)}" if pc else None
    if address and fault["what"] == "data":
        return Detail(f"{who} touched unmapped memory: data at {address.group(1)}{at}", None, fix)
    if address:
        return Detail(f"{who} jumped to unmapped memory at {address.group(1)}{at}", None, fix)
    return Detail(f"{who} took a fault: {fault['what'].strip()}{more}{at}", None, fix)


# What the kernel, a VMM or the root task printed before it stopped.


def _reason_before(report: FaultReport) -> Detail | None:
    """The generic text says only that something failed; the line before it says what."""
    reasons = reason_lines(report.before)
    if not reasons:
        return None
    return Detail(
        f"the kernel stopped: {reasons[0].strip()}", "the kernel's own reason", None, (*reasons, report.line)
    )


def _halt_reason(report: FaultReport) -> Detail | None:
    reasons = reason_lines(report.before)
    if not reasons:
        return None
    return Detail(f"it stopped after saying: {reasons[-1].strip()}", None, None, (*reasons, report.line))


def _vm_exit(report: FaultReport) -> Detail | None:
    """libsel4vm src/arch/x86/vm.c: the handler that gave up said why on the line before."""
    _, _, reason = report.line.partition(":::")
    before = report.before[-1].strip() if report.before else ""
    if "handler return error" not in " ".join(reason.split()) or not before:
        return Detail(
            f"a VM stopped on an exit its VMM cannot handle: {reason.strip()}", lines=(report.line,)
        )
    told = re.sub(r"^\w+@[\w./-]+:\d+\s*", "", before)
    detail = Detail(f"a VM stopped: its VMM reports {told}", lines=(before, report.line))
    leaf = re.search(r"CPUID unimplemented function (\w+)", told)
    if leaf is None:
        return detail
    why = "the guest asks the CPU what this VMM does not know"
    if leaf.group(1).lower().startswith("0x4000"):
        why = "the guest looks for a hypervisor that the VMM does not play"
    fix = (
        f"let libsel4vm's processor/cpuid.c answer zeroes for {leaf.group(1)}, or build the guest without it"
    )
    return Detail(detail.cause, why, fix, detail.lines)


_PANIC = re.compile(r"Kernel panic - not syncing:?\s*(.*)")


def _panic(report: FaultReport, who: str) -> Detail | None:
    panic = _PANIC.search(report.line)
    if panic is None:
        return None
    said = panic.group(1).strip()
    crash = what_crashed(report.before) if of_crash(said) else None
    if not (crash or said):
        return None
    reason = said if crash is None else crash.what
    why, fix = panic_advice(reason if crash else said)
    lines = (*(() if crash is None else crash.lines), report.line)
    return Detail(f"{who} panicked: {reason}", why, fix, lines)


def _assertion(report: FaultReport) -> Detail | None:
    found = re.search(r"failed assertion '(.+)' at (\S+) in function (\w+)", report.line)
    if found is None:
        return None
    where = found.group(2).rsplit("/", 1)[-1]
    return Detail(f"a kernel assertion failed: {found.group(1)} ({where}, {found.group(3)})")


_CHECK = re.compile(r"(?P<place>[\w-]+@[\w./-]+:\d+)\s*\[Cond failed: (?P<what>[^\]]*)\]")
_MESSAGE = re.compile(rb"\n[^\r\n]*\S[^\r\n]*\r?\n")


def _has_message(after: bytes) -> bool:
    return _MESSAGE.search(after) is not None


def _check(report: FaultReport) -> Detail | None:
    """util_libs libutils zf_log_if.h: the place, the condition, and on the next line the message."""
    found = _CHECK.search(report.line)
    if found is None:
        return None
    message = report.following[0].strip() if report.following else ""
    reasons = tuple(line for line in reason_lines(report.before) if "@" in line)
    cause = f"{message or found['what']} ({found['place']}, {found['what']})"
    why = "what it needed was refused before" if reasons else None
    fix = f"look at the first refusal: {reasons[0].strip()}" if reasons else None
    return Detail(f"a check of user space failed: {cause}", why, fix, (*reasons, report.line, message))


def _no_memory(report: FaultReport) -> Detail | None:
    """seL4#1726: with VT-d on, the kernel sets aside far more for RMRRs than it needs."""
    iommus = re.search(r"ACPI: (\d+) IOMMUs detected", "\n".join(report.before))
    need = re.search(r"needsize/alignmentof(2\^\d{1,2})", report.squeezed)
    cause = "no memory region holds the root task's objects" + (f" ({need.group(1)} bytes)" if need else "")
    if iommus is None or iommus.group(1) == "0":
        return Detail(cause)
    fix = "take a kernel with the fix of seL4#1726, or build with -DKernelIOMMU=OFF where no VM has a device"
    return Detail(cause, "the kernel sets too much aside for RMRRs while its IOMMU is on (seL4#1726)", fix)


def _wrong_order(report: FaultReport) -> Detail | None:
    """seL4#1530: 4 GiB and more becomes 0 in 32 bits, so that a region seems to begin at 0 again."""
    if not any("not addressable" in line for line in report.before):
        return None
    why = "memory at 4 GiB and above, which a 32-bit kernel cannot count (seL4#1530)"
    return Detail(None, why, "build for x86_64, or keep less than 4 GiB in the board")


def _cpu_feature(report: FaultReport) -> Detail | None:
    return Detail(f"the kernel needs what this CPU lacks: {report.line.strip()}")


def _feature_mask(report: FaultReport) -> Detail | None:
    masks = re.search(r"mask is (0x[0-9a-fA-F]+), but only (0x[0-9a-fA-F]+)", report.line)
    if masks is None:
        return None
    cause = f"the kernel saves FPU state {masks.group(1)}, and this CPU has only {masks.group(2)}"
    return Detail(cause, None, f"build with -DKernelXSaveFeatureSet={masks.group(2)}")


def _untypeds(report: FaultReport) -> Detail | None:
    found = re.search(r"creation of untypeds for (.+?) failed", report.line)
    return None if found is None else Detail(f"the kernel has no room to describe {found.group(1)}")


def _iommu_fault(report: FaultReport) -> Detail | None:
    """seL4 src/plat/pc99/machine/intel-vtd.c, vtd_process_faults."""
    found = re.search(
        r"DMA (read|write) page fault from \S+ \(bus: 0x(\w+)/dev: 0x(\w+)/fun: 0x(\w+)\)"
        r"(?: on address (\S+))?",
        report.line,
    )
    if found is None:
        return None
    did = {"read": "read", "write": "wrote"}[found.group(1)]
    device = f"{found.group(2):>02}:{found.group(3):>02}.{found.group(4)}"
    where = f" at {found.group(5).rpartition(':')[2]}" if found.group(5) else ""
    return Detail(f"{device} {did} memory that it was not given{where}")


def _tests(report: FaultReport) -> Detail | None:
    told = re.search(r"Test suite failed\.?:? ?(.*)", report.line)
    return Detail(f"tests failed: {told.group(1).strip(' .')}") if told and told.group(1).strip() else None


_QUOTED = 3


def _lines_before(report: FaultReport) -> Detail | None:
    """Return the lines that somebody is told to look at."""
    return Detail(lines=(*report.before[-_QUOTED:], report.line)) if report.before else None


_LOOK_BEFORE = FaultBlock(_lines_before, before=_NEAR)
_BLOCKS: Mapping[str, FaultBlock] = {
    **dict.fromkeys(
        (
            "nothing-to-boot",
            "waits-for-key",
            "pxe-gave-up",
            "loader-failed",
            "loader-start",
            "loader-kernel",
            "loader-module",
            "grub-rescue",
            "grub-prompt",
        ),
        _LOOK_BEFORE,
    ),
    "thread-fault": FaultBlock(_thread_fault, after=480, ends=_has_thread),
    "component-fault": FaultBlock(_component_fault),
    **dict.fromkeys(("kernel-stopped", "memory-setup"), FaultBlock(_reason_before, before=_NEAR)),
    "halted": FaultBlock(_halt_reason, before=_NEAR),
    "root-abort": FaultBlock(_halt_reason, before=_NEAR),
    "guest-exit": FaultBlock(_vm_exit, before=_NEAR),
    "guest-panic": FaultBlock(lambda report: _panic(report, "the guest's Linux kernel"), before=_OOPS),
    "kernel-panic": FaultBlock(lambda report: _panic(report, "the Linux kernel"), before=_OOPS),
    "kernel-assertion": FaultBlock(_assertion),
    "check-failed": FaultBlock(_check, before=_NEAR, after=240, ends=_has_message),
    "no-memory": FaultBlock(_no_memory, before=_START, after=48),
    "memory-order": FaultBlock(_wrong_order, before=_START),
    "cpu-feature": FaultBlock(_cpu_feature),
    "cpu-xsave-mask": FaultBlock(_feature_mask),
    "untyped-caps": FaultBlock(_untypeds),
    "tests-failed": FaultBlock(_tests),
    "iommu-fault": FaultBlock(_iommu_fault),
}
