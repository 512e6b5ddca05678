"""What a lab's tests are given of a board's VMs."""

from __future__ import annotations

from contextlib import closing

import pytest

from bringup.base.errors import LabError
from bringup.testing.hands import VmHand
from bringup.verify.vms.talk import Vms
from tests.doubles.vm_wire import PlayedWire


def test_a_vm_says_what_a_command_printed_and_that_one_failed() -> None:
    with closing(PlayedWire("right")) as wire:
        vm = VmHand(Vms(wire), 2)
        assert vm.run("cat /dev/null; uname -r") == "6.1.152"
        with pytest.raises(LabError, match="'exit 3' in vm2 ended with 3"):
            vm.run("exit 3")
