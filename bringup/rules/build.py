"""What the build was configured with: C45 to C48, and throughput (F6, F7)."""

from __future__ import annotations

import re

from bringup.base.finding import Finding, Rule
from bringup.camkes.model import Place, Setting
from bringup.camkes.vms.vmm import COM_PORTS
from bringup.rules.inputs import BUILD, PROFILE, Found, Inputs

C45 = Rule(
    "C45",
    "the native console is the serial port that Serial-over-LAN reaches",
    "util_libs LibPlatSupportX86ConsoleDevice; seL4 console_port and debug_port",
)
C46 = Rule("C46", "the kernel prints", "camkes-vm RELEASE=ON switches KernelPrinting off")
C47 = Rule(
    "C47",
    "the firmware leaves x2APIC off for an xAPIC kernel",
    "seL4 KernelLAPICMode: x2APIC enabled in BIOS but kernel does not support that",
)
C48 = Rule(
    "C48", "the build makes one kernel and one root task", "seL4 boot_sys.c: Expect at least one boot module"
)
F6 = Rule(
    "F6", "VMs exchange data at full speed", "seL4_projects_libs#114: 150 Mbit/s without, 1.2 Gbit/s with"
)
F7 = Rule(
    "F7",
    "the queues between VMs match in size",
    "camkes-vm Init/src/virtio_net_vswitch.c; camkes/virtqueue: 128 byte blocks, 256 of them",
)

_KERNEL = re.compile(r"kernel-(x86_64|ia32)-pc99")
_ROOT_TASK = re.compile(r".+-image-(x86_64|ia32)-pc99")
_QUEUE = re.compile(r"ether_(\d{1,4})_(send|recv)_shmem_size", re.ASCII)
_BLOCK = 128
_QUEUE_LENGTH = 256
_FULL_FRAME = 1514


def console_matches(inputs: Inputs) -> Found:
    """C45; the kernel's own ports are on its command line, where a boot puts them."""
    if not inputs.vms:
        return
    if inputs.build is None or inputs.profile is None:
        needs = [need for need, have in ((BUILD, inputs.build), (PROFILE, inputs.profile)) if have is None]
        yield C45.gap("whether the console is the one that SOL reaches", " and ".join(needs))
        return
    sol_port = inputs.profile.serial.sol_port
    if sol_port is None:
        yield C45.gap("whether the console is the one that SOL reaches", "a profile that names the SOL port")
        return
    if inputs.console is None:
        yield C45.gap("LibPlatSupportX86ConsoleDevice is not in the build", f"{BUILD} of an x86 build")
        return
    reader, port = f"Serial-over-LAN of {inputs.profile.name}", sol_port.value
    yield from console_elsewhere(inputs.console, port, reader, f"SOL at {port:#x}: {sol_port.source}")


def console_elsewhere(console: str, port: int, reader: str, *evidence: str) -> Found:
    """C45 of one console device; `port` is the I/O port that `reader` reaches."""
    name = next((com for com, address in COM_PORTS.items() if address == port), f"{port:#x}")
    if console != name:
        yield C45.error(
            "console-silent",
            None,
            f"the build prints to {console}, and {reader} reaches {name}",
            f"build with -DLibPlatSupportX86ConsoleDevice={name}, and start the kernel with "
            f"console_port={port:#x} debug_port={port:#x}",
            f"LibPlatSupportX86ConsoleDevice={console}",
            *evidence,
        )


def kernel_prints(inputs: Inputs) -> Found:
    """C46."""
    if not inputs.vms:
        return
    build = inputs.build
    if build is None:
        yield C46.gap("RELEASE", BUILD)
    elif build.flag("RELEASE"):
        yield kernel_silent("RELEASE=ON")
    elif build.kernel is not None and not build.kernel.prints:
        yield kernel_silent("the kernel has none of its texts")


def kernel_silent(evidence: str) -> Finding:
    """C46 of one kernel."""
    return C46.warning(
        "kernel-silent",
        None,
        "a RELEASE build: the kernel prints nothing, and a boot shows no stage between loader and VMM",
        "for bring-up, build with -DRELEASE=OFF",
        evidence,
    )


def xapic(inputs: Inputs) -> Found:
    """C47; a kernel that is not known is taken to be stock."""
    mode = inputs.build.text("KernelLAPICMode") if inputs.build else None
    if mode == "X2APIC" or (inputs.configured and not inputs.vms and not inputs.holders):
        return
    x2apic = inputs.machine.platform.x2apic if inputs.machine else None
    if inputs.configured and x2apic is None:
        yield C47.gap("whether the firmware switches x2APIC on", inputs.capture_with("the board's processor"))
    elif inputs.configured and x2apic and inputs.build is None:
        yield C47.gap("KernelLAPICMode (default XAPIC)", BUILD)
    if x2apic:
        yield C47.error(
            "x2apic-on",
            None,
            "the firmware switched x2APIC on, and a kernel built for xAPIC (the default) stops there",
            f"{inputs.words.advice('x2apic')}, or build with -DKernelLAPICMode=X2APIC",
            "x2APIC was on when the firmware handed over",
            *([f"KernelLAPICMode={mode or 'XAPIC (default)'}"] if inputs.build else []),
        )


