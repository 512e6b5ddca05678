"""One machine told by sysfs, lspci and pciconf: the same model, as far as each format can express it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.pci.model import Bdf, Capability, Function, Machine
from bringup.pci.sources.linux import read_linux
from bringup.pci.sources.lspci import text as lspci
from bringup.pci.sources.pciconf import text as pciconf
from bringup.pci.topology.above import Topology
from bringup.pci.topology.inferred import infer_bridges
from bringup.pci.tree.files import FolderFiles, MemoryFiles
from tests.doubles import pci_machine as made
from tests.doubles.pci_compare import agree, differences
from tests.unit.pci.strategies import machines


def as_sysfs(machine: Iterable[made.Made]) -> Machine:
    return read_linux(MemoryFiles(*made.sysfs(machine)), "sysfs")


def observed(function: Function) -> set[str]:
    return set(function.provenance)


@settings(max_examples=60, deadline=None)
@given(machines())
def test_sysfs_and_lspci_agree(machine: tuple[made.Made, ...]) -> None:
    tree, text = as_sysfs(machine), lspci.parse(made.lspci(machine).encode(), "lspci")
    assert not differences(tree, text)
    for one, other in zip(tree.functions, text.functions, strict=True):
        assert {"bars", "intx_pin", "capabilities", "command", "rom"} - {"intx_pin"} <= observed(other)
        assert {"bars", "intx_pin", "capabilities", "command", "rom"} <= observed(one)
    assert Topology.of(tree.functions) == Topology.of(text.functions)


@settings(max_examples=60, deadline=None)
@given(machines(), st.booleans())
def test_sysfs_and_pciconf_agree(machine: tuple[made.Made, ...], old: bool) -> None:
    tree, text = as_sysfs(machine), pciconf.parse(made.pciconf(machine, old).encode(), "pciconf")
    assert not differences(tree, text)
    for function in text.functions:
        assert not observed(function) & {"intx_pin", "bridge", "rom", "command"}


@settings(max_examples=60, deadline=None)
@given(machines())
def test_what_was_made_is_what_is_read(machine: tuple[made.Made, ...]) -> None:
    for wanted, function in zip(machine, as_sysfs(machine).functions, strict=True):
        assert (function.bdf, function.vendor, function.device) == (wanted.bdf, wanted.vendor, wanted.device)
        assert (function.class_code, function.revision) == (wanted.class_code, wanted.revision)
        assert function.intx_pin == (None, "A", "B", "C", "D")[wanted.pin]
        bars = [(b.index, b.kind == "io", b.base or 0, b.size, b.prefetchable) for b in function.bars or ()]
        assert bars == [(b.index, b.io, b.base, b.size, b.prefetchable) for b in wanted.bars]
        assert (function.irq, function.driver) == (wanted.irq or None, wanted.driver)
        assert function.problems == ()


@settings(max_examples=150, deadline=None)
@given(machines())
def test_an_inferred_bridge_is_never_wrong(machine: tuple[made.Made, ...]) -> None:
    text = pciconf.parse(made.pciconf(machine).encode(), "pciconf")
    truth = {wanted.bdf: wanted.secondary for wanted in machine}
    for function in infer_bridges(text.functions):
        if function.observed("bridge"):
            assert function.bridge is not None
            assert function.bridge.secondary == truth[function.bdf]
            assert function.provenance["bridge"] == "pciconf:inferred"


def test_a_switch_s_path_is_inferred_by_its_links() -> None:
    machine = [
        made.Made(Bdf(0, 0xB2, 0, 0), 1, 1, 0x0604, secondary=0xB3, express=(made.ROOT_PORT, False, 8, 3)),
        made.Made(Bdf(0, 0xB2, 1, 0), 1, 1, 0x0604, secondary=0xB7, express=(made.ROOT_PORT, False, 0, 0)),
        made.Made(Bdf(0, 0xB3, 0, 0), 1, 2, 0x0604, secondary=0xB4, express=(made.UPSTREAM, False, 8, 3)),
        made.Made(Bdf(0, 0xB4, 3, 0), 1, 3, 0x0604, secondary=0xB5, express=(made.DOWNSTREAM, False, 1, 1)),
        made.Made(Bdf(0, 0xB5, 0, 0), 1, 4, 0x0200, express=(made.ENDPOINT, True, 1, 1)),
    ]
    functions = infer_bridges(pciconf.parse(made.pciconf(machine).encode(), "x").functions)
    path = Topology.of(functions).path(Bdf(0, 0xB5, 0, 0))
    assert [bdf.short for bdf in path] == ["b2:00.0", "b3:00.0", "b4:03.0"]
    # The port without a link leads nowhere that was seen.
    assert not functions[1].observed("bridge")


def test_two_possible_bridges_are_left_open() -> None:
    port = (made.DOWNSTREAM, False, 1, 1)
    machine = [
        made.Made(Bdf(0, 0, 0, 0), 1, 1, 0x0604, secondary=1, express=(made.ROOT_PORT, False, 8, 3)),
        made.Made(Bdf(0, 1, 0, 0), 1, 2, 0x0604, secondary=2, express=(made.UPSTREAM, False, 8, 3)),
        made.Made(Bdf(0, 2, 0, 0), 1, 3, 0x0604, secondary=3, express=port),
        made.Made(Bdf(0, 2, 1, 0), 1, 3, 0x0604, secondary=4, express=port),
        made.Made(Bdf(0, 4, 0, 0), 1, 4, 0x0200, express=(made.ENDPOINT, True, 1, 1)),
    ]
    functions = infer_bridges(pciconf.parse(made.pciconf(machine).encode(), "x").functions)
    assert [f.observed("bridge") for f in functions] == [True, True, False, False, False]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("lspci") is None, reason="lspci is not installed (package pciutils)")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(machine=machines())
def test_lspci_reads_the_same_tree_the_same_way(tmp_path_factory, machine: tuple[made.Made, ...]) -> None:  # type: ignore[no-untyped-def]
    root: Path = tmp_path_factory.mktemp("tree")
    made.write_tree(root, *made.sysfs(machine))
    ours = read_linux(FolderFiles(root), "sysfs")
    command = ["lspci", "-A", "linux-sysfs", "-O", f"sysfs.path={root}/sys/bus/pci", "-D", "-vvv", "-nn"]
    done = subprocess.run(command, capture_output=True, check=True)
    theirs = lspci.parse(done.stdout, "lspci")
    assert not differences(ours, theirs)
    for function in theirs.functions:
        assert not function.problems
        assert {"bars", "capabilities", "command", "rom"} <= observed(function)
    shutil.rmtree(root)


def test_the_comparison_can_fail() -> None:
    plain = made.Made(Bdf(0, 0x17, 0, 0), 0x8086, 0x1521, 0x0200, pin=1)
    assert differences(as_sysfs([plain]), as_sysfs([made.Made(plain.bdf, 0x8086, 0x1521, 0x0200, pin=2)]))
    one = Capability(5, 0x50)
    assert not agree((one,), ()) and agree((one,), (Capability(5, None),))
