"""`_PRT` by ACPICA: mode, links, buses, registers that a capture has not; no failure looks like routing."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.pci.acpi import output as acpiexec_text
from bringup.pci.acpi.places import read_places
from bringup.pci.acpi.prt import with_routing
from bringup.pci.acpi.tables import read_code
from bringup.pci.capture.open import read_bytes
from bringup.pci.model import Acpi, Bdf, Bridge, Function, LostPrt, Machine, Missing, PrtEntry
from bringup.pci.pins.beliefs import pin_candidates
from bringup.pci.tree.files import MemoryFiles
from tests.machines import catalogue, sysfs
from tests.machines.aml import dsdt

TABLES = "sys/firmware/acpi/tables"
NO_TOOLS = pytest.mark.skipif(
    shutil.which("iasl") is None or shutil.which("acpiexec") is None,
    reason="iasl or acpiexec is not installed: apt install acpica-tools",
)
MEMORY_BYTES = 64 << 20
# A root port at 00:1c.0 with bus 2 behind it.
PORT = Function(
    Bdf.parse("00:1c.0"),
    header_type=1,
    bridge=Bridge(0, 2, 2),
    provenance={"header_type": "test", "bridge": "test"},
)

HOST = """
    Name (PICM, 0)
    Method (\\_PIC, 1) { PICM = Arg0 }
    OperationRegion (REGS, SystemMemory, 0x6F000000, 0x10)
    Field (REGS, ByteAcc, NoLock, Preserve) { REG0, 8, REG1, 8 }
    Scope (\\_SB)
    {
        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_CRS, ResourceTemplate () { Interrupt (ResourceConsumer, Level, ActiveLow, Shared) { 23 } })
        }
        Device (LNKB) { Name (_HID, EisaId ("PNP0C0F"))
            Name (_CRS, ResourceTemplate () { IRQ (Level, ActiveLow, Shared) { 11 } }) }
        Device (LNKR) { Name (_HID, EisaId ("PNP0C0F"))
            Method (_CRS, 0, Serialized)
            {
                Name (RBUF, ResourceTemplate () {
                    Interrupt (ResourceConsumer, Level, ActiveLow, Shared, , , IRQX) { 0 } })
                CreateDWordField (RBUF, IRQX._INT, NUMB)
                NUMB = REG0
                Return (RBUF)
            } }
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Method (_PRT)
            {
                If (PICM)
                {
                    Return (Package () {
                        Package () { 0x001CFFFF, 0, 0, 16 },
                        Package () { 0x001CFFFF, 1, LNKA, 0 },
                        Package () { 0x001CFFFF, 2, LNKB, 0 },
                        Package () { 0x001CFFFF, 3, LNKR, 0 } })
                }
                Return (Package () { Package () { 0x001CFFFF, 0, LNKB, 0 } })
            }
            Device (RP01)
            {
                Name (_ADR, 0x001C0000)
                Name (_PRT, Package () { Package () { 0xFFFF, 1, 0, 18 } })
            }
            Device (RP02)
            {
                Name (_ADR, 0x001D0000)
                Name (_PRT, Package () { Package () { 0xFFFF, 0, 0, 19 } })
            }
        }
        Device (PC01)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Method (_BBN) { Return (0x16) }
            Name (_PRT, Package () { Package () { 0xFFFF, 0, LNKA, 0 } })
        }
        Device (PC02)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_BBN, 0x64)
            Method (_STA) { Return (0) }
            Name (_PRT, Package () { Package () { 0xFFFF, 0, LNKA, 0 } })
        }
    }
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    @functools.cache
    def build(body: str, signature: str = "DSDT") -> bytes:
        folder = tmp_path_factory.mktemp("asl")
        text = f'DefinitionBlock ("t.aml", "{signature}", 2, "TEST", "TEST", 1) {{ {body} }}\n'
        (folder / "t.asl").write_text(text)
        done = subprocess.run(
            ["iasl", "-f", "t.asl"], cwd=folder, capture_output=True, text=True, timeout=200
        )
        assert (folder / "t.aml").exists(), done.stdout
        return (folder / "t.aml").read_bytes()

    return build


