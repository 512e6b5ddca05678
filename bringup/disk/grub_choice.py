"""Which slot GRUB will start, given a disk's bytes: the script of `grub.py` as a model, to judge disks by.

It is stricter than GRUB where GRUB would go on by luck: a partition table that is not whole counts as none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bringup.base.errors import LabError
from bringup.base.firmware import Firmware
from bringup.disk.commit import Loader
from bringup.disk.fat.volume import FatError, FatVolume, Reader
from bringup.disk.layout import BIOS, ESP, LETTERS, Layout, Letter, read_layout
from bringup.disk.slots import damage, state_places
from bringup.disk.state import BLOCK_BYTES, State, other, parse_state

_TABLE_BYTES = 64 << 10
EFI_PROGRAM = "EFI/BOOT/BOOTX64.EFI"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is started. `slot` is None when nothing is, and `why` says what stood in the way, in order.

    `writes` are what GRUB writes before it starts the slot: (offset, bytes) of each, in order. `damaged` are
    the slots that it tried before this one.
    """

    slot: Letter | None
    why: tuple[str, ...] = ()
    writes: tuple[tuple[int, bytes], ...] = ()
    damaged: tuple[Letter, ...] = ()


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
    copies, _ = _states(read, layout)
    return Begun(layout, copies[0] or copies[1])


def grub_choice(read: Reader, disk_bytes: int, machine: Machine) -> Choice:
    """Return what a machine starts from a disk. Any bytes are taken, and a reader that raises OSError."""
    layout, problem = _started(read, disk_bytes, machine)
    if layout is None:
        return Choice(None, (problem,))
    why: list[str] = []
    copies, places = _states(read, layout)
    state = copies[0] or copies[1]
    writes: list[tuple[int, bytes]] = []
    good = state.good if state else "A"
    if state is not None and (changed := _changed(state, machine.key)) != state:
        if machine.can_write:
            # Each file keeps its own number: GRUB saves what it changed.
            writes = [
                (at, replace(changed, n=copy.n).block())
                for at, copy in zip(places, copies, strict=True)
                if copy is not None
            ]
            good = changed.tried if changed.tried and changed.tried == state.trial else changed.good
        else:
            why.append("the state cannot be written")
    tried: list[Letter] = []
    for letter in (good, other(good)):
        if (damaged := _damage(read, layout, letter)) is None:
            return Choice(letter, tuple(why), tuple(writes), tuple(tried))
        why.append(f"slot {letter}: {damaged}")
        tried.append(letter)
    return Choice(None, tuple(why), tuple(writes), tuple(tried))


def _changed(state: State, key: str) -> State:
    """Return the state after what GRUB does with it: a key of the menu, or a trial that begins."""
    if key == "y" and state.tried:
        return State(state.tried, None, None, state.image_id, state.n)
    if key in ("a", "b"):
        return State(LETTERS["ab".index(key)], None, None, state.image_id, state.n)
    return state.begun() if state.trial else state


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


def _states(read: Reader, layout: Layout) -> tuple[tuple[State | None, State | None], tuple[int, ...]]:
    try:
        places = state_places(read, layout)
    except LabError:
        return (None, None), ()
    copies = []
    for at in places:
        try:
            copies.append(parse_state(read(at, BLOCK_BYTES)))
        except OSError:
            copies.append(None)
    return (copies[0], copies[1]), places


def _damage(read: Reader, layout: Layout, letter: Letter) -> str | None:
    try:
        return damage(FatVolume(read, layout.slot(letter).start))
    except (FatError, OSError) as error:
        return str(error)
