"""One machine told in every format: the same model, as far as each can express it; lspci itself as a peer."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.pci.model import Bdf, Capability, Function, Machine, SerialNumber
from bringup.pci.sources.linux import read_linux
from bringup.pci.sources.lspci import text as lspci
from bringup.pci.sources.pciconf import text as pciconf
from bringup.pci.topology.above import Topology
from bringup.pci.topology.inferred import infer_bridges
from bringup.pci.tree.files import FolderFiles, MemoryFiles
from tests.doubles.pci_compare import agree, differences
from tests.machines import catalogue, sysfs
from tests.machines import lspci as lspci_words
from tests.machines import pciconf as pciconf_words
from tests.machines.caps import DOWNSTREAM, ENDPOINT, ROOT_PORT, UPSTREAM, Express, OtherExtended
from tests.machines.catalogue import FORMATS, MACHINES
from tests.machines.chance import machines
from tests.machines.model import Made
from tests.machines.views import RECORDINGS, View, views


def as_sysfs(machine: Iterable[Made]) -> Machine:
    told = sysfs.functions(machine)
    return read_linux(MemoryFiles(told.files, told.links), "sysfs")


def observed(function: Function) -> set[str]:
    return set(function.provenance)


@settings(max_examples=60, deadline=None)
@given(machines())
def test_sysfs_and_lspci_agree(machine: tuple[Made, ...]) -> None:
    tree, text = as_sysfs(machine), lspci.parse(lspci_words.text(machine).encode(), "lspci")
    assert not differences(tree, text)
    for one, other in zip(tree.functions, text.functions, strict=True):
        assert {"bars", "intx_pin", "capabilities", "command", "rom"} - {"intx_pin"} <= observed(other)
        assert {"bars", "intx_pin", "capabilities", "command", "rom"} <= observed(one)
    assert Topology.of(tree.functions) == Topology.of(text.functions)


@settings(max_examples=60, deadline=None)
@given(machines(), st.booleans())
def test_sysfs_and_pciconf_agree(machine: tuple[Made, ...], old: bool) -> None:
    tree, text = as_sysfs(machine), pciconf.parse(pciconf_words.text(machine, old=old).encode(), "pciconf")
    assert not differences(tree, text)
    for function in text.functions:
        assert not observed(function) & {"intx_pin", "bridge", "rom", "command"}


@settings(max_examples=60, deadline=None)
@given(machines())
def test_what_was_made_is_what_is_read(machine: tuple[Made, ...]) -> None:
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
def test_an_inferred_bridge_is_never_wrong(machine: tuple[Made, ...]) -> None:
    text = pciconf.parse(pciconf_words.text(machine).encode(), "pciconf")
    truth = {wanted.bdf: wanted.secondary for wanted in machine}
    for function in infer_bridges(text.functions):
        if function.observed("bridge"):
            assert function.bridge is not None
            assert function.bridge.secondary == truth[function.bdf]
            assert function.provenance["bridge"] == "pciconf:inferred"


def port(bdf: Bdf, kind: int, link: tuple[int, int], secondary: int = 0) -> Made:
    """A bridge to a bus, or what is at the end of a link."""
    capabilities = (Express(kind, link=link, most=(max(link[0], 1), 3)), OtherExtended(1, 0x100))
    return Made(bdf, 1, 1, 0x0604 if secondary else 0x0200, secondary=secondary, capabilities=capabilities)


def test_a_switch_s_path_is_inferred_by_its_links() -> None:
    machine = [
        port(Bdf(0, 0xB2, 0, 0), ROOT_PORT, (8, 3), 0xB3),
        port(Bdf(0, 0xB2, 1, 0), ROOT_PORT, (0, 0), 0xB7),
        port(Bdf(0, 0xB3, 0, 0), UPSTREAM, (8, 3), 0xB4),
        port(Bdf(0, 0xB4, 3, 0), DOWNSTREAM, (1, 1), 0xB5),
        port(Bdf(0, 0xB5, 0, 0), ENDPOINT, (1, 1)),
    ]
    functions = infer_bridges(pciconf.parse(pciconf_words.text(machine).encode(), "x").functions)
    path = Topology.of(functions).path(Bdf(0, 0xB5, 0, 0))
    assert [bdf.short for bdf in path] == ["b2:00.0", "b3:00.0", "b4:03.0"]
    # The port without a link leads nowhere that was seen.
    assert not functions[1].observed("bridge")


def test_two_possible_bridges_are_left_open() -> None:
    machine = [
        port(Bdf(0, 0, 0, 0), ROOT_PORT, (8, 3), 1),
        port(Bdf(0, 1, 0, 0), UPSTREAM, (8, 3), 2),
        port(Bdf(0, 2, 0, 0), DOWNSTREAM, (1, 1), 3),
        port(Bdf(0, 2, 1, 0), DOWNSTREAM, (1, 1), 4),
        port(Bdf(0, 4, 0, 0), ENDPOINT, (1, 1)),
    ]
    functions = infer_bridges(pciconf.parse(pciconf_words.text(machine).encode(), "x").functions)
    assert [f.observed("bridge") for f in functions] == [True, True, False, False, False]


LSPCI = pytest.mark.skipif(
    shutil.which("lspci") is None, reason="lspci is not installed: apt install pciutils"
)


def lspci_of(root: Path, *words: str) -> str:
    """Return what the real lspci says of a tree, names from the file `ids` in it or from nowhere."""
    command = ["lspci", "-A", "linux-sysfs", "-O", f"sysfs.path={root}/sys/bus/pci", "-O", "hwdb.disable=1"]
    command += ["-i", str(root / "ids"), "-D", *words]
    return subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout


@pytest.mark.slow
@LSPCI
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(machine=machines())
def test_lspci_reads_the_same_tree_the_same_way(tmp_path_factory, machine: tuple[Made, ...]) -> None:  # type: ignore[no-untyped-def]
    root: Path = tmp_path_factory.mktemp("tree")
    sysfs.write(root, sysfs.functions(machine))
    (root / "ids").touch()
    ours = read_linux(FolderFiles(root), "sysfs")
    theirs = lspci.parse(lspci_of(root, "-vvv", "-nn").encode(), "lspci")
    assert not differences(ours, theirs)
    for function in theirs.functions:
        assert not function.problems
        assert {"bars", "capabilities", "command", "rom"} <= observed(function)
    shutil.rmtree(root)


@LSPCI
@pytest.mark.parametrize("name", MACHINES)
def test_lspci_itself_says_what_we_say_it_says(name: str, tmp_path: Path) -> None:
    """Its details change with its versions: what no reader here may miss has to be there word for word."""
    made = catalogue.made(name)
    sysfs.write(tmp_path, sysfs.functions(made.functions))
    (tmp_path / "ids").write_text(lspci_words.ids_file(made.functions))
    theirs = blocks(lspci_of(tmp_path, "-nn", "-vvv", "-xxxx"))
    ours = blocks(lspci_words.text(made.functions, 4096))
    assert list(theirs) == list(ours)
    for place, lines in ours.items():
        assert not [line for line in lines if line not in theirs[place] and tells(line)]
        assert config_of(lines) == config_of(theirs[place])
    listing = lspci_of(tmp_path, "-vmmnnk")
    assert without_defaults(listing) == without_defaults(lspci_words.machine_text(made.functions))
    text = "\n\n".join("\n".join(lines) for lines in theirs.values())
    assert not differences(catalogue.read(name, "sysfs.tar.bz2"), lspci.parse(text.encode()))


def blocks(text: str) -> dict[str, list[str]]:
    """Return lspci's text by function."""
    found = (block.split("\n") for block in text.strip().split("\n\n"))
    return {lines[0].split(" ")[0]: lines for lines in found}


