"""The programs that bring-up stands on: whether they are here, and which."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import MissingProgramError
from bringup.base.firmware import Firmware
from bringup.base.program import find_program
from bringup.jobs.doctor.check import Check, Group, Result, failed, passed, skipped
from bringup.jobs.doctor.root import as_root
from bringup.netboot.prepare import LoaderFolders

_OLDEST_PYTHON = (3, 11)
_ANSWER_S = 5.0
_VERSION = re.compile(r"\d+(?:\.\d+)+\S*|\b20\d{6}\b")  # ACPICA counts by days


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, its Debian package, how it tells its version, and what cannot be done without it."""

    program: str
    package: str
    version: tuple[str, ...]
    without: str
    optional: bool = False


TOOLS = (
    Tool("qemu-system-x86_64", "qemu-system-x86 seabios ipxe-qemu", ("--version",), "twin"),
    Tool("unshare", "util-linux", ("--version",), "private networks"),
    Tool("ip", "iproute2", ("-V",), "private networks"),
    Tool("dnsmasq", "dnsmasq-base", ("--version",), "network boot"),
    Tool("grub-mkimage", "grub-common", ("--version",), "network boot by GRUB"),
    Tool("cpp", "cpp", ("--version",), "`camkes`"),
    Tool("acpiexec", "acpica-tools", ("-v",), "interrupt pins in `probe-pci`"),
    Tool("ipmitool", "ipmitool", ("-V",), "the commands that mend a BMC's settings", optional=True),
)

Look = Callable[[str], str | None]


def tool_checks(find: Look = find_program, loaders: LoaderFolders | None = None) -> Group:
    """Return the checks of programs; `find` says where one lies, `loaders` where loaders do."""
    ipxe = (loaders or LoaderFolders()).ipxe
    return Group("tools", [Check("tools-python", "python", _python), *_programs(find), *_firmware(ipxe)])


def _python() -> Result:
    have = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _OLDEST_PYTHON:
        return failed(f"Python {have} is older than 3.11", as_root("apt install python3.11"))
    return passed(f"Python {have}")


def _programs(find: Look) -> Iterator[Check]:
    for tool in TOOLS:
        name = tool.program.removesuffix("-system-x86_64")
        yield Check(f"tools-{name}", name, functools.partial(_tool, tool, find))


def _tool(tool: Tool, find: Look) -> Result:
    path = find(tool.program)
    install = as_root(f"apt install {tool.package}")
    if path is None:
        told = f"{tool.program} is not installed: no {tool.without}"
        return skipped(told, install) if tool.optional else failed(told, install)
    return passed(
        f"{tool.program} {version_of([path, *tool.version]) or 'of a version that it does not tell'}"
    )


def version_of(command: Sequence[str]) -> str | None:
    """Return the version that a program tells of itself, None where it tells none in time."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_ANSWER_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout[:4096].decode(errors="replace"))
    return None if found is None else found.group().rstrip(",)")


def _firmware(ipxe: Path) -> Iterator[Check]:
    yield Check("tools-ovmf", "OVMF", _ovmf)
    yield Check("tools-ipxe", "iPXE", functools.partial(_ipxe, ipxe))
    for firmware in Firmware:
        yield Check(f"tools-grub-{firmware}", f"GRUB {firmware}", functools.partial(_grub, firmware))


def _ovmf() -> Result:
    from bringup.twin.machine import ovmf_files

    pair = ovmf_files()
    if pair is None:
        return failed("the UEFI firmware OVMF is not installed: no twin", as_root("apt install ovmf"))
    return passed(f"OVMF, {pair[0]}")


def _ipxe(folder: Path) -> Result:
    missing = [name for name in ("undionly.kpxe", "snponly.efi") if not (folder / name).is_file()]
    if missing:
        return failed(
            f"iPXE's {' and '.join(missing)} not installed in {folder}", as_root("apt install ipxe")
        )
    return passed(f"iPXE, {folder}")


def _grub(firmware: Firmware) -> Result:
    from bringup.base.grub import GrubModules

    try:
        found = GrubModules.of(firmware)
    except MissingProgramError as error:
        return failed(error.message, as_root(str(error.hint)))
    return passed(f"GRUB's modules for {firmware}, {found.folder}")
