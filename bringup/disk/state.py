"""The two state files: which slot is good, which is on trial. GRUB reads and writes them, and so do we.

A file is one environment block of GRUB's: 1024 bytes, a first line, `name=value` lines, filled up with `#`
(GRUB manual, "Environment block"). `v` comes first and `end` last, so that a block that was cut off counts as
bad, and everything lies in the first 512 bytes, so that a cut between two sectors changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
_COMMENT = ord("#")
_LINE = re.compile(rb"((?:\\.|[^\n\\])*+)\n", re.DOTALL)
_HIDDEN = re.compile(rb"\\(.)", re.DOTALL)
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
    variables = environment(block[:BLOCK_BYTES])
    values = dict(variables or ())
    if values.get("v") != _VERSION or values.get("end") != "1":
        return None
    good, image_id, number = _letter(values.get("good")), values.get("id", ""), values.get("n", "")
    if good is None:
        return None
    # Nothing hangs on these two.
    image_id = image_id if _ID.fullmatch(image_id) else ""
    n = int(number) if _NUMBER.fullmatch(number) else 0
    return State(good, _letter(values.get("trial")), _letter(values.get("tried")), image_id, n)


def environment(block: bytes) -> list[tuple[str, str]] | None:
    """Return the variables of an environment block in their order, None for one that `load_env` refuses.

    As GRUB reads it (lib/envblk.c): `#` at a line's begin passes over the line; any other name goes to the
    next `=`, over ends of lines, too; a value goes to the end of its line, without one it is none. A
    backslash hides the byte that follows. Texts end at a NUL.
    """
    if len(block) != BLOCK_BYTES or not block.startswith(_SIGNATURE):
        return None
    values: list[tuple[str, str]] = []
    at = len(_SIGNATURE)
    while at < len(block):
        equals = block.find(b"=", at)
        comment = block[at] == _COMMENT
        if not comment and equals < 0:
            break
        value = _LINE.match(block, at if comment else equals + 1)
        if value is None:
            break
        if not comment:
            values.append((_text(block[at:equals]), _text(_HIDDEN.sub(rb"\1", value[1]))))
        at = value.end()
    return values


def saved(block: bytes, values: Iterable[tuple[str, str]]) -> bytes | None:
    """Return an environment block with these variables set, None where `save_env` refuses and writes nothing.

    As GRUB does it (lib/envblk.c): the value of the first line that begins with the name, else a new line,
    and the `#` at the end become fewer or more. They have to begin a line and to be enough.
    """
    if environment(block) is None:
        return None
    for name, value in values:
        data = re.sub(rb"[\\\n]", rb"\\\g<0>", value.encode("latin-1"))
        changed = _set(block.rstrip(b"#"), name.encode("ascii") + b"=", data)
        if changed is None:
            return None
        block = changed.ljust(BLOCK_BYTES, b"#")
    return block


def _set(lines: bytes, start: bytes, value: bytes) -> bytes | None:
    """Return the lines of a block with one changed or added, None where they are broken or too many."""
    if not lines.endswith(b"\n"):
        return None
    at = _line_of(lines, start)
    old = None if at is None else _LINE.match(lines, at)
    if at is not None and old is None:
        return None
    first, last = (at + len(start), old.end()) if old and at is not None else (len(lines), len(lines))
    new = value if old else start + value
    changed = lines[:first] + new + b"\n" + lines[last:]
    return changed if len(changed) <= BLOCK_BYTES else None


def _line_of(lines: bytes, start: bytes) -> int | None:
    """Return where the first line with this start begins."""
    at = len(_SIGNATURE)
    while at + len(start) < len(lines):
        if lines.startswith(start, at):
            return at
        line = _LINE.match(lines, at)
        if line is None:
            return None
        at = line.end()
    return None


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("latin-1")


def _letter(text: str | None) -> Letter | None:
    return next((letter for letter in LETTERS if letter == text), None)