def captured(dsdt: bytes, **more: bytes) -> MemoryFiles:
    return MemoryFiles({f"{TABLES}/{name}": data for name, data in {"DSDT": dsdt, **more}.items()})


Routing = tuple[tuple[PrtEntry, ...] | None, tuple[LostPrt, ...], tuple[Missing, ...]]


def read_prt(
    files: MemoryFiles, functions: list[Function], seconds: float = 200.0, run_seconds: float = 100.0
) -> Routing:
    """Return what `with_routing` reads in a time that a busy machine has, too."""
    code, missing = read_code(files)
    acpi = Acpi(code=code, places=tuple(read_places(files, functions)))
    machine = with_routing(Machine(tuple(functions), acpi=acpi, missing=missing), seconds, run_seconds)
    assert machine.acpi.code is None
    return machine.acpi.prt, machine.acpi.lost_prt or (), machine.missing


@NO_TOOLS
def test_the_apic_mode_table_with_links_bridges_and_a_second_root(compiled: Callable[[str], bytes]) -> None:
    entries, _, missing = read_prt(captured(compiled(HOST)), [PORT])
    assert missing == ()
    assert entries == (
        PrtEntry(0, 0x1C, "A", 16),
        PrtEntry(0, 0x1C, "B", 23, "\\_SB.LNKA"),
        PrtEntry(0, 0x1C, "C", 11, "\\_SB.LNKB"),
        # Its _CRS reads a register that is not in any capture.
        PrtEntry(0, 0x1C, "D", None, "\\_SB.LNKR"),
        PrtEntry(2, 0, "B", 18),
        PrtEntry(0x16, 0, "A", 23, "\\_SB.LNKA"),
    )


@NO_TOOLS
def test_an_ssdt_may_add_a_prt(compiled: Callable[..., bytes]) -> None:
    ssdt = compiled(
        """External (\\_SB, DeviceObj)
        Scope (\\_SB) { Device (PC09) { Name (_HID, EisaId ("PNP0A08")) Name (_BBN, 0xB2) Name (_SEG, 1)
            Name (_PRT, Package () { Package () { 0x0005FFFF, 2, 0, 40 } }) } }""",
        "SSDT",
    )
    entries, _, missing = read_prt(captured(compiled(HOST), SSDT1=ssdt), [PORT])
    assert entries is not None and missing == ()
    assert entries[-1] == PrtEntry(0xB2, 5, "C", 40, None, 1)


