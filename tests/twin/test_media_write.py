"""`media write` on a machine of its own: USB disks, and what people, programs and bad sticks do to them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bringup.base.program import search_path
from bringup.disk.layout import MIB, media_layout
from bringup.disk.media import Stick
from bringup.disk.pieces import Pieces
from bringup.jobs.media_build import write_stick
from tests.twin.stick_cases import STICKS
from tests.twin.stick_machine import Port, StickMachine

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(700)]

SIZE = 40 * MIB
# Of a sector in the files' partition, which nothing but the image's own bytes touch.
_RULE = '[inject-error]\nevent = "none"\niotype = "%s"\nerrno = "5"\nonce = "off"\nsector = "12000"\n'
FLIPPED_AT = 5 * MIB + 77


def make_image(path: Path) -> Path:
    files = Pieces.of(b"files of the stick " * 500_000)
    stick = Stick(media_layout(15 * MIB, 12 * MIB), b"code".ljust(440), b"core" * 1000, files)
    with path.open("wb") as file:
        write_stick(stick, file)
    return path


def make_port(folder: Path, name: str) -> Port:
    path = folder / name
    with path.open("wb") as file:
        file.truncate(SIZE)
    maker = {"mounted": "mkfs.vfat", "elsewhere": "mkfs.vfat", "swap": "mkswap"}.get(name)
    if maker is not None:
        subprocess.run([maker, path], check=True, capture_output=True, env={"PATH": search_path()})
    faults = None
    if name.startswith("bad-"):
        faults = folder / f"{name}.rule"
        faults.write_text(_RULE % name.removeprefix("bad-"))
    options = {"fixed": "removable=off", "sata": "bus=ide.0"}.get(name, "removable=on")
    driver = "ide-hd" if name == "sata" else "usb-storage"
    return Port(path, driver, options, ",read-only=on" if name == "protected" else "", faults)


def test_what_may_happen_to_a_stick_while_it_is_written(tmp_path: Path) -> None:
    image = make_image(tmp_path / "rescue.img")
    ports = [make_port(tmp_path, name) for name in STICKS]
    spare = make_port(tmp_path, "spare").file

    def flip(name: str) -> None:
        with (tmp_path / name).open("r+b") as file:
            file.seek(FLIPPED_AT)
            byte = file.read(1)[0]
            file.seek(FLIPPED_AT)
            file.write(bytes([byte ^ 4]))

    said = StickMachine(tmp_path, ports, spare, {"flip": flip}).run(str(image))
    assert said["good"] == said["fixed"] == said["held-no-more"] == "done"
    assert said["good-before"] == ["(QEMU HARDDISK, 40 MiB, serial good, usb)", "empty"]
    assert said["good-parts"] == ["1", "2"]
    assert (tmp_path / "good").read_bytes()[MIB : 14 * MIB] == image.read_bytes()[MIB : 14 * MIB]
    sentences = {
        "good-part": "is a partition, and a stick is written as a whole",
        "sata": "it is neither removable nor on USB",
        "protected": "it is write-protected",
        "mounted": "it is mounted at /mnt/m",
        "elsewhere": "cannot be opened: it is in use",
        "held": "cannot be opened: it is in use",
        "swap": r"the running system is on it \(swap\)",
        "bad-write": r"writing /dev/sd\w+ at \d+ MiB failed: input/output error",
        "bad-read": r"reading /dev/sd\w+ at 5 MiB failed: input/output error",
        "flipped": "does not hold what was written to it at 5 MiB",
        "changed": "is another device now",
        "pulled-writing": r"went away while writing at \d+ MiB: it was pulled out",
        "pulled-reading": r"went away while reading at \d+ MiB: it was pulled out",
    }
    for name, sentence in sentences.items():
        assert re.search(sentence, str(said[name])), said
    # The one that took the other's name was not written, nor was what was in use.
    assert said["changed-same-node"]
    for name in ("spare", "sata", "protected"):
        assert not any((tmp_path / name).read_bytes())
