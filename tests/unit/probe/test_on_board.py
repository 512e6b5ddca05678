"""What a ramdisk is told on the kernel's command line."""

from __future__ import annotations

import pytest

from bringup.jobs.reimage import ramdisk as maintenance
from bringup.netboot.spec import Segment
from bringup.probe import on_board

MAC = "52:54:00:0e:30:10"
SEGMENT = Segment("eth1", "own-segment", "10.0.0.1/24", "10.0.0.2", (MAC,))


@pytest.mark.parametrize("twin", [True, False])
def test_only_a_virtual_timer_is_not_tested(twin: bool) -> None:
    """A real board whose timer does not work has to say so."""
    probe = on_board.probe_words(SEGMENT, "/upload/1", twin=twin).split()
    writes = maintenance.maintenance_words(SEGMENT, "http://10.0.0.1:8000/1", twin=twin).split()
    for words in (probe, writes):
        assert ("no_timer_check" in words) == twin
        assert f"bringup.macs={MAC}" in words