@NO_TOOLS
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('Scope (\\_SB) { Device (PCI0) { Name (_HID, EisaId ("PNP0A08")) } }', "no _PRT"),
        (
            HOST.replace("Return (0x16)", "Return (REG0)"),
            "\\_SB.PC01._BBN depends on registers that a capture has not",
        ),
        (HOST.replace("Return (0x16)", "Return (0)"), "\\_SB.PCI0 has no _BBN, so its bus is not known"),
        (HOST.replace("If (PICM)", "If (REG1)"), "\\_SB.PCI0._PRT depends on registers"),
        pytest.param(
            HOST.replace("If (PICM)", "While (1) { REG1 = 0 } If (PICM)"),
            "AE_AML_LOOP_TIMEOUT",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            HOST.replace("{ PICM = Arg0 }", "{ While (1) { REG1 = 0 } }"),
            "\\_PIC(1) failed",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_cannot_be_had_is_told(body: str, why: str, compiled: Callable[[str], bytes]) -> None:
    entries, _, missing = read_prt(captured(compiled(body)), [PORT])
    assert any(gap.what == "routing" and why in gap.why for gap in missing)
    if entries is not None:
        assert all(entry.device != 0x1C or "PC01" in why for entry in entries)


@NO_TOOLS
@pytest.mark.parametrize("name", ["_BBN", "_SEG"])
def test_a_root_whose_place_rests_on_registers_is_not_put_on_bus_0(
    name: str, compiled: Callable[[str], bytes]
) -> None:
    body = HOST.replace("Method (_PRT)", f"Method ({name}) {{ Return (REG0) }} Method (_PRT)", 1)
    entries, _, missing = read_prt(captured(compiled(body)), [PORT])
    assert entries is not None and {entry.bus for entry in entries} == {0x16}
    expected = Missing("routing", f"\\_SB.PCI0.{name} depends on registers that a capture has not")
    assert missing == (expected,)


@NO_TOOLS
def test_a_bridge_without_bus_numbers_is_told(compiled: Callable[[str], bytes]) -> None:
    blind = Function(PORT.bdf, header_type=1, provenance={"header_type": "test"})
    entries, _, missing = read_prt(captured(compiled(HOST)), [blind])
    assert entries is not None and all(entry.bus != 2 for entry in entries)
    assert missing == (Missing("routing", "the bus behind 00:1c.0 (\\_SB.PCI0.RP01) was not observed"),)


@NO_TOOLS
def test_two_tables_that_disagree_resolve_nothing(compiled: Callable[[str], bytes]) -> None:
    twice = HOST.replace("Name (_BBN, 0x64)", "Name (_BBN, 0x16)").replace(
        "Return (0) }\n            Name (_PRT, Package () { Package () { 0xFFFF, 0, LNKA",
        "Return (1) }\n            Name (_PRT, Package () { Package () { 0xFFFF, 0, LNKB",
    )
    assert twice.count("LNKB, 0") == HOST.count("LNKB, 0") + 1
    entries, _, missing = read_prt(captured(compiled(twice)), [PORT])
    assert entries is not None
    assert [entry.gsi for entry in entries if entry.bus == 0x16] == [None]
    assert "disagree" in missing[0].why


def test_no_dsdt_is_told() -> None:
    files = MemoryFiles({}, missing={f"{TABLES}/DSDT": "permission denied"})
    assert read_prt(files, []) == (None, (), (Missing(f"{TABLES}/DSDT", "permission denied"),))


@NO_TOOLS
def test_a_damaged_dsdt_is_told(compiled: Callable[[str], bytes]) -> None:
    data = compiled(HOST)
    for damaged, why in ((data[:-1], "the file has"), (data[:50] + b"\0" + data[51:], "checksum")):
        entries, _, missing = read_prt(captured(damaged), [PORT])
        assert entries is None and why in missing[0].why


@NO_TOOLS
@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_aml_with_flipped_bytes_ends_in_a_word(data: st.DataObject, compiled: Callable[[str], bytes]) -> None:
    table = bytearray(compiled(HOST))
    for _ in range(3):
        table[data.draw(st.integers(36, len(table) - 1))] = data.draw(st.integers(0, 255))
    table[9] = 0
    table[9] = -sum(table) & 0xFF
    entries, _, missing = read_prt(captured(bytes(table)), [PORT], seconds=5)
    assert entries or missing


def stand_in(folder: Path, script: str) -> None:
    program = folder / "acpiexec"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@NO_TOOLS
def test_without_the_program_the_package_is_named(
    compiled: Callable[[str], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = captured(compiled(HOST))
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = Missing("routing", "acpiexec is not installed: apt install acpica-tools")
    assert read_prt(files, [PORT]) == (None, (), (expected,))


@NO_TOOLS
@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("sleep 60 & echo $! > PIDFILE; wait", "did not answer in time"),
        ("exec yes", "wrote more than 16 MiB"),
        ("exit 3", "could not load"),
        ("kill -SEGV $$", "could not load"),
    ],
)
def test_a_program_that_misbehaves_is_ended_with_its_children(
    script: str, why: str, compiled: Callable[[str], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = captured(compiled(HOST))
    stand_in(tmp_path, script.replace("PIDFILE", str(tmp_path / "pid")))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    began = time.monotonic()
    entries, _, missing = read_prt(files, [PORT], seconds=1.0)
    assert time.monotonic() - began < 30
    assert entries is None and why in missing[0].why
    if (tmp_path / "pid").exists():
        child = Path("/proc") / (tmp_path / "pid").read_text().strip()
        deadline = time.monotonic() + 5
        while child.exists() and "Z" not in (child / "stat").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not child.exists() or "Z" in (child / "stat").read_text()


@NO_TOOLS
def test_the_line_end_that_acpiexec_throws_in_does_no_harm(
    compiled: Callable[[str], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ACPICA 20200925 prints one from another thread, here where it was caught to hurt."""
    files = captured(compiled(HOST))
    real = shutil.which("acpiexec")
    stand_in(tmp_path, f"{real} \"$@\" | sed 's/^ACPI: \\([0-9]* ACPI AML\\)/ACPI: \\n\\1/'")
    plain = read_prt(files, [PORT])
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert read_prt(files, [PORT]) == plain and plain[0]


@NO_TOOLS
@pytest.mark.slow
def test_a_prt_that_takes_too_long_is_named_and_the_rest_goes_on(compiled: Callable[[str], bytes]) -> None:
    late = """Scope (\\_SB) { Device (PC09) { Name (_HID, EisaId ("PNP0A08")) Name (_BBN, 0xB2)
        Method (_PRT) { Sleep (60000) Return (Package () { Package () { 0x0005FFFF, 2, 0, 40 } }) } } }"""
    whole, _, _ = read_prt(captured(compiled(HOST)), [PORT])
    entries, lost, missing = read_prt(captured(compiled(HOST + late)), [PORT], 60.0, 1.5)
    assert entries == whole and whole is not None
    assert missing == (Missing("routing", "\\_SB.PC09._PRT failed with AE_TIME"),)
    assert lost == (LostPrt(0xB2),)


@NO_TOOLS
@pytest.mark.slow
def test_a_table_that_does_not_load_is_named_and_the_others_count(compiled: Callable[..., bytes]) -> None:
    body = """External (\\_SB, DeviceObj)
        Scope (\\_SB) { Device (PC09) { Name (_HID, EisaId ("PNP0A08")) Name (_BBN, 0xB2)
            Name (_PRT, Package () { Package () { 0x0005FFFF, 2, 0, 40 } }) } }"""
    good = compiled(body, "SSDT")
    bad = compiled("Method (\\HOLD) { Sleep (60000) } If (1) { \\HOLD () }", "SSDT")
    files = captured(compiled(HOST), SSDT1=bad, SSDT2=good)
    entries, _, missing = read_prt(files, [PORT], 60.0, 1.5)
    assert entries is not None and PrtEntry(0xB2, 5, "C", 40) in entries
    assert [gap.why for gap in missing] == ["SSDT1 was left out: acpiexec does not load it"]


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    acpiexec_text.named_objects(text)
    for read in (acpiexec_text.integer, acpiexec_text.prt_rows, acpiexec_text.interrupts):
        try:
            read(text)  # type: ignore[operator]
        except ValueError as error:
            assert str(error)


@given(st.binary(max_size=64))
def test_any_resource_buffer_is_read(data: bytes) -> None:
    rows = "\n".join(
        f"  [Buffer] {at:04X}: " + "".join(f"{byte:02X} " for byte in data[at : at + 16])
        for at in range(0, len(data), 16)
    )
    assert all(number > 0 for number in acpiexec_text.interrupts(rows))


@NO_TOOLS
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="QEMU is not installed")
def test_qemus_own_tables(tmp_path: Path) -> None:
    """SeaBIOS puts QEMU's tables into memory; q35 wires slot 2 to GSI 22, 23, 20, 21."""
    memory = tmp_path / "memory"
    machine = ["-M", "q35", "-m", "64", "-display", "none", "-monitor", "stdio", "-nic", "none"]
    bridge = ["-device", "pxb-pcie,id=root2,bus=pcie.0,bus_nr=0x16"]
    with subprocess.Popen(
        ["qemu-system-x86_64", *machine, *bridge], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as qemu:
        assert qemu.stdin is not None
        dsdt = b""
        while not dsdt:
            qemu.stdin.write(f'pmemsave 0 {MEMORY_BYTES:#x} "{memory}"\n'.encode())
            qemu.stdin.flush()
            # One dump after the other: a second one would be written over the first while that is read.
            while not memory.exists() or memory.stat().st_size < MEMORY_BYTES:
                assert qemu.poll() is None
                time.sleep(0.1)
            dsdt = table_in(memory.read_bytes(), b"DSDT")
            memory.unlink()
        qemu.stdin.write(b"quit\n")
        qemu.stdin.close()
    entries, _, missing = read_prt(captured(dsdt), [])
    assert missing == () and entries is not None
    assert {entry.bus for entry in entries} == {0, 0x16}
    assert [e.gsi for e in entries if (e.bus, e.device) == (0, 2)] == [22, 23, 20, 21]
    assert [e.gsi for e in entries if (e.bus, e.device) == (0, 31)] == [16, 17, 18, 19]


def table_in(data: bytes, signature: bytes) -> bytes:
    """Return the largest such table in a dump; SeaBIOS carries a small one of its own."""
    best = b""
    at = data.find(signature)
    while at >= 0:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if len(best) < length < 1 << 20 and sum(data[at : at + length]) & 0xFF == 0:
            best = data[at : at + length]
        at = data.find(signature, at + 4)
    return best if b"_PIC" in best else b""


def test_an_answer_without_any_evaluation_holds_none() -> None:
    assert acpiexec_text.evaluations("- all _PRT\n") == {}


@NO_TOOLS
def test_a_prt_without_rows_is_told(compiled: Callable[[str], bytes]) -> None:
    bridge = 'Name (_HID, EisaId ("PNP0A08")) Name (_PRT, Package () {})'
    found = read_prt(captured(compiled("Scope (\\_SB) { Device (PCI0) { " + bridge + " } }")), [PORT])
    assert (found[0], found[2]) == (None, (Missing("routing", "no _PRT of the tables gave a row"),))


@NO_TOOLS
def test_the_e300_9d_s_own_routing() -> None:
    """Five IOAPICs, and the inputs that operating systems with ACPI use on it (bsdhw/Dmesg)."""
    made = catalogue.made(catalogue.E300_9D)
    bundle = sysfs.bundle(made)
    files = {**bundle.files, f"{TABLES}/DSDT": dsdt(made)}
    del files["SHA256SUMS"]
    machine = read_bytes(sysfs.archive(sysfs.Tree(files, bundle.links)), "with-code")
    assert machine.acpi.madt is not None and machine.acpi.prt is not None
    assert [(a.gsi_base, a.index) for a in machine.acpi.madt.ioapics] == [
        (0, 0), (24, 1), (32, 2), (40, 3), (48, 4)
    ]  # fmt: skip
    told = {
        bdf.short: (belief.ioapic, belief.pin)
        for bdf, beliefs in pin_candidates(machine).items()
        for belief in beliefs
        if belief.grade == "firmware"
    }
    assert {place: told[place] for place in made.routing} == {
        "16:00.0": (2, 7),
        "17:00.0": (2, 0),
        "17:00.1": (2, 4),
        "17:00.2": (2, 5),
        "17:00.3": (2, 6),
        "b2:00.0": (4, 7),
        "b5:00.0": (3, 6),
        "b5:00.1": (3, 6),
    }
