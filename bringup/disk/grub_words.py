"""What GRUB on a disk prints: the words of its script (pxe/disk.cfg) and of a slot's lines (pure)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from bringup.disk.grub_choice import Choice
from bringup.disk.state import State

KEYS = "yab"
"""What the hidden menu takes: keep what was tried, slot A, slot B."""
_KEY_S, _KEEP_KEY_S = 2.0, 4.0
_SAID = re.compile(r'^echo "(bringup: loading [^"]*)"$', re.M)
_KERNEL = re.compile(r"^if (?:multiboot2?|linux) \S+ ?(.*); then$", re.M)
_MODULE = re.compile(r"^if (?:module2?|initrd) .*; then$", re.M)


@dataclass(frozen=True, slots=True)
class SlotLines:
    """What a slot's lines do: what they print, the words for the kernel, and how many modules it gets."""

    said: tuple[str, ...]
    arguments: str
    modules: int


def read_slot_lines(text: str) -> SlotLines:
    """Return what `loading.load_lines` gave; anything else does nothing."""
    kernel = _KERNEL.search(text)
    words = shlex.split(kernel[1]) if kernel else []
    return SlotLines(tuple(_SAID.findall(text)), " ".join(words), len(_MODULE.findall(text)))


def menu_lines(state: State | None) -> Iterator[str]:
    """Yield what is printed before a key is waited for."""
    yield "bringup: GRUB started from disk"
    if state is None:
        yield "bringup: no state, the first slot that is whole is started"
    elif state.tried:
        yield f"bringup: slot {state.tried} ({state.image_id}) was tried, press y to keep it"


def key_s(state: State | None) -> float:
    """Return the seconds that a key is waited for."""
    return _KEEP_KEY_S if state is not None and state.tried else _KEY_S


def start_lines(choice: Choice) -> Iterator[str]:
    """Yield what is printed until a slot is found whole, or none."""
    if choice.trial is not None:
        yield f"bringup: slot {choice.trial[0]} is started, good is {choice.trial[1]}"
    for letter in choice.damaged:
        yield f"bringup: slot {letter} damaged"
    if choice.slot is None:
        yield "bringup: no slot starts, reset the board to try again"
    else:
        yield f"bringup: slot {choice.slot} is whole"
