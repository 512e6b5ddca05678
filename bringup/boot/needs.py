"""Before power: has the machine what the image demands, and does the image print where we read?

The rules are those of `camkes check` (`bringup.rules`, needs and console): an error refuses the boot, a
warning is told. Pure: what files say was read before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.errors import ImageError
from bringup.boot.request import BootRequest
from bringup.image.check import check_memory
from bringup.image.model import Image
from bringup.lab.inventory import Board

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build

IGNORE = "--ignore-needs"


def check_needs(board: Board, image: Image, request: BootRequest, build: Build | None) -> tuple[str, ...]:
    """Return what a person should know of this image on this board.

    Raises ImageError when the image cannot run there, unless the request ignores that.
    """
    refused, told = _of_kernel(board, image, request, build)
    if board.twin:
        memory_mib = request.twin.memory
        more = build.root_cnode_bytes if build and image.is_sel4 else 0
        refused += [(each.message, each.fix) for each in check_memory(image, memory_mib, more)]
    if refused and not request.ignore_needs:
        (message, fix), *others = refused
        also = "".join(f"; also: {other}" for other, _ in others)
        raise ImageError(message, hint=f"{fix}{also}; or boot it all the same: {IGNORE}")
    return (*(f"{message} ({IGNORE})" for message, _ in refused), *told)


def needs_vtx(image: Image, build: Build | None) -> bool:
    """Return whether this image is known to need VT-x: it has VMs, or its kernel was built for them."""
    if image.needs is None:
        return False
    from bringup.image.needs import VTX
    from bringup.rules.needs import Needs

    return bool(Needs(image.needs, build, image.vms).demands(VTX))


def _of_kernel(
    board: Board, image: Image, request: BootRequest, build: Build | None
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return what speaks against the boot, each with what to do about it, and what is only told."""
    if image.needs is None:
        return [], []  # no seL4: nothing is known of what it demands
    # Imported late: the stand-in image needs no rules.
    from bringup.base.finding import Gap
    from bringup.rules import needs as rules
    from bringup.rules.console import C45, console_elsewhere, kernel_silent

    needs = rules.Needs(image.needs, build, image.vms)
    offer = rules.offer_of(board.profile, request.twin.chosen.engine)
    console = build.text("LibPlatSupportX86ConsoleDevice") if build else None
    elsewhere = console_elsewhere(console, board.kernel_port, board.reader) if console is not None else ()
    refused: list[tuple[str, str]] = []
    told: list[str] = []
    for found in (
        *rules.processor_has(needs, offer),
        *rules.enough_processors(needs, offer),
        *rules.not_simulated(needs, offer),
        *rules.iommu_on(needs, image.kernel_args),
        *elsewhere,
        *([] if image.needs.prints else [kernel_silent("the kernel has none of its texts")]),
    ):
        if isinstance(found, Gap):
            told.append(f"not known: {found.what} (name the folder of its build)")
        # A console elsewhere is no refusal: the kernel's own stages come by the port on its command line.
        elif found.severity == "error" and found.rule != C45.id:
            refused.append((found.message, found.fix))
        else:
            told.append(f"{found.message}: {found.fix}")
    return refused, told
