"""What the build was configured with: C47, C48, and throughput (F6, F7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.rules.options import BUILD

if TYPE_CHECKING:
    from bringup.camkes.model import Place, Setting
    from bringup.rules.inputs import Inputs

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
# A second setting of the attribute would be refused (C43).
_CHANGE = "change the value where it is set ({})"
_RINGS, _RING_ENTRY = 8, 26  # bytes that the two rings take of the same memory (virtqueue_common.c)


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
    if not queues:
        return
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
        f"{_CHANGE.format(setting.place)}: {length * _BLOCK}",
        f"queue_length {length}" + (f" at {place}" if place else " (default)"),
    )


def _stock(queues: dict[tuple[str, str, str], Setting], length: int) -> Found:
    stock = [setting for setting in queues.values() if setting.value == _QUEUE_LENGTH * _BLOCK]
    if stock and length <= _QUEUE_LENGTH:
        held = (_QUEUE_LENGTH * _BLOCK - rings(_QUEUE_LENGTH)) // (-(-_FULL_FRAME // _BLOCK) * _BLOCK)
        yield F7.note(
            "queue-stock",
            (None, stock[0].place),
            f"the queues between VMs hold {held} full frames; more are dropped with an error",
            f"for throughput {_CHANGE.format(stock[0].place)}: 32 times as much (1048576), at both ends, "
            "and a queue_length of 8192",
            f"{_QUEUE_LENGTH * _BLOCK} bytes, of which the rings take {rings(_QUEUE_LENGTH)}",
        )


def rings(length: int) -> int:
    """Return the bytes that the rings of a queue with so many entries take of its shared memory."""
    return _RINGS + _RING_ENTRY * length


def _int(value: object) -> str:
    return str(value) if isinstance(value, int) and abs(value) < 1 << 64 else "?"


CHECKS = (
    (C47, xapic),
    (C48, boot_set),
    (F6, translation_vspace),
    (F7, queues_match),
)
