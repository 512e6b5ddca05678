"""Spanning tree: what a bridge says, read; heard from the kernel's own bridge."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.netboot.spanning_tree import SpanningTree, read_bpdu
from tests.twin.netboot_lab import need

# As a Linux bridge sends it, after addresses and length.
BPDU = bytes.fromhex(
    "424203 0000 00 00 00 8000 525400000001 00000000 8000 525400000001 8001 0000 1400 0200 0f00"
)


def test_a_bridge_tells_its_version_and_delay() -> None:
    assert read_bpdu(BPDU) == SpanningTree("STP", 15.0)
    rapid = bytearray(BPDU)
    rapid[5], rapid[6] = 2, 2
    assert read_bpdu(bytes(rapid) + bytes(9)) == SpanningTree("RSTP", 15.0)


@pytest.mark.parametrize("data", [b"", BPDU[:-1], b"\x42\x42\x04" + BPDU[3:], BPDU[:6] + b"\x80" + BPDU[7:]])
def test_what_is_none(data: bytes) -> None:
    assert read_bpdu(data) is None


@given(st.binary(max_size=80))
def test_any_frame_is_read(data: bytes) -> None:
    for tree in (read_bpdu(data), read_bpdu(BPDU[:3] + data)):
        assert tree is None or (tree.version and 0 <= tree.forward_delay_s < 256)


@pytest.mark.slow
def test_the_kernels_bridge_is_heard() -> None:
    need("unshare", "ip")
    script = """
        ip link add sw type bridge stp_state 1 forward_delay 1500
        ip link add port0 type veth peer name lan0
        ip link set port0 master sw up; ip link set lan0 up; ip link set sw up
        exec "$0" -c 'from bringup.netboot.spanning_tree import heard_tree; print(heard_tree("lan0"))'
    """
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", script, sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == repr(SpanningTree("STP", 15.0))
