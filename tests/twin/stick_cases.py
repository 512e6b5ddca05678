"""What is tried on the machine with the sticks: `python -m tests.twin.stick_cases IMAGE`, there, as root.

What came of each is printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bringup.base.errors import BringupError
from bringup.disk.removable import BlockDevice
from bringup.jobs.block_devices import block_devices
from bringup.jobs.media_write import PlannedMedia, Progress, plan_media

WAIT_S = 400.0
STICKS = (
    *("good", "fixed", "sata", "protected", "mounted", "elsewhere", "swap", "held"),
    *("bad-write", "bad-read", "pulled-writing", "pulled-reading", "flipped", "changed"),
)


def say(name: str, body: object) -> None:
    _line("SAID", name, json.dumps(body))


def _line(*words: str) -> None:
    sys.stdout.write(f"{' '.join(words)}\n")
    sys.stdout.flush()


def ask(*words: str) -> None:
    """Let a hand outside do something, and wait until it has."""
    _line("ASK", *words)
    while sys.stdin.readline().strip() != "done":
        continue


def wait_until(is_so: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.2)


def disk(serial: str) -> BlockDevice | None:
    return next((each for each in block_devices() if each.serial == serial), None)


def stick(serial: str) -> BlockDevice:
    found = disk(serial)
    assert found is not None, serial
    return found


def told(action: Callable[[], object]) -> str:
    """Return "done", or the sentence of why not."""
    try:
        action()
    except BringupError as error:
        return error.message
    return "done"


def run(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Cases:
    """One method for each stick; its name is the stick's."""

    def __init__(self, image: Path) -> None:
        self._image = image

    def plan(self, node: str) -> PlannedMedia:
        return plan_media(self._image, node)

    def write(self, serial: str, report: Callable[[Progress], None] = lambda _at: None) -> str:
        return told(lambda: self.plan(stick(serial).node).run(report))

    def good(self) -> None:
        link = Path("/mnt/usb-QEMU_good")
        link.symlink_to(stick("good").node)
        before = self.plan(str(link))
        say("good", told(before.run))
        say("good-before", [str(before.device).partition(" ")[2], str(before.contents)])
        after = stick("good")
        say("good-parts", [part.removeprefix(after.node) for part in after.partitions])
        say("good-part", told(lambda: self.plan(after.partitions[0])))

    def mounted(self) -> None:
        run("mount", "-t", "vfat", stick("mounted").node, self._folder("m"))
        say("mounted", self.write("mounted"))

    def elsewhere(self) -> None:
        node, ready = stick("elsewhere").node, Path("/mnt/ready")
        script = f"mount -t vfat {node} {self._folder('e')} && touch {ready} && sleep 600"
        other = subprocess.Popen(["unshare", "-m", "sh", "-c", script])
        wait_until(ready.exists)
        say("elsewhere", self.write("elsewhere"))
        other.kill()

    def swap(self) -> None:
        run("swapon", stick("swap").node)
        say("swap", self.write("swap"))

    def held(self) -> None:
        descriptor = os.open(stick("held").node, os.O_RDONLY | os.O_EXCL)
        say("held", self.write("held"))
        os.close(descriptor)
        say("held-no-more", self.write("held"))

    def pulled(self, serial: str, stage: str) -> None:
        node = Path(stick(serial).node)
        pulled: list[Progress] = []

        def pull(at: Progress) -> None:
            if at.stage == stage and at.done > 3 << 20 and not pulled:
                pulled.append(at)
                ask("pull", serial)
                wait_until(lambda: not node.exists())

        say(serial, self.write(serial, pull))

    def flipped(self) -> None:
        def flip(at: Progress) -> None:
            if at.stage == "writing" and at.done == at.total:
                ask("flip", "flipped")

        say("flipped", self.write("flipped", flip))

    def changed(self) -> None:
        planned = self.plan(stick("changed").node)
        ask("pull", "changed")
        wait_until(lambda: disk("changed") is None)
        ask("plug")
        wait_until(lambda: disk("spare"))
        say("changed-same-node", stick("spare").node == planned.device.node)
        say("changed", told(planned.run))

    def _folder(self, name: str) -> str:
        path = Path("/mnt") / name
        path.mkdir()
        return str(path)


def main() -> None:
    cases = Cases(Path(sys.argv[1]))
    wait_until(lambda: {each.serial for each in block_devices()} >= set(STICKS) - {"sata"})
    cases.good()
    for serial in ("fixed", "protected", "bad-write", "bad-read"):
        say(serial, cases.write(serial))
    sata = next(each for each in block_devices() if each.bus != "usb" and each.model == "QEMU HARDDISK")
    say("sata", told(lambda: cases.plan(sata.node)))
    for case in (cases.mounted, cases.elsewhere, cases.swap, cases.held, cases.flipped, cases.changed):
        case()
    cases.pulled("pulled-writing", "writing")
    cases.pulled("pulled-reading", "reading back")


if __name__ == "__main__":
    main()
