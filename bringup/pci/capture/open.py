"""Opens captures: finds each input's kind by its content, reads it, and merges the views of one machine.

Nothing here goes by file names. Inputs are trusted with nothing: they are bounded, never unpacked to disk,
and whatever is wrong with one is a UsageError (exit 2), or a ProfileError (exit 12) when two do not belong
together.
"""

from __future__ import annotations

import hashlib
import os
import select
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from bringup.base.errors import UsageError, reason_of
from bringup.base.regular_file import is_folder
from bringup.pci.acpi.tables import resolve_scopes
from bringup.pci.capture.views import collected, files_of, prefer_bare_metal
from bringup.pci.model import Function, Machine, Missing
from bringup.pci.names import load_names, with_names
from bringup.pci.sources import dmesg, formats, loose
from bringup.pci.sources import linux as linux_tree
from bringup.pci.sources.merge import merge
from bringup.pci.sources.pasted import unstamped, unwrapped
from bringup.pci.topology.inferred import infer_bridges
from bringup.pci.topology.placed import place
from bringup.pci.tree.bundle import UNPACKED_LIMIT, is_archive, read_archive, unpacked_text
from bringup.pci.tree.files import Files
from bringup.pci.tree.find import Hashed, holds_tree, open_folder, open_tree

STANDARD_INPUT = Path("-")
READ_LIMIT = UNPACKED_LIMIT
# How long a pipe may say nothing: lspci of a large machine needs a second or two.
_PIPE_SECONDS = 30

_HINT = (
    f"give a capture, a folder or tar with sys/bus/pci/devices, {formats.names()}, or a folder of such files"
)
# Views that count beside others, and may tell no function.
_HELPERS = (loose.KIND, dmesg.KIND)
_PASSED_OVER = "passed over: no view of a machine that is known here"
_PICTURES = {b"\xff\xd8\xff": "a JPEG picture", b"\x89PNG": "a PNG picture", b"%PDF": "a PDF"}
_PROGRAMS = {b"\x7fELF": "a program", b"MZ": "a program", b"PK\x03\x04": "a zip"}


def open_capture(paths: Sequence[Path]) -> Machine:
    """Return the machine that the inputs show together, with names from pci.ids.

    `-` is standard input. Raises UsageError for an input that is missing, unreadable, damaged or of no known
    kind, ProfileError for inputs of different machines.
    """
    if not paths:
        raise UsageError("no capture was named", hint=_HINT)
    if list(paths).count(STANDARD_INPUT) > 1:
        raise UsageError("standard input was named twice, and can be read once", hint="write one to a file")
    inputs = [each for path in paths for each in _inputs(path)]
    named = [each.name for each in inputs]
    # Two files of one name are told apart by their paths: provenance points at names.
    inputs = [
        replace(each, name=str(each.path)) if named.count(each.name) > 1 or not each.name else each
        for each in inputs
    ]
    opened = [(each, _open_found(each)) for each in inputs]
    machines = [machine for _, machine in opened if machine is not None]
    passed = tuple(Missing(each.name, _PASSED_OVER) for each, machine in opened if machine is None)
    if not machines:
        # Nothing in the folder was of any use: opening it as a tree says so.
        machines = [_open(path, path.name) for path in paths]
    if not any(machine.functions or machine.sources[0].kind not in _HELPERS for machine in machines):
        raise UsageError(
            f"{inputs[0].name} tells of no PCI function", hint="give it beside a listing, in the same command"
        )
    merged = prefer_bare_metal(_with_routing(merge(sorted(machines, key=formats.rank_of))), machines)
    return _finished(replace(merged, missing=(*merged.missing, *passed)))


@dataclass(frozen=True, slots=True)
class _Input:
    """A file or tree to open; `found` in a folder beside others, so that it may be of no account."""

    path: Path
    name: str
    found: bool = False


def _open_found(each: _Input) -> Machine | None:
    """Return the machine of an input; None for a file found beside others that is of no known kind."""
    try:
        return _open(each.path, each.name)
    except UsageError:
        if not each.found:
            raise
        return None


def _inputs(path: Path) -> list[_Input]:
    """Return what an argument names: itself, the views in a folder of them, or what somebody collected."""
    if path == STANDARD_INPUT:
        return [_Input(path, "stdin")]
    views = files_of(path)
    if not views and is_folder(path) and not holds_tree(path):
        views = collected(path)
    names = [str(view.relative_to(path.parent)) for view in views]
    found = [_Input(view, name, found=True) for view, name in zip(views, names, strict=True)]
    return found or [_Input(path, path.name)]


