"""The stand-in kernel plays failures, and every recorded console, on a virtual machine: the verdict while it
speaks and the verdict on what was recorded are the same."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.progress import Progress
from bringup.boot.recorded import judge_recording
from bringup.boot.verdict import Verdict
from bringup.boot.watch_request import WatchRequest
from bringup.transcript.stages import StageReader
from bringup.transcript.told import activity, as_event
from tests.places import CHECKOUT
from tests.transcripts.image_part import image_part
from tests.transcripts.plays import PLAYS
from tests.transcripts.test_explain import RECORDED, recorded

pytestmark = pytest.mark.slow

DEADLINE_S = 60.0
LIMITS = dict.fromkeys(Stage, 15.0)
ALONE = WatchRequest(Firmware.BIOS, by_itself=True, netboot=False, recorded=True, limits=LIMITS)
RELEASE = replace(ALONE, prints=False, by_itself=False)
COM1 = "COM1"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("gcc", "qemu-system-x86_64"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    out = tmp_path_factory.mktemp("standin") / "standin-kernel"
    source = CHECKOUT / "probes" / "standin"
    subprocess.run(["make", "-C", str(source), f"OUT={out}"], capture_output=True, timeout=60, check=True)
    return out


@dataclass
class Board:
    """A machine whose COM2 is the console and whose COM1 is recorded beside it, as a run does."""

    folder: Path
    request: WatchRequest

    def __post_init__(self) -> None:
        self._progress = Progress(self.request, origin_s=time.monotonic())
        self._ports = [(COM1, StageReader()), (None, self._progress.reader())]
        self._files = [(self.folder / name).open("rb") for name in ("com1", "com2")]

    def watch(self, process: subprocess.Popen[bytes]) -> Verdict:
        """Feed what comes until there is a verdict."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            now_s = time.monotonic()
            for file, (port, reader) in zip(self._files, self._ports, strict=True):
                data = file.read()
                for sighting in reader.feed(data, now_s):
                    self._progress.feed(as_event(sighting, port=port))
                if data:
                    self._progress.feed(activity(reader, now_s, port=port))
            verdict = self._progress.decide(now_s)
            if verdict is not None:
                return verdict
            assert process.poll() is None, "the machine ended"
            time.sleep(0.05)
        raise AssertionError("no verdict in time")


def play(kernel: Path, module: Path, append: str, folder: Path, request: WatchRequest) -> Verdict:
    for name in ("com1", "com2"):
        (folder / name).write_bytes(b"")
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "qemu-system-x86_64",
        "-accel",
        "tcg",
        "-M",
        "q35",
        "-m",
        "256",
    ]
    command += ["-display", "none", "-nodefaults", "-kernel", str(kernel), "-initrd", str(module)]
    command += ["-serial", f"file:{folder}/com1", "-serial", f"file:{folder}/com2"]
    command += ["-append", f"console_port=0x2f8 debug_port=0x2f8 {append}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return Board(folder, request).watch(process)
    finally:
        process.kill()
        process.wait(timeout=10)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "module"
    path.write_bytes(b"a module of nobody")
    return path


@pytest.mark.parametrize("append", PLAYS)
def test_play_has_one_verdict_live_and_recorded(
    kernel: Path, module: Path, append: str, tmp_path: Path
) -> None:
    expected = PLAYS[append]
    live = play(kernel, module, append, tmp_path, ALONE)
    assert (live.kind, live.code) == (expected.kind, expected.code)
    assert expected.words in live.cause
    said = judge_recording([(tmp_path / "com2").read_bytes()], ALONE).verdict
    assert (said.kind, said.code, said.cause, said.seen) == (live.kind, live.code, live.cause, live.seen)


def test_an_image_that_falls_silent_is_done(kernel: Path, module: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    verdict = play(kernel, module, "", tmp_path, ALONE)
    assert (verdict.kind, verdict.stage) == ("ok", Stage.USER_SPACE)
    assert time.monotonic() - began > 5.0


def test_release_text_on_the_console_proves_user_space(kernel: Path, module: Path, tmp_path: Path) -> None:
    verdict = play(kernel, module, "play=release:0x2f8", tmp_path, RELEASE)
    assert (verdict.kind, verdict.stage) == ("ok", Stage.USER_SPACE)
    assert "characters after the hand-over" in verdict.cause


def test_release_text_on_the_other_port_is_the_cause(kernel: Path, module: Path, tmp_path: Path) -> None:
    verdict = play(kernel, module, "play=release:0x3f8", tmp_path, RELEASE)
    assert (verdict.kind, verdict.code) == ("profile", "other-port")
    assert verdict.cause == "the image talks to COM1, which this console does not show"


def test_kernel_that_needs_what_the_engine_lacks_is_heard_on_com1(
    kernel: Path, module: Path, tmp_path: Path
) -> None:
    verdict = play(kernel, module, "play=needs:pcid", tmp_path, ALONE)
    assert (verdict.kind, verdict.code) == ("image", "cpu-pcid")
    assert verdict.seen == 'COM1 line 1: "PCIDs not supported by the processor"'


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_console_has_the_same_verdict_when_it_is_played(
    kernel: Path, name: str, tmp_path: Path
) -> None:
    kind, code, _, words = RECORDED[name]
    module = tmp_path / "module"
    module.write_bytes(image_part(recorded(name)))
    verdict = play(kernel, module, "play=module", tmp_path, ALONE)
    assert (verdict.kind, verdict.code) == (kind, code)
    assert words in verdict.cause
