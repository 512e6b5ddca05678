"""The two state files: which slot is good, which is on trial. GRUB reads and writes them, and so do we.

A file is one environment block of GRUB's: 1024 bytes, a first line, `name=value` lines, filled up with `#`
(GRUB manual, "Environment block"). `v` comes first and `end` last, so that a block that was cut off counts as
bad, and everything lies in the first 512 bytes, so that a cut between two sectors changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bringup.disk.layout import LETTERS, Letter

BLOCK_BYTES = 1024
PAGE_BYTES = 4096
"""What is written at a time: each file has a page of its own."""
STATE_FILES = ("state1.env", "state2.env")
FIELDS = ("v", "n", "good", "trial", "tried", "id", "end")
"""The names in a block, in their order."""

_SIGNATURE = b"# GRUB Environment Block\n"
_VERSION = "1"
_ID = re.compile(r"[0-9a-f]{0,16}")
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class State:
    """What the state files say.

    `good` is started unless `trial` names another, which is started once and then stands in `tried` until it
    is confirmed. `image_id` is the id of the image on trial or tried; `n` counts changes by this tool.
    """

    good: Letter
    trial: Letter | None = None
    tried: Letter | None = None
    image_id: str = ""
    n: int = 1

    def with_trial(self, letter: Letter, image_id: str) -> State:
        """Return the state that starts `letter` once."""
        return replace(self, trial=letter, tried=None, image_id=image_id, n=self.n + 1)

    def settled(self, good: Letter) -> State:
        """Return the state that starts `good`, with nothing on trial."""
        return replace(self, good=good, trial=None, tried=None, image_id="", n=self.n + 1)

    def begun(self) -> State:
        """Return the state that GRUB saves before it starts the slot on trial."""
        return replace(self, trial=None, tried=self.trial)

    def block(self) -> bytes:
        """Return the state as an environment block, 1024 bytes."""
        values = (
            *(_VERSION, str(self.n), self.good, self.trial or "", self.tried or ""),
            *(self.image_id, "1"),
        )
        lines = "".join(f"{name}={value}\n" for name, value in zip(FIELDS, values, strict=True))
        return (_SIGNATURE + lines.encode("ascii")).ljust(BLOCK_BYTES, b"#")

    def page(self) -> bytes:
        """Return the block with what lies behind it in its page, 4096 bytes."""
        return self.block().ljust(PAGE_BYTES, b"\0")


def other(letter: Letter) -> Letter:
    """Return the other slot."""
    return "B" if letter == "A" else "A"


def parse_state(block: bytes) -> State | None:
    """Return what a block says, None for one that GRUB or our script takes for bad. Any bytes are taken."""
    values = environment(block[:BLOCK_BYTES])
    if values is None or values.get("v") != _VERSION or values.get("end") != "1":
        return None
    good, image_id, number = _letter(values.get("good")), values.get("id", ""), values.get("n", "")
    if good is None or not _ID.fullmatch(image_id):
        return None
    n = int(number) if _NUMBER.fullmatch(number) else 0
    return State(good, _letter(values.get("trial")), _letter(values.get("tried")), image_id, n)


def environment(block: bytes) -> dict[str, str] | None:
    """Return the variables of an environment block, None for one that `load_env` refuses.

    GRUB lib/envblk.c: the signature must be there, lines without `=` are passed over, `#` begins a comment, a
    backslash hides the next byte.
    """
    if len(block) != BLOCK_BYTES or not block.startswith(_SIGNATURE):
        return None
    values: dict[str, str] = {}
    for line in block[len(_SIGNATURE) :].split(b"\n"):
        name, equals, value = line.partition(b"=")
        if equals and not line.startswith(b"#"):
            values[name.decode("latin-1")] = value.replace(b"\\", b"").decode("latin-1")
    return values


def _letter(text: str | None) -> Letter | None:
    return next((letter for letter in LETTERS if letter == text), None)