def open_local() -> Machine:
    """Return the machine this runs on, read through the same manifest as a capture; nothing is written.

    What privilege hid is `missing`. Raises LabError where there is no Linux with PCI.
    """
    from bringup.pci.capture.local import NAME, local_files

    files = Hashed(local_files())
    return _finished(_with_routing(_read_tree(files, NAME, files.hexdigest)))


def _finished(machine: Machine) -> Machine:
    """Add what needs all sources: bridges' buses, the functions of DMAR scopes, names."""
    functions = infer_bridges(tuple(map(_without_window_bars, machine.functions)))
    machine = place(replace(machine, functions=functions))
    acpi = resolve_scopes(machine.acpi, machine.functions)
    return with_names(replace(machine, acpi=acpi), load_names())


def _without_window_bars(function: Function) -> Function:
    """Take away what seL4's libpci reads as BARs 2 to 5 of a bridge: bus numbers and windows."""
    if function.header_type != 1 or not function.firmware_bars:
        return function
    return replace(function, firmware_bars=tuple(bar for bar in function.firmware_bars if bar.index < 2))


def _open(path: Path, name: str) -> Machine:
    if path == STANDARD_INPUT:
        return _read(_read_all(sys.stdin.buffer, "standard input"), name)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            files = Hashed(open_folder(path))
            return _read_tree(files, name, files.hexdigest)
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise UsageError(f"{path} is neither a file nor a folder", hint=_HINT)
        if stat.S_ISFIFO(mode):
            return _read(_read_pipe(path), name)
        with path.open("rb") as file:
            data = _read_all(file, str(path))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {reason_of(error)}") from None
    return _read(data, name)


def _read_pipe(path: Path) -> bytes:
    """Return what comes through a shell's pipe, as of `<(lspci)`; one with a name is never opened.

    Who writes to such a one, and when, nobody can tell, and its writer would be left with half a reader.
    """
    if path.resolve().exists():
        raise UsageError(
            f"{path} is a named pipe (FIFO), which is not read",
            hint=f"write the listing to a file first, or give it on standard input: --from - < {path}",
        )
    silent = UsageError(f"{path} is a pipe that nobody writes to", hint="write the listing to a file first")
    data = bytearray()
    # Without O_NONBLOCK opening it would wait for a writer that may never come.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        while len(data) <= READ_LIMIT:
            if not poll.poll(_PIPE_SECONDS * 1000):
                raise silent
            piece = os.read(handle, 1 << 16)
            if not piece:
                break
            data += piece
    finally:
        os.close(handle)
    if not data:
        raise silent
    if len(data) > READ_LIMIT:
        raise UsageError(f"{path} has more than {READ_LIMIT >> 20} MiB: this is no capture")
    return bytes(data)


def _read_all(file: BinaryIO, name: str) -> bytes:
    data = file.read(READ_LIMIT + 1)
    if len(data) > READ_LIMIT:
        raise UsageError(f"{name} has more than {READ_LIMIT >> 20} MiB: this is no capture")
    return data


def read_bytes(data: bytes, name: str) -> Machine:
    """Return the machine in a file's bytes, whatever kind they are of; raises UsageError."""
    return _with_routing(_read(data, name))


def _read(data: bytes, name: str) -> Machine:
    if not data:
        raise UsageError(f"{name} is empty", hint=_HINT)
    plain = unpacked_text(data, name)
    text = plain if is_archive(plain) else unwrapped(plain)
    reader = None if is_archive(plain) else formats.reader_of(text)
    if reader is None and is_archive(data):
        files = open_tree(read_archive(data, name), name)
        digest = hashlib.sha256(data).hexdigest()
        return _read_tree(files, name, lambda: digest)
    if reader is None:
        text = unstamped(text)
        reader = formats.reader_of(text)
    if reader is None:
        raise UsageError(f"{name} is {_kind_of(data)}: no view of a machine that is known here", hint=_HINT)
    return reader.parse(text, name)


def _read_tree(files: Files, name: str, sha256: Callable[[], str]) -> Machine:
    machine = linux_tree.read_linux(files, name)
    if not machine.functions:
        raise UsageError(f"no PCI functions in {name}", hint=_HINT)
    (source, *rest) = machine.sources
    return replace(machine, sources=(replace(source, sha256=sha256()), *rest))


def _with_routing(machine: Machine) -> Machine:
    """Add the routing of INTx pins by the firmware's `_PRT`, evaluated by ACPICA; it takes a moment."""
    if machine.acpi.code is None:
        return machine
    # Imported late: what has no code of ACPI's is opened without programs.
    from bringup.pci.acpi.prt import with_routing

    return with_routing(machine)


def _kind_of(data: bytes) -> str:
    """Return in words what the bytes seem to be."""
    for start, what in (_PICTURES | _PROGRAMS).items():
        if data.startswith(start):
            return what
    return "binary data" if b"\0" in data[:4096] else "a text of another kind"
