"""The twin's variant with an 82576 in SLOT7, where QEMU has that device.

Registers, MSI-X and SR-IOV of the 82576 are nearly those of the I350 that the board has there.
"""

from __future__ import annotations

import shutil

import pytest

from bringup.twin.devices import devices
from bringup.twin.machine import IGB
from tests.twin.helpers import Cli
from tests.twin.test_probe_pci import functions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("qemu-system-x86_64") is None or IGB not in devices(), reason="this QEMU has no igb"
    ),
]
_PORTS = ("0000:17:00.1", "0000:17:00.2")


def test_its_interrupt_is_fired_and_found(cli: Cli) -> None:
    assert cli("twin", "up", "--variant", IGB).code == 0
    outcome = cli("probe-pci", "e300", "--firmware-probe", "--json")
    assert outcome.code == 0, outcome.err
    found = functions(outcome.json)
    for bdf in _PORTS:
        assert (found[bdf]["vendor"], found[bdf]["device"], found[bdf]["class"]) == ("8086", "10c9", "020000")
        best = found[bdf]["pins"][0]
        assert (best["grade"], best["this_unit"], best["ioapic"], best["pin"]) == ("measured", True, 0, 22)
        told = {each["kind"]: each for each in found[bdf]["capabilities"] if "kind" in each}
        assert (told["msi-x"]["vectors"], told["msi-x"]["table_bar"], told["pcie"]["flr"]) == (10, 3, True)
        assert (told["sr-iov"]["total_vfs"], told["sr-iov"]["enabled"]) == (8, False)
