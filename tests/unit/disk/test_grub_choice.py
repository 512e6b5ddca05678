"""The model of GRUB's choice, held against GRUB: its emulator runs the whole script, on a disk in a file.

It has no multiboot, so a slot's lines end it instead: which slot was started, and what was written, is seen.
"""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bringup.base.assets import asset
from bringup.disk.commit import Loader, state_volume
from bringup.disk.fat.make import FatFile, FatShape, make_fat
from bringup.disk.grub_choice import Choice, Machine, grub_begins, grub_choice
from bringup.disk.grub_words import KEYS, menu_lines, start_lines
from bringup.disk.layout import ESP, LETTERS, MIB, STATE, Letter, primary_table, protective_mbr
from bringup.disk.pieces import Pieces
from bringup.disk.slots import state_places
from bringup.disk.state import BLOCK_BYTES, State
from tests.unit.disk.disks import SMALL

EMULATOR = shutil.which("grub-emu")
pytestmark = pytest.mark.skipif(EMULATOR is None, reason="grub-emu is not installed (not in every release)")

SIGNATURE = b"# GRUB Environment Block\n"
CODE, CORE = b"\xeb\x63\x90".ljust(440, b"."), b"core".ljust(512, b".")
LOADER = Loader(CODE, CORE, b"")
MENU = 'menuentry "start"'
WORDS = ["", "A", "B", "AB", "a", "C", "!", "(", "-a", "A B", "$good", "x\\\\y", "\\\n", "=", "!=", "#", "1"]


def slot(letter: Letter, *, whole: bool) -> Pieces:
    """Return a slot whose lines end the emulator; a damaged one has another hash."""
    lines = f"set id=0123456{letter.lower()}\nreboot\n".encode()
    digest = hashlib.sha256(lines if whole else b"").hexdigest()
    files = (("slot.cfg", lines), ("sha256.sum", f"{digest}  slot.cfg\n".encode()))
    shape = FatShape(SMALL.slot(letter).size, 512, 512, label="SLOT")
    return make_fat([FatFile(name, Pieces.of(data)) for name, data in files], shape).used


