"""Which slot GRUB will start, given a disk's bytes: the script of `grub.py` as a model, to judge disks by.

It is stricter than GRUB where GRUB would go on by luck: a partition table that is not whole counts as none.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from bringup.base.errors import LabError
from bringup.base.firmware import Firmware
from bringup.disk.commit import Loader
from bringup.disk.fat.volume import FatError, FatVolume, Reader
from bringup.disk.layout import BIOS, ESP, LETTERS, Layout, Letter, read_layout
from bringup.disk.slots import damage, state_places
from bringup.disk.state import BLOCK_BYTES, State, environment, other, parse_state, saved

_TABLE_BYTES = 64 << 10
EFI_PROGRAM = "EFI/BOOT/BOOTX64.EFI"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is started. `slot` is None when nothing is, and `why` says what stood in the way, in order.

    `writes` are what GRUB writes before it starts the slot: (offset, bytes) of each, in order. `damaged` are
    the slots that it tried before this one. `trial` is what it says where one begins: the slot that it starts
    first, and the good one, "" where it knows none any more.
    """

    slot: Letter | None
    why: tuple[str, ...] = ()
    writes: tuple[tuple[int, bytes], ...] = ()
    damaged: tuple[Letter, ...] = ()
    trial: tuple[Letter, str] | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What starts from the disk: its firmware, the loader that was installed, and what is wrong with it.

    `loader` None takes whatever code is in the loader's places for the one that was installed.

    `can_write` is False for a disk that refuses every write. `key` is what is typed at the hidden menu.
    """

    loader: Loader | None
    firmware: Firmware = Firmware.BIOS
    sector_bytes: int = 512
    can_write: bool = True
    key: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """GRUB's script began on a disk: its layout, and the state that it reads, None where none is whole."""

    layout: Layout
    state: State | None


def grub_begins(read: Reader, disk_bytes: int, machine: Machine) -> Begun | None:
    """Return what GRUB's script finds when it begins, None where the firmware does not come so far."""
    layout, _ = _started(read, disk_bytes, machine)
    if layout is None:
        return None
    return Begun(layout, _StateFiles(read, layout, machine.can_write).state)


def grub_choice(read: Reader, disk_bytes: int, machine: Machine) -> Choice:
    """Return what a machine starts from a disk. Any bytes are taken, and a reader that raises OSError."""
    layout, problem = _started(read, disk_bytes, machine)
    if layout is None:
        return Choice(None, (problem,))
    files = _StateFiles(read, layout, machine.can_write)
    first, trial = _wanted(files, machine.key)
    why = ["the state cannot be written"] if files.refused else []
    tried: list[Letter] = []
    for letter in (first, other(first)):
        if (damaged := _damage(read, layout, letter)) is None:
            return Choice(letter, tuple(why), tuple(files.writes), tuple(tried), trial)
        why.append(f"slot {letter}: {damaged}")
        tried.append(letter)
    return Choice(None, tuple(why), tuple(files.writes), tuple(tried), trial)


def _wanted(files: _StateFiles, key: str) -> tuple[Letter, tuple[Letter, str] | None]:
    """Return the slot that is started first, after the states were written: `keep`, `settle` and `start`.

    With it comes `Choice.trial`.
    """
    state = files.state
    if key == "y" and state and state.tried:
        files.save(State(state.tried))
    elif key in ("a", "b"):
        files.save(State(LETTERS["ab".index(key)]))
    state = files.state
    if state is None or state.trial is None:
        return (state.good if state else "A"), None
    files.save(state.begun())
    now = files.state
    first = now.tried if now and now.trial is None and now.tried else state.good
    return first, (first, now.good if now else "")


class _StateFiles:
    """The two state files as GRUB's script reads and saves them; `writes` are what it wrote, in order.

    `refused` is whether nothing could be saved when it should have been.
    """

    def __init__(self, read: Reader, layout: Layout, can_write: bool) -> None:
        self._can_write = can_write
        self._blocks = _blocks(read, layout)
        blocks = [block for _, block in self._blocks]
        # Where none is whole, the last one was loaded last.
        loaded = [block for block in blocks if parse_state(block)][:1] or blocks[-1:]
        self._id = dict(environment(loaded[0]) or ()).get("id", "") if loaded else ""
        self.writes: list[tuple[int, bytes]] = []
        self.refused = False

    @property
    def state(self) -> State | None:
        """What counts now: the first file that is whole."""
        return next(filter(None, (parse_state(block) for _, block in self._blocks)), None)

    def save(self, state: State) -> None:
        """Set good, trial and tried in each file that takes it, with the id that was read."""
        named = {"good": state.good, "trial": state.trial, "tried": state.tried, "id": self._id}
        values = [(name, value or "") for name, value in named.items()]
        after = [(at, saved(block, values) if self._can_write else None) for at, block in self._blocks]
        self.refused = self.refused or not any(block for _, block in after)
        self.writes += [(at, block) for at, block in after if block is not None]
        pairs = zip(self._blocks, after, strict=True)
        self._blocks = [(at, block or before) for (at, before), (_, block) in pairs]


def _started(read: Reader, disk_bytes: int, machine: Machine) -> tuple[Layout | None, str]:
    """Return the partition table when the firmware comes as far as GRUB's script, else what is wrong."""
    try:
        head = read(0, _TABLE_BYTES)
    except OSError as error:
        return None, str(error)
    layout = read_layout(head, disk_bytes, machine.sector_bytes)
    if head[510:512] != b"\x55\xaa" or layout is None or not layout.is_ours:
        return None, "no partition table of ours"
    reached = _by_bios if machine.firmware is Firmware.BIOS else _by_uefi
    try:
        return (layout, "") if reached(read, head, layout, machine.loader) else (None, "no loader")
    except (FatError, OSError) as error:
        return None, f"no loader: {error}"


def _by_bios(read: Reader, head: bytes, layout: Layout, loader: Loader | None) -> bool:
    if loader is None:
        return any(head[:440]) and any(read(layout.part(BIOS).start, 512))
    code, core = loader.boot_code, loader.core
    return bool(core) and head.startswith(code) and read(layout.part(BIOS).start, len(core)) == core


def _by_uefi(read: Reader, _head: bytes, layout: Layout, loader: Loader | None) -> bool:
    volume = FatVolume(read, layout.part(ESP).start)
    if loader is None:
        return bool(volume.runs(EFI_PROGRAM))
    return volume.file(EFI_PROGRAM, 16 << 20) == loader.efi


def _blocks(read: Reader, layout: Layout) -> list[tuple[int, bytes]]:
    """Return where the state files lie and what is in them; those that cannot be read are left out."""
    try:
        places = state_places(read, layout)
    except LabError:
        return []
    blocks = []
    for at in places:
        with suppress(OSError):
            blocks.append((at, read(at, BLOCK_BYTES)))
    return blocks


def _damage(read: Reader, layout: Layout, letter: Letter) -> str | None:
    try:
        return damage(FatVolume(read, layout.slot(letter).start))
    except (FatError, OSError) as error:
        return str(error)
