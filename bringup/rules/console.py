"""Whether what an image prints is seen: C45 and C46. `camkes check` asks, and a boot before power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.rules.options import BUILD, PROFILE

if TYPE_CHECKING:
    from bringup.rules.inputs import Inputs

C45 = Rule(
    "C45",
    "the native console is the serial port that Serial-over-LAN reaches",
    "util_libs LibPlatSupportX86ConsoleDevice; seL4 console_port and debug_port",
)
C46 = Rule("C46", "the kernel prints", "camkes-vm RELEASE=ON switches KernelPrinting off")
# util_libs libplatsupport plat/pc99/serial.h: the port of each console device.
_COM_PORTS = {"com1": 0x3F8, "com2": 0x2F8, "com3": 0x3E8, "com4": 0x2E8}


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
    name = next((com for com, address in _COM_PORTS.items() if address == port), f"{port:#x}")
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


CHECKS = (
    (C45, console_matches),
    (C46, kernel_prints),
)
