"""Recorded consoles through the real reader: whole, byte by byte, and in random pieces."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.progress import Progress
from bringup.boot.verdict import Verdict
from bringup.boot.watch_request import WatchRequest
from bringup.transcript.stages import Sighting, StageReader
from bringup.transcript.told import as_event

TRANSCRIPTS = Path(__file__).parents[2] / ".." / "shared" / "data" / "transcripts"
Cut = Callable[[bytes], Iterator[bytes]]


def _whole(data: bytes) -> Iterator[bytes]:
    yield data


def _bytewise(data: bytes) -> Iterator[bytes]:
    return (data[position : position + 1] for position in range(len(data)))


def _pieces(data: bytes) -> Iterator[bytes]:
    rng = random.Random(7)
    position = 0
    while position < len(data):
        size = rng.choice((1, 2, 5, 16, 200, 3000))
        yield data[position : position + size]
        position += size


every_cut = pytest.mark.parametrize("cut", [_whole, _bytewise, _pieces])


def recorded(name: str) -> bytes:
    path = TRANSCRIPTS / f"{name}.log"
    if not path.is_file():
        pytest.skip(f"no recorded transcript {name}.log beside this checkout")
    return path.read_bytes()


def read(name: str, cut: Cut) -> list[Sighting]:
    reader = StageReader()
    sightings = [sighting for piece in cut(recorded(name)) for sighting in reader.feed(piece, 10.0)]
    return sightings + reader.feed(b"", 11.0)


def judge(sightings: list[Sighting], until: Stage, vms: int | None = None) -> Verdict:
    progress = Progress(WatchRequest(Firmware.BIOS, until=until, vms=vms, netboot=False))
    for sighting in sightings:
        progress.feed(as_event(sighting))
    verdict = progress.decide(20.0)
    assert verdict is not None
    return verdict


def last(sightings: list[Sighting]) -> tuple[Stage, int | None]:
    stages = [(s.stage, s.vm) for s in sightings if s.stage is not None]
    return max(stages, key=lambda pair: pair[0].order)


@every_cut
def test_sel4test_reaches_user_space_without_failure(cut: Cut) -> None:
    sightings = read("sel4test-x86_64-qemu", cut)
    assert last(sightings) == (Stage.USER_SPACE, None)
    assert [s for s in sightings if s.failure] == []
    user_space = next(s for s in sightings if s.stage is Stage.USER_SPACE)
    assert user_space.line_no == 47
    assert judge(sightings, Stage.USER_SPACE).kind == "ok"


@every_cut
def test_camkes_vm_reaches_the_login_of_one_vm(cut: Cut) -> None:
    sightings = read("camkes-vm-minimal-login", cut)
    assert last(sightings) == (Stage.LOGIN, 0)
    assert {s.vm for s in sightings if s.vm is not None} == {0}
    assert sum(s.stage is Stage.LOGIN for s in sightings) == 1
    assert [s for s in sightings if s.failure] == []
    verdict = judge(sightings, Stage.LOGIN, vms=1)
    assert (verdict.kind, verdict.stage) == ("ok", Stage.LOGIN)


@every_cut
def test_machine_without_vtx_is_named(cut: Cut) -> None:
    sightings = read("camkes-vm-minimal-no-vtx", cut)
    assert last(sightings) == (Stage.KERNEL, None)
    assert [s.failure.code for s in sightings if s.failure] == ["vtx", "kernel-stopped", "halted"]
    verdict = judge(sightings, Stage.USER_SPACE)
    assert (verdict.kind, verdict.exit_code, verdict.code) == ("image", 11, "vtx")
    assert (verdict.stage, verdict.missing) == (Stage.KERNEL, Stage.USER_SPACE)
    assert verdict.seen == 'console line 46: "vt-x: not supported"'


@every_cut
def test_timer_that_uefi_hides_is_named(cut: Cut) -> None:
    sightings = read("sel4test-uefi-timer-fails", cut)
    stages = list(dict.fromkeys(s.stage for s in sightings if s.stage))
    assert stages == [Stage.FIRMWARE, Stage.LOADER, Stage.KERNEL, Stage.USER_SPACE]
    codes = sorted(s.failure.code for s in sightings if s.failure)
    assert codes == ["check-failed", "halted", "halted", "no-timer", "root-abort"]
    verdict = judge(sightings, Stage.USER_SPACE)
    assert (verdict.kind, verdict.code, verdict.stage) == ("image", "no-timer", Stage.USER_SPACE)


@pytest.mark.parametrize("name", ["sel4test-x86_64-qemu", "camkes-vm-minimal-login"])
def test_cutting_changes_nothing(name: str) -> None:
    assert sorted(map(repr, read(name, _bytewise))) == sorted(map(repr, read(name, _whole)))
    assert sorted(map(repr, read(name, _pieces))) == sorted(map(repr, read(name, _whole)))