class Disk:
    """A disk in a file; only the slots in `whole` are. The key `s` is for what starts without any key."""

    def __init__(self, folder: Path, whole: str) -> None:
        self.path, self.devices = folder / f"disk-{whole}", folder / f"devices-{whole}"
        self.devices.write_text(f"(hd0) {self.path}\n")
        script = asset("pxe/disk.cfg").read_text(encoding="ascii")
        assert MENU in script
        script = script.replace(MENU, f"{MENU} --hotkey=s")
        files = [FatFile("EFI/BOOT/GRUB.CFG", Pieces.of(script.encode()))]
        esp = make_fat(files, FatShape(SMALL.part(ESP).size, 512, 512))
        with self.path.open("wb") as file:
            file.truncate(SMALL.disk_bytes)
        self.write(0, Pieces.of(protective_mbr(SMALL, CODE), primary_table(SMALL)))
        self.write(MIB, Pieces.of(CORE))
        self.write(SMALL.part(STATE).start, state_volume(SMALL, State("A")).used)
        self.write(SMALL.part(ESP).start, esp.used)
        for letter in LETTERS:
            self.write(SMALL.slot(letter).start, slot(letter, whole=letter in whole))
        self.places = state_places(self.read, SMALL)

    def write(self, at: int, content: Pieces) -> None:
        with self.path.open("r+b") as file:
            file.seek(at)
            file.writelines(content.blocks())

    def read(self, at: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(at)
            return file.read(length)

    def states(self) -> list[bytes]:
        return [self.read(at, BLOCK_BYTES) for at in self.places]

    def start(self, key: str) -> list[str]:
        """Run GRUB and return what it said."""
        assert EMULATOR is not None
        done = subprocess.run(
            [EMULATOR, "-m", self.devices, "-r", "hd0,gpt3", "-d", "/EFI/BOOT"],
            env={"TERM": "dumb"},
            input=(key or "s").encode(),
            capture_output=True,
            check=True,
            timeout=60,
        )
        text = re.sub(rb"\x1b\[[\d;]*[A-Za-z]", b"\n", done.stdout).decode("latin-1")
        return [line for line in re.split(r"[\r\n]+", text) if line.startswith("bringup:")]


class Bench:
    """Runs GRUB and the model on the same disks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._disks: dict[str, Disk] = {}

    def compare(self, states: tuple[bytes, bytes], whole: str, key: str) -> Choice:
        """Run both; what is started, said and written is the same."""
        if whole not in self._disks:
            self._disks[whole] = Disk(self._folder, whole)
        disk = self._disks[whole]
        for at, data in zip(disk.places, states, strict=True):
            disk.write(at, Pieces.of(data))
        choice = grub_choice(disk.read, SMALL.disk_bytes, Machine(LOADER, key=key))
        begun = grub_begins(disk.read, SMALL.disk_bytes, Machine(LOADER))
        assert begun is not None
        expected = [*menu_lines(begun.state), *start_lines(choice)]
        written = dict(zip(disk.places, states, strict=True)) | dict(choice.writes)
        said = disk.start(key)
        about = (states, whole, key, said)
        # A word that is no id is printed by GRUB as it is, and told by nobody here.
        assert without_id(said) == without_id(expected), about
        assert disk.states() == list(written.values()), about
        return choice


def without_id(lines: list[str]) -> list[str]:
    return [line for line in lines if " was tried, " not in line]


def block(rng: random.Random) -> bytes:
    """Return a state file: whole, or with odd words, lines lost, doubled or in disorder, or flipped bits."""
    slots = (None, *LETTERS)
    state = State(rng.choice(LETTERS), rng.choice(slots), rng.choice(slots), rng.choice(("", "0123abcd")))
    whole, kind = state.block(), rng.randrange(6)
    if kind == 0:
        return whole
    if kind == 1:
        return b"\xff" * BLOCK_BYTES
    lines = whole.rstrip(b"#").splitlines()[1:]
    if kind in (2, 3):
        for name in rng.sample(["v", "good", "trial", "tried", "end"], rng.randint(1, 2)):
            at = next(n for n, line in enumerate(lines) if line.startswith(name.encode()))
            lines[at] = f"{name}={rng.choice(WORDS)}".encode()
    elif kind == 4:
        lines = rng.sample(lines, rng.randint(5, len(lines))) + rng.choices(lines, k=rng.randint(0, 2))
    found = bytearray((SIGNATURE + b"\n".join(lines) + b"\n").ljust(BLOCK_BYTES, b"#"))
    if kind == 5:
        for _ in range(rng.randint(1, 3)):
            found[rng.randrange(len(SIGNATURE), 120)] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            found[rng.randrange(200, BLOCK_BYTES)] ^= 1
    return bytes(found)


def cases(count: int, seed: int) -> Iterator[tuple[tuple[bytes, bytes], str, str]]:
    """Yield the state files, the slots that are whole, and the key."""
    rng = random.Random(seed)
    for _ in range(count):
        first, second = block(rng), block(rng)
        # Most often both say the same, as after a change that was not cut.
        states = (first, first if rng.random() < 0.4 else second)
        yield states, rng.choice(("AB", "AB", "A", "B")), rng.choice(("", "", *KEYS))


def test_grub_starts_and_writes_what_the_model_says(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    seen = [bench.compare(*case) for case in cases(100, seed=13)]
    assert {choice.slot for choice in seen} == {"A", "B"}
    assert {0, 1, 2, 4} <= {len(choice.writes) for choice in seen}


@pytest.mark.parametrize("word", ["C", "AB", "a", "!", "1", "=", "!=", "-n"])
def test_a_trial_of_a_slot_that_there_is_not_is_none(tmp_path: Path, word: str) -> None:
    bench = Bench(tmp_path)
    for name, state, key in (("trial", State("B", "A"), ""), ("tried", State("B", None, "A"), "y")):
        old, new = (f"{name}={value}".encode() for value in ("A", word))
        lines = state.block().rstrip(b"#").replace(old, new)
        choice = bench.compare((lines.ljust(BLOCK_BYTES, b"#"),) * 2, "AB", key)
        assert (choice.slot, choice.writes) == ("B", ())


@pytest.mark.slow
@pytest.mark.long
def test_grub_starts_and_writes_what_the_model_says_of_many_states(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for case in cases(3000, seed=14):
        bench.compare(*case)
