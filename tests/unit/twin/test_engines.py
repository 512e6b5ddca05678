"""The table of engines, held against QEMU itself: what its processor tells software, bit by bit."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from bringup.base.errors import UsageError
from bringup.twin.engines import ENGINE_CHOICES, ENGINES, QEMU, choose_engine
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


def test_every_engine_that_can_be_named_is_chosen_or_refused_with_a_way_out() -> None:
    assert choose_engine("auto").engine is QEMU
    for name in set(ENGINE_CHOICES) - {"auto"} - set(ENGINES):
        with pytest.raises(UsageError, match=f"does not run on {name} yet") as refused:
            choose_engine(name)
        assert refused.value.hint is not None
        assert "--engine qemu" in refused.value.hint
    with pytest.raises(UsageError, match="no such engine"):
        choose_engine("simics")
