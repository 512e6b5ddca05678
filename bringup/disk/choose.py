"""Which disk may be taken: the only one that fits, or one that a person named. All else is refused.

"Allowed" is a positive list: a disk that is empty, or that this tool wrote. A name such as `sda` is no name:
it means another disk after the next start (ignition#1843). Serials and WWNs collide in the field
(udisks#490, scrutiny#435), so a disk is known by serial, model, size and path together.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bringup.base.errors import LabError, UsageError
from bringup.base.size import mib_text, rough_size
from bringup.disk.contents import EMPTY, Contents
from bringup.disk.layout import SECTOR_SIZES

if TYPE_CHECKING:
    from bringup.profile.model import Storage

_KERNEL_NAME = re.compile(r"(/dev/)?(sd[a-z]+|nvme\d+n\d+|vd[a-z]+|mmcblk\d+)")


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk as the running system tells it; `size_bytes` and `sector_bytes` in bytes.

    `name` is the kernel's and holds until the disk is pulled or the board restarted; `sequence` is the number
    that its kernel gives no other disk (diskseq, since Linux 5.15). `path` is where it is plugged in, such
    as `pci-0000:00:1f.2-ata-1` or the folder in /sys. `wwn` as `naa.…`, `eui.…` or `0x…`. `uses` are
    sentences on who uses it now: mounts, swap, holders. What was not told is empty.
    """

    name: str
    path: str
    size_bytes: int
    sector_bytes: int = 512
    model: str = ""
    serial: str = ""
    wwn: str = ""
    removable: bool = False
    read_only: bool = False
    uses: tuple[str, ...] = ()
    contents: Contents = EMPTY
    sequence: str = ""

    @property
    def handle(self) -> str:
        """What it is called to the system that told of it: with its sequence no later disk answers to it."""
        return f"{self.name}@{self.sequence}" if self.sequence else self.name

    @property
    def is_on_usb(self) -> bool:
        """Whether it is plugged in at a USB port."""
        return "-usb-" in self.path or "/usb" in self.path

    @property
    def identity(self) -> tuple[str, str, int, str]:
        """What must be the same for it to be the same disk."""
        return (self.serial, self.model, self.size_bytes, self.path)

    def __str__(self) -> str:
        """What people know a disk by."""
        names = [self.model or "disk without a model name", rough_size(self.size_bytes)]
        names += [f"serial {self.serial}" if self.serial else "no serial"]
        return ", ".join([*names, *([f"wwn {self.wwn}"] if self.wwn else []), f"at {self.path}"])

    def to_dict(self) -> dict[str, Any]:
        """Return the disk as plain JSON data."""
        return {
            "name": self.name,
            "path": self.path,
            "size_bytes": self.size_bytes,
            "sector_bytes": self.sector_bytes,
            "model": self.model,
            "serial": self.serial,
            "wwn": self.wwn,
            "removable": self.removable,
            "read_only": self.read_only,
            "uses": list(self.uses),
            "contents": [str(each) for each in self.contents.found],
        }


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    `named` is a serial, a WWN or a path. `least_bytes` is what has to fit. `fits_path` and `fits_model` are
    patterns (`*`) of the profile or lab file. `standing` is whether `named` stands in lab.toml, written when
    another disk may have been plugged in there. `bios` is whether the board starts by BIOS. `other_boards`
    has the serial or WWN of every disk that lab.toml says belongs to another board, with that board's name.
    """

    least_bytes: int
    named: str | None = None
    standing: bool = False
    fits_path: str | None = None
    fits_model: str | None = None
    bios: bool = True
    other_boards: Mapping[str, str] | None = None


def wish_for(
    storage: Storage,
    least_bytes: int,
    *,
    named: str | None,
    standing: bool = False,
    bios: bool,
    other_boards: Mapping[str, str] | None = None,
) -> Wish:
    """Return the wish for a board with what its profile says of its disk; see `Wish`."""
    return Wish(
        least_bytes,
        named,
        standing,
        fits_path=storage.path.value if storage.path else None,
        fits_model=storage.model.value if storage.model else None,
        bios=bios,
        other_boards=other_boards,
    )


def choose(disks: Sequence[Disk], wish: Wish) -> Disk:
    """Return the one disk that may be overwritten.

    Raises UsageError where the person has to name one or another, LabError where the disk cannot be taken.
    """
    if not disks:
        raise LabError(
            "the board shows no disk", hint="power and cable of the disk; its port in firmware setup"
        )
    disk = _only(disks, wish) if wish.named is None else _named(disks, wish.named)
    if reason := refusal(disk, disks, wish) or _only_its_place_is_known(disk, wish):
        raise LabError(f"not written to {disk}: {reason}", hint=_hint(disks, wish))
    return disk


def _only_its_place_is_known(disk: Disk, wish: Wish) -> str | None:
    """Return what is on a disk that nobody meant: lab.toml names where it is plugged in, and no more."""
    known = wish.named is None or _plain(wish.named) != _plain(disk.path)
    if known or not wish.standing or disk.contents.is_free:
        return None
    return f"it holds {disk.contents}, and lab.toml names its place, not this disk"


def refusal(disk: Disk, disks: Sequence[Disk], wish: Wish) -> str | None:
    """Return why a disk cannot be taken whoever names it, None when it can."""
    if owner := _owner(disk, wish.other_boards or {}):
        return f"lab.toml says that it is the disk of {owner}"
    if twin := next((each for each in disks if each is not disk and _same_identity(disk, each)), None):
        return f"another disk has the same serial or WWN, at {twin.path}; which is which cannot be told"
    if disk.uses:
        return f"it is in use: {'; '.join(disk.uses)}"
    if disk.read_only:
        return "it is read-only"
    if disk.size_bytes < wish.least_bytes:
        return f"it has {mib_text(disk.size_bytes)}, and {mib_text(wish.least_bytes)} are needed"
    if disk.sector_bytes not in SECTOR_SIZES:
        return f"its sectors have {disk.sector_bytes} bytes, and only 512 and 4096 are known here"
    if disk.sector_bytes != 512 and wish.bios:
        return f"its sectors have {disk.sector_bytes} bytes, which BIOS cannot start from; UEFI can"
    return None


def rivals_words(disks: Sequence[Disk], chosen: Disk) -> str | None:
    """Return what a person should know where another disk has slots, too; None where none has.

    A loader starts from its own disk whatever others there are; which loader starts, the firmware decides.
    """
    rivals = [disk for disk in disks if disk is not chosen and disk.contents.is_ours]
    if not rivals:
        return None
    listed = "; ".join(map(str, rivals))
    return (
        f"bringup wrote another disk of this board, too ({listed}), and the board starts whichever is first "
        f"in its boot order: that should be {chosen}, or take the other out"
    )


def _only(disks: Sequence[Disk], wish: Wish) -> Disk:
    """Return the one disk that fits without anybody naming it."""
    against = {id(disk): _unfit(disk, disks, wish) for disk in disks}
    fitting = [disk for disk in disks if against[id(disk)] is None]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        listed = "; ".join(map(str, fitting))
        raise UsageError(
            f"{len(fitting)} disks fit, and one has to be named: {listed}", hint=_hint(disks, wish)
        )
    listed = "; ".join(f"{disk}: {against[id(disk)]}" for disk in disks)
    raise LabError(f"no disk fits: {listed}", hint=_hint(disks, wish))


def _unfit(disk: Disk, disks: Sequence[Disk], wish: Wish) -> str | None:
    if reason := refusal(disk, disks, wish):
        return reason
    if wish.fits_path and not fnmatch.fnmatchcase(disk.path, wish.fits_path):
        return f"it is not at {wish.fits_path}"
    if wish.fits_model and not fnmatch.fnmatchcase(disk.model, wish.fits_model):
        return f"its model is not {wish.fits_model}"
    if disk.removable:
        return "it is removable, and taken only when it is named"
    if disk.is_on_usb and not (wish.fits_path or wish.fits_model):
        # Many sticks say that they are not removable.
        return "it is on USB, and taken only when it is named"
    if not disk.contents.is_free:
        return f"it holds {disk.contents}, and is taken only when it is named"
    return None


def _named(disks: Sequence[Disk], name: str) -> Disk:
    if _KERNEL_NAME.fullmatch(name):
        raise UsageError(
            f"{name} is not the name of a disk: it means another one after the next start",
            hint="name its serial, WWN or path: " + "; ".join(map(str, disks)),
        )
    if not name.strip():
        # What a script's empty variable leaves: never the same as no name.
        raise UsageError("the name of the disk is empty", hint="there are: " + "; ".join(map(str, disks)))
    found = [disk for disk in disks if is_called(disk, name)]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(map(str, found or disks))
    if found:
        raise UsageError(
            f"{len(found)} disks are called {name}: {listed}",
            hint="which is which cannot be told: take one of them out",
        )
    raise UsageError(f"no disk is called {name}", hint=f"there are: {listed}")


def is_called(disk: Disk, name: str) -> bool:
    """Return whether a name is the disk's serial, path or WWN, as sysfs, udev or the drive's label has it."""
    texts = {_plain(disk.serial), _plain(disk.path)} - {""}
    return _plain(name) in texts or _same_wwn(name, disk.wwn)


def _plain(text: str) -> str:
    """Return a name as it is compared: people and udev write case and blanks as they like.

    Of two names that were the same only so, the refusal is the right answer: which is which cannot be told.
    """
    return "".join(char for char in text.lower() if "!" <= char <= "~" and char != "_")


def _bare_wwn(wwn: str) -> str:
    """Return the digits of a WWN that sysfs, udev or a drive's label wrote."""
    digits = re.sub(r"[\s:-]", "", wwn.lower().removeprefix("wwn-"))
    return digits.removeprefix("naa.").removeprefix("eui.").removeprefix("0x")


def _same_wwn(one: str, another: str) -> bool:
    return bool(_bare_wwn(one)) and _bare_wwn(one) == _bare_wwn(another)


def _same_identity(disk: Disk, another: Disk) -> bool:
    same_serial = bool(_plain(disk.serial)) and _plain(disk.serial) == _plain(another.serial)
    return same_serial or _same_wwn(disk.wwn, another.wwn)


def _owner(disk: Disk, other_boards: Mapping[str, str]) -> str | None:
    anywhere = replace(disk, path="")
    return next((board for name, board in other_boards.items() if is_called(anywhere, name)), None)


def _hint(disks: Sequence[Disk], wish: Wish) -> str:
    able = [disk for disk in disks if refusal(disk, disks, wish) is None]
    if not able:
        under_uefi = replace(wish, bios=False)
        if any(refusal(disk, disks, under_uefi) is None for disk in disks):
            return "--firmware uefi, or another disk"
        return "no disk of this board can be taken as it is"
    first = able[0]
    return f"--disk {first.serial or first.path}" + (f", or another of {len(able)}" if len(able) > 1 else "")
