"""What a boot is expected to do: what counts as success and as failure, and how long it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.errand import Errand
from bringup.profile.advice import BoardWords
from bringup.transcript.stages import StageReader
from bringup.transcript.texts import WantedTexts
from bringup.transcript.vms import VmNames

QUIET_S = 5.0
"""How long an image that has no VMs and no known end must say nothing to count as done."""


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a boot is expected to do.

    `until` is the stage that counts as success. `by_itself`: nobody said one, and what counts is what the
    image is good for, as far as its text tells: a test suite passes, every VM logs in, anything else reaches
    user space and says nothing for `quiet_s`; an image whose kernel does not print and whose VMs have no text
    is good when a guest asks by DHCP. `is_suite`: the image is known to be a test suite before it says so,
    `last_test` the number of its last test, where that is known.
    Where `until_texts` are given, all of them must be seen (too, unless
    `by_itself`); one of the `fail_texts` means failure. `for_s` watches on after success. `strict`: a VM's
    login with a dead network controller is a failure. `texts_s` are the seconds of silence while a text or a
    suite's end is awaited. `recorded`: there is text only, of a console that somebody recorded.
    `modules` counts the files besides the kernel, `vms` the VMs whose login is awaited (None: unknown, one is
    enough). `prints`: the kernel prints (False for RELEASE images). `reports`: the image is the firmware
    probe, which has no user space and reports over the console. `limits` are the seconds a stage may take
    after the one before it; a stage without one may take for ever. `neighbours` are the MACs of the
    lab's other boards, and whose. `macs` are the board's, the one it boots
    from first. `words` are what causes say of this board's settings and console, `vm_names`
    the VMs as the build names them, `errand` what a job wants beyond the boot.
    """

    firmware: Firmware
    until: Stage = Stage.USER_SPACE
    by_itself: bool = False
    until_texts: tuple[str, ...] = ()
    fail_texts: tuple[str, ...] = ()
    quiet_s: float = QUIET_S
    is_suite: bool = False
    last_test: int | None = None
    for_s: float = 0.0
    strict: bool = False
    texts_s: float = 120.0
    kind: Literal["multiboot", "linux"] = "multiboot"
    modules: int = 1
    vms: int | None = None
    prints: bool = True
    reports: bool = False
    netboot: bool = True
    recorded: bool = False
    macs: tuple[str, ...] = ()
    neighbours: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[Stage, float] = field(default_factory=dict)
    words: BoardWords = field(default_factory=BoardWords)
    vm_names: VmNames | None = None
    errand: Errand | None = None

    @property
    def aim(self) -> str:
        """What is waited for, for people."""
        texts = " and ".join(f'"{text}"' for text in self.until_texts)
        if not self.by_itself:
            return f"{self.until} and {texts}" if texts else str(self.until)
        if texts:
            return f"it says {texts}"
        if self.is_suite:
            return "its tests have passed"
        if self.vms:
            return (
                f"{self.until} of its VM" if self.vms == 1 else f"{self.until} of each of its {self.vms} VMs"
            )
        return f"{self.until} and {self.quiet_s:.0f} s of silence" if self.quiet_s else str(self.until)

    def reader(self) -> StageReader:
        """Return what reads this boot's console; raises UsageError for texts that are no expressions."""
        wanted = WantedTexts.of(self.until_texts, self.fail_texts)
        return StageReader(self.vm_names, wanted, self.last_test)
