"""What a person asks of a re-image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bringup.boot.request import BootRequest
from bringup.disk.layout import MIB, SLOT_BYTES

if TYPE_CHECKING:
    from bringup.profile.model import Storage

Confirm = Literal["auto", "ask", "never"]


@dataclass(frozen=True, slots=True)
class ReimageRequest:
    """`disk` names one by serial, WWN or path; None takes the only one that fits. `yes` asks nobody.

    `confirm`: an image that came up is kept, the person is asked, or it stays on trial. `relayout` writes
    the whole disk anew though it has slots. `slot_bytes` is the size of a slot of a new layout, None leaves
    it to the profile. `boot` is how the image is booted from the disk, and what counts as success.
    """

    disk: str | None = None
    yes: bool = False
    confirm: Confirm = "auto"
    relayout: bool = False
    slot_bytes: int | None = None
    boot: BootRequest = field(default_factory=BootRequest)

    def slot_size(self, storage: Storage) -> int:
        """Return the size of a slot of a new layout in bytes."""
        if self.slot_bytes is not None:
            return self.slot_bytes
        return SLOT_BYTES if storage.slot_mib is None else storage.slot_mib.value * MIB