def config_of(lines: list[str]) -> list[str]:
    return [line for line in lines[1:] if not line.startswith("\t")]


def tells(line: str) -> bool:
    """Whether a line is worded alike by every version: not what is inside a capability, not a window."""
    return not line.startswith(("\t\t", "\tCapabilities:")) and " behind bridge: " not in line


def without_defaults(text: str) -> list[str]:
    """Leave out what some versions print and some do not: an interface of 00."""
    return [line for line in text.splitlines() if line != "ProgIf:\t00"]


# What each view may say differently: a driver is each system's own, and config spaces are read to different
# lengths. A scan that ends early does not know what comes behind a bridge, and only Linux what it moved.
APART = {"driver", "config_bytes"}
CUT = {"bridge"}
MOVED = {"bars", "bridge"}


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "bundle.tar.gz"])
@pytest.mark.parametrize("name", MACHINES)
def test_all_formats_of_a_machine_agree(name: str, form: str) -> None:
    bundle, other = catalogue.read(name, "bundle.tar.gz"), catalogue.read(name, form)
    there = {function.bdf for function in other.functions}
    seen = replace(bundle, functions=tuple(f for f in bundle.functions if f.bdf in there))
    apart = APART | (CUT if form == "sel4.log" else set())
    if name == "moved-by-linux" and form.startswith(("firmware", "sel4", "pciconf")):
        apart |= MOVED
    assert not differences(seen, other, apart)


