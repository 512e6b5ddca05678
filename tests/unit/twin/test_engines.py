"""The table of engines, held against QEMU itself: what its processor tells software, bit by bit."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bringup.base.errors import UsageError
from bringup.twin.engines import BOCHS, ENGINE_CHOICES, ENGINES, KVM, QEMU, Engine, choose_engine
from bringup.twin.host import offers_vmx
from bringup.twin.qmp import Qmp

# Where CPUID tells a feature: leaf, subleaf (None: the leaf has none), register, bit (Intel SDM volume 2,
# CPUID; AMD64 volume 3, appendix E.4 for the leaves from 80000001h). Names as in /proc/cpuinfo.
_LEAF_1_EDX = (
    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx "
    "fxsr sse sse2 ss ht tm ia64 pbe"
)
_LEAF_1_ECX = (
    "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 "
    "sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave osxsave avx f16c rdrand hypervisor"
)
_LEAF_7_EBX = (
    "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq "
    "rdseed adx smap avx512ifma pcommit clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni "
    "avx512bw avx512vl"
)
_BITS: dict[tuple[int, int | None, str], dict[int, str]] = {
    (1, None, "EDX"): dict(enumerate(_LEAF_1_EDX.split())),
    (1, None, "ECX"): dict(enumerate(_LEAF_1_ECX.split())),
    (7, 0, "EBX"): dict(enumerate(_LEAF_7_EBX.split())),
    (7, 0, "ECX"): {3: "pku"},
    (13, 1, "EAX"): {0: "xsaveopt", 1: "xsavec", 2: "xgetbv1", 3: "xsaves"},
    (6, None, "EAX"): {2: "arat"},
    (0x80000001, None, "ECX"): {0: "lahf_lm", 5: "abm", 8: "3dnowprefetch"},
    (0x80000001, None, "EDX"): {11: "syscall", 20: "nx", 26: "pdpe1gb", 27: "rdtscp", 29: "lm"},
}
_XSAVE_STATE = (13, 0)


@pytest.fixture
def processor() -> Iterator[tuple[Qmp, str]]:
    """QEMU's monitor and the path of the processor in it; nothing runs."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("QEMU is not installed: `make system`")
    near, far = socket.socketpair()
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", QEMU.processor, "-S"]
    command += ["-m", "64M", "-nodefaults", "-display", "none"]
    command += ["-chardev", f"socket,id=qmp,fd={far.fileno()}", "-mon", "chardev=qmp,mode=control"]
    with subprocess.Popen(command, pass_fds=(far.fileno(),), stderr=subprocess.PIPE, text=True) as process:
        far.close()
        qmp = Qmp(near, lambda _name, _data: None)
        try:
            yield qmp, qmp.execute("query-cpus-fast")[0]["qom-path"]
        finally:
            process.kill()
            qmp.close()
            assert process.stderr is not None
            # QEMU warns of each feature that was asked for and that it cannot give.
            assert "warning" not in process.stderr.read()


def test_qemus_processor_has_what_the_table_says_and_nothing_else(processor: tuple[Qmp, str]) -> None:
    qmp, path = processor
    told: set[str] = set()
    unknown = []
    for word in qmp.execute("qom-get", path=path, property="feature-words"):
        place = (word["cpuid-input-eax"], word.get("cpuid-input-ecx"), word["cpuid-register"])
        if place[:2] == _XSAVE_STATE:
            continue  # the parts of the state, not features
        for bit in range(32):
            if word["features"] >> bit & 1:
                name = _BITS.get(place, {}).get(bit)
                told.add(name or "?")
                unknown += [] if name else [(place, bit)]
    assert not unknown
    assert told == QEMU.features
    assert not told & QEMU.missing


def test_qemus_processor_is_of_the_boards_family(processor: tuple[Qmp, str]) -> None:
    qmp, path = processor
    told = [
        qmp.execute("qom-get", path=path, property=name)
        for name in ("vendor", "family", "model", "stepping", "model-id")
    ]
    assert told == ["GenuineIntel", 6, 85, 4, "Intel(R) Xeon(R) D-2123IT CPU @ 2.20GHz"]


@dataclass(frozen=True)
class Computer:
    """A host of the twin."""

    nests: bool = False
    bochs: bool = False

    def nests_vtx(self) -> bool:
        return self.nests

    def has_bochs(self) -> bool:
        return self.bochs


@pytest.mark.parametrize(
    ("host", "vtx", "taken"),
    [
        (Computer(), False, QEMU),
        (Computer(nests=True, bochs=True), False, QEMU),
        (Computer(nests=True, bochs=True), True, KVM),
        (Computer(bochs=True), True, BOCHS),
        (Computer(), True, QEMU),
    ],
)
def test_auto_takes_what_the_image_needs_and_the_host_has(host: Computer, vtx: bool, taken: Engine) -> None:
    chosen = choose_engine("auto", vtx=vtx, host=host)
    assert chosen.engine is taken
    assert ("needs VT-x" in chosen.why) is vtx
    assert ("apt install" in chosen.why) is (vtx and taken is QEMU)


def test_every_engine_that_can_be_named_is_chosen_or_refused_with_a_way_out() -> None:
    assert set(ENGINE_CHOICES) == {"auto", *ENGINES}
    for name, engine in ENGINES.items():
        assert choose_engine(name, host=Computer(nests=True)).engine is engine
    with pytest.raises(UsageError, match="gives its guests no VT-x") as refused:
        choose_engine("kvm", host=Computer(bochs=True))
    assert "--engine bochs" in (refused.value.hint or "")
    with pytest.raises(UsageError, match="no such engine"):
        choose_engine("simics")


@pytest.mark.parametrize(("ecx", "offers"), [(1 << 5, True), (0, False), (0xFFFFFFDF, False)])
def test_kvm_is_asked_for_vt_x_itself(ecx: int, offers: bool) -> None:
    leaves = [(0, 0), (7, 0xFFFFFFFF), (1, ecx), (0x80000001, 0xFFFFFFFF)]
    entries = b"".join(struct.pack("10I", leaf, 0, 0, 0, 0, value, 0, 0, 0, 0) for leaf, value in leaves)
    assert offers_vmx(struct.pack("2I", len(leaves), 0) + entries + bytes(4000)) is offers
