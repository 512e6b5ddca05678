"""Virtual media: looked at by anybody, changed by whoever holds the board."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bringup.base.errors import LabError, NotOfferedError, UsageError
from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.boot.place import BoardPlace
from bringup.boot.session import Session
from bringup.lab.inventory import Board
from bringup.netboot.one_file import OneFile
from bringup.power.base import BootOverride, Drivers, Media, MediaSlot


def media_slots(board: Board) -> tuple[MediaSlot, ...]:
    """Return the virtual drives of a board and what is in them; raises LabError."""
    with _media(board) as (_, media):
        return media.slots()


def insert_media(
    board: Board, url: str, *, boot: Firmware | None = None, force: bool = False
) -> tuple[MediaSlot, BootOverride | None]:
    """Let the board's BMC show the image at `url` as a disc; with `boot` it is what boots next, once.

    Raises BmcBusyError naming the holder when somebody else works on the board, unless `force`, and LabError.
    """
    with Session(board, "media insert", force=force), _media(board) as (drivers, media):
        slot = media.insert(url)
        if boot is None:
            return slot, None
        if drivers.override is None:
            raise NotOfferedError(f"nothing says to {board.name} what to boot: the disc is in and not chosen")
        override = BootOverride("cdrom", uefi=boot is Firmware.UEFI)
        drivers.override.set(override)
        return slot, override


@contextmanager
def served_media(
    board: Board,
    image: Path,
    told: Callable[[str], None],
    *,
    boot: Firmware | None = None,
    force: bool = False,
) -> Iterator[tuple[MediaSlot, BootOverride | None]]:
    """Serve a file of this host to the board's BMC and let it show that as a disc, until the context ends.

    Others may act on the board meanwhile. `told` hears of each request of the BMC. Raises UsageError for what
    is no file, and as `insert_media`.
    """
    if not image.is_file():
        raise UsageError(f"there is no file {image}", hint="name an image, or a URL that the BMC reaches")
    if board.bmc is None:
        raise NotOfferedError(f"{board.name} has no BMC that could show a disc")
    with OneFile(image, board.bmc.address, told) as file:
        slot, override = insert_media(board, file.url, boot=boot, force=force)
        try:
            yield slot, override
        finally:
            with suppress(LabError):  # whoever took it out before us has done it
                eject_media(board, force=True)


def shows(board: Board, url: str) -> bool:
    """Return whether one of the board's virtual drives still has the image of `url`."""
    return any(slot.image == url for slot in media_slots(board))


def eject_media(board: Board, *, force: bool = False) -> tuple[MediaSlot, ...]:
    """Take out whatever is in and return the drives that held it; raises as `insert_media`."""
    with Session(board, "media eject", force=force), _media(board) as (_, media):
        return media.eject()


@contextmanager
def _media(board: Board) -> Iterator[tuple[Drivers, Media]]:
    with closing(BoardPlace(board).drivers(_ignore)) as drivers:
        if drivers.media is None:
            raise NotOfferedError(
                f"{board.name} has no virtual media: its power is switched by {drivers.power.describe()}",
                hint='`power = "redfish"` in lab.toml, where its BMC offers that',
            )
        yield drivers, drivers.media


def _ignore(_event: Event) -> None:
    return
