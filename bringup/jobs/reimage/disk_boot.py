"""The steps of a run that boots a board from its disk: which slot starts, and the key that keeps its image.

GRUB on the disk (pxe/disk.cfg) says what it does on the console, and hears one key there: `y` makes the slot
that was tried the good one. Nothing else on the board could: seL4 has no driver for its disk.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bringup.base.errors import LabError
from bringup.base.stage import Stage
from bringup.boot.course import NETWORK_STAGES
from bringup.boot.plan import PlannedStep
from bringup.boot.preflight import Prepared
from bringup.boot.step import Step
from bringup.console.base import Console
from bringup.disk.layout import LETTERS, Letter
from bringup.disk.state import other
from bringup.transcript.clean import plain_text

if TYPE_CHECKING:
    from bringup.boot.engine import Run

KEEP_KEY = b"y"
_HASHED_PER_S = 2 << 20
"""The slowest that GRUB may read and hash, bytes a second: a busy emulator took over 30 s for 200 MiB."""
_TAIL = 4096
# Only what came whole counts: of an id that lost digits on the way nobody knows which image it names.
_LINES = re.compile(
    r"bringup: (?:slot (?P<tried>[AB]) \((?P<id>[0-9a-f]{8})\) was tried, press y"
    r"|slot (?P<whole>[AB]) is whole|slot (?P<damaged>[AB]) damaged"
    r"|image (?P<image>[0-9a-f]{8}) is started"
    r"|(?P<kernel>starting kernel)(?P<failed> failed)?|(?P<none>no slot starts))"
)


class DiskReader:
    """Reads what GRUB on the disk says; aborts the run when another slot starts than was wanted.

    `image_id` is that of the image in the slot, which no slot of another disk has; None where it is unknown.
    `other_id` is that of the image in the other slot: where the two differ, the image tells its slot, too, so
    that any one line of GRUB's may get lost. `keep` is whether the image is to be kept: the key is pressed
    once GRUB asks for that very one.
    """

    def __init__(
        self,
        console: Console,
        run: Run,
        wanted: Letter,
        image_id: str | None,
        *,
        other_id: str | None = None,
        keep: bool = False,
    ) -> None:
        self._console = console
        self._run = run
        self._wanted = wanted
        self._image_id = image_id
        self._other_id = other_id
        self._keep = keep
        self._text = ""
        self._whole: Letter | None = None
        self._found: str | None = None
        self._fell_back = False
        self.started: Letter | None = None
        self.pressed = False

    @property
    def kept(self) -> bool:
        """Whether GRUB was seen to keep the image: the key was pressed, and the slot started first of all."""
        return self.pressed and self.started == self._wanted and not self._fell_back

    def feed(self, data: bytes) -> None:
        """Take console bytes as they come."""
        if not data:
            return
        self._text += plain_text(data)
        end = 0
        for line in _LINES.finditer(self._text):
            end = line.end()
            self._take(line)
        self._text = self._text[end:][-_TAIL:]

    def _take(self, line: re.Match[str]) -> None:
        if line["tried"] and self._keep and not self.pressed:
            self._press(line["id"])
        elif line["whole"]:
            self._whole = _letter(line["whole"])
        elif line["damaged"]:
            self._fell_back = True
            text = f"slot {line['damaged']} is damaged: GRUB takes the other one"
            self._run.emit("disk", "disk.damaged", text, slot=line["damaged"])
        elif line["image"]:
            self._found = line["image"]
            self._start()
        elif line["none"]:
            self._run.abort(LabError("no slot of this disk starts", hint="bringup reimage BOARD IMAGE"))
        elif line["failed"]:
            # The other slot follows, and says the same lines.
            self._whole = self._found = self.started = None
            self._fell_back = True
        elif line["kernel"]:
            self._start()

    def _press(self, image_id: str) -> None:
        if image_id != self._image_id:
            text = f"the disk asks to keep image {image_id}, and {self._image_id} was tried"
            self._run.abort(LabError(text))
            return
        self.pressed = True  # a write that fails may have arrived all the same
        self._console.write(KEEP_KEY)
        self._run.emit("disk", "disk.key", f'pressed "y": image {image_id} is kept', image_id=image_id)

    def _start(self) -> None:
        letter = self._whole or self._slot_of_image()
        if letter is None or letter == self.started:
            return
        self.started = letter
        self._run.emit("disk", "disk.slot", f"slot {letter} starts", slot=letter)
        if letter != self._wanted:
            self._run.abort(
                LabError(
                    f"the board started slot {letter}, not {self._wanted}",
                    hint="bringup slots BOARD shows what is in them",
                )
            )
        elif self._image_id is not None and self._found not in (None, self._image_id):
            self._run.abort(
                LabError(
                    f"the board started image {self._found} from another disk, not {self._image_id}",
                    hint="the board's boot order: the disk that was written has to be its first",
                )
            )

    def _slot_of_image(self) -> Letter | None:
        """Return the slot that has the image which GRUB named, None where both do or neither."""
        if self._found is None or self._image_id == self._other_id:
            return None
        slots = {self._image_id: self._wanted, self._other_id: other(self._wanted)}
        return slots.get(self._found)


def _letter(text: str) -> Letter:
    return next(letter for letter in LETTERS if letter == text)


class SlotStarted(Step):
    """Says what this start is for; after the watch, that it is known which slot started, and that the key was
    heard where one was wanted.
    """

    def __init__(self, wanted: Letter, *, keep: bool, on_trial: bool, kept_then: bool) -> None:
        title = f"see that slot {wanted} started" + (" and that its image is kept" if keep else "")
        self.planned = PlannedStep("slot", title, 0.0, 1.0)
        self.wanted = wanted
        self.keep = keep
        self.on_trial = on_trial
        self._kept_then = on_trial and kept_then
        self.readers: list[DiskReader] = []

    @property
    def part(self) -> str:
        """What this start is of a re-image, in one word."""
        return "keep" if self.keep else "trial" if self.on_trial else "start"

    def ahead(self, run: Run) -> None:
        """Tell: a person sees a board that came up being started again."""
        if self.keep:
            why = f'slot {self.wanted} came up: started once more, and kept by pressing "y"'
        elif self.on_trial:
            why = f"slot {self.wanted} is started once, on trial: any later start has the image before"
        else:
            why = f"slot {self.wanted} is started from the disk"
        then = {"kept_then": self._kept_then, "looked_then": self.keep}
        run.emit("disk", "disk.next", why, slot=self.wanted, **then)

    def enter(self, run: Run) -> None:
        """See."""
        if run.verdict is None or run.verdict.kind != "ok":
            return
        reader = self.readers[-1] if self.readers else None
        verdict, run.verdict = run.verdict, None
        if reader is None or reader.started is None:
            raise LabError(
                f"the image came up, and its disk's GRUB was not seen to start slot {self.wanted}",
                hint="the console may have lost its lines: bringup slots BOARD tells",
            )
        if self.keep and not reader.kept:
            raise LabError("GRUB was not seen to keep the image", hint="bringup slots BOARD tells")
        run.verdict = verdict

    @property
    def kept(self) -> bool:
        """Whether GRUB was seen to keep the image; see `DiskReader`."""
        return bool(self.readers) and self.readers[-1].kept

    @property
    def pressed(self) -> bool:
        """Whether the key was pressed that keeps the image."""
        return bool(self.readers) and self.readers[-1].pressed


class ResetAfterFailedTrial(Step):
    """Entered before the watch; left after it: a trial that failed is followed by the image before."""

    planned = PlannedStep("trial", "the image is on trial: any later start has the one before", 0.0, 1.0)
    leaving = PlannedStep("back", "a trial that failed: reset, so that the image before starts", 0.5, 60.0)

    def enter(self, run: Run) -> None:
        """Nothing yet."""

    def leave(self, run: Run) -> None:
        """Reset a board whose trial failed."""
        from bringup.power.actions import cycle

        failed = run.verdict is None or run.verdict.kind != "ok"
        if failed and not run.interrupted and not run.standing.ends_twin and run.standing.power is not None:
            cycle(run.drivers.power, run.take, run.equipment.pace)


def from_disk(prepared: Prepared) -> Prepared:
    """Return the same boot from the disk: nothing is served, and no stage of the network is awaited.

    The kernel has the time, too, in which GRUB says nothing because it hashes what it will load.
    """
    network = {str(stage) for stage in NETWORK_STAGES if stage is not Stage.LOADER}
    files = (prepared.image.kernel, *prepared.image.modules)
    hashing_s = sum(file.size for file in files) / _HASHED_PER_S
    limits = tuple(
        replace(limit, timeout_s=limit.timeout_s + hashing_s) if limit.stage == str(Stage.KERNEL) else limit
        for limit in prepared.limits
        if limit.stage not in network
    )
    longest = dict(prepared.watch.limits)
    if Stage.KERNEL in longest:
        longest[Stage.KERNEL] += hashing_s
    watch = replace(prepared.watch, netboot=False, limits=longest)
    return replace(prepared, watch=watch, limits=limits)