@pytest.mark.parametrize("name", MACHINES)
def test_what_firmware_left_is_told_alike_by_all_who_can_know(name: str) -> None:
    told = [
        {f.bdf: f.firmware_bars for f in catalogue.read(name, form).functions if f.header_type == 0}
        for form in ("bundle.tar.gz", "dmesg-today.txt", "firmware.log", "sel4.log")
    ]
    for bdf in set.intersection(*map(set, told)):
        bars = [view[bdf] for view in told]
        assert all(agree(bars[0], other) for other in bars), bdf.short


@pytest.mark.parametrize("name", MACHINES)
def test_bundle_log_probe_and_sel4_see_the_same_interrupt_controllers_and_reserved_memory(name: str) -> None:
    made = catalogue.made(name)
    for form in ("bundle.tar.gz", "dmesg.txt", "firmware.log", "sel4.log"):
        madt = catalogue.read(name, form).acpi.madt
        assert madt is not None
        assert [(a.id, a.address, a.gsi_base) for a in madt.ioapics] == [
            ioapic[:3] for ioapic in made.ioapics
        ]
        assert {(o.source, o.gsi, o.flags) for o in madt.overrides} == set(made.overrides)
        assert {a.pins for a in madt.ioapics} <= {None, *(each[3] for each in made.ioapics)}
    for form in ("bundle.tar.gz", "firmware.log"):
        dmar = catalogue.read(name, form).acpi.dmar
        regions = [] if dmar is None else [(region.base, region.limit) for region in dmar.rmrrs]
        assert regions == [region[:2] for region in made.reserved]
    platform = catalogue.read(name, "bundle.tar.gz").platform
    assert platform.firmware == catalogue.read(name, "firmware.log").platform.firmware
    assert (platform.vtx, platform.iommu) == (made.vtx, made.iommu)
    assert platform.memory_bytes == catalogue.read(name, "firmware.log").platform.memory_bytes


RECORDED_TOO = [(name, view) for name in RECORDINGS for view in views(name, "lspci.txt")]


@pytest.mark.parametrize(("name", "view"), RECORDED_TOO, ids=[f"{view}" for _, view in RECORDED_TOO])
def test_the_made_e300_9d_is_the_documented_one(name: str, view: View) -> None:
    """All but serial numbers, which are those of units: a made listing against another, or a recorded one."""
    listing = catalogue.read(name, "pciconf.txt")
    apart = set() if view.name.startswith("pciconf") else {"driver"}
    assert not differences(without_serials(listing), without_serials(view.machine()), apart)


def without_serials(machine: Machine) -> Machine:
    def cleared(capability: Capability) -> Capability:
        number = isinstance(capability.decoded, SerialNumber)
        return replace(capability, decoded=None) if number else capability

    return replace(
        machine,
        functions=tuple(
            replace(function, capabilities=tuple(map(cleared, function.capabilities or ())))
            for function in machine.functions
        ),
    )


def test_the_comparison_can_fail() -> None:
    plain = Made(Bdf(0, 0x17, 0, 0), 0x8086, 0x1521, 0x0200, pin=1)
    assert differences(as_sysfs([plain]), as_sysfs([Made(plain.bdf, 0x8086, 0x1521, 0x0200, pin=2)]))
    one = Capability(5, 0x50)
    assert not agree((one,), ()) and agree((one,), (Capability(5, None),))
