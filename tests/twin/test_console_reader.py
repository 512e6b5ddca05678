"""The console reader on what real firmware and a real (stand-in) kernel send down a real UART model."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bringup.base.errors import ImageError
from bringup.base.stage import Stage
from bringup.image.standin import standin_kernel, standin_module
from bringup.transcript.stages import Sighting, StageReader

pytestmark = pytest.mark.slow

LIMIT_S = 240.0


def watch(arguments: Sequence[str], enough: Callable[[list[Sighting]], bool]) -> list[Sighting]:
    """Run QEMU until the console has shown enough; returns what it proved."""
    command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-M", "q35", "-m", "256"]
    command += ["-display", "none", "-monitor", "none", "-nic", "none", "-serial", "stdio", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    reader, sightings = StageReader(), list[Sighting]()
    deadline = time.monotonic() + LIMIT_S
    try:
        while not enough(sightings):
            assert time.monotonic() < deadline, [(str(s.stage), s.line_text) for s in sightings]
            ready, _, _ = select.select([process.stdout], [], [], 0.1)
            data = os.read(process.stdout.fileno(), 4096) if ready else b""
            assert data or not ready, "QEMU ended by itself"
            sightings += reader.feed(data, time.monotonic())
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()
    return sightings


def test_seabios_that_finds_nothing_says_so(tmp_path: Path) -> None:
    port = tmp_path / "sercon-port"
    port.write_bytes(struct.pack("<H", 0x3F8))
    sightings = watch(
        ["-fw_cfg", f"name=etc/sercon-port,file={port}"],
        lambda seen: any(s.kind == "failure" for s in seen),
    )
    assert sightings[0].line_text.startswith("SeaBIOS (version ")
    assert {s.stage for s in sightings if s.stage} == {Stage.FIRMWARE}
    assert [s.failure.code for s in sightings if s.failure] == ["nothing-to-boot"]


def test_three_interleaved_vms_log_in_one_by_one(home: Path) -> None:
    try:
        kernel = standin_kernel()
    except ImageError as error:
        pytest.skip(f"no stand-in kernel: {error.hint}")
    sightings = watch(
        [
            "-kernel",
            str(kernel),
            "-initrd",
            str(standin_module(1 << 20)),
            "-append",
            "debug_port=0x3f8 vms=3",
        ],
        lambda seen: sum(s.stage is Stage.LOGIN for s in seen) == 3,
    )
    assert [s for s in sightings if s.failure] == []
    for stage in (Stage.VMM, Stage.GUEST, Stage.LOGIN):
        assert {s.vm for s in sightings if s.stage is stage} == {0, 1, 2}, stage
    assert list(dict.fromkeys(s.stage for s in sightings))[:3] == [Stage.KERNEL, Stage.USER_SPACE, Stage.VMM]