def boot_set(inputs: Inputs) -> Found:
    """C48: by the names in `images/`; `bringup boot --image` looks into the files."""
    if not inputs.vms:
        return
    images = inputs.build.images if inputs.build else None
    if images is None:
        needs = BUILD if inputs.build is None else f"{BUILD} that has been built"
        yield C48.gap("the boot set; `bringup boot --image` checks it in any case", needs)
        return
    kernels = [name for name in images if _KERNEL.fullmatch(name)]
    tasks = [name for name in images if _ROOT_TASK.fullmatch(name)]
    if len(kernels) != 1 or len(tasks) != 1 or kernels[0].split("-")[1:] != tasks[0].split("-")[-2:]:
        yield C48.error(
            "boot-set",
            None,
            "the images folder holds "
            + (", ".join([*kernels, *tasks][:6]) or "neither kernel nor root task"),
            "one kernel-x86_64-pc99 and one capdl-loader-image-x86_64-pc99 of one build: run ninja",
        )


def translation_vspace(inputs: Inputs) -> Found:
    """F6."""
    if not _queues(inputs):
        return
    if inputs.build is None:
        yield F6.gap("LibSel4VMUseTranslationVspace", BUILD)
    elif not inputs.build.translation_vspace:
        yield F6.note(
            "slow-copies",
            None,
            "VMs exchange frames at an eighth of the speed that a translation vspace gives",
            "seL4_projects_libs#114, then build with -DLibSel4VMUseTranslationVspace=ON",
            "LibSel4VMUseTranslationVspace "
            + ("is not in the build" if inputs.build.translation_vspace is None else "OFF"),
        )


def _queues(inputs: Inputs) -> dict[tuple[str, str, str], Setting]:
    """Return the sizes of shared memory by (VM, peer, direction)."""
    queues = {}
    for vm in inputs.vms:
        for name, setting in vm.settings.items():
            match = _QUEUE.fullmatch(name)
            if match is not None and isinstance(setting.value, int):
                queues[vm.name, f"vm{match[1]}", match[2]] = setting
    return queues


def queues_match(inputs: Inputs) -> Found:
    """F7: both ends of a queue have one size, and it holds the queue's blocks."""
    queues = _queues(inputs)
    lengths = [
        (int(setting.value), setting.place)
        for setting in inputs.written.settings
        if setting.applied and setting.attribute == "queue_length" and isinstance(setting.value, int)
    ]
    length, place = max(lengths, default=(_QUEUE_LENGTH, None), key=lambda pair: pair[0])
    for (vm, peer, direction), setting in queues.items():
        if direction != "send":
            continue
        size = setting.value
        other = queues.get((peer, vm, "recv"))
        if other is not None and other.value != size:
            yield F7.error(
                "queue-ends-differ",
                (peer, other.place),
                f"{vm} sends to {peer} through {_int(size)} bytes, and {peer} receives through "
                f"{_int(other.value)}",
                f"write the same size in {setting.instance}.{setting.attribute} and "
                f"{other.instance}.{other.attribute}",
                f"{setting.place}",
            )
        if isinstance(size, int) and 0 <= length < 1 << 32 and size < length * _BLOCK:
            yield _queue_small(vm, setting, size, length, place)
    yield from _stock(queues, length)


def _queue_small(vm: str, setting: Setting, size: int, length: int, place: Place | None) -> Finding:
    return F7.warning(
        "queue-small",
        (vm, setting.place),
        f"{setting.instance}.{setting.attribute} is {size}, and {length} blocks of {_BLOCK} bytes need "
        f"{length * _BLOCK}",
        f"{setting.instance}.{setting.attribute} = {length * _BLOCK};",
        f"queue_length {length}" + (f" at {place}" if place else " (default)"),
    )


def _stock(queues: dict[tuple[str, str, str], Setting], length: int) -> Found:
    stock = [setting for setting in queues.values() if setting.value == _QUEUE_LENGTH * _BLOCK]
    if stock and length <= _QUEUE_LENGTH:
        held = _QUEUE_LENGTH * _BLOCK // (-(-_FULL_FRAME // _BLOCK) * _BLOCK)
        yield F7.note(
            "queue-stock",
            (None, stock[0].place),
            f"the queues between VMs hold {held} full frames; more are dropped with an error",
            "for throughput: 32 times the shared memory (1048576) and a queue_length of 8192",
        )


def _int(value: object) -> str:
    return str(value) if isinstance(value, int) and abs(value) < 1 << 64 else "?"


CHECKS = (
    (C45, console_matches),
    (C46, kernel_prints),
    (C47, xapic),
    (C48, boot_set),
    (F6, translation_vspace),
    (F7, queues_match),
)
