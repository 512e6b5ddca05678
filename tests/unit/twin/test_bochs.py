"""What Bochs is told, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.twin.bochs.config import Lines, bochsrc, command, halting_disk
from bringup.twin.bochs.messages import Messages

RESET = b"00000000000i[SYS   ] bx_pc_system_c::Reset(HARDWARE) called\n"
OFF = b"00123456789i[ACPI  ] ACPI control: soft power off\n"
EXITING = b"Bochs is exiting with the following message:\n"
RULE = b"=" * 56 + b"\n"


def read(*lines: bytes) -> list[str]:
    messages = Messages()
    return [told[0] for line in lines if (told := messages.read(line)) is not None]


def test_the_first_reset_is_the_power_on() -> None:
    assert read(RESET) == []
    assert read(RESET, RESET, RESET) == ["reset", "reset"]


def test_the_guests_own_power_off_is_no_fault() -> None:
    assert read(RESET, OFF, RULE, EXITING, b"[ACPI  ] ACPI control: soft power off\n", RULE) == ["off"]


def test_any_other_end_is_a_fault_and_quoted() -> None:
    messages = Messages()
    lines = [RESET, RULE, EXITING, b"[MEM0  ] ROM: couldn't open ROM image file\n", RULE]
    told = [found for line in lines if (found := messages.read(line)) is not None]
    assert told == [("fault", "[MEM0  ] ROM: couldn't open ROM image file")]


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_any_output_is_read(lines: list[bytes]) -> None:
    assert set(read(*lines)) <= {"reset", "off", "fault"}


@pytest.mark.parametrize(("network", "order"), [(True, "boot: network, disk"), (False, "boot: disk")])
def test_a_board_always_has_something_to_boot(network: bool, order: str, tmp_path: Path) -> None:
    lines = bochsrc(
        Lines(4001, 4002, "tap7", "52:54:00:00:00:07"), tmp_path, memory_mib=512, network=network
    ).splitlines()
    assert order in lines
    assert "megs: 512" in lines
    assert "com2: enabled=1, mode=socket-client, dev=127.0.0.1:4002" in lines
    (nic,) = (line for line in lines if line.startswith("e1000:"))
    assert "mac=52:54:00:00:00:07" in nic and "/dev/net/tun:tap7" in nic
    assert command(tmp_path)[-1] == str(tmp_path / "bochs-go")
    disk = halting_disk()
    assert len(disk) == 16 * 63 * 512
    assert disk[510:512] == b"\x55\xaa"
